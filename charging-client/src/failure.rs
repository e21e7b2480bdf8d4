//! Why a request has no answer, and what is known of its fate.

use charging_proto::ConvertError;
use tonic::Code;
use types::class::ErrorClass;

/// No answer. The variant says what is known of the request's fate, the cause why.
///
/// From a [`crate::ChargingTransport`] it speaks of one attempt. From a [`crate::Client`] it speaks of the request:
/// after `NotSent` and `UnknownFate` the client still holds it and delivers it later (unless the cause is
/// [`FailureCause::Stopped`]); after `NotTaken` and `Refused` it does not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChargingFailure {
    /// The client did not take the request: nothing was sent and nothing will be.
    #[error("request not taken")]
    NotTaken {
        /// Why.
        #[source]
        cause: FailureCause,
    },
    /// Nothing has reached the core, for certain.
    #[error("request not sent")]
    NotSent {
        /// Why.
        #[source]
        cause: FailureCause,
    },
    /// The core may have applied the request: it was sent, or part of it, and no answer came.
    #[error("fate of the request unknown")]
    UnknownFate {
        /// Why.
        #[source]
        cause: FailureCause,
    },
    /// The core understood who asks and said no: nothing was applied.
    #[error("refused by the core")]
    Refused {
        /// Why.
        #[source]
        cause: FailureCause,
    },
}

impl ChargingFailure {
    /// `Retry` for what may succeed later, `Refused` for a no, `Fatal` when the client has been stopped.
    pub fn class(&self) -> ErrorClass {
        match self {
            _ if *self.cause() == FailureCause::Stopped => ErrorClass::Fatal,
            Self::Refused { .. } => ErrorClass::Refused,
            Self::NotTaken { .. } | Self::NotSent { .. } | Self::UnknownFate { .. } => ErrorClass::Retry,
        }
    }

    /// Why.
    pub const fn cause(&self) -> &FailureCause {
        match self {
            Self::NotTaken { cause }
            | Self::NotSent { cause }
            | Self::UnknownFate { cause }
            | Self::Refused { cause } => cause,
        }
    }

    /// The failure of a call whose request may have been sent and that ended with a gRPC status.
    pub(crate) fn from_status(status: &tonic::Status) -> Self {
        let cause = FailureCause::Status { code: status.code(), message: status.message().into() };
        match status.code() {
            Code::Unauthenticated | Code::PermissionDenied => Self::Refused { cause },
            _ => Self::UnknownFate { cause },
        }
    }
}

/// What went wrong on the way.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FailureCause {
    /// No connection to any core address, or the connection ended.
    #[error("no connection to the charging core")]
    Disconnected,
    /// No answer to an attempt.
    #[error("no answer within {after_ms} ms")]
    Timeout {
        /// The time waited, in milliseconds.
        after_ms: u64,
    },
    /// The caller's own time is over.
    #[error("the caller's deadline of {after_ms} ms passed")]
    Deadline {
        /// The time waited, in milliseconds.
        after_ms: u64,
    },
    /// Too many requests in flight on the connection.
    #[error("{window} requests are in flight already")]
    WindowFull {
        /// Most in flight.
        window: usize,
    },
    /// Too many requests held by the client.
    #[error("{limit} requests are pending already")]
    QueueFull {
        /// Most held, for this kind of request.
        limit: usize,
    },
    /// The core ended the call with this status.
    #[error("status {code:?}: {message}")]
    Status {
        /// The gRPC code.
        code: Code,
        /// The core's words.
        message: Box<str>,
    },
    /// An answer came that says nothing this version understands.
    #[error("unreadable answer")]
    UnreadableAnswer(#[source] ConvertError),
    /// It could not be written to the outbox, and nothing is sent that a crash would forget.
    #[error("the outbox did not take the request: {reason}")]
    Outbox {
        /// The disk's words.
        reason: Box<str>,
    },
    /// The client or transport has been stopped.
    #[error("the charging client has been stopped")]
    Stopped,
}
