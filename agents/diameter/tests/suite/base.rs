//! Connections: capabilities, watchdog, leaving, routing.

use CcRequestType::Initial;
use protocol_codecs::diameter::{
    Answer, CcRequestType, Command, DeviceWatchdogRequest, DisconnectCause, DisconnectPeerAnswer,
    DisconnectPeerRequest, Envelope, Exchange, Message, Mode, ProxyInfo, Request, ResultCode,
};

use crate::stage::{HOST, MB, PGW, REALM, Stage, Told};

#[tokio::test]
async fn who_may_connect() {
    let stage = Stage::set("1").await;
    // Origin-Host, applications, Inband-Security-Ids, result code.
    let rows: [(&str, &[u32], &[u32], u32); 8] = [
        (PGW, &[4], &[], 2001),
        ("SMF.core.example.NET", &[1, 4], &[0], 2001),
        ("dra.example.net", &[0xFFFF_FFFF], &[0, 1], 2001),
        ("stranger.example.net", &[4], &[], 3010),
        ("core.example.net", &[4], &[], 3010),
        (HOST, &[4], &[], 3010),
        (PGW, &[16_777_238], &[], 5010),
        (PGW, &[4], &[1], 5017),
    ];
    for (host, applications, security, code) in rows {
        let mut peer = stage.stranger(host).await;
        let mut cer = peer.cer();
        cer.auth_application_ids = applications.to_vec();
        cer.inband_security_ids = security.to_vec();
        let bytes = cer.encoded(Exchange::new(7, 8)).expect("a CER");
        peer.send(bytes.bytes().clone()).await;
        let cea = Told::of(peer.receive().await);
        assert_eq!(cea.code(), code, "{host} {applications:?} {security:?}");
        assert_eq!(cea.frame.header().flags.is_error(), code / 1000 == 3);
        if code != 2001 {
            assert!(peer.next().await.is_none(), "closed after {code}");
        }
    }
}

#[tokio::test]
async fn watchdogs_are_answered_and_who_leaves_may_go() {
    let stage = Stage::set("1").await;
    let mut pgw = stage.client(PGW).await;
    let (origin_host, origin_realm) = (PGW.into(), REALM.into());
    let dwr = DeviceWatchdogRequest { origin_host, origin_realm, origin_state_id: None };
    pgw.send(dwr.encoded(Exchange::new(5, 6)).expect("a DWR").bytes().clone()).await;
    let dwa = pgw.receive().await;
    assert_eq!((Told::of(dwa.clone()).code(), dwa.header().hop_by_hop_id, dwa.header().end_to_end_id), (2001, 5, 6));

    let (origin_host, origin_realm) = (PGW.into(), REALM.into());
    let dpr = DisconnectPeerRequest { origin_host, origin_realm, disconnect_cause: DisconnectCause::Rebooting };
    pgw.send(dpr.encoded(Exchange::new(9, 9)).expect("a DPR").bytes().clone()).await;
    assert_eq!(Told::of(pgw.receive().await).code(), 2001);
    assert!(pgw.next().await.is_none(), "closed behind the DPA");
}

#[tokio::test]
async fn a_shutdown_says_goodbye() {
    let mut stage = Stage::set("1").await;
    let mut pgw = stage.client(PGW).await;
    stage.shutdown.cancel();
    let frame = pgw.receive().await;
    let decoded = frame.message(Mode::Strict).expect("a strict message");
    let Message::Request(Request::DisconnectPeer(dpr)) = decoded.message else { panic!("{decoded:?}") };
    assert_eq!(dpr.disconnect_cause, DisconnectCause::Rebooting);
    let late = pgw.data("late", Initial, 0, &[(10, 0, Some(MB))]);
    let late = late.encoded(Exchange::new(3, 4)).expect("a CCR");
    pgw.send(late.bytes().clone()).await;
    assert_eq!(Told::of(pgw.receive().await).code(), 3004, "turned away");
    let (origin_host, origin_realm) = (PGW.into(), REALM.into());
    let dpa = DisconnectPeerAnswer {
        result_code: ResultCode::SUCCESS,
        origin_host,
        origin_realm,
        error_message: None,
        failed_avps: vec![],
    };
    pgw.send(dpa.encoded(frame.header().exchange()).expect("a DPA").bytes().clone()).await;
    assert!(pgw.next().await.is_none());
    (&mut stage.agent).await.expect("the agent ends by itself");
}

#[tokio::test]
async fn the_same_peer_again_replaces_its_old_connection() {
    let stage = Stage::set("1").await;
    let mut old = stage.client(PGW).await;
    let mut new = stage.client(PGW).await;
    assert!(old.next().await.is_none(), "the old connection is closed");
    assert_eq!(new.ask(&new.data("s", Initial, 0, &[(10, 0, Some(MB))])).await.code(), 2001);
}

#[tokio::test]
async fn requests_for_others_and_by_others() {
    let stage = Stage::set("1").await;
    let (mut pgw, mut relay) = (stage.client(PGW).await, stage.client("dra.example.net").await);
    let base = pgw.data("s", Initial, 0, &[(10, 0, Some(MB))]);
    let mut other_realm = base.clone();
    other_realm.destination_realm = "example.org".into();
    let mut other_host = base.clone();
    other_host.destination_host = Some("hss.example.net".into());
    let mut circle = base.clone();
    circle.route_records = vec![PGW.into(), HOST.into()];
    let mut forged = base.clone();
    forged.origin_host = "smf.core.example.net".into();
    for (ccr, code) in [(&other_realm, 3003), (&other_host, 3002), (&circle, 3005), (&forged, 5003)] {
        let told = pgw.ask(ccr).await;
        assert_eq!(told.code(), code);
        assert_eq!(told.frame.header().flags.is_error(), code / 1000 == 3);
        assert_eq!(Envelope::of(&told.frame).session_id, Some("s"));
    }
    let mut relayed = base.clone();
    relayed.destination_host = Some("OCS.Example.net".into());
    relayed.route_records = vec![PGW.into()];
    let state = |host: &'static str, state: &[u8]| ProxyInfo::new(&host.into(), state).expect("a state");
    relayed.proxy_infos = vec![state("dra.example.net", b"one"), state("dra2.example.net", b"three")];
    let told = relay.ask(&relayed).await;
    assert_eq!((told.code(), told.cca().proxy_infos), (2001, relayed.proxy_infos.clone()));
    assert!(told.cca().route_records.is_empty());
    relayed.destination_realm = "example.org".into();
    let told = relay.ask(&relayed).await;
    let decoded = told.frame.message(Mode::Strict).expect("a strict answer");
    let Message::Answer(Answer::Error(answer)) = decoded.message else { panic!("{decoded:?}") };
    assert_eq!((told.code(), answer.proxy_infos), (3003, relayed.proxy_infos.clone()), "also in errors");
}
