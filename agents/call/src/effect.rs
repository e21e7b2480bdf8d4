//! What goes into the machine and what comes out.

use cdr_model::CallRecord;
use types::charging::{ChargingAnswer, ChargingRequest};
use types::{DurationMs, MonoMs, ReleaseCause};

use crate::event::SwitchEvent;
use crate::snapshot::Snapshot;

/// One input.
#[derive(Debug, Clone)]
pub enum Input {
    /// From the switch.
    Switch(SwitchEvent),
    /// The core answered.
    Charged(Box<ChargingAnswer>),
    /// The core could not be asked within the time the driver allows, or it refused to talk to us. The request may
    /// still be delivered later; its answer then comes as [`Input::Charged`].
    ChargingFailed {
        /// Of the request.
        request_number: u32,
    },
    /// The call may go on although the core has not answered an INITIAL or UPDATE: the driver knows the account, and lets
    /// it talk this much longer at most (from the answer, when it was not answered yet).
    Continue {
        /// In milliseconds; 0 changes nothing.
        longest_ms: DurationMs,
    },
    /// The core asks for a report and a new grant.
    Reauthorize,
    /// End it: fraud, block, operator, shutdown.
    Release(ReleaseCause),
    /// The connection to the switch is gone: nothing can be proven or commanded until [`SwitchEvent::Alive`].
    SwitchLost,
    /// A timer that an [`Effect::SetTimer`] asked for is due.
    Timer(Timer),
}

/// One timer of each kind at most runs in a call; setting it again replaces it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Timer {
    /// No news while ringing.
    Ring,
    /// The grant nears its margin or its end.
    Quota,
    /// The next INTERIM record.
    Interim,
    /// The longest conversation is over.
    MaximumCall,
    /// A release was not confirmed.
    Release,
    /// The price of a STOP is late.
    FinalRecord,
}

/// All timers, for drivers that keep them in an array.
pub const TIMERS: [Timer; 6] =
    [Timer::Ring, Timer::Quota, Timer::Interim, Timer::MaximumCall, Timer::Release, Timer::FinalRecord];

/// One effect; the driver carries them out in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Ask the core.
    Charge {
        /// The request, its `client_state` still empty.
        request: Box<ChargingRequest>,
        /// To be stored with it as `client_state`; absent: what the core has is still good.
        snapshot: Option<Box<Snapshot>>,
    },
    /// Keep this with the TERMINATION that waits for its answer, instead of what it went out with: durable before the records
    /// that follow are written.
    Keep(Box<Snapshot>),
    /// Write a record.
    Record(Box<CallRecord>),
    /// Tell the switch.
    Command(Command),
    /// Wake the machine with [`Input::Timer`].
    SetTimer(Timer, MonoMs),
    /// Do not.
    CancelTimer(Timer),
    /// The grant ends in a moment and the core has not answered: answer with [`Input::Continue`] if the call may go on. Only
    /// with `on_core_failure = "continue"`.
    CoreSilent,
    /// Something a human should hear of.
    Alarm(Alarm),
    /// Nothing more will come: once the records are durable the switch may forget the call, and the driver too.
    Finished,
}

/// What a switch can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Route the call, and arm the backstop so that it falls after `granted_ms` of talk, by what the switch's ticks need.
    Admit {
        /// Granted from the answer on.
        granted_ms: DurationMs,
    },
    /// Do not route it.
    Refuse(ReleaseCause),
    /// The backstop now belongs after `remaining_ms` from now.
    MoveBackstop {
        /// Granted from now on.
        remaining_ms: DurationMs,
    },
    /// End it.
    Release {
        /// Why.
        cause: ReleaseCause,
        /// 1, 2, 3 ...: a higher attempt means that the earlier ones were not confirmed; try the other leg.
        attempt: u32,
    },
    /// Tell the caller, if the switch can, that the credit ends.
    WarnLowBalance {
        /// Left from now on.
        remaining_ms: DurationMs,
    },
}

/// What a human should hear of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alarm {
    /// Talk beyond the credit was charged below zero.
    Overrun {
        /// Beyond the last grant.
        overrun_ms: DurationMs,
    },
    /// The switch does not confirm a release.
    ReleaseUnconfirmed {
        /// Tried so often.
        attempts: u32,
    },
    /// A conversation took place that nobody could be charged for.
    Uncharged,
    /// The core does not know a session that we hold.
    SessionLost,
    /// The switch's clock and ours differ.
    ClockAnomaly {
        /// By the switch.
        switch_ms: DurationMs,
        /// By us.
        measured_ms: DurationMs,
    },
}
