//! Group commit: one thread owns the log, takes whatever is queued, writes it as one batch, syncs once, and answers in order.
//!
//! While one batch is being synced the next one collects, so batches grow with the load. Where many small batches would cost more than
//! they are worth, [`GroupCommitOptions::sync_interval`] spaces them; nothing is answered sooner by it, and nothing before its sync.
//!
//! | when | `submit` | `try_submit` |
//! |---|---|---|
//! | queue has room | queued | queued |
//! | queue full | blocks until there is room | [`Error::QueueFull`], payload and completion returned |
//! | closed, or the log is poisoned | that error, payload and completion returned | the same |
//!
//! A queued request is always answered: with its position, or with the error of its batch.

use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle, ThreadId};
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::log::Log;
use crate::position::Position;
use crate::storage::Operation;
use crate::watch::SyncWatch;

/// Bounds of a writer's queue. The batch being written is not counted, so up to twice as much is in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupCommitOptions {
    /// Requests that may wait; at least 1.
    pub queue_records: usize,
    /// Octets of payload that may wait; at least 1. A payload larger than this is taken when nothing else waits.
    pub queue_bytes: usize,
    /// A batch begins no sooner than this after the one before it: a steady trickle of records then shares its syncs, and a record
    /// that comes alone is written at once. A queue that is half full is not made to wait, nor is one that is closed. Zero: each
    /// batch begins when the one before it is done.
    pub sync_interval: Duration,
    /// The same, where it is shorter, for a batch with a record of [`GroupCommit::try_submit_awaited`].
    pub awaited_interval: Duration,
}

impl Default for GroupCommitOptions {
    /// 8192 records and 32 MiB: at the measured 100k records a second of 1 KiB, under 100 ms of work. No intervals.
    fn default() -> Self {
        let (sync_interval, awaited_interval) = (Duration::ZERO, Duration::ZERO);
        Self { queue_records: 8192, queue_bytes: 32 * 1024 * 1024, sync_interval, awaited_interval }
    }
}

/// A request that was not queued, returned whole.
pub struct Rejected<C> {
    /// The record.
    pub payload: Vec<u8>,
    /// What would have been called.
    pub completion: C,
    /// Why.
    pub error: Error,
}

impl<C> fmt::Debug for Rejected<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rejected")
            .field("payload_bytes", &self.payload.len())
            .field("error", &self.error)
            .finish_non_exhaustive()
    }
}

type Completion = Box<dyn FnOnce(Result<Position, Error>) + Send>;

enum Request {
    Append { payload: Vec<u8>, completion: Completion },
    TruncateFront { position: Position, completion: Completion },
    Rotate { completion: Completion },
}

#[derive(Default)]
struct Queue {
    requests: VecDeque<Request>,
    bytes: usize,
    /// The thread waits for requests. Waking costs a system call even when nobody sleeps, so it is done only then.
    idle: bool,
    /// The thread waits for the next batch to be due; a queue that fills up wakes it sooner.
    spacing: bool,
    /// Somebody waits for one of the requests.
    awaited: bool,
    /// Callers wait for room.
    crowded: bool,
    /// No further requests, and why.
    stopped: Option<Error>,
}

struct Shared {
    queue: Mutex<Queue>,
    work: Condvar,
    room: Condvar,
    durable: AtomicU64,
    options: GroupCommitOptions,
    watch: SyncWatch,
}

/// The writer. Share it by `Arc`; [`GroupCommit::close`] or the last drop drains the queue and ends the thread.
pub struct GroupCommit {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
    thread_id: ThreadId,
}

impl fmt::Debug for GroupCommit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GroupCommit")
            .field("durable", &self.durable())
            .field("options", &self.shared.options)
            .finish_non_exhaustive()
    }
}

impl GroupCommit {
    /// Starts the thread, named `segment-log`. Records appended to `log` before are committed with the first batch.
    ///
    /// # Errors
    /// [`Error::OptionOutOfRange`]; [`Error::Io`] when no thread can be started.
    pub fn start(log: Log, options: GroupCommitOptions) -> Result<Self, Error> {
        Self::start_watched(log, options, SyncWatch::default())
    }

    /// The same, and `watch` hears how long each batch takes.
    ///
    /// # Errors
    /// As [`GroupCommit::start`].
    pub fn start_watched(log: Log, options: GroupCommitOptions, watch: SyncWatch) -> Result<Self, Error> {
        for (option, value) in [("queue_records", options.queue_records), ("queue_bytes", options.queue_bytes)] {
            if value == 0 {
                return Err(Error::out_of_range(option, value, 1, usize::MAX));
            }
        }
        let directory = log.storage().directory().to_path_buf();
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            work: Condvar::new(),
            room: Condvar::new(),
            durable: AtomicU64::new(log.durable().index()),
            options,
            watch,
        });
        let of_thread = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("segment-log".to_owned())
            .spawn(move || {
                // A panic in here is a bug of this crate; even then nobody may wait for ever.
                if catch_unwind(AssertUnwindSafe(|| run(&of_thread, log))).is_err() {
                    of_thread.stop(Error::WriterPanicked);
                    of_thread.fail_queued(&Error::WriterPanicked);
                }
            })
            .map_err(|e| Error::io(Operation::Create, directory, e))?;
        Ok(Self { thread_id: thread.thread().id(), shared, thread: Mutex::new(Some(thread)) })
    }

    /// Queues a record; blocks while the queue is full. `completion` runs on the writer's thread, in the order of queueing, once
    /// the record is durable or has failed; it should only pass the result on. Must not be called from a completion.
    ///
    /// # Errors
    /// [`Rejected`] with [`Error::Closed`], [`Error::Poisoned`] or [`Error::WriterPanicked`]; the completion is then not called.
    pub fn submit<C>(&self, payload: Vec<u8>, completion: C) -> Result<(), Rejected<C>>
    where
        C: FnOnce(Result<Position, Error>) + Send + 'static,
    {
        let mut queue = self.shared.lock();
        while queue.stopped.is_none() && !queue.has_room(payload.len(), self.shared.options) {
            queue.crowded = true;
            self.shared.hurry(&mut queue);
            queue = self.shared.room.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        self.push(queue, payload, completion)
    }

    /// As [`GroupCommit::submit`], but returns at once when the queue is full.
    ///
    /// # Errors
    /// As [`GroupCommit::submit`], and [`Rejected`] with [`Error::QueueFull`].
    pub fn try_submit<C>(&self, payload: Vec<u8>, completion: C) -> Result<(), Rejected<C>>
    where
        C: FnOnce(Result<Position, Error>) + Send + 'static,
    {
        self.try_push(self.shared.lock(), payload, completion)
    }

    /// As [`GroupCommit::try_submit`], for a record that somebody waits for: its batch, with all that is queued, begins
    /// [`GroupCommitOptions::awaited_interval`] after the one before it.
    ///
    /// # Errors
    /// As [`GroupCommit::try_submit`].
    pub fn try_submit_awaited<C>(&self, payload: Vec<u8>, completion: C) -> Result<(), Rejected<C>>
    where
        C: FnOnce(Result<Position, Error>) + Send + 'static,
    {
        let mut queue = self.shared.lock();
        if !std::mem::replace(&mut queue.awaited, true) && queue.spacing {
            self.shared.work.notify_one();
        }
        self.try_push(queue, payload, completion)
    }

    fn try_push<C>(&self, mut queue: MutexGuard<'_, Queue>, payload: Vec<u8>, completion: C) -> Result<(), Rejected<C>>
    where
        C: FnOnce(Result<Position, Error>) + Send + 'static,
    {
        if queue.stopped.is_none() && !queue.has_room(payload.len(), self.shared.options) {
            self.shared.hurry(&mut queue);
            let error = Error::QueueFull { records: queue.requests.len(), bytes: queue.bytes };
            return Err(Rejected { payload, completion, error });
        }
        self.push(queue, payload, completion)
    }

    /// Queues [`Log::truncate_front`]; the completion gets the first position left. Does not count towards the queue's bounds.
    ///
    /// # Errors
    /// As [`GroupCommit::submit`], without the payload.
    pub fn truncate_front<C>(&self, position: Position, completion: C) -> Result<(), Error>
    where
        C: FnOnce(Result<Position, Error>) + Send + 'static,
    {
        self.ask(Request::TruncateFront { position, completion: Box::new(completion) })
    }

    /// Queues [`Log::rotate`]; the completion gets [`Log::durable`]. Does not count towards the queue's bounds.
    ///
    /// # Errors
    /// As [`GroupCommit::truncate_front`].
    pub fn rotate<C>(&self, completion: C) -> Result<(), Error>
    where
        C: FnOnce(Result<Position, Error>) + Send + 'static,
    {
        self.ask(Request::Rotate { completion: Box::new(completion) })
    }

    /// All records below this are durable.
    #[must_use]
    pub fn durable(&self) -> Position {
        Position::new(self.shared.durable.load(Ordering::Acquire))
    }

    /// Requests waiting, without the batch being written: the metric for backpressure.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.shared.lock().requests.len()
    }

    /// Takes no more requests, writes what is queued, answers it, ends the thread and releases the log's lock. Returns the final
    /// [`GroupCommit::durable`]. Calling it again returns the same.
    ///
    /// # Errors
    /// [`Error::Poisoned`] when the log was, [`Error::WriterPanicked`] when a completion panicked.
    pub fn close(&self) -> Result<Position, Error> {
        self.shared.stop(Error::Closed);
        if thread::current().id() == self.thread_id {
            // Called, or dropped, by a completion: the thread cannot wait for itself and ends after this batch and the queue.
            return Ok(self.durable());
        }
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if thread.take().is_some_and(|thread| thread.join().is_err()) {
            return Err(Error::WriterPanicked);
        }
        match &self.shared.lock().stopped {
            None | Some(Error::Closed) => Ok(self.durable()),
            Some(error) => Err(error.clone()),
        }
    }

    fn ask(&self, request: Request) -> Result<(), Error> {
        let mut queue = self.shared.lock();
        if let Some(error) = &queue.stopped {
            return Err(error.clone());
        }
        queue.requests.push_back(request);
        self.shared.wake(queue);
        Ok(())
    }

    fn push<C>(&self, mut queue: MutexGuard<'_, Queue>, payload: Vec<u8>, completion: C) -> Result<(), Rejected<C>>
    where
        C: FnOnce(Result<Position, Error>) + Send + 'static,
    {
        if let Some(error) = &queue.stopped {
            return Err(Rejected { payload, completion, error: error.clone() });
        }
        queue.bytes += payload.len();
        queue.requests.push_back(Request::Append { payload, completion: Box::new(completion) });
        if queue.is_half_full(self.shared.options) {
            self.shared.hurry(&mut queue);
        }
        self.shared.wake(queue);
        Ok(())
    }
}

impl Drop for GroupCommit {
    fn drop(&mut self) {
        // Whoever wants to know how it ended calls close.
        drop(self.close());
    }
}

impl Queue {
    fn has_room(&self, payload_bytes: usize, options: GroupCommitOptions) -> bool {
        self.requests.is_empty()
            || (self.requests.len() < options.queue_records
                && self.bytes.saturating_add(payload_bytes) <= options.queue_bytes)
    }

    fn is_half_full(&self, options: GroupCommitOptions) -> bool {
        self.requests.len() >= options.queue_records.div_ceil(2) || self.bytes >= options.queue_bytes.div_ceil(2)
    }
}

impl Shared {
    /// The next batch is not waited for any longer.
    fn hurry(&self, queue: &mut Queue) {
        if std::mem::take(&mut queue.spacing) {
            self.work.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        // Nothing that can panic runs under this lock, so what it guards is whole.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something was queued.
    fn wake(&self, mut queue: MutexGuard<'_, Queue>) {
        let idle = std::mem::take(&mut queue.idle);
        drop(queue);
        if idle {
            self.work.notify_one();
        }
    }

    /// Takes no more requests; the first reason stays, except that a failure outranks a close.
    fn stop(&self, error: Error) {
        let mut queue = self.lock();
        if matches!(queue.stopped, None | Some(Error::Closed)) {
            queue.stopped = Some(error);
        }
        self.work.notify_all();
        self.room.notify_all();
    }

    /// Nobody wakes the thread in this time for one more record, which spares both of them the system calls.
    fn space<'a>(&self, mut queue: MutexGuard<'a, Queue>, begun: Option<Instant>) -> MutexGuard<'a, Queue> {
        let GroupCommitOptions { sync_interval, awaited_interval, .. } = self.options;
        let left = |queue: &Queue| {
            let interval = if queue.awaited { awaited_interval.min(sync_interval) } else { sync_interval };
            interval.checked_sub(begun?.elapsed()).filter(|left| !left.is_zero())
        };
        queue.spacing = queue.stopped.is_none() && !queue.is_half_full(self.options);
        while queue.spacing
            && queue.stopped.is_none()
            && let Some(left) = left(&queue)
        {
            (queue, _) = self.work.wait_timeout(queue, left).unwrap_or_else(PoisonError::into_inner);
        }
        queue.spacing = false;
        queue
    }

    fn fail_queued(&self, error: &Error) {
        let requests = std::mem::take(&mut self.lock().requests);
        for request in requests {
            let (Request::Append { completion, .. }
            | Request::TruncateFront { completion, .. }
            | Request::Rotate { completion }) = request;
            complete(completion, Err(error.clone()));
        }
    }

    /// Waits until the next batch is due, the last one having `begun` then, and for requests; `None` when stopped and drained.
    fn take(&self, begun: Option<Instant>) -> Option<VecDeque<Request>> {
        let mut queue = self.space(self.lock(), begun);
        while queue.requests.is_empty() {
            if queue.stopped.is_some() {
                return None;
            }
            queue.idle = true;
            queue = self.work.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        (queue.bytes, queue.idle, queue.awaited) = (0, false, false);
        let requests = std::mem::take(&mut queue.requests);
        if std::mem::take(&mut queue.crowded) {
            self.room.notify_all();
        }
        Some(requests)
    }
}

/// Runs a completion; false when it panicked.
fn complete(completion: Completion, outcome: Result<Position, Error>) -> bool {
    catch_unwind(AssertUnwindSafe(|| completion(outcome))).is_ok()
}

/// The thread: batches until stopped and drained.
fn run(shared: &Shared, log: Log) {
    let mut batch = Batch { shared, log, waiting: Vec::new() };
    let mut begun = None;
    while let Some(requests) = shared.take(begun) {
        begun = Some(Instant::now());
        for request in requests {
            batch.accept(request);
        }
        batch.flush();
    }
}

/// Requests appended but not yet durable.
struct Batch<'a> {
    shared: &'a Shared,
    log: Log,
    waiting: Vec<(Result<Position, Error>, Completion)>,
}

impl Batch<'_> {
    fn accept(&mut self, request: Request) {
        match request {
            Request::Append { payload, completion } => {
                let mut appended = self.log.append(&payload);
                if matches!(appended, Err(Error::BatchFull { .. })) {
                    self.flush();
                    appended = self.log.append(&payload);
                }
                self.waiting.push((appended, completion));
            }
            Request::TruncateFront { position, completion } => {
                self.flush();
                let truncated = self.log.truncate_front(position);
                self.settle(completion, truncated);
            }
            Request::Rotate { completion } => {
                self.flush();
                let rotated = self.log.rotate();
                self.settle(completion, rotated);
            }
        }
    }

    fn settle(&self, completion: Completion, outcome: Result<Position, Error>) {
        if let Err(error @ Error::Poisoned { .. }) = &outcome {
            self.shared.stop(error.clone());
        }
        self.answer(completion, outcome);
    }

    /// One write, one sync, then the answers in order.
    fn flush(&mut self) {
        let begun = (self.log.pending_records() > 0).then(Instant::now);
        let committed = self.log.commit();
        match &committed {
            Ok(durable) => {
                self.shared.durable.store(durable.index(), Ordering::Release);
                begun.into_iter().for_each(|begun| self.shared.watch.tell(begun.elapsed()));
            }
            Err(error @ Error::Poisoned { .. }) => self.shared.stop(error.clone()),
            Err(_) => {}
        }
        for (appended, completion) in std::mem::take(&mut self.waiting) {
            let outcome = appended.and_then(|position| committed.clone().map(|_| position));
            self.answer(completion, outcome);
        }
    }

    /// A panic of one completion must not leave the others without an answer; afterwards nothing more is taken.
    fn answer(&self, completion: Completion, outcome: Result<Position, Error>) {
        if !complete(completion, outcome) {
            self.shared.stop(Error::WriterPanicked);
        }
    }
}
