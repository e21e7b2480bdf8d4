//! SessionService: what is open, and ending it.

use std::pin::Pin;

use charging_proto::convert;
use charging_proto::v1::session_service_server::SessionService;
use charging_proto::v1::{
    GetSessionRequest, GetSessionResponse, ListSessionsRequest, ReleaseSessionRequest, ReleaseSessionResponse,
    SessionSummary as WireSummary,
};
use ledger::{AccountKey, Books, Command, Outcome};
use tokio_stream::Stream;
use tonic::{Request, Response, Status};
use types::charging::{SessionPhase, SessionSummary};
use types::{AccountId, ClientId, ReleaseCause, SessionId, Tenant};

use super::charging::caller;
use super::status;
use crate::store::Core;

/// The service.
pub(super) struct Sessions {
    pub(super) core: Core,
}

type Summaries = Pin<Box<dyn Stream<Item = Result<WireSummary, Status>> + Send>>;

#[tonic::async_trait]
impl SessionService for Sessions {
    type ListStream = Summaries;

    async fn list(&self, request: Request<ListSessionsRequest>) -> Result<Response<Summaries>, Status> {
        let caller = caller(&request);
        let wanted = Wanted::read(request.into_inner())?;
        if let Some(bound) = caller.as_ref().filter(|caller| caller.is_bound()) {
            let client_id = wanted.client_id.as_ref();
            let client_id =
                client_id.ok_or_else(|| Status::permission_denied("this token may list only with a client_id"))?;
            status::may_act_for(Some(bound), client_id)?;
        }
        let sessions = self.core.query(move |books| wanted.find(books)).await;
        let sessions = sessions.map_err(|error| status::not_done(&error))?;
        let stream = tokio_stream::iter(sessions.into_iter().map(|session| Ok(session.into())));
        Ok(Response::new(Box::pin(stream)))
    }

    async fn get(&self, request: Request<GetSessionRequest>) -> Result<Response<GetSessionResponse>, Status> {
        let caller = caller(&request);
        let session_id = request.into_inner().session_id;
        let session_id: SessionId = convert::session_id("session_id", session_id).map_err(status::unreadable)?;
        let found = self.core.query(move |books| (books.session(&session_id), books.drawn(&session_id))).await;
        let (session, drawn) = found.map_err(|error| status::not_done(&error))?;
        if let Some(session) = &session {
            status::may_act_for(caller.as_ref(), &session.client_id)?;
        }
        let drawn = drawn.into_iter().map(Into::into).collect();
        Ok(Response::new(GetSessionResponse { session: session.map(Into::into), drawn }))
    }

    async fn release(
        &self,
        request: Request<ReleaseSessionRequest>,
    ) -> Result<Response<ReleaseSessionResponse>, Status> {
        let request = request.into_inner();
        let cause = match request.release_cause {
            Some(cause) => convert::release_cause("release_cause", cause).map_err(status::unreadable)?,
            None => ReleaseCause::Operator,
        };
        let session = self.find(request.session_id).await?;
        let session = session.ok_or_else(|| Status::not_found("no such session"))?;
        if session.phase != SessionPhase::Open {
            return Err(Status::failed_precondition("the session is not open"));
        }
        let (session_id, client_id) = (session.session_id.clone(), session.client_id.clone());
        let command = Command::Release { session_id: session_id.clone(), cause };
        match self.core.decide(command).await.map_err(|error| status::not_done(&error))? {
            Outcome::Done => {}
            other => return Err(status::unexpected(&other)),
        }
        let told = self.core.query(move |books| last_notification(books, &client_id, &session_id)).await;
        Ok(Response::new(ReleaseSessionResponse {
            session: Some(session.into()),
            notification_sequence: told.map_err(|error| status::not_done(&error))?,
        }))
    }
}

impl Sessions {
    async fn find(&self, session_id: String) -> Result<Option<SessionSummary>, Status> {
        let session_id: SessionId = convert::session_id("session_id", session_id).map_err(status::unreadable)?;
        let found = self.core.query(move |books| books.session(&session_id)).await;
        found.map_err(|error| status::not_done(&error))
    }
}

fn last_notification(books: &Books, client_id: &ClientId, session_id: &SessionId) -> u64 {
    let pending = books.notifications(client_id).into_iter();
    pending.filter(|notification| notification.session_id == *session_id).map(|one| one.sequence).max().unwrap_or(0)
}

/// The conditions of a list.
struct Wanted {
    client_id: Option<ClientId>,
    tenant: Option<Tenant>,
    account_id: Option<AccountId>,
    phases: Vec<SessionPhase>,
}

impl Wanted {
    fn read(request: ListSessionsRequest) -> Result<Self, Status> {
        let phases: Result<Vec<_>, _> =
            request.phases.into_iter().map(|phase| convert::session_phase("phases", phase)).collect();
        let mut phases = phases.map_err(status::unreadable)?;
        if phases.is_empty() {
            phases = vec![SessionPhase::Open, SessionPhase::Expired];
        }
        if request.account_id.is_some() && request.tenant.is_none() {
            return Err(Status::invalid_argument("account_id needs tenant"));
        }
        Ok(Self {
            client_id: request.client_id.map(ClientId::from),
            tenant: request.tenant.map(Tenant::from),
            account_id: request.account_id.map(AccountId::from),
            phases,
        })
    }

    fn find(&self, books: &Books) -> Vec<SessionSummary> {
        let settled = self.phases.iter().any(|phase| matches!(phase, SessionPhase::Closed | SessionPhase::Denied));
        let account = self.tenant.clone().zip(self.account_id.clone()).map(|(tenant, id)| AccountKey { tenant, id });
        let sessions: Vec<SessionSummary> = match &self.client_id {
            Some(client_id) if !settled => books.sessions_of(client_id),
            _ if settled => books.kept_sessions().collect(),
            _ => books.unsettled_sessions().collect(),
        };
        let fits = |session: &SessionSummary| {
            let payer = books.payer_of(&session.session_id);
            self.phases.contains(&session.phase)
                && self.client_id.as_ref().is_none_or(|client_id| *client_id == session.client_id)
                && self.tenant.as_ref().is_none_or(|tenant| payer.as_ref().is_some_and(|payer| payer.tenant == *tenant))
                && account.as_ref().is_none_or(|account| payer.as_ref() == Some(account))
        };
        sessions.into_iter().filter(fits).collect()
    }
}
