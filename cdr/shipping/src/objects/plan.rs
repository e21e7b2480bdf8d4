//! The next object as it was decided, and the state of the sink in the checkpoint.

use serde::{Deserialize, Serialize};
use types::UtcMs;

/// What goes into the next object, and how it is called. In the checkpoint before the first attempt to put it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Plan {
    /// Position of its first record.
    pub first: u64,
    /// Position of its last record; all that the sink is offered in between belong to it.
    pub last: u64,
    /// The beginning of the hour it is put under.
    pub hour: UtcMs,
    /// Above 1: another object had the name before.
    #[serde(default = "one")]
    pub copy: u32,
}

/// What the checkpoint keeps for the sink.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct State {
    /// Drawn when the sink began; tells journals apart that put under one prefix.
    pub id: String,
    /// Absent: nothing is decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Plan>,
}

impl State {
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).expect("invariant: numbers and texts have a JSON form")
    }
}

impl Plan {
    /// The object's name. Positions have 20 digits, so that names sort as the journal does.
    pub fn key(&self, prefix: &str, node: &str, id: &str) -> String {
        let hour = self.hour.to_string();
        let part = |range: std::ops::Range<usize>| hour.get(range).unwrap_or("00").to_owned();
        let (year, month, day, hour) = (part(0..4), part(5..7), part(8..10), part(11..13));
        let slash = if prefix.is_empty() { "" } else { "/" };
        let copy = if self.copy > 1 { format!("-{}", self.copy) } else { String::new() };
        format!(
            "{prefix}{slash}year={year}/month={month}/day={day}/hour={hour}/{node}-{id}-{:020}-{:020}{copy}.jsonl.gz",
            self.first, self.last
        )
    }
}

const fn one() -> u32 {
    1
}
