//! ChargingService: requests one by one or pipelined, and notifications.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;

use charging_proto::v1::charging_service_server::ChargingService;
use charging_proto::v1::{
    ChargingDataRequest, ChargingDataResponse, ConfirmNotificationsRequest, ConfirmNotificationsResponse, Notification,
    NotifyRequest,
};
use ledger::{Command, Outcome};
use prost::Message as _;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt};
use tonic::{Request, Response, Status, Streaming};
use types::charging::{ChargingAnswer, ChargingRequest, ResultCode};
use types::{ClientId, SessionId};

use super::guard::Caller;
use super::{Stopping, status, turned_out};
use crate::store::{Core, CoreError};

/// The service.
pub(super) struct Charging {
    pub(super) core: Core,
    pub(super) stopping: Stopping,
}

type Answers = Pin<Box<dyn Stream<Item = Result<ChargingDataResponse, Status>> + Send>>;
type Notifications = Pin<Box<dyn Stream<Item = Result<Notification, Status>> + Send>>;

#[tonic::async_trait]
impl ChargingService for Charging {
    async fn charge(&self, request: Request<ChargingDataRequest>) -> Result<Response<ChargingDataResponse>, Status> {
        let caller = caller(&request);
        let request = ChargingRequest::try_from(request.into_inner()).map_err(status::unreadable)?;
        match charge(&self.core, caller.as_ref(), request).await {
            Ok(answer) => Ok(Response::new(answer.into())),
            Err(error) => Err(status::not_done(&error)),
        }
    }

    type ChargeStreamStream = Answers;

    async fn charge_stream(
        &self,
        requests: Request<Streaming<ChargingDataRequest>>,
    ) -> Result<Response<Answers>, Status> {
        let (answers, answered) = mpsc::channel(IN_FLIGHT);
        let from = Sender { core: self.core.clone(), caller: caller(&requests) };
        tokio::spawn(pipeline(from, requests.into_inner(), answers, self.stopping.clone()));
        Ok(Response::new(Box::pin(ReceiverStream::new(answered))))
    }

    type NotifyStream = Notifications;

    async fn notify(&self, request: Request<NotifyRequest>) -> Result<Response<Notifications>, Status> {
        let caller = caller(&request);
        let client_id = request.into_inner().client_id;
        let client_id: ClientId =
            charging_proto::convert::required("client_id", client_id).map_err(status::unreadable)?;
        status::may_act_for(caller.as_ref(), &client_id)?;
        let subscription = self.core.subscribe(client_id).await.map_err(|error| status::not_done(&error))?;
        let notifications = ReceiverStream::new(subscription).map(|notification| Some(Ok(notification.into())));
        // Nothing is lost by the end: what was not confirmed is sent again at the next subscription.
        let end = self.stopping.clone().or_turned_out(caller).map(|()| None);
        let whole = notifications.chain(tokio_stream::once(None));
        Ok(Response::new(Box::pin(whole.merge(end).map_while(|next| next))))
    }

    async fn confirm_notifications(
        &self,
        request: Request<ConfirmNotificationsRequest>,
    ) -> Result<Response<ConfirmNotificationsResponse>, Status> {
        let caller = caller(&request);
        let request = request.into_inner();
        let client_id: ClientId =
            charging_proto::convert::required("client_id", request.client_id).map_err(status::unreadable)?;
        status::may_act_for(caller.as_ref(), &client_id)?;
        let command = Command::ConfirmNotifications { client_id, through: request.sequence };
        match self.core.decide(command).await {
            Ok(Outcome::Done) => Ok(Response::new(ConfirmNotificationsResponse {})),
            Ok(outcome) => Err(status::unexpected(&outcome)),
            Err(error) => Err(status::not_done(&error)),
        }
    }
}

/// Who calls; absent only where no guard stands in front of the services.
pub(super) fn caller<T>(request: &Request<T>) -> Option<Caller> {
    request.extensions().get::<Caller>().cloned()
}

async fn charge(core: &Core, caller: Option<&Caller>, request: ChargingRequest) -> Result<ChargingAnswer, CoreError> {
    let (session_id, number) = (request.session_id.clone(), request.request_number);
    if caller.is_some_and(|caller| !caller.may_act_for(&request.client_id)) {
        return Ok(ChargingAnswer::refusal(session_id, number, ResultCode::AUTHORIZATION_REJECTED));
    }
    match core.decide(Command::Charge(Box::new(request))).await {
        Ok(Outcome::Charged(charged)) => Ok(charged.answer),
        Ok(_) => Ok(ChargingAnswer::refusal(session_id, number, ResultCode::UNABLE_TO_COMPLY)),
        Err(CoreError::TooBusy { .. } | CoreError::DiskFull) => {
            Ok(ChargingAnswer::refusal(session_id, number, ResultCode::TOO_BUSY))
        }
        Err(CoreError::TooLarge { .. }) => Ok(ChargingAnswer::refusal(session_id, number, ResultCode::INVALID_VALUE)),
        Err(error) => Err(error),
    }
}

/// Where a stream's requests go, and who sends them.
struct Sender {
    core: Core,
    caller: Option<Caller>,
}

/// Requests of one stream: up to [`IN_FLIGHT`] at once and as many as the client's budget allows, one session's in the
/// order sent. A client that does not read its answers is not read from any more.
async fn pipeline(
    from: Sender,
    mut requests: Streaming<ChargingDataRequest>,
    answers: mpsc::Sender<Result<ChargingDataResponse, Status>>,
    mut stopping: Stopping,
) {
    let mut turned_out = std::pin::pin!(turned_out(from.caller.clone()));
    let room = Arc::new(Semaphore::new(IN_FLIGHT));
    let mut running = JoinSet::new();
    // The last request of each session that is in flight: its successor waits for it.
    let mut last_of: HashMap<SessionId, Arc<Semaphore>> = HashMap::new();
    loop {
        let received = tokio::select! {
            received = requests.next() => received,
            () = stopping.begun() => None,
            () = &mut turned_out => None,
        };
        let Some(received) = received else { break };
        let (session_id, number, octets) = match &received {
            Ok(request) => (request.session_id.clone(), request.request_number, request.encoded_len()),
            // The connection broke: what is in flight is still decided, and its copy gets the stored answer.
            Err(_) => break,
        };
        let request = match received.map(ChargingRequest::try_from) {
            Ok(Ok(request)) => request,
            Ok(Err(_)) if !session_id.is_empty() => {
                let refusal = ChargingAnswer::refusal(session_id.into(), number, ResultCode::INVALID_VALUE);
                if answers.send(Ok(refusal.into())).await.is_err() {
                    break;
                }
                continue;
            }
            Ok(Err(error)) => {
                drop(answers.send(Err(status::unreadable(error))).await);
                break;
            }
            Err(_) => break,
        };
        let Ok(place) = Arc::clone(&room).acquire_owned().await else { break };
        let budget = match &from.caller {
            Some(caller) => caller.work(octets).await,
            None => None,
        };
        if last_of.len() > 2 * IN_FLIGHT {
            last_of.retain(|_, done| !done.is_closed());
        }
        let done = Arc::new(Semaphore::new(0));
        let before = last_of.insert(request.session_id.clone(), Arc::clone(&done));
        let (core, caller, answers) = (from.core.clone(), from.caller.clone(), answers.clone());
        running.spawn(async move {
            if let Some(before) = before {
                // Closed when the request before it is answered; it never gives permits.
                drop(before.acquire().await);
            }
            let done = Done(done);
            let answer = charge(&core, caller.as_ref(), request).await;
            drop(done);
            let answer = answer.map(Into::into).map_err(|error| status::not_done(&error));
            // A client that is gone asks again.
            drop(answers.send(answer).await);
            drop((place, budget));
        });
        while running.try_join_next().is_some() {}
    }
    while running.join_next().await.is_some() {}
}

/// Lets the next request of the session go, whatever became of this one.
struct Done(Arc<Semaphore>);

impl Drop for Done {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Requests of one stream in work at once.
const IN_FLIGHT: usize = 1024;
