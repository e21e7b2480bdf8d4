//! The load client: plays packet gateways (Gy), call servers (Ro) or a message centre towards a charging server or a relay, with
//! messages like the recorded ones, and tells what came back.
//!
//! **Open loop.** Request `k` is meant for the moment `start + k / rate`, whatever became of those before it, and its latency counts from
//! that moment. So a server that stops for a second is seen as a second for everybody who would have asked meanwhile. A session has one
//! request on the way at a time, as real clients do: if all sessions wait, what was meant to be sent waits, too, and its wait counts.
//!
//! **A client as the RFCs want it**: Tx timer and retransmission with the T bit, also over a new connection; RAR is answered and followed by
//! an update, ASR by the end of the session; DWR and DPR; what was granted is used and reported, a final unit ends the session, what a
//! refused report told goes into the next one.
//!
//! Layers: `Session` is pure (what is asked next, what an answer means), `profile` makes messages of it, `worker` drives one
//! connection, `Tally` counts, [`LoadReport`] tells.

mod flight;
mod pace;
mod plan;
mod profile;
mod report;
mod session;
mod tally;
mod told;
mod worker;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use agent_runtime::Clock;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::client::{Dial, DialError, LinkEnd};

pub use plan::LoadPlan;
pub use profile::Profile;
pub use report::{CostTold, Latencies, Latency, LoadReport, SessionsTold, Used};

/// Why there is no load.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// No transport.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// The connection never opened, or the peer does not want us.
    #[error("{host} at {target}")]
    Link {
        /// As what we came.
        host: Box<str>,
        /// Where.
        target: Box<str>,
        /// What became of it.
        source: LinkEnd,
    },
    /// A request cannot be sent.
    #[error("a request cannot be sent")]
    Unsendable(#[from] protocol_codecs::diameter::EncodeError),
    /// A part of the load client failed.
    #[error("a connection's task failed")]
    Task(#[from] tokio::task::JoinError),
}

impl LoadError {
    /// Whether later it may work.
    pub const fn class(&self) -> types::ErrorClass {
        match self {
            Self::Dial(error) => error.class(),
            Self::Link { source, .. } => source.class(),
            Self::Unsendable(_) | Self::Task(_) => types::ErrorClass::Fatal,
        }
    }
}

/// How far it is, to be looked at while it runs.
#[derive(Debug, Default)]
pub struct Progress {
    sent: AtomicU64,
    answered: AtomicU64,
    lost: AtomicU64,
    begun: AtomicU64,
    ended: AtomicU64,
}

impl Progress {
    /// Requests sent, copies and repetitions apart.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Requests answered.
    pub fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    /// Requests given up.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Sessions that go on now.
    pub fn open(&self) -> u64 {
        self.begun.load(Ordering::Relaxed).saturating_sub(self.ended.load(Ordering::Relaxed))
    }
}

/// How it is stopped before its time.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    /// Cancelled: no new sessions; those that stand are ended, then the peers are told that we leave.
    pub finish: CancellationToken,
    /// Cancelled: the peers are told that we leave, now.
    pub abandon: CancellationToken,
}

/// What all connections share.
pub(crate) struct Shared {
    pub plan: LoadPlan,
    pub dial: Dial,
    pub clock: Clock,
    pub progress: Arc<Progress>,
    pub stop: Stop,
    pub start: Instant,
    /// Sessions that may still begin.
    pub quota: AtomicU64,
}

impl Shared {
    /// Whether one more session may begin; takes it.
    pub fn may_begin(&self) -> bool {
        self.quota.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
    }
}

/// Plays the plan to its end.
///
/// # Errors
/// The first connection that never opened, or was refused. Connections that break later are made again.
pub async fn run(plan: LoadPlan, dial: Dial, progress: Arc<Progress>, stop: Stop) -> Result<LoadReport, LoadError> {
    let (clock, start) = (Clock::system(), Instant::now());
    let quota = AtomicU64::new(plan.total.unwrap_or(u64::MAX));
    let connections = plan.connections;
    let shared = Arc::new(Shared { plan, dial, clock, progress, stop, start, quota });
    let mut tasks = JoinSet::new();
    for index in 0..connections {
        tasks.spawn(worker::Worker::new(Arc::clone(&shared), index).run());
    }
    let mut sum = tally::Tally::default();
    while let Some(joined) = tasks.join_next().await {
        match joined? {
            Ok(tally) => sum.add(&tally),
            Err(error) => {
                shared.stop.abandon.cancel();
                while tasks.join_next().await.is_some() {}
                return Err(error);
            }
        }
    }
    Ok(report::of(&sum, &shared))
}
