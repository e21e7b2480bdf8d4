//! The agent beside Kamailio: evapi messages in, call events out, and back.
//!
//! `docker/kamailio/tollkeeper.cfg` is its other half; `docs/reference/evapi-messages.md` the contract between them.
//! One [`Agent`] task a Kamailio; several from one configuration. Tested with Kamailio 5.6.

mod agent;
mod command;
mod config;
mod link;
mod native;
mod resync;
mod translate;

pub use agent::{Agent, AgentParts};
pub use config::{KamailioConfig, SwitchConfig, TrunkConfig};
pub use link::Link;
