//! Where an object ends. Pure: time is an argument.
//!
//! | an object ends | because |
//! |---|---|
//! | before the record that would be one too many, or too much | count, size |
//! | before a record of a later hour than its first | partitions |
//! | at the last record there is | its first has waited long enough, or no more will come |

use cdr_journal::JournalEntry;
use serde::Deserialize;
use types::UtcMs;
use types::time::iso8601;

/// The bounds of an object.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub records: usize,
    pub bytes: usize,
    pub age_ms: u64,
}

/// The first `entries` of the window make an object, of the hour that began at `hour`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cut {
    pub entries: usize,
    pub hour: UtcMs,
}

/// Looks at a growing window, at each record once.
#[derive(Debug)]
pub(super) struct Cutter {
    bounds: Bounds,
    candidate: Option<Candidate>,
}

/// The object that is forming at the front of the window.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    first: u64,
    since_ms: u64,
    hour: UtcMs,
    entries: usize,
    bytes: usize,
}

impl Cutter {
    pub const fn new(bounds: Bounds) -> Self {
        Self { bounds, candidate: None }
    }

    /// The next object, if it is complete. `now_ms` is a steady clock, `utc` the wall's; `ending`: no more will come.
    pub fn look(&mut self, window: &[JournalEntry], now_ms: u64, utc: UtcMs, ending: bool) -> Option<Cut> {
        let first = window.first()?;
        let mut candidate = match self.candidate {
            Some(candidate) if candidate.first == first.position.index() => candidate,
            _ => Candidate {
                first: first.position.index(),
                since_ms: now_ms,
                hour: hour_of(&first.json, utc),
                entries: 0,
                bytes: 0,
            },
        };
        let mut complete = false;
        for entry in window.get(candidate.entries..).unwrap_or_default() {
            if self.is_over(&candidate, entry, utc) {
                complete = true;
                break;
            }
            candidate.entries += 1;
            candidate.bytes = candidate.bytes.saturating_add(entry.json.len()).saturating_add(1);
        }
        let old = now_ms.saturating_sub(candidate.since_ms) >= self.bounds.age_ms;
        let full = candidate.entries >= self.bounds.records || candidate.bytes >= self.bounds.bytes;
        if complete || full || old || ending {
            self.candidate = None;
            return Some(Cut { entries: candidate.entries, hour: candidate.hour });
        }
        self.candidate = Some(candidate);
        None
    }

    fn is_over(&self, candidate: &Candidate, entry: &JournalEntry, utc: UtcMs) -> bool {
        let bytes = candidate.bytes.saturating_add(entry.json.len()).saturating_add(1);
        candidate.entries > 0
            && (candidate.entries >= self.bounds.records
                || bytes > self.bounds.bytes
                || hour_of(&entry.json, utc) > candidate.hour)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Moments {
    #[serde(default, with = "iso8601::option")]
    end_time: Option<UtcMs>,
    #[serde(default, with = "iso8601::option")]
    answer_time: Option<UtcMs>,
    #[serde(default, with = "iso8601::option")]
    start_time: Option<UtcMs>,
}

/// The hour of a record. One that tells no time, or one that lies ahead (a clock was wrong), counts as of now.
fn hour_of(json: &[u8], utc: UtcMs) -> UtcMs {
    let moments = serde_json::from_slice::<Moments>(json).ok();
    let told = moments.and_then(|moments| moments.end_time.or(moments.answer_time).or(moments.start_time));
    let moment = told.map_or(utc, |told| told.min(utc));
    UtcMs(moment.0.div_euclid(HOUR_MS) * HOUR_MS)
}

const HOUR_MS: i64 = 3_600_000;
