//! What a switch tells, in our terms. Agents translate their wire into these; nothing here knows a protocol.

use cdr_model::{CallDirection, Qos, SipData};
use serde::{Deserialize, Serialize};
use types::charging::{ChargingMode, Service, SubscriberId};
use types::{
    CallId, Cause, DurationMs, EndedBy, LegId, Number, ReleaseCause, SessionId, SipStatus, SmolStr, Tenant, UtcMs,
};

/// Something happened to a call. Times are the switch's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SwitchEvent {
    /// The other side is alerted. Never starts the clock. After a break it also proves that the call still rings.
    Ringing,
    /// The charged clock starts.
    Answered(Answer),
    /// The switch confirmed this very call alive.
    Alive(Answer),
    /// The charged clock pauses, if hold is free.
    Held,
    /// It goes on.
    Resumed,
    /// The conversation moved to another leg and is still paid by this session.
    Transferred {
        /// The leg that talks now.
        to: LegId,
    },
    /// It is over, and the switch says when.
    Ended(CallEnd),
    /// It is over, and nobody knows when: the switch no longer knows it, or is a new run.
    Gone,
}

/// A call that is offered to us before it is routed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallOffer {
    /// The conversation.
    pub call_id: CallId,
    /// Our charging session for it, unique over switches, their runs and time.
    pub session_id: SessionId,
    /// The charged leg.
    pub leg_id: LegId,
    /// The leg it came from; absent for an original one.
    pub parent_leg_id: Option<LegId>,
    /// Whose customer.
    pub tenant: Tenant,
    /// Who pays, as the switch authenticated; absent: nobody.
    pub payer: Option<SubscriberId>,
    /// How money is treated.
    pub charging_mode: ChargingMode,
    /// What is sold.
    pub service: Service,
    /// The rating category.
    pub category: SmolStr,
    /// The rating subject; absent: the account.
    pub subject: Option<SmolStr>,
    /// Who calls, normalised where that was possible.
    pub calling: Option<Number>,
    /// Who is called, normalised; absent: that was not possible and the call is refused.
    pub called: Option<Number>,
    /// Who is called, as dialled.
    pub dialled: Number,
    /// When it was offered.
    pub offered: UtcMs,
    /// Matched the never-refuse list in the switch: recorded, never charged, never touched.
    pub never_refuse: bool,
    /// As seen from the payer.
    pub direction: CallDirection,
    /// From the signalling, for the record.
    pub sip: SipData,
    /// The switch.
    pub node: Box<str>,
    /// The trunk; absent when the switch named none.
    pub trunk: Option<Box<str>>,
}

/// The answer of a call as the switch knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// When it was answered.
    pub at: UtcMs,
    /// How long ago that was when the switch said so, both by the switch's clock: 0 for a fresh event.
    pub elapsed_ms: DurationMs,
}

/// The end of a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallEnd {
    /// When.
    pub at: UtcMs,
    /// When it had been answered; absent: never (or the event does not say and the answer was seen).
    pub answered: Option<UtcMs>,
    /// Who ended it.
    pub by: EndedBy,
    /// Q.850 cause.
    pub cause: Cause,
    /// Final SIP status of an unanswered call.
    pub sip_status: Option<SipStatus>,
    /// The caller gave up before the answer.
    pub cancelled: bool,
    /// Set when the switch ended it for us or by its backstop.
    pub release_cause: Option<ReleaseCause>,
    /// True when the event was kept by the switch and came late: our own clock says nothing about it.
    pub replayed: bool,
    /// Media quality.
    pub qos: Option<Qos>,
    /// The agreed codec, when only the end tells it.
    pub codec: Option<Box<str>>,
}

impl CallEnd {
    /// An ordinary end at `at`.
    pub fn normal(at: UtcMs, by: EndedBy) -> Self {
        Self {
            at,
            answered: None,
            by,
            cause: Cause::NORMAL_CLEARING,
            sip_status: None,
            cancelled: false,
            release_cause: None,
            replayed: false,
            qos: None,
            codec: None,
        }
    }

    /// The end of a call that was never answered, with its final SIP status.
    pub fn unanswered(at: UtcMs, status: SipStatus) -> Self {
        Self {
            cause: Cause::from_sip_status(status),
            sip_status: Some(status),
            cancelled: status == 487,
            ..Self::normal(at, EndedBy::Unknown)
        }
    }
}
