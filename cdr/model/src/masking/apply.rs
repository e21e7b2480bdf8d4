//! A record, taken apart. Every struct is destructured without `..`: a new field does not compile until it is either
//! given a [`Field`] or left on purpose.

use types::{CallId, LegId, Number, SessionId, Tenant};

use super::pseudonym::{canonical, first_digits};
use super::{Action, Field, Masking};
use crate::{CallRecord, CalledParty, CallingParty, Location, RecordMetadata, RecordUsage, SipData};

pub(super) fn mask(masking: &Masking, record: &mut CallRecord) {
    let CallRecord {
        schema_version: _,
        record_id,
        call_id,
        session_id,
        leg_id,
        parent_leg_id,
        record_type: _,
        record_sequence: _,
        event_kind: _,
        adjusts_record_id,
        tenant,
        start_time: _,
        answer_time: _,
        end_time: _,
        duration: _,
        billable_seconds: _,
        overrun_ms: _,
        calling_party,
        called_party,
        service: _,
        call_type: _,
        call_direction: _,
        termination_reason: _,
        release_cause: _,
        cause: _,
        sip_status: _,
        sip_data,
        qos: _,
        usage,
        cost: _,
        metadata,
        reconstructed: _,
        clock_anomaly: _,
    } = record;
    let masked_session = masking.text(Field::SessionId, session_id.as_str());
    *record_id = masking.record_id(record_id, session_id, &masked_session);
    if let Some(id) = adjusts_record_id {
        *id = masking.record_id(id, session_id, &masked_session);
    }
    *session_id = SessionId::new(masked_session);
    *call_id = CallId::new(masking.text(Field::CallId, call_id.as_str()));
    *leg_id = LegId::new(masking.text(Field::LegId, leg_id.as_str()));
    *tenant = Tenant::new(masking.text(Field::Tenant, tenant.as_str()));
    let parent = parent_leg_id.as_ref().and_then(|leg| masking.optional(Field::ParentLegId, leg.as_str()));
    *parent_leg_id = parent.map(LegId::new);
    masking.calling(calling_party);
    masking.called(called_party);
    masking.sip(sip_data);
    for usage in usage {
        masking.usage(usage);
    }
    masking.metadata(metadata);
}

impl Masking {
    fn calling(&self, party: &mut CallingParty) {
        let CallingParty { number, number_type: _, subscriber_id, location } = party;
        self.number(Field::CallingNumber, number);
        self.number(Field::SubscriberId, subscriber_id);
        let fields = [Field::CallingLocation, Field::CallingCity, Field::CallingCoordinates];
        self.location(fields, location);
    }

    fn called(&self, party: &mut CalledParty) {
        let CalledParty { number, dialled_number, number_type: _, international: _, location, destination } = party;
        self.number(Field::CalledNumber, number);
        // Empty is absent, and there is no hash of nothing.
        let mut dialled = Some(std::mem::take(dialled_number)).filter(|dialled| !dialled.expose().is_empty());
        self.number(Field::DialledNumber, &mut dialled);
        *dialled_number = dialled.unwrap_or_default();
        let fields = [Field::CalledLocation, Field::CalledCity, Field::CalledCoordinates];
        self.location(fields, location);
        self.optional_text(Field::Destination, destination);
    }

    fn location(&self, [whole, of_city, of_coordinates]: [Field; 3], location: &mut Option<Location>) {
        if self.action(whole) != Action::Keep {
            *location = None;
        }
        let Some(Location { country: _, calling_code: _, city, coordinates }) = location else { return };
        self.optional_text(of_city, city);
        if self.action(of_coordinates) != Action::Keep {
            *coordinates = None;
        }
    }

    fn sip(&self, sip: &mut SipData) {
        let SipData { from_uri, to_uri, call_id_header, user_agent, codec: _, ip_address } = sip;
        self.number(Field::FromUri, from_uri);
        self.number(Field::ToUri, to_uri);
        self.optional_text(Field::CallIdHeader, call_id_header);
        self.optional_text(Field::UserAgent, user_agent);
        self.optional_text(Field::IpAddress, ip_address);
    }

    fn usage(&self, usage: &mut RecordUsage) {
        let RecordUsage { rating_group: _, delta: _, total: _, plmn, apn, imsi } = usage;
        self.optional_text(Field::Plmn, plmn);
        self.optional_text(Field::Apn, apn);
        self.number(Field::Imsi, imsi);
    }

    fn metadata(&self, metadata: &mut RecordMetadata) {
        let RecordMetadata { server_node, recording_id, tags } = metadata;
        *server_node = self.text(Field::ServerNode, server_node);
        self.optional_text(Field::RecordingId, recording_id);
        for tag in tags {
            let Some((word, value)) = tag.split_once(':') else { continue };
            *tag = match self.optional(Field::Tags, value) {
                Some(masked) => format!("{word}:{masked}").into(),
                None => word.into(),
            };
        }
    }

    /// A record id is its session's id and more; it follows what becomes of that.
    fn record_id(&self, id: &str, session_id: &SessionId, masked_session: &str) -> Box<str> {
        match id.strip_prefix(session_id.as_str()).filter(|rest| rest.starts_with('/')) {
            Some(rest) => format!("{masked_session}{rest}").into(),
            None => self.text(Field::SessionId, id),
        }
    }

    fn number(&self, field: Field, number: &mut Option<Number>) {
        let Some(value) = number else { return };
        let value = value.expose();
        let masked = match self.action(field) {
            Action::Keep => return,
            Action::Remove => None,
            Action::Prefix { digits } => Some(first_digits(value, digits)),
            // Digits without a `+` are another country's local number here, and no number at all there.
            Action::Hmac if matches!(field, Field::DialledNumber | Field::Imsi) => self.pseudonym(value),
            Action::Hmac => self.pseudonym(&canonical(value)),
        };
        *number = masked.map(Number::new);
    }

    fn optional_text(&self, field: Field, text: &mut Option<Box<str>>) {
        if let Some(value) = text {
            *text = self.optional(field, value);
        }
    }

    fn optional(&self, field: Field, value: &str) -> Option<Box<str>> {
        match self.action(field) {
            Action::Keep => Some(value.into()),
            Action::Hmac => self.pseudonym(value).map(Into::into),
            Action::Remove | Action::Prefix { .. } => None,
        }
    }

    /// Of a field that is never absent; [`Masking::new`] lets nobody remove it.
    fn text(&self, field: Field, value: &str) -> Box<str> {
        self.optional(field, value).unwrap_or_default()
    }

    fn pseudonym(&self, value: &str) -> Option<String> {
        self.pseudonyms.as_ref().map(|pseudonyms| pseudonyms.of(value))
    }
}
