//! Proofs of life that survive the agent: how long each call had provably talked, written every proof interval.
//!
//! Each entry holds all live calls, so only the last good entry counts, and older segments can go. It is written by
//! group commit in the background; losing the last entry in a crash costs one interval of proof, nothing else.

use std::collections::HashMap;
use std::path::Path;

use segment_log::{CorruptPolicy, GroupCommit, GroupCommitOptions, Log, Options, Position};
use serde::{Deserialize, Serialize};
use types::{DurationMs, SessionId};

/// The proofs of one switch instance, in its own directory.
#[derive(Debug)]
pub struct CallLog {
    log: GroupCommit,
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

#[derive(Debug, Serialize, Deserialize)]
struct Round {
    /// Talk proven, by session.
    proven_ms: HashMap<SessionId, DurationMs>,
}

impl CallLog {
    /// Opens the log and returns what was proven before: talk in milliseconds, by session.
    pub fn open(directory: &Path) -> Result<(Self, HashMap<SessionId, DurationMs>), CallLogError> {
        let options = Options { corrupt: CorruptPolicy::Skip, segment_bytes: SEGMENT_BYTES, ..Options::default() };
        let (log, _) = Log::open_dir(directory, options)?;
        let mut proven = HashMap::new();
        let mut records = log.records(log.first());
        while let Some(record) = records.read_next()? {
            // A damaged round is worth nothing; an older one still is.
            if let Ok(round) = serde_json::from_slice::<Round>(record.payload) {
                proven = round.proven_ms;
            }
        }
        drop(records);
        let log = GroupCommit::start(log, GroupCommitOptions::default())?;
        Ok((Self { log }, proven))
    }

    /// Writes one round: every live call with the talk proven so far. Returns before it is durable; a failure is told
    /// to `failed`.
    pub fn write(
        &self,
        proven_ms: HashMap<SessionId, DurationMs>,
        failed: impl FnOnce(String) + Send + 'static,
    ) -> Result<(), CallLogError> {
        let payload = serde_json::to_vec(&Round { proven_ms })?;
        // The newest durable round stays until this one is durable too.
        let newest = Position::new(self.log.durable().index().saturating_sub(1));
        let written = self.log.try_submit(payload, move |result| {
            if let Err(error) = result {
                failed(error.to_string());
            }
        });
        // A full queue means that the disk is slower than the proof interval: the next round says the same and more.
        drop(written);
        self.log.truncate_front(newest, |_| {})?;
        Ok(())
    }
}

/// Small: only the last entry matters.
const SEGMENT_BYTES: u64 = 4 * 1024 * 1024;
