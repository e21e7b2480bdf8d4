//! Messages from Kamailio to the agent. Contract: `docs/reference/evapi-messages.md`.
//!
//! Required is only what charging cannot do without: the identity of the call and of the end, and the times. What
//! merely describes the call is optional even where the contract always sends it: a caller can choose bytes that
//! Kamailio cannot put into JSON (then the field is absent), and that must not cost us the end of the call.

use super::error::MessageError;
use super::fields::{Field, FieldWriter, Fields};
use super::limits::FRAME_BYTES_MAX;
use super::message::messages;
use super::names::{EndCause, EndedBy, FailCause, HelloStatus, PayerKind, ReplyStatus};
use super::time::EpochMicros;
use crate::Masked;

messages! {
    /// What Kamailio says. Encoding it (for doubles of Kamailio) refuses only NUL, which Kamailio cannot produce.
    FromKamailio, limit FRAME_BYTES_MAX, forbidden |character| character == '\0';

    /// Answer to `HELLO`.
    HelloReply = "HELLO_REPLY" {
        /// Accepted or not.
        status: HelloStatus,
        /// Identity of this run of Kamailio.
        run: String,
        /// Name of the server.
        server: Option<String>,
        /// Version of the contract that it speaks.
        protocol: u32,
        /// Why not.
        reason: Option<String>,
    }
    /// Answer to `PING`.
    Pong = "PONG" {
        /// Of the `PING`.
        seq: u32,
    }
    /// The last message could not be obeyed.
    Error = "ERROR" {
        /// In words.
        reason: String,
        /// When it was about a transaction.
        tr_index: Option<u32>,
        /// When it was about a transaction.
        tr_label: Option<u32>,
    }
    /// An INVITE waits for `AUTH_REPLY`.
    AuthRequest = "AUTH_REQUEST" {
        /// Transaction: hash index.
        tr_index: u32,
        /// Transaction: label.
        tr_label: u32,
        /// The call.
        call: CallFields,
    }
    /// First 18x of the call.
    CallRinging = "CALL_RINGING" {
        /// The call.
        call: CallFields,
        /// SIP status, 180 to 189.
        status: Option<u16>,
    }
    /// 200 OK to the INVITE.
    CallStart = "CALL_START" {
        /// The call.
        call: CallFields,
        /// Tag of the callee.
        to_tag: Option<String>,
        /// When the 200 OK came.
        answer_time: EpochMicros,
        /// Address that the 200 OK came from.
        callee_ip: Option<String>,
        /// User-Agent or Server of the callee.
        callee_ua: Option<String>,
    }
    /// An answered call is over; sent until acknowledged.
    CallEnd = "CALL_END" {
        /// The call.
        call: CallFields,
        /// For `CALL_END_ACK`.
        end_id: String,
        /// Tag of the callee.
        to_tag: Option<String>,
        /// When it was answered.
        answer_time: EpochMicros,
        /// When it ended.
        end_time: EpochMicros,
        /// Who ended it.
        ended_by: EndedBy,
        /// Why.
        cause: EndCause,
        /// `Reason` header of the BYE (RFC 3326).
        reason_hdr: Option<String>,
        /// `P-RTP-Stat` header of the BYE.
        rtp_stat: Option<String>,
        /// Q.850 cause out of the `Reason` header.
        q850: Option<u16>,
    }
    /// A call that was never answered is over; sent until acknowledged.
    CallFailed = "CALL_FAILED" {
        /// The call.
        call: CallFields,
        /// For `CALL_END_ACK`.
        end_id: String,
        /// When it ended.
        end_time: EpochMicros,
        /// SIP status that the caller got; absent when it gave up before.
        sip_status: Option<u16>,
        /// Its reason phrase.
        sip_reason: Option<String>,
        /// Why.
        cause: FailCause,
    }
    /// One answered call that Kamailio has, in answer to `CALL_LIST`.
    CallAlive = "CALL_ALIVE" {
        /// Of the `CALL_LIST`.
        list_id: String,
        /// The call.
        call: CallFields,
        /// Tag of the callee.
        to_tag: Option<String>,
        /// When it was answered.
        answer_time: EpochMicros,
    }
    /// Every `CALL_ALIVE` was sent.
    CallListDone = "CALL_LIST_DONE" {
        /// Of the `CALL_LIST`.
        list_id: String,
        /// How many calls.
        count: u32,
    }
    /// Every unacknowledged end was sent again.
    ResendDone = "RESEND_DONE" {
        /// How many.
        count: u32,
    }
    /// Answer to `SET_TIMEOUT`.
    SetTimeoutReply = "SET_TIMEOUT_REPLY" {
        /// Done or not.
        status: ReplyStatus,
        /// Dialog hash entry.
        h_entry: u32,
        /// Dialog hash id.
        h_id: u32,
    }
    /// Answer to `DISCONNECT`; `CALL_END` usually comes before it.
    DisconnectReply = "DISCONNECT_REPLY" {
        /// Done or not.
        status: ReplyStatus,
        /// Dialog hash entry.
        h_entry: u32,
        /// Dialog hash id.
        h_id: u32,
    }
}

/// Makes a group of fields that stand beside the others on the wire.
macro_rules! field_group {
    ($(#[$meta:meta])* $name:ident { $($(#[$field_meta:meta])* $field:ident: $type:ty,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $name {
            $($(#[$field_meta])* pub $field: $type,)+
        }

        impl Field for $name {
            fn read(fields: &Fields<'_>, _: &'static str) -> Result<Self, MessageError> {
                Ok(Self { $($field: Field::read(fields, stringify!($field))?,)+ })
            }

            fn write(&self, _: &'static str, out: &mut FieldWriter) {
                $(Field::write(&self.$field, stringify!($field), out);)+
            }
        }
    };
}

field_group! {
    /// The fields of every call event.
    CallFields {
        /// Identity of this run of Kamailio.
        run: String,
        /// Call-ID.
        callid: String,
        /// Tag of the caller.
        from_tag: String,
        /// Dialog hash entry.
        h_entry: u32,
        /// Dialog hash id.
        h_id: u32,
        /// Account that Kamailio authenticated; absent on a never-refuse call without one.
        payer: Option<Masked>,
        /// How it was authenticated.
        payer_kind: Option<PayerKind>,
        /// Name of the trunk, for its number rules.
        trunk: Option<String>,
        /// User part of the request URI as dialled; absent for a URI without one (`urn:service:sos`).
        dest: Option<Masked>,
        /// Request URI.
        ruri: Option<Masked>,
        /// URI of the From header.
        from_uri: Option<Masked>,
        /// URI of the To header.
        to_uri: Option<Masked>,
        /// Calling number as claimed by the caller: for the record only.
        caller: Option<Masked>,
        /// Address that the INVITE came from.
        src_ip: Option<String>,
        /// User-Agent of the caller.
        user_agent: Option<String>,
        /// When the INVITE came.
        setup_time: EpochMicros,
        /// When this event was sent; absent on an end that Kamailio kept and sends again.
        event_time: Option<EpochMicros>,
        /// The number matched the never-refuse list.
        never_refuse: bool,
    }
}
