//! Sessions: what becomes of groups, of sessions, and what is recorded.

use CcRequestType::{Initial, Termination, Update};
use cdr_model::RecordType;
use protocol_codecs::diameter::{
    CcRequestType, CreditControlFailureHandling, FinalUnitAction, ImsInformation, PsInformation, RequestedServiceUnit,
    RoleOfNode, ServiceInformation, Time, UsedServiceUnit,
};

use crate::stage::{MB, PGW, Stage, VOICE, mscc};

#[tokio::test]
async fn one_failed_group_does_not_fail_the_message() {
    let stage = Stage::set("1.00").await;
    let mut pgw = stage.client(PGW).await;
    let ask = Some(5 * MB);
    let told = pgw.ask(&pgw.data("s", Initial, 0, &[(10, 0, ask), (30, 0, ask), (99, 0, ask)])).await;
    assert_eq!((told.code(), told.failed()), (2001, None));
    assert_eq!(told.groups(), [(10, 2001, ask, false), (30, 4011, None, false), (99, 5031, None, false)]);
    let told = pgw.ask(&pgw.data("s", Update, 1, &[(99, 0, ask)])).await;
    assert_eq!((told.code(), told.groups()), (2001, vec![(99, 5031, None, false)]));
}

#[tokio::test]
async fn a_session_that_gets_nothing_does_not_begin() {
    let stage = Stage::set("0.01").await;
    let mut pgw = stage.client(PGW).await;
    let ask = Some(5 * MB);
    // Groups; subscriber; code; what is shown in Failed-AVP.
    type Row = (&'static str, &'static [u32], &'static str, u32, Option<u32>);
    let rows: [Row; 4] = [
        ("credit", &[10], "49170", 4012, None),
        ("nobody", &[10], "49171", 5030, Some(443)),
        ("unmapped", &[98, 99], "49170", 5031, Some(432)),
        ("least", &[50], "49170", 4012, None),
    ];
    for (session, groups, subscriber, code, failed) in rows {
        let groups: Vec<_> = groups.iter().map(|group| (*group, 0, ask)).collect();
        let mut ccr = pgw.data(session, Initial, 0, &groups);
        ccr.subscription_ids[0].subscription_id_data = subscriber.into();
        let told = pgw.ask(&ccr).await;
        assert_eq!((told.code(), told.failed()), (code, failed), "{session}");
        assert_eq!(stage.account(), ("0.01".into(), "0".into()), "{session}");
        let recorded: Vec<_> = stage.told(session).into_iter().map(|row| row.0).collect();
        assert_eq!(recorded, if code == 5031 { vec![] } else { vec![RecordType::Event] }, "{session}");
        let told = pgw.ask(&pgw.data(session, Update, 1, &groups)).await;
        assert_eq!((told.code(), told.failed(), told.groups()), (5002, Some(263), vec![]), "{session}");
    }
}

#[tokio::test]
async fn less_than_the_least_is_taken_back() {
    let stage = Stage::set("0.15").await;
    let mut pgw = stage.client(PGW).await;
    let told = pgw.ask(&pgw.data("s", Initial, 0, &[(50, 0, Some(0))])).await;
    assert_eq!((told.code(), told.groups()), (4012, vec![(50, 4012, None, false)]));
    stage.until("the reservation's end", |stage| stage.account().1 == "0").await;
    assert_eq!(stage.account().0, "0.15");
}

#[tokio::test]
async fn slices_and_bounds_of_grants() {
    let stage = Stage::set("100").await;
    let mut pgw = stage.client(PGW).await;
    // Group, asked, granted.
    let rows =
        [(10, 0, 5 * MB), (10, 1, MB), (10, 7 * MB, 7 * MB), (50, 0, 3 * MB), (50, 1, 2 * MB), (50, u64::MAX, 4 * MB)];
    for (at, (group, asked, granted)) in rows.into_iter().enumerate() {
        let session = format!("s{at}");
        let told = pgw.ask(&pgw.data(&session, Initial, 0, &[(group, 0, Some(asked))])).await;
        assert_eq!(told.groups(), [(group, 2001, Some(granted), false)], "{asked}");
        let cca = told.cca();
        let group = &cca.multiple_services_credit_control[0];
        assert_eq!(group.validity_time, Some(1_800));
        assert_eq!(group.volume_quota_threshold.map(u64::from), Some(granted / 5));
        assert_eq!(cca.credit_control_failure_handling, Some(CreditControlFailureHandling::RetryAndTerminate));
    }
}

#[tokio::test]
async fn a_report_alone_gets_no_grant_and_a_session_may_begin_without_groups() {
    let stage = Stage::set("1.00").await;
    let mut pgw = stage.client(PGW).await;
    let told = pgw.ask(&pgw.data("s", Initial, 1, &[])).await;
    assert_eq!((told.code(), told.groups()), (2001, vec![]));
    assert_eq!(stage.account().1, "0");
    let told = pgw.ask(&pgw.data("s", Update, 2, &[(10, 0, Some(5 * MB))])).await;
    assert_eq!(told.groups(), [(10, 2001, Some(5 * MB), false)]);
    let told = pgw.ask(&pgw.data("s", Update, 3, &[(10, 2 * MB, None)])).await;
    assert_eq!(told.groups(), [(10, 2001, None, false)]);
    assert_eq!(stage.account().0, "0.8");
}

#[tokio::test]
async fn at_the_end_of_credit_some_are_redirected() {
    let stage = Stage::set("0.30").await;
    let mut pgw = stage.client(PGW).await;
    let told = pgw.ask(&pgw.data("s", Initial, 0, &[(40, 0, Some(5 * MB))])).await;
    assert_eq!(told.groups(), [(40, 2001, Some(3 * MB), true)]);
    let told = pgw.ask(&pgw.data("s", Update, 1, &[(40, 3 * MB, Some(5 * MB))])).await;
    assert_eq!((told.code(), told.groups()), (2001, vec![(40, 2001, None, true)]), "at once, without units");
    let cca = told.cca();
    let last = cca.multiple_services_credit_control[0].final_unit_indication.as_ref().expect("a final unit");
    assert_eq!(last.final_unit_action, FinalUnitAction::Redirect);
    let server = last.redirect_server.as_ref().expect("where to");
    assert_eq!(&*server.redirect_server_address, "http://topup.example.net/");
    stage.core.top_up("alice", "1.00");
    assert_eq!(pgw.receive().await.header().command, 258, "ask again");
    let told = pgw.ask(&pgw.data("s", Update, 2, &[(40, 0, Some(5 * MB))])).await;
    assert_eq!(told.groups(), [(40, 2001, Some(5 * MB), false)]);
}

#[tokio::test]
async fn without_any_credit_some_are_redirected_from_the_start() {
    let mut stage = Stage::set("0").await;
    let mut pgw = stage.client(PGW).await;
    let ask = Some(5 * MB);
    let told = pgw.ask(&pgw.data("s", Initial, 0, &[(40, 0, ask), (10, 0, ask)])).await;
    assert_eq!((told.code(), told.groups()), (2001, vec![(40, 2001, None, true), (10, 4012, None, false)]));
    stage.agent_dies().await;
    let mut pgw = stage.client(PGW).await;
    let again = pgw.data("s", Initial, 0, &[(40, 0, ask), (10, 0, ask)]);
    let told = pgw
        .ask_as(
            &again,
            protocol_codecs::diameter::Exchange {
                retransmitted: true,
                ..protocol_codecs::diameter::Exchange::new(77, 78)
            },
        )
        .await;
    assert_eq!((told.code(), told.groups()), (2001, vec![(40, 2001, None, true), (10, 4012, None, false)]));
    stage.core.top_up("alice", "1.00");
    assert_eq!(pgw.receive().await.header().command, 258, "credit is there: ask again");
    let told = pgw.ask(&pgw.data("s", Update, 1, &[(40, 0, ask), (10, 0, ask)])).await;
    assert_eq!(told.groups(), [(40, 2001, ask, false), (10, 2001, ask, false)]);
    let told = pgw.ask(&pgw.data("s", Termination, 2, &[(40, 2 * MB, None), (10, MB, None)])).await;
    assert_eq!(told.code(), 2001);
    assert_eq!(stage.account(), ("0.7".into(), "0".into()));
}

#[tokio::test]
async fn groups_of_one_request_share_what_is_left() {
    let stage = Stage::set("0.45").await;
    let mut pgw = stage.client(PGW).await;
    let ask = Some(5 * MB);
    let told = pgw.ask(&pgw.data("s", Initial, 0, &[(10, 0, ask), (40, 0, ask)])).await;
    assert_eq!(told.groups(), [(10, 2001, Some(2 * MB), true), (40, 2001, Some(2 * MB), true)]);
    assert_eq!(stage.account(), ("0.45".into(), "0.4".into()));
}

#[tokio::test]
async fn units_without_groups_and_groups_without_a_number() {
    let stage = Stage::set("1.00").await;
    let mut pgw = stage.client(PGW).await;
    let mut ccr = pgw.data("beside", Initial, 0, &[]);
    let apn = |name: &'static str| {
        let data = PsInformation { called_station_id: Some(name.into()), ..PsInformation::default() };
        Some(ServiceInformation { ps_information: Some(Box::new(data)), ..ServiceInformation::default() })
    };
    ccr.service_information = apn("anything");
    let asked = RequestedServiceUnit { cc_total_octets: Some(MB), ..RequestedServiceUnit::default() };
    ccr.requested_service_unit = Some(asked);
    let told = pgw.ask(&ccr).await;
    let cca = told.cca();
    let granted = cca.granted_service_unit.as_ref().and_then(|unit| unit.cc_total_octets);
    assert_eq!((told.code(), granted, cca.multiple_services_credit_control.len()), (2001, Some(MB), 0));

    let mut open5gs = pgw.data("nameless", Initial, 0, &[(0, 0, Some(MB))]);
    open5gs.service_information = apn("anything");
    open5gs.multiple_services_credit_control[0].rating_group = None;
    let told = pgw.ask(&open5gs).await;
    let cca = told.cca();
    let group = &cca.multiple_services_credit_control[0];
    assert_eq!((group.rating_group, told.groups()), (None, vec![(0, 2001, Some(MB), false)]));
    // Later it does not say the access point again.
    let mut update = pgw.data("nameless", Update, 1, &[(0, MB, Some(MB))]);
    update.multiple_services_credit_control[0].rating_group = None;
    assert_eq!(pgw.ask(&update).await.groups(), [(0, 2001, Some(MB), false)]);
}

#[tokio::test]
async fn a_report_without_its_service_identifier_is_about_the_group_there_is() {
    let stage = Stage::set("1.00").await;
    let mut pgw = stage.client(PGW).await;
    let mut begin = pgw.data("s", Initial, 0, &[(10, 0, Some(5 * MB))]);
    begin.multiple_services_credit_control[0].service_identifiers = vec![7];
    let told = pgw.ask(&begin).await;
    assert_eq!(told.cca().multiple_services_credit_control[0].service_identifiers, [7]);
    let told = pgw.ask(&pgw.data("s", Termination, 1, &[(10, 2 * MB, None)])).await;
    assert_eq!((told.code(), told.groups()), (2001, vec![(10, 2001, None, false)]));
    assert_eq!(stage.account(), ("0.8".into(), "0".into()));
}

#[tokio::test]
async fn a_report_and_a_request_that_come_apart_are_one_group() {
    let stage = Stage::set("1.00").await;
    let mut pgw = stage.client(PGW).await;
    pgw.ask(&pgw.data("s", Initial, 0, &[(10, 0, Some(2 * MB))])).await;
    let mut update = pgw.data("s", Update, 1, &[]);
    update.multiple_services_credit_control = vec![mscc((10, MB, None)), mscc((10, MB, Some(3 * MB)))];
    let told = pgw.ask(&update).await;
    assert_eq!(told.groups(), [(10, 2001, Some(3 * MB), false)]);
    assert_eq!(stage.account(), ("0.8".into(), "0.3".into()));
}

fn voice(role: RoleOfNode, called: &'static str) -> Option<ServiceInformation<'static>> {
    let ims = ImsInformation {
        role_of_node: Some(role),
        calling_party_addresses: vec!["tel:+49170".into()],
        called_party_address: Some(called.into()),
        ims_charging_identifier: Some("icid-1".into()),
        ..ImsInformation::default()
    };
    Some(ServiceInformation { ims_information: Some(Box::new(ims)), ..ServiceInformation::default() })
}

#[tokio::test]
async fn a_call() {
    let stage = Stage::set("0.45").await;
    let mut scscf = stage.client(PGW).await;
    let time = |seconds: i64| Some(Time::from_epoch_ms(1_795_300_000_000 + seconds * 1_000).expect("a time"));
    let step = |kind, number, at: i64, used: u32, asked: u32| {
        let mut ccr = scscf.ccr("call", VOICE, kind, number);
        ccr.event_timestamp = time(at);
        let mut group = mscc((100, 0, (asked > 0).then_some(0)));
        if let Some(unit) = &mut group.requested_service_unit {
            unit.cc_time = Some(asked);
        }
        if used > 0 {
            group.used_service_units = vec![UsedServiceUnit { cc_time: Some(used), ..UsedServiceUnit::default() }];
        }
        group.rating_group = None;
        ccr.multiple_services_credit_control = vec![group];
        ccr.service_information =
            (kind == Initial).then(|| voice(RoleOfNode::Originating, "sip:+4930123456@ims.example.net")).flatten();
        ccr
    };
    let (begin, more) = (step(Initial, 0, 0, 0, 30), step(Update, 1, 35, 25, 30));
    let end = step(Termination, 2, 55, 20, 0);
    let granted = |told: &crate::stage::Told| {
        let cca = told.cca();
        let group = &cca.multiple_services_credit_control[0];
        (group.granted_service_unit.as_ref().and_then(|unit| unit.cc_time), group.final_unit_indication.is_some())
    };
    assert_eq!(granted(&scscf.ask(&begin).await), (Some(30), false));
    assert_eq!(stage.told("call"), [], "nobody has answered yet");
    assert_eq!(granted(&scscf.ask(&more).await), (Some(20), true));
    assert_eq!(scscf.ask(&end).await.code(), 2001);
    assert_eq!(stage.account(), ("0".into(), "0".into()));
    let records = stage.records();
    let [start, stop] = &records[..] else { panic!("{records:?}") };
    assert_eq!((start.record_type, stop.record_type), (RecordType::Start, RecordType::Stop));
    assert_eq!(stop.answer_time.map(|at| at.0), Some(1_795_300_010_000));
    assert_eq!(stop.duration.map(|duration| duration.ms()), Some(45_000));
    assert_eq!(stop.called_party.number.as_ref().map(|number| number.expose()), Some("+4930123456"));
    assert_eq!((stop.call_id.as_str(), stop.service), ("icid-1", types::charging::Service::Voice));
    assert_eq!(stop.cost.as_ref().and_then(|cost| cost.amount).map(|amount| amount.to_string()), Some("0.45".into()));
}

#[tokio::test]
async fn a_call_that_nobody_answers_is_an_attempt() {
    let stage = Stage::set("1.00").await;
    let mut scscf = stage.client(PGW).await;
    for (kind, number) in [(Initial, 0), (Termination, 1)] {
        let mut ccr = scscf.ccr("call", VOICE, kind, number);
        ccr.service_information = voice(RoleOfNode::Originating, "tel:+4930123456");
        assert_eq!(scscf.ask(&ccr).await.code(), 2001);
    }
    let records = stage.records();
    let [attempt] = &records[..] else { panic!("{records:?}") };
    assert_eq!(attempt.event_kind, Some(cdr_model::EventKind::CallAttempt));
    assert_eq!(stage.account(), ("1".into(), "0".into()));
}

#[tokio::test]
async fn emergency_calls_need_no_account_and_no_core() {
    let stage = Stage::set("0").await;
    let mut scscf = stage.client(PGW).await;
    stage.core.set_reachable(false);
    for called in ["urn:service:sos.fire", "tel:112", "sip:911@ims.example.net"] {
        let mut begin = scscf.ccr(called, VOICE, Initial, 0);
        begin.subscription_ids[0].subscription_id_data = "49999".into();
        begin.service_information = voice(RoleOfNode::Originating, called);
        let mut group = mscc((0, 0, Some(0)));
        group.rating_group = None;
        begin.multiple_services_credit_control = vec![group];
        let told = scscf.ask(&begin).await;
        let cca = told.cca();
        let granted = cca.multiple_services_credit_control[0].granted_service_unit.as_ref().expect("time");
        assert_eq!((told.code(), granted.cc_time), (2001, Some(3_600)), "{called}");
        let mut end = scscf.ccr(called, VOICE, Termination, 1);
        end.used_service_units = vec![UsedServiceUnit { cc_time: Some(20), ..UsedServiceUnit::default() }];
        assert_eq!(scscf.ask(&end).await.code(), 2001, "{called}");
        let records = stage.records();
        let stop = records.last().expect("a record");
        assert_eq!((stop.record_type, stop.metadata.tags.as_slice()), (RecordType::Stop, &["EMERGENCY".into()][..]));
    }
    assert_eq!(stage.core.requests(), []);
}
