//! The auditor: whether the books agree with themselves. Reads everything; for tests, start-up and inspection.

use std::collections::{BTreeMap, BTreeSet};

use types::charging::{BalanceKind, SessionPhase};
use types::{Currency, ErrorClass, Money, SessionId};

use super::Books;
use crate::account::AccountKey;
use crate::balance::Stretch;

/// Books that do not agree with themselves.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Imbalance {
    /// An account's holds are not the sum of its sessions' holds.
    #[error("account {account:?} holds {held}, its sessions {sessions}")]
    Held {
        /// Which account.
        account: AccountKey,
        /// What the account says.
        held: Money,
        /// What its sessions say.
        sessions: Money,
    },
    /// A hold below zero, or one of a session that is not open.
    #[error("session {session_id} holds {held} in phase {phase:?}")]
    StrayHold {
        /// Which session.
        session_id: SessionId,
        /// What it holds.
        held: Money,
        /// Where it stands.
        phase: SessionPhase,
    },
    /// Money came from nowhere or went nowhere.
    #[error("{currency}: deposited {deposited}, but balances {balances} and charged {charged}")]
    Money {
        /// Which currency.
        currency: Currency,
        /// Top-ups less debits.
        deposited: Money,
        /// Sum of the balances.
        balances: Money,
        /// Charged in all.
        charged: Money,
    },
    /// The sum charged is not what the sessions were charged.
    #[error("{currency}: charged {charged}, but sessions {sessions}")]
    Charged {
        /// Which currency.
        currency: Currency,
        /// The running sum.
        charged: Money,
        /// Sum over kept and forgotten sessions.
        sessions: Money,
    },
    /// What pays for a session is not what it was charged or holds.
    #[error("session {session_id}: its balances pay or hold something else than its meters say")]
    Portions {
        /// Which session.
        session_id: SessionId,
    },
    /// A balance beside the main one holds what its sessions do not, or more than it has. Amounts are 10^-9 of the
    /// currency, or units.
    #[error("balance {balance} has {value} and holds {held}, its sessions {sessions}")]
    Balance {
        /// Which.
        balance: Box<str>,
        /// What it has.
        value: i128,
        /// What it says it holds.
        held: i128,
        /// What its sessions say.
        sessions: i128,
    },
    /// An index names a session that is not as it says, or leaves one out.
    #[error("index {0} does not agree with the sessions")]
    Index(&'static str),
}

impl Imbalance {
    /// Always [`ErrorClass::Fatal`].
    pub const fn class(&self) -> ErrorClass {
        ErrorClass::Fatal
    }
}

impl Books {
    /// Checks that no money appeared or vanished, that every hold belongs to an open session, and that the indexes
    /// agree with the sessions.
    ///
    /// # Errors
    /// The first disagreement found.
    pub fn check(&self) -> Result<(), Imbalance> {
        self.check_holds()?;
        self.check_money()?;
        self.check_balances()?;
        self.check_activity()?;
        self.check_indexes()
    }

    fn check_holds(&self) -> Result<(), Imbalance> {
        let mut by_account: BTreeMap<u32, Money> = BTreeMap::new();
        for session in self.sessions.values() {
            let (held, phase) = (session.held(), session.phase);
            let stray = phase != SessionPhase::Open && !held.is_zero();
            if stray || session.groups.iter().any(|group| group.meter.held.is_negative()) {
                return Err(Imbalance::StrayHold { session_id: session.id.clone(), held, phase });
            }
            let account = session.account.as_ref().filter(|_| !held.is_zero()).and_then(|key| self.account_at(key));
            if let Some(account) = account {
                *by_account.entry(account.number).or_default() += held;
            }
        }
        for account in &self.accounts {
            let by_others = self.pots_of(account.number).iter().filter(|pot| pot.kind == BalanceKind::Money);
            let by_others = Money::from_nanos(by_others.map(|pot| pot.held).sum());
            let sessions = by_account.get(&account.number).copied().unwrap_or_default() - by_others;
            if sessions != account.held() {
                return Err(Imbalance::Held { account: self.key_of(account), held: account.held(), sessions });
            }
        }
        Ok(())
    }

    fn check_money(&self) -> Result<(), Imbalance> {
        let mut balances: BTreeMap<Currency, Money> = BTreeMap::new();
        let mut sessions: BTreeMap<Currency, Money> = BTreeMap::new();
        for account in &self.accounts {
            let further = self.pots_of(account.number).iter().filter(|pot| pot.kind == BalanceKind::Money);
            let further = Money::from_nanos(further.map(|pot| pot.value).sum());
            *balances.entry(account.currency).or_default() += account.balance + further;
        }
        for session in self.sessions.values() {
            if let Some(currency) = session.currency {
                *sessions.entry(currency).or_default() += session.charged();
            }
        }
        let currencies = balances.keys().chain(sessions.keys()).chain(self.totals.keys());
        for currency in currencies.copied() {
            let totals = self.totals.get(&currency).copied().unwrap_or_default();
            let balances = balances.get(&currency).copied().unwrap_or_default();
            let sessions = sessions.get(&currency).copied().unwrap_or_default() + totals.forgotten;
            let (deposited, charged) = (totals.deposited, totals.charged);
            if deposited != balances + charged {
                return Err(Imbalance::Money { currency, deposited, balances, charged });
            }
            if charged != sessions {
                return Err(Imbalance::Charged { currency, charged, sessions });
            }
        }
        Ok(())
    }

    /// What sessions hold of a balance is what it says; it gives no more than it has; every session's pieces agree with
    /// its meters.
    fn check_balances(&self) -> Result<(), Imbalance> {
        let mut held: BTreeMap<(u32, u32), i128> = BTreeMap::new();
        for (id, groups) in &self.annex.portions {
            let session = self.sessions.get(id).ok_or(Imbalance::Index("sessions of portions"))?;
            let account = session.account.as_ref().and_then(|key| self.account_at(key));
            let number = account.ok_or(Imbalance::Index("accounts of portions"))?.number;
            for group in groups {
                let same = |kept: &&crate::session::Group| {
                    kept.rating_group == group.rating_group && kept.service_identifier == group.service_identifier
                };
                let meter = session.groups.iter().find(same).ok_or(Imbalance::Index("groups of portions"))?.meter;
                let money = |pieces: &[Stretch]| pieces.iter().filter_map(|piece| piece.money).sum::<Money>();
                if money(&group.paid) != meter.charged || money(&group.held) != meter.held {
                    return Err(Imbalance::Portions { session_id: id.clone() });
                }
                for payer in group.held.iter().map(|piece| piece.payer).collect::<BTreeSet<u32>>() {
                    *held.entry((number, payer)).or_default() += group.held_by(payer);
                }
            }
        }
        for (number, pots) in &self.annex.pots {
            for (payer, pot) in (1..).zip(pots) {
                let sessions = held.get(&(*number, payer)).copied().unwrap_or_default();
                if pot.held != sessions || pot.held.is_negative() || pot.value < pot.held {
                    return Err(Imbalance::Balance {
                        balance: pot.id.clone(),
                        value: pot.value,
                        held: pot.held,
                        sessions,
                    });
                }
            }
        }
        Ok(())
    }

    /// Only sessions that are open pledge, and never less than nothing.
    fn check_activity(&self) -> Result<(), Imbalance> {
        let open = |id: &SessionId| self.sessions.get(id).is_some_and(|session| session.phase == SessionPhase::Open);
        let fits = self.open_by_account.pledges().all(|(id, pledged)| open(id) && pledged > Money::ZERO);
        if fits { Ok(()) } else { Err(Imbalance::Index("pledges")) }
    }

    fn check_indexes(&self) -> Result<(), Imbalance> {
        let (mut open, mut unsettled, mut due, mut ended) = (0, 0, 0, 0);
        for session in self.sessions.values() {
            let number = session.account.as_ref().and_then(|key| self.account_at(key)).map(|account| account.number);
            if session.payer.0.is_some() && session.payer.0 != number {
                return Err(Imbalance::Index("payers"));
            }
            let is_open = session.phase == SessionPhase::Open;
            let of_account = number.is_some_and(|number| self.open_by_account.contains(number, &session.id));
            let of_client = self.unsettled_by_client.contains(&session.client_id, &session.id);
            let is_unsettled = is_open || session.phase == SessionPhase::Expired;
            if of_account != is_open || session.deadline.is_some() != is_open || session.ended.is_some() == is_open {
                return Err(Imbalance::Index("open sessions"));
            }
            if of_client != is_unsettled {
                return Err(Imbalance::Index("unsettled sessions"));
            }
            let by_deadline = session.deadline.is_none_or(|at| self.by_deadline.contains(at, &session.id));
            let by_end = session.ended.is_none_or(|at| self.by_end.contains(at, &session.id));
            if !by_deadline || !by_end {
                return Err(Imbalance::Index("deadlines and ends"));
            }
            open += usize::from(is_open);
            unsettled += usize::from(is_unsettled);
            due += usize::from(session.deadline.is_some());
            ended += usize::from(session.ended.is_some());
        }
        let counted = [
            ("open sessions", open, self.open_by_account.len()),
            ("unsettled sessions", unsettled, self.unsettled_by_client.len()),
            ("deadlines", due, self.by_deadline.len()),
            ("ends", ended, self.by_end.len()),
            ("operations", self.operations.len() + self.annex.pot_operations.len(), self.operations_by_age.len()),
        ];
        match counted.iter().find(|(_, counted, indexed)| counted != indexed) {
            Some((name, ..)) => Err(Imbalance::Index(name)),
            None => Ok(()),
        }
    }
}
