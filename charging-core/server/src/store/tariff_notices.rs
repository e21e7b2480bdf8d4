//! Which tariff version is in force, told to the metrics; and to the clients of sessions that another one rates, once
//! each. Looked at by the ledger thread in its own turn, so that a version which was activated for a later time is told
//! then, too.

use ledger::{Books, Command};
use metrics::gauge;
use rating::PlanVersion;
use types::{SessionId, UtcMs};

use crate::metric::names;
use crate::tariffs::Tariffs;

/// What was seen, and who is still to be told.
#[derive(Debug, Default)]
pub(super) struct TariffNotices {
    seen: Option<(PlanVersion, UtcMs)>,
    untold: Vec<SessionId>,
}

impl TariffNotices {
    /// The next command, if somebody is to be told.
    pub(super) fn next(&mut self, tariffs: &Tariffs, books: &Books, now: UtcMs) -> Option<Command> {
        let in_force = tariffs.in_force_since(now);
        if in_force != self.seen {
            self.show(in_force);
            self.seen = in_force;
            let (version, since) = in_force?;
            // Who reported since then knows; who was told before a restart and did not report is told again.
            self.untold = books.open_with_other_tariff(version.bits(), since).cloned().collect();
        }
        let told_now = self.untold.len().saturating_sub(SESSIONS_A_COMMAND);
        let sessions = self.untold.split_off(told_now);
        (!sessions.is_empty()).then_some(Command::Reauthorize(sessions))
    }

    /// True if somebody is still to be told.
    pub(super) fn is_pending(&self) -> bool {
        !self.untold.is_empty()
    }

    fn show(&self, in_force: Option<(PlanVersion, UtcMs)>) {
        if let Some((version, _)) = self.seen {
            gauge!(names::TARIFF_IN_FORCE, "version" => version.to_string()).set(0.0);
        }
        if let Some((version, since)) = in_force {
            gauge!(names::TARIFF_IN_FORCE, "version" => version.to_string()).set(1.0);
            // Whole seconds fit until 2106.
            gauge!(names::TARIFF_IN_FORCE_SINCE).set(f64::from(u32::try_from(since.0 / 1000).unwrap_or(0)));
        }
    }
}

/// One command is one record of the log, which must stay small.
const SESSIONS_A_COMMAND: usize = 256;
