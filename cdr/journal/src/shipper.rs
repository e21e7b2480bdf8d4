//! [`Shipping`] on a thread of its own: woken by commits, pausing after failures, ending when told to.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use segment_log::{Position, Storage};
use tracing::{debug, error, info, warn};
use types::ErrorClass;

use crate::counters::{ShipperCounters, SinkCounters};
use crate::error::ShipError;
use crate::journal::lock;
use crate::options::ShipperOptions;
use crate::shipping::{JournalSource, Shipping, Step};
use crate::sink::Sink;
use crate::trouble::{Standing, Troubles};
use crate::wake::Wake;

/// How a shipper ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shipped {
    /// Everything below has arrived.
    pub checkpoint: Position,
    /// Records committed and not shipped.
    pub backlog: u64,
}

/// A running shipper. Dropping it ends it after the delivery in hand.
#[derive(Debug)]
pub struct Shipper {
    wake: Arc<Wake>,
    counters: Arc<ShipperCounters>,
    sink_counters: Arc<SinkCounters>,
    running: Arc<AtomicBool>,
    troubles: Arc<Troubles>,
    thread: Mutex<Option<JoinHandle<Result<Shipped, ShipError>>>>,
}

impl Shipper {
    /// Starts shipping `source` to `sink`, from the sink's checkpoint in the directory of `checkpoints`.
    ///
    /// # Errors
    /// As [`Shipping::start`], and [`ShipError::Thread`].
    pub fn start(
        source: JournalSource,
        checkpoints: Arc<dyn Storage>,
        sink: Box<dyn Sink>,
        options: ShipperOptions,
    ) -> Result<Self, ShipError> {
        let poll = options.poll.std();
        let backoff = Backoff { min: options.backoff_min.std(), max: options.backoff_max.std(), failures: 0 };
        let shipping = Shipping::start(source, checkpoints, sink, options)?;
        let (wake, running) = (Arc::new(Wake::default()), Arc::new(AtomicBool::new(true)));
        if let Some(follower) = shipping.follower() {
            follower.wake(&wake);
        }
        let (counters, sink_counters) = (Arc::clone(shipping.counters()), Arc::clone(shipping.sink_counters()));
        let name = format!("ship-{}", shipping.sink_name());
        let troubles = Arc::<Troubles>::default();
        let (of_thread, ended, told) = (Arc::clone(&wake), Arc::clone(&running), Arc::clone(&troubles));
        let thread = std::thread::Builder::new()
            .name(name)
            .spawn(move || {
                let _ended = Ended(ended);
                run(shipping, &of_thread, poll, backoff, &told)
            })
            .map_err(|source| ShipError::Thread { source })?;
        Ok(Self { wake, counters, sink_counters, running, troubles, thread: Mutex::new(Some(thread)) })
    }

    /// Counts since the start.
    #[must_use]
    pub fn counters(&self) -> &Arc<ShipperCounters> {
        &self.counters
    }

    /// What the sink has met since the start.
    #[must_use]
    pub fn sink_counters(&self) -> &Arc<SinkCounters> {
        &self.sink_counters
    }

    /// When records last arrived, and what is wrong since when.
    #[must_use]
    pub fn standing(&self) -> Standing {
        self.troubles.standing()
    }

    /// False once it has ended: told to, or by an error that trying again does not mend; [`Shipper::close`] tells which.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.running.load(Ordering::Acquire)
    }

    /// Ships what is committed, for at most `grace`, and ends. Close the journal first, and everything in it is shipped. A sink
    /// that is blocked in a delivery is waited for. Calling it again returns the counters' state.
    ///
    /// # Errors
    /// What ended the shipper before, or the last failure when `grace` ran out in a series of them.
    pub fn close(&self, grace: Duration) -> Result<Shipped, ShipError> {
        let now = Instant::now();
        self.wake.stop(now.checked_add(grace).unwrap_or(now));
        match lock(&self.thread).take() {
            Some(thread) => thread.join().unwrap_or(Err(ShipError::Panicked)),
            None => Ok(Shipped {
                checkpoint: Position::new(self.counters.checkpoint.load(Ordering::Relaxed)),
                backlog: self.counters.backlog.load(Ordering::Relaxed),
            }),
        }
    }
}

impl Drop for Shipper {
    fn drop(&mut self) {
        // Whoever wants to know how it ended calls close.
        drop(self.close(Duration::ZERO));
    }
}

/// Says that the thread has ended, also by a panic.
struct Ended(Arc<AtomicBool>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

struct Backoff {
    min: Duration,
    max: Duration,
    failures: u32,
}

impl Backoff {
    fn next(&mut self) -> Duration {
        let pause = self.min.saturating_mul(2_u32.saturating_pow(self.failures)).min(self.max);
        self.failures = self.failures.saturating_add(1);
        pause
    }
}

fn run(
    mut shipping: Shipping,
    wake: &Wake,
    poll: Duration,
    mut backoff: Backoff,
    troubles: &Troubles,
) -> Result<Shipped, ShipError> {
    let expired = |deadline: Instant| Instant::now() >= deadline;
    let mut ending = false;
    loop {
        if !ending && wake.deadline().is_some() {
            ending = true;
            shipping.ending();
        }
        let outcome = shipping.step();
        let stop = wake.deadline();
        match outcome {
            Ok(step) => {
                if backoff.failures > 0 && step != Step::Pending {
                    info!(sink = shipping.sink_name(), failures = backoff.failures, "records are shipped again");
                    backoff.failures = 0;
                }
                troubles.stepped(step);
                if let Some(text) = shipping.trouble() {
                    troubles.told(text);
                }
                match (step, stop) {
                    (Step::Idle, None) => wake.wait(shipping.due().map_or(poll, |due| due.min(poll))),
                    (Step::Idle, Some(_)) => break,
                    (_, Some(deadline)) if expired(deadline) => break,
                    _ => {}
                }
            }
            Err(reason) => {
                shipping.counters().failures.fetch_add(1, Ordering::Relaxed);
                let retry = reason.class() == ErrorClass::Retry;
                troubles.failed(&reason);
                log_failure(&shipping, &reason, backoff.failures, retry);
                if !retry || stop.is_some_and(expired) {
                    save_last(&mut shipping);
                    return Err(reason);
                }
                wake.pause(backoff.next());
            }
        }
    }
    shipping.save()?;
    shipping.look();
    let backlog = shipping.counters().backlog.load(Ordering::Relaxed);
    Ok(Shipped { checkpoint: shipping.checkpoint(), backlog })
}

/// What arrived before the end need not be repeated after it.
fn save_last(shipping: &mut Shipping) {
    if let Err(reason) = shipping.save() {
        let (sink, reason) = (shipping.sink_name(), &reason as &dyn std::error::Error);
        warn!(sink, reason, "checkpoint was not written, records will be offered again");
    }
}

/// The first failure of a series is for humans, the rest for those who look closely.
fn log_failure(shipping: &Shipping, reason: &ShipError, failures: u32, retry: bool) {
    let (sink, class, reason) = (shipping.sink_name(), reason.class().as_str(), reason as &dyn std::error::Error);
    match (retry, failures) {
        (false, _) => error!(sink, class, reason, "shipper has stopped, the journal keeps the records"),
        (true, 0) => warn!(sink, class, reason, "records cannot be shipped, trying again"),
        (true, _) => debug!(sink, class, reason, failures, "records cannot be shipped, trying again"),
    }
}
