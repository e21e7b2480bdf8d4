//! One PutRecords, and one listing of shards.

use std::sync::Arc;
use std::sync::mpsc::Sender;

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::operation::put_records::PutRecordsOutput;
use aws_sdk_kinesis::types::{PutRecordsRequestEntry, Shard};

use super::lanes::{Entry, Outcome};
use super::sink::Event;
use super::trouble::Trouble;

/// The code of an entry that came too fast.
const TOO_FAST: &str = "ProvisionedThroughputExceededException";

/// What became of a request.
#[derive(Debug)]
pub(super) struct Answer {
    pub id: u64,
    pub outcome: Outcome,
    /// An entry was stored in another shard than the lane's: shards were split or merged.
    pub elsewhere: bool,
    /// Why it failed as a whole.
    pub trouble: Option<Trouble>,
}

/// Says "lost" when nobody else gave an answer: a request never stays unanswered, also when its task ends by a panic.
pub(super) struct Pending {
    id: u64,
    events: Sender<Event>,
    answered: bool,
}

impl Pending {
    pub fn new(id: u64, events: Sender<Event>) -> Self {
        Self { id, events, answered: false }
    }

    fn answer(&mut self, outcome: Outcome, elsewhere: bool, trouble: Option<Trouble>) {
        self.answered = true;
        // Nobody listens any more when the sink was dropped.
        drop(self.events.send(Event::Answered(Answer { id: self.id, outcome, elsewhere, trouble })));
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if !self.answered {
            self.answer(Outcome::Lost, false, None);
        }
    }
}

/// Sends records to a stream, given by name or ARN, and tells what became of them.
pub(super) async fn put(
    client: Client,
    stream: Arc<str>,
    shard: Option<Arc<str>>,
    entries: Vec<PutRecordsRequestEntry>,
    mut pending: Pending,
) {
    let request = client.put_records().set_records(Some(entries));
    let request = if is_arn(&stream) { request.stream_arn(&*stream) } else { request.stream_name(&*stream) };
    match request.send().await {
        Ok(output) => {
            let elsewhere = went_elsewhere(&output, shard.as_deref());
            pending.answer(Outcome::Answered(output.records().iter().map(entry).collect()), elsewhere, None);
        }
        Err(error) => {
            let trouble = Trouble::of(&error);
            pending.answer(trouble.outcome(), false, Some(trouble));
        }
    }
}

/// All shards of a stream, also closed ones.
pub(super) async fn list(client: Client, stream: Arc<str>, events: Sender<Event>) {
    // In a task of its own, so that a panic in there is an answer, too.
    let listed = tokio::spawn(async move { list_pages(&client, &stream).await }).await;
    let listed = listed.unwrap_or_else(|panicked| Err(Trouble::panicked(&panicked)));
    drop(events.send(Event::Listed(listed)));
}

async fn list_pages(client: &Client, stream: &str) -> Result<Vec<Shard>, Trouble> {
    let mut shards = Vec::new();
    let mut next: Option<String> = None;
    loop {
        let request = client.list_shards();
        // A further page is asked for by its token alone.
        let request = match next.take() {
            Some(token) => request.next_token(token),
            None if is_arn(stream) => request.stream_arn(stream),
            None => request.stream_name(stream),
        };
        let page = request.send().await.map_err(|error| Trouble::of(&error))?;
        shards.extend(page.shards.unwrap_or_default());
        next = page.next_token.filter(|token| !token.is_empty());
        if next.is_none() {
            return Ok(shards);
        }
    }
}

fn is_arn(stream: &str) -> bool {
    stream.starts_with("arn:")
}

fn entry(answer: &aws_sdk_kinesis::types::PutRecordsResultEntry) -> Entry {
    match answer.error_code() {
        None | Some("") if answer.sequence_number().is_some() => Entry::Stored,
        Some(TOO_FAST) => Entry::Throttled,
        _ => Entry::Failed,
    }
}

fn went_elsewhere(output: &PutRecordsOutput, lane: Option<&str>) -> bool {
    let Some(lane) = lane else { return false };
    output.records().iter().filter_map(|answer| answer.shard_id()).any(|shard| shard != lane)
}
