//! Has a caller without credit left the conversation?

use protocol_codecs::esl::Event;
use types::UtcMs;

use super::{EMPTY_BALANCE_VARIABLE, utc};
use crate::command::INLINE;
use crate::config::FreeswitchConfig;

/// When it left; `None`: it has not, or nobody told it to. `event`: an answer to `uuid_dump`.
///
/// A transfer puts the channel's new place into its profile at once and its next state to `CS_ROUTING`. Its thread
/// leaves the bridge, routes, and only then is the next state `CS_EXECUTE`; so both together prove that it is out.
pub(crate) fn left_conversation(config: &FreeswitchConfig, event: &Event) -> Option<UtcMs> {
    let executing = event.text("Channel-State-Number") == Some(CS_EXECUTE);
    sent_away(config, event).filter(|_| executing)
}

/// When the switch took the order to transfer it, by any event of the channel; its thread follows within a tick.
pub(crate) fn sent_away(config: &FreeswitchConfig, event: &Event) -> Option<UtcMs> {
    let told = event.variable(EMPTY_BALANCE_VARIABLE) == Some("true");
    let context = &*config.empty_balance_context;
    let in_context = !context.is_empty() && event.text("Caller-Context") == Some(context);
    let in_place = in_context || event.text("Caller-Dialplan") == Some(INLINE);
    event.micros("Caller-Profile-Created-Time").ok().flatten().map(utc).filter(|_| told && in_place)
}

/// `CS_EXECUTE` in FreeSWITCH's list of states. `Channel-State` itself is the state that the channel's thread is still
/// in, which is the same in a bridge.
const CS_EXECUTE: &str = "4";
