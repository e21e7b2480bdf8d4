//! The charging server for packet gateways (Gy), call servers (Ro) and message centres, over Diameter.
//!
//! Unlike the agents beside switches it does not drive calls: its clients are the charging trigger functions, and it answers what
//! they ask. Three layers, the first two pure:
//! * [`peer`]: one connection: capabilities, watchdog, leave-taking (RFC 6733 section 5, RFC 3539);
//! * [`credit`]: one credit session: an answer is a function of the request, the session and the core's answer (RFC 8506, 3GPP TS
//!   32.299);
//! * [`Agent`], the server around them: sockets, peers, the charging core, records.
//!
//! And the other end: [`client`] connects out, [`load`] plays gateways, call servers and message centres.
//!
//! `docs/reference/diameter.md` tells what is taken, sent and refused.

pub mod client;
pub mod config;
pub mod credit;
pub mod load;
pub mod metric;
mod node;
pub mod peer;
mod server;

pub use config::DiameterConfig;
pub use server::{Agent, AgentParts, ConnectedPeer, PeerBoard, PeersReport, RefusedPeer, StartError, TlsError};
