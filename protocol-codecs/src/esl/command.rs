//! What a client says: one command, ended by a blank line. Every command is answered exactly once and in order, `api`
//! by an `api/response`, all others by a `command/reply`.
//!
//! Not here on purpose: `getvar` (its answer is cut at 511 bytes and breaks the framing), `myevents <uuid>` (for an
//! unknown channel it subscribes to all), `event ... ALL`, `log`, `sendevent`, `divert_events`.

use bytes::BytesMut;

use super::api::ApiCall;
use super::arguments::CommandWriter;
use super::cause::HangupCause;
use super::error::EncodeError;
use super::names::{EventFormat, EventName};
use crate::Masked;

/// One command.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Command {
    /// `auth`: first command of an inbound connection.
    Auth {
        /// The switch's event socket password.
        password: Masked,
    },
    /// `userauth`: a user of the directory, who may be restricted to some events and calls.
    UserAuth {
        /// The user.
        user: String,
        /// Its domain.
        domain: String,
        /// Its `esl-password`.
        password: Masked,
    },
    /// `event`: adds to what is subscribed to, and sets the format of *all* events of this connection.
    Event {
        /// How events are written.
        format: EventFormat,
        /// Events, at least one; `CUSTOM` only through `subclasses`.
        names: Vec<EventName>,
        /// Subclasses of `CUSTOM`.
        subclasses: Vec<String>,
    },
    /// `nixevent`: takes these off the subscription.
    NixEvent {
        /// Events, at least one.
        names: Vec<EventName>,
    },
    /// `noevents`.
    NoEvents,
    /// `filter`: from now on only events that pass some filter come, heartbeats and job answers included.
    Filter {
        /// The field.
        header: String,
        /// The text it must have; `/regex/`; with a minus in front: must not have.
        value: String,
    },
    /// `filter delete all`.
    FilterDeleteAll,
    /// `myevents`: the events of the channel of an outbound connection.
    MyEvents {
        /// How events are written.
        format: EventFormat,
    },
    /// `connect`: first command of an outbound connection; the answer carries the channel.
    Connect,
    /// `linger`: keep an outbound connection after the channel's end, for its last events.
    Linger {
        /// How long, in seconds, at least 1; `None` = until we say `exit`.
        seconds: Option<u32>,
    },
    /// `resume`: the dialplan goes on when an outbound connection ends.
    Resume,
    /// `exit`: ends the connection.
    Exit,
    /// `api`: answered when done; no event comes on this connection meanwhile.
    Api(ApiCall),
    /// `bgapi`: answered at once; what it did comes as `BACKGROUND_JOB`, if that is subscribed to. Order is not kept.
    BgApi {
        /// What to do.
        call: ApiCall,
        /// Our own id for it; `None` = FreeSWITCH makes one and tells it in the reply.
        job_uuid: Option<String>,
    },
    /// `sendmsg` with `execute`: runs a dialplan application on a channel. Queued, not immediate.
    Execute(Execute),
    /// `sendmsg` with `hangup`. Queued: `uuid_kill` is immediate.
    HangUp {
        /// The channel; `None` = that of an outbound connection.
        unique_id: Option<String>,
        /// Why.
        cause: HangupCause,
    },
}

/// An application for a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Execute {
    /// The channel; `None` = that of an outbound connection.
    pub unique_id: Option<String>,
    /// The application: `answer`, `playback`, `respond`, `set`.
    pub application: String,
    /// Its argument; the channel expands `${...}` in it, so nothing of a caller's may be in it.
    pub argument: Option<Masked>,
    /// Comes back as `Application-UUID` in `CHANNEL_EXECUTE_COMPLETE`.
    pub event_uuid: Option<String>,
    /// Let the applications queued before end first.
    pub event_lock: bool,
}

impl Command {
    /// FreeSWITCH's name of the command, or of the api call.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Auth { .. } => "auth",
            Self::UserAuth { .. } => "userauth",
            Self::Event { .. } => "event",
            Self::NixEvent { .. } => "nixevent",
            Self::NoEvents => "noevents",
            Self::Filter { .. } | Self::FilterDeleteAll => "filter",
            Self::MyEvents { .. } => "myevents",
            Self::Connect => "connect",
            Self::Linger { .. } => "linger",
            Self::Resume => "resume",
            Self::Exit => "exit",
            Self::Api(call) | Self::BgApi { call, .. } => call.name(),
            Self::Execute(_) | Self::HangUp { .. } => "sendmsg",
        }
    }

    /// Answered by an `api/response`; all others by a `command/reply`.
    pub fn is_api(&self) -> bool {
        matches!(self, Self::Api(_))
    }

    /// Appends the command with its blank line to `out`; on error `out` is unchanged.
    ///
    /// # Errors
    /// An argument that FreeSWITCH would read as something else; see [`EncodeError`].
    pub fn encode(&self, out: &mut BytesMut) -> Result<(), EncodeError> {
        let mut writer = CommandWriter::new(self.name(), out);
        self.write(&mut writer);
        writer.finish()
    }

    fn write(&self, out: &mut CommandWriter<'_>) {
        match self {
            Self::Auth { password } => {
                out.word("auth ").line("password", password.expose());
            }
            Self::UserAuth { user, domain, password } => {
                // FreeSWITCH takes the first `@` and the first `:` behind it.
                out.word("userauth ").without("user", user, &['@', ':']).word("@");
                out.without("domain", domain, &['@', ':']).word(":").line("password", password.expose());
            }
            Self::Event { format, names, subclasses } => {
                out.word("event ").word(format.as_str());
                write_names(out, names, subclasses);
            }
            Self::NixEvent { names } => {
                out.word("nixevent");
                write_names(out, names, &[]);
            }
            Self::Filter { header, value } => {
                let is_word = ["add", "delete"].iter().any(|word| header.eq_ignore_ascii_case(word));
                out.unusable_if("header", is_word)
                    .word("filter")
                    .token("header", header)
                    .word(" ")
                    .line("value", value);
            }
            Self::MyEvents { format } => {
                out.word("myevents ").word(format.as_str());
            }
            Self::Linger { seconds: Some(seconds) } => {
                out.range("seconds", u64::from(*seconds), 1, u64::from(u32::MAX >> 1));
                let text = seconds.to_string();
                out.word("linger ").word(&text);
            }
            Self::FilterDeleteAll => {
                out.word("filter delete all");
            }
            Self::NoEvents | Self::Connect | Self::Linger { seconds: None } | Self::Resume | Self::Exit => {
                out.word(self.name());
            }
            Self::Api(call) => call.write(out.word("api ")),
            Self::BgApi { call, job_uuid } => {
                call.write(out.word("bgapi "));
                if let Some(job_uuid) = job_uuid {
                    out.word("\nJob-UUID:").token("job_uuid", job_uuid);
                }
            }
            Self::Execute(execute) => execute.write(out),
            Self::HangUp { unique_id, cause } => {
                write_message(out, unique_id.as_deref());
                out.word("hangup\nhangup-cause: ").word(cause.as_str());
            }
        }
    }
}

impl Execute {
    fn write(&self, out: &mut CommandWriter<'_>) {
        write_message(out, self.unique_id.as_deref());
        out.word("execute\nexecute-app-name:").token("application", &self.application);
        if let Some(argument) = &self.argument {
            out.word("\nexecute-app-arg: ").line("argument", argument.expose());
        }
        if let Some(event_uuid) = &self.event_uuid {
            out.word("\nEvent-UUID:").token("event_uuid", event_uuid);
        }
        if self.event_lock {
            out.word("\nevent-lock: true");
        }
    }
}

fn write_message(out: &mut CommandWriter<'_>, unique_id: Option<&str>) {
    out.word("sendmsg");
    if let Some(unique_id) = unique_id {
        out.token("unique_id", unique_id);
    }
    out.word("\ncall-command: ");
}

/// Everything behind `CUSTOM` is a subclass, so that it comes last.
fn write_names(out: &mut CommandWriter<'_>, names: &[EventName], subclasses: &[String]) {
    out.unusable_if("names", names.is_empty() && subclasses.is_empty());
    // `CUSTOM` in the middle would make subclasses of the events behind it.
    out.unusable_if("names", names.contains(&EventName::Custom));
    for name in names {
        out.word(" ").word(name.as_str());
    }
    if !subclasses.is_empty() {
        out.word(" ").word(EventName::Custom.as_str());
    }
    for subclass in subclasses {
        out.token("subclass", subclass);
    }
}
