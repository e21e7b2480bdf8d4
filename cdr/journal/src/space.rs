//! Whether there is room for new calls: four flags that any thread may read, and the measuring behind two of them.
//!
//! | flag | set | cleared |
//! |---|---|---|
//! | stopped | a write or fsync failed | the journal was recovered from the disk |
//! | closed | the journal was closed | never |
//! | full | a batch found no space | a later batch is durable, or a probe file of one segment can be reserved |
//! | low | free space below the reserve | free space one segment above it |
//!
//! The probe is there because a quota does not show in the free space of the disk.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use segment_log::Storage;
use tracing::{error, info, warn};

use crate::error::JournalError;

/// Tells how many octets are free for us. Called on the journal's own thread and by [`crate::Journal::measure_space`].
pub type FreeSpace = Arc<dyn Fn() -> io::Result<u64> + Send + Sync>;

const PROBE: &str = "space.probe";

/// Free octets for unprivileged processes on the disk of `directory`.
pub(crate) fn of_disk(directory: PathBuf) -> FreeSpace {
    Arc::new(move || {
        let disk = rustix::fs::statvfs(&directory)?;
        Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
    })
}

pub(crate) struct Space {
    storage: Arc<dyn Storage>,
    free: FreeSpace,
    reserve_bytes: u64,
    segment_bytes: u64,
    stopped: AtomicBool,
    closed: AtomicBool,
    full: AtomicBool,
    low: AtomicBool,
}

impl Space {
    pub fn new(storage: Arc<dyn Storage>, free: FreeSpace, reserve_bytes: u64, segment_bytes: u64) -> Self {
        let [stopped, closed, full, low] = [false; 4].map(AtomicBool::new);
        Self { storage, free, reserve_bytes, segment_bytes, stopped, closed, full, low }
    }

    pub fn accepts_calls(&self) -> bool {
        ![&self.stopped, &self.closed, &self.full, &self.low].into_iter().any(|flag| flag.load(Ordering::Relaxed))
    }

    /// A batch is durable.
    pub fn written(&self) {
        // Looked at first: this runs for every record, and nearly always there is nothing to clear.
        if self.full.load(Ordering::Relaxed) && self.full.swap(false, Ordering::Relaxed) {
            info!(directory = %self.storage.directory().display(), "journal has space again");
        }
    }

    /// A record was not taken.
    pub fn failed(&self, reason: &JournalError) {
        let directory = self.storage.directory().display();
        match reason {
            JournalError::NoSpace { .. } if !self.full.swap(true, Ordering::Relaxed) => {
                error!(%directory, reason = reason as &dyn std::error::Error, "journal is full, no new calls");
            }
            JournalError::Stopped { .. } if !self.stopped.swap(true, Ordering::Relaxed) => {
                error!(%directory, reason = reason as &dyn std::error::Error, "journal has stopped, no new calls");
            }
            _ => {}
        }
    }

    pub fn closed(&self) {
        self.closed.store(true, Ordering::Relaxed);
    }

    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    pub fn has_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// The journal works again.
    pub fn recovered(&self) {
        self.stopped.store(false, Ordering::Relaxed);
    }

    /// Measures, and sets `low` and `full` by what it finds; returns the free octets.
    pub fn measure(&self) -> Result<u64, JournalError> {
        let directory = self.storage.directory();
        let free = (self.free)()
            .map_err(|e| JournalError::FreeSpace { directory: directory.to_path_buf(), source: Arc::new(e) })?;
        let (reserve_bytes, directory) = (self.reserve_bytes, directory.display());
        if free < reserve_bytes {
            if !self.low.swap(true, Ordering::Relaxed) {
                error!(%directory, free, reserve_bytes, "free space is below the reserve, no new calls");
            }
        } else if free >= reserve_bytes.saturating_add(self.segment_bytes) && self.low.swap(false, Ordering::Relaxed) {
            info!(%directory, free, "free space is above the reserve again");
        }
        if self.full.load(Ordering::Relaxed) && !self.low.load(Ordering::Relaxed) && self.probe() {
            self.written();
        }
        Ok(free)
    }

    /// Removes a probe that a crash left behind.
    pub fn clean(&self) {
        let left = self.storage.list().is_ok_and(|names| names.iter().any(|name| name == PROBE));
        if left && let Err(reason) = self.storage.remove(PROBE) {
            warn!(%reason, "probe for free space cannot be removed");
        }
    }

    /// Whether one more segment could be reserved.
    fn probe(&self) -> bool {
        let Ok(file) = self.storage.create(PROBE) else { return false };
        let reserved = file.allocate(self.segment_bytes).is_ok();
        drop(file);
        self.storage.remove(PROBE).is_ok() && reserved
    }
}
