//! PutRecords: entries fail one by one, the others are accepted, here or by the server behind.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use hyper::HeaderMap;
use hyper::body::Bytes;

use super::dice::Dice;
use super::operations::not_found;
use super::plan::Whole;
use super::proxy::Shared;
use super::upstream;
use super::wire::{Answer, Entry, EntryAnswer, PutRecords, PutRecordsAnswer, PutRecordsForward};

/// Limits of the service: records in one request, octets of one record with its key, octets of a partition key.
const MOST_RECORDS: usize = 500;
const MOST_RECORD_BYTES: u64 = 1024 * 1024;
const MOST_KEY_CHARACTERS: usize = 256;

/// A request that is being worked on: counted for each shard it goes to, until it is dropped.
pub(super) struct InFlight {
    shared: Arc<Shared>,
    shards: Vec<usize>,
}

impl InFlight {
    /// Looks where the entries go; nothing when the request cannot be read.
    pub fn begin(shared: &Arc<Shared>, body: &[u8]) -> Option<Self> {
        let request: PutRecords<'_> = serde_json::from_slice(body).ok()?;
        let mut shards: Vec<usize> = {
            let stream = shared.stream();
            let routed = |entry: &Entry<'_>| stream.route(&entry.partition_key, entry.explicit_hash_key.as_deref());
            request.records.iter().map(routed).collect()
        };
        shards.sort_unstable();
        shards.dedup();
        shared.in_flight(&shards, true);
        Some(Self { shared: Arc::clone(shared), shards })
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.shared.in_flight(&self.shards, false);
    }
}

/// Does it; `None` when the connection is cut instead of an answer.
pub(super) async fn put_records(
    shared: &Arc<Shared>,
    headers: &HeaderMap,
    body: &[u8],
    whole: Whole,
    dice: Dice,
) -> Option<Answer> {
    let Ok(request) = serde_json::from_slice::<PutRecords<'_>>(body) else {
        return Some(Answer::error(400, "SerializationException", "that is no PutRecords"));
    };
    if let Some(refusal) = refused(shared, &request) {
        shared.statistics.refused_requests.fetch_add(1, Relaxed);
        return Some(refusal);
    }
    if whole == Whole::LostRequest {
        shared.statistics.lost_requests.fetch_add(1, Relaxed);
        return None;
    }
    let mut answers = failures(shared, &request.records, dice);
    let chosen: Vec<usize> =
        answers.iter().enumerate().filter_map(|(index, failed)| failed.is_none().then_some(index)).collect();
    let accepted = match shared.upstream {
        None => accept(shared, &request.records, &chosen),
        Some(_) if chosen.is_empty() => Vec::new(),
        Some(_) => match forward(shared, headers, &request, &chosen).await? {
            Ok(accepted) => accepted,
            Err(refusal) => return Some(refusal),
        },
    };
    for (index, answer) in chosen.into_iter().zip(accepted) {
        if let Some(place) = answers.get_mut(index) {
            *place = Some(answer);
        }
    }
    if whole == Whole::LostAnswer {
        shared.statistics.lost_answers.fetch_add(1, Relaxed);
        return None;
    }
    let records: Vec<EntryAnswer> = answers.into_iter().flatten().collect();
    let failed_record_count = records.iter().filter(|record| record.error_code.is_some()).count();
    let answer = PutRecordsAnswer { failed_record_count, records };
    Some(Answer::ok(serde_json::to_vec(&answer).expect("invariant: texts and numbers have a JSON form")))
}

/// What the service refuses as a whole.
fn refused(shared: &Shared, request: &PutRecords<'_>) -> Option<Answer> {
    let name = request.stream_name.as_deref().unwrap_or_default();
    if shared.upstream.is_none() && name != shared.stream().name {
        return Some(not_found(name));
    }
    let records = &request.records;
    let large = records.iter().any(|entry| entry.bytes() > MOST_RECORD_BYTES);
    let keys = |entry: &Entry<'_>| (1..=MOST_KEY_CHARACTERS).contains(&entry.partition_key.chars().count());
    let reason = match () {
        () if records.is_empty() => "at least one record",
        () if records.len() > MOST_RECORDS => "Member must have length less than or equal to 500",
        () if large => "a record is larger than 1048576 octets",
        () if !records.iter().all(keys) => "a partition key has 1 to 256 characters",
        () => return None,
    };
    Some(Answer::error(400, "ValidationException", reason))
}

/// Which entries fail, and how; `None` for those to be accepted.
fn failures(shared: &Shared, entries: &[Entry<'_>], mut dice: Dice) -> Vec<Option<EntryAnswer>> {
    let now = shared.began.elapsed();
    let mut stream = shared.stream();
    let statistics = &shared.statistics;
    let decide = |entry: &Entry<'_>| {
        statistics.entries.fetch_add(1, Relaxed);
        if dice.per_mille(shared.plan.entry_failures) {
            statistics.failed_entries.fetch_add(1, Relaxed);
            return Some(failed("InternalFailure", "Internal service failure.".to_owned()));
        }
        let shard = stream.route(&entry.partition_key, entry.explicit_hash_key.as_deref());
        if stream.has_room(shard, entry.bytes(), now) {
            return None;
        }
        statistics.throttled_entries.fetch_add(1, Relaxed);
        let id = stream.shards.get(shard).map_or("", |shard| shard.id.as_str());
        let message = format!("Rate exceeded for shard {id} in stream {} under account 000000000000.", stream.name);
        Some(failed("ProvisionedThroughputExceededException", message))
    };
    entries.iter().map(decide).collect()
}

fn failed(code: &str, message: String) -> EntryAnswer {
    EntryAnswer { error_code: Some(code.to_owned()), error_message: Some(message), ..EntryAnswer::default() }
}

/// The stream in memory takes the chosen entries.
fn accept(shared: &Shared, entries: &[Entry<'_>], chosen: &[usize]) -> Vec<EntryAnswer> {
    let arrived_ms = shared.now_ms();
    let mut stream = shared.stream();
    let chosen = chosen.iter().filter_map(|index| entries.get(*index));
    chosen
        .map(|entry| {
            let shard = stream.route(&entry.partition_key, entry.explicit_hash_key.as_deref());
            shared.statistics.accepted(entry.bytes());
            EntryAnswer {
                sequence_number: Some(stream.accept(shard, &entry.partition_key, &entry.data, arrived_ms)),
                shard_id: stream.shards.get(shard).map(|shard| shard.id.clone()),
                ..EntryAnswer::default()
            }
        })
        .collect()
}

/// The server behind takes the chosen entries: what it answered for them, or its refusal; `None` when it is not there.
async fn forward(
    shared: &Arc<Shared>,
    headers: &HeaderMap,
    request: &PutRecords<'_>,
    chosen: &[usize],
) -> Option<Result<Vec<EntryAnswer>, Answer>> {
    let records: Vec<&Entry<'_>> = chosen.iter().filter_map(|index| request.records.get(*index)).collect();
    let body = PutRecordsForward { stream_name: request.stream_name.as_deref().unwrap_or_default(), records };
    let octets = Bytes::from(serde_json::to_vec(&body).ok()?);
    let answer = upstream::ask(shared.upstream?, "PutRecords", headers, octets).await?;
    if answer.status != 200 {
        return Some(Err(answer));
    }
    let answer: PutRecordsAnswer = serde_json::from_slice(&answer.body).ok()?;
    let unknown = |record: &EntryAnswer| {
        let stream = shared.stream();
        record.shard_id.as_ref().is_some_and(|id| stream.shards.iter().all(|shard| shard.id != *id))
    };
    if answer.records.iter().any(unknown) {
        shared.learn_shards(headers).await;
    }
    let arrived_ms = shared.now_ms();
    let mut stream = shared.stream();
    for (entry, record) in body.records.iter().zip(&answer.records) {
        let (Some(sequence), Some(id)) = (&record.sequence_number, &record.shard_id) else { continue };
        let shard = stream.shards.iter().position(|shard| shard.id == *id).unwrap_or(0);
        shared.statistics.accepted(entry.bytes());
        stream.note(shard, sequence, &entry.partition_key, &entry.data, arrived_ms);
    }
    Some(Ok(answer.records))
}
