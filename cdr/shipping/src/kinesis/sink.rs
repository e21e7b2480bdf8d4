//! The sink: takes the window in, sends what the lanes say, and waits a little for answers.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::{PutRecordsRequestEntry, Shard};
use cdr_journal::{Delivered, JournalEntry, Operation, Position, Sink, SinkCounters, SinkError, Storage};
use tokio::runtime::Runtime;
use tracing::{debug, error, info, warn};
use types::{ErrorClass, MonoMs};

use super::client::{ConnectError, connect};
use super::config::KinesisConfig;
use super::key::Keys;
use super::lanes::{Entry, Lanes, Offered, Outcome, Request};
use super::parked::Parked;
use super::request::{Answer, Pending, list, put};
use super::shards::{KeyRange, hash_key, open_ranges};
use super::trouble::Trouble;

/// A delivery takes at most so long: then the shipper may write its checkpoint and bring more.
const LINGER_MS: u64 = 20;
/// Listing shards, and looking for a region, is tried again after this.
const AGAIN_MS: u64 = 5000;
/// Answers that show changed shards cause no more than one listing in this time.
const LISTING_MS: u64 = 1000;

/// The sink `kind = "kinesis"`.
pub struct KinesisSink {
    name: String,
    config: KinesisConfig,
    stream: Arc<str>,
    /// `None` only while it is dropped.
    runtime: Option<Runtime>,
    began: Instant,
    link: Link,
    listing: Listing,
    lanes: Lanes,
    /// The window, as far as it was taken in.
    window: VecDeque<Known>,
    calls: RandomState,
    parked: Parked,
    counters: Arc<SinkCounters>,
    sender: Sender<Event>,
    events: Receiver<Event>,
    /// The trouble that was logged; records are stored again when it is gone.
    trouble: Option<Logged>,
}

/// Trouble that was logged, until records are stored again.
struct Logged {
    code: String,
    /// For whoever asks how the sink is.
    text: String,
}

/// What tasks tell the sink.
#[derive(Debug)]
pub(super) enum Event {
    Connected(Result<Client, ConnectError>),
    Listed(Result<Vec<Shard>, Trouble>),
    Answered(Answer),
}

/// The way to the stream.
enum Link {
    /// Not looked for before then.
    Unknown(MonoMs),
    Looking,
    Known(Client),
}

struct Listing {
    running: bool,
    /// Some answer came, if only that shards may not be listed: sending may begin.
    answered: bool,
    due: MonoMs,
    last: MonoMs,
    /// The code of the trouble that was logged.
    trouble: Option<String>,
}

#[derive(Debug)]
struct Known {
    position: Position,
    partition_key: Box<str>,
}

/// What is wrong with a configuration: `key` what it must be, for each.
#[derive(Debug, thiserror::Error)]
#[error("configuration of the stream is refused: {faults}")]
struct Refused {
    faults: String,
}

/// The shipper broke its promise: the window does not begin where the last one was left.
#[derive(Debug, thiserror::Error)]
#[error("window begins at {found}, not at {expected}")]
struct Discontinuous {
    expected: Position,
    found: Position,
}

impl KinesisSink {
    /// A sink called `name`. Nothing is asked of the network before the first delivery: the stream may be away.
    ///
    /// # Errors
    /// [`SinkError::Destination`] of class `Refused`: the configuration, see [`KinesisConfig::faults`]. [`SinkError::Io`]: no thread.
    pub fn open(name: impl Into<String>, config: &KinesisConfig) -> Result<Self, SinkError> {
        let faults = config.faults();
        if !faults.is_empty() {
            let faults = faults.iter().map(|(key, must)| format!("{key} {must}")).collect::<Vec<_>>().join(", ");
            return Err(SinkError::Destination { class: ErrorClass::Refused, source: Box::new(Refused { faults }) });
        }
        let name = name.into();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name(format!("sink-{name}"))
            .enable_all()
            .build()
            .map_err(|source| SinkError::Io { operation: Operation::Open, file: "/proc/self/task".into(), source })?;
        let (sender, events) = channel();
        let calls = RandomState::new();
        let never = MonoMs(0);
        Ok(Self {
            stream: config.stream.as_str().into(),
            config: config.clone(),
            runtime: Some(runtime),
            began: Instant::now(),
            link: Link::Unknown(never),
            listing: Listing { running: false, answered: false, due: never, last: never, trouble: None },
            lanes: Lanes::new(config.limits(), vec![KeyRange::all()], calls.hash_one(&name), never),
            window: VecDeque::new(),
            calls,
            parked: Parked::new(&name),
            counters: Arc::default(),
            sender,
            events,
            trouble: None,
            name,
        })
    }

    fn now(&self) -> MonoMs {
        MonoMs(u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    /// Learns what is new in the window.
    fn take_in(&mut self, window: &[JournalEntry]) -> Result<(), SinkError> {
        let fronts = (self.window.front(), window.first());
        if let (Some(Known { position, .. }), Some(first)) = fronts
            && *position != first.position
        {
            let source = Box::new(Discontinuous { expected: *position, found: first.position });
            return Err(SinkError::Destination { class: ErrorClass::Fatal, source });
        }
        let now = self.now();
        for entry in window.get(self.window.len()..).unwrap_or(&[]) {
            let Keys { call, partition } = Keys::of(&entry.json, self.config.partition_key);
            let bytes = u64::try_from(entry.json.len() + partition.len()).unwrap_or(u64::MAX);
            if bytes > self.config.max_record_bytes {
                self.park(entry, bytes)?;
                self.lanes.pass_by(now);
            } else {
                let offered = Offered { call: self.calls.hash_one(&call), hash_key: hash_key(&partition), bytes };
                self.lanes.offer(offered, now);
            }
            self.window.push_back(Known { position: entry.position, partition_key: partition });
        }
        Ok(())
    }

    fn park(&self, entry: &JournalEntry, bytes: u64) -> Result<(), SinkError> {
        self.parked.keep(&entry.json)?;
        self.counters.parked.fetch_add(1, Ordering::Relaxed);
        error!(
            sink = self.name,
            position = entry.position.index(),
            bytes,
            limit = self.config.max_record_bytes,
            file = self.parked.file_name(),
            "record is too large for the stream and was parked"
        );
        Ok(())
    }

    /// Sees to it that there is a client and a list of shards.
    fn keep_up(&mut self, now: MonoMs) {
        let Some(runtime) = &self.runtime else { return };
        match &self.link {
            Link::Unknown(not_before) if *not_before <= now => {
                let (config, sender) = (self.config.clone(), self.sender.clone());
                runtime.spawn(async move { drop(sender.send(Event::Connected(connect(config).await))) });
                self.link = Link::Looking;
            }
            Link::Known(client) if !self.listing.running && self.listing.due <= now => {
                runtime.spawn(list(client.clone(), Arc::clone(&self.stream), self.sender.clone()));
                (self.listing.running, self.listing.last) = (true, now);
            }
            _ => {}
        }
    }

    fn may_send(&self) -> bool {
        self.listing.answered && matches!(self.link, Link::Known(_))
    }

    fn send(&mut self, window: &[JournalEntry], now: MonoMs) {
        if !self.may_send() {
            return;
        }
        while let Some(request) = self.lanes.next_request(now) {
            let (Link::Known(client), Some(runtime)) = (&self.link, &self.runtime) else { return };
            count(&self.counters.requests, 1);
            count(&self.counters.retried, request.retried);
            count(&self.counters.possible_duplicates, request.possible_duplicates);
            let entries = self.entries(&request, window);
            let pending = Pending::new(request.id, self.sender.clone());
            runtime.spawn(put(client.clone(), Arc::clone(&self.stream), request.range.shard, entries, pending));
        }
    }

    fn entries(&self, request: &Request, window: &[JournalEntry]) -> Vec<PutRecordsRequestEntry> {
        let entry = |record: &u64| {
            let at = usize::try_from(record.checked_sub(self.lanes.first())?).ok()?;
            let data = Blob::new(window.get(at)?.json.clone());
            let key = &*self.window.get(at)?.partition_key;
            PutRecordsRequestEntry::builder().data(data).partition_key(key).build().ok()
        };
        request.records.iter().filter_map(entry).collect()
    }

    fn accept(&mut self, event: Event) {
        let now = self.now();
        match event {
            Event::Connected(Ok(client)) => self.link = Link::Known(client),
            Event::Connected(Err(reason)) => {
                self.link = Link::Unknown(now.plus(AGAIN_MS));
                let (code, detail) = (reason.code().to_owned(), reason.to_string());
                self.log_trouble(Trouble { code, detail, class: ErrorClass::Refused, lost: false });
            }
            Event::Listed(listed) => self.listed(listed, now),
            Event::Answered(answer) => self.answered(answer, now),
        }
    }

    fn listed(&mut self, listed: Result<Vec<Shard>, Trouble>, now: MonoMs) {
        (self.listing.running, self.listing.answered) = (false, true);
        self.listing.due = now.plus(AGAIN_MS);
        match listed {
            Ok(shards) => {
                let Some(ranges) = open_ranges(&shards) else { return };
                self.listing.due = now.plus(self.config.shards_interval.ms());
                if !ranges.iter().eq(self.lanes.ranges()) {
                    info!(sink = self.name, stream = &*self.stream, shards = ranges.len(), "stream's shards are known");
                }
                self.lanes.relane(ranges);
                self.listing.trouble = None;
            }
            Err(Trouble { code, detail, class, .. }) => {
                if class == ErrorClass::Refused {
                    self.listing.due = now.plus(self.config.shards_interval.ms().min(60_000));
                }
                if self.listing.trouble.as_ref() != Some(&code) {
                    let (sink, stream) = (&self.name, &*self.stream);
                    warn!(sink, stream, code, detail, "shards cannot be listed, going on with those that are known");
                    self.listing.trouble = Some(code);
                }
            }
        }
    }

    fn answered(&mut self, answer: Answer, now: MonoMs) {
        let Answer { id, outcome, elsewhere, trouble } = answer;
        let missing = trouble.as_ref().is_some_and(|trouble| trouble.code == "ResourceNotFoundException");
        if elsewhere || missing {
            self.listing.due = self.listing.due.min(self.listing.last.plus(LISTING_MS));
        }
        match &outcome {
            Outcome::Answered(entries) => {
                let throttled = entries.iter().filter(|entry| **entry == Entry::Throttled).count();
                count(&self.counters.throttled, u64::try_from(throttled).unwrap_or(u64::MAX));
                if entries.contains(&Entry::Stored)
                    && let Some(logged) = self.trouble.take()
                {
                    info!(sink = self.name, stream = &*self.stream, after = logged.code, "records are stored again");
                }
            }
            _ => count(&self.counters.failed_requests, 1),
        }
        self.lanes.accept(id, outcome, now);
        if let Some(trouble) = trouble {
            self.log_trouble(trouble);
        }
    }

    /// The first of a kind is for humans, the rest for those who look closely.
    fn log_trouble(&mut self, trouble: Trouble) {
        let (sink, stream, code) = (&self.name, &*self.stream, &trouble.code);
        let (detail, remedy) = (&trouble.detail, trouble.remedy());
        if self.trouble.as_ref().is_some_and(|logged| logged.code == *code) {
            debug!(sink, stream, code, detail, "records cannot be stored, trying again");
            return;
        }
        match trouble.class {
            ErrorClass::Retry => warn!(sink, stream, code, detail, "records cannot be stored, trying again"),
            _ => error!(sink, stream, code, detail, remedy, "records cannot be stored before somebody mends this"),
        }
        let remedy = remedy.map(|remedy| format!("; {remedy}")).unwrap_or_default();
        let text = format!("stream {stream}: {code}: {detail}{remedy}");
        self.trouble = Some(Logged { code: trouble.code, text });
    }

    /// Waits until there is something to do, no longer than `until`.
    fn wait(&mut self, now: MonoMs, until: MonoMs) {
        let wake = if self.may_send() { self.lanes.wake(now) } else { None };
        let wait_ms = wake.map_or(until, |wake| wake.min(until)).since(now).max(1);
        // The sink holds a sender itself, so this ends by an event or by time.
        if let Ok(event) = self.events.recv_timeout(Duration::from_millis(wait_ms)) {
            self.accept(event);
        }
    }
}

impl Sink for KinesisSink {
    fn name(&self) -> &str {
        &self.name
    }

    fn keep_beside(&mut self, checkpoints: Arc<dyn Storage>) {
        self.parked.keep_in(checkpoints);
    }

    /// There is nothing to undo, and nothing to remember: the position is enough.
    fn resume(&mut self, _: Option<&str>) -> Result<String, SinkError> {
        Ok(String::new())
    }

    fn deliver(&mut self, window: &[JournalEntry]) -> Result<Delivered, SinkError> {
        self.take_in(window)?;
        let until = self.now().plus(LINGER_MS);
        loop {
            while let Ok(event) = self.events.try_recv() {
                self.accept(event);
            }
            let now = self.now();
            self.keep_up(now);
            self.send(window, now);
            if self.lanes.all_stored() || now >= until {
                break;
            }
            self.wait(now, until);
        }
        let entries = self.lanes.take_stored();
        self.window.drain(..entries.min(self.window.len()));
        Ok(Delivered { entries, state: String::new() })
    }

    fn ending(&mut self) {
        self.lanes.ending();
    }

    fn trouble(&self) -> Option<&str> {
        self.trouble.as_ref().map(|logged| &*logged.text)
    }

    fn counters(&self) -> Arc<SinkCounters> {
        Arc::clone(&self.counters)
    }
}

impl Drop for KinesisSink {
    fn drop(&mut self) {
        // Requests under way are left alone: their records are offered again, whatever became of them. Dropping a runtime
        // in the ordinary way would wait for them, and may not be done in an asynchronous context.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn count(counter: &AtomicU64, more: u64) {
    counter.fetch_add(more, Ordering::Relaxed);
}
