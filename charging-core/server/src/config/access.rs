//! Who may use the gRPC API, and how much of it: `[core.tls]`, `[[core.token]]`, `[core.limits]`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use types::ClientId;

/// Encryption of the gRPC API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    /// The server's certificate and what stands above it, PEM.
    pub certificate: PathBuf,
    /// Its key, PEM.
    pub key: PathBuf,
    /// Whose certificates clients must show, PEM; absent: clients need none.
    pub client_ca: Option<PathBuf>,
}

/// What whoever has a token may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Charge, and see sessions. Cannot put money anywhere.
    Agent,
    /// Everything.
    Operator,
    /// See everything, change nothing.
    ReadOnly,
}

impl Role {
    /// As it is configured.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Operator => "operator",
            Self::ReadOnly => "read_only",
        }
    }
}

/// A token that lets somebody in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenConfig {
    /// Whose it is, for error texts.
    pub name: Box<str>,
    /// What it allows.
    pub role: Role,
    /// A file with the token and nothing else: at least [`TokenConfig::SHORTEST`] printable characters without spaces.
    pub file: PathBuf,
    /// The clients that it may charge for; empty: any.
    #[serde(default)]
    pub client_ids: Vec<ClientId>,
}

impl TokenConfig {
    /// Shorter tokens can be guessed.
    pub const SHORTEST: usize = 16;

    /// The token.
    ///
    /// # Errors
    /// When the file cannot be read, or has no token in it.
    pub fn read(&self) -> Result<Box<str>, TokenError> {
        let file = || self.file.clone();
        let text = std::fs::read_to_string(&self.file).map_err(|source| TokenError::File { file: file(), source })?;
        let token = text.trim();
        if token.len() < Self::SHORTEST || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(TokenError::Unfit { file: file(), shortest: Self::SHORTEST });
        }
        Ok(token.into())
    }
}

/// Why a token cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// Its file.
    #[error("token file {file}")]
    File {
        /// Which.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// What is in it.
    #[error(
        "token file {file} has no token of at least {shortest} printable characters; make one with `openssl rand -hex 32`"
    )]
    Unfit {
        /// Which.
        file: PathBuf,
        /// The least.
        shortest: usize,
    },
    /// Two with the same content.
    #[error("tokens {one} and {other} are the same; whose is it?")]
    Twice {
        /// A token's name.
        one: Box<str>,
        /// The other's.
        other: Box<str>,
    },
}

/// How much of the gRPC API is used at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsConfig {
    /// Connections in all; one more is closed.
    pub connections: usize,
    /// Connections from one address; one more is closed.
    pub connections_per_address: usize,
    /// Calls and streams of one client (a token; without tokens, an address) at once; one more is refused.
    pub calls_per_client: usize,
    /// Requests in work of one client's streams, in units of 1024 octets, each at least one; what is more waits.
    pub kibioctets_per_client: u32,
}

impl Default for LimitsConfig {
    /// 16 MiB: some thousand requests in work, a quarter of the ledger's queue.
    fn default() -> Self {
        Self { connections: 1024, connections_per_address: 256, calls_per_client: 256, kibioctets_per_client: 16_384 }
    }
}

/// What is wrong with the values, by key below `core`, and the remedy.
pub(super) fn faults(tokens: &[TokenConfig], limits: &LimitsConfig) -> Vec<(String, String)> {
    let mut faults = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        if token.name.is_empty() || tokens.iter().take(at).any(|other| other.name == token.name) {
            faults.push((format!("token[{at}].name"), "must be a name that no other token has".to_owned()));
        }
        if token.role != Role::Agent && !token.client_ids.is_empty() {
            faults.push((format!("token[{at}].client_ids"), "is for tokens with role = \"agent\"".to_owned()));
        }
    }
    let counts = [
        ("connections", limits.connections, 1),
        ("connections_per_address", limits.connections_per_address, 1),
        ("calls_per_client", limits.calls_per_client, 1),
        ("kibioctets_per_client", usize::try_from(limits.kibioctets_per_client).unwrap_or(usize::MAX), 512),
    ];
    for (key, value, least) in counts {
        if !(least..=MOST).contains(&value) {
            faults.push((format!("limits.{key}"), format!("must be {least} to {MOST}")));
        }
    }
    faults
}

/// Whatever is counted here.
const MOST: usize = 1_000_000;
