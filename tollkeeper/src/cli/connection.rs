//! The connection of a command to the core, and what to say when it fails.

use std::hash::{BuildHasher as _, RandomState};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, anyhow};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

use crate::exit::UsageError;

/// Runs one command's conversation with the core.
pub fn talk<T>(conversation: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("starting")?;
    runtime.block_on(conversation)
}

/// Connects.
pub async fn connect(core: &str) -> anyhow::Result<Channel> {
    connect_for(core, ANSWER_TIMEOUT).await
}

/// Connects for something that takes a while: answers are waited for so long.
pub async fn connect_for(core: &str, answer_timeout: Duration) -> anyhow::Result<Channel> {
    let wrong = || UsageError(format!("--core {core} is no address; write http://host:port"));
    let endpoint = Endpoint::from_shared(core.to_owned()).map_err(|_| wrong())?;
    if endpoint.uri().scheme_str() != Some("http") || endpoint.uri().host().is_none() {
        return Err(wrong().into());
    }
    let endpoint = endpoint.connect_timeout(CONNECT_TIMEOUT).timeout(answer_timeout);
    endpoint.connect().await.map_err(|error| {
        let why = root(&error);
        anyhow!("the charging core at {core} cannot be reached: {why}; is it running? (tollkeeper run, or name another one with --core)")
    })
}

/// The core's refusal, with the remedy where the code tells one.
pub fn refused(core: &str, status: &Status) -> anyhow::Error {
    let remedy = match status.code() {
        Code::Unavailable => "; it is stopping or was lost: try again",
        Code::ResourceExhausted => "; it is too busy or its disk is full: try again later",
        Code::DeadlineExceeded | Code::Cancelled => "; it may have been done: repeat with the same request id",
        _ => "",
    };
    anyhow!("the charging core at {core} says: {}{remedy}", status.message())
}

/// An idempotency key that nobody else makes.
pub fn new_request_id() -> String {
    let ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
    // Keyed by the system's randomness.
    let random = RandomState::new().hash_one(std::process::id());
    format!("cli-{ms}-{random:016x}")
}

fn root(error: &dyn std::error::Error) -> String {
    let mut deepest = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    deepest.to_string()
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
