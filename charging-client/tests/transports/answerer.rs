//! The core behind every transport of the tests: answers, remembers by key, and can be told to hold its answers.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};

use tokio::sync::watch;
use types::charging::{
    ChargingAnswer, ChargingRequest, Notification, NotificationKind, Operation, ResultCode, SessionPhase,
    SessionSummary, UnitAnswer, Units,
};
use types::{ClientId, SessionId};

/// One request as it arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    pub session_id: String,
    pub request_number: u32,
    pub retransmission: bool,
}

pub fn arrival(session_id: &str, request_number: u32, retransmission: bool) -> Arrival {
    Arrival { session_id: session_id.into(), request_number, retransmission }
}

#[derive(Default)]
struct State {
    stored: HashMap<(SessionId, u32), ChargingAnswer>,
    sessions: HashMap<SessionId, SessionSummary>,
    arrivals: Vec<Arrival>,
    applied: Vec<(String, u32)>,
    busy_answers: u32,
    denies: bool,
    notifications: Vec<Notification>,
    confirmed: u64,
}

/// Whose answers are held.
#[derive(PartialEq)]
enum Hold {
    Nothing,
    Everything,
    Only(String),
}

pub struct Answerer {
    state: Mutex<State>,
    /// Changes with every arrival.
    arrived: watch::Sender<usize>,
    /// Changes with every notification and confirmation.
    notified: watch::Sender<u64>,
    held: watch::Sender<Hold>,
}

impl Default for Answerer {
    fn default() -> Self {
        Self {
            state: Mutex::default(),
            arrived: watch::Sender::new(0),
            notified: watch::Sender::new(0),
            held: watch::Sender::new(Hold::Nothing),
        }
    }
}

impl Answerer {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no test panics with the lock")
    }

    /// Applies a request at once, or finds what it answered before.
    pub fn accept(&self, request: &ChargingRequest) -> ChargingAnswer {
        let answer = self.apply(request);
        self.arrived.send_modify(|count| *count += 1);
        answer
    }

    fn apply(&self, request: &ChargingRequest) -> ChargingAnswer {
        let mut state = self.state();
        let session = request.session_id.as_str();
        state.arrivals.push(arrival(session, request.request_number, request.retransmission));
        let (session_id, number) = (request.session_id.clone(), request.request_number);
        if state.busy_answers > 0 {
            state.busy_answers -= 1;
            return ChargingAnswer::refusal(session_id, number, ResultCode::TOO_BUSY);
        }
        if let Some(stored) = state.stored.get(&(session_id.clone(), number)) {
            return stored.clone();
        }
        state.applied.push((session.to_owned(), number));
        let granted = UnitAnswer {
            rating_group: 0,
            service_identifier: None,
            result_code: ResultCode::SUCCESS,
            granted: Some(Units::time(30_000 + u64::from(number))),
            validity_time_ms: None,
            quota_threshold: None,
            quota_holding_time_ms: None,
            tariff_time_change: None,
            final_unit: None,
            billable: 0,
        };
        let denied = state.denies && request.operation == Operation::Initial;
        let code = if denied { ResultCode::CREDIT_LIMIT_REACHED } else { ResultCode::SUCCESS };
        let mut answer = ChargingAnswer::refusal(session_id.clone(), number, code);
        if !denied {
            answer.units = vec![granted];
        }
        state.stored.insert((session_id.clone(), number), answer.clone());
        state.sessions.insert(session_id, summary(request));
        answer
    }

    /// Waits while answers of this session are held.
    pub async fn released(&self, session_id: &SessionId) {
        let free = |hold: &Hold| match hold {
            Hold::Nothing => true,
            Hold::Everything => false,
            Hold::Only(held) => held != session_id.as_str(),
        };
        self.held.subscribe().wait_for(free).await.expect("the answerer lives");
    }

    pub fn hold(&self) {
        self.held.send_replace(Hold::Everything);
    }

    pub fn hold_only(&self, session_id: &str) {
        self.held.send_replace(Hold::Only(session_id.into()));
    }

    pub fn release(&self) {
        self.held.send_replace(Hold::Nothing);
    }

    /// The next so many requests are answered 3004.
    pub fn be_busy(&self, times: u32) {
        self.state().busy_answers = times;
    }

    /// New sessions are denied from now on.
    pub fn deny(&self) {
        self.state().denies = true;
    }

    /// Waits until so many requests have arrived in all.
    pub async fn arrivals(&self, count: usize) -> Vec<Arrival> {
        let mut arrived = self.arrived.subscribe();
        let enough = arrived.wait_for(|arrived| *arrived >= count);
        let waited = tokio::time::timeout(crate::PATIENCE, enough).await.map(|outcome| outcome.is_ok());
        assert_eq!(waited, Ok(true), "{count} requests never arrived: {:?}", self.state().arrivals);
        self.state().arrivals.clone()
    }

    /// Every key that had an effect, in order.
    pub fn applied(&self) -> Vec<(String, u32)> {
        self.state().applied.clone()
    }

    pub fn notify(&self, session_id: &str) -> u64 {
        let mut state = self.state();
        let sequence = state.notifications.last().map_or(0, |last| last.sequence) + 1;
        let session_id = SessionId::from(session_id);
        state.notifications.push(Notification { sequence, session_id, kind: NotificationKind::Reauthorize });
        drop(state);
        self.notified.send_modify(|count| *count += 1);
        sequence
    }

    pub fn confirm(&self, sequence: u64) {
        let mut state = self.state();
        state.confirmed = state.confirmed.max(sequence);
    }

    /// The next unconfirmed notification after `last`.
    pub async fn next_notification(&self, last: u64) -> Notification {
        let mut notified = self.notified.subscribe();
        loop {
            notified.mark_unchanged();
            let next = {
                let state = self.state();
                let after = last.max(state.confirmed);
                state.notifications.iter().find(|notification| notification.sequence > after).cloned()
            };
            match next {
                Some(notification) => return notification,
                None => notified.changed().await.expect("the answerer lives"),
            }
        }
    }

    pub fn sessions_of(&self, client_id: &ClientId) -> Vec<SessionSummary> {
        self.state().sessions.values().filter(|session| session.client_id == *client_id).cloned().collect()
    }

    pub fn session(&self, session_id: &SessionId) -> Option<SessionSummary> {
        self.state().sessions.get(session_id).cloned()
    }
}

fn summary(request: &ChargingRequest) -> SessionSummary {
    SessionSummary {
        session_id: request.session_id.clone(),
        client_id: request.client_id.clone(),
        phase: SessionPhase::Open,
        last_request_number: request.request_number,
        used_time_ms: 0,
        granted_time_ms: 30_000,
        final_grant: false,
        billable_ms: 0,
        cost: None,
        answer_time: None,
        updated: request.event_time,
        client_state: request.client_state.clone(),
    }
}
