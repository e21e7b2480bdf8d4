//! A tiny charging core for tests: one rate, money accounts, answers as the worked money examples say.

use std::collections::BTreeMap;

use types::charging::{
    ChargingAnswer, ChargingRequest, Cost, FinalUnit, FinalUnitAction, Operation, ResultCode, SessionPhase,
    SessionSummary, UnitAnswer, Units,
};
use types::{Money, SessionId};

/// A price in nano units: `connect` at the first use, `price` for each `increment_ms` begun.
#[derive(Debug, Clone, Copy)]
pub struct Rate {
    pub connect: i128,
    pub price: i128,
    pub increment_ms: u64,
}

/// 0.01 a second, in seconds.
pub const R1: Rate = Rate { connect: 0, price: 10_000_000, increment_ms: 1_000 };
/// 0.60 a minute, in minutes, 0.05 to connect.
pub const COARSE: Rate = Rate { connect: 50_000_000, price: 600_000_000, increment_ms: 60_000 };

/// Talk beyond the last grant that is not charged.
const CUT_TOLERANCE_MS: u64 = 1_000;

#[derive(Debug, Clone, Default)]
pub struct Account {
    pub balance: i128,
    pub blocked: bool,
}

#[derive(Debug, Clone, Default)]
struct Session {
    account: String,
    used_ms: u64,
    granted_ms: u64,
    charged: i128,
    held: i128,
    billable_ms: u64,
    overrun: i128,
    closed: bool,
    last: bool,
    answers: BTreeMap<u32, (ChargingRequest, ChargingAnswer)>,
}

#[derive(Debug, Clone)]
pub struct Core {
    rate: Rate,
    accounts: BTreeMap<String, Account>,
    sessions: BTreeMap<SessionId, Session>,
    /// Sessions that are to be told REAUTHORIZE.
    pub reauthorize: Vec<SessionId>,
}

impl Core {
    pub fn new(rate: Rate) -> Self {
        Self { rate, accounts: BTreeMap::new(), sessions: BTreeMap::new(), reauthorize: Vec::new() }
    }

    pub fn account(&mut self, id: &str) -> &mut Account {
        self.accounts.entry(id.to_owned()).or_default()
    }

    /// Adds money and asks every open session of the account to report.
    pub fn top_up(&mut self, id: &str, amount: &str) {
        self.account(id).balance += money(amount);
        self.tell_others(id, None);
    }

    /// Balance and what is held of it.
    pub fn balance(&self, id: &str) -> (Money, Money) {
        let held = self.sessions.values().filter(|session| session.account == id).map(|session| session.held).sum();
        (Money::from_nanos(self.accounts[id].balance), Money::from_nanos(held))
    }

    /// The session as `ListSessions` would show it.
    pub fn summary(&self, id: &SessionId) -> SessionSummary {
        let session = &self.sessions[id];
        let (last_request_number, (request, answer)) = session.answers.last_key_value().expect("it was opened");
        SessionSummary {
            session_id: id.clone(),
            client_id: request.client_id.clone(),
            phase: if session.closed { SessionPhase::Closed } else { SessionPhase::Open },
            last_request_number: *last_request_number,
            used_time_ms: session.used_ms,
            granted_time_ms: session.used_ms + session.granted_ms,
            final_grant: session.last,
            billable_ms: session.billable_ms,
            cost: answer.cost,
            answer_time: request.answer_time,
            updated: request.event_time,
            client_state: Vec::new(),
        }
    }

    pub fn charge(&mut self, request: &ChargingRequest) -> ChargingAnswer {
        let (id, number) = (&request.session_id, request.request_number);
        if let Some((seen, answer)) = self.sessions.get(id).and_then(|session| session.answers.get(&number)) {
            let same = seen.units == request.units && seen.operation == request.operation;
            let refusal = || ChargingAnswer::refusal(id.clone(), number, ResultCode::INVALID_VALUE);
            return if same { answer.clone() } else { refusal() };
        }
        match self.decide(request) {
            Ok(answer) => {
                let session = self.sessions.get_mut(id).expect("decided");
                session.answers.insert(number, (request.clone(), answer.clone()));
                answer
            }
            Err(code) => ChargingAnswer::refusal(id.clone(), number, code),
        }
    }

    fn decide(&mut self, request: &ChargingRequest) -> Result<ChargingAnswer, ResultCode> {
        let id = &request.session_id;
        let payer = request.subscribers.first().ok_or(ResultCode::USER_UNKNOWN)?.value.expose().to_owned();
        if request.operation == Operation::Initial {
            let account = self.accounts.get(&payer).ok_or(ResultCode::USER_UNKNOWN)?;
            if account.blocked {
                return Err(ResultCode::END_USER_SERVICE_DENIED);
            }
            if !request.called.as_ref().is_some_and(|called| called.expose().starts_with("+49")) {
                return Err(ResultCode::RATING_FAILED);
            }
            let session = Session { account: payer.clone(), ..Session::default() };
            self.sessions.insert(id.clone(), session);
        }
        if self.sessions.get(id).is_none_or(|session| session.closed) {
            return Err(ResultCode::UNKNOWN_SESSION);
        }
        let used_ms: u64 = request.units[0].used.iter().filter_map(|used| used.units.time_ms).sum();
        let closing = request.operation == Operation::Termination;
        self.use_up(id, used_ms, closing);
        let asked_ms = request.units[0].requested.and_then(|units| units.time_ms).filter(|_| !closing);
        let code = match asked_ms.map(|asked_ms| self.grant(id, asked_ms)) {
            Some(0) if request.operation == Operation::Initial => {
                self.sessions.remove(id);
                return Err(ResultCode::CREDIT_LIMIT_REACHED);
            }
            Some(0) => ResultCode::CREDIT_LIMIT_REACHED,
            _ => ResultCode::SUCCESS,
        };
        if closing {
            self.tell_others(&payer, Some(id));
        }
        Ok(self.answer(request, asked_ms.is_some(), code))
    }

    fn use_up(&mut self, id: &SessionId, used_ms: u64, closing: bool) {
        let session = self.sessions.get_mut(id).expect("checked");
        let reach_ms = session.used_ms + session.granted_ms;
        session.used_ms += used_ms;
        let beyond_ms = session.used_ms.saturating_sub(reach_ms);
        let charged_ms =
            if closing && beyond_ms <= CUT_TOLERANCE_MS { session.used_ms - beyond_ms } else { session.used_ms };
        let cost = price(self.rate, charged_ms);
        session.billable_ms = charged_ms.div_ceil(self.rate.increment_ms) * self.rate.increment_ms;
        let account = self.accounts.get_mut(&session.account).expect("checked");
        account.balance -= cost - session.charged;
        (session.charged, session.held, session.granted_ms, session.closed) = (cost, 0, 0, closing);
        session.overrun = (-account.balance).max(0);
    }

    /// Grants up to `asked_ms`, rounded up to whole increments, as far as the money goes.
    fn grant(&mut self, id: &SessionId, asked_ms: u64) -> u64 {
        let account = self.sessions[id].account.clone();
        let (balance, held) = self.balance(&account);
        let available = balance.nanos() - held.nanos();
        let (rate, session) = (self.rate, self.sessions.get_mut(id).expect("checked"));
        let paid = session.used_ms.div_ceil(rate.increment_ms);
        let wanted = session.used_ms.saturating_add(asked_ms).div_ceil(rate.increment_ms);
        let cost = |increments: u64| price(rate, increments * rate.increment_ms) - session.charged;
        let affordable = (available + session.charged - rate.connect).max(0) / rate.price;
        let total = u64::try_from(affordable).unwrap_or(u64::MAX).clamp(paid, wanted);
        session.held = cost(total).max(0);
        session.granted_ms = total * rate.increment_ms - session.used_ms;
        session.last = total < wanted;
        session.granted_ms
    }

    fn answer(&self, request: &ChargingRequest, asked: bool, code: ResultCode) -> ChargingAnswer {
        let session = &self.sessions[&request.session_id];
        let (balance, held) = self.balance(&session.account);
        let last = asked && session.last;
        let unit = UnitAnswer {
            rating_group: 0,
            service_identifier: None,
            result_code: code,
            granted: (asked && code.is_success()).then(|| Units::time(session.granted_ms)),
            validity_time_ms: None,
            quota_threshold: None,
            quota_holding_time_ms: None,
            tariff_time_change: None,
            final_unit: last.then(|| FinalUnit {
                action: FinalUnitAction::Terminate,
                redirect: None,
                filters: Vec::new(),
            }),
            billable: session.billable_ms,
        };
        ChargingAnswer {
            units: vec![unit],
            cost: Some(Cost {
                currency: "EUR".parse().expect("a currency"),
                amount: Money::from_nanos(session.charged),
                per_minute_rate: Some(Money::from_nanos(600_000_000)),
                overrun: Money::from_nanos(session.overrun),
            }),
            remaining_balance: Some(balance - held),
            low_balance: last,
            ..ChargingAnswer::refusal(request.session_id.clone(), request.request_number, ResultCode::SUCCESS)
        }
    }

    fn tell_others(&mut self, account: &str, except: Option<&SessionId>) {
        let others = self
            .sessions
            .iter()
            .filter(|(id, session)| session.account == account && !session.closed && Some(*id) != except);
        self.reauthorize.extend(others.map(|(id, _)| id.clone()));
    }
}

fn price(rate: Rate, used_ms: u64) -> i128 {
    if used_ms == 0 { 0 } else { rate.connect + rate.price * i128::from(used_ms.div_ceil(rate.increment_ms)) }
}

/// Decimal text to nano units.
pub fn money(text: &str) -> i128 {
    text.parse::<Money>().expect("an amount").nanos()
}
