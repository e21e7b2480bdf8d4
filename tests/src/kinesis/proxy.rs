//! The server: accepts connections on loopback, and does to each request what the plan says.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::{OwnedRwLockWriteGuard, RwLock, watch};

use super::plan::{FaultPlan, Whole};
use super::put::{InFlight, put_records};
use super::shard::Shard;
use super::stream::Stream;
use super::wire::{Answer, ListShardsAnswer};
use super::{operations, upstream};

/// Who answers.
#[derive(Debug)]
pub enum Backend {
    /// A stream in memory.
    Own(Stream),
    /// A server behind, which has a stream of this name.
    Forward {
        /// Where it listens.
        address: SocketAddr,
        /// The stream.
        stream: String,
    },
}

/// The service as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outage {
    /// It is there.
    None,
    /// Every connection is closed at once.
    Away,
    /// Requests are taken and not answered; they are worked on when it is over.
    Hangs,
}

/// What a proxy has done so far.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Statistics {
    /// Requests of every kind.
    pub requests: u64,
    /// PutRecords among them.
    pub put_requests: u64,
    /// Entries of PutRecords that were decided on, each time they came.
    pub entries: u64,
    /// Entries accepted.
    pub accepted: u64,
    /// Their octets, data and partition key.
    pub accepted_bytes: u64,
    /// Entries refused for the limits of their shard.
    pub throttled_entries: u64,
    /// Entries that failed by the plan.
    pub failed_entries: u64,
    /// Requests answered with 500 or 503.
    pub server_errors: u64,
    /// Requests refused as wrong.
    pub refused_requests: u64,
    /// PutRecords that were lost, nothing accepted.
    pub lost_requests: u64,
    /// PutRecords that were accepted, their answer lost.
    pub lost_answers: u64,
    /// PutRecords that were worked on for one shard at the same time, at most.
    pub most_in_flight_per_shard: u64,
}

/// A running proxy. Ends when dropped.
#[derive(Debug)]
pub struct FaultProxy {
    shared: Arc<Shared>,
    address: SocketAddr,
    outage: watch::Sender<Outage>,
    handle: Handle,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// While it lives nothing is accepted by any shard.
#[derive(Debug)]
pub struct Frozen {
    _gate: OwnedRwLockWriteGuard<()>,
}

impl FaultProxy {
    /// Listens on a free port of 127.0.0.1, on a thread of its own.
    ///
    /// # Errors
    /// No port, no thread.
    pub fn start(plan: FaultPlan, backend: Backend) -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let listener = runtime.block_on(TcpListener::bind(("127.0.0.1", 0)))?;
        let (address, handle) = (listener.local_addr()?, runtime.handle().clone());
        let shared = Arc::new(Shared::new(plan, backend));
        let (outage, watched) = watch::channel(Outage::None);
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let of_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("fault-proxy".to_owned()).spawn(move || {
            runtime.block_on(async move {
                tokio::select! {
                    () = accept(listener, of_thread, watched) => {}
                    // Told to, or the owner is gone.
                    _ = stopped => {}
                }
            });
        })?;
        Ok(Self { shared, address, outage, handle, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens, as an endpoint URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Begins or ends an outage.
    pub fn outage(&self, outage: Outage) {
        self.outage.send_replace(outage);
    }

    /// Waits until no request is being accepted, and lets none be until the value is dropped: what the stream has and what
    /// the producer believes can then be compared. Not to be called from within a runtime.
    #[must_use]
    pub fn freeze(&self) -> Frozen {
        Frozen { _gate: self.handle.block_on(Arc::clone(&self.shared.gate).write_owned()) }
    }

    /// Looks at what was accepted.
    pub fn with_stream<T>(&self, look: impl FnOnce(&mut Stream) -> T) -> T {
        look(&mut self.shared.stream())
    }

    /// What it has done.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        let mut statistics = self.shared.statistics.read();
        statistics.most_in_flight_per_shard = self.shared.in_flight.lock().map_or(0, |counts| counts.most);
        statistics
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        // Dropping the sender is the sign; the thread ends at its next turn.
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// What all requests share.
#[derive(Debug)]
pub(super) struct Shared {
    pub plan: FaultPlan,
    pub upstream: Option<SocketAddr>,
    pub began: Instant,
    pub statistics: Counters,
    stream: Mutex<Stream>,
    gate: Arc<RwLock<()>>,
    in_flight: Mutex<InFlightCounts>,
}

#[derive(Debug, Default)]
struct InFlightCounts {
    now: HashMap<usize, u64>,
    most: u64,
}

impl Shared {
    fn new(plan: FaultPlan, backend: Backend) -> Self {
        let (mut stream, upstream) = match backend {
            Backend::Own(stream) => (stream, None),
            Backend::Forward { address, stream } => (Stream::behind(&stream), Some(address)),
        };
        stream.limits = plan.limits;
        Self {
            plan,
            upstream,
            began: Instant::now(),
            statistics: Counters::default(),
            stream: Mutex::new(stream),
            gate: Arc::default(),
            in_flight: Mutex::default(),
        }
    }

    pub fn stream(&self) -> MutexGuard<'_, Stream> {
        self.stream.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn now_ms(&self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }

    pub fn in_flight(&self, shards: &[usize], more: bool) {
        let mut counts = self.in_flight.lock().unwrap_or_else(PoisonError::into_inner);
        for shard in shards {
            let now = counts.now.entry(*shard).or_default();
            *now = if more { *now + 1 } else { now.saturating_sub(1) };
            let now = *now;
            counts.most = counts.most.max(now);
        }
    }

    /// Asks the server behind which shards it has now.
    pub async fn learn_shards(&self, headers: &HeaderMap) {
        let Some(address) = self.upstream else { return };
        let request = serde_json::json!({"StreamName": self.stream().name}).to_string();
        let Some(answer) = upstream::ask(address, "ListShards", headers, request.into()).await else { return };
        let Ok(answer) = serde_json::from_slice::<ListShardsAnswer>(&answer.body) else { return };
        let mut stream = self.stream();
        for listed in answer.shards {
            let ends = (listed.hash_key_range.starting_hash_key.parse(), listed.hash_key_range.ending_hash_key.parse());
            let (Ok(begin), Ok(end)) = ends else { continue };
            let known = stream.shards.iter().position(|shard| shard.id == listed.shard_id);
            let range = listed.sequence_number_range;
            let place = known.unwrap_or_else(|| {
                let parents = [listed.parent_shard_id, listed.adjacent_parent_shard_id].into_iter().flatten().collect();
                stream.shards.push(Shard::new(listed.shard_id, begin..=end, parents, range.starting_sequence_number));
                stream.shards.len() - 1
            });
            if let Some(shard) = stream.shards.get_mut(place) {
                shard.closed = range.ending_sequence_number.is_some();
                shard.last_sequence = range.ending_sequence_number;
            }
        }
    }
}

/// Statistics while they are counted.
#[derive(Debug, Default)]
pub(super) struct Counters {
    requests: AtomicU64,
    put_requests: AtomicU64,
    pub entries: AtomicU64,
    accepted: AtomicU64,
    accepted_bytes: AtomicU64,
    pub throttled_entries: AtomicU64,
    pub failed_entries: AtomicU64,
    server_errors: AtomicU64,
    pub refused_requests: AtomicU64,
    pub lost_requests: AtomicU64,
    pub lost_answers: AtomicU64,
}

impl Counters {
    pub fn accepted(&self, bytes: u64) {
        self.accepted.fetch_add(1, Relaxed);
        self.accepted_bytes.fetch_add(bytes, Relaxed);
    }

    fn read(&self) -> Statistics {
        let [requests, put_requests, entries, accepted, accepted_bytes, throttled_entries, failed_entries] = [
            &self.requests,
            &self.put_requests,
            &self.entries,
            &self.accepted,
            &self.accepted_bytes,
            &self.throttled_entries,
            &self.failed_entries,
        ]
        .map(|counter| counter.load(Relaxed));
        let [server_errors, refused_requests, lost_requests, lost_answers] =
            [&self.server_errors, &self.refused_requests, &self.lost_requests, &self.lost_answers]
                .map(|counter| counter.load(Relaxed));
        Statistics {
            requests,
            put_requests,
            entries,
            accepted,
            accepted_bytes,
            throttled_entries,
            failed_entries,
            server_errors,
            refused_requests,
            lost_requests,
            lost_answers,
            most_in_flight_per_shard: 0,
        }
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, outage: watch::Receiver<Outage>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file descriptors: some will come back.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        if *outage.borrow() != Outage::Away {
            tokio::spawn(serve(stream, Arc::clone(&shared), outage.clone()));
        }
    }
}

/// The connection ends without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the connection is cut")]
struct Cut;

async fn serve(stream: TcpStream, shared: Arc<Shared>, outage: watch::Receiver<Outage>) {
    let mut ended = outage.clone();
    drop(stream.set_nodelay(true));
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let (shared, outage) = (Arc::clone(&shared), outage.clone());
        async move {
            let (head, body) = request.into_parts();
            let Ok(body) = Limited::new(body, MOST_REQUEST_BYTES).collect().await else {
                return Ok(respond(Answer::error(413, "RequestTooLarge", "the body is too large")));
            };
            // On its own: a request that has arrived is worked on, whether the client waits or not.
            let work = tokio::spawn(work(shared, outage, head.headers, body.to_bytes()));
            work.await.ok().flatten().map(respond).ok_or(Cut)
        }
    });
    let connection = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        // However it ended: the client knows.
        _ = connection => {}
        _ = ended.wait_for(|outage| *outage == Outage::Away) => {}
    }
}

/// Larger than any request of the service.
const MOST_REQUEST_BYTES: usize = 16 * 1024 * 1024;

async fn work(
    shared: Arc<Shared>,
    mut outage: watch::Receiver<Outage>,
    headers: HeaderMap,
    body: Bytes,
) -> Option<Answer> {
    let number = shared.statistics.requests.fetch_add(1, Relaxed);
    let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
    let operation = target.strip_prefix("Kinesis_20131202.").unwrap_or_default().to_owned();
    let is_put = operation == "PutRecords";
    if is_put {
        shared.statistics.put_requests.fetch_add(1, Relaxed);
        if shared.stream().shards.is_empty() {
            shared.learn_shards(&headers).await;
        }
    }
    let _in_flight = is_put.then(|| InFlight::begin(&shared, &body)).flatten();
    let fate = shared.plan.fate(number, is_put);
    if fate.latency_ms > 0 {
        tokio::time::sleep(Duration::from_millis(fate.latency_ms)).await;
    }
    if *outage.wait_for(|outage| *outage != Outage::Hangs).await.ok()? == Outage::Away {
        return None;
    }
    let _gate = shared.gate.read().await;
    if let Whole::Failure | Whole::Unavailable = fate.whole {
        shared.statistics.server_errors.fetch_add(1, Relaxed);
    }
    match fate.whole {
        Whole::Failure => Some(Answer::error(500, "InternalFailure", "Internal service failure.")),
        Whole::Unavailable => Some(Answer::error(503, "ServiceUnavailable", "Service is unavailable.")),
        whole if is_put => put_records(&shared, &headers, &body, whole, fate.dice).await,
        _ => match shared.upstream {
            None => Some(operations::answer(&mut shared.stream(), &operation, &body, shared.now_ms())),
            Some(address) => {
                let answer = upstream::ask(address, &operation, &headers, body).await;
                if operation == "SplitShard" || operation == "MergeShards" {
                    shared.learn_shards(&headers).await;
                }
                answer
            }
        },
    }
}

fn respond(answer: Answer) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(answer.body)));
    *response.status_mut() = hyper::StatusCode::from_u16(answer.status).unwrap_or_default();
    let content_type = hyper::header::HeaderValue::from_static("application/x-amz-json-1.1");
    response.headers_mut().insert(hyper::header::CONTENT_TYPE, content_type);
    response
}

#[cfg(test)]
#[path = "proxy_tests.rs"]
mod tests;
