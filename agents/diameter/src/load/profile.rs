//! Whom we play, and the messages that they send: made after those recorded from python-diameter as a packet gateway (data, messages)
//! and from Kamailio's ims_charging (voice), `protocol-codecs/tests/captures/diameter`, without what is wrong in them.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

use protocol_codecs::diameter::{
    Address, AddressType, CcRequestType, CreditControlRequest, Enumerated, EventType, ImsInformation,
    MultipleServicesCreditControl, MultipleServicesIndicator, PartyAddress, PsInformation, RecipientInfo,
    ReportingReason, RequestedAction, RequestedServiceUnit, RoleOfNode, ServiceInformation, SmMessageType,
    SmsInformation, SubscriptionId, SubscriptionIdType, TerminationCause, Time, TimeStamps, TrunkGroupId,
    UsedServiceUnit, UserEquipmentInfo, UserEquipmentInfoType,
};
use types::UtcMs;

use crate::client::Node;

use super::plan::LoadPlan;
use super::session::{Step, StepGroup};

/// Whom the load client plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Profile {
    /// A packet gateway: data by volume, three rating groups (Gy, 32251).
    GyData,
    /// A call server: calls by time (Ro, 32260).
    RoVoice,
    /// A message centre: one event a message (32274).
    SmsEvent,
}

impl Profile {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::GyData, Self::RoVoice, Self::SmsEvent];

    /// As on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::GyData => "gy-data",
            Self::RoVoice => "ro-voice",
            Self::SmsEvent => "sms-event",
        }
    }

    /// Service-Context-Id.
    pub const fn context(self) -> &'static str {
        match self {
            Self::GyData => "32251@3gpp.org",
            Self::RoVoice => "32260@3gpp.org",
            Self::SmsEvent => "32274@3gpp.org",
        }
    }

    /// Rating groups of a session; one that has none is 0 in the report.
    pub const fn rating_groups(self) -> &'static [u32] {
        match self {
            Self::GyData => &[100, 200, 300],
            Self::RoVoice => &[100],
            Self::SmsEvent => &[0],
        }
    }

    /// Asked for with each request: octets, seconds, messages.
    pub const fn units(self) -> u64 {
        match self {
            Self::GyData => 1_000_000,
            Self::RoVoice => 60,
            Self::SmsEvent => 1,
        }
    }

    /// What units are.
    pub const fn unit(self) -> &'static str {
        match self {
            Self::GyData => "octets",
            Self::RoVoice => "seconds",
            Self::SmsEvent => "messages",
        }
    }

    /// True: each session is one event.
    pub const fn is_event(self) -> bool {
        matches!(self, Self::SmsEvent)
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Profile {
    type Err = ProfileError;

    fn from_str(text: &str) -> Result<Self, ProfileError> {
        Self::ALL.into_iter().find(|profile| profile.name() == text).ok_or(ProfileError)
    }
}

/// It is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be gy-data, ro-voice or sms-event")]
pub struct ProfileError;

/// Names of one session, made when it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Names {
    pub session_id: Box<str>,
    /// E.164 and IMSI of who pays.
    pub number: Box<str>,
    pub imsi: Box<str>,
    /// SIP URIs of a call, and its Call-ID.
    pub caller: Box<str>,
    pub called: Box<str>,
    pub call_id: Box<str>,
    /// When it began by its own clock.
    pub began: UtcMs,
}

impl Names {
    /// Of session `count` of a connection; the numbers of subscribers go round.
    pub fn new(plan: &LoadPlan, node: &Node, (count, subscriber): (u64, u64), now: UtcMs) -> Self {
        let subscriber = subscriber % u64::from(plan.subscribers.max(1));
        let number = plan.first_subscriber.saturating_add(subscriber);
        let realm = &node.origin_realm;
        // A call that lasts as long as its updates say ends now.
        let lasts_ms = match plan.profile {
            Profile::RoVoice => plan.units.saturating_mul(u64::from(plan.updates) + 1).saturating_mul(1_000),
            Profile::GyData | Profile::SmsEvent => 0,
        };
        let high = node.origin_state_id;
        Self {
            // With the process: two loads may begin in one second.
            session_id: format!("{};{high};{count};{}", node.origin_host, std::process::id()).into(),
            number: number.to_string().into(),
            imsi: format!("00101{:010}", number % 10_000_000_000).into(),
            caller: format!("sip:+{number}@{realm}").into(),
            called: format!("sip:+{}@{realm}", plan.called).into(),
            call_id: format!("{high}-{count}@{}", node.origin_host).into(),
            began: UtcMs(now.0.saturating_sub_unsigned(lasts_ms)),
        }
    }
}

/// The request for this step.
pub(super) fn request<'a>(
    plan: &'a LoadPlan,
    node: &'a Node,
    names: &'a Names,
    step: &Step,
    now: UtcMs,
) -> CreditControlRequest<'a> {
    let context = plan.context.as_deref().unwrap_or(plan.profile.context());
    let at = match plan.profile {
        Profile::RoVoice => names.began.plus(step.used_so_far.saturating_mul(1_000)),
        Profile::GyData | Profile::SmsEvent => now,
    };
    let mut ccr = CreditControlRequest::new(
        (&*names.session_id).into(),
        node.origin(),
        (&*plan.destination_realm).into(),
        context.into(),
        (step.kind, step.number),
    );
    ccr.destination_host = plan.destination_host.as_deref().map(Into::into);
    ccr.origin_state_id = Some(node.origin_state_id);
    ccr.event_timestamp = Time::from_epoch_ms(at.0);
    ccr.subscription_ids = vec![
        subscription(SubscriptionIdType::EndUserE164, &names.number),
        subscription(SubscriptionIdType::EndUserImsi, &names.imsi),
    ];
    ccr.termination_cause = (step.kind == CcRequestType::Termination).then_some(TerminationCause::Logout);
    let group = |group: &StepGroup| mscc(plan.profile, step.kind, group);
    ccr.multiple_services_credit_control = step.groups.iter().map(group).collect();
    match plan.profile {
        Profile::GyData => {
            ccr.multiple_services_indicator = Some(MultipleServicesIndicator::Supported);
            ccr.user_equipment_info = Some(UserEquipmentInfo {
                user_equipment_info_type: UserEquipmentInfoType::Imeisv,
                user_equipment_info_value: b"3534490069873319".into(),
            });
            ccr.service_information = Some(packet_switched());
        }
        Profile::RoVoice => {
            ccr.multiple_services_indicator = Some(MultipleServicesIndicator::Supported);
            ccr.user_name = Some((&*names.caller).into());
            ccr.service_information = Some(call(names));
        }
        Profile::SmsEvent => {
            ccr.requested_action = Some(RequestedAction::DirectDebiting);
            ccr.service_information = Some(message(plan));
        }
    }
    ccr
}

fn subscription(kind: SubscriptionIdType, name: &str) -> SubscriptionId<'_> {
    SubscriptionId { subscription_id_type: kind, subscription_id_data: name.into() }
}

fn mscc(profile: Profile, kind: CcRequestType, group: &StepGroup) -> MultipleServicesCreditControl<'static> {
    let seconds = |units: u64| u32::try_from(units).unwrap_or(u32::MAX);
    let requested = |wanted: u64| {
        let mut unit = RequestedServiceUnit::default();
        match profile {
            _ if wanted == 0 => {}
            Profile::GyData => unit.cc_total_octets = Some(wanted),
            Profile::RoVoice => unit.cc_time = Some(seconds(wanted)),
            Profile::SmsEvent => unit.cc_service_specific_units = Some(wanted),
        }
        unit
    };
    let mut used = UsedServiceUnit::default();
    match profile {
        Profile::GyData => {
            // As recorded: a quarter up, three quarters down.
            used.cc_total_octets = Some(group.used);
            used.cc_input_octets = Some(group.used / 4);
            used.cc_output_octets = Some(group.used - group.used / 4);
        }
        Profile::RoVoice => used.cc_time = Some(seconds(group.used)),
        Profile::SmsEvent => used.cc_service_specific_units = Some(group.used),
    }
    let reason =
        if kind == CcRequestType::Termination { ReportingReason::Final } else { ReportingReason::QuotaExhausted };
    MultipleServicesCreditControl {
        requested_service_unit: group.wanted.map(requested),
        used_service_units: if group.used > 0 { vec![used] } else { Vec::new() },
        rating_group: (group.rating_group > 0).then_some(group.rating_group),
        service_identifiers: if profile == Profile::SmsEvent { vec![1] } else { Vec::new() },
        reporting_reasons: if group.used > 0 { vec![reason] } else { Vec::new() },
        ..MultipleServicesCreditControl::default()
    }
}

fn packet_switched() -> ServiceInformation<'static> {
    let address = |last: u8| Address::from(IpAddr::V4(Ipv4Addr::new(127, 0, 0, last)));
    let ps = PsInformation {
        tgpp_charging_id: Some(b"\x00\x00\x12\x34".into()),
        tgpp_pdp_type: Some(Enumerated(0)),
        pdp_addresses: Address::from(IpAddr::V4(Ipv4Addr::new(10, 45, 0, 7))).into(),
        sgsn_addresses: address(2).into(),
        ggsn_addresses: address(3).into(),
        tgpp_nsapi: Some(b"5".into()),
        called_station_id: Some("internet".into()),
        tgpp_selection_mode: Some("0".into()),
        tgpp_charging_characteristics: Some("0800".into()),
        tgpp_sgsn_mcc_mnc: Some("00101".into()),
        tgpp_ms_timezone: Some(b"\x23\x00".into()),
        tgpp_user_location_info: Some(b"\x82\x00\xF1\x10\x00\x01\x00\xF1\x10\x00\x00\x00\x01".into()),
        tgpp_rat_type: Some(b"\x06".into()),
        ..PsInformation::default()
    };
    ServiceInformation { ps_information: Some(Box::new(ps)), ..ServiceInformation::default() }
}

fn call(names: &Names) -> ServiceInformation<'_> {
    let ims = ImsInformation {
        event_type: Some(EventType { sip_method: Some("INVITE".into()), ..EventType::default() }),
        role_of_node: Some(RoleOfNode::Originating),
        node_functionality: Some(Enumerated(0)),
        user_session_id: Some((&*names.call_id).into()),
        calling_party_addresses: vec![(&*names.caller).into()],
        called_party_address: Some((&*names.called).into()),
        time_stamps: Some(TimeStamps {
            sip_request_timestamp: Time::from_epoch_ms(names.began.0),
            ..TimeStamps::default()
        }),
        trunk_group_id: Some(TrunkGroupId {
            incoming_trunk_group_id: Some("0".into()),
            outgoing_trunk_group_id: Some("0".into()),
        }),
        ..ImsInformation::default()
    };
    ServiceInformation { ims_information: Some(Box::new(ims)), ..ServiceInformation::default() }
}

fn message(plan: &LoadPlan) -> ServiceInformation<'_> {
    let to = PartyAddress {
        address_type: Some(AddressType::Msisdn),
        address_data: Some((&*plan.called).into()),
        ..PartyAddress::default()
    };
    let sms = SmsInformation {
        sm_message_type: Some(SmMessageType::Submission),
        recipient_info: vec![RecipientInfo { recipient_addresses: vec![to], ..RecipientInfo::default() }],
        ..SmsInformation::default()
    };
    ServiceInformation { sms_information: Some(Box::new(sms)), ..ServiceInformation::default() }
}
