//! The sink: waits for a complete object, decides it, puts it.
//!
//! | plan in the checkpoint | window | done |
//! |---|---|---|
//! | none | no complete object yet | waits a little |
//! | none | a complete object | plans it: goes into the checkpoint, nothing is sent |
//! | one | reaches its last record | puts it; put, or there already: its entries are delivered |
//! | one | - and another object has the name | plans the next name |
//! | one | does not reach its last record | waits: the shipper is still reading after a restart |
//! | one | begins before or behind it | drops it: the checkpoint was set back by hand, or its records are gone |

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use cdr_journal::{Delivered, JournalEntry, Sink, SinkCounters, SinkError, Storage};
use flate2::{Compression, GzBuilder};
use object_store::{ObjectStore, PutPayload};
use tokio::runtime::Runtime;
use tracing::{debug, error};
use types::UtcMs;

use super::config::ObjectsConfig;
use super::cut::{Bounds, Cut, Cutter};
use super::error::ObjectsError;
use super::plan::{Plan, State};
use super::store::{Bucket, Put};

/// Puts records as objects into a bucket, each record in one object.
pub struct ObjectsSink {
    name: String,
    prefix: String,
    node: String,
    bucket: Bucket,
    cutter: Cutter,
    state: State,
    /// The planned object, compressed; kept for the next attempt.
    packed: Option<PutPayload>,
    /// Waiting since then for the records of a plan to be read again.
    waiting: Option<u64>,
    patience_ms: u64,
    pause: Duration,
    ending: bool,
    began: Instant,
    counters: Arc<SinkCounters>,
    /// Of the shipper's thread, where it is made and dropped.
    runtime: Option<Runtime>,
    draw_id: Box<dyn Fn() -> u64 + Send>,
}

impl std::fmt::Debug for ObjectsSink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { name, bucket, prefix, state, .. } = self;
        let mut shown = f.debug_struct("ObjectsSink");
        shown.field("name", name).field("bucket", &bucket.name).field("prefix", prefix).field("state", state);
        shown.finish_non_exhaustive()
    }
}

impl ObjectsSink {
    /// A sink called `name`. The store need not be there: what it says shows in the deliveries.
    ///
    /// # Errors
    /// [`SinkError::Destination`] with an [`ObjectsError`]: the key's file, or values that make no client.
    pub fn open(name: impl Into<String>, config: &ObjectsConfig) -> Result<Self, SinkError> {
        Ok(Self::with_bucket(name.into(), config, Bucket::open(config)?, PAUSE))
    }

    /// On another store than the configuration names, without pauses: for tests.
    #[must_use]
    pub fn on(name: impl Into<String>, config: &ObjectsConfig, store: Arc<dyn ObjectStore>) -> Self {
        let bucket = Bucket { name: config.bucket.clone(), store, timeout: config.request_timeout.std() };
        Self::with_bucket(name.into(), config, bucket, Duration::ZERO)
    }

    fn with_bucket(name: String, config: &ObjectsConfig, bucket: Bucket, pause: Duration) -> Self {
        let bounds =
            Bounds { records: config.object_records, bytes: config.object_bytes, age_ms: config.object_age.ms() };
        Self {
            prefix: config.prefix.clone(),
            node: config.node.clone().unwrap_or_else(|| name.clone()),
            name,
            bucket,
            cutter: Cutter::new(bounds),
            state: State::default(),
            packed: None,
            waiting: None,
            patience_ms: PATIENCE_MS,
            pause,
            ending: false,
            began: Instant::now(),
            counters: Arc::default(),
            runtime: None,
            draw_id: Box::new(|| 0),
        }
    }

    #[cfg(test)]
    pub(super) fn lose_patience(&mut self) {
        self.patience_ms = 0;
    }

    /// Decides on the next object when there is a complete one.
    fn plan(&mut self, window: &[JournalEntry]) -> Option<Plan> {
        let now_ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let Cut { entries, hour } = self.cutter.look(window, now_ms, utc(), self.ending)?;
        let (first, last) = (window.first()?, window.get(entries.checked_sub(1)?)?);
        Some(Plan { first: first.position.index(), last: last.position.index(), hour, copy: 1 })
    }

    /// How many entries of the window belong to the plan; `None`: the plan fits no more. 0: the shipper has not read them all yet.
    fn belonging(&mut self, plan: &Plan, window: &[JournalEntry]) -> Option<usize> {
        let (first, last) = (window.first()?.position.index(), window.last()?.position.index());
        if first < plan.first || first > plan.last {
            return None;
        }
        let entries = window.partition_point(|entry| entry.position.index() <= plan.last);
        if last >= plan.last {
            self.waiting = None;
            return Some(entries);
        }
        // Its last records may never come: damaged since, or withheld by a filter that was changed.
        let now_ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let since = *self.waiting.get_or_insert(now_ms);
        Some(if now_ms.saturating_sub(since) >= self.patience_ms { entries } else { 0 })
    }

    fn put(&mut self, plan: &Plan, entries: &[JournalEntry]) -> Result<Delivered, SinkError> {
        let content = match self.packed.take() {
            Some(packed) => packed,
            None => pack(entries).map_err(|source| ObjectsError::Compress { source })?,
        };
        let key = plan.key(&self.prefix, &self.node, &self.state.id);
        if self.runtime.is_none() {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            self.runtime = Some(runtime.map_err(|source| ObjectsError::Runtime { source })?);
        }
        let Some(runtime) = &self.runtime else { return Ok(self.nothing()) };
        self.counters.requests.fetch_add(1, Ordering::Relaxed);
        let outcome = runtime.block_on(self.bucket.put(&key, &content));
        match outcome {
            Ok(put @ (Put::New | Put::Same)) => {
                debug!(sink = self.name, key, records = entries.len(), new = put == Put::New, "object put");
                self.state.plan = None;
                Ok(Delivered { entries: entries.len(), state: self.state.to_text() })
            }
            Ok(Put::Taken) => {
                error!(
                    sink = self.name,
                    key,
                    "another object has the name, records go under the next one; does another process use a copy of this journal?"
                );
                self.state.plan = Some(Plan { copy: plan.copy.saturating_add(1), ..plan.clone() });
                self.packed = Some(content);
                Ok(self.nothing())
            }
            Err(reason) => {
                self.counters.failed_requests.fetch_add(1, Ordering::Relaxed);
                let again = u64::try_from(entries.len()).unwrap_or(u64::MAX);
                self.counters.retried.fetch_add(again, Ordering::Relaxed);
                self.packed = Some(content);
                Err(reason.into())
            }
        }
    }

    fn nothing(&self) -> Delivered {
        Delivered { entries: 0, state: self.state.to_text() }
    }

    fn wait(&self) {
        if !self.ending {
            std::thread::sleep(self.pause);
        }
    }
}

impl Sink for ObjectsSink {
    fn name(&self) -> &str {
        &self.name
    }

    fn keep_beside(&mut self, checkpoints: Arc<dyn Storage>) {
        self.draw_id = Box::new(move || checkpoints.salt());
    }

    fn resume(&mut self, state: Option<&str>) -> Result<String, SinkError> {
        self.state = match state.filter(|text| !text.is_empty()) {
            Some(text) => serde_json::from_str(text).map_err(|_| SinkError::State { bytes: text.len() })?,
            None => State { id: format!("{:016x}", (self.draw_id)()), plan: None },
        };
        Ok(self.state.to_text())
    }

    fn deliver(&mut self, window: &[JournalEntry]) -> Result<Delivered, SinkError> {
        let Some(plan) = self.state.plan.clone() else {
            match self.plan(window) {
                Some(plan) => {
                    self.state.plan = Some(plan);
                    self.packed = None;
                }
                None => self.wait(),
            }
            return Ok(self.nothing());
        };
        match self.belonging(&plan, window) {
            Some(0) => {
                self.wait();
                Ok(self.nothing())
            }
            Some(entries) => self.put(&plan, window.get(..entries).unwrap_or_default()),
            None => {
                self.state.plan = None;
                Ok(self.nothing())
            }
        }
    }

    /// A plan must be safe before it is carried out.
    fn builds_on_checkpoint(&self) -> bool {
        true
    }

    fn ending(&mut self) {
        self.ending = true;
    }

    fn counters(&self) -> Arc<SinkCounters> {
        Arc::clone(&self.counters)
    }
}

/// Lines, compressed; the same lines give the same octets.
pub(super) fn pack(entries: &[JournalEntry]) -> std::io::Result<PutPayload> {
    let mut encoder = GzBuilder::new().mtime(0).write(Vec::new(), Compression::default());
    for entry in entries {
        encoder.write_all(&entry.json)?;
        encoder.write_all(b"\n")?;
    }
    Ok(encoder.finish()?.into())
}

fn utc() -> UtcMs {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UtcMs(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Between two looks at a window without a complete object.
const PAUSE: Duration = Duration::from_millis(50);
/// The shipper reads an object's records from the disk in far less.
const PATIENCE_MS: u64 = 60_000;
