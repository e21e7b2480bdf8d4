//! The side that connects out: to a charging server, or to a relay in front of others. What the load client is made of, and whoever
//! else calls a peer instead of waiting for it.
//!
//! [`Dial`] makes the transport (TCP, or TLS with certificates of both), [`Link`] the connection on it: capabilities, watchdog and
//! leave-taking by the same [`crate::peer::PeerMachine`] as the server's, in its I-Open states. Whoever owns a link calls
//! [`Link::turn`] in a loop; there is no task behind it. Reconnecting is the owner's: only it knows what waits to be sent again.

mod dial;
mod link;

pub use dial::{Dial, DialError, TlsFiles, Transport};
pub use link::{Link, LinkEnd};

pub use crate::node::Node;
