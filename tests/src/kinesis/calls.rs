//! Records of calls from a seed: START, some INTERIM, STOP, as an agent writes them, of many calls at once.

use cdr_model::{CallRecord, RecordType};
use serde_json::json;
use types::{CallId, SessionId, UtcMs};

use super::dice::Dice;

/// How many records each call has, 2 to 6, so that all have `records` together.
#[must_use]
pub fn lengths(seed: u64, records: u64) -> Vec<u32> {
    let mut dice = Dice::of(seed, 0);
    let (mut left, mut lengths) = (records, Vec::new());
    while left > 0 {
        let length = 2 + dice.below(5);
        // The last call takes what remains, which must not be a single record.
        let length = if left < length + 2 { left } else { length };
        left -= length;
        lengths.push(u32::try_from(length).unwrap_or(u32::MAX));
    }
    lengths
}

/// Writes the records of calls.
#[derive(Debug, Clone)]
pub struct Scribe {
    seed: u64,
    template: CallRecord,
}

/// When the calls begin; the calls of the tests are all of one evening.
const BEGIN: UtcMs = UtcMs(1_795_309_601_612);

impl Scribe {
    /// Records of about `bytes` octets of JSON each, at least as many as they need.
    ///
    /// # Errors
    /// The record model has a new field without a default.
    pub fn new(seed: u64, bytes: usize) -> Result<Self, serde_json::Error> {
        let mut template = CallRecord::from_json(
            json!({
                "recordId": "", "callId": "", "sessionId": "", "legId": "a", "recordType": "INTERIM", "recordSequence": 0,
                "tenant": "default", "startTime": BEGIN.to_string(), "answerTime": BEGIN.plus(4000).to_string(),
                "callingParty": {"number": "+4930901820", "subscriberId": "1001"},
                "calledParty": {"number": "+4930123456", "dialledNumber": "030123456", "destination": "DE_FIXED"},
                "service": "VOICE", "callType": "VOICE", "callDirection": "MOBILE_ORIGINATED",
                "sipData": {"fromUri": "sip:1001@example.org", "toUri": "sip:030123456@example.org", "userAgent": ""},
                "metadata": {"serverNode": "test-1"},
            })
            .to_string()
            .as_bytes(),
        )?;
        let bare = Self { seed, template: template.clone() }.record(0, 1, 3).to_json()?.len();
        template.sip_data.user_agent = Some("x".repeat(bytes.saturating_sub(bare)).into());
        Ok(Self { seed, template })
    }

    /// The `sequence`th of the `length` records of the `call`th call.
    #[must_use]
    pub fn record(&self, call: usize, sequence: u32, length: u32) -> CallRecord {
        let (record_type, ordinal) = match sequence {
            0 => (RecordType::Start, 0),
            last if last + 1 >= length => (RecordType::Stop, 0),
            _ => (RecordType::Interim, sequence - 1),
        };
        let session_id = SessionId::from(format!("seed-{:x}-session-{call:07}", self.seed));
        let end_time = (sequence > 0).then(|| BEGIN.plus(4000 + u64::from(sequence) * 60_000));
        CallRecord {
            record_id: CallRecord::make_id(&session_id, record_type, ordinal),
            call_id: CallId::from(format!("seed-{:x}-call-{call:07}", self.seed)),
            session_id,
            record_type,
            record_sequence: sequence,
            end_time,
            ..self.template.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_have_exactly_as_many_records_as_asked() {
        for (seed, records) in [(1, 2), (2, 3), (3, 5000), (4, 77), (5, 200_000)] {
            let lengths = lengths(seed, records);
            assert_eq!(lengths.iter().map(|length| u64::from(*length)).sum::<u64>(), records);
            assert!(lengths.iter().all(|length| (2..=7).contains(length)), "{lengths:?}");
        }
    }

    #[test]
    fn a_call_is_start_interim_stop() -> Result<(), serde_json::Error> {
        let scribe = Scribe::new(0xAB, 1024)?;
        let ids: Vec<_> = (0..4).map(|sequence| scribe.record(7, sequence, 4).record_id).collect();
        assert_eq!(
            ids.iter().map(|id| id.trim_start_matches("seed-ab-session-0000007/")).collect::<Vec<_>>(),
            ["START/0", "INTERIM/0", "INTERIM/1", "STOP/0"]
        );
        assert_eq!(scribe.record(7, 2, 4).to_json()?.len(), 1024);
        Ok(())
    }
}
