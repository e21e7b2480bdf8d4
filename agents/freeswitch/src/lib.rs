//! The agent beside FreeSWITCH: events of its event socket in, call events out, and back as api calls.
//!
//! A call is charged when its inbound leg parks in the dialplan: the agent authorises it, arms the switch's own backstop
//! and transfers the leg to the context where calls are routed. Or the leg waits on the dialplan's `socket` application,
//! and the dialplan goes on by itself (`docs/freeswitch-socket.md`). `docs/reference/esl-messages.md` has the wire. One
//! [`Agent`] task a switch, two connections each; several switches from one configuration. Recorded from 1.11.2.

mod agent;
mod command;
mod config;
mod lag;
mod link;
mod native;
mod resync;
mod socket;
mod translate;

pub use agent::{Agent, AgentParts};
pub use config::{FreeswitchConfig, PASSWORD_VARIABLE, SocketConfig, SwitchConfig, TransferPayer, TrunkConfig};
