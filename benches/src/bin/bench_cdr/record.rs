//! A STOP record as an agent writes it, of about 1 KiB.

use anyhow::Context as _;
use cdr_model::CallRecord;

const STOP: &str = r#"{"recordId":"","callId":"k1/1795309600/4711/a84b4c76e66710@192.0.2.17",
"sessionId":"k1/1795309600/4711/a84b4c76e66710@192.0.2.17/1928301774","legId":"A","recordType":"STOP","recordSequence":5,
"tenant":"example.org","startTime":"2026-11-22T01:06:40.000Z","answerTime":"2026-11-22T01:06:42.620Z",
"endTime":"2026-11-22T01:07:27.700Z","duration":45.080,"billableSeconds":45.000,
"callingParty":{"number":"+4930123456","numberType":"LANDLINE","subscriberId":"alice@example.org"},
"calledParty":{"number":"+442012345678","dialledNumber":"00442012345678","numberType":"INTERNATIONAL","destination":"GB_LONDON"},
"service":"VOICE","callType":"VOICE","callDirection":"MOBILE_ORIGINATED","terminationReason":"NORMAL","cause":16,
"sipData":{"fromUri":"sip:alice@example.org","toUri":"sip:00442012345678@example.org","callIdHeader":"a84b4c76e66710@192.0.2.17",
"userAgent":"Example Softphone 4.2","codec":"PCMA","ipAddress":"192.0.2.17"},
"qos":{"jitter":2.125,"packetLoss":0.10,"latency":21.500,"mos":4.31},"usage":[{"ratingGroup":0,"timeMs":45080}],
"cost":{"state":"FINAL","currency":"EUR","amount":"0.45","perMinuteRate":"0.60"},
"metadata":{"serverNode":"k1","recordingId":"4f9d7b2c","tags":["TRANSFERRED"]}}"#;

/// The record; give each copy a `record_id` of its own with [`number`].
pub fn template() -> anyhow::Result<CallRecord> {
    CallRecord::from_json(STOP.as_bytes()).context("the benchmark's record")
}

/// Makes it another record, of another session. As long as a real one.
pub fn number(record: &mut CallRecord, number: u64) {
    record.record_id = format!("k1/1795309600/{number}/a84b4c76e66710@192.0.2.17/1928301774/STOP/0").into();
}
