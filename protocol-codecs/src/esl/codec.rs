//! The codec for `tokio_util::codec::Framed`. A fault in one message is an item, not an error: an error would end the
//! stream, and only a framing fault may do that.

use bytes::{Buf, BytesMut};
use tokio_util::codec::{Decoder, Encoder};

use super::command::Command;
use super::decode::FrameScanner;
use super::error::{EslError, MessageError};
use super::frame::Frame;

/// The agent's end of a connection: the same for inbound ones (we connect) and outbound ones (FreeSWITCH does). One per
/// connection: after a framing fault it only repeats the fault.
#[derive(Debug, Default)]
pub struct EslCodec {
    scanner: FrameScanner,
}

impl EslCodec {
    /// A codec at the start of a connection.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Decoder for EslCodec {
    type Item = Result<Frame, MessageError>;
    type Error = EslError;

    fn decode(&mut self, src: &mut BytesMut) -> Result<Option<Self::Item>, EslError> {
        let Some(span) = self.scanner.scan(src)? else {
            return Ok(None);
        };
        let item = Frame::decode(src, &span);
        src.advance(span.consumed.min(src.len()));
        Ok(Some(item))
    }

    fn decode_eof(&mut self, src: &mut BytesMut) -> Result<Option<Self::Item>, EslError> {
        if let Some(item) = self.decode(src)? {
            return Ok(Some(item));
        }
        self.scanner.finish(src)?;
        src.clear();
        Ok(None)
    }
}

impl Encoder<&Command> for EslCodec {
    type Error = EslError;

    fn encode(&mut self, command: &Command, dst: &mut BytesMut) -> Result<(), EslError> {
        Ok(command.encode(dst)?)
    }
}

impl Encoder<Command> for EslCodec {
    type Error = EslError;

    fn encode(&mut self, command: Command, dst: &mut BytesMut) -> Result<(), EslError> {
        Ok(command.encode(dst)?)
    }
}
