//! The auditor: an independent model of the money. It reads requests and answers (and the records that agents write, and what a
//! query of an account or a session answers), has its own prices and its own books, and knows nothing of how the core decides.
//!
//! | rule | where |
//! |---|---|
//! | same key, same answer, bit for bit; other content under it is an error | `charged` |
//! | cost = price of all usage reported, whatever the slices | `session`, `agrees` |
//! | nothing is granted that is not there, and all that is there | `promise` |
//! | balance = paid in - charged; held = what open grants may still cost | `account_says` |
//! | below its limit only by recorded overrun | `account_says` |
//! | every reservation ends: by its client, or at its deadline, never before | `swept`, `nothing_is_overdue` |
//! | one START and one STOP for an answered call, with the session's final cost | `records` |
//! | at the end nothing is held and nothing is open | `finish` |
//!
//! What was decided and not answered when the core died has an unknown fate. Until whoever asked has asked again, the accounts
//! concerned are not compared; everything else is.

mod account;
mod price;
mod promise;
mod records;
mod session;

use std::collections::{BTreeMap, BTreeSet};

use ledger::AccountKey;
use types::charging::{
    BalanceDraw, ChargingAnswer, ChargingRequest, Operation, RequestedAction, ResultCode, SessionPhase, SessionSummary,
};
use types::{SessionId, UtcMs};

use crate::kinesis::dice::Dice;
use account::Account;
use records::Records;
pub(crate) use session::Terms;
use session::{Session, Stage, draws};

/// In the service's own unit.
pub(crate) fn amount(service: types::charging::Service, units: &types::charging::Units) -> u64 {
    session::amount(service, units)
}

type Checked = Result<(), String>;
type Key = (SessionId, u32);

/// See the module's documentation.
pub(crate) struct Auditor {
    terms: Terms,
    accounts: BTreeMap<String, Account>,
    sessions: BTreeMap<SessionId, Session>,
    /// What was answered under each key.
    answered: BTreeMap<Key, (ChargingRequest, ChargingAnswer)>,
    order: Vec<Key>,
    /// Requests and operations whose fate is not known.
    unknown: BTreeSet<Key>,
    unknown_operations: BTreeSet<String>,
    deadlines: BTreeSet<(UtcMs, SessionId)>,
    touched: BTreeSet<String>,
    /// Sessions of which a fate has become known.
    resolved: BTreeSet<SessionId>,
    /// Expired before anybody heard that they were open.
    early: BTreeMap<SessionId, (SessionSummary, Vec<BalanceDraw>, UtcMs)>,
    records: Records,
    pub answers: u64,
    pub copies: u64,
    pub expired: u64,
    pub last_grants: u64,
    pub overruns: u64,
}

impl Auditor {
    pub fn new(terms: Terms) -> Self {
        Self {
            terms,
            accounts: BTreeMap::new(),
            sessions: BTreeMap::new(),
            answered: BTreeMap::new(),
            order: Vec::new(),
            unknown: BTreeSet::new(),
            unknown_operations: BTreeSet::new(),
            deadlines: BTreeSet::new(),
            touched: BTreeSet::new(),
            resolved: BTreeSet::new(),
            early: BTreeMap::new(),
            records: Records::default(),
            answers: 0,
            copies: 0,
            expired: 0,
            last_grants: 0,
            overruns: 0,
        }
    }

    /// A charging request is answered at `now`, by the core's clock.
    pub fn charged(&mut self, request: &ChargingRequest, answer: &ChargingAnswer, now: UtcMs) -> Checked {
        self.answers += 1;
        let key = (request.session_id.clone(), request.request_number);
        if (&answer.session_id, answer.request_number) != (&key.0, key.1) {
            return Err(format!("the answer to {} {} names another request", key.0, key.1));
        }
        if let Some(RequestedAction::CheckBalance | RequestedAction::PriceEnquiry) = request.requested_action {
            return self.enquired(request, answer);
        }
        if let Some((first, earlier)) = self.answered.get(&key) {
            self.copies += 1;
            return if same_content(first, request) {
                self.is_the_answer(first, earlier, answer, now)
            } else {
                self.is_refused(request, answer, now)
            };
        }
        let outcome = self.take(&key, request, answer, now).map_err(|error| format!("{} {}: {error}", key.0, key.1));
        if self.unknown.remove(&key) {
            self.fate_known(&key.0, request);
        }
        outcome?;
        match self.early.remove(&key.0) {
            Some((summary, drawn, at)) => self.expire(&summary, &drawn, at),
            None => Ok(()),
        }
    }

    /// The same key again: the same answer, or that it is forgotten.
    pub fn is_the_answer(
        &self,
        request: &ChargingRequest,
        first: &ChargingAnswer,
        again: &ChargingAnswer,
        now: UtcMs,
    ) -> Checked {
        let forgotten = self.sessions.get(&request.session_id).and_then(|session| session.ended);
        let forgotten = forgotten.is_some_and(|ended| now.since(ended) > self.terms.window_ms);
        let gone = [ResultCode::EXPIRED, ResultCode::UNKNOWN_SESSION].contains(&again.result_code);
        if first == again || (forgotten && gone) {
            return Ok(());
        }
        let (session, number) = (&request.session_id, request.request_number);
        Err(format!("{session} {number} was answered otherwise before:\n  first {first:?}\n  again {again:?}"))
    }

    fn is_refused(&self, request: &ChargingRequest, answer: &ChargingAnswer, now: UtcMs) -> Checked {
        let code = answer.result_code;
        let forgotten = self.sessions.get(&request.session_id).and_then(|session| session.ended);
        let forgotten = forgotten.is_some_and(|ended| now.since(ended) > self.terms.window_ms);
        if code == ResultCode::INVALID_VALUE || (forgotten && !code.is_success()) {
            return Ok(());
        }
        Err(format!("{} {} with other content is answered {}", request.session_id, request.request_number, code.0))
    }

    fn take(&mut self, key: &Key, request: &ChargingRequest, answer: &ChargingAnswer, now: UtcMs) -> Checked {
        match answer.result_code {
            ResultCode::SUCCESS => {}
            ResultCode::UNKNOWN_SESSION => return self.unknown_session(request),
            ResultCode::EXPIRED => {
                let age_ms = now.since(request.event_time);
                return if age_ms > self.terms.window_ms {
                    Ok(())
                } else {
                    Err(format!("refused as too old after {age_ms} ms"))
                };
            }
            ResultCode::INVALID_VALUE if request.requested_action == Some(RequestedAction::Refund) => return Ok(()),
            _ => return self.denied(key, request, answer, now),
        }
        let opens = matches!(request.operation, Operation::Initial)
            || request.requested_action == Some(RequestedAction::DirectDebit);
        if !opens && !self.sessions.contains_key(&key.0) {
            return Err("answered, and nobody has seen it begin".to_owned());
        }
        if opens {
            let account = self.payer(request).ok_or("granted to an unknown account")?;
            self.may_begin(request, &account)?;
            self.sessions.insert(key.0.clone(), Session::new(request, &account));
        }
        self.promise(key, request, answer, now)?;
        self.keep(key, request, answer);
        Ok(())
    }

    fn keep(&mut self, key: &Key, request: &ChargingRequest, answer: &ChargingAnswer) {
        self.answered.insert(key.clone(), (request.clone(), answer.clone()));
        self.order.push(key.clone());
    }

    fn unknown_session(&self, request: &ChargingRequest) -> Checked {
        let Some(session) = self.sessions.get(&request.session_id) else { return Ok(()) };
        let live = matches!(session.stage, Stage::Open | Stage::Expired) && session.open_fates == 0;
        let late = session.terminated_by.is_some_and(|last| request.request_number < last);
        if live || (late && session.open_fates == 0) {
            return Err(format!("the core does not know a session that is {:?}", session.stage));
        }
        Ok(())
    }

    /// A new session or event is denied, and stays denied under its key.
    fn denied(&mut self, key: &Key, request: &ChargingRequest, answer: &ChargingAnswer, now: UtcMs) -> Checked {
        if !matches!(request.operation, Operation::Initial | Operation::Event) {
            let of_nobody = self.sessions.get(&key.0).is_some_and(|session| session.account.is_empty());
            if of_nobody && answer.result_code == ResultCode::USER_UNKNOWN {
                return Ok(());
            }
            return Err(format!("a running session is refused with {}", answer.result_code.0));
        }
        let account = self.payer(request);
        self.is_just(request, answer, account.as_deref())?;
        let mut session = Session::new(request, account.as_deref().unwrap_or(""));
        session.ended = Some(now);
        self.sessions.insert(key.0.clone(), session);
        self.keep(key, request, answer);
        Ok(())
    }

    /// The core settled a session that nobody reported in time; `summary` is what it says of it.
    pub fn swept(&mut self, summary: &SessionSummary, drawn: &[BalanceDraw], now: UtcMs) -> Checked {
        self.expired += 1;
        let id = &summary.session_id;
        let Some(session) = self.sessions.get(id) else {
            if !self.unknown.iter().any(|(unknown, _)| unknown == id) {
                return Err(format!("{id} expired and was never opened"));
            }
            self.early.insert(id.clone(), (summary.clone(), drawn.to_vec(), now));
            return Ok(());
        };
        let due = session.stage == Stage::Open && session.deadline.is_some_and(|deadline| deadline <= now);
        if !due && session.open_fates == 0 && !session.vague {
            return Err(format!(
                "{id} expired at {now:?}, due is {:?}, and it is {:?}",
                session.deadline, session.stage
            ));
        }
        self.expire(summary, drawn, now)
    }

    fn expire(&mut self, summary: &SessionSummary, drawn: &[BalanceDraw], now: UtcMs) -> Checked {
        let id = summary.session_id.clone();
        let told = summary.cost.map_or(0, |cost| cost.amount.nanos());
        let overrun = summary.cost.map_or(0, |cost| cost.overrun.nanos());
        let drawn = draws(drawn);
        self.change(&id, |session| {
            session.expire(now);
            (session.overrun, session.told) = (overrun, told);
            session.drawn = drawn;
        });
        self.agrees(&id, told)
    }

    /// Sessions that may have expired without anybody having been told.
    pub fn maybe_expired(&self, now: UtcMs) -> Vec<SessionId> {
        self.deadlines.iter().take_while(|(deadline, _)| *deadline <= now).map(|(_, id)| id.clone()).collect()
    }

    /// Sessions that a fate has become known of since the last look: a query tells where they stand.
    pub fn resolved(&mut self) -> BTreeSet<SessionId> {
        std::mem::take(&mut self.resolved)
    }

    /// What a query about a session answers.
    pub fn session_says(&mut self, summary: &SessionSummary, drawn: &[BalanceDraw], now: UtcMs) -> Checked {
        let Some(session) = self.sessions.get(&summary.session_id) else { return Ok(()) };
        if summary.phase == SessionPhase::Expired && session.stage == Stage::Open {
            // The former process settled it as its last deed, and could not tell.
            return self.swept(summary, drawn, now);
        }
        self.last_word(summary, drawn)
    }

    /// An answer that the former process decided and that is heard only now says what the session cost then, and may have
    /// overrun then; others may have been decided since, and heard before. Once all are known, the query says which was the last
    /// word: its cost is the price of all usage, and unless the session expired, one of the answers has said the same.
    fn last_word(&mut self, summary: &SessionSummary, drawn: &[BalanceDraw]) -> Checked {
        let id = &summary.session_id;
        let (Some(session), Some(cost)) = (self.sessions.get(id), summary.cost) else { return Ok(()) };
        if !session.vague || session.open_fates > 0 {
            return Ok(());
        }
        let same = |answer: &ChargingAnswer| {
            answer.cost.is_some_and(|told| (told.amount, told.overrun) == (cost.amount, cost.overrun))
        };
        let mut answers = self.answered.range((id.clone(), 0)..=(id.clone(), u32::MAX));
        if session.stage != Stage::Expired && !answers.any(|(_, (_, answer))| same(answer)) {
            return Err(format!("{id} is said to cost {cost:?}, and no answer said so"));
        }
        let (id, drawn) = (id.clone(), draws(drawn));
        self.change(&id, |session| {
            (session.told, session.overrun) = (cost.amount.nanos(), cost.overrun.nanos());
            session.drawn = drawn;
        });
        self.agrees(&id, cost.amount.nanos())
    }

    /// After a sweep nothing is open that should have ended.
    pub fn nothing_is_overdue(&self, now: UtcMs) -> Checked {
        let overdue = self.deadlines.iter().take_while(|(deadline, _)| *deadline <= now);
        let certain = overdue.filter(|(_, id)| self.sessions.get(id).is_some_and(|session| session.open_fates == 0));
        match certain.map(|(deadline, id)| format!("{id} is still open, it was due at {deadline:?}")).next() {
            Some(fault) => Err(fault),
            None => Ok(()),
        }
    }

    /// Something decided and not answered when the core died.
    pub fn fate_unknown(&mut self, command: &ledger::Command) {
        let ledger::Command::Charge(request) = command else {
            return self.operation_unknown(command);
        };
        let enquiry =
            matches!(request.requested_action, Some(RequestedAction::CheckBalance | RequestedAction::PriceEnquiry));
        let key = (request.session_id.clone(), request.request_number);
        let session = self.sessions.get(&request.session_id);
        let uses = request.units.iter().any(|unit| !unit.used.is_empty());
        let changes_nothing = session.filter(|session| session.stage == Stage::Denied).is_some_and(|session| {
            // Usage after all, of a call that went on without the core, is charged; an end is kept under its key. But nobody pays for
            // an account that there is not.
            session.account.is_empty() || (request.operation == Operation::Update && !uses)
        });
        if changes_nothing && matches!(request.operation, Operation::Update | Operation::Termination) {
            // It is not kept under its key either, so it may be a copy that nobody asks again.
            return;
        }
        if enquiry || self.answered.contains_key(&key) || !self.unknown.insert(key) {
            return;
        }
        if let Some(session) = self.sessions.get_mut(&request.session_id) {
            session.open_fates += 1;
        }
        if let Some(account) = self.account_of(request).and_then(|id| self.accounts.get_mut(&id)) {
            account.open_fates += 1;
        }
    }

    fn fate_known(&mut self, id: &SessionId, request: &ChargingRequest) {
        if let Some(session) = self.sessions.get_mut(id) {
            session.open_fates = session.open_fates.saturating_sub(1);
            session.vague = true;
            self.resolved.insert(id.clone());
        }
        if let Some(account) = self.account_of(request).and_then(|id| self.accounts.get_mut(&id)) {
            account.open_fates = account.open_fates.saturating_sub(1);
        }
    }

    fn account_of(&self, request: &ChargingRequest) -> Option<String> {
        let of_session = self.sessions.get(&request.session_id).map(|session| session.account.clone());
        of_session.filter(|account| !account.is_empty()).or_else(|| self.payer(request))
    }

    /// Changes a session, and the books of its account by the difference.
    fn change(&mut self, id: &SessionId, change: impl FnOnce(&mut Session)) {
        let Some(session) = self.sessions.get_mut(id) else { return };
        let before = session.clone();
        change(session);
        let after = session.clone();
        if before.deadline != after.deadline {
            if let Some(deadline) = before.deadline {
                self.deadlines.remove(&(deadline, id.clone()));
            }
            if let Some(deadline) = after.deadline {
                self.deadlines.insert((deadline, id.clone()));
            }
        }
        let Some(account) = self.accounts.get_mut(&after.account) else { return };
        account.moved(&before, &after, id);
        self.touched.insert(after.account);
    }

    /// Answered requests of the past, any of them.
    pub fn some_of_the_past<'a>(
        &'a self,
        dice: &mut Dice,
        count: usize,
    ) -> Vec<(&'a ChargingRequest, &'a ChargingAnswer)> {
        let many = u64::try_from(self.order.len()).unwrap_or(0);
        let picks = (0..count.min(self.order.len())).map(|_| usize::try_from(dice.below(many)).unwrap_or(0));
        let found = picks.filter_map(|at| self.order.get(at).and_then(|key| self.answered.get(key)));
        found.map(|(request, answer)| (request, answer)).collect()
    }

    pub fn all_accounts(&self) -> Vec<AccountKey> {
        self.accounts.keys().map(|id| account::key(id)).collect()
    }

    /// Accounts that something happened to since the last look.
    pub fn touched(&mut self) -> Vec<AccountKey> {
        std::mem::take(&mut self.touched).iter().map(|id| account::key(id)).collect()
    }

    /// The day is over: everything was answered, every call has ended.
    pub fn finish(&self) -> Checked {
        if let Some((deadline, id)) = self.deadlines.first() {
            return Err(format!("{id} is open for ever, due at {deadline:?}"));
        }
        if let Some((id, number)) = self.unknown.first() {
            return Err(format!("the fate of {id} {number} is unknown for ever"));
        }
        for (id, account) in &self.accounts {
            account.finish(id)?;
        }
        self.records.finish(&self.sessions)
    }

    pub fn count_sessions(&self) -> usize {
        self.sessions.len()
    }

    pub fn count_records(&self) -> usize {
        self.records.count()
    }
}

/// Whether a copy asks for the same. Whether it is one, and what the client keeps with it, do not count: a TERMINATION may be kept
/// with more while it waits.
fn same_content(first: &ChargingRequest, again: &ChargingRequest) -> bool {
    let plain = |request: &ChargingRequest| {
        let (retransmission, client_state) = (false, Vec::new());
        ChargingRequest { retransmission, client_state, ..request.clone() }
    };
    plain(first) == plain(again)
}
