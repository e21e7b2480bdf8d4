//! Every bound of the Diameter codec and why it has that value.

/// Bytes of a message header (RFC 6733 section 3).
pub const HEADER_BYTES: usize = 20;

/// Longest message taken from a peer whose capabilities are known, in bytes. A CCR with 500 rating groups and a full
/// Service-Information is below 100 kB; the recorded ones are below 1 kB.
pub const MESSAGE_BYTES_MAX: usize = 262_144;

/// Longest message taken before the capabilities exchange, in bytes: the peer is a stranger. A CER with a thousand
/// applications is below 40 kB.
pub const CAPABILITIES_BYTES_MAX: usize = 65_536;

/// Longest message we send, in bytes: what others take by default (freeDiameter refuses more than 65,535).
pub const SENT_MESSAGE_BYTES_MAX: usize = 65_532;

/// Deepest nesting of groups that is walked; top-level AVPs have depth 1. The deepest one of ours,
/// Service-Information > SMS-Information > Recipient-Info > Recipient-Address > Address-Domain, is depth 5.
pub const GROUP_DEPTH_MAX: usize = 8;

/// Longest value repeated in a Failed-AVP, in bytes; of a longer one only the header is repeated, with an empty value.
pub const FAILED_VALUE_BYTES_MAX: usize = 4_096;

/// Longest DiameterIdentity, in bytes: a fully qualified domain name (RFC 1035 section 2.3.4).
pub const IDENTITY_BYTES_MAX: usize = 255;

/// Largest length an AVP or message can tell: 24 bits.
pub const LENGTH_FIELD_MAX: usize = 0xFF_FFFF;
