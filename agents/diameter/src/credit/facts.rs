//! Who pays, for what, and where: what a CCR tells beside its groups. Later requests of a session often tell less; what the first
//! one told stands then.

use std::net::IpAddr;

use agent_call::numbers::NumberRules;
use protocol_codecs::diameter::{
    CreditControlRequest, ImsInformation, Octets, PsInformation, RoleOfNode, SmsInformation, SubscriptionId,
    SubscriptionIdType, UserEquipmentInfo,
};
use serde::{Deserialize, Serialize};
use types::Number;
use types::charging::{PartyRole, Service, ServiceInformation, SubscriberId, SubscriberIdKind};

/// See the module's documentation. Kept with the session.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Facts {
    /// The whole Service-Context-Id.
    pub context: Box<str>,
    /// The number in its suffix; 0 = none.
    pub context_number: u32,
    /// Who pays, in the order sent; the first one the core knows counts.
    pub subscribers: Vec<SubscriberId>,
    /// The calling party, normalised, or as claimed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calling: Option<Number>,
    /// The called party, normalised; absent: none, or no number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub called: Option<Number>,
    /// The called party as it came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dialled: Option<Number>,
    /// True for an emergency call.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub emergency: bool,
    /// The rest.
    pub information: ServiceInformation,
}

impl Facts {
    /// What this request tells.
    pub fn of(ccr: &CreditControlRequest<'_>, numbers: &NumberRules, emergency: &[Box<str>]) -> Self {
        let mut facts = Self {
            context: Box::from(&*ccr.service_context_id),
            context_number: context_number(&ccr.service_context_id),
            ..Self::default()
        };
        facts.information.node = Some(Box::from(&*ccr.origin_host));
        let service = ccr.service_information.as_ref();
        let nested = service.into_iter().flat_map(|service| &service.subscription_ids);
        for id in ccr.subscription_ids.iter().chain(nested) {
            facts.subscriber(id);
        }
        if let Some(name) = ccr.user_name.as_ref().filter(|name| !name.expose().is_empty()) {
            facts.add(SubscriberIdKind::Nai, name.expose());
        }
        let Some(service) = service else {
            facts.equipment(ccr.user_equipment_info.as_ref());
            return facts;
        };
        let mut equipment = ccr.user_equipment_info.as_ref();
        if let Some(data) = service.ps_information.as_deref() {
            facts.data(data);
            equipment = equipment.or(data.user_equipment_info.as_ref());
        }
        facts.equipment(equipment);
        if let Some(ims) = service.ims_information.as_deref() {
            facts.ims(ims, numbers, emergency);
        }
        if let Some(sms) = service.sms_information.as_deref() {
            facts.sms(sms, numbers);
        }
        if let Some(mms) = service.mms_information.as_deref() {
            let recipient = mms.recipient_addresses.iter().find_map(|address| address.address_data.as_ref());
            facts.call_party(recipient.map(|text| text.expose()), numbers);
            let sender = mms.originator_address.as_ref().and_then(|address| address.address_data.as_ref());
            facts.calling = sender.map(|text| party(text.expose(), numbers));
        }
        facts
    }

    /// What is sold, by the context.
    pub fn service(&self) -> Service {
        match self.context_number {
            32_251 => Service::Data,
            32_260 => Service::Voice,
            32_274 => Service::Sms,
            32_270 => Service::Mms,
            _ => Service::Generic,
        }
    }

    /// Takes over what a later request tells; what it says nothing of stays. True: something is new. Most requests tell what
    /// was known, and then nothing is copied.
    pub fn learn(&mut self, told: &Self) -> bool {
        let mut new = learn(&mut self.context, &told.context) | learn(&mut self.context_number, &told.context_number);
        if !told.subscribers.is_empty() {
            new |= learn(&mut self.subscribers, &told.subscribers);
        }
        new |= learn_some(&mut self.calling, &told.calling);
        if told.dialled.is_some() {
            new |= learn(&mut self.called, &told.called) | learn(&mut self.dialled, &told.dialled);
            new |= learn(&mut self.emergency, &told.emergency);
        }
        let (own, told) = (&mut self.information, &told.information);
        new | learn(&mut own.node, &told.node)
            | learn_some(&mut own.role, &told.role)
            | learn_some(&mut own.plmn, &told.plmn)
            | learn_some(&mut own.apn, &told.apn)
            | learn_some(&mut own.rat_type, &told.rat_type)
            | learn_some(&mut own.imei, &told.imei)
            | learn_some(&mut own.user_location, &told.user_location)
            | learn_some(&mut own.pdp_address, &told.pdp_address)
            | learn_some(&mut own.charging_id, &told.charging_id)
            | learn_some(&mut own.icid, &told.icid)
            | learn_some(&mut own.trunk, &told.trunk)
    }

    fn subscriber(&mut self, id: &SubscriptionId<'_>) {
        let kind = match id.subscription_id_type {
            SubscriptionIdType::EndUserE164 => SubscriberIdKind::E164,
            SubscriptionIdType::EndUserImsi => SubscriberIdKind::Imsi,
            SubscriptionIdType::EndUserSipUri => SubscriberIdKind::SipUri,
            SubscriptionIdType::EndUserNai => SubscriberIdKind::Nai,
            SubscriptionIdType::EndUserPrivate | SubscriptionIdType::Other(_) => SubscriberIdKind::Private,
        };
        self.add(kind, id.subscription_id_data.expose());
    }

    fn add(&mut self, kind: SubscriberIdKind, text: &str) {
        let text = text.trim();
        let value = match kind {
            SubscriberIdKind::E164 => {
                let digits = text.strip_prefix("tel:").unwrap_or(text).trim_start_matches('+');
                if digits.is_empty() { Number::from("") } else { Number::new(["+", digits].concat()) }
            }
            _ => Number::from(text),
        };
        let id = SubscriberId { kind, value };
        let room = self.subscribers.len() < SUBSCRIBERS_MAX && id.value.expose().len() <= SUBSCRIBER_BYTES_MAX;
        if room && !id.value.expose().is_empty() && !self.subscribers.contains(&id) {
            if self.subscribers.capacity() == 0 {
                // Two are usual.
                self.subscribers.reserve_exact(2);
            }
            self.subscribers.push(id);
        }
    }

    fn data(&mut self, data: &PsInformation<'_>) {
        let own = &mut self.information;
        own.apn = data.called_station_id.as_deref().map(Box::from);
        own.plmn = data.tgpp_sgsn_mcc_mnc.as_deref().map(Box::from);
        own.rat_type = data.tgpp_rat_type.as_ref().and_then(|octets| octets.expose().first().copied());
        own.user_location = data.tgpp_user_location_info.as_ref().map(|octets| octets.expose().into());
        own.charging_id = data.tgpp_charging_id.as_ref().and_then(Octets::as_u32).map(u64::from);
        own.pdp_address = data.pdp_addresses.iter().find_map(|address| address.ip()).map(address_text);
    }

    fn equipment(&mut self, equipment: Option<&UserEquipmentInfo<'_>>) {
        let digits = equipment.filter(|equipment| equipment.user_equipment_info_type.number() == 0);
        self.information.imei = digits.and_then(|equipment| imei(equipment.user_equipment_info_value.expose()));
    }

    fn ims(&mut self, ims: &ImsInformation<'_>, numbers: &NumberRules, emergency: &[Box<str>]) {
        self.information.role = match ims.role_of_node {
            Some(RoleOfNode::Originating) => Some(PartyRole::Originating),
            Some(RoleOfNode::Terminating) => Some(PartyRole::Terminating),
            Some(RoleOfNode::Forwarding) => Some(PartyRole::Forwarding),
            Some(RoleOfNode::B2bua | RoleOfNode::Other(_)) | None => None,
        };
        self.information.icid = ims.ims_charging_identifier.as_deref().map(Box::from);
        let trunk = ims.trunk_group_id.as_ref().and_then(|trunk| trunk.incoming_trunk_group_id.as_deref());
        self.information.trunk = trunk.map(Box::from);
        self.calling = ims.calling_party_addresses.first().map(|text| party(text.expose(), numbers));
        let called = ims.called_party_address.as_ref().or(ims.requested_party_addresses.first());
        self.call_party(called.map(|text| text.expose()), numbers);
        self.emergency = called.is_some_and(|text| is_emergency(text.expose(), emergency));
    }

    fn sms(&mut self, sms: &SmsInformation<'_>, numbers: &NumberRules) {
        let recipients = sms.recipient_info.iter().flat_map(|recipient| &recipient.recipient_addresses);
        let mut addresses = recipients.filter_map(|address| address.address_data.as_ref());
        self.call_party(addresses.next().map(|text| text.expose()), numbers);
        let sender = sms.originator_received_address.as_ref().and_then(|address| address.address_data.as_ref());
        self.calling = sender.map(|text| party(text.expose(), numbers));
    }

    fn call_party(&mut self, text: Option<&str>, numbers: &NumberRules) {
        let Some(text) = text.filter(|text| !text.is_empty()) else { return };
        self.dialled = Some(Number::from(user_part(text)));
        self.called = numbers.normalise(user_part(text));
    }
}

/// True: it is new.
fn learn<T: PartialEq + Clone>(own: &mut T, told: &T) -> bool {
    let new = own != told;
    if new {
        own.clone_from(told);
    }
    new
}

fn learn_some<T: PartialEq + Clone>(own: &mut Option<T>, told: &Option<T>) -> bool {
    told.is_some() && learn(own, told)
}

/// As its `Display` has it, which takes longer than the rest of the request for the usual kind.
fn address_text(address: IpAddr) -> Box<str> {
    let IpAddr::V4(address) = address else { return address.to_string().into() };
    let mut text = String::with_capacity("255.255.255.255".len());
    for (place, octet) in address.octets().into_iter().enumerate() {
        if place > 0 {
            text.push('.');
        }
        let digits = [octet / 100, octet / 10 % 10, octet % 10];
        let leading = usize::from(octet < 100) + usize::from(octet < 10);
        text.extend(digits.iter().skip(leading).map(|digit| char::from(b'0' + digit)));
    }
    text.into()
}

/// `32251` of `32251@3gpp.org`, `ext.01.001.8.32251@3gpp.org` and `6.32251@3gpp.org`; 0 if there is none.
pub fn context_number(context: &str) -> u32 {
    let Some(before) = context.strip_suffix("@3gpp.org") else { return 0 };
    let last = before.rsplit('.').next().unwrap_or(before);
    last.parse().unwrap_or(0)
}

/// What names somebody in `tel:` and `sip:` URIs: the number with its parameters, or the user.
fn user_part(uri: &str) -> &str {
    let rest = ["tel:", "sip:", "sips:"].iter().find_map(|scheme| {
        let begin = uri.get(..scheme.len())?;
        begin.eq_ignore_ascii_case(scheme).then(|| uri.get(scheme.len()..))?
    });
    let Some(rest) = rest else { return uri };
    rest.split_once('@').map_or(rest, |(user, _)| user)
}

/// A party that is only recorded: its number, or what it was called.
fn party(uri: &str, numbers: &NumberRules) -> Number {
    numbers.normalise(user_part(uri)).unwrap_or_else(|| Number::from(uri))
}

/// The emergency service, by its URN (RFC 5031) or a listed number.
fn is_emergency(uri: &str, listed: &[Box<str>]) -> bool {
    let urn = uri.get(..SOS.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(SOS))
        && uri.get(SOS.len()..).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    let number = user_part(uri).split(';').next().unwrap_or_default();
    urn || listed.iter().any(|emergency| **emergency == *number)
}

/// Digits as text, or as BCD with the low half first (3GPP TS 29.061).
fn imei(value: &[u8]) -> Option<Box<str>> {
    if value.len() >= IMEI_DIGITS_MIN && value.iter().all(u8::is_ascii_digit) {
        return std::str::from_utf8(value).ok().map(Box::from);
    }
    let halves = value.iter().flat_map(|byte| [byte & 0x0F, byte >> 4]);
    let digits: String = halves.take_while(|half| *half < 10).map(|half| char::from(b'0' + half)).collect();
    (IMEI_DIGITS_MIN..=IMEI_DIGITS_MAX).contains(&digits.len()).then(|| digits.into())
}

const SOS: &str = "urn:service:sos";
const IMEI_DIGITS_MIN: usize = 14;
const IMEI_DIGITS_MAX: usize = 16;
/// There are five kinds, and Kamailio says each twice.
const SUBSCRIBERS_MAX: usize = 16;
/// Longer names are of nobody.
const SUBSCRIBER_BYTES_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contexts_by_their_suffix() {
        for (text, number) in [
            ("32251@3gpp.org", 32_251),
            ("ext.01.001.8.32260@3gpp.org", 32_260),
            ("8.32274@3gpp.org", 32_274),
            ("32251@3gpp.org.evil", 0),
            ("@3gpp.org", 0),
            ("voice@example.net", 0),
            ("99999999999@3gpp.org", 0),
        ] {
            assert_eq!(context_number(text), number, "{text}");
        }
    }

    #[test]
    fn addresses_as_text() {
        for address in ["0.0.0.0", "10.1.100.9", "99.100.101.255", "2001:db8::1"] {
            let parsed = address.parse().expect("an address");
            assert_eq!(&*address_text(parsed), address);
        }
    }

    #[test]
    fn a_later_request_adds_to_the_facts_and_takes_nothing_away() {
        let first = Facts {
            context: "32260@3gpp.org".into(),
            dialled: Some("112".into()),
            emergency: true,
            subscribers: vec![SubscriberId { kind: SubscriberIdKind::Imsi, value: "001".into() }],
            information: ServiceInformation { apn: Some("ims".into()), ..ServiceInformation::default() },
            ..Facts::default()
        };
        let mut facts = first.clone();
        assert!(!facts.learn(&Facts { context: "32260@3gpp.org".into(), ..Facts::default() }));
        assert_eq!(facts, first);
        assert!(!facts.learn(&first.clone()));
        let moved = Facts {
            context: "32260@3gpp.org".into(),
            information: ServiceInformation { plmn: Some("00101".into()), ..ServiceInformation::default() },
            ..Facts::default()
        };
        assert!(facts.learn(&moved));
        assert_eq!((facts.information.apn.as_deref(), facts.information.plmn.as_deref()), (Some("ims"), Some("00101")));
        assert!(facts.emergency && facts.dialled == first.dialled);
        // Another party is another call: what was known of the last one does not stay.
        let other = Facts { context: "32260@3gpp.org".into(), dialled: Some("5".into()), ..Facts::default() };
        assert!(facts.learn(&other));
        assert!(!facts.emergency && facts.called.is_none());
    }

    #[test]
    fn emergency_calls_by_urn_and_number() {
        let listed: [Box<str>; 2] = ["112".into(), "911".into()];
        for (uri, emergency) in [
            ("urn:service:sos", true),
            ("URN:service:sos.police", true),
            ("urn:service:sosx", false),
            ("tel:112", true),
            ("tel:112;phone-context=+49", true),
            ("sip:911@ims.example.net", true),
            ("sip:911;x=y@ims.example.net", true),
            ("112", true),
            ("sip:1120@ims.example.net", false),
            ("sip:alice@112", false),
            ("", false),
        ] {
            assert_eq!(is_emergency(uri, &listed), emergency, "{uri}");
        }
    }

    #[test]
    fn equipment_as_text_and_as_bcd() {
        assert_eq!(imei(b"3512340012345678").as_deref(), Some("3512340012345678"));
        let bcd = [0x53, 0x21, 0x43, 0x00, 0x21, 0x43, 0x65, 0xF7];
        assert_eq!(imei(&bcd).as_deref(), Some("351234001234567"));
        assert_eq!((imei(b""), imei(b"00:11:22:33:44:55")), (None, None));
    }
}
