//! The decision: books, prices, settings, a command and the time in; an outcome and changes out. Reads only.
//!
//! | command | file |
//! |---|---|
//! | Charge | `charge` (keys), then `initial`, `report` (UPDATE, TERMINATION) or `event` |
//! | CreateAccount, OpenAccount, TopUp, Debit, Block, Unblock, SetLimits | `account` |
//! | ChangeBalance | `balance` |
//! | Release, Reauthorize, Expire, ConfirmNotifications | `sweep` |
//!
//! `sheet` computes what a session's groups cost, hold and may be granted, with `wallet` where an account has more
//! balances than one; `rules` is the policy; `paper` turns that into answer and changes.

mod account;
mod balance;
mod charge;
mod event;
mod initial;
mod paper;
mod report;
mod rules;
mod share;
mod sheet;
mod sweep;
mod wallet;

use types::charging::{ChargingRequest, Notification, NotificationKind};
use types::{ReleaseCause, SessionId, UtcMs};

use crate::books::Books;
use crate::change::Change;
use crate::command::Command;
use crate::fingerprint::Fingerprint;
use crate::outcome::{Decision, Outcome, Refusal};
use crate::pricing::Pricing;
use crate::session::Session;
use crate::settings::Settings;

pub use rules::limits;
pub(crate) use wallet::drawn;

/// Decides one command at `now`, the ledger's own wall clock. The caller stores `changes`, applies them to the same
/// books before the next decision, and only then gives the outcome to whoever asked.
pub fn decide(books: &Books, pricing: &dyn Pricing, settings: &Settings, command: &Command, now: UtcMs) -> Decision {
    decide_known(books, pricing, settings, command, None, now)
}

/// The same where [`Fingerprint::of_command`] of the command is known already; absent: it is made here when it is needed.
pub fn decide_known(
    books: &Books,
    pricing: &dyn Pricing,
    settings: &Settings,
    command: &Command,
    fingerprint: Option<Fingerprint>,
    now: UtcMs,
) -> Decision {
    let turn = Turn { books, pricing, settings, fingerprint, now };
    match command {
        Command::Charge(request) => charge::charge(&turn, request),
        Command::CreateAccount(create) => account::create(&turn, create),
        Command::OpenAccount(open) => account::open(&turn, open),
        Command::TopUp(transfer) => account::transfer(&turn, transfer, true),
        Command::Debit(transfer) => account::transfer(&turn, transfer, false),
        Command::Block(key) => account::block(&turn, key, ReleaseCause::AccountBlocked),
        Command::BlockFor { account, cause } => account::block(&turn, account, *cause),
        Command::Unblock(key) => account::unblock(&turn, key),
        Command::ChangeBalance(change) => balance::change(&turn, change),
        Command::SetLimits { account, limits } => account::set_limits(&turn, account, limits),
        Command::Release { session_id, cause } => sweep::release(&turn, session_id, *cause),
        Command::Reauthorize(sessions) => sweep::reauthorize(&turn, sessions),
        Command::Expire => sweep::expire(&turn),
        Command::ConfirmNotifications { client_id, through } => sweep::confirm(&turn, client_id, *through),
    }
}

/// What every decision reads.
#[derive(Clone, Copy)]
struct Turn<'a> {
    books: &'a Books,
    pricing: &'a dyn Pricing,
    settings: &'a Settings,
    /// Of the request that is decided, as far as it is known.
    fingerprint: Option<Fingerprint>,
    now: UtcMs,
}

impl Turn<'_> {
    /// Of the request that is decided.
    fn fingerprint_of(&self, request: &ChargingRequest) -> Fingerprint {
        self.fingerprint.unwrap_or_else(|| Fingerprint::of_request(request))
    }

    /// Tells the clients of `sessions` to report now, because credit became available. Those that got all they
    /// asked for are left alone.
    fn reauthorize<'s>(&self, sessions: impl Iterator<Item = &'s Session>) -> Vec<Change> {
        let short = sessions.filter(|session| session.short_of_credit());
        self.notify(short, NotificationKind::Reauthorize)
    }

    /// Tells the clients of `sessions` to end them.
    fn abort<'s>(&self, sessions: impl Iterator<Item = &'s Session>, cause: ReleaseCause) -> Vec<Change> {
        self.notify(sessions, NotificationKind::Abort(cause))
    }

    fn notify<'s>(&self, sessions: impl Iterator<Item = &'s Session>, kind: NotificationKind) -> Vec<Change> {
        self.notify_after(0, sessions, kind)
    }

    /// The same when the decision has made `first` notifications already.
    fn notify_after<'s>(
        &self,
        first: usize,
        sessions: impl Iterator<Item = &'s Session>,
        kind: NotificationKind,
    ) -> Vec<Change> {
        let first = u64::try_from(first).unwrap_or(u64::MAX);
        let sequences = self.books.last_notification().saturating_add(first) + 1..;
        let notified = |(session, sequence): (&Session, u64)| Change::Notified {
            client_id: session.client_id.clone(),
            notification: Notification { sequence, session_id: SessionId::clone(&session.id), kind },
        };
        sessions.zip(sequences).map(notified).collect()
    }
}

fn refused(refusal: Refusal) -> Decision {
    Decision { outcome: Outcome::Refused(refusal), changes: Vec::new() }
}
