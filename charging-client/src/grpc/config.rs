//! Configuration of the gRPC transport.

use std::time::Duration;

use serde::Deserialize;
use tonic::transport::Endpoint;
use types::class::ErrorClass;

use super::access::{AccessError, CoreAccess};

/// Where the core is, and the limits of the connection to it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GrpcConfig {
    /// Addresses of core nodes, tried in turn, such as `http://127.0.0.1:7440`; at least one.
    pub addresses: Vec<String>,
    /// Most requests in flight, 1 to 65536; 256 unless configured: measured, a stream gains little beyond that, and it
    /// bounds what is repeated after a loss.
    pub window: usize,
    /// How long one attempt waits for its answer, in milliseconds, at least 1; 5000 unless configured.
    pub attempt_timeout_ms: u64,
    /// How long connecting and opening the stream may take, in milliseconds, at least 1; 3000 unless configured.
    pub connect_timeout_ms: u64,
    /// Time between HTTP/2 pings, and for their answer, in milliseconds, at least 1; 5000 unless configured.
    pub heartbeat_ms: u64,
    /// The pause after the first failed connection, in milliseconds; 100 unless configured.
    pub reconnect_first_ms: u64,
    /// The longest pause between connections, in milliseconds; 5000 unless configured.
    pub reconnect_max_ms: u64,
    /// What lets the client in; nothing unless configured.
    pub access: CoreAccess,
}

impl Default for GrpcConfig {
    fn default() -> Self {
        Self {
            addresses: Vec::new(),
            window: 256,
            attempt_timeout_ms: 5_000,
            connect_timeout_ms: 3_000,
            heartbeat_ms: 5_000,
            reconnect_first_ms: 100,
            reconnect_max_ms: 5_000,
            access: CoreAccess::default(),
        }
    }
}

/// Why a configuration cannot work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GrpcConfigError {
    /// No address at all.
    #[error("no core address is configured")]
    NoAddress,
    /// TLS or the token.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// A text that is no address.
    #[error("address {address} is not of the form http://host:port or https://host:port")]
    NotAnAddress {
        /// The text.
        address: String,
    },
    /// A number outside its range.
    #[error("{key} is {value}, allowed is {least} to {most}")]
    OutOfRange {
        /// The key.
        key: &'static str,
        /// The number found.
        value: u64,
        /// The smallest allowed.
        least: u64,
        /// The largest allowed.
        most: u64,
    },
}

impl GrpcConfigError {
    /// The process cannot start with it.
    pub const fn class(&self) -> ErrorClass {
        ErrorClass::Fatal
    }
}

const MAX_WINDOW: u64 = 65_536;
const MAX_TIMEOUT_MS: u64 = 600_000;

impl GrpcConfig {
    /// Checks everything and makes one endpoint an address.
    pub(super) fn endpoints(&self) -> Result<Vec<Endpoint>, GrpcConfigError> {
        let window = u64::try_from(self.window).unwrap_or(u64::MAX);
        for (key, value, most) in [
            ("window", window, MAX_WINDOW),
            ("attempt_timeout_ms", self.attempt_timeout_ms, MAX_TIMEOUT_MS),
            ("connect_timeout_ms", self.connect_timeout_ms, MAX_TIMEOUT_MS),
            ("heartbeat_ms", self.heartbeat_ms, MAX_TIMEOUT_MS),
        ] {
            if !(1..=most).contains(&value) {
                return Err(GrpcConfigError::OutOfRange { key, value, least: 1, most });
            }
        }
        if self.addresses.is_empty() {
            return Err(GrpcConfigError::NoAddress);
        }
        self.addresses.iter().map(|address| self.endpoint(address)).collect()
    }

    fn endpoint(&self, address: &str) -> Result<Endpoint, GrpcConfigError> {
        let not_an_address = || GrpcConfigError::NotAnAddress { address: address.to_owned() };
        let endpoint = Endpoint::from_shared(address.to_owned()).map_err(|_| not_an_address())?;
        if !matches!(endpoint.uri().scheme_str(), Some("http" | "https")) || endpoint.uri().host().is_none() {
            return Err(not_an_address());
        }
        let endpoint = self.access.secure(endpoint)?;
        let heartbeat = Duration::from_millis(self.heartbeat_ms);
        Ok(endpoint
            .connect_timeout(Duration::from_millis(self.connect_timeout_ms))
            .http2_keep_alive_interval(heartbeat)
            .keep_alive_timeout(heartbeat)
            .keep_alive_while_idle(true)
            .tcp_nodelay(true))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_named() {
        let good = GrpcConfig { addresses: vec!["http://127.0.0.1:7440".into()], ..Default::default() };
        assert!(good.endpoints().is_ok());
        let rows: [(GrpcConfig, &str); 6] = [
            (GrpcConfig::default(), "no core address is configured"),
            (GrpcConfig { window: 0, ..good.clone() }, "window is 0, allowed is 1 to 65536"),
            (GrpcConfig { heartbeat_ms: 0, ..good.clone() }, "heartbeat_ms is 0, allowed is 1 to 600000"),
            (
                GrpcConfig { addresses: vec!["127.0.0.1:7440".into()], ..good.clone() },
                "address 127.0.0.1:7440 is not of the form http://host:port or https://host:port",
            ),
            (
                GrpcConfig { addresses: vec!["https://core:1".into()], ..good.clone() },
                "https://core:1/ begins with https: ca is needed, the file with the certificate of the core's authority",
            ),
            (
                GrpcConfig { addresses: vec![" ".into()], ..good },
                "address   is not of the form http://host:port or https://host:port",
            ),
        ];
        for (config, expected) in rows {
            let error = config.endpoints().map(|endpoints| endpoints.len()).map_err(|error| error.to_string());
            assert_eq!(error, Err(expected.to_owned()));
        }
    }
}
