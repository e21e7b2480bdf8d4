//! Properties over generated messages and bytes: round trips, no panics.

#[path = "../../../fuzz/bodies/diameter_decode.rs"]
mod body;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use protocol_codecs::diameter::{
    Address, CcMoney, CcRequestType, Command, CreditControlAnswer, CreditControlRequest, Exchange, FinalUnitAction,
    FinalUnitIndication, Frame, GrantedServiceUnit, Identity, ImsInformation, Message, Mode,
    MultipleServicesCreditControl, Notes, Octets, PartyAddress, ProxyInfo, PsInformation, RecipientInfo,
    RedirectAddressType, RedirectServer, ReportingReason, Request, RequestedAction, RequestedServiceUnit, ResultCode,
    ServiceInformation, SmsInformation, SubscriptionId, SubscriptionIdType, Text, Time, UnitValue, UsedServiceUnit,
};

use crate::support::{all, avp, ccr_with};

fn text() -> impl Strategy<Value = String> {
    proptest::string::string_regex("\\PC{0,20}").unwrap()
}

fn identity() -> impl Strategy<Value = Identity<'static>> {
    proptest::string::string_regex("[a-z0-9.-]{1,40}").unwrap().prop_map(Identity::from)
}

fn money() -> impl Strategy<Value = Box<CcMoney>> {
    (any::<i64>(), any::<Option<i32>>(), any::<Option<u32>>()).prop_map(|(value_digits, exponent, currency_code)| {
        Box::new(CcMoney { unit_value: UnitValue { value_digits, exponent }, currency_code })
    })
}

prop_compose! {
    fn usage()(
        reason in option::of((0..ReportingReason::KNOWN.len()).prop_map(|index| ReportingReason::KNOWN[index])),
        (cc_time, cc_total_octets, cc_input_octets) in any::<(Option<u32>, Option<u64>, Option<u64>)>(),
        (cc_output_octets, cc_service_specific_units) in any::<(Option<u64>, Option<u64>)>(),
        (cc_money, stamps) in (option::of(money()), vec(any::<u32>(), 0..3)),
    ) -> UsedServiceUnit {
        UsedServiceUnit {
            reporting_reason: reason, tariff_change_usage: None, cc_time, cc_money, cc_total_octets, cc_input_octets,
            cc_output_octets, cc_service_specific_units,
            event_charging_timestamps: stamps.into_iter().map(Time).collect(),
        }
    }
}

prop_compose! {
    fn granted()(
        (tariff, cc_time, cc_total_octets) in any::<(Option<u32>, Option<u32>, Option<u64>)>(),
        cc_money in option::of(money()),
    ) -> GrantedServiceUnit {
        GrantedServiceUnit { tariff_time_change: tariff.map(Time), cc_time, cc_money, cc_total_octets, ..Default::default() }
    }
}

prop_compose! {
    fn group()(
        (rating_group, services, used) in (any::<Option<u32>>(), vec(any::<u32>(), 0..3), vec(usage(), 0..3)),
        (asks, grant, seconds) in (option::of(any::<Option<u32>>()), option::of(granted()), option::of(1..u32::MAX)),
        (code, filters, redirect) in (any::<u32>(), vec(text(), 0..3), option::of(text())),
    ) -> MultipleServicesCreditControl<'static> {
        MultipleServicesCreditControl {
            rating_group,
            service_identifiers: services,
            used_service_units: used,
            requested_service_unit: asks.map(|cc_time| RequestedServiceUnit { cc_time, ..Default::default() }),
            granted_service_unit: grant.map(Box::new),
            validity_time: seconds,
            result_code: Some(ResultCode(code)),
            final_unit_indication: Some(Box::new(FinalUnitIndication {
                final_unit_action: FinalUnitAction::Redirect,
                restriction_filter_rules: Vec::new(),
                filter_ids: filters.into_iter().map(Text::from).collect(),
                redirect_server: redirect.map(|address| RedirectServer {
                    redirect_address_type: RedirectAddressType::Url,
                    redirect_server_address: address.into(),
                }),
            })),
            ..Default::default()
        }
    }
}

fn address() -> impl Strategy<Value = Address<'static>> {
    prop_oneof![
        any::<std::net::IpAddr>().prop_map(Address::Ip),
        text().prop_map(|number| Address::E164(number.into())),
        (9..u16::MAX, vec(any::<u8>(), 0..20))
            .prop_map(|(family, bytes)| Address::Other { family, bytes: bytes.into() }),
    ]
}

prop_compose! {
    fn service_information()(
        (addresses, apn, location) in (vec(address(), 0..3), option::of(text()), option::of(vec(any::<u8>(), 0..13))),
        (calling, called, status) in (vec(text(), 0..3), option::of(text()), any::<Option<i32>>()),
        (recipients, scheme) in (vec(text(), 0..3), any::<Option<i32>>()),
    ) -> ServiceInformation<'static> {
        let recipient = |number: String| RecipientInfo {
            recipient_addresses: vec![PartyAddress { address_data: Some(number.into()), ..Default::default() }],
            ..Default::default()
        };
        ServiceInformation {
            ps_information: Some(Box::new(PsInformation {
                pdp_addresses: addresses.into_iter().collect(),
                called_station_id: apn.map(Text::from),
                tgpp_user_location_info: location.map(Octets::from),
                ..Default::default()
            })),
            ims_information: Some(Box::new(ImsInformation {
                calling_party_addresses: calling.into_iter().map(Into::into).collect(),
                called_party_address: called.map(Into::into),
                cause_code: status,
                ..Default::default()
            })),
            sms_information: Some(Box::new(SmsInformation {
                recipient_info: recipients.into_iter().map(recipient).collect(),
                data_coding_scheme: scheme,
                ..Default::default()
            })),
            ..Default::default()
        }
    }
}

prop_compose! {
    fn request()(
        (session, context, hosts) in (text(), text(), (identity(), identity(), identity())),
        (kind, number, groups) in (0..CcRequestType::KNOWN.len(), any::<u32>(), vec(group(), 0..4)),
        (names, stamp, service) in (vec((0..5_i32, text()), 0..4), any::<Option<u32>>(), option::of(service_information())),
        (states, routes) in (vec(vec(any::<u8>(), 0..20), 0..3), vec(identity(), 0..3)),
    ) -> CreditControlRequest<'static> {
        let (host, realm, destination) = hosts;
        let state = |state: Vec<u8>| ProxyInfo::new(&"dra.test".into(), &state).unwrap();
        let name = |(kind, name): (i32, String)| SubscriptionId {
            subscription_id_type: SubscriptionIdType::from_number(kind),
            subscription_id_data: name.into(),
        };
        CreditControlRequest {
            multiple_services_credit_control: groups,
            subscription_ids: names.into_iter().map(name).collect(),
            event_timestamp: stamp.map(Time),
            service_information: service,
            proxy_infos: states.into_iter().map(state).collect(),
            route_records: routes,
            ..CreditControlRequest::new(
                session.into(), (host, realm), destination, context.into(), (CcRequestType::KNOWN[kind], number),
            )
        }
    }
}

fn exchange() -> impl Strategy<Value = Exchange> {
    any::<(u32, u32, bool)>().prop_map(|(hop_by_hop_id, end_to_end_id, retransmitted)| Exchange {
        retransmitted,
        ..Exchange::new(hop_by_hop_id, end_to_end_id)
    })
}

proptest! {
    #[test]
    fn requests_come_back(request in request(), exchange in exchange()) {
        let sent = request.encoded(exchange).unwrap();
        let frame = Frame::new(sent.bytes().clone()).unwrap();
        let header = frame.header();
        prop_assert_eq!((header.hop_by_hop_id, header.end_to_end_id), (exchange.hop_by_hop_id, exchange.end_to_end_id));
        prop_assert_eq!(header.flags.is_retransmitted(), exchange.retransmitted);
        let read = frame.message(Mode::Tolerant).unwrap();
        prop_assert_eq!(read.notes, Notes::default());
        let Message::Request(Request::CreditControl(read)) = read.message else { panic!("a CCR") };
        prop_assert_eq!(&read.clone().into_owned(), &request);
        prop_assert_eq!(*read, request);
    }

    /// Strictly read, too: flags, lengths and places are what the specifications say. Events need an action.
    #[test]
    fn what_we_send_is_right_to_the_letter(mut request in request(), exchange in exchange()) {
        if request.cc_request_type == CcRequestType::Event {
            request.requested_action = Some(RequestedAction::CheckBalance);
        }
        let sent = request.encoded(exchange).unwrap();
        let frame = Frame::new(sent.bytes().clone()).unwrap();
        prop_assert_eq!(CreditControlRequest::decode(&frame, Mode::Strict).unwrap().message, request);
    }

    #[test]
    fn answers_come_back(request in request(), groups in vec(group(), 0..4), code in any::<u32>(), exchange in exchange()) {
        let mut answer = CreditControlAnswer::to(&request, ("ocs.test".into(), "test".into()), ResultCode(code));
        answer.multiple_services_credit_control = groups;
        if request.cc_request_type == CcRequestType::Termination {
            answer.multiple_services_credit_control.iter_mut().for_each(|group| group.granted_service_unit = None);
        }
        let sent = answer.encoded(exchange).unwrap();
        let frame = Frame::new(sent.bytes().clone()).unwrap();
        prop_assert!(!frame.header().flags.is_retransmitted(), "answers have no T");
        prop_assert_eq!(&CreditControlAnswer::decode(&frame, Mode::Strict).unwrap().message, &answer);
        // The proxies' state is what came.
        prop_assert_eq!(&answer.proxy_infos, &request.proxy_infos);
    }

    #[test]
    fn any_bytes_are_taken(bytes in vec(any::<u8>(), 0..300)) {
        body::run(&bytes);
    }

    #[test]
    fn any_avps_are_taken(
        rows in vec((prop_oneof![1..40_u32, 257..300_u32, 411..462_u32, 840..900_u32], any::<bool>(), vec(any::<u8>(), 0..24)), 0..8),
    ) {
        let avps: Vec<Vec<u8>> = rows
            .iter()
            .map(|(code, tgpp, value)| avp(*code, if *tgpp { 10_415 } else { 0 }, 0x40, value))
            .collect();
        body::run(&[&[1], ccr_with(&avps).as_slice()].concat());
    }

    #[test]
    fn damaged_recordings_are_taken(which in any::<prop::sample::Index>(), damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let recorded = all();
        let mut bytes = which.get(&recorded).bytes.clone();
        for (place, byte) in damage {
            *place.get_mut(&mut bytes) = byte;
        }
        body::run(&[&[1], bytes.as_slice()].concat());
    }
}
