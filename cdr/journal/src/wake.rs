//! Wakes a thread that waits for work, for a stop, or for some time to pass.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

#[derive(Debug, Default)]
pub(crate) struct Wake {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    work: bool,
    /// Told to end: by then at the latest.
    stop: Option<Instant>,
}

impl Wake {
    /// There is something to do.
    pub fn work(&self) {
        // Called for every record: waking costs a system call, so only the first one does it.
        if !std::mem::replace(&mut self.lock().work, true) {
            self.changed.notify_all();
        }
    }

    /// Ends the thread when its work is done, and at `deadline` in any case.
    pub fn stop(&self, deadline: Instant) {
        self.lock().stop = Some(deadline);
        self.changed.notify_all();
    }

    /// When the thread must have ended; `None` while it goes on.
    pub fn deadline(&self) -> Option<Instant> {
        self.lock().stop
    }

    /// Waits for work or a stop, no longer than `timeout`.
    pub fn wait(&self, timeout: Duration) {
        let state = self.lock();
        let waited = self.changed.wait_timeout_while(state, timeout, |state| !state.work && state.stop.is_none());
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.work = false;
    }

    /// Waits for `pause`, whatever work there is; a stop ends it, and a stop that came before shortens it to its deadline.
    pub fn pause(&self, pause: Duration) {
        let state = self.lock();
        let waited = match state.stop {
            Some(deadline) => {
                let left = deadline.saturating_duration_since(Instant::now()).min(pause);
                self.changed.wait_timeout_while(state, left, |_| true)
            }
            None => self.changed.wait_timeout_while(state, pause, |state| state.stop.is_none()),
        };
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that can panic runs under this lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
