//! What all messages have in common: decoding with the checks of the header, encoding with a header of its own.

use bytes::{Bytes, BytesMut};

use crate::diameter::error::{EncodeError, Fault, MessageError};
use crate::diameter::frame::Frame;
use crate::diameter::header::{CommandFlags, Exchange, VERSION};
use crate::diameter::limits::SENT_MESSAGE_BYTES_MAX;
use crate::diameter::reading::{Decoded, Mode, Reading};
use crate::diameter::table::Table;
use crate::diameter::writer::{SLACK_BYTES, Writer};

/// Room taken at first for a message: the recorded ones are below 1 kB.
const USUAL_BYTES: usize = 1_024;

/// A message with a table. Sealed: the tables are here.
#[allow(private_bounds, reason = "seals the trait")]
pub trait Command<'a>: Table<'a> {
    /// Command code.
    const CODE: u32;
    /// Application id in the header.
    const APPLICATION: u32;
    /// The R bit.
    const IS_REQUEST: bool;
    /// Requests: the P bit. Answers: whether the request may have had it.
    const IS_PROXIABLE: bool;
    /// For logs: `CCR`.
    const NAME: &'static str;

    /// Reads this message and no other; see [`Frame::message`] for any.
    ///
    /// # Errors
    /// See [`Fault`].
    fn decode(frame: &'a Frame, mode: Mode) -> Result<Decoded<Self>, MessageError> {
        frame.check_header(mode)?;
        let (command, flags) = (frame.header().command, frame.header().flags);
        if command != Self::CODE || flags.is_request() != Self::IS_REQUEST {
            return Err(MessageError::whole(Fault::OtherMessage { command, flags: flags.0 }));
        }
        Self::decode_avps(frame, mode)
    }

    /// The same, after the header was checked.
    #[doc(hidden)]
    fn decode_avps(frame: &'a Frame, mode: Mode) -> Result<Decoded<Self>, MessageError> {
        let mut reading = Reading::new(mode, Self::IS_REQUEST);
        if mode == Mode::Strict {
            reading.check_all(frame.avps())?;
        }
        let message = Self::read(frame.avps(), &mut reading)?;
        message.check_received(mode)?;
        Ok(Decoded { message, notes: reading.notes })
    }

    /// What a table cannot say of a received message.
    #[doc(hidden)]
    fn check_received(&self, _mode: Mode) -> Result<(), MessageError> {
        Ok(())
    }

    /// What a table cannot say of a message to be sent.
    #[doc(hidden)]
    fn check_sent(&self) -> Result<(), EncodeError> {
        Ok(())
    }

    /// Appends the message, header included.
    ///
    /// # Errors
    /// A value that may not be sent; then nothing is appended.
    fn encode(&self, exchange: Exchange, out: &mut BytesMut) -> Result<(), EncodeError> {
        self.check_sent()?;
        let proxiable = Self::IS_PROXIABLE && (Self::IS_REQUEST || exchange.proxiable);
        let bits = [
            (Self::IS_REQUEST, CommandFlags::REQUEST),
            (proxiable, CommandFlags::PROXIABLE),
            (Self::IS_REQUEST && exchange.retransmitted, CommandFlags::RETRANSMITTED),
        ];
        let flags = bits.iter().filter(|(set, _)| *set).fold(0, |flags, (_, bit)| flags | bit);
        encode_message(self, (flags, Self::CODE, Self::APPLICATION), exchange, out)
    }

    /// The message by itself, to be kept and sent again.
    ///
    /// # Errors
    /// A value that may not be sent.
    fn encoded(&self, exchange: Exchange) -> Result<EncodedMessage, EncodeError> {
        let mut out = BytesMut::new();
        self.encode(exchange, &mut out)?;
        Ok(EncodedMessage(out.freeze()))
    }
}

/// Header and AVPs; nothing is left behind in the buffer if that fails.
pub(super) fn encode_message<'a>(
    table: &impl Table<'a>,
    (flags, command, application): (u8, u32, u32),
    exchange: Exchange,
    out: &mut BytesMut,
) -> Result<(), EncodeError> {
    let begin = out.len();
    let mut room_bytes = USUAL_BYTES;
    loop {
        out.resize(begin.saturating_add(room_bytes).saturating_add(SLACK_BYTES), 0);
        let room = out.get_mut(begin..).unwrap_or_default();
        let mut writer = Writer::new(room);
        writer.put([VERSION, 0, 0, 0]);
        writer.put((u32::from(flags) << 24 | command).to_be_bytes());
        writer.put(application.to_be_bytes());
        writer.put(exchange.hop_by_hop_id.to_be_bytes());
        writer.put(exchange.end_to_end_id.to_be_bytes());
        table.write_avps(&mut writer);
        let length = writer.finish().and_then(|actual_bytes| Ok((actual_bytes, length_field(actual_bytes)?)));
        let (actual_bytes, field) = length.inspect_err(|_| out.truncate(begin))?;
        if actual_bytes > room_bytes {
            // Now it is known how much it takes.
            out.truncate(begin);
            room_bytes = actual_bytes;
            continue;
        }
        out.truncate(begin.saturating_add(actual_bytes));
        if let Some(place) = out.get_mut(begin.saturating_add(1)..begin.saturating_add(4)) {
            place.copy_from_slice(&field);
        }
        return Ok(());
    }
}

fn length_field(actual_bytes: usize) -> Result<[u8; 3], EncodeError> {
    match u32::try_from(actual_bytes).map(u32::to_be_bytes) {
        Ok([_, high, middle, low]) if actual_bytes <= SENT_MESSAGE_BYTES_MAX => Ok([high, middle, low]),
        _ => Err(EncodeError::TooLong { what: "message", actual_bytes, limit_bytes: SENT_MESSAGE_BYTES_MAX }),
    }
}

/// A message that is kept to be sent again: an answer for copies of its request, a request for another connection.
#[derive(Clone, PartialEq, Eq)]
pub struct EncodedMessage(Bytes);

impl EncodedMessage {
    /// From the bytes of exactly one message, as they were kept; `None` if they are none.
    pub fn new(bytes: Bytes) -> Option<Self> {
        Frame::new(bytes).map(|frame| Self(frame.bytes().clone()))
    }

    pub(super) fn made(bytes: Bytes) -> Self {
        Self(bytes)
    }

    /// The bytes.
    pub fn bytes(&self) -> &Bytes {
        &self.0
    }

    /// The same with another Hop-by-Hop id: all else stays as it was first sent.
    pub fn with_hop_by_hop(&self, hop_by_hop_id: u32) -> Self {
        self.changed(|bytes| {
            if let Some(field) = bytes.get_mut(12..16) {
                field.copy_from_slice(&hop_by_hop_id.to_be_bytes());
            }
        })
    }

    /// The same with another Hop-by-Hop id and the T bit: a request sent again.
    pub fn retransmitted(&self, hop_by_hop_id: u32) -> Self {
        self.with_hop_by_hop(hop_by_hop_id).changed(|bytes| {
            if let Some(flags) = bytes.get_mut(4) {
                *flags |= CommandFlags::RETRANSMITTED;
            }
        })
    }

    fn changed(&self, change: impl FnOnce(&mut [u8])) -> Self {
        let mut bytes = BytesMut::from(self.0.as_ref());
        change(&mut bytes);
        Self(bytes.freeze())
    }
}

impl std::fmt::Debug for EncodedMessage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Without the AVPs: they may name a subscriber.
        write!(f, "EncodedMessage({} bytes)", self.0.len())
    }
}

/// One row a command.
macro_rules! commands {
    ($($name:ident = $wire:literal, $code:ident, $application:ident, $request:literal, $proxiable:literal
        $(, received $received:path)? $(, sent $sent:path)?;)+) => {$(
        impl<'a> $crate::diameter::message::Command<'a> for $name<'a> {
            const CODE: u32 = $crate::diameter::header::command::$code;
            const APPLICATION: u32 = $crate::diameter::header::application::$application;
            const IS_REQUEST: bool = $request;
            const IS_PROXIABLE: bool = $proxiable;
            const NAME: &'static str = $wire;

            $(fn check_received(
                &self,
                mode: $crate::diameter::Mode,
            ) -> Result<(), $crate::diameter::MessageError> {
                $received(self, mode)
            })?

            $(fn check_sent(&self) -> Result<(), $crate::diameter::EncodeError> {
                $sent(self)
            })?
        }
    )+};
}
pub(super) use commands;
