//! The messages: a table of AVPs each, and what all have in common.

mod base;
mod command;
mod credit_control;
mod error_answer;
mod session;

pub use base::{
    CapabilitiesExchangeAnswer, CapabilitiesExchangeRequest, DeviceWatchdogAnswer, DeviceWatchdogRequest,
    DisconnectPeerAnswer, DisconnectPeerRequest,
};
pub use command::{Command, EncodedMessage};
pub use credit_control::{CreditControlAnswer, CreditControlRequest};
pub use error_answer::ErrorAnswer;
pub use session::{AbortSessionAnswer, AbortSessionRequest, ReAuthAnswer, ReAuthRequest};

/// Any message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message<'a> {
    /// R bit set.
    Request(Request<'a>),
    /// R bit not set.
    Answer(Answer<'a>),
}

/// Any request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request<'a> {
    /// CER.
    CapabilitiesExchange(Box<CapabilitiesExchangeRequest<'a>>),
    /// DWR.
    DeviceWatchdog(DeviceWatchdogRequest<'a>),
    /// DPR.
    DisconnectPeer(DisconnectPeerRequest<'a>),
    /// CCR.
    CreditControl(Box<CreditControlRequest<'a>>),
    /// RAR.
    ReAuth(Box<ReAuthRequest<'a>>),
    /// ASR.
    AbortSession(Box<AbortSessionRequest<'a>>),
}

/// Any answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer<'a> {
    /// CEA.
    CapabilitiesExchange(Box<CapabilitiesExchangeAnswer<'a>>),
    /// DWA.
    DeviceWatchdog(Box<DeviceWatchdogAnswer<'a>>),
    /// DPA.
    DisconnectPeer(Box<DisconnectPeerAnswer<'a>>),
    /// CCA.
    CreditControl(Box<CreditControlAnswer<'a>>),
    /// RAA.
    ReAuth(Box<ReAuthAnswer<'a>>),
    /// ASA.
    AbortSession(Box<AbortSessionAnswer<'a>>),
    /// To any command: the E bit is set, or what its command demands is missing and it tells a failure.
    Error(Box<ErrorAnswer<'a>>),
}

/// Tables of all messages and groups, for the test that compares them with the dictionary.
#[cfg(test)]
mod tests;
