//! What Kamailio calls a call: transaction, dialog, end. The machines know only session ids.

use protocol_codecs::evapi::CallFields;
use types::SessionId;

/// The native ids of one call, as far as they are known.
#[derive(Debug, Clone, Default)]
pub(crate) struct NativeCall {
    /// The suspended INVITE, until it is answered.
    pub(crate) transaction: Option<(u32, u32)>,
    pub(crate) h_entry: u32,
    pub(crate) h_id: u32,
    pub(crate) callid: String,
    pub(crate) from_tag: String,
    pub(crate) to_tag: Option<String>,
    /// Of the CALL_END or CALL_FAILED that waits for its acknowledgement.
    pub(crate) end_id: Option<String>,
    /// Lists of live calls in a row that did not have it.
    pub(crate) missing: u8,
    /// The last list that had it.
    pub(crate) seen_in: u64,
    /// The list that was under way when it was answered: it may be missing from that one.
    pub(crate) answered_in: u64,
}

impl NativeCall {
    pub(crate) fn of(fields: &CallFields) -> Self {
        Self {
            h_entry: fields.h_entry,
            h_id: fields.h_id,
            callid: fields.callid.clone(),
            from_tag: fields.from_tag.clone(),
            ..Self::default()
        }
    }
}

/// Our session for a dialog: the run tells dialogs of different lives of Kamailio apart, hash entry and id are unique
/// within a run. Nothing in it can be chosen by a caller.
pub(crate) fn session_id(switch: &str, fields: &CallFields) -> SessionId {
    SessionId::from(format!("{}{}-{}", run_prefix(switch, &fields.run), fields.h_entry, fields.h_id))
}

/// How all sessions of one run of a switch begin.
pub(crate) fn run_prefix(switch: &str, run: &str) -> String {
    format!("{switch}/{run}/")
}
