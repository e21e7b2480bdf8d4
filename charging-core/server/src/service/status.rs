//! Errors as gRPC statuses: what the caller did wrong, or may try again.

use charging_proto::ConvertError;
use ledger::{Outcome, Refusal};
use tonic::{Code, Status};
use types::ClientId;

use super::guard::Caller;
use crate::store::CoreError;

/// Of a message that cannot be read.
pub(super) fn unreadable(error: ConvertError) -> Status {
    Status::invalid_argument(chain(&error))
}

/// Of a client that the caller's token is not for.
pub(super) fn may_act_for(caller: Option<&Caller>, client_id: &ClientId) -> Result<(), Status> {
    if caller.is_some_and(|caller| !caller.may_act_for(client_id)) {
        return Err(Status::permission_denied(format!("this token may not act for client {client_id}")));
    }
    Ok(())
}

/// Of a core that did not do it.
pub(super) fn not_done(error: &CoreError) -> Status {
    let code = match error {
        CoreError::TooBusy { .. } | CoreError::DiskFull => Code::ResourceExhausted,
        CoreError::Stopped => Code::Unavailable,
        CoreError::TooLarge { .. } => Code::InvalidArgument,
        _ => Code::Internal,
    };
    Status::new(code, chain(error))
}

/// Of a command that the ledger refused.
pub(super) fn refused(refusal: Refusal) -> Status {
    let code = match refusal {
        Refusal::UnknownAccount | Refusal::UnknownSession | Refusal::UnknownBalance => Code::NotFound,
        Refusal::AccountExists | Refusal::IdentityTaken(_) | Refusal::OperationReused => Code::AlreadyExists,
        Refusal::CurrencyMismatch { .. }
        | Refusal::NotEnoughCredit { .. }
        | Refusal::NotEnoughUnits { .. }
        | Refusal::TooManyBalances => Code::FailedPrecondition,
        _ => Code::InvalidArgument,
    };
    Status::new(code, refusal.to_string())
}

/// Of an outcome that does not belong to the command.
pub(super) fn unexpected(outcome: &Outcome) -> Status {
    match outcome {
        Outcome::Refused(refusal) => refused(*refusal),
        other => Status::internal(format!("unexpected outcome {other:?}")),
    }
}

/// What this version's store does not have yet: never ignored in silence.
pub(super) fn unsupported(what: &str) -> Status {
    Status::unimplemented(format!("{what}: not supported by this version"))
}

pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}
