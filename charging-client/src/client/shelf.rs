//! The driver's side of the outbox: which request stands where, what is kept after its answer, and a disk that comes back.
//!
//! A TERMINATION stays after its answer until the caller says that the session is settled: the last record is made of it, and
//! may not be durable yet. So does an INITIAL that is denied, where the caller wants that: there will be no TERMINATION.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use foldhash::HashMap;
use segment_log::{Position, Storage, SyncWatch};
use tokio::sync::mpsc;
use tokio::time::Instant;
use types::SessionId;
use types::charging::{ChargingAnswer, ChargingRequest, Operation};

use super::ClientConfig;
use super::driver::{self, Disk};
use super::recovery::ends_here;
use crate::outbox::{Kept, LONGEST_LOG, Outbox, OutboxError};

/// News of a request's way to the disk.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) number: u64,
    result: Result<Position, String>,
}

/// The same with its session; `reason`: why it is not on disk.
pub(super) struct Placed {
    pub(super) number: u64,
    pub(super) reason: Option<Box<str>>,
}

/// An outbox, or none.
#[derive(Default)]
pub(super) struct Shelf {
    /// `None`: requests are held in memory only.
    storage: Option<Arc<dyn Storage>>,
    /// See [`ClientConfig::outbox_interval_ms`].
    interval: Duration,
    /// See [`crate::ClientMetrics::outbox_syncs`].
    pub(super) syncs: SyncWatch,
    /// `None` while the disk is away.
    outbox: Option<Outbox>,
    next_number: u64,
    loaded: Vec<Kept>,
    news: Option<(mpsc::UnboundedSender<Written>, mpsc::UnboundedReceiver<Written>)>,
    /// Whose request each number is.
    sessions: HashMap<u64, SessionId>,
    /// See [`ClientConfig::keep_denied`].
    keep_denied: bool,
    /// Answered requests whose sessions are not settled.
    unsettled: HashMap<SessionId, (u64, Arc<ChargingRequest>)>,
    /// The disk failed: it is tried again then.
    broken: Option<Instant>,
}

impl Shelf {
    /// Opens the outbox in `directory`.
    pub(super) fn open(directory: &Path, config: &ClientConfig) -> Result<Self, OutboxError> {
        Self::on(Outbox::directory(directory)?, config)
    }

    /// The same on any storage.
    pub(super) fn on(storage: Arc<dyn Storage>, config: &ClientConfig) -> Result<Self, OutboxError> {
        let interval = Duration::from_millis(config.outbox_interval_ms);
        let syncs = SyncWatch::default();
        let (outbox, loaded) = Outbox::open(Arc::clone(&storage), interval, syncs.clone())?;
        if loaded.unreadable > 0 {
            tracing::error!(
                entries = loaded.unreadable,
                "damaged entries of the outbox are lost; their sessions expire at the core"
            );
        }
        let sessions = loaded.requests.iter().map(|kept| (kept.number, kept.request.session_id.clone())).collect();
        Ok(Self {
            storage: Some(storage),
            interval,
            syncs,
            outbox: Some(outbox),
            next_number: loaded.next_number,
            loaded: loaded.requests,
            news: Some(mpsc::unbounded_channel()),
            sessions,
            keep_denied: config.keep_denied,
            ..Self::default()
        })
    }

    pub(super) fn take_loaded(&mut self) -> Vec<Kept> {
        std::mem::take(&mut self.loaded)
    }

    /// A new request; its number, and whether it must be waited for.
    pub(super) fn put(&mut self, request: &ChargingRequest) -> (u64, Disk) {
        if self.storage.is_none() {
            return (NO_NUMBER, Disk::Done);
        }
        let number = self.next_number;
        self.next_number = number.saturating_add(1);
        self.sessions.insert(number, request.session_id.clone());
        if self.outbox.is_none() {
            return (number, Disk::Failed("it is tried again in a moment".into()));
        }
        self.write(number, request);
        (number, Disk::Writing)
    }

    /// Writes a request, for the first time or once more.
    pub(super) fn write(&mut self, number: u64, request: &ChargingRequest) {
        let (Some(outbox), Some((sender, _))) = (&mut self.outbox, &self.news) else { return };
        let sender = sender.clone();
        // The driver is gone only when the process ends.
        outbox.take(number, request, move |result| drop(sender.send(Written { number, result })));
    }

    /// The same; `kept` is called when it is on disk, or will not be.
    pub(super) fn write_and_tell(&mut self, number: u64, request: &ChargingRequest, kept: driver::Kept) {
        let (Some(outbox), Some((sender, _))) = (&mut self.outbox, &self.news) else { return kept() };
        let sender = sender.clone();
        outbox.take(number, request, move |result| {
            drop(sender.send(Written { number, result }));
            kept();
        });
    }

    /// What an answered request of the session is kept with from now on.
    pub(super) fn amend(&mut self, session_id: &SessionId, client_state: Vec<u8>, kept: driver::Kept) {
        let Some((number, mut request)) = self.unsettled.get(session_id).cloned() else { return kept() };
        Arc::make_mut(&mut request).client_state = client_state;
        self.unsettled.insert(session_id.clone(), (number, Arc::clone(&request)));
        self.write_and_tell(number, &request, kept);
    }

    /// Never without an outbox.
    pub(super) async fn written(&mut self) -> Option<Written> {
        match &mut self.news {
            Some((_, receiver)) => receiver.recv().await,
            None => std::future::pending().await,
        }
    }

    /// Whose news it is; `None`: of a request that is done.
    pub(super) fn place(&mut self, written: Written) -> Option<(SessionId, Placed)> {
        let Written { number, result } = written;
        let reason = match result {
            Ok(position) => {
                if let Some(outbox) = &mut self.outbox {
                    outbox.stands(number, position);
                }
                None
            }
            Err(reason) => {
                if self.broken.is_none() {
                    tracing::error!(
                        reason,
                        "the outbox of charging requests does not write: new calls are refused until it does"
                    );
                    self.broken = Some(Instant::now() + AGAIN);
                }
                Some(reason.into_boxed_str())
            }
        };
        Some((self.sessions.get(&number)?.clone(), Placed { number, reason }))
    }

    /// When the disk is to be tried again; `None` while it works.
    pub(super) fn mending(&self) -> Option<Instant> {
        self.broken
    }

    /// True: the outbox is open again, and what is pending is to be written once more.
    pub(super) async fn reopen(&mut self) -> bool {
        let (Some(storage), old) = (self.storage.clone(), self.outbox.take()) else { return false };
        self.broken = Some(Instant::now() + AGAIN);
        let (interval, syncs) = (self.interval, self.syncs.clone());
        let opened = tokio::task::spawn_blocking(move || {
            // Its lock goes first.
            drop(old);
            Outbox::open(storage, interval, syncs)
        });
        match opened.await {
            Ok(Ok((mut outbox, loaded))) => {
                for kept in loaded.requests.iter().filter(|kept| !self.sessions.contains_key(&kept.number)) {
                    outbox.done(kept.number);
                }
                (self.outbox, self.broken) = (Some(outbox), None);
                tracing::info!("the outbox of charging requests writes again");
                for (number, request) in self.unsettled.values().cloned().collect::<Vec<_>>() {
                    self.write(number, &request);
                }
                true
            }
            Ok(Err(error)) => {
                let reason = &error as &dyn std::error::Error;
                tracing::error!(error = reason, "the outbox of charging requests cannot be opened: tried again");
                false
            }
            Err(_) => false,
        }
    }

    /// Whether something follows from the answer that the request must outlive.
    pub(super) fn waits_for_settlement(&self, request: &ChargingRequest, answer: &ChargingAnswer) -> bool {
        ends_here(request, answer) && (self.keep_denied || request.operation == Operation::Termination)
    }

    /// The core has answered, or will not be asked; `follows`: what follows from the answer is not durable yet.
    pub(super) fn answered(&mut self, number: u64, request: Arc<ChargingRequest>, follows: bool) {
        if self.storage.is_none() {
            return;
        }
        if follows {
            if let Some((before, _)) = self.unsettled.insert(request.session_id.clone(), (number, request)) {
                self.done(before);
            }
        } else {
            self.done(number);
        }
    }

    /// All records of the session are durable.
    pub(super) fn settled(&mut self, session_id: &SessionId) {
        if let Some((number, _)) = self.unsettled.remove(session_id) {
            self.done(number);
        }
    }

    /// Requests that hold back a long log: those that are not answered are to be written again.
    pub(super) fn holding_back(&mut self) -> Vec<(SessionId, u64)> {
        let numbers = self.outbox.as_ref().map_or(Vec::new(), |outbox| outbox.holding_back(LONGEST_LOG));
        if numbers.is_empty() {
            return Vec::new();
        }
        let old: Vec<_> = self.unsettled.values().filter(|(number, _)| numbers.contains(number)).cloned().collect();
        for (number, request) in old {
            self.write(number, &request);
        }
        numbers.into_iter().filter_map(|number| Some((self.sessions.get(&number)?.clone(), number))).collect()
    }

    fn done(&mut self, number: u64) {
        self.sessions.remove(&number);
        if let Some(outbox) = &mut self.outbox {
            outbox.done(number);
        }
    }

    /// Closes the files; what is on disk stays.
    pub(super) async fn close(&mut self) {
        let outbox = self.outbox.take();
        // Only a panic in there, and then there is nothing to close.
        drop(tokio::task::spawn_blocking(move || drop(outbox)).await);
    }
}

/// Of requests that are not on disk.
const NO_NUMBER: u64 = 0;
/// Between attempts at a disk that failed.
const AGAIN: Duration = Duration::from_secs(5);
