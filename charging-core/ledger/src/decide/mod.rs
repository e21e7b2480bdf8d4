//! The decision: books, prices, settings, a command and the time in; an outcome and changes out. Reads only.
//!
//! | command | file |
//! |---|---|
//! | Charge | `charge` (keys), then `initial`, `report` (UPDATE, TERMINATION) or `event` |
//! | CreateAccount, OpenAccount, TopUp, Debit, Block, Unblock | `account` |
//! | Release, Reauthorize, Expire, ConfirmNotifications | `sweep` |
//!
//! `sheet` computes what a session's groups cost, hold and may be granted; `paper` turns that into answer and changes.

mod account;
mod charge;
mod event;
mod initial;
mod paper;
mod report;
mod sheet;
mod sweep;

use types::charging::{Notification, NotificationKind};
use types::{ReleaseCause, SessionId, UtcMs};

use crate::books::Books;
use crate::change::Change;
use crate::command::Command;
use crate::outcome::{Decision, Outcome, Refusal};
use crate::pricing::Pricing;
use crate::session::Session;
use crate::settings::Settings;

/// Decides one command at `now`, the ledger's own wall clock. The caller stores `changes`, applies them to the same
/// books before the next decision, and only then gives the outcome to whoever asked.
pub fn decide(books: &Books, pricing: &dyn Pricing, settings: &Settings, command: &Command, now: UtcMs) -> Decision {
    let turn = Turn { books, pricing, settings, now };
    match command {
        Command::Charge(request) => charge::charge(&turn, request),
        Command::CreateAccount(create) => account::create(&turn, create),
        Command::OpenAccount(open) => account::open(&turn, open),
        Command::TopUp(transfer) => account::transfer(&turn, transfer, true),
        Command::Debit(transfer) => account::transfer(&turn, transfer, false),
        Command::Block(key) => account::block(&turn, key, true),
        Command::Unblock(key) => account::block(&turn, key, false),
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
    now: UtcMs,
}

impl Turn<'_> {
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
        let sequences = self.books.last_notification() + 1..;
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
