//! The codec for `tokio_util::codec::Framed`. A fault in one message is an item, not an error: an error would end the
//! stream, and only a framing fault may do that.

use std::marker::PhantomData;

use bytes::{Buf, BytesMut};
use tokio_util::codec::{Decoder, Encoder};

use super::decode::{FrameScanner, Framing};
use super::encode::encode_frame;
use super::error::{EvapiError, MessageError};
use super::from_kamailio::FromKamailio;
use super::message::{Decoded, Message};
use super::to_kamailio::ToKamailio;

/// The agent's end of the connection.
pub type AgentCodec = EvapiCodec<FromKamailio, ToKamailio>;

/// Kamailio's end of the connection, for test doubles.
pub type SwitchCodec = EvapiCodec<ToKamailio, FromKamailio>;

/// Receives `In`, sends `Out`. One per connection: after a framing fault it only repeats the fault.
#[derive(Debug)]
pub struct EvapiCodec<In, Out> {
    framing: Framing,
    scanner: FrameScanner,
    directions: PhantomData<fn(Out) -> In>,
}

impl<In, Out> EvapiCodec<In, Out> {
    /// A codec at the start of a connection.
    pub fn new(framing: Framing) -> Self {
        Self { framing, scanner: FrameScanner::new(framing), directions: PhantomData }
    }
}

impl<In, Out> Default for EvapiCodec<In, Out> {
    fn default() -> Self {
        Self::new(Framing::Netstring)
    }
}

impl<In: Message, Out> Decoder for EvapiCodec<In, Out> {
    type Item = Result<Decoded<In>, MessageError>;
    type Error = EvapiError;

    fn decode(&mut self, src: &mut BytesMut) -> Result<Option<Self::Item>, EvapiError> {
        let Some(span) = self.scanner.scan(src)? else {
            return Ok(None);
        };
        let item = In::decode(src.get(span.text).unwrap_or_default());
        src.advance(span.consumed.min(src.len()));
        Ok(Some(item))
    }

    fn decode_eof(&mut self, src: &mut BytesMut) -> Result<Option<Self::Item>, EvapiError> {
        if let Some(item) = self.decode(src)? {
            return Ok(Some(item));
        }
        self.scanner.finish(src)?;
        src.clear();
        Ok(None)
    }
}

impl<In, Out: Message> Encoder<Out> for EvapiCodec<In, Out> {
    type Error = EvapiError;

    fn encode(&mut self, message: Out, dst: &mut BytesMut) -> Result<(), EvapiError> {
        Ok(encode_frame(&message, self.framing, dst)?)
    }
}
