//! Further hostile input: sound by its lengths, and yet meant to break something. Each with what must come of it.

use CcRequestType::{Event, Initial, Update};
use protocol_codecs::diameter::{CcRequestType, Command, Exchange, RequestedAction, Time};
use tokio::io::AsyncWriteExt;
use types::ids::MAX_SESSION_ID_BYTES;

use crate::hostile::{Row, ask_raw, avp, good, header, without};
use crate::stage::{MB, PGW, SMS, Stage, Told};

const CCR: (u8, u32, u32) = (0xC0, 272, 4);

fn vendor_avp(code: u32, vendor: u32, value: &[u8]) -> Vec<u8> {
    let length = u32::try_from(value.len() + 12).expect("short");
    let head = [code, 0xC000_0000 | length, vendor].map(u32::to_be_bytes).concat();
    let mut bytes = [&head[..], value].concat();
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

#[tokio::test]
async fn what_is_sound_and_mad_is_answered() {
    let stage = Stage::set("1").await;
    let mut pgw = stage.client(PGW).await;
    let good = good(&pgw);
    let with = |more: &[u8]| [&good[..], more].concat();
    let replaced = |code: u32, value: &[u8]| [without(&good, code), avp(code, value)].concat();
    let long = |length: usize| vec![b'x'; length];
    let group = |inner: &[Vec<u8>]| avp(456, &[&avp(432, &[0, 0, 0, 99])[..], &inner.concat()].concat());
    let event =
        |action: &[u8]| [without(&without(&good, 416), 456), avp(416, &[0, 0, 0, 4]), avp(436, action)].concat();
    let subscriber = |kind: u8, data: &[u8]| avp(443, &[avp(450, &[0, 0, 0, kind]), avp(444, data)].concat());
    let rows: Vec<Row> = vec![
        ("type 0", CCR, replaced(416, &[0; 4]), 5004, Some(416)),
        ("type -1", CCR, replaced(416, &[0xFF; 4]), 5004, Some(416)),
        ("event that does nothing we know", CCR, event(&[0, 0, 0, 99]), 5004, Some(436)),
        ("longest Session-Id and one", CCR, replaced(263, &long(MAX_SESSION_ID_BYTES + 1)), 5004, Some(263)),
        ("Session-Id of an attacker's log line", CCR, replaced(263, b"a\n\0\x1b[2J\r"), 5031, Some(432)),
        ("somebody else's Origin-Host", CCR, replaced(264, b"other.example.net"), 5003, Some(264)),
        ("Origin-Host that is no name", CCR, replaced(264, b"a b"), 5004, Some(264)),
        ("Origin-Host of 256", CCR, replaced(264, &long(256)), 5004, Some(264)),
        ("no context", CCR, replaced(461, b""), 5031, Some(432)),
        ("another realm", CCR, replaced(283, b"example.com"), 3003, None),
        ("another host", CCR, with(&avp(293, b"pcrf.example.net")), 3002, None),
        ("our own name on the way", CCR, with(&avp(282, b"ocs.example.net")), 3005, None),
        ("a base AVP of a vendor", CCR, with(&vendor_avp(263, 10_415, b"s")), 5001, Some(263)),
        ("AVP number 0", CCR, with(&avp(0, b"")), 5001, Some(0)),
        ("AVP number 2^32 - 1", CCR, with(&avp(u32::MAX, b"?")), 5001, Some(u32::MAX)),
        ("four bytes too many", CCR, with(&[0; 4]), 5014, Some(0)),
        ("octets in four bytes", CCR, with(&group(&[avp(437, &avp(421, &[0; 4]))])), 5014, Some(456)),
        ("two requests in a group", CCR, with(&group(&[avp(437, b""), avp(437, b"")])), 5009, Some(456)),
        ("136 years of talk", CCR, with(&group(&[avp(446, &avp(420, &[0xFF; 4]))])), 5004, Some(446)),
        ("DWR of the application", (0xC0, 280, 4), good.clone(), 2001, None),
        ("CER of the application", (0xC0, 257, 4), good.clone(), 5005, Some(266)),
        ("subscriber of no kind", CCR, with(&subscriber(99, b"x")), 5031, Some(432)),
        (
            "proxies' state of 60 kB",
            CCR,
            with(&avp(284, &[avp(280, b"p.example.net"), avp(33, &long(60_000))].concat())),
            5031,
            Some(432),
        ),
    ];
    for (name, (flags, command, application), avps, code, failed) in rows {
        let told = ask_raw(&mut pgw, flags, command, application, &avps).await;
        assert_eq!((told.code(), told.failed()), (code, failed), "{name}");
        assert_eq!(told.frame.header().flags.is_error(), code / 1_000 == 3, "{name}");
    }
    assert_eq!(stage.core.requests(), [], "none of it reached the core");
}

#[tokio::test]
async fn numbers_at_the_end_of_their_range() {
    let stage = Stage::set("1").await;
    let mut pgw = stage.client(PGW).await;
    let ask = Some(MB);
    let told = pgw.ask(&pgw.data("last", Initial, u32::MAX, &[(10, 0, ask)])).await;
    assert_eq!((told.code(), told.failed()), (5004, Some(415)));
    let told = pgw.ask(&pgw.data("high", Initial, u32::MAX - 2, &[(10, 0, ask)])).await;
    assert_eq!(told.code(), 2001);
    let mut event = pgw.ccr("event", SMS, Event, 1 << 31);
    event.requested_action = Some(RequestedAction::DirectDebiting);
    let told = pgw.ask(&event).await;
    assert_eq!((told.code(), told.failed()), (5004, Some(415)));
    // As much as there is, and no more than one grant.
    let told = pgw.ask(&pgw.data("all", Initial, 0, &[(20, 0, Some(u64::MAX))])).await;
    assert_eq!(told.groups(), [(20, 2001, Some(90 * MB), true)], "the rest of the balance at 0.01");
    assert_eq!(stage.account(), ("1".into(), "1".into()));
}

#[tokio::test]
async fn clocks_of_other_centuries() {
    let stage = Stage::set("1").await;
    let mut pgw = stage.client(PGW).await;
    for (session, time) in [("1900s", Time(1)), ("2100s", Time(0x7FFF_FFFF)), ("1970", Time(0x83AA_7E80))] {
        let mut ccr = pgw.data(session, Initial, 0, &[(10, 0, Some(MB))]);
        ccr.event_timestamp = Some(time);
        let code = pgw.ask(&ccr).await.code();
        assert!([5002, 5004].contains(&code), "{session}: {code}");
    }
    assert_eq!(stage.account(), ("1".into(), "0".into()));
}

#[tokio::test]
async fn two_hundred_payers_and_services() {
    let stage = Stage::set("1").await;
    let mut pgw = stage.client(PGW).await;
    let mut ccr = pgw.data("s", Initial, 0, &[(10, 0, Some(MB))]);
    let one = ccr.subscription_ids[0].clone();
    ccr.subscription_ids.extend((0..200).map(|_| one.clone()));
    ccr.multiple_services_credit_control[0].service_identifiers = (0..200).collect();
    let told = pgw.ask(&ccr).await;
    assert_eq!(told.groups(), [(10, 2001, Some(MB), false)]);
    // Nobody pays with a name of ten kilobytes.
    let mut ccr = pgw.data("t", Initial, 0, &[(10, 0, Some(MB))]);
    ccr.subscription_ids[0].subscription_id_data = "9".repeat(10_000).into();
    assert_eq!(pgw.ask(&ccr).await.code(), 5030);
}

#[tokio::test]
async fn a_session_that_asks_without_waiting_is_told_to_wait() {
    let stage = Stage::set("1000").await;
    let mut pgw = stage.client(PGW).await;
    assert_eq!(pgw.ask(&pgw.data("s", Initial, 0, &[(10, 0, Some(MB))])).await.code(), 2001);
    stage.core.set_reachable(false);
    for number in 1..=100 {
        let ccr = pgw.data("s", Update, number, &[(10, MB, Some(MB))]);
        pgw.send(ccr.encoded(Exchange::new(number, number)).expect("a CCR").bytes().clone()).await;
    }
    // One is in work and 64 wait: the others come back at once.
    for _ in 0..35 {
        assert_eq!(Told::of(pgw.receive().await).code(), 3004);
    }
    stage.core.set_reachable(true);
    for _ in 0..65 {
        assert_eq!(Told::of(pgw.receive().await).code(), 2001);
    }
    assert_eq!(stage.account().0, "993.5");
}

/// A byte at a time, and then two thousand messages in one piece.
#[tokio::test]
async fn pieces_of_all_sizes() {
    let stage = Stage::set("1").await;
    let mut pgw = stage.client(PGW).await;
    let dwr = [header(1, 20 + 24 + 20, 0x80, 280, 0), avp(264, b"pgw.example.net"), avp(296, b"example.net")].concat();
    assert_eq!(dwr.len(), 64);
    let stream = pgw.framed.get_mut();
    stream.set_nodelay(true).expect("a socket");
    for byte in &dwr {
        stream.write_all(&[*byte]).await.expect("it takes it");
        tokio::task::yield_now().await;
    }
    assert_eq!(Told::of(pgw.receive().await).code(), 2001);
    let burst = dwr.repeat(2_000);
    pgw.framed.get_mut().write_all(&burst).await.expect("it takes it");
    for _ in 0..2_000 {
        let told = Told::of(pgw.receive().await);
        assert_eq!((told.frame.header().command, told.code()), (280, 2001));
    }
}
