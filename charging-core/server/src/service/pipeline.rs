//! One stream of requests: read, handed to the ledger and answered as the answers are taken, all in the connection's own task.
//!
//! Up to [`IN_FLIGHT`] requests are in work at once, and as many as the client's budget allows. The ledger decides in the order
//! in which it is asked, so a session's requests stay in theirs. A client that does not read its answers is not read from any
//! more: nobody asks this stream for more then.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use charging_proto::v1::{ChargingDataRequest, ChargingDataResponse};
use ledger::Command;
use prost::Message as _;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio_stream::Stream;
use tonic::{Status, Streaming};
use types::SessionId;
use types::charging::{ChargingAnswer, ChargingRequest, ResultCode};

use super::charging::{answer_of, may_act};
use super::guard::Caller;
use super::{Stopping, status};
use crate::store::{Core, Decided, Reply, Told};

type Answer = Result<ChargingDataResponse, Status>;
/// Shared with the ledger: what it has of a connection that broke is in work, too.
type Budgeted = Option<Arc<OwnedSemaphorePermit>>;
type Budget = Pin<Box<dyn Future<Output = Option<OwnedSemaphorePermit>> + Send>>;

pub(super) struct Pipeline {
    core: Core,
    caller: Option<Caller>,
    /// Absent when no more come.
    requests: Option<Streaming<ChargingDataRequest>>,
    stopping: Pin<Box<dyn Stream<Item = ()> + Send>>,
    decided: mpsc::UnboundedReceiver<Told>,
    decides: mpsc::UnboundedSender<Told>,
    /// Of what was decided together, the rest.
    together: std::vec::IntoIter<(u64, Decided)>,
    /// In the order in which they were handed to the ledger.
    in_work: VecDeque<InWork>,
    next_ticket: u64,
    /// The request that waits for the client's budget.
    held: Option<(ChargingRequest, Budget)>,
    /// Answers that the ledger was not asked for.
    refused: VecDeque<Answer>,
}

/// A request that the ledger has.
struct InWork {
    ticket: u64,
    session_id: SessionId,
    number: u32,
    _budget: Budgeted,
}

impl Pipeline {
    pub(super) fn new(
        core: Core,
        caller: Option<Caller>,
        requests: Streaming<ChargingDataRequest>,
        stopping: Stopping,
    ) -> Self {
        let (decides, decided) = mpsc::unbounded_channel();
        Self {
            core,
            stopping: Box::pin(stopping.or_turned_out(caller.clone())),
            caller,
            requests: Some(requests),
            decided,
            decides,
            together: Vec::new().into_iter(),
            in_work: VecDeque::new(),
            next_ticket: 0,
            held: None,
            refused: VecDeque::new(),
        }
    }

    /// Takes what there is, as far as there is room.
    fn poll_requests(&mut self, context: &mut Context<'_>) {
        if self.requests.is_some() && self.stopping.as_mut().poll_next(context).is_ready() {
            self.requests = None;
        }
        while self.in_work.len() < IN_FLIGHT && self.refused.is_empty() {
            if let Some((_, budget)) = &mut self.held {
                let Poll::Ready(budget) = budget.as_mut().poll(context) else { return };
                let Some((request, _)) = self.held.take() else { return };
                self.submit(request, budget);
                continue;
            }
            let Some(requests) = &mut self.requests else { return };
            match Pin::new(requests).poll_next(context) {
                Poll::Pending => return,
                Poll::Ready(Some(Ok(request))) => self.take(request),
                // The connection broke: what is in work is still decided, and its copy gets the stored answer.
                Poll::Ready(None | Some(Err(_))) => self.requests = None,
            }
        }
    }

    fn take(&mut self, wire: ChargingDataRequest) {
        let octets = wire.encoded_len();
        // Told where the rest cannot be read.
        let (named, number) = (wire.session_id.clone(), wire.request_number);
        let request = match ChargingRequest::try_from(wire) {
            Ok(request) => request,
            Err(_) if !named.is_empty() => {
                return self.refuse(named.into(), number, ResultCode::INVALID_VALUE);
            }
            Err(error) => {
                self.refused.push_back(Err(status::unreadable(error)));
                self.requests = None;
                return;
            }
        };
        if !may_act(self.caller.as_ref(), &request) {
            return self.refuse(request.session_id, number, ResultCode::AUTHORIZATION_REJECTED);
        }
        let Some(caller) = &self.caller else { return self.submit(request, None) };
        match caller.work_now(octets) {
            Some(budget) => self.submit(request, Some(budget)),
            None => self.held = Some((request, Box::pin(caller.work(octets)))),
        }
    }

    fn submit(&mut self, request: ChargingRequest, budget: Option<OwnedSemaphorePermit>) {
        let ticket = self.next_ticket;
        self.next_ticket = ticket.wrapping_add(1);
        let (session_id, number) = (request.session_id.clone(), request.request_number);
        let budget: Budgeted = budget.map(Arc::new);
        self.in_work.push_back(InWork { ticket, session_id, number, _budget: budget.clone() });
        let reply = Reply::among(self.decides.clone(), ticket, budget);
        self.core.submit(Command::Charge(Box::new(request)), reply);
    }

    fn refuse(&mut self, session_id: SessionId, number: u32, code: ResultCode) {
        self.refused.push_back(Ok(ChargingAnswer::refusal(session_id, number, code).into()));
    }

    /// The next outcome of the ledger, as an answer.
    fn poll_decided(&mut self, context: &mut Context<'_>) -> Poll<Answer> {
        loop {
            let Some((ticket, decided)) = self.together.next() else {
                // It never ends: this side has a sender, too.
                let Some(together) = ready!(self.decided.poll_recv(context)) else { return Poll::Pending };
                self.together = together.into_iter();
                continue;
            };
            // The first one, but for a command that was not taken because too many wait.
            let Some(place) = self.in_work.iter().position(|asked| asked.ticket == ticket) else { continue };
            let Some(asked) = self.in_work.remove(place) else { continue };
            let answer = answer_of(decided, asked.session_id, asked.number);
            return Poll::Ready(answer.map(Into::into).map_err(|error| status::not_done(&error)));
        }
    }
}

impl Stream for Pipeline {
    type Item = Answer;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Answer>> {
        let this = &mut *self;
        if let Some(answer) = this.refused.pop_front() {
            return Poll::Ready(Some(answer));
        }
        if let Poll::Ready(answer) = this.poll_decided(context) {
            return Poll::Ready(Some(answer));
        }
        this.poll_requests(context);
        if let Some(answer) = this.refused.pop_front() {
            return Poll::Ready(Some(answer));
        }
        // A command that is not taken is answered at once; and who reads much reads again soon.
        if let Poll::Ready(answer) = this.poll_decided(context) {
            return Poll::Ready(Some(answer));
        }
        let over = this.requests.is_none() && this.in_work.is_empty() && this.held.is_none();
        if over { Poll::Ready(None) } else { Poll::Pending }
    }
}

/// Requests of one stream in work at once.
const IN_FLIGHT: usize = 1024;
