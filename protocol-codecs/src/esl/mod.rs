//! FreeSWITCH's event socket: frames, events, answers and commands, for connections we make and for those that the
//! `socket` application makes to us.
//!
//! Wire: `mod_event_socket`, recorded from FreeSWITCH 1.11.2; what the source of that version says is marked so where
//! it matters. A frame is header lines, a blank line, and `Content-Length` bytes of body if that header is there. The
//! words are listed in `docs/reference/esl-messages.md`.
//!
//! Refused: a header without a name or colon, a length that is not a plain number of at most eight digits or stands
//! there twice, sizes above [`limits`], a reply that FreeSWITCH's own buffer cut (all [`Class::Fatal`](crate::Class));
//! an event that is not JSON, has no name or has too many fields (all [`Class::Skip`](crate::Class), one message each).
//! Nothing is allocated for a length that was only claimed. Commands refuse every argument that FreeSWITCH would read as
//! something else ([`EncodeError`]).
//!
//! Layers: [`FrameScanner`] finds frames in bytes it does not own; [`Frame::decode`] reads one; [`EslCodec`] joins both
//! for `tokio_util`. [`Event`] is three heap blocks whatever it holds, its lookups build nothing. [`SwitchCodec`] is
//! FreeSWITCH's end, for doubles. Callers: the FreeSWITCH agent and its tests.
//!
//! # For the agent's author
//!
//! **Inbound connection** (we connect): `AuthRequest`, or `RudeRejection` and the end; we say [`Command::Auth`] (or
//! `UserAuth`), `CommandReply` answers; a wrong password is answered, then a `DisconnectNotice` and the end come.
//! FreeSWITCH waits about 25 s for it. **Outbound connection**: nothing comes until we say [`Command::Connect`]; its
//! `CommandReply` has [`CommandReply::channel`]. Then `MyEvents`, `Linger`, `Resume`, as wanted. At the channel's end a
//! `DisconnectNotice` with `lingers` comes first, then the last events, then (after our `Exit`, or the time) another.
//!
//! **Matching**: each command has exactly one answer, in the order in which the commands were sent. One queue of what
//! was sent: a `CommandReply` or `ApiResponse` belongs to its head, and [`Command::is_api`] must agree; if it does not,
//! reconnect. Events, `LogData` and `DisconnectNotice` come in between and belong to no command. A `BgApi` is answered
//! at once; its result is a later `BACKGROUND_JOB` with the same [`Event::job_uuid`], in any order, and only if that
//! event was subscribed to before. Give each command its own deadline: a cut reply ([`FrameError::CutReply`]) is only
//! seen when the next frame comes. After it, or after any other fault, the fate of all unanswered commands is unknown.
//!
//! **Two connections a switch.** `Api` holds up the events of its own connection, and unsent halves or a flood of
//! commands hold them up too. Events: one `Event` command (json), no `Filter` on channels' direction without one for
//! `HEARTBEAT`. A filter is a list of what may pass, for all events. Never stop reading: one client that does not read
//! stops all others on that switch.
//!
//! **Reading events**: [`Event::text`] and [`Event::variable`] give `None` for arrays, so that a caller who writes
//! `ARRAY::` into a SIP header names no account. `Some("")` is possible. Times are `answered_us()`, `hangup_us()`;
//! `None` = not yet. What was talked is their difference, or `count("variable_billusec")`; `billsec` is wrong by up to a
//! second. Calls that are cut are told by the *name* of the cause; their Q.850 value is 16. `hangup_cause()` is `None`
//! for a cause that FreeSWITCH itself cannot name (`UNKNOWN`).
//!
//! **Failures**: [`FailureKind::NoSuchChannel`] is ordinary: the caller gave up. A leading `-` is failure, `+OK` is not
//! always there. `uuid_setvar_multi` says `+OK` for what it dropped; the encoder refuses what would be.
//!
//! Open the stream with `Framed::with_capacity(stream, EslCodec::new(), 65_536)`: 8 KiB is less than one event.

pub mod limits;

mod api;
mod arguments;
mod cause;
mod channels;
mod codec;
mod command;
mod decode;
mod double;
mod error;
mod event;
mod fields;
mod flat;
mod frame;
mod json;
mod names;
mod plain;
mod reply;

pub use api::ApiCall;
pub use cause::HangupCause;
pub use channels::{ChannelRow, Channels};
pub use codec::EslCodec;
pub use command::{Command, Execute};
pub use decode::{FrameScanner, FrameSpan};
pub use double::{SwitchCodec, SwitchFrame};
pub use error::{EncodeError, EslError, FieldError, FrameError, MessageError};
pub use event::Event;
pub use fields::{Elements, Fields, Value};
pub use frame::{DisconnectNotice, Frame, LogData, RawBody, UnknownFrame};
pub use names::{BroadcastLegs, CallDirection, ContentType, EventFormat, EventName};
pub use reply::{ApiResponse, CommandReply, Failure, FailureKind, Outcome};
