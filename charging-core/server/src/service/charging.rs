//! ChargingService: requests one by one or pipelined, and notifications.

use std::pin::Pin;
use std::sync::Arc;

use charging_proto::v1::charging_service_server::ChargingService;
use charging_proto::v1::{
    ChargingDataRequest, ChargingDataResponse, ConfirmNotificationsRequest, ConfirmNotificationsResponse, Notification,
    NotifyRequest,
};
use ledger::{Command, Outcome};
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt};
use tonic::{Request, Response, Status, Streaming};
use types::charging::{ChargingAnswer, ChargingRequest, ResultCode};
use types::{ClientId, SessionId};

use super::guard::Caller;
use super::pipeline::Pipeline;
use super::{Stopping, status};
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
        let caller = caller(&requests);
        Ok(Response::new(Box::pin(Pipeline::new(
            self.core.clone(),
            caller,
            requests.into_inner(),
            self.stopping.clone(),
        ))))
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
    if !may_act(caller, &request) {
        return Ok(ChargingAnswer::refusal(session_id, number, ResultCode::AUTHORIZATION_REJECTED));
    }
    answer_of(core.decide(Command::Charge(Box::new(request))).await, session_id, number)
}

pub(super) fn may_act(caller: Option<&Caller>, request: &ChargingRequest) -> bool {
    caller.is_none_or(|caller| caller.may_act_for(&request.client_id))
}

/// What a client is told.
pub(super) fn answer_of(
    decided: Result<Outcome, CoreError>,
    session_id: SessionId,
    number: u32,
) -> Result<ChargingAnswer, CoreError> {
    match decided {
        Ok(Outcome::Charged(charged)) => Ok(Arc::unwrap_or_clone(charged.answer)),
        Ok(_) => Ok(ChargingAnswer::refusal(session_id, number, ResultCode::UNABLE_TO_COMPLY)),
        Err(CoreError::TooBusy { .. } | CoreError::DiskFull) => {
            Ok(ChargingAnswer::refusal(session_id, number, ResultCode::TOO_BUSY))
        }
        Err(CoreError::TooLarge { .. }) => Ok(ChargingAnswer::refusal(session_id, number, ResultCode::INVALID_VALUE)),
        Err(error) => Err(error),
    }
}
