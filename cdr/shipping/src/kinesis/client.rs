//! The SDK's client: no retry of its own, rustls with ring, the usual places for region and credentials.

use std::time::Duration;

use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region};
use aws_runtime::env_config::file::{EnvConfigFileKind, EnvConfigFiles};
use aws_sdk_kinesis::Client;
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};

use super::config::KinesisConfig;

/// A connection is made in less, or the next attempt is.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectError {
    /// No region is known, so nobody knows where the stream is.
    #[error("no region for the stream: set region in the sink's table, AWS_REGION, or the profile's region")]
    NoRegion,
    /// Looking for region and credentials ended by a panic.
    #[error("client of the stream cannot be made")]
    Panicked(#[from] tokio::task::JoinError),
}

impl ConnectError {
    /// One word for the log.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoRegion => "NoRegion",
            Self::Panicked(_) => "Panicked",
        }
    }
}

/// Looks up region and credentials where the configuration says; asks the network only for what is not said.
pub(super) async fn connect(config: KinesisConfig) -> Result<Client, ConnectError> {
    // In a task of its own, so that a panic in there is an answer, too.
    tokio::spawn(load(config)).await?
}

async fn load(config: KinesisConfig) -> Result<Client, ConnectError> {
    let timeout = config.request_timeout.std();
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT.min(timeout))
        .operation_attempt_timeout(timeout)
        .operation_timeout(timeout)
        .build();
    let http = Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http.clone())
        .retry_config(RetryConfig::disabled())
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .timeout_config(timeouts);
    let region = config.region.map(Region::new);
    if let Some(region) = &region {
        loader = loader.region(region.clone());
    }
    if let Some(url) = config.endpoint_url {
        loader = loader.endpoint_url(url);
    }
    if let Some(file) = config.credentials_file {
        let files = EnvConfigFiles::builder().with_file(EnvConfigFileKind::Credentials, file).build();
        // A profile may name a role, which is asked for over the network.
        let mut provider = ProviderConfig::without_region().with_http_client(http);
        if let Some(region) = &region {
            provider = provider.with_region(Some(region.clone()));
        }
        let mut provider = ProfileFileCredentialsProvider::builder().configure(&provider).profile_files(files);
        if let Some(profile) = &config.profile {
            provider = provider.profile_name(profile);
        }
        loader = loader.credentials_provider(provider.build());
    }
    if let Some(profile) = config.profile {
        loader = loader.profile_name(profile);
    }
    let loaded = loader.load().await;
    if loaded.region().is_none() { Err(ConnectError::NoRegion) } else { Ok(Client::new(&loaded)) }
}
