//! Typed messages to bytes.
//!
//! Write each frame with one write: by its source (`evapi_dispatch.c`), Kamailio drops what it has read when a read
//! ends between the digits of a netstring's length and its colon, and is out of step from there on. Frames split behind
//! the colon, or joined, it takes (recorded).

use super::decode::Framing;
use super::error::EncodeError;
use super::message::Message;

/// Appends one whole frame to `out`; on error `out` is unchanged.
///
/// # Errors
/// What [`Message::encode`] refuses, and [`EncodeError::FrameTooLong`] above the direction's limit.
pub fn encode_frame<M: Message>(message: &M, framing: Framing, out: &mut impl Extend<u8>) -> Result<(), EncodeError> {
    let json = message.encode()?;
    if json.len() > M::FRAME_BYTES_MAX {
        return Err(EncodeError::FrameTooLong { frame_bytes: json.len(), limit_bytes: M::FRAME_BYTES_MAX });
    }
    match framing {
        Framing::Netstring => {
            out.extend(json.len().to_string().into_bytes());
            out.extend([b':']);
            out.extend(json.into_bytes());
            out.extend([b',']);
        }
        Framing::BareJson => out.extend(json.into_bytes()),
    }
    Ok(())
}
