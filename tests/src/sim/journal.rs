//! Where an agent's records go: a log on a disk that fails. A record counts as taken when it is durable; of copies the first counts.
//! The journal of the product does the same with a thread of its own and a good deal of upkeep around it.

use std::sync::Arc;

use cdr_model::CallRecord;
use segment_log::fault::FaultStorage;
use segment_log::{CorruptPolicy, Log, Options};
use types::SessionId;

use super::client::Dead;
use super::event::{AgentEvent, Event};
use super::stage::Stage;

/// See the module's documentation.
pub(crate) struct SimJournal {
    log: Log,
    waiting: Vec<CallRecord>,
    planned: bool,
}

impl SimJournal {
    /// Opens it; what is in it, oldest first.
    pub fn open(disk: &FaultStorage) -> Result<(Self, Vec<CallRecord>), Dead> {
        let options = Options { corrupt: CorruptPolicy::Skip, segment_bytes: SEGMENT_BYTES, ..Options::default() };
        let (log, recovered) = Log::open(Arc::new(disk.clone()), options).map_err(|_| Dead)?;
        assert_eq!(recovered.skipped.records, 0, "a journal that was only torn has lost nothing");
        let mut found = Vec::new();
        let mut records = log.records(log.first());
        while let Some(record) = records.read_next().map_err(|_| Dead)? {
            found.push(serde_json::from_slice(record.payload).expect("what was written is a record"));
        }
        drop(records);
        Ok((Self { log, waiting: Vec::new(), planned: false }, found))
    }

    pub fn append(&mut self, stage: &mut Stage, site: usize, life: u32, record: CallRecord) -> Result<(), Dead> {
        let json = serde_json::to_vec(&record).expect("a record is plain data");
        self.log.append(&json).map_err(|_| Dead)?;
        self.waiting.push(record);
        if !std::mem::replace(&mut self.planned, true) {
            let delay_ms = stage.roll(0, 15);
            stage.after(delay_ms, Event::Agent { site, life, event: AgentEvent::Journal });
        }
        Ok(())
    }

    /// The batch is written and synced: what is durable now.
    pub fn flush(&mut self) -> Result<Vec<CallRecord>, Dead> {
        self.planned = false;
        self.log.commit().map_err(|_| Dead)?;
        Ok(std::mem::take(&mut self.waiting))
    }

    /// Whether records of a session wait for the disk.
    pub fn waits_for(&self, session: &SessionId) -> bool {
        self.waiting.iter().any(|record| record.session_id == *session)
    }
}

const SEGMENT_BYTES: u64 = 256 * 1024;
