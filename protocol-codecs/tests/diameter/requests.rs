//! What the recorded requests say, field by field: so that no row of a table names the wrong AVP.

use protocol_codecs::diameter::{
    Address, CcRequestType, Command, CreditControlRequest, Decoded, Frame, Mode, MultipleServicesCreditControl,
    RequestedAction, RequestedServiceUnit, RoleOfNode, SubscriptionIdType, UserEquipmentInfoType, application,
};

use crate::support::recorded;

fn ccr(frame: &Frame) -> CreditControlRequest<'_> {
    let Decoded { message, .. } = CreditControlRequest::decode(frame, Mode::Tolerant).unwrap();
    message
}

fn group(rating_group: u32) -> MultipleServicesCreditControl<'static> {
    MultipleServicesCreditControl {
        requested_service_unit: Some(RequestedServiceUnit::default()),
        rating_group: Some(rating_group),
        ..Default::default()
    }
}

#[test]
fn a_packet_gateway_begins_a_session() {
    let frame = recorded("python_diameter", "CCR-I").frame();
    let ccr = ccr(&frame);
    assert_eq!(ccr.session_id, "pgw.test.realm;6b0234ef;bc78fa37;925a9036");
    assert!(ccr.origin_host.is("PGW.test.realm") && ccr.origin_realm.is("test.realm"));
    assert_eq!(ccr.destination_realm, "test.realm");
    assert_eq!((ccr.destination_host.clone(), ccr.auth_application_id), (None, Some(application::CREDIT_CONTROL)));
    assert_eq!(ccr.service_context_id, "32251@3gpp.org");
    assert_eq!((ccr.cc_request_type, ccr.cc_request_number), (CcRequestType::Initial, 0));
    assert_eq!(ccr.origin_state_id, Some(1));
    assert_eq!(ccr.event_timestamp.map(|time| time.epoch_ms()), Some(1_795_306_735_000));
    let ids: Vec<_> =
        ccr.subscription_ids.iter().map(|id| (id.subscription_id_type, id.subscription_id_data.expose())).collect();
    assert_eq!(
        ids,
        [(SubscriptionIdType::EndUserE164, "447700900123"), (SubscriptionIdType::EndUserImsi, "001010000000001")]
    );
    assert_eq!(ccr.multiple_services_credit_control, [group(100), group(200), group(300)]);
    let equipment = ccr.user_equipment_info.as_ref().unwrap();
    assert_eq!(equipment.user_equipment_info_type, UserEquipmentInfoType::Imeisv);
    assert_eq!(equipment.user_equipment_info_value.expose(), b"3534900698733190");
    let service = ccr.service_information.as_ref().unwrap();
    let ps = service.ps_information.as_ref().unwrap();
    assert_eq!(ps.tgpp_charging_id.as_ref().and_then(|id| id.as_u32()), Some(0x1234));
    assert_eq!(*ps.pdp_addresses, [Address::Ip([10, 45, 0, 7].into())]);
    assert_eq!(*ps.sgsn_addresses, [Address::Ip([127, 0, 0, 2].into())]);
    assert_eq!(*ps.ggsn_addresses, [Address::Ip([127, 0, 0, 3].into())]);
    assert_eq!(ps.called_station_id.as_deref(), Some("internet"));
    assert_eq!(ps.tgpp_sgsn_mcc_mnc.as_deref(), Some("00101"));
    assert_eq!(ps.tgpp_charging_characteristics.as_deref(), Some("0800"));
    assert_eq!(ps.tgpp_rat_type.as_ref().map(|octets| octets.expose()), Some(&[6][..]));
    assert_eq!(ps.tgpp_user_location_info.as_ref().map(|octets| octets.expose().len()), Some(13));
    assert_eq!((&service.ims_information, &service.sms_information), (&None, &None));
}

#[test]
fn a_packet_gateway_reports_and_asks_again() {
    let frame = recorded("python_diameter", "CCR-U").frame();
    let ccr = ccr(&frame);
    assert_eq!((ccr.cc_request_type, ccr.cc_request_number), (CcRequestType::Update, 1));
    let used: Vec<_> = ccr
        .multiple_services_credit_control
        .iter()
        .map(|group| (group.rating_group, group.used_service_units.len(), group.requested_service_unit.is_some()))
        .collect();
    assert_eq!(used, [(Some(100), 1, true), (Some(200), 1, true)]);
}

#[test]
fn an_event_asks_for_an_action() {
    let frame = recorded("python_diameter", "CCR-E").frame();
    let ccr = ccr(&frame);
    assert_eq!(ccr.cc_request_type, CcRequestType::Event);
    assert_eq!(ccr.requested_action, Some(RequestedAction::DirectDebiting));
    let sms = ccr.service_information.as_ref().and_then(|service| service.sms_information.as_ref()).unwrap();
    assert!(!sms.recipient_info.is_empty() || sms.smsc_address.is_some() || sms.sm_message_type.is_some(), "{sms:?}");
}

#[test]
fn kamailio_begins_a_call() {
    let frame = recorded("kamailio_ro", "CCR-I").frame();
    let ccr = ccr(&frame);
    assert_eq!(ccr.service_context_id, "ext.01.001.8.32260@3gpp.org");
    assert_eq!(ccr.auth_application_id, None);
    let application = ccr.vendor_specific_application_id.unwrap();
    assert_eq!((application.vendor_id, application.auth_application_id), (Some(10_415), Some(4)));
    assert_eq!(ccr.destination_host.as_deref(), Some("localhost"));
    assert_eq!(ccr.user_name.as_ref().map(|name| name.expose()), Some("sip:sipp@127.0.0.1:15070"));
    let groups = &ccr.multiple_services_credit_control;
    assert_eq!((groups.len(), groups[0].rating_group, &groups[0].service_identifiers[..]), (1, Some(100), &[1000][..]));
    assert_eq!(groups[0].requested_service_unit.as_ref().and_then(|unit| unit.cc_time), Some(8));
    let service = ccr.service_information.as_ref().unwrap();
    assert_eq!(service.subscription_ids, ccr.subscription_ids);
    let ims = service.ims_information.as_ref().unwrap();
    assert_eq!(ims.role_of_node, Some(RoleOfNode::Originating));
    assert_eq!(ims.event_type.as_ref().and_then(|event| event.sip_method.as_deref()), Some("INVITE"));
    assert_eq!(ims.event_type.as_ref().and_then(|event| event.expires), Some(u32::MAX));
    assert_eq!(ims.calling_party_addresses[0].expose(), "sip:sipp@127.0.0.1:15070");
    assert_eq!(ims.called_party_address.as_ref().map(|uri| uri.expose()), Some("sip:447700900999@127.0.0.1"));
    assert_eq!(ims.user_session_id.as_deref(), Some("1-3836@127.0.0.1"));
    let trunks = ims.trunk_group_id.as_ref().unwrap();
    assert_eq!(
        (trunks.incoming_trunk_group_id.as_deref(), trunks.outgoing_trunk_group_id.as_deref()),
        (Some("0"), Some("0"))
    );
    assert_eq!(ims.time_stamps.and_then(|stamps| stamps.sip_request_timestamp), ccr.event_timestamp);
}

#[test]
fn nothing_that_names_a_subscriber_is_shown() {
    for (recording, name) in [("kamailio_ro", "CCR-I"), ("python_diameter", "CCR-I")] {
        let frame = recorded(recording, name).frame();
        let shown = format!("{:?} {frame:?}", ccr(&frame));
        for secret in ["447700900", "001010000000001", "sipp@", "353490069"] {
            assert!(!shown.contains(secret), "{secret} in {shown}");
        }
    }
}

/// Open5GS, by its source: an action outside of an event, no group number, usage without a total, its reason inside it,
/// and the indicator saying no.
#[test]
fn open5gs_is_taken_as_it_is() {
    use crate::support::{avp, ccr_with, frame};
    let number = |code: u32, value: u32| avp(code, 0, 0x40, &value.to_be_bytes());
    let octets = |code: u32, value: u64| avp(code, 0, 0x40, &value.to_be_bytes());
    let reason = avp(872, 10_415, 0x40, &3_u32.to_be_bytes());
    let usage = avp(446, 0, 0x40, &[reason, number(420, 30), octets(412, 700), octets(414, 300)].concat());
    let qos = avp(1016, 10_415, 0x40, &avp(1028, 10_415, 0x40, &9_u32.to_be_bytes()));
    let group = avp(456, 0, 0x40, &[avp(437, 0, 0x40, &octets(421, 1_000_000)), usage, qos].concat());
    let aoc = avp(2055, 10_415, 0x40, &1_u32.to_be_bytes());
    let bytes = frame(&ccr_with(&[number(436, 0), aoc, number(455, 0), group]));
    let ccr = ccr(&bytes);
    assert_eq!(ccr.requested_action, Some(RequestedAction::DirectDebiting));
    let group = &ccr.multiple_services_credit_control[0];
    assert_eq!(group.rating_group, None);
    assert_eq!(group.requested_service_unit.as_ref().and_then(|unit| unit.cc_total_octets), Some(1_000_000));
    let used = &group.used_service_units[0];
    assert_eq!((used.cc_total_octets, used.cc_input_octets, used.cc_output_octets), (None, Some(700), Some(300)));
    assert_eq!(used.reporting_reason, Some(protocol_codecs::diameter::ReportingReason::QuotaExhausted));
}
