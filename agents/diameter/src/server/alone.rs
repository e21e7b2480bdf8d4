//! Sessions that go on while the charging core does not answer, and whose they are: `on_core_failure = "continue"` allows only so
//! many of an account at once.

use std::collections::HashMap;

use agent_runtime::Account;
use types::MonoMs;

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct Alone {
    since: HashMap<Box<str>, (Account, MonoMs)>,
    by_account: HashMap<Account, usize>,
}

impl Alone {
    /// Since when this session goes on alone.
    pub fn since(&self, session_id: &str) -> Option<MonoMs> {
        self.since.get(session_id).map(|(_, since)| *since)
    }

    /// How many sessions of the account do.
    pub fn running(&self, account: &Account) -> usize {
        self.by_account.get(account).copied().unwrap_or(0)
    }

    /// It does, from now on. What is known of it already stays.
    pub fn begin(&mut self, session_id: &str, account: Account, now: MonoMs) {
        if !self.since.contains_key(session_id) {
            *self.by_account.entry(account.clone()).or_default() += 1;
            self.since.insert(session_id.into(), (account, now));
        }
    }

    /// The core answers for it again.
    pub fn end(&mut self, session_id: &str) {
        if self.since.is_empty() {
            return;
        }
        let Some((account, _)) = self.since.remove(session_id) else { return };
        if let Some(running) = self.by_account.get_mut(&account) {
            *running = running.saturating_sub(1);
            if *running == 0 {
                self.by_account.remove(&account);
            }
        }
    }
}
