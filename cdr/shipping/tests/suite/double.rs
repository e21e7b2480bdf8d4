//! A server that answers `PutRecords` and `ListShards` in the bytes of AWS JSON 1.1. Each request takes the next fault of a script;
//! without one it is stored.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Response, StatusCode};
use axum::routing::post;
use cdr_shipping::kinesis::hash_key;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

/// What becomes of a PutRecords.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Each third entry fails.
    Partial,
    /// Each second entry comes too fast.
    Throttled,
    /// 500, nothing stored.
    Internal,
    /// Stored, and the connection is cut in the answer.
    Cut,
    /// Stored, and never answered.
    Silent,
    /// Stored, and the answer has an entry too few.
    Short,
    /// 400 with this code.
    Refused(&'static str),
}

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Seen {
    pub headers: HeaderMap,
    pub body: Value,
}

/// A record of the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    pub shard: String,
    pub key: String,
    pub data: Vec<u8>,
}

#[derive(Default)]
struct Stream {
    faults: VecDeque<Fault>,
    /// First hash key of each open shard.
    shards: Vec<u128>,
    generation: u32,
    listing_denied: bool,
    missing: bool,
    puts: Vec<Seen>,
    listings: usize,
    stored: Vec<Stored>,
    in_flight: usize,
    most_in_flight: usize,
}

/// The server; it ends with this.
pub struct Double {
    stream: Arc<Mutex<Stream>>,
    pub url: String,
    _runtime: Runtime,
}

impl Double {
    /// With so many equal shards.
    pub fn start(shards: u32) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        Self::on(listener, shards)
    }

    pub fn on(listener: std::net::TcpListener, shards: u32) -> Self {
        let stream = Arc::new(Mutex::new(Stream { shards: equal(shards), ..Stream::default() }));
        let url = format!("http://{}", listener.local_addr().unwrap());
        listener.set_nonblocking(true).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let router = Router::new().route("/", post(answer)).with_state(Arc::clone(&stream));
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            axum::serve(listener, router).await.unwrap();
        });
        Self { stream, url, _runtime: runtime }
    }

    fn stream(&self) -> MutexGuard<'_, Stream> {
        self.stream.lock().unwrap()
    }

    pub fn plan(&self, faults: impl IntoIterator<Item = Fault>) {
        self.stream().faults.extend(faults);
    }

    pub fn planned(&self) -> usize {
        self.stream().faults.len()
    }

    pub fn deny_listing(&self) {
        self.stream().listing_denied = true;
    }

    pub fn missing(&self, missing: bool) {
        self.stream().missing = missing;
    }

    /// Closes all shards and opens so many.
    pub fn reshard(&self, shards: u32) {
        let mut stream = self.stream();
        stream.generation += 1;
        stream.shards = equal(shards);
    }

    pub fn puts(&self) -> Vec<Seen> {
        self.stream().puts.clone()
    }

    pub fn listings(&self) -> usize {
        self.stream().listings
    }

    /// In the order in which they arrived, with repetitions.
    pub fn stored(&self) -> Vec<Stored> {
        self.stream().stored.clone()
    }

    pub fn most_in_flight(&self) -> usize {
        self.stream().most_in_flight
    }
}

fn equal(shards: u32) -> Vec<u128> {
    (0..u128::from(shards)).map(|index| index * (u128::MAX / u128::from(shards))).collect()
}

async fn answer(State(stream): State<Arc<Mutex<Stream>>>, headers: HeaderMap, body: Bytes) -> Response<Body> {
    let body: Value = serde_json::from_slice(&body).unwrap();
    let target = headers["x-amz-target"].to_str().unwrap().to_owned();
    if target == "Kinesis_20131202.ListShards" {
        return list(&mut stream.lock().unwrap(), &body);
    }
    assert_eq!(target, "Kinesis_20131202.PutRecords");
    {
        let mut stream = stream.lock().unwrap();
        stream.in_flight += 1;
        stream.most_in_flight = stream.most_in_flight.max(stream.in_flight);
    }
    // Others may come in while this one is answered.
    tokio::task::yield_now().await;
    let (fault, answer) = {
        let mut stream = stream.lock().unwrap();
        stream.in_flight -= 1;
        stream.put(Seen { headers, body })
    };
    match fault {
        Some(Fault::Cut) => {
            let cut = futures_util::stream::iter([Ok("{\"FailedRecord"), Err(std::io::Error::other("cut"))]);
            Response::new(Body::from_stream(cut))
        }
        Some(Fault::Silent) => std::future::pending().await,
        _ => answer,
    }
}

fn list(stream: &mut Stream, body: &Value) -> Response<Body> {
    stream.listings += 1;
    if stream.missing {
        return refuse("ResourceNotFoundException");
    }
    if stream.listing_denied {
        return refuse("AccessDeniedException");
    }
    let open = stream.shards.iter().enumerate().map(|(index, first)| {
        let last = stream.shards.get(index + 1).map_or(u128::MAX, |next| next - 1);
        json!({
            "ShardId": stream.shard_id(index),
            "HashKeyRange": {"StartingHashKey": first.to_string(), "EndingHashKey": last.to_string()},
            "SequenceNumberRange": {"StartingSequenceNumber": "1"},
        })
    });
    let closed = json!({
        "ShardId": "shardId-closed",
        "HashKeyRange": {"StartingHashKey": "0", "EndingHashKey": u128::MAX.to_string()},
        "SequenceNumberRange": {"StartingSequenceNumber": "1", "EndingSequenceNumber": "2"},
    });
    let mut all: Vec<Value> = std::iter::once(closed).chain(open).collect();
    // Two pages, and the second is asked for by its token alone.
    let second = all.split_off(1);
    match body["NextToken"].as_str() {
        Some(token) => {
            assert_eq!((token, &body["StreamName"]), ("second", &Value::Null));
            json_answer(StatusCode::OK, &json!({ "Shards": second }))
        }
        None => {
            assert_eq!(body["StreamName"], "calls");
            json_answer(StatusCode::OK, &json!({ "Shards": all, "NextToken": "second" }))
        }
    }
}

impl Stream {
    fn shard_id(&self, index: usize) -> String {
        format!("shardId-{:012}", usize::try_from(self.generation).unwrap() * 100 + index)
    }

    fn put(&mut self, seen: Seen) -> (Option<Fault>, Response<Body>) {
        let records = seen.body["Records"].as_array().unwrap().clone();
        assert!(records.len() <= 500);
        self.puts.push(seen);
        if self.missing {
            return (None, refuse("ResourceNotFoundException"));
        }
        let fault = self.faults.pop_front();
        match fault {
            Some(Fault::Internal) => return (fault, json_answer(StatusCode::INTERNAL_SERVER_ERROR, &json!({}))),
            Some(Fault::Refused(code)) => return (fault, refuse(code)),
            _ => {}
        }
        let mut answers: Vec<_> =
            records.iter().enumerate().map(|(at, record)| self.entry(fault, at, record)).collect();
        if fault == Some(Fault::Short) {
            answers.pop();
        }
        let failed = answers.iter().filter(|answer| answer.get("ErrorCode").is_some()).count();
        (fault, json_answer(StatusCode::OK, &json!({ "FailedRecordCount": failed, "Records": answers })))
    }

    fn entry(&mut self, fault: Option<Fault>, at: usize, record: &Value) -> Value {
        match fault {
            Some(Fault::Partial) if at.is_multiple_of(3) => {
                json!({"ErrorCode": "InternalFailure", "ErrorMessage": "Internal service failure."})
            }
            Some(Fault::Throttled) if at.is_multiple_of(2) => {
                json!({"ErrorCode": "ProvisionedThroughputExceededException", "ErrorMessage": "Rate exceeded"})
            }
            _ => {
                let key = record["PartitionKey"].as_str().unwrap().to_owned();
                let index = self.shards.partition_point(|first| *first <= hash_key(&key)) - 1;
                let shard = self.shard_id(index);
                let data = base64(record["Data"].as_str().unwrap());
                self.stored.push(Stored { shard: shard.clone(), key, data });
                json!({"SequenceNumber": format!("{:056}", self.stored.len()), "ShardId": shard})
            }
        }
    }
}

fn refuse(code: &str) -> Response<Body> {
    json_answer(StatusCode::BAD_REQUEST, &json!({"__type": code, "message": "as the script says"}))
}

fn json_answer(status: StatusCode, body: &Value) -> Response<Body> {
    let answer = Response::builder().status(status).header("content-type", "application/x-amz-json-1.1");
    answer.body(Body::from(body.to_string())).unwrap()
}

/// RFC 4648, with padding.
fn base64(text: &str) -> Vec<u8> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits = text
        .bytes()
        .filter(|byte| *byte != b'=')
        .map(|byte| u32::try_from(ALPHABET.iter().position(|digit| *digit == byte).expect("a digit")).unwrap());
    let (mut bytes, mut bits, mut held) = (Vec::new(), 0_u32, 0);
    for digit in digits {
        bits = (bits << 6 | digit) & 0xFFFF;
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from((bits >> held) & 0xFF).unwrap());
        }
    }
    bytes
}
