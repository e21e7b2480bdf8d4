//! How soon work in the background must be done. It stands back: it has a processor only while nobody else wants one, and the system
//! puts whoever wakes up in its place rather than in the ledger's. Where a processor is never idle it would never be done, so it can be
//! told to hurry.
//!
//! A thread that stood back may not come forward again, that takes a privilege. So each step that stands back has a thread of its own.

use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use thread_priority::unix::{set_thread_priority_and_policy, thread_native_id};
use thread_priority::{NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy};
use tracing::warn;

use super::CoreError;

/// Tells the steps of one piece of work.
#[derive(Debug, Default)]
pub(super) struct Pace {
    hurry: AtomicBool,
}

impl Pace {
    /// Of work that is late from the beginning, or that somebody waits for.
    pub(super) fn hurried() -> Self {
        Self { hurry: AtomicBool::new(true) }
    }

    /// Steps from now on are as urgent as the ledger.
    pub(super) fn hurry(&self) {
        self.hurry.store(true, Ordering::Relaxed);
    }

    /// Does one step, and waits for it.
    ///
    /// # Errors
    /// When there is no thread for it.
    pub(super) fn step<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T, CoreError> {
        if self.hurry.load(Ordering::Relaxed) {
            return Ok(work());
        }
        let step = || {
            stand_back();
            work()
        };
        thread::scope(|scope| {
            let step = thread::Builder::new().name("snapshot".to_owned()).spawn_scoped(scope, step);
            let step = step.map_err(|error| CoreError::Snapshot { reason: format!("no thread for it: {error}") })?;
            Ok(step.join().unwrap_or_else(|panic| resume_unwind(panic)))
        })
    }
}

/// Lets this thread have a processor only where nobody else wants it: `SCHED_IDLE`, sched(7).
fn stand_back() {
    let idle = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
    if let Err(error) = set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, idle) {
        warn!(?error, "the snapshot is made at the priority of the ledger");
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// The scheduling policy of the calling thread, field 41 of proc(5)'s stat: 0 normal, 5 idle.
    fn policy() -> String {
        let stat = fs::read_to_string("/proc/thread-self/stat").expect("readable");
        // The name in parentheses may have blanks.
        let behind_name = stat.rsplit(')').next().expect("fields");
        behind_name.split_whitespace().nth(38).expect("field 41").to_owned()
    }

    #[test]
    fn steps_stand_back_until_they_are_told_to_hurry() {
        let pace = Pace::default();
        let before = policy();
        assert_eq!(pace.step(policy).expect("a thread"), "5");
        pace.hurry();
        assert_eq!(pace.step(policy).expect("a thread"), before);
        assert_eq!(Pace::hurried().step(policy).expect("a thread"), before);
        assert_eq!(policy(), before, "only the step stands back");
    }
}
