//! For metrics: how long the disk took for each batch of a [`crate::GroupCommit`].

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

type Hear = Box<dyn Fn(Duration) + Send + Sync>;

/// Clones are one; given to each writer of a place in turn, it outlives them.
#[derive(Clone, Default)]
pub struct SyncWatch(Arc<OnceLock<Hear>>);

impl SyncWatch {
    /// Calls `hear` from now on, on the writer's thread, with the time of each batch from its first write until it was durable, a
    /// segment begun for it included. Batches that failed are not told. Only the first call of this counts.
    pub fn hear(&self, hear: impl Fn(Duration) + Send + Sync + 'static) {
        // Somebody listens already.
        drop(self.0.set(Box::new(hear)));
    }

    pub(crate) fn tell(&self, took: Duration) {
        if let Some(hear) = self.0.get() {
            hear(took);
        }
    }
}

impl fmt::Debug for SyncWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SyncWatch").field("heard", &self.0.get().is_some()).finish()
    }
}
