//! Every bound of the evapi codec and why it has that value.

/// Longest JSON text taken from Kamailio, in bytes. A call event is about 600 bytes; every long value in it (URIs,
/// User-Agent, Call-ID) is part of one SIP message, and Kamailio takes at most 65,535 bytes of that over UDP.
pub const FRAME_BYTES_MAX: usize = 65_536;

/// Digits of the length in front of a netstring: enough for [`FRAME_BYTES_MAX`], so that a longer number is refused
/// before its value is known.
pub const LENGTH_DIGITS_MAX: usize = 5;

/// Bytes a netstring may occupy on the wire: digits, colon, text, comma.
pub const FRAME_WIRE_BYTES_MAX: usize = LENGTH_DIGITS_MAX + 1 + FRAME_BYTES_MAX + 1;

/// Most bytes that [`FrameReader::push`](super::FrameReader::push) takes at once: one read from the socket.
pub const READ_BYTES_MAX: usize = 65_536;

/// Most bytes a [`FrameReader`](super::FrameReader) ever holds: one frame that lacks its last byte, and one read.
pub const BUFFER_BYTES_MAX: usize = FRAME_WIRE_BYTES_MAX + READ_BYTES_MAX;

/// Longest JSON text sent to Kamailio, in bytes. Its evapi module reads into 32,768 bytes per connection (by its
/// source) and takes a frame that does not fit for the end of the connection; half of that leaves room for the frame
/// before. Our longest message, a `DISCONNECT`, has three values of one SIP message.
pub const SENT_FRAME_BYTES_MAX: usize = 16_384;

/// Deepest nesting of a message. Ours are flat (depth 1); other scripts put an RPC answer in one, which is depth 6.
pub const JSON_DEPTH_MAX: usize = 8;

/// Most digits in front of the point of a time, in seconds: until the year 33,658, and far inside an `i64` of
/// microseconds.
pub const TIME_SECONDS_DIGITS_MAX: usize = 12;
