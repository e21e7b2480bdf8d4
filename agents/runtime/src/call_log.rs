//! Answers and proofs of life that survive the agent: when each call was answered, which the core hears of only with the
//! first UPDATE, and how long it had provably talked, written every proof interval.
//!
//! A round holds all live calls, so only the last good round counts, with the answers after it, and older segments can
//! go. All is written by group commit in the background; losing the last round in a crash costs one interval of proof,
//! nothing else.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use segment_log::{CorruptPolicy, GroupCommit, GroupCommitOptions, Log, Options, Position};
use serde::{Deserialize, Serialize};
use types::{DurationMs, SessionId, UtcMs};

/// The proofs of one switch instance, in its own directory.
#[derive(Debug)]
pub struct CallLog {
    log: GroupCommit,
    /// Index of the newest durable round: it and all after it stay.
    newest_round: Arc<AtomicU64>,
}

/// What was proven of one answered call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// The switch's answer time.
    pub answered: UtcMs,
    /// Talk proven, in milliseconds.
    pub proven_ms: DurationMs,
}

/// Why the call log cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallLogError {
    /// The files.
    #[error("call log")]
    Log(#[from] segment_log::Error),
    /// A round of proofs could not be encoded.
    #[error("encoding proofs of life")]
    Encode(#[from] serde_json::Error),
}

/// One entry of the log.
#[derive(Debug, Serialize, Deserialize)]
enum Entry {
    /// All live calls that were answered.
    Round(HashMap<SessionId, Proof>),
    /// One more.
    Answered(SessionId, UtcMs),
}

impl CallLog {
    /// Opens the log and returns what was proven before, by session.
    pub fn open(directory: &Path) -> Result<(Self, HashMap<SessionId, Proof>), CallLogError> {
        let options = Options { corrupt: CorruptPolicy::Skip, segment_bytes: SEGMENT_BYTES, ..Options::default() };
        let (log, _) = Log::open_dir(directory, options)?;
        let (mut proven, mut newest_round) = (HashMap::new(), log.first().index());
        let mut records = log.records(log.first());
        while let Some(record) = records.read_next()? {
            // A damaged entry is worth nothing; the older ones still are.
            match serde_json::from_slice::<Entry>(record.payload) {
                Ok(Entry::Round(round)) => (proven, newest_round) = (round, record.position.index()),
                Ok(Entry::Answered(session_id, answered)) => {
                    proven.entry(session_id).or_insert(Proof { answered, proven_ms: 0 });
                }
                Err(_) => {}
            }
        }
        drop(records);
        let log = GroupCommit::start(log, GroupCommitOptions { sync_interval: SYNC_INTERVAL, ..Default::default() })?;
        Ok((Self { log, newest_round: Arc::new(AtomicU64::new(newest_round)) }, proven))
    }

    /// Writes one round: every live call with what is proven so far. Returns before it is durable; a failure is told to
    /// `failed`.
    pub fn write(
        &self,
        proven: HashMap<SessionId, Proof>,
        failed: impl FnOnce(String) + Send + 'static,
    ) -> Result<(), CallLogError> {
        let payload = serde_json::to_vec(&Entry::Round(proven))?;
        // The newest durable round stays until this one is durable too.
        let newest = Position::new(self.newest_round.load(Ordering::Acquire));
        let newest_round = Arc::clone(&self.newest_round);
        let written = self.log.try_submit(payload, move |result| match result {
            Ok(position) => newest_round.store(position.index(), Ordering::Release),
            Err(error) => failed(error.to_string()),
        });
        // A full queue means that the disk is slower than the proof interval: the next round says the same and more.
        drop(written);
        self.log.truncate_front(newest, |_| {})?;
        Ok(())
    }

    /// Writes that a call was answered. Returns before it is durable; a failure is told to `failed`.
    pub fn answered(
        &self,
        session_id: &SessionId,
        answered: UtcMs,
        failed: impl FnOnce(String) + Send + 'static,
    ) -> Result<(), CallLogError> {
        let payload = serde_json::to_vec(&Entry::Answered(session_id.clone(), answered))?;
        let written = self.log.try_submit(payload, move |result| {
            if let Err(error) = result {
                failed(error.to_string());
            }
        });
        // As above.
        drop(written);
        Ok(())
    }
}

/// Nobody waits for an entry, and the switch itself knows when a call that goes on was answered: what a crash takes matters for calls
/// that were answered this shortly before it and ended before the next start.
const SYNC_INTERVAL: Duration = Duration::from_millis(100);
/// Small: only the last round matters.
const SEGMENT_BYTES: u64 = 4 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_round_and_the_answers_after_it_are_kept() {
        let folder = tempfile::tempdir().expect("a folder");
        let session = |number: u64| SessionId::from(format!("kam/run/{number}"));
        let proof = |proven_ms| Proof { answered: UtcMs(1_000), proven_ms };
        for run in 0..3_u64 {
            let (log, before) = CallLog::open(folder.path()).expect("opens");
            if run > 0 {
                let expected = HashMap::from([(session(1), proof(2_000 + run - 1)), (session(2), proof(0))]);
                assert_eq!(before, expected, "run {run}");
            }
            for round in 0..50 {
                log.answered(&session(3), UtcMs(7), |error| panic!("{error}")).expect("taken");
                log.write(HashMap::from([(session(1), proof(round))]), |error| panic!("{error}")).expect("taken");
            }
            log.write(HashMap::from([(session(1), proof(2_000 + run))]), |error| panic!("{error}")).expect("taken");
            log.answered(&session(2), UtcMs(1_000), |error| panic!("{error}")).expect("taken");
        }
    }
}
