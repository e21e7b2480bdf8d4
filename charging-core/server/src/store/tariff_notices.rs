//! Which tariff version is in force, told to the metrics; and to the clients of sessions that another one rates, once
//! each. Looked at by the ledger thread in its own turn, so that a version which was activated for a later time is told
//! then, too. Ten thousand calls are not made to report in the same moment: a few hundred are told at a time.

use std::time::{Duration, Instant};

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
    told: Option<Instant>,
}

impl TariffNotices {
    /// The next command, if somebody is to be told now.
    pub(super) fn next(&mut self, tariffs: &Tariffs, books: &Books, now: UtcMs) -> Option<Command> {
        let in_force = tariffs.in_force_since(now);
        if in_force != self.seen {
            self.show(in_force);
            self.seen = in_force;
            let (version, since) = in_force?;
            // Who reported since then knows; who was told before a restart and did not report is told again.
            self.untold = books.open_with_other_tariff(version.bits(), since).cloned().collect();
        }
        if self.untold.is_empty() || self.told.is_some_and(|told| told.elapsed() < PAUSE) {
            return None;
        }
        self.told = Some(Instant::now());
        let rest = self.untold.len().saturating_sub(SESSIONS_A_COMMAND);
        Some(Command::Reauthorize(self.untold.split_off(rest)))
    }

    /// How long until somebody is to be told; absent: nobody is.
    pub(super) fn pause(&self) -> Option<Duration> {
        (!self.untold.is_empty()).then_some(PAUSE)
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
/// Between commands: 2560 sessions a second, a small part of what core and agents take.
const PAUSE: Duration = Duration::from_millis(100);
