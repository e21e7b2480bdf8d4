//! Messages from the agent to Kamailio. Contract: `docs/reference/evapi-messages.md`.

use super::error::MessageError;
use super::fields::{Field, FieldWriter, Fields};
use super::limits::SENT_FRAME_BYTES_MAX;
use super::message::messages;

messages! {
    /// What the agent says. Texts with control characters are refused: Kamailio puts some of them into SIP headers,
    /// where a CR LF would begin a header of its own.
    ToKamailio, limit SENT_FRAME_BYTES_MAX, forbidden char::is_control;

    /// First message; takes the connection tag.
    Hello = "HELLO" {
        /// Version of the contract: 1.
        protocol: u32,
        /// Connection tag, under 64 bytes (a limit of evapi).
        tag: String,
        /// Random identity of this run of the agent.
        instance: String,
        /// Identity of the agent, the same in every run.
        client_id: String,
    }
    /// Answered by `PONG` with the same `seq`.
    Ping = "PING" {
        /// Echoed.
        seq: u32,
    }
    /// Answer to `AUTH_REQUEST`.
    AuthReply = "AUTH_REPLY" {
        /// From the request.
        tr_index: u32,
        /// From the request.
        tr_label: u32,
        /// Yes or no.
        verdict: AuthVerdict,
    }
    /// This end is charged and recorded: forget it.
    CallEndAck = "CALL_END_ACK" {
        /// From `CALL_END` or `CALL_FAILED`.
        end_id: String,
    }
    /// Asks for every unacknowledged end again.
    Resend = "RESEND" {}
    /// Asks for one `CALL_ALIVE` per answered call.
    CallList = "CALL_LIST" {
        /// Chosen by the agent, echoed in every answer.
        list_id: String,
    }
    /// Moves the backstop.
    SetTimeout = "SET_TIMEOUT" {
        /// Dialog hash entry.
        h_entry: u32,
        /// Dialog hash id.
        h_id: u32,
        /// Seconds from now.
        cap_s: u32,
    }
    /// BYE to both sides.
    Disconnect = "DISCONNECT" {
        /// Dialog hash entry.
        h_entry: u32,
        /// Dialog hash id.
        h_id: u32,
        /// Compared exactly with the dialog's.
        callid: String,
        /// Of the dialog.
        from_tag: String,
        /// Of the dialog.
        to_tag: Option<String>,
        /// Comes back as the cause of `CALL_END`.
        cause: String,
    }
}

/// The verdict in an `AUTH_REPLY`; on the wire its fields stand beside the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuthVerdict {
    /// Route the call (`allow` 1).
    Allow {
        /// Backstop, seconds from the answer.
        cap_s: u32,
    },
    /// Refuse the call (`allow` 0).
    Deny {
        /// SIP status, 400 to 699.
        code: u16,
        /// Reason phrase of the SIP answer.
        reason: String,
    },
}

impl Field for AuthVerdict {
    fn read(fields: &Fields<'_>, _: &'static str) -> Result<Self, MessageError> {
        match fields.required::<u32>("allow")? {
            0 => {
                let code: u16 = fields.required("code")?;
                if !SIP_REFUSALS.contains(&code) {
                    return Err(MessageError::OutOfRange { event: fields.event, field: "code" });
                }
                Ok(Self::Deny { code, reason: fields.required("reason")? })
            }
            1 => Ok(Self::Allow { cap_s: fields.required("cap_s")? }),
            _ => Err(MessageError::OutOfRange { event: fields.event, field: "allow" }),
        }
    }

    fn write(&self, _: &'static str, out: &mut FieldWriter) {
        match self {
            Self::Allow { cap_s } => {
                out.number("allow", 1);
                out.number("cap_s", *cap_s);
            }
            Self::Deny { code, reason } => {
                if !SIP_REFUSALS.contains(code) {
                    out.out_of_range("code");
                }
                out.number("allow", 0);
                out.number("code", u32::from(*code));
                out.text("reason", reason);
            }
        }
    }
}

/// RFC 3261 section 21.4 to 21.6. A 3xx would send the caller elsewhere instead of refusing.
const SIP_REFUSALS: std::ops::RangeInclusive<u16> = 400..=699;
