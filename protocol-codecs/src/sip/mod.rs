//! The parts of SIP that charging reads: URIs, and the headers that are a name and an address (From, To, Contact,
//! P-Asserted-Identity, Diversion, ...). Not a SIP stack: the switches speak SIP, they hand us single values.
//!
//! Specs: RFC 3261 sections 19.1 and 25.1 (URI, name-addr), RFC 3966 (`tel:`, `phone-context`), RFC 5031
//! (`urn:service:sos`). Two things are wider than the RFCs because real phones send them: `#` unescaped in a user part,
//! and `_` in a host name.
//!
//! Refused, with the offset: more than one `@`, a parameter given twice, control characters (escaped ones too), bytes
//! outside ASCII in a URI, anything left over behind what was understood. Whatever could be read in two ways is an
//! error, never a guess: the caller writes these texts, and a guess could charge another account.
//!
//! The parser is our own. `rsip` 0.4, which the tests use as a second opinion, cannot be trusted with such input: it
//! loses a user part with a dot in it (`+1.555.0100@host`), ignores what it does not understand at the end of a URI,
//! refuses a quoted display name with `<` in it, has no IPv6 and no `tel:`, and its errors repeat the input.
//!
//! Callers: the agents (translate).

pub mod limits;

mod error;
mod name_addr;
mod number;
mod piece;
mod uri;
mod write;

pub use error::SipError;
pub use name_addr::{NameAddr, parse_name_addr, parse_name_addr_list};
pub use number::PhoneNumber;
pub use uri::{Param, PartyUri, Scheme, parse_uri};
