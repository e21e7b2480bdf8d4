//! Kamailio's evapi connection: JSON objects over TCP, both directions.
//!
//! Wire: module `evapi` of Kamailio (recorded from 5.6.3), `netstring_format=1`: one JSON object in one netstring,
//! `<bytes>:<json>,`. The fields are ours (`docs/reference/evapi-messages.md`). `netstring_format=0`, bare JSON objects
//! one after the other, is decoded too ([`Framing::BareJson`]), but Kamailio itself then takes each read from its socket
//! as one message, and loses messages that arrive joined or split: agents use netstrings.
//!
//! Refused: a length with leading zeros, more than [`limits::LENGTH_DIGITS_MAX`] digits or above
//! [`limits::FRAME_BYTES_MAX`], a missing comma (all [`Class::Fatal`](crate::Class)); text that is not JSON, nests too
//! deep, lacks a required field or has one of the wrong type (all [`Class::Skip`](crate::Class)). Nothing is ever
//! allocated for a length that was only claimed.
//!
//! Layers: [`FrameScanner`] finds frames in bytes it does not own; [`FrameReader`] owns a bounded buffer (push, next);
//! [`FromKamailio`] and [`ToKamailio`] are the typed messages; [`EvapiCodec`] joins all of it for `tokio_util`.
//! Callers: the Kamailio agent ([`AgentCodec`]) and test doubles of Kamailio ([`SwitchCodec`]).

pub mod limits;

mod codec;
mod decode;
mod encode;
mod error;
mod fields;
mod from_kamailio;
mod message;
mod names;
mod time;
mod to_kamailio;

pub use codec::{AgentCodec, EvapiCodec, SwitchCodec};
pub use decode::{FrameReader, FrameScanner, FrameSpan, Framing};
pub use encode::encode_frame;
pub use error::{EncodeError, EvapiError, FrameError, MessageError};
pub use from_kamailio::{CallFields, FromKamailio};
pub use message::{Decoded, Message};
pub use names::{EndCause, EndedBy, FailCause, HelloStatus, PayerKind, ReplyStatus};
pub use time::EpochMicros;
pub use to_kamailio::{AuthVerdict, ToKamailio};
