//! The connection of a command to the core, and what to say when it fails.

use std::error::Error as _;
use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, anyhow};
use charging_client::{AccessError, CoreAccess};
use charging_proto::TokenChannel;
use clap::Args;
use tonic::transport::Endpoint;
use tonic::{Code, Status};

use crate::exit::UsageError;

/// Runs one command's conversation with the core.
pub fn talk<T>(conversation: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("starting")?;
    runtime.block_on(conversation)
}

/// Which core, and what lets us in.
#[derive(Debug, Args)]
pub struct CoreArgs {
    /// The charging core that account, session and tariff commands talk to; https://... for TLS, with --ca.
    #[arg(
        long = "core",
        global = true,
        env = "TOLLKEEPER_CORE",
        default_value = "http://127.0.0.1:7440",
        value_name = "URL"
    )]
    url: String,
    /// Whose certificate the core must show, PEM.
    #[arg(long, global = true, env = "TOLLKEEPER_CA", value_name = "FILE", hide_short_help = true)]
    ca: Option<PathBuf>,
    /// Our certificate, PEM, where the core asks for one; with --key.
    #[arg(
        long,
        alias = "cert",
        global = true,
        env = "TOLLKEEPER_CERTIFICATE",
        value_name = "FILE",
        hide_short_help = true
    )]
    certificate: Option<PathBuf>,
    /// Its key, PEM.
    #[arg(long, global = true, env = "TOLLKEEPER_KEY", value_name = "FILE", hide_short_help = true)]
    key: Option<PathBuf>,
    /// A file with a token, where the core asks for one.
    #[arg(long, global = true, env = "TOLLKEEPER_TOKEN_FILE", value_name = "FILE", hide_short_help = true)]
    token_file: Option<PathBuf>,
}

impl CoreArgs {
    /// Files for TLS with somebody else than the core: authority, our certificate, its key.
    pub fn tls_files(&self) -> (Option<&Path>, Option<&Path>, Option<&Path>) {
        (self.ca.as_deref(), self.certificate.as_deref(), self.key.as_deref())
    }
}

impl fmt::Display for CoreArgs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)
    }
}

/// Connects.
pub async fn connect(core: &CoreArgs) -> anyhow::Result<TokenChannel> {
    connect_for(core, ANSWER_TIMEOUT).await
}

/// Connects for something that takes a while: answers are waited for so long.
pub async fn connect_for(core: &CoreArgs, answer_timeout: Duration) -> anyhow::Result<TokenChannel> {
    let wrong = || UsageError(format!("--core {core} is no address; write http://host:port or https://host:port"));
    let endpoint = Endpoint::from_shared(core.url.clone()).map_err(|_| wrong())?;
    if !matches!(endpoint.uri().scheme_str(), Some("http" | "https")) || endpoint.uri().host().is_none() {
        return Err(wrong().into());
    }
    let access = CoreAccess {
        ca: core.ca.clone(),
        certificate: core.certificate.clone(),
        key: core.key.clone(),
        token_file: core.token_file.clone(),
    };
    let unfit = |error: AccessError| match error {
        AccessError::Half | AccessError::NoCa { .. } | AccessError::NotEncrypted { .. } => {
            UsageError(error.to_string()).into()
        }
        error => anyhow::Error::new(error),
    };
    let endpoint = access.secure(endpoint).map_err(unfit)?;
    let bearer = access.bearer().map_err(unfit)?;
    let endpoint = endpoint.connect_timeout(CONNECT_TIMEOUT).timeout(answer_timeout);
    let channel = endpoint.connect().await.map_err(|error| {
        let why = root(&error);
        anyhow!("the charging core at {core} cannot be reached: {why}; is it running? (tollkeeper run, or name another one with --core)")
    })?;
    Ok(bearer.over(channel))
}

/// The core's refusal, with the remedy where the code tells one.
pub fn refused(core: &CoreArgs, status: &Status) -> anyhow::Error {
    let remedy = match status.code() {
        Code::Unavailable => "; it is stopping or was lost: try again",
        Code::ResourceExhausted => "; it is too busy or its disk is full: try again later",
        Code::Unauthenticated => "; name a file with a token: --token-file or TOLLKEEPER_TOKEN_FILE",
        Code::DeadlineExceeded | Code::Cancelled => "; it may have been done: repeat with the same request id",
        _ => "",
    };
    let Some(source) = status.source() else {
        return anyhow!("the charging core at {core} says: {}{remedy}", status.message());
    };
    // The connection failed, nobody has said anything. With TLS 1.3 a missing client certificate is seen here, not when connecting.
    let why = root(source);
    let remedy = if why.contains("ertificate") || (core.url.starts_with("https:") && core.certificate.is_none()) {
        "; if the core has a client_ca, show a certificate that it has signed: --certificate and --key"
    } else {
        remedy
    };
    anyhow!("the connection to the charging core at {core} was lost: {why}{remedy}")
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
