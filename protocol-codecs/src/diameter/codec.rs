//! The codec for `tokio_util::codec::Framed`: a stream of bytes into messages, by the length in each header.
//!
//! The length is checked against the limit before anything is done with it, and nothing is ever reserved for it: the
//! buffer grows with the bytes that come.

use bytes::{Bytes, BytesMut};
use tokio_util::codec::{Decoder, Encoder};

use super::error::{DiameterError, FrameError};
use super::frame::Frame;
use super::header::{Exchange, VERSION, command};
use super::limits::{CAPABILITIES_BYTES_MAX, HEADER_BYTES, MESSAGE_BYTES_MAX};
use super::message::{Command, EncodedMessage, ErrorAnswer};

/// Either end of a connection. One per connection: after a framing fault it only repeats the fault.
#[derive(Debug)]
pub struct DiameterCodec {
    limit_bytes: usize,
    /// Bytes of the messages already taken out.
    offset: u64,
    fault: Option<FrameError>,
}

impl Default for DiameterCodec {
    fn default() -> Self {
        Self::before_capabilities()
    }
}

impl DiameterCodec {
    /// For a peer that is still a stranger: messages up to [`CAPABILITIES_BYTES_MAX`].
    pub fn before_capabilities() -> Self {
        Self { limit_bytes: CAPABILITIES_BYTES_MAX, offset: 0, fault: None }
    }

    /// The peer is known now: messages up to [`MESSAGE_BYTES_MAX`].
    pub fn capabilities_exchanged(&mut self) {
        self.limit_bytes = MESSAGE_BYTES_MAX;
    }

    /// The length of the message in front of the buffer; `None` = not yet all of the header that tells.
    fn message_bytes(&self, src: &[u8]) -> Result<Option<usize>, FrameError> {
        let offset = self.offset;
        let Some((&first, _)) = src.split_first() else { return Ok(None) };
        let Some(&[_, l0, l1, l2, _, c0, c1, c2]) = src.first_chunk::<8>() else {
            // Of a message in another version the command must be seen, too; of ours the length is enough.
            return match src.first_chunk::<4>() {
                Some(&[VERSION, l0, l1, l2]) => self.permitted(u32::from_be_bytes([0, l0, l1, l2])).map(|_| None),
                _ => Ok(None),
            };
        };
        let is_command = command::KNOWN.contains(&u32::from_be_bytes([0, c0, c1, c2]));
        if first != VERSION && !is_command {
            return Err(FrameError::NotDiameter { offset, first });
        }
        self.permitted(u32::from_be_bytes([0, l0, l1, l2])).map(Some)
    }

    fn permitted(&self, claimed: u32) -> Result<usize, FrameError> {
        let (offset, limit_bytes) = (self.offset, self.limit_bytes);
        let message_bytes = usize::try_from(claimed).unwrap_or(usize::MAX);
        if message_bytes < HEADER_BYTES || !message_bytes.is_multiple_of(4) {
            return Err(FrameError::BadLength { offset, message_bytes });
        }
        if message_bytes > limit_bytes {
            return Err(FrameError::TooLong { offset, message_bytes, limit_bytes });
        }
        Ok(message_bytes)
    }
}

impl Decoder for DiameterCodec {
    type Item = Frame;
    type Error = DiameterError;

    fn decode(&mut self, src: &mut BytesMut) -> Result<Option<Frame>, DiameterError> {
        if let Some(fault) = self.fault {
            return Err(fault.into());
        }
        let length = self.message_bytes(src).inspect_err(|fault| self.fault = Some(*fault))?;
        let Some(message_bytes) = length.filter(|length| *length <= src.len()) else { return Ok(None) };
        let frame = Frame::new(src.split_to(message_bytes).freeze());
        self.offset = self.offset.saturating_add(u64::try_from(message_bytes).unwrap_or(u64::MAX));
        Ok(frame)
    }

    fn decode_eof(&mut self, src: &mut BytesMut) -> Result<Option<Frame>, DiameterError> {
        if let Some(frame) = self.decode(src)? {
            return Ok(Some(frame));
        }
        if src.is_empty() {
            return Ok(None);
        }
        let fault = FrameError::EndInMessage { offset: self.offset, held_bytes: src.len() };
        self.fault = Some(fault);
        Err(fault.into())
    }
}

/// A request or answer; for an answer the exchange comes from [`Header::exchange`](super::Header::exchange).
impl<'a, C: Command<'a>> Encoder<(Exchange, &C)> for DiameterCodec {
    type Error = DiameterError;

    fn encode(&mut self, (exchange, message): (Exchange, &C), dst: &mut BytesMut) -> Result<(), DiameterError> {
        Ok(message.encode(exchange, dst)?)
    }
}

/// A refusal of the request in this frame.
impl Encoder<(&Frame, &ErrorAnswer<'_>)> for DiameterCodec {
    type Error = DiameterError;

    fn encode(
        &mut self,
        (request, answer): (&Frame, &ErrorAnswer<'_>),
        dst: &mut BytesMut,
    ) -> Result<(), DiameterError> {
        Ok(answer.encode_for(request.header(), dst)?)
    }
}

/// A message that was encoded before: a stored answer, a request sent again.
impl Encoder<&EncodedMessage> for DiameterCodec {
    type Error = DiameterError;

    fn encode(&mut self, message: &EncodedMessage, dst: &mut BytesMut) -> Result<(), DiameterError> {
        dst.extend_from_slice(message.bytes());
        Ok(())
    }
}

impl Encoder<Bytes> for DiameterCodec {
    type Error = DiameterError;

    fn encode(&mut self, message: Bytes, dst: &mut BytesMut) -> Result<(), DiameterError> {
        dst.extend_from_slice(&message);
        Ok(())
    }
}
