//! What commands answer: `command/reply` with its `Reply-Text`, `api/response` with its body. Both carry the same few
//! kinds of text.

use super::channels::Channels;
use super::error::MessageError;
use super::event::Event;
use super::fields::Fields;
use super::json;

/// What an answer's text says. FreeSWITCH has no common form: a text that begins with `-` is a failure, `+OK` is
/// success, and anything else is what was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome<'a> {
    /// `+OK`, and what follows it.
    Done(&'a str),
    /// `-ERR ...`, `-ERROR`, `-USAGE: ...`.
    Failed(Failure<'a>),
    /// Anything else, without the line end: a value, a list, JSON.
    Text(&'a str),
}

/// Why a command failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure<'a> {
    /// What the agent must tell apart.
    pub kind: FailureKind,
    /// The whole text without the line end.
    pub text: &'a str,
}

/// The failures that the agent must tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// The channel is gone, which is not an error: the caller may have given up meanwhile.
    NoSuchChannel,
    /// No such command, or one that this connection may not give (before `auth`; a `socket` without `async full`).
    NoSuchCommand,
    /// The user is not permitted this command or event.
    Denied,
    /// Wrong arguments.
    Usage,
    /// The command ran and printed nothing.
    NoReply,
    /// Any other.
    Other,
}

impl<'a> Outcome<'a> {
    /// Reads the text of an answer.
    pub fn of(text: &'a str) -> Self {
        let text = text.trim_end_matches(['\r', '\n']);
        if text.starts_with('-') {
            return Self::Failed(Failure { kind: FailureKind::of(text), text });
        }
        match text.strip_prefix("+OK") {
            Some(rest) => Self::Done(rest.trim_start()),
            None => Self::Text(text),
        }
    }

    /// What was said, unless it was a failure.
    ///
    /// # Errors
    /// The failure.
    pub fn ok(self) -> Result<&'a str, Failure<'a>> {
        match self {
            Self::Done(text) | Self::Text(text) => Ok(text),
            Self::Failed(failure) => Err(failure),
        }
    }
}

impl FailureKind {
    fn of(text: &str) -> Self {
        let reason = text.strip_prefix("-ERR").unwrap_or(text).trim();
        match reason {
            "No such channel!" => Self::NoSuchChannel,
            "permission denied" => Self::Denied,
            "no reply" => Self::NoReply,
            _ if reason.starts_with("invalid session id [") => Self::NoSuchChannel,
            _ if reason.starts_with("-USAGE") => Self::Usage,
            _ if reason.to_ascii_lowercase().trim_end_matches('!').ends_with("command not found") => {
                Self::NoSuchCommand
            }
            _ => Self::Other,
        }
    }

    /// The metric label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoSuchChannel => "no_such_channel",
            Self::NoSuchCommand => "no_such_command",
            Self::Denied => "denied",
            Self::Usage => "usage",
            Self::NoReply => "no_reply",
            Self::Other => "other",
        }
    }
}

/// A `command/reply`. The answer to `connect` is one too, and carries the channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandReply {
    pub(super) head: Head,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Head {
    Plain(Fields),
    Channel(Box<Event>),
}

impl CommandReply {
    /// `Reply-Text`.
    pub fn text(&self) -> &str {
        self.fields().text("Reply-Text").unwrap_or_default()
    }

    /// What it says.
    pub fn outcome(&self) -> Outcome<'_> {
        Outcome::of(self.text())
    }

    /// The id of the job that a `bgapi` began.
    pub fn job_uuid(&self) -> Option<&str> {
        self.fields().text("Job-UUID").filter(|job_uuid| !job_uuid.is_empty())
    }

    /// The channel, in the answer to `connect`; its name is `CHANNEL_DATA`.
    pub fn channel(&self) -> Option<&Event> {
        match &self.head {
            Head::Channel(channel) => Some(channel),
            Head::Plain(_) => None,
        }
    }

    /// All headers: `Allowed-Events` after `userauth`, `Socket-Mode` and `Control` after `connect`.
    pub fn fields(&self) -> &Fields {
        match &self.head {
            Head::Plain(fields) => fields,
            Head::Channel(channel) => channel.fields(),
        }
    }
}

/// An `api/response`.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiResponse {
    pub(super) body: String,
}

impl ApiResponse {
    /// The whole text; bytes that were not UTF-8 became U+FFFD.
    pub fn body(&self) -> &str {
        &self.body
    }

    /// What it says.
    pub fn outcome(&self) -> Outcome<'_> {
        Outcome::of(&self.body)
    }

    /// Answer to `uuid_exists`; `None` when it was neither `true` nor `false`.
    pub fn exists(&self) -> Option<bool> {
        match self.body.trim_end() {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        }
    }

    /// Answer to `uuid_getvar`: `None` when the variable is not set. A value may begin with a minus, so that only
    /// `-ERR` and `-USAGE` are failures here.
    ///
    /// # Errors
    /// The failure.
    pub fn variable(&self) -> Result<Option<&str>, Failure<'_>> {
        match self.outcome() {
            Outcome::Failed(failure) if self.body.starts_with("-ERR ") || failure.kind == FailureKind::Usage => {
                Err(failure)
            }
            _ => Ok(Some(self.body.as_str()).filter(|body| *body != "_undef_")),
        }
    }

    /// Answer to `sched_del`: how many tasks there were. 0 is success too.
    pub fn deleted(&self) -> Option<u64> {
        match self.outcome() {
            Outcome::Done(text) => text.strip_prefix("Deleted:")?.trim().parse().ok(),
            _ => None,
        }
    }

    /// Answer to `show channels as json`.
    ///
    /// # Errors
    /// Not such a list, or a failure.
    pub fn channels(&self) -> Result<Channels<'_>, MessageError> {
        self.outcome().ok().map_err(|_| MessageError::Failed)?;
        serde_json::from_str::<Channels<'_>>(&self.body).map_err(|error| json::not_json(&error))?.checked()
    }

    /// Answer to `uuid_dump ... json`.
    ///
    /// # Errors
    /// Not an event, or a failure (the channel is gone).
    pub fn channel(&self) -> Result<Event, MessageError> {
        self.outcome().ok().map_err(|_| MessageError::Failed)?;
        Event::from_json(self.body.as_bytes())
    }
}

impl std::fmt::Debug for ApiResponse {
    /// The length only: the body may be a subscriber's number.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ApiResponse({} bytes)", self.body.len())
    }
}
