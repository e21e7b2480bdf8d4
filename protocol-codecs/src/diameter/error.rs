//! What can be wrong with a stream, a message, or something we are asked to send.

use std::fmt;

use thiserror::Error;

use super::avp::{Avp, AvpFlags, BrokenAvp};
use super::dictionary::{self, Definition, Kind};
use super::failed;
use super::limits::FAILED_VALUE_BYTES_MAX;
use super::result_code::ResultCode;
use super::walk::Walk;
use crate::Class;

/// A fault in the framing: the stream has lost its place, the connection must end. Offsets count bytes from the start
/// of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FrameError {
    /// Not Diameter: another version and an unknown command, as TLS or HTTP on this port look.
    #[error("not diameter at byte {offset} (first byte {first:#04x}); does the peer speak tls or http here?")]
    NotDiameter {
        /// Where the message would begin.
        offset: u64,
        /// Its first byte, where the version is.
        first: u8,
    },
    /// A length below a header's, or not a multiple of 4 (RFC 6733 section 3).
    #[error("message length {message_bytes} at byte {offset}, must be at least 20 and a multiple of 4")]
    BadLength {
        /// Where the message begins.
        offset: u64,
        /// The length claimed.
        message_bytes: usize,
    },
    /// A length above the limit.
    #[error("message of {message_bytes} bytes at byte {offset}, limit {limit_bytes}")]
    TooLong {
        /// Where the message begins.
        offset: u64,
        /// The length claimed.
        message_bytes: usize,
        /// Bytes permitted.
        limit_bytes: usize,
    },
    /// The connection ended inside a message.
    #[error("connection ended in mid message, {held_bytes} bytes after byte {offset}")]
    EndInMessage {
        /// Where the message begins.
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

/// What is wrong with one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum Fault {
    /// 5011.
    #[error("version {version}, supported is 1")]
    UnsupportedVersion {
        /// As it came.
        version: u8,
    },
    /// 3001.
    #[error("command {command} is not supported")]
    UnsupportedCommand {
        /// As it came.
        command: u32,
    },
    /// 3007.
    #[error("application {application} is not supported")]
    UnsupportedApplication {
        /// As it came.
        application: u32,
    },
    /// 3008: R and E together, or a P bit the command does not permit (that only when strict).
    #[error("header flags {flags:#04x} contradict each other or the command")]
    HeaderBits {
        /// As they came.
        flags: u8,
    },
    /// 5013, only when strict.
    #[error("reserved bits in header flags {flags:#04x}")]
    ReservedHeaderBits {
        /// As they came.
        flags: u8,
    },
    /// 3009, only when strict.
    #[error("avp flags {flags:#04x} against its definition")]
    AvpBits {
        /// As they came.
        flags: u8,
    },
    /// 5001.
    #[error("mandatory and unknown")]
    UnknownAvp,
    /// 5004.
    #[error("value out of range")]
    AvpValue,
    /// 5004: groups within groups.
    #[error("groups nested deeper than {limit}")]
    TooDeep {
        /// Levels permitted.
        limit: usize,
    },
    /// 5005.
    #[error("missing")]
    MissingAvp,
    /// 5007.
    #[error("contradicts another avp or the header")]
    Contradicting,
    /// 5008.
    #[error("not permitted there")]
    NotAllowed,
    /// 5009.
    #[error("more often than once")]
    TooManyTimes,
    /// 5014: too short or too long for its type, past the end, or below its own header.
    #[error("avp length of {length_bytes} bytes cannot be right")]
    AvpLength {
        /// The length it claims, header included.
        length_bytes: usize,
    },
    /// 5015: too few bytes behind the last AVP for another one.
    #[error("{left_bytes} bytes behind the last avp")]
    MessageLength {
        /// How many.
        left_bytes: usize,
    },
    /// 5012: decoded as something it is not. A fault of the caller.
    #[error("command {command} with flags {flags:#04x} is not the message asked for")]
    OtherMessage {
        /// As it came.
        command: u32,
        /// As they came.
        flags: u8,
    },
}

impl Fault {
    /// The code that the answer tells.
    pub fn result_code(self) -> ResultCode {
        match self {
            Self::UnsupportedVersion { .. } => ResultCode::UNSUPPORTED_VERSION,
            Self::UnsupportedCommand { .. } => ResultCode::COMMAND_UNSUPPORTED,
            Self::UnsupportedApplication { .. } => ResultCode::APPLICATION_UNSUPPORTED,
            Self::HeaderBits { .. } => ResultCode::INVALID_HDR_BITS,
            Self::ReservedHeaderBits { .. } => ResultCode::INVALID_BIT_IN_HEADER,
            Self::AvpBits { .. } => ResultCode::INVALID_AVP_BITS,
            Self::UnknownAvp => ResultCode::AVP_UNSUPPORTED,
            Self::AvpValue | Self::TooDeep { .. } => ResultCode::INVALID_AVP_VALUE,
            Self::MissingAvp => ResultCode::MISSING_AVP,
            Self::Contradicting => ResultCode::CONTRADICTING_AVPS,
            Self::NotAllowed => ResultCode::AVP_NOT_ALLOWED,
            Self::TooManyTimes => ResultCode::AVP_OCCURS_TOO_MANY_TIMES,
            Self::AvpLength { .. } => ResultCode::INVALID_AVP_LENGTH,
            Self::MessageLength { .. } => ResultCode::INVALID_MESSAGE_LENGTH,
            Self::OtherMessage { .. } => ResultCode::UNABLE_TO_COMPLY,
        }
    }
}

/// A fault in one message, with the AVP it is about; the next message is not affected. A request with it is answered
/// with [`ErrorAnswer`](super::ErrorAnswer).
#[derive(Clone, PartialEq, Eq)]
pub struct MessageError(Box<Detail>);

#[derive(Clone, PartialEq, Eq)]
struct Detail {
    fault: Fault,
    /// Code and vendor of the AVP and of the groups around it, innermost first.
    path: Vec<(u32, u32)>,
    /// The encoded AVP inside the groups it stood in; empty = no AVP to show.
    failed: Vec<u8>,
}

impl MessageError {
    /// About the message as a whole.
    pub(super) fn whole(fault: Fault) -> Self {
        Self(Box::new(Detail { fault, path: Vec::new(), failed: Vec::new() }))
    }

    /// About this AVP, which is repeated as it came if it is not too long, and no group with something broken in it: our
    /// answer must be sound.
    #[cold]
    pub(super) fn about(fault: Fault, avp: &Avp<'_>) -> Self {
        let is_group = avp.definition().is_some_and(|definition| definition.kind == Kind::Grouped);
        if avp.value.len() > FAILED_VALUE_BYTES_MAX || (is_group && !is_sound(avp)) {
            return Self::head_only(fault, avp);
        }
        let failed = failed::padded(avp.raw.to_vec());
        Self(Box::new(Detail { fault, path: vec![(avp.code, avp.vendor)], failed }))
    }

    /// About this AVP, of which only the header is repeated.
    #[cold]
    pub(super) fn head_only(fault: Fault, avp: &Avp<'_>) -> Self {
        let failed = failed::avp(avp.code, avp.vendor, avp.flags, &[]);
        Self(Box::new(Detail { fault, path: vec![(avp.code, avp.vendor)], failed }))
    }

    /// The length is not one its type can have: shown with a zero value of the shortest permitted length.
    #[cold]
    pub(super) fn length(avp: &Avp<'_>) -> Self {
        let kind = avp.definition().map_or(Kind::OctetString, |definition| definition.kind);
        let failed = failed::zero(avp.code, avp.vendor, avp.flags, kind);
        let fault = Fault::AvpLength { length_bytes: avp.raw.len() };
        Self(Box::new(Detail { fault, path: vec![(avp.code, avp.vendor)], failed }))
    }

    /// The AVP is not there: shown with a zero value (RFC 6733 section 7.5).
    #[cold]
    pub(super) fn missing(definition: &Definition) -> Self {
        Self::shown(Fault::MissingAvp, definition)
    }

    /// About an AVP whose bytes are not at hand: shown with a zero value.
    #[cold]
    pub(super) fn shown(fault: Fault, definition: &Definition) -> Self {
        let flags = AvpFlags(definition.flags());
        let failed = failed::zero(definition.code, definition.vendor, flags, definition.kind);
        Self(Box::new(Detail { fault, path: vec![(definition.code, definition.vendor)], failed }))
    }

    /// The row of AVPs ends in something that is none.
    #[cold]
    pub(super) fn broken(broken: BrokenAvp<'_>) -> Self {
        let Some(head) = failed::Head::read(broken.rest) else {
            return Self::whole(Fault::MessageLength { left_bytes: broken.rest.len() });
        };
        let kind = dictionary::find(head.vendor, head.code).map_or(Kind::OctetString, |definition| definition.kind);
        let failed = failed::zero(head.code, head.vendor, head.flags, kind);
        let fault = Fault::AvpLength { length_bytes: head.length_bytes };
        Self(Box::new(Detail { fault, path: vec![(head.code, head.vendor)], failed }))
    }

    /// The same, inside this group.
    #[cold]
    pub(super) fn inside(mut self, code: u32, vendor: u32, flags: AvpFlags) -> Self {
        if let Fault::MessageLength { left_bytes } = self.0.fault {
            // Inside a group it is the group whose length is wrong.
            self.0.fault = Fault::AvpLength { length_bytes: left_bytes };
        }
        self.0.path.push((code, vendor));
        self.0.failed = failed::avp(code, vendor, flags, &self.0.failed);
        self
    }

    /// What is wrong.
    pub fn fault(&self) -> Fault {
        self.0.fault
    }

    /// The code that the answer tells.
    pub fn result_code(&self) -> ResultCode {
        self.0.fault.result_code()
    }

    /// Code and vendor of the AVP at fault; `None` = the header or the message as a whole.
    pub fn avp(&self) -> Option<(u32, u32)> {
        self.0.path.first().copied()
    }

    /// The encoded AVP to put into Failed-AVP, inside the groups it stood in; `None` = none to show.
    pub fn failed_avp(&self) -> Option<&[u8]> {
        Some(self.0.failed.as_slice()).filter(|failed| !failed.is_empty())
    }

    /// Always [`Class::Skip`].
    pub fn class(&self) -> Class {
        Class::Skip
    }
}

fn is_sound(group: &Avp<'_>) -> bool {
    let mut walk = Walk::new(group.raw);
    loop {
        match walk.next_avp() {
            Ok(Some(_)) => {}
            Ok(None) => return true,
            Err(_) => return false,
        }
    }
}

impl fmt::Display for MessageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.fault)?;
        for (index, (code, vendor)) in self.0.path.iter().rev().enumerate() {
            let name = dictionary::find(*vendor, *code).map_or("avp", |definition| definition.name);
            write!(f, "{}{name} {code}", if index == 0 { ": " } else { " > " })?;
            if *vendor != 0 {
                write!(f, " of vendor {vendor}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for MessageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the bytes of the AVP: they may name a subscriber.
        write!(f, "MessageError({self}, {})", self.result_code())
    }
}

impl std::error::Error for MessageError {}

/// Why a message cannot be sent; nothing was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// Longer than the length field or our limit permits.
    #[error("{what} of {actual_bytes} bytes, limit {limit_bytes}")]
    TooLong {
        /// The AVP or the message.
        what: &'static str,
        /// Its length.
        actual_bytes: usize,
        /// Bytes permitted.
        limit_bytes: usize,
    },
    /// A value that no peer may be sent: an identity that is none, a number without a name, a time before 1968.
    #[error("{avp} with a value that may not be sent")]
    BadValue {
        /// The AVP.
        avp: &'static str,
    },
    /// A message that its receiver would have to refuse.
    #[error("{message} without {avp}")]
    Missing {
        /// The message.
        message: &'static str,
        /// The AVP.
        avp: &'static str,
    },
    /// An AVP that clients are known to stumble over.
    #[error("{avp} may not be sent here: {reason}")]
    NotAllowed {
        /// The AVP.
        avp: &'static str,
        /// Why.
        reason: &'static str,
    },
}

impl EncodeError {
    /// Always [`Class::Refused`].
    pub fn class(&self) -> Class {
        Class::Refused
    }
}

/// What [`DiameterCodec`](super::DiameterCodec) reports besides messages.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DiameterError {
    /// Framing fault.
    #[error("diameter framing")]
    Frame(#[from] FrameError),
    /// The message was not sent.
    #[error("diameter message not sent")]
    Encode(#[from] EncodeError),
    /// From the transport under the codec.
    #[error("diameter transport")]
    Io(#[from] std::io::Error),
}

impl DiameterError {
    /// [`Class::Refused`] for a message that was not sent, otherwise [`Class::Fatal`].
    pub fn class(&self) -> Class {
        match self {
            Self::Encode(error) => error.class(),
            Self::Frame(_) | Self::Io(_) => Class::Fatal,
        }
    }
}
