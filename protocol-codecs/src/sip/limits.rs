//! Every bound of the SIP parsers and why it has that value.

/// Longest URI, in bytes. Real ones stay under 300; some switches cut a variable at 1,024.
pub const URI_BYTES_MAX: usize = 2_048;

/// Longest header value, in bytes: a list of addresses with room for long display names.
pub const HEADER_BYTES_MAX: usize = 8_192;

/// Most parameters of one URI or one address. Looking for doubles is quadratic, so the number is kept small.
pub const PARAMS_MAX: usize = 32;

/// Most addresses in one header value. P-Asserted-Identity has at most two (RFC 3325); Contact has one per device.
pub const ADDRESSES_MAX: usize = 16;

/// Most digits of an international number (ITU-T E.164).
pub const E164_DIGITS_MAX: usize = 15;
