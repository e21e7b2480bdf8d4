//! `on_core_failure = "continue"`: which calls, or sessions of other agents, may go on while the charging core does not answer, and
//! for how long.
//!
//! Only those of accounts that the core let talk not long ago and that had more credit then; so many at once of an account; never
//! to destinations that fraud is made with. Nothing is kept over a restart: then the core must answer first anyway.

use std::collections::HashMap;

use agent_call::{CallMachine, CallOffer, Phase};
use types::charging::{ChargingAnswer, SubscriberId};
use types::{DurationMs, MonoMs, Tenant};

/// What an operator allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContinueLimits {
    /// Longest talk without the core, in milliseconds.
    pub longest_ms: DurationMs,
    /// Calls of one account that may go on at once.
    pub calls_per_account: u32,
    /// How old the core's last good word for the account may be, in milliseconds.
    pub recent_ms: DurationMs,
    /// Beginnings of E.164 numbers, with `+`, to which no call goes on.
    pub never: Vec<Box<str>>,
}

impl Default for ContinueLimits {
    /// 600 s, two calls, a day, no destination excepted.
    fn default() -> Self {
        Self { longest_ms: 600_000, calls_per_account: 2, recent_ms: 86_400_000, never: Vec::new() }
    }
}

/// Who pays: one of its names, and whose customer it is.
pub type Account = (Tenant, SubscriberId);

/// Who may go on, as far as it is known.
#[derive(Debug)]
pub struct Continuing {
    limits: ContinueLimits,
    /// When the core last granted more than a last grant.
    good: HashMap<Account, MonoMs>,
}

impl Continuing {
    /// Nobody yet.
    pub fn new(limits: ContinueLimits) -> Self {
        Self { limits, good: HashMap::new() }
    }

    /// The core's word for an account.
    pub fn answered(&mut self, account: Account, answer: &ChargingAnswer, now: MonoMs) {
        let granted = answer.units.iter().any(|unit| unit.granted.is_some());
        let refused = answer.units.iter().any(|unit| !unit.result_code.is_success() || unit.final_unit.is_some());
        match (answer.result_code.is_success() && !refused, granted) {
            (true, true) => {
                if self.good.len() >= REMEMBERED {
                    let recent_ms = self.limits.recent_ms;
                    self.good.retain(|_, at| now.since(*at) < recent_ms / 2);
                }
                if self.good.len() < REMEMBERED {
                    self.good.insert(account, now);
                }
            }
            // The end of a call: nothing was asked for.
            (true, false) => {}
            // The last of the credit, or a denial: of the whole request, or of its units alone, as a blocked account's running
            // call meets it.
            (false, _) => _ = self.good.remove(&account),
        }
    }

    /// How long one more of this account may go on without the core, in milliseconds; 0: not at all. `called`: its number, E.164;
    /// absent where nobody is called. `running`: how many of the account go on that way now.
    pub fn longest_ms(&self, account: &Account, called: Option<&str>, running: usize, now: MonoMs) -> DurationMs {
        let never = |called: &str| self.limits.never.iter().any(|prefix| called.starts_with(&**prefix));
        if called.is_some_and(never) {
            return 0;
        }
        let known = self.good.get(account);
        if known.is_none_or(|at| now.since(*at) > self.limits.recent_ms) {
            return 0;
        }
        let limit = usize::try_from(self.limits.calls_per_account).unwrap_or(usize::MAX);
        if running < limit { self.limits.longest_ms } else { 0 }
    }

    /// The core's word for the account of a call.
    pub(crate) fn call_answered(&mut self, offer: &CallOffer, answer: &ChargingAnswer, now: MonoMs) {
        if let Some(payer) = &offer.payer {
            self.answered((offer.tenant.clone(), payer.clone()), answer, now);
        }
    }

    /// How long this call may talk without the core; 0: not at all. `machines`: all calls of the switch.
    pub(crate) fn longest_call_ms<'a>(
        &self,
        call: &CallMachine,
        machines: impl Iterator<Item = &'a CallMachine>,
        now: MonoMs,
    ) -> DurationMs {
        let offer = call.call_offer();
        let (Some(payer), Some(called)) = (&offer.payer, &offer.called) else { return 0 };
        let same = |other: &&CallMachine| {
            let theirs = other.call_offer();
            other.is_continued() && theirs.tenant == offer.tenant && theirs.payer.as_ref() == Some(payer)
        };
        let running = machines.filter(|other| !matches!(other.phase(), Phase::Closing | Phase::Finished)).filter(same);
        let account = (offer.tenant.clone(), payer.clone());
        self.longest_ms(&account, Some(called.expose()), running.count(), now)
    }
}

/// Accounts remembered at most; at a hundred octets each.
const REMEMBERED: usize = 200_000;

#[cfg(test)]
mod tests;
