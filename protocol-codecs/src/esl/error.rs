//! What can be wrong with a stream, a message, a field, or something we are asked to send.

use thiserror::Error;

use crate::Class;

/// A fault in the framing: the stream has lost its place, the connection must end. Offsets count bytes from the start
/// of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FrameError {
    /// A header line without a colon, or without a name.
    #[error("no header at byte {offset}")]
    BadHeader {
        /// Where the line begins.
        offset: u64,
    },
    /// A header line longer than permitted.
    #[error("header line of more than {limit_bytes} bytes at byte {offset}")]
    LineTooLong {
        /// Where the line begins.
        offset: u64,
        /// Bytes permitted.
        limit_bytes: usize,
    },
    /// A block of headers longer than permitted.
    #[error("headers of more than {limit_bytes} bytes at byte {offset}")]
    HeadersTooLong {
        /// Where the block begins.
        offset: u64,
        /// Bytes permitted.
        limit_bytes: usize,
    },
    /// A `Content-Length` that is not a plain number of at most eight digits, or stands there twice.
    #[error("no usable Content-Length at byte {offset}")]
    BadLength {
        /// Where the line begins.
        offset: u64,
    },
    /// A body longer than permitted.
    #[error("body of {body_bytes} bytes at byte {offset}, limit {limit_bytes}")]
    BodyTooLong {
        /// Where the line with the length begins.
        offset: u64,
        /// The length claimed.
        body_bytes: usize,
        /// Bytes permitted.
        limit_bytes: usize,
    },
    /// A command's reply was longer than the 511 bytes that FreeSWITCH keeps of it and lost its end, so that the next
    /// frame is glued to it. Reconnect; a repetition would be cut as well (shorten the user's `esl-allowed-*` lists).
    #[error("reply cut by the switch's own buffer and glued to the next frame at byte {offset}")]
    CutReply {
        /// Where the line that holds both begins.
        offset: u64,
    },
    /// The connection ended inside a frame.
    #[error("connection ended in mid frame, {held_bytes} bytes after byte {offset}")]
    EndInFrame {
        /// Where the frame begins.
        offset: u64,
        /// Bytes of it that came.
        held_bytes: usize,
    },
}

impl FrameError {
    /// Always [`Class::Fatal`].
    pub fn class(&self) -> Class {
        Class::Fatal
    }
}

/// A fault in one message; the next one is not affected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MessageError {
    /// Not JSON, or not an object, or nested deeper than the parser goes (128).
    #[error("not a JSON object at line {line} column {column}")]
    BadJson {
        /// From 1.
        line: usize,
        /// From 1, in bytes; 0 = the end of the line before.
        column: usize,
    },
    /// A line of a plain event without a colon.
    #[error("no header at byte {offset} of the event")]
    BadHeader {
        /// Where the line begins.
        offset: usize,
    },
    /// The length inside a plain event is not the length of what follows it.
    #[error("event claims a body of {claimed_bytes} bytes and has {actual_bytes}")]
    BodyLength {
        /// By its `Content-Length`.
        claimed_bytes: usize,
        /// Behind its headers.
        actual_bytes: usize,
    },
    /// An event without `Event-Name`.
    #[error("no event name")]
    NoEventName,
    /// More fields than permitted.
    #[error("more than {limit} fields")]
    TooManyFields {
        /// Fields permitted.
        limit: usize,
    },
    /// More rows in a list of channels than permitted, or fewer than it claims.
    #[error("list of channels with {rows} rows, {row_count} claimed, limit {limit}")]
    BadRowCount {
        /// Rows found (one above the limit when that was passed).
        rows: usize,
        /// By its `row_count`.
        row_count: u64,
        /// Rows permitted.
        limit: usize,
    },
    /// The api call itself failed, so that there is nothing to read in its answer.
    #[error("the answer is a failure of the call")]
    Failed,
}

impl MessageError {
    /// Always [`Class::Skip`].
    pub fn class(&self) -> Class {
        Class::Skip
    }
}

/// A field that is there but is not what its name promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{field} is not {expected}")]
pub struct FieldError {
    /// The field.
    pub field: &'static str,
    /// What it should be.
    pub expected: &'static str,
}

impl FieldError {
    /// Always [`Class::Skip`].
    pub fn class(&self) -> Class {
        Class::Skip
    }
}

/// Why a command cannot be sent; nothing was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// A control character: CR, LF or NUL would end the command inside the argument.
    #[error("{command} with a control character in {argument}")]
    ControlCharacter {
        /// The command.
        command: &'static str,
        /// The argument.
        argument: &'static str,
    },
    /// A character that FreeSWITCH would split, quote or expand at.
    #[error("{command} with {character:?} in {argument}")]
    Reserved {
        /// The command.
        command: &'static str,
        /// The argument.
        argument: &'static str,
        /// The first such character.
        character: char,
    },
    /// An empty argument, or one that FreeSWITCH takes for another (`-bleg`, `delete`, a task number).
    #[error("{command} with an unusable {argument}")]
    Unusable {
        /// The command.
        command: &'static str,
        /// The argument.
        argument: &'static str,
    },
    /// A number outside its range.
    #[error("{command} with {argument} {value}, permitted {least} to {most}")]
    OutOfRange {
        /// The command.
        command: &'static str,
        /// The argument.
        argument: &'static str,
        /// The value given.
        value: u64,
        /// Smallest value permitted.
        least: u64,
        /// Largest value permitted.
        most: u64,
    },
    /// The text names `mod_event_socket`. FreeSWITCH reloads or unloads the module on any command, a variable's value
    /// included, that holds this name and "reload" or "unload".
    #[error("{command} that names the event socket module")]
    NamesModule {
        /// The command.
        command: &'static str,
    },
    /// Longer than we send.
    #[error("{command} of {command_bytes} bytes, limit {limit_bytes}")]
    CommandTooLong {
        /// The command.
        command: &'static str,
        /// Its length.
        command_bytes: usize,
        /// Bytes permitted.
        limit_bytes: usize,
    },
}

impl EncodeError {
    /// Always [`Class::Refused`].
    pub fn class(&self) -> Class {
        Class::Refused
    }
}

/// What [`EslCodec`](super::EslCodec) reports besides frames.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum EslError {
    /// Framing fault.
    #[error("event socket framing")]
    Frame(#[from] FrameError),
    /// The command was not sent.
    #[error("event socket command not sent")]
    Encode(#[from] EncodeError),
    /// From the transport under the codec.
    #[error("event socket transport")]
    Io(#[from] std::io::Error),
}

impl EslError {
    /// [`Class::Refused`] for a command that was not sent, otherwise [`Class::Fatal`].
    pub fn class(&self) -> Class {
        match self {
            Self::Encode(error) => error.class(),
            Self::Frame(_) | Self::Io(_) => Class::Fatal,
        }
    }
}
