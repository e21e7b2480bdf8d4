//! How an agent reaches the charging core.
//!
//! * [`ChargingTransport`]: one attempt at each operation. [`GrpcTransport`] is the one over the network; the binary
//!   implements the trait again, in-process, when core and agent run together.
//! * [`Client`]: what agents use. It keeps every request until it is answered, in order per session, retrying under the
//!   same key for ever; the caller's deadline only ends the caller's waiting. With an outbox it keeps them over a crash.
//!
//! Retrying is in one place, the client, and the transports stay simple: an attempt ends with an answer or with a
//! [`ChargingFailure`] that says whether anything may have reached the core.

mod backoff;
mod client;
mod failure;
mod grpc;
mod metrics;
mod outbox;
mod transport;

pub use client::{Answered, AwaitedAnswer, Client, ClientConfig, Fate, Recovered};
pub use failure::{ChargingFailure, FailureCause};
pub use grpc::{AccessError, CoreAccess, GrpcConfig, GrpcConfigError, GrpcTransport};
pub use metrics::{ClientMetrics, Count, TransportMetrics};
pub use outbox::{Kept, Loaded, OutboxBook, OutboxError};
pub use transport::{ChargingTransport, NotificationStream, Ready, TransportFuture};
