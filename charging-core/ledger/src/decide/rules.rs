//! The policy at work: who may begin, what a session may cost, what is counted, and who must end.

use std::borrow::Cow;

use types::charging::NotificationKind;
use types::{Money, ReleaseCause, SessionId, UtcMs};

use super::Turn;
use super::sheet::{Cap, Sheet};
use crate::account::{Account, AccountKey};
use crate::books::Books;
use crate::change::{Change, Counted};
use crate::policy::{AccountLimits, DestinationRule, LimitsView, Policy, PolicyDenial};
use crate::pricing::Pricing;
use crate::session::Session;
use crate::settings::Settings;

/// The rules for one account.
pub(super) struct Rules<'a> {
    turn: Turn<'a>,
    account: &'a Account,
    own: Option<&'a AccountLimits>,
    /// Without classes of destinations.
    policy: Cow<'a, Policy>,
}

impl<'a> Rules<'a> {
    pub fn of(turn: &Turn<'a>, account: &'a Account) -> Self {
        match turn.books.own_limits(account.number) {
            None => Self { turn: *turn, account, own: None, policy: Cow::Borrowed(&turn.settings.policy) },
            Some(own) => Self::with(turn, account, own),
        }
    }

    /// The rules as they are with these limits of the account's own.
    pub fn with(turn: &Turn<'a>, account: &'a Account, own: &'a AccountLimits) -> Self {
        let policy = Cow::Owned(turn.settings.policy.amounts_with(own));
        Self { turn: *turn, account, own: Some(own), policy }
    }

    fn rule_for(&self, called: Option<&str>) -> DestinationRule {
        self.turn.settings.policy.rule_for(called, self.own)
    }

    /// Whether something new may begin: an event, or a session, which is open for a while.
    pub fn admit(&self, called: Option<&str>, stays_open: bool) -> Result<(), PolicyDenial> {
        let books = self.turn.books;
        let limit = self.policy.maximum_sessions.and_then(|limit| usize::try_from(limit).ok());
        if !self.allows(called) {
            return Err(PolicyDenial::Destination);
        }
        if let Some(limit) = limit.filter(|_| stays_open)
            && books.open_count(self.account.number) >= limit
        {
            return Err(PolicyDenial::Sessions);
        }
        let starts = books.activity(self.account.number).map_or(0, |lately| lately.starts_last_minute(self.turn.now));
        match self.policy.maximum_new_sessions_per_minute {
            Some(limit) if starts >= limit => Err(PolicyDenial::Velocity),
            _ => Ok(()),
        }
    }

    /// Whether the destination may be called at all.
    pub fn allows(&self, called: Option<&str>) -> bool {
        self.rule_for(called) != DestinationRule::Denied
    }

    /// The most that a session may cost in all; absent: no rule.
    pub fn cap(&self, called: Option<&str>, session: Option<&Session>, cost_before: Money) -> Option<Cap> {
        let call = self.cap_of_call(called).map(|cost| Cap { cost, rule: PolicyDenial::CostPerCall });
        if !self.policy.counts_cost() {
            return call;
        }
        let others = self.pledged(session.map(|session| &session.id));
        let (hour, day) = self.spent();
        let over_time = |limit: Option<Money>, spent: Money, rule: PolicyDenial| {
            limit.map(|limit| Cap { cost: limit - spent - others + cost_before, rule })
        };
        let caps = [
            call,
            over_time(self.policy.maximum_cost_per_hour, hour, PolicyDenial::CostPerHour),
            over_time(self.policy.maximum_cost_per_day, day, PolicyDenial::CostPerDay),
        ];
        caps.into_iter().flatten().min_by_key(|cap| cap.cost)
    }

    fn cap_of_call(&self, called: Option<&str>) -> Option<Money> {
        match self.rule_for(called) {
            DestinationRule::MaximumCostPerCall(limit) => Some(limit),
            _ => self.policy.maximum_cost_per_call,
        }
    }

    /// What must be counted about a session after its sheet; absent where no limit over time applies.
    pub fn counted(&self, sheet: &Sheet<'_>, session_id: &SessionId, started: bool) -> Option<Counted> {
        let counts = self.policy.counts_cost();
        let started = started && self.policy.maximum_new_sessions_per_minute.is_some();
        let pledged = if counts { sheet.pledged() } else { Money::ZERO };
        let cost = if counts { sheet.cost() - sheet.cost_before() } else { Money::ZERO };
        let changes = !cost.is_zero() || pledged != self.turn.books.pledge_of(self.account.number, session_id);
        // Most accounts have no such limits: nothing is made for them.
        (started || changes).then(|| Counted {
            session_id: session_id.clone(),
            at: self.turn.now,
            day: self.day(),
            cost,
            pledged,
            started,
        })
    }

    /// ABORT for the sessions whose grants the hour or the day does not allow any more, after `counted`.
    pub fn aborts_after(&self, counted: &Counted, first: usize) -> Vec<Change> {
        let (hour, day) = self.spent();
        let others = self.pledged(Some(&counted.session_id));
        let sum = counted.cost + others + counted.pledged;
        let over = |limit: Option<Money>, spent: Money| limit.is_some_and(|limit| spent + sum > limit);
        if !over(self.policy.maximum_cost_per_hour, hour) && !over(self.policy.maximum_cost_per_day, day) {
            return Vec::new();
        }
        let pledges = |session: &&Session| {
            let its_own = session.id == counted.session_id;
            let other = || self.turn.books.pledge_of(self.account.number, &session.id);
            let pledged = if its_own { counted.pledged } else { other() };
            pledged > Money::ZERO
        };
        self.end(self.turn.books.open_on(self.account.number).filter(pledges), first)
    }

    /// ABORT for the open sessions that the rules do not allow: used when the rules are new.
    pub fn aborts(&self) -> Vec<Change> {
        let books = self.turn.books;
        let (hour, day) = self.spent();
        let pledged = self.pledged(None);
        let over = |limit: Option<Money>, spent: Money| limit.is_some_and(|limit| spent + pledged > limit);
        let is_over = over(self.policy.maximum_cost_per_hour, hour) || over(self.policy.maximum_cost_per_day, day);
        let must_end = |session: &&Session| {
            let sheet = Sheet::of_session(&self.turn, self.account, session);
            let called = sheet.called();
            // Pseudoprepaid sessions hold what they cost already.
            let worth = (session.charged() + session.held()).max(sheet.cost());
            !self.allows(called)
                || (is_over && books.pledge_of(self.account.number, &session.id) > Money::ZERO)
                || self.cap_of_call(called).is_some_and(|cap| worth > cap)
        };
        self.end(books.open_on(self.account.number).filter(must_end), 0)
    }

    /// `first` notifications are made by the same decision already.
    fn end<'s>(&self, sessions: impl Iterator<Item = &'s Session>, first: usize) -> Vec<Change> {
        let is_told = |session: &&Session| {
            let of_session = |pending: &&types::charging::Notification| pending.session_id == session.id;
            let mut pending = self.turn.books.pending(&session.client_id).filter(of_session);
            pending.any(|pending| matches!(pending.kind, NotificationKind::Abort(_)))
        };
        let sessions = sessions.filter(|session| !is_told(session));
        self.turn.notify_after(first, sessions, NotificationKind::Abort(ReleaseCause::Policy))
    }

    fn spent(&self) -> (Money, Money) {
        let lately = self.turn.books.activity(self.account.number);
        let hour = lately.map_or(Money::ZERO, |lately| lately.cost_last_hour(self.turn.now));
        (hour, lately.map_or(Money::ZERO, |lately| lately.cost_of_day(self.day())))
    }

    /// What open sessions may still use of their grants, but for one.
    fn pledged(&self, but: Option<&SessionId>) -> Money {
        self.turn.books.pledged_on(self.account.number, but)
    }

    fn day(&self) -> i64 {
        let tenant = self.turn.books.tenant_of(self.account);
        tenant.map_or(0, |tenant| self.turn.pricing.day_of(tenant, self.turn.now))
    }

    /// The limits as they are shown, with the account's own ones.
    pub fn view(&self, own: &AccountLimits) -> LimitsView {
        let books = self.turn.books;
        let lately = books.activity(self.account.number);
        let (cost_last_hour, cost_today) = self.spent();
        LimitsView {
            own: own.clone(),
            effective: self.turn.settings.policy.with(own),
            currency: self.account.currency,
            open_sessions: u32::try_from(books.open_count(self.account.number)).unwrap_or(u32::MAX),
            new_sessions_last_minute: lately.map_or(0, |lately| lately.starts_last_minute(self.turn.now)),
            cost_last_hour,
            cost_today,
            pledged: self.pledged(None),
        }
    }
}

/// The limits that apply to an account at `now`, and where it stands; absent for an unknown account.
pub fn limits(
    books: &Books,
    pricing: &dyn Pricing,
    settings: &Settings,
    key: &AccountKey,
    now: UtcMs,
) -> Option<LimitsView> {
    let turn = Turn { books, pricing, settings, fingerprint: None, now };
    let account = books.account_at(key)?;
    let own = books.own_limits(account.number).cloned().unwrap_or_default();
    Some(Rules::of(&turn, account).view(&own))
}
