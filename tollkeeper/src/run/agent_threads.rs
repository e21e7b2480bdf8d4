//! The threads of the agents, apart from everything else: they neither wait for whoever ships records or asks for metrics, nor pay for
//! handing work to threads that share it.
//!
//! One thread, unless configured otherwise, and it works in turns: one begins no sooner than [`TURN`] after the one before. What has come
//! meanwhile (events of a switch, batches of the disk, answers of the core) is carried out together, in few reads and writes, and a
//! busy thread is woken some hundred times a second instead of thousands. What comes to an idle thread is carried out at once.
//! Nothing is stopped by it: sockets and queues hold far more than comes in a turn.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio_util::sync::{CancellationToken, DropGuard};

/// Threads that run until this is dropped; what is under way on them then goes with them.
pub(super) struct AgentThreads {
    handle: Handle,
    _kind: Kind,
}

enum Kind {
    One(#[expect(dead_code, reason = "ends the thread when dropped")] DropGuard),
    Several(Option<Runtime>),
}

impl AgentThreads {
    /// Starts so many; one thread works in turns or, for who cannot wait for their end, does not.
    pub(super) fn start(threads: u16, in_turns: bool) -> anyhow::Result<Self> {
        if threads > 1 {
            let mut several = Builder::new_multi_thread();
            let runtime = several.worker_threads(threads.into()).thread_name(NAME).enable_all().build();
            let runtime = runtime.context(STARTING)?;
            return Ok(Self { handle: runtime.handle().clone(), _kind: Kind::Several(Some(runtime)) });
        }
        let mut one = Builder::new_current_thread();
        if in_turns {
            let turn = Arc::new(Turn::default());
            let (begins, ends) = (Arc::clone(&turn), turn);
            one.on_thread_unpark(move || begins.begin()).on_thread_park(move || ends.last());
        }
        let runtime = one.enable_all().build().context(STARTING)?;
        let (handle, end) = (runtime.handle().clone(), CancellationToken::new());
        let ended = end.clone();
        let run = move || {
            runtime.block_on(ended.cancelled());
            runtime.shutdown_background();
        };
        thread::Builder::new().name(NAME.to_owned()).spawn(run).context(STARTING)?;
        Ok(Self { handle, _kind: Kind::One(end.drop_guard()) })
    }

    /// To start tasks there.
    pub(super) fn handle(&self) -> &Handle {
        &self.handle
    }
}

impl Drop for Kind {
    fn drop(&mut self) {
        if let Self::Several(runtime) = self
            && let Some(runtime) = runtime.take()
        {
            // Not from within another runtime, and without waiting for what is blocked.
            runtime.shutdown_background();
        }
    }
}

/// When the thread woke up last.
#[derive(Debug, Default)]
struct Turn(Mutex<Option<Instant>>);

impl Turn {
    fn begin(&self) {
        *self.begun() = Some(Instant::now());
    }

    /// Nothing is left to do: sleeps until the turn is over, whatever comes.
    fn last(&self) {
        let begun = self.begun().take();
        let left = left_of(begun, Instant::now());
        if !left.is_zero() {
            thread::sleep(left);
        }
    }

    fn begun(&self) -> MutexGuard<'_, Option<Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `None`: it did not wake up since it slept last.
fn left_of(begun: Option<Instant>, now: Instant) -> Duration {
    begun.map_or(Duration::ZERO, |begun| TURN.saturating_sub(now.saturating_duration_since(begun)))
}

/// Some of them are in the time that a caller waits for the answer, which is far below what he notices.
const TURN: Duration = Duration::from_millis(6);
const NAME: &str = "agents";
const STARTING: &str = "starting the agents' threads";

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn a_turn_lasts_from_waking_up_and_idleness_is_no_turn() {
        let woke = Instant::now();
        let rows = [
            (Some(woke), Duration::ZERO, TURN),
            (Some(woke), TURN / 4, TURN - TURN / 4),
            (Some(woke), TURN, Duration::ZERO),
            (Some(woke), TURN * 9, Duration::ZERO),
            (None, Duration::ZERO, Duration::ZERO),
        ];
        for (begun, worked, left) in rows {
            assert_eq!(left_of(begun, woke + worked), left, "{begun:?} {worked:?}");
        }
    }

    #[test]
    fn tasks_run_on_threads_of_that_name_until_the_end() {
        for (threads, in_turns) in [(1, true), (1, false), (2, true)] {
            let agents = AgentThreads::start(threads, in_turns).expect("starts");
            let (named, name) = mpsc::channel();
            let (held, gone) = mpsc::channel::<()>();
            agents.handle().spawn(async move {
                let thread = thread::current();
                named.send(thread.name().map(str::to_owned)).expect("somebody waits");
                std::future::pending::<()>().await;
                drop(held);
            });
            assert_eq!(name.recv().expect("it runs").as_deref(), Some(NAME), "{threads}");
            drop(agents);
            assert!(gone.recv().is_err(), "{threads}: the task went with its threads");
        }
    }
}
