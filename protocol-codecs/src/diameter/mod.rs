//! Diameter with the credit-control application: Gy and Ro, both ends.
//!
//! Wire: RFC 6733 (base), RFC 8506 (credit control, obsoletes 4006), 3GPP TS 32.299; recorded from Kamailio,
//! freeDiameter, erlang diameter and python-diameter (`tests/captures/diameter`). What is taken and refused, message by
//! message, is listed in `docs/reference/diameter.md`.
//!
//! Layers: [`DiameterCodec`] cuts a stream into [`Frame`]s; [`Avps`] walks along AVPs and [`Walk`] down into groups,
//! both without recursion and without copying; [`Frame::message`] reads a frame as a typed [`Message`],
//! [`Command::decode`] as one certain message. Every typed message and group is a table of AVPs (`groups`, `message`)
//! over the [`dictionary`]; texts in it are borrowed from the frame, and `into_owned` makes them independent.
//!
//! Refused: a length that is no message's, or above [`limits`] ([`FrameError`], [`Class::Fatal`](crate::Class)); what
//! [`Fault`] lists ([`MessageError`], [`Class::Skip`](crate::Class)), with its result code and the AVP for Failed-AVP.
//! Nothing is reserved for a length that was only claimed. Messages that clients are known to stumble over are not
//! encoded ([`EncodeError`]).
//!
//! # For the agent's author
//!
//! **A request**: `frame.message(mode)`; if that fails, `ErrorAnswer::about(&frame, origin, &error)` is the answer, with
//! the E bit where it belongs, the session, the proxies' state and the AVP at fault. Routing errors (3002, 3003, 3005)
//! and duplicates need only [`Envelope::of`]; [`ErrorAnswer::to`] refuses with any code. A CCR that was read is answered
//! with [`CreditControlAnswer::to`], which takes over what must come back.
//!
//! **An answer** belongs to the request with its Hop-by-Hop id; one that belongs to none is dropped. [`Answer::Error`]
//! comes for any command.
//!
//! **Copies**: keep [`Command::encoded`] and send it with [`EncodedMessage::with_hop_by_hop`]; a request that goes out
//! again has [`EncodedMessage::retransmitted`].
//!
//! **Before the capabilities exchange** the codec takes short messages only; call
//! [`DiameterCodec::capabilities_exchanged`] after the CEA. A claimed length that is never filled is the driver's to time.
//!
//! **Tolerance** ([`Mode`]): [`Notes`] counts what was passed over.

pub mod dictionary;
pub mod limits;

mod address;
mod avp;
mod codec;
mod envelope;
mod error;
mod failed;
mod few;
mod frame;
mod groups;
mod header;
mod message;
mod names;
mod reading;
mod result_code;
mod table;
mod text;
mod time;
mod value;
mod walk;
mod writer;

pub use address::Address;
pub use avp::{Avp, AvpFlags, Avps, BrokenAvp};
pub use codec::DiameterCodec;
pub use dictionary::{Definition, Kind, Mandatory};
pub use envelope::Envelope;
pub use error::{DiameterError, EncodeError, Fault, FrameError, MessageError};
pub use few::Few;
pub use frame::Frame;
pub use groups::*;
pub use header::{CommandFlags, Exchange, Header, VERSION, application, command, vendor};
pub use message::*;
pub use names::*;
pub use reading::{Decoded, Mode, Notes};
pub use result_code::ResultCode;
pub use text::{Identity, MaskedText, Octets, Text};
pub use time::Time;
pub use walk::Walk;
