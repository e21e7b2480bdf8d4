//! Every bound of the event socket codec and why it has that value.

/// Longest header line in front of a body, in bytes. The longest real one is a variable in the answer to `connect`: a
/// SIP header of at most 65,535 bytes, of which URL encoding makes three times as much.
pub const HEADER_LINE_BYTES_MAX: usize = 262_144;

/// Longest block of header lines, in bytes. In front of an event it is 60 bytes; the answer to `connect` is a whole
/// event in one block: 6 kB recorded, tens of kB with many SIP headers.
pub const HEADER_BLOCK_BYTES_MAX: usize = 1_048_576;

/// Longest body, in bytes. Events are 1 to 12 kB (200 kB with huge SIP headers); `show channels as json` is about
/// 900 bytes a channel, so this is room for 18,000 channels. It is also the longest body FreeSWITCH itself takes.
pub const BODY_BYTES_MAX: usize = 16_777_216;

/// Digits of a `Content-Length`: enough for [`BODY_BYTES_MAX`], so that a longer number is refused before its value is
/// known.
pub const LENGTH_DIGITS_MAX: usize = 8;

/// Most fields of one event, elements of arrays counted. Recorded events have 60 to 330; each costs 20 bytes of index,
/// so this bounds the index of one event to 1.25 MiB whatever its body is made of.
pub const FIELDS_MAX: usize = 65_536;

/// Most rows taken from one `show channels as json`. FreeSWITCH is not run with more sessions (its default is 1,000).
pub const CHANNEL_ROWS_MAX: usize = 100_000;

/// Longest command sent, in bytes. FreeSWITCH takes 10 MiB, but reads a command byte by byte and sends no event
/// meanwhile; ours are below 1 kB.
pub const COMMAND_BYTES_MAX: usize = 65_536;

/// Most variables of one `uuid_setvar_multi`: FreeSWITCH splits into 64 and drops the rest without a word.
pub const SETVAR_MULTI_MAX: usize = 64;

/// Longest time `sched_hangup` is given, in seconds (a year): far inside what its `atol` and `time_t` hold.
pub const SCHED_SECONDS_MAX: u32 = 31_536_000;

/// Most digits of a time or count: a microsecond time has 16 until the year 2286, and 18 fit into an `i64`.
pub const NUMBER_DIGITS_MAX: usize = 18;
