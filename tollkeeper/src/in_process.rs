//! The way from agents to a charging core in the same process: the trait of `charging-client` over the handle of
//! `charging-server`, with the guarantees of the gRPC transport. Used by [`mod@crate::run`] when `[core]` and `[[agent]]` stand in
//! one file.
//!
//! | core says | transport says |
//! |---|---|
//! | an answer, stored or new | that answer |
//! | too busy, disk full: nothing was changed | 3004, as over gRPC |
//! | larger than any call needs | 5004, as over gRPC |
//! | it is stopping | `UnknownFate`: repeating is harmless, assuming is not |
//! | nothing for 5 s | `UnknownFate` |

use std::sync::Arc;
use std::time::Duration;

use charging_client::{ChargingFailure, ChargingTransport, FailureCause, NotificationStream, Ready, TransportFuture};
use charging_server::{Core, CoreError};
use ledger::{Command, Outcome};
use tokio_stream::wrappers::ReceiverStream;
use types::charging::{ChargingAnswer, ChargingRequest, ResultCode, SessionSummary};
use types::{ClientId, SessionId};

/// A [`ChargingTransport`] over a core in this process.
#[derive(Debug, Clone)]
pub struct InProcessTransport {
    core: Core,
}

impl InProcessTransport {
    /// To this core.
    pub const fn new(core: Core) -> Self {
        Self { core }
    }

    async fn decide(&self, command: Command) -> Result<Outcome, ChargingFailure> {
        timely(self.core.decide(command)).await?.map_err(|error| failure(&error))
    }

    async fn send(&self, request: ChargingRequest) -> Result<ChargingAnswer, ChargingFailure> {
        let (session_id, number) = (request.session_id.clone(), request.request_number);
        let refusal = |code| ChargingAnswer::refusal(session_id, number, code);
        match timely(self.core.decide(Command::Charge(Box::new(request)))).await? {
            Ok(Outcome::Charged(charged)) => Ok(Arc::unwrap_or_clone(charged.answer)),
            Ok(_) => Ok(refusal(ResultCode::UNABLE_TO_COMPLY)),
            Err(CoreError::TooBusy { .. } | CoreError::DiskFull) => Ok(refusal(ResultCode::TOO_BUSY)),
            Err(CoreError::TooLarge { .. }) => Ok(refusal(ResultCode::INVALID_VALUE)),
            Err(error) => Err(failure(&error)),
        }
    }
}

impl ChargingTransport for InProcessTransport {
    fn ready(&self) -> Ready<'_> {
        // As long as there is this process there is its core; one that is stopping says so at the attempt.
        Box::pin(std::future::ready(()))
    }

    fn charge(&self, request: Arc<ChargingRequest>) -> TransportFuture<'_, ChargingAnswer> {
        Box::pin(self.send(Arc::unwrap_or_clone(request)))
    }

    fn list_sessions<'a>(&'a self, client_id: &'a ClientId) -> TransportFuture<'a, Vec<SessionSummary>> {
        let client_id = client_id.clone();
        Box::pin(async move {
            timely(self.core.query(move |books| books.sessions_of(&client_id))).await?.map_err(|error| failure(&error))
        })
    }

    fn session<'a>(&'a self, session_id: &'a SessionId) -> TransportFuture<'a, Option<SessionSummary>> {
        let session_id = session_id.clone();
        Box::pin(async move {
            timely(self.core.query(move |books| books.session(&session_id))).await?.map_err(|error| failure(&error))
        })
    }

    fn notifications<'a>(&'a self, client_id: &'a ClientId) -> TransportFuture<'a, NotificationStream> {
        Box::pin(async move {
            let subscription =
                timely(self.core.subscribe(client_id.clone())).await?.map_err(|error| failure(&error))?;
            Ok(Box::pin(ReceiverStream::new(subscription)) as NotificationStream)
        })
    }

    fn confirm<'a>(&'a self, client_id: &'a ClientId, sequence: u64) -> TransportFuture<'a, ()> {
        let command = Command::ConfirmNotifications { client_id: client_id.clone(), through: sequence };
        Box::pin(async move { self.decide(command).await.map(|_| ()) })
    }
}

async fn timely<T>(step: impl Future<Output = T>) -> Result<T, ChargingFailure> {
    let after_ms = u64::try_from(ATTEMPT_TIMEOUT.as_millis()).unwrap_or(u64::MAX);
    let late = ChargingFailure::UnknownFate { cause: FailureCause::Timeout { after_ms } };
    tokio::time::timeout(ATTEMPT_TIMEOUT, step).await.map_err(|_| late)
}

fn failure(error: &CoreError) -> ChargingFailure {
    match error {
        CoreError::TooBusy { limit } => ChargingFailure::NotSent { cause: FailureCause::WindowFull { window: *limit } },
        // Also when it stops with the command in hand, which may be on disk by then.
        _ => ChargingFailure::UnknownFate { cause: FailureCause::Disconnected },
    }
}

/// Far longer than a commit takes; as over gRPC.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);
