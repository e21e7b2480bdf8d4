//! Which records a search wants, or a sink gets.

use cdr_model::{CallRecord, RecordType};
use types::{CallId, Number, SessionId, Tenant, UtcMs};

/// All that are given must match; the default matches everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filters {
    /// The conversation.
    pub call_id: Option<CallId>,
    /// The charging session.
    pub session_id: Option<SessionId>,
    /// The paying account: `callingParty.subscriberId`, exactly.
    pub account: Option<Number>,
    /// Whose customer.
    pub tenant: Option<Tenant>,
    /// One of these types; empty: any.
    pub record_types: Vec<RecordType>,
    /// A party's number: calling, called or as dialled, exactly but for a leading `+`.
    pub number: Option<Number>,
    /// The call was offered then or later, so that all records of a call are found together.
    pub since: Option<UtcMs>,
    /// The call was offered before then.
    pub until: Option<UtcMs>,
}

impl Filters {
    /// Whether a record is wanted.
    #[must_use]
    pub fn accept(&self, record: &CallRecord) -> bool {
        let subscriber = record.calling_party.subscriber_id.as_ref();
        self.call_id.as_ref().is_none_or(|wanted| *wanted == record.call_id)
            && self.session_id.as_ref().is_none_or(|wanted| *wanted == record.session_id)
            && self.account.as_ref().is_none_or(|wanted| subscriber == Some(wanted))
            && self.tenant.as_ref().is_none_or(|wanted| *wanted == record.tenant)
            && (self.record_types.is_empty() || self.record_types.contains(&record.record_type))
            && self.number.as_ref().is_none_or(|wanted| has_number(record, wanted))
            && self.since.is_none_or(|since| record.start_time >= since)
            && self.until.is_none_or(|until| record.start_time < until)
    }
}

fn has_number(record: &CallRecord, wanted: &Number) -> bool {
    let digits = |number: &Number| number.expose().trim_start_matches('+').to_owned();
    let wanted = digits(wanted);
    let called = &record.called_party;
    [record.calling_party.number.as_ref(), called.number.as_ref(), Some(&called.dialled_number)]
        .into_iter()
        .flatten()
        .any(|number| digits(number) == wanted)
}
