//! `SessionSummary`.

use types::UtcMs;
use types::charging::{Cost, SessionSummary};

use super::words::WireWord;
use super::{ConvertError, required, session_id};
use crate::v1;

impl From<SessionSummary> for v1::SessionSummary {
    fn from(session: SessionSummary) -> Self {
        Self {
            session_id: session.session_id.as_str().to_owned(),
            client_id: session.client_id.as_str().to_owned(),
            phase: session.phase.to_wire(),
            last_request_number: session.last_request_number,
            used_time_ms: session.used_time_ms,
            granted_time_ms: session.granted_time_ms,
            final_grant: session.final_grant,
            billable_ms: session.billable_ms,
            cost: session.cost.map(Into::into),
            answer_time: session.answer_time.map(|time| time.0),
            updated_time: session.updated.0,
            client_state: session.client_state,
        }
    }
}

impl TryFrom<v1::SessionSummary> for SessionSummary {
    type Error = ConvertError;

    fn try_from(wire: v1::SessionSummary) -> Result<Self, ConvertError> {
        Ok(Self {
            session_id: session_id("session_id", wire.session_id)?,
            client_id: required("client_id", wire.client_id)?,
            phase: WireWord::from_wire("phase", wire.phase)?,
            last_request_number: wire.last_request_number,
            used_time_ms: wire.used_time_ms,
            granted_time_ms: wire.granted_time_ms,
            final_grant: wire.final_grant,
            billable_ms: wire.billable_ms,
            cost: wire.cost.map(Cost::try_from).transpose()?,
            answer_time: wire.answer_time.map(UtcMs),
            updated: UtcMs(wire.updated_time),
            client_state: wire.client_state,
        })
    }
}
