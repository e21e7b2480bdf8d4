//! The charging request and answer, after 3GPP TS 32.290/32.291 and RFC 8506, as everybody inside speaks of them.
//! `charging-proto` maps them to the wire; `agents/call` makes requests; `charging-core/ledger` answers them.

mod answer;
mod request;
mod service;

pub use answer::{
    BalanceAmount, BalanceDraw, BalanceKind, ChargingAnswer, Cost, FailureHandling, FinalUnit, FinalUnitAction,
    Notification, NotificationKind, ResultCode, SessionPhase, SessionSummary, UnitAnswer,
};
pub use request::{
    ChargingMode, ChargingRequest, Operation, ReportingReason, RequestedAction, SubscriberId, SubscriberIdKind,
    TariffChange, UnitUsage, Units, UsedUnits,
};
pub use service::{PartyRole, Service, ServiceInformation};
