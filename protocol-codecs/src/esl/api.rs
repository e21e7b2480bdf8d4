//! The api calls an agent makes, typed. They go into [`Command::Api`](super::Command::Api), which blocks its connection
//! until done, or [`Command::BgApi`](super::Command::BgApi).

use super::arguments::CommandWriter;
use super::cause::HangupCause;
use super::limits::SETVAR_MULTI_MAX;
use super::names::BroadcastLegs;
use crate::Masked;

/// One call of `mod_commands`. `unique_id` is always a channel's.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ApiCall {
    /// `status`: uptime and counts, as prose.
    Status,
    /// `version`.
    Version,
    /// `uuid_exists`: the last word on whether a channel lives.
    UuidExists {
        /// The channel.
        unique_id: String,
    },
    /// `uuid_dump <id> json`: the channel's state as an event.
    UuidDump {
        /// The channel.
        unique_id: String,
    },
    /// `show channels as json`.
    ShowChannels,
    /// `uuid_getvar`: one variable, whole; the command `getvar` cuts at 511 bytes.
    UuidGetvar {
        /// The channel.
        unique_id: String,
        /// The variable.
        name: String,
    },
    /// `uuid_setvar`.
    UuidSetvar {
        /// The channel.
        unique_id: String,
        /// The variable.
        name: String,
        /// Its value; empty unsets it. May hold spaces (`sched_hangup +30 ALLOTTED_TIMEOUT` for `execute_on_answer`).
        value: Masked,
    },
    /// `uuid_setvar_multi`: all of them in one command. A value must not hold `;`, nor anything that
    /// [`ApiCall::UuidSetvar`] refuses.
    UuidSetvarMulti {
        /// The channel.
        unique_id: String,
        /// Names and values, 1 to [`SETVAR_MULTI_MAX`].
        variables: Vec<(String, Masked)>,
    },
    /// `uuid_transfer`: sends this leg to an extension, out of park among others.
    UuidTransfer {
        /// The channel.
        unique_id: String,
        /// The extension.
        destination: Masked,
        /// `XML` as a rule.
        dialplan: String,
        /// The dialplan's context.
        context: String,
    },
    /// `uuid_park`: back to where it waits.
    UuidPark {
        /// The channel.
        unique_id: String,
    },
    /// `uuid_answer`.
    UuidAnswer {
        /// The channel.
        unique_id: String,
    },
    /// `uuid_kill`: ends the channel now, and the leg it talks to with it. A second one is harmless.
    UuidKill {
        /// The channel.
        unique_id: String,
        /// Why.
        cause: HangupCause,
    },
    /// `sched_hangup +<seconds>`: a backstop. It is added to earlier ones and the first wins, so delete them before.
    SchedHangup {
        /// The channel.
        unique_id: String,
        /// From now, at least 1. It ends on whole seconds of the clock, up to 0.9 s early.
        seconds: u32,
        /// Why.
        cause: HangupCause,
    },
    /// `sched_api +<seconds> <group> uuid_kill`: a backstop in a group of tasks that is ours alone. Unlike
    /// [`ApiCall::SchedHangup`] it does not go with its channel: delete the group when the call is over.
    SchedKill {
        /// The group, any word; not a channel's id, whose tasks are the operator's.
        group: String,
        /// From now, at least 1. It ends on whole seconds of the clock, up to 0.9 s early.
        seconds: u32,
        /// The channel.
        unique_id: String,
        /// Why.
        cause: HangupCause,
    },
    /// `sched_del`: every task of a group; a channel's id is the group of what was scheduled for it. Says how many; none
    /// is success.
    SchedDel {
        /// The group.
        group: String,
    },
    /// `uuid_broadcast`: plays a file while people talk.
    UuidBroadcast {
        /// The channel.
        unique_id: String,
        /// The file or tone; without spaces.
        path: String,
        /// Who hears it.
        legs: BroadcastLegs,
    },
}

impl ApiCall {
    /// FreeSWITCH's name of the call.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Version => "version",
            Self::UuidExists { .. } => "uuid_exists",
            Self::UuidDump { .. } => "uuid_dump",
            Self::ShowChannels => "show",
            Self::UuidGetvar { .. } => "uuid_getvar",
            Self::UuidSetvar { .. } => "uuid_setvar",
            Self::UuidSetvarMulti { .. } => "uuid_setvar_multi",
            Self::UuidTransfer { .. } => "uuid_transfer",
            Self::UuidPark { .. } => "uuid_park",
            Self::UuidAnswer { .. } => "uuid_answer",
            Self::UuidKill { .. } => "uuid_kill",
            Self::SchedHangup { .. } => "sched_hangup",
            Self::SchedKill { .. } => "sched_api",
            Self::SchedDel { .. } => "sched_del",
            Self::UuidBroadcast { .. } => "uuid_broadcast",
        }
    }

    /// Name and arguments, behind `api ` or `bgapi `.
    pub(super) fn write(&self, out: &mut CommandWriter<'_>) {
        out.word(self.name());
        match self {
            Self::Status | Self::Version => {}
            Self::ShowChannels => {
                out.word(" channels as json");
            }
            Self::UuidExists { unique_id } | Self::UuidPark { unique_id } | Self::UuidAnswer { unique_id } => {
                out.token("unique_id", unique_id);
            }
            Self::UuidDump { unique_id } => {
                out.token("unique_id", unique_id).word(" json");
            }
            Self::UuidGetvar { unique_id, name } => {
                out.token("unique_id", unique_id).word(" ").variable_name(name);
            }
            Self::UuidSetvar { unique_id, name, value } => {
                out.token("unique_id", unique_id).word(" ").variable_name(name);
                if !value.expose().is_empty() {
                    out.word(" ").variable_value(value.expose(), &[]);
                }
            }
            Self::UuidSetvarMulti { unique_id, variables } => write_variables(out, unique_id, variables),
            Self::UuidTransfer { unique_id, destination, dialplan, context } => {
                out.token("unique_id", unique_id).token("destination", destination.expose());
                out.token("dialplan", dialplan).token("context", context);
            }
            Self::UuidKill { unique_id, cause } => {
                out.token("unique_id", unique_id).word(" ").word(cause.as_str());
            }
            Self::SchedHangup { unique_id, seconds, cause } => {
                out.seconds_from_now(*seconds).token("unique_id", unique_id).word(" ").word(cause.as_str());
            }
            Self::SchedKill { group, seconds, unique_id, cause } => {
                out.seconds_from_now(*seconds).token("group", group).word(" uuid_kill").token("unique_id", unique_id);
                // FreeSWITCH takes an ampersand at the end for a flag; no cause ends in one.
                out.word(" ").word(cause.as_str());
            }
            Self::SchedDel { group } => {
                // A number is the id of a task, which may be anybody's.
                let is_task = group.bytes().all(|byte| byte.is_ascii_digit());
                out.unusable_if("group", is_task).token("group", group);
            }
            Self::UuidBroadcast { unique_id, path, legs } => {
                out.token("unique_id", unique_id).token("path", path).word(" ").word(legs.as_str());
            }
        }
    }
}

fn write_variables(out: &mut CommandWriter<'_>, unique_id: &str, variables: &[(String, Masked)]) {
    let count = u64::try_from(variables.len()).unwrap_or(u64::MAX);
    let most = u64::try_from(SETVAR_MULTI_MAX).unwrap_or(u64::MAX);
    out.range("variables", count, 1, most).token("unique_id", unique_id);
    let mut separator = " ";
    for (name, value) in variables {
        out.word(separator).variable_name(name).word("=").variable_value(value.expose(), &[';']);
        separator = ";";
    }
}
