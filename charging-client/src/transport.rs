//! One attempt at each operation of the core; object-safe, so that agents do not know which transport they use.

use std::pin::Pin;
use std::sync::Arc;

use tokio_stream::Stream;
use types::charging::{ChargingAnswer, ChargingRequest, Notification, SessionSummary};
use types::{ClientId, SessionId};

use crate::failure::ChargingFailure;

/// What a transport's operations return.
pub type TransportFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, ChargingFailure>> + Send + 'a>>;

/// Resolves when an attempt makes sense.
pub type Ready<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// Notifications of one subscription; it ends when the subscription is lost.
pub type NotificationStream = Pin<Box<dyn Stream<Item = Notification> + Send>>;

/// A way to the charging core.
///
/// Every operation is one attempt, bounded in time by the transport itself. `charge` fails at once when there is no way
/// to the core, the others may wait for one within their time; [`crate::Client`] does the retrying. Futures may be dropped at any point: the attempt's fate is then
/// unknown.
pub trait ChargingTransport: Send + Sync + 'static {
    /// Waits until the core can be reached, or has refused us (an attempt then says so). An attempt made later may
    /// still fail.
    fn ready(&self) -> Ready<'_>;

    /// Sends one request and waits for its answer. `NotSent` only if nothing can have reached the core; `UnknownFate` if
    /// something may have; `Refused` if the core refuses this client. The request is shared with whoever keeps it until it is answered.
    fn charge(&self, request: Arc<ChargingRequest>) -> TransportFuture<'_, ChargingAnswer>;

    /// The sessions of a client that are not settled for good (open and expired): all of them, or a failure.
    fn list_sessions<'a>(&'a self, client_id: &'a ClientId) -> TransportFuture<'a, Vec<SessionSummary>>;

    /// One session in whatever phase; `None` if the core knows none of that id.
    fn session<'a>(&'a self, session_id: &'a SessionId) -> TransportFuture<'a, Option<SessionSummary>>;

    /// Subscribes once: everything unconfirmed, then everything new, until the subscription is lost.
    fn notifications<'a>(&'a self, client_id: &'a ClientId) -> TransportFuture<'a, NotificationStream>;

    /// Confirms all notifications up to and including `sequence`.
    fn confirm<'a>(&'a self, client_id: &'a ClientId, sequence: u64) -> TransportFuture<'a, ()>;
}
