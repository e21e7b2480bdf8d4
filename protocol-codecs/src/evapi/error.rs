//! What can be wrong with a stream, a message, or something we are asked to send.

use thiserror::Error;

use crate::Class;

/// A fault in the framing: the stream has lost its place, the connection must end. Offsets count bytes from the start
/// of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FrameError {
    /// A netstring did not begin with a digit, or its digits were not followed by a colon.
    #[error("no netstring length at byte {offset}")]
    BadLength {
        /// Where the wrong byte stands.
        offset: u64,
    },
    /// A length other than `0` began with a zero, which netstrings forbid.
    #[error("netstring length with a leading zero at byte {offset}")]
    LeadingZero {
        /// Where the length begins.
        offset: u64,
    },
    /// More digits than any permitted length has.
    #[error("netstring length of more than {limit} digits at byte {offset}")]
    LengthDigits {
        /// Where the length begins.
        offset: u64,
        /// Digits permitted.
        limit: usize,
    },
    /// A frame longer than permitted, by its claim (netstring) or by what has come so far (bare JSON).
    #[error("frame of {frame_bytes} bytes or more at byte {offset}, limit {limit_bytes}")]
    FrameTooLong {
        /// Where the frame begins.
        offset: u64,
        /// Its length as far as known, in bytes.
        frame_bytes: usize,
        /// Bytes permitted.
        limit_bytes: usize,
    },
    /// The byte after a netstring's text was not a comma.
    #[error("no comma after the netstring at byte {offset}")]
    MissingComma {
        /// Where the comma should stand.
        offset: u64,
    },
    /// Bare JSON: something else than an object began.
    #[error("no JSON object at byte {offset}")]
    NotAnObject {
        /// Where it began.
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
    /// The caller pushed more than one read, or pushed again before taking the frames out.
    #[error("{bytes} bytes pushed on top of {held_bytes}, limit {limit_bytes}")]
    NotDrained {
        /// Bytes pushed.
        bytes: usize,
        /// Bytes already held.
        held_bytes: usize,
        /// Bytes permitted together.
        limit_bytes: usize,
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
    /// Not JSON.
    #[error("not JSON at line {line} column {column}")]
    BadJson {
        /// From 1.
        line: usize,
        /// From 1, in bytes; 0 = the end of the line before.
        column: usize,
    },
    /// Nested deeper than permitted.
    #[error("JSON nested deeper than {limit} at byte {offset} of the message")]
    TooDeep {
        /// Where the level too much opens.
        offset: usize,
        /// Levels permitted.
        limit: usize,
    },
    /// JSON, but not an object.
    #[error("not a JSON object")]
    NotAnObject,
    /// No `event` field, or not a string.
    #[error("no event name")]
    NoEvent,
    /// A required field is absent (or `"<null>"`, or empty).
    #[error("{event} without {field}")]
    MissingField {
        /// The message.
        event: &'static str,
        /// The field.
        field: &'static str,
    },
    /// A field has another type than the contract says.
    #[error("{event} with {field} that is not {expected}")]
    WrongType {
        /// The message.
        event: &'static str,
        /// The field.
        field: &'static str,
        /// What it should be.
        expected: &'static str,
    },
    /// A number outside its range.
    #[error("{event} with {field} out of range")]
    OutOfRange {
        /// The message.
        event: &'static str,
        /// The field.
        field: &'static str,
    },
}

impl MessageError {
    /// Always [`Class::Skip`].
    pub fn class(&self) -> Class {
        Class::Skip
    }
}

/// Why a message cannot be sent; nothing was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// A control character in a text that the switch may put into a SIP header (CR, LF), or that ends a text in it (NUL).
    #[error("{event} with a control character in {field}")]
    ControlCharacter {
        /// The message.
        event: &'static str,
        /// The field.
        field: &'static str,
    },
    /// A present text that the other side would take as absent (empty, or `<null>`).
    #[error("{event} with a blank {field}")]
    Blank {
        /// The message.
        event: &'static str,
        /// The field.
        field: &'static str,
    },
    /// A number outside its range.
    #[error("{event} with {field} out of range")]
    OutOfRange {
        /// The message.
        event: &'static str,
        /// The field.
        field: &'static str,
    },
    /// Longer than the receiver takes.
    #[error("frame of {frame_bytes} bytes, limit {limit_bytes}")]
    FrameTooLong {
        /// Its length.
        frame_bytes: usize,
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

/// What [`EvapiCodec`](super::EvapiCodec) reports besides messages.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum EvapiError {
    /// Framing fault.
    #[error("evapi framing")]
    Frame(#[from] FrameError),
    /// The message was not sent.
    #[error("evapi message not sent")]
    Encode(#[from] EncodeError),
    /// From the transport under the codec.
    #[error("evapi transport")]
    Io(#[from] std::io::Error),
}

impl EvapiError {
    /// [`Class::Refused`] for a message that was not sent, otherwise [`Class::Fatal`].
    pub fn class(&self) -> Class {
        match self {
            Self::Encode(error) => error.class(),
            Self::Frame(_) | Self::Io(_) => Class::Fatal,
        }
    }
}
