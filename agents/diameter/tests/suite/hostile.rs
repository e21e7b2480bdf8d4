//! Malformed and hostile input, each with what must come of it.

use std::time::Duration;

use CcRequestType::Initial;
use bytes::{Bytes, BytesMut};
use protocol_codecs::diameter::{CcRequestType, Command, Exchange};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use types::ConfigDuration;

use crate::stage::{MB, PATIENCE, PGW, Peer, Stage, Told, mscc};

/// Whether the other end closes.
async fn is_closed(stream: &mut TcpStream) -> bool {
    let mut rest = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await.expect("an end");
    // What came before it does not matter, and a reset is an end.
    drop(read);
    true
}

pub fn header(version: u8, length: u32, flags: u8, command: u32, application: u32) -> Vec<u8> {
    let mut bytes = (u32::from(version) << 24 | length).to_be_bytes().to_vec();
    bytes.extend((u32::from(flags) << 24 | command).to_be_bytes());
    bytes.extend(application.to_be_bytes());
    bytes.extend([0, 0, 0, 7, 0, 0, 0, 8]);
    bytes
}

#[tokio::test]
async fn what_is_no_diameter_ends_the_connection() {
    let stage = Stage::set("1").await;
    let lengths = [0, 1, 3, 4, 8, 19, 21, 0x00FF_FFFF];
    let framing = lengths.map(|length| header(1, length, 0x80, 272, 4));
    let others: [Vec<u8>; 5] = [
        b"GET / HTTP/1.1\r\nHost: ocs\r\n\r\n".to_vec(),
        [&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xFC, 3, 3][..], &[0; 64]].concat(),
        header(2, 20, 0x80, 9_999, 4),
        vec![0xFF; 64],
        vec![0; 64],
    ];
    for (at, bytes) in framing.into_iter().chain(others).enumerate() {
        for known in [false, true] {
            let mut peer = if known { stage.client(PGW).await } else { stage.stranger(PGW).await };
            let stream = peer.framed.get_mut();
            stream.write_all(&bytes).await.expect("it takes some");
            assert!(is_closed(stream).await, "input {at}, known {known}");
        }
    }
    let mut pgw = stage.client(PGW).await;
    assert_eq!(pgw.ask(&pgw.data("s", Initial, 0, &[(10, 0, Some(MB))])).await.code(), 2001, "others are served");
}

#[tokio::test]
async fn strangers_have_little_time_and_say_one_thing() {
    let stage = Stage::with("1", |config| config.limits.capabilities_timeout = ConfigDuration::from_ms(100)).await;
    // Nothing; half a CER; a CCR before any CER; a DWR; an answer.
    let ccr = stage.stranger(PGW).await.data("s", Initial, 0, &[(10, 0, Some(MB))]).encoded(Exchange::new(1, 1));
    let ccr = ccr.expect("a CCR").bytes().to_vec();
    let inputs = [vec![], header(1, 200, 0x80, 257, 0), ccr, header(1, 20, 0x80, 280, 0), header(1, 20, 0, 272, 4)];
    for (at, input) in inputs.into_iter().enumerate() {
        let mut peer = stage.stranger(PGW).await;
        let stream = peer.framed.get_mut();
        stream.write_all(&input).await.expect("it takes some");
        let mut answer = Vec::new();
        tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("an end").unwrap_or_default();
        assert_eq!(answer, b"", "input {at}: closed without a word");
    }
    assert_eq!(stage.core.requests(), []);
}

#[tokio::test]
async fn a_message_that_never_ends_is_not_waited_for() {
    let stage = Stage::with("1", |config| config.limits.capabilities_timeout = ConfigDuration::from_ms(200)).await;
    let mut pgw = stage.client(PGW).await;
    let stream = pgw.framed.get_mut();
    stream.write_all(&header(1, 4_000, 0x80, 272, 4)).await.expect("it takes some");
    assert!(is_closed(stream).await);
}

#[tokio::test]
async fn there_is_room_for_so_many_strangers_and_no_more() {
    let stage = Stage::with("1", |config| config.limits.strangers = 2).await;
    let mut pgw = stage.client(PGW).await;
    let (first, second) = (stage.stranger(PGW).await, stage.stranger(PGW).await);
    // Taken in order: once a further one is turned away, those two have their places.
    let mut third = stage.stranger(PGW).await;
    assert!(is_closed(third.framed.get_mut()).await);
    assert_eq!(pgw.ask(&pgw.data("s", Initial, 0, &[(10, 0, Some(MB))])).await.code(), 2001, "who is known is served");
    drop((first, second));
    let begun = tokio::time::Instant::now();
    loop {
        let mut next = stage.stranger("dra.example.net").await;
        let cer = next.cer().encoded(Exchange::new(1, 1)).expect("a CER").bytes().clone();
        let stream = next.framed.get_mut();
        let taken = stream.write_all(&cer).await.is_ok() && stream.read_u8().await.is_ok();
        if taken {
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "the places are free again");
    }
}

#[tokio::test]
async fn a_peer_that_does_not_read_is_dropped() {
    let stage = Stage::with("1000", |config| {
        config.limits.write_timeout = ConfigDuration::from_ms(300);
        // No other timer ends it: what it sends ends in the middle of a message, and is not read.
        config.limits.capabilities_timeout = ConfigDuration::from_s(60);
        config.limits.watchdog = ConfigDuration::from_s(3_600);
    })
    .await;
    let mut pgw = stage.client(PGW).await;
    let (mut burst, mut number) = (BytesMut::new(), 0);
    let groups: Vec<_> = (100..140).map(|group| (group, 0, Some(MB))).collect();
    let ccr = pgw.data("s", Initial, 0, &groups);
    let stream = pgw.framed.get_mut();
    let begun = tokio::time::Instant::now();
    loop {
        burst.clear();
        for _ in 0..50 {
            number += 1;
            ccr.encode(Exchange::new(number, number), &mut burst).expect("a CCR");
        }
        let written = tokio::time::timeout(Duration::from_secs(5), stream.write_all(&burst)).await;
        if matches!(written, Ok(Err(_))) {
            break;
        }
        // The kernel gives up such a connection after 20 s: that is not what is looked for.
        assert!(begun.elapsed() < Duration::from_secs(18), "not dropped after {number} requests");
    }
    let mut other = stage.client("dra.example.net").await;
    assert_eq!(other.ask(&other.data("t", Initial, 0, &[(99, 0, None)])).await.code(), 5031);
}

/// Sends raw AVPs as a CCR and reads the answer.
pub async fn ask_raw(pgw: &mut Peer, flags: u8, command: u32, application: u32, avps: &[u8]) -> Told {
    let length = u32::try_from(avps.len() + 20).expect("short");
    let bytes = [&header(1, length, flags, command, application), avps].concat();
    pgw.send(Bytes::from(bytes)).await;
    Told::of(pgw.receive().await)
}

/// Name; flags, command, application; AVPs; result code; what is in Failed-AVP.
pub type Row = (&'static str, (u8, u32, u32), Vec<u8>, u32, Option<u32>);

pub fn avp(code: u32, value: &[u8]) -> Vec<u8> {
    let length = u32::try_from(value.len() + 8).expect("short");
    let mut bytes = [&code.to_be_bytes()[..], &(0x4000_0000 | length).to_be_bytes(), value].concat();
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

pub fn good(pgw: &Peer) -> Vec<u8> {
    let ccr = pgw.data("hostile", Initial, 0, &[(99, 0, Some(MB))]);
    ccr.encoded(Exchange::new(1, 1)).expect("a CCR").bytes()[20..].to_vec()
}

/// The same without the AVP of this code.
pub fn without(avps: &[u8], code: u32) -> Vec<u8> {
    let (mut rest, mut kept) = (avps, Vec::new());
    while !rest.is_empty() {
        let length = u32::from_be_bytes([0, rest[5], rest[6], rest[7]]).next_multiple_of(4);
        let (avp, more) = rest.split_at(usize::try_from(length).expect("short"));
        if u32::from_be_bytes([avp[0], avp[1], avp[2], avp[3]]) != code {
            kept.extend_from_slice(avp);
        }
        rest = more;
    }
    kept
}

#[tokio::test]
async fn a_message_that_cannot_be_read_is_answered() {
    let stage = Stage::set("1").await;
    let mut pgw = stage.client(PGW).await;
    let good = good(&pgw);
    let with = |more: &[u8]| [&good[..], more].concat();
    let replaced = |code: u32, value: &[u8]| [without(&good, code), avp(code, value)].concat();
    let raw = |code: u32, length: u32| [code.to_be_bytes(), (0x4000_0000 | length).to_be_bytes()].concat();
    let deep = (0..64).fold(avp(432, &[0, 0, 0, 1]), |inner, _| avp(456, &inner));
    let shallow_bomb = (0..500).flat_map(|_| avp(456, &avp(432, &[0, 0, 0, 99]))).collect::<Vec<u8>>();
    let long_id = vec![b'x'; 100_000];
    let unknown = avp(9_999, b"?");
    let mut optional = unknown.clone();
    optional[4] = 0;
    let too_much_time = avp(446, &avp(420, &71_582_788_u32.to_be_bytes()));
    // Name; flags, command, application; AVPs; result code; what is in Failed-AVP.
    let rows: Vec<Row> = vec![
        ("nothing wrong but the group", (0xC0, 272, 4), good.clone(), 5031, Some(432)),
        ("unknown command", (0xC0, 999, 4), good.clone(), 3001, None),
        ("unknown application", (0xC0, 272, 16_777_238), good.clone(), 3007, None),
        ("R and E", (0xE0, 272, 4), good.clone(), 3008, None),
        ("reserved bits", (0xCF, 272, 4), good.clone(), 5031, Some(432)),
        ("RAR to us", (0xC0, 258, 4), avp(263, b"hostile"), 5005, Some(264)),
        ("no AVPs", (0xC0, 272, 4), vec![], 5005, Some(263)),
        ("no CC-Request-Number", (0xC0, 272, 4), without(&good, 415), 5005, Some(415)),
        ("no Origin-Host", (0xC0, 272, 4), without(&good, 264), 5005, Some(264)),
        ("no Destination-Realm", (0xC0, 272, 4), without(&good, 283), 5005, Some(283)),
        ("type 99", (0xC0, 272, 4), replaced(416, &[0, 0, 0, 99]), 5004, Some(416)),
        ("number of two bytes", (0xC0, 272, 4), replaced(415, &[0, 1]), 5014, Some(415)),
        ("two numbers", (0xC0, 272, 4), with(&avp(415, &[0; 4])), 5009, Some(415)),
        ("two Origin-Hosts", (0xC0, 272, 4), with(&avp(264, b"pgw.example.net")), 5031, Some(432)),
        ("unknown, mandatory", (0xC0, 272, 4), with(&unknown), 5001, Some(9_999)),
        ("unknown, optional", (0xC0, 272, 4), with(&optional), 5031, Some(432)),
        ("AVP of length 0", (0xC0, 272, 4), with(&raw(432, 0)), 5014, Some(432)),
        ("AVP of length 7", (0xC0, 272, 4), with(&raw(432, 7)), 5014, Some(432)),
        ("AVP past the end", (0xC0, 272, 4), with(&raw(432, 400)), 5014, Some(432)),
        ("AVP of 16 MB", (0xC0, 272, 4), with(&raw(432, 0x00FF_FFFF)), 5014, Some(432)),
        (
            "vendor AVP of 8 bytes",
            (0xC0, 272, 4),
            with(&[&[0, 0, 3, 105, 0xC0, 0, 0, 8][..]].concat()),
            5014,
            Some(873),
        ),
        ("child past its group", (0xC0, 272, 4), with(&avp(456, &raw(432, 40))), 5014, Some(456)),
        ("64 groups deep", (0xC0, 272, 4), with(&deep), 5004, Some(456)),
        ("500 groups of one number", (0xC0, 272, 4), with(&shallow_bomb), 5031, Some(432)),
        ("Session-Id of 100 kB", (0xC0, 272, 4), replaced(263, &long_id), 5004, Some(263)),
        ("Session-Id that is no text", (0xC0, 272, 4), replaced(263, &[0xFF, 0xFE]), 5004, Some(263)),
        ("empty Session-Id", (0xC0, 272, 4), replaced(263, b""), 5004, Some(263)),
        ("empty Subscription-Id", (0xC0, 272, 4), replaced(443, b""), 5005, Some(443)),
        ("828 days of usage", (0xC0, 272, 4), with(&avp(456, &too_much_time)), 5004, Some(446)),
    ];
    for (name, (flags, command, application), avps, code, failed) in rows {
        let told = ask_raw(&mut pgw, flags, command, application, &avps).await;
        assert_eq!((told.code(), told.failed()), (code, failed), "{name}");
        assert_eq!(told.frame.header().flags.is_error(), code / 1_000 == 3, "{name}");
        assert!(!told.frame.header().flags.is_request(), "{name}");
    }
    assert_eq!(stage.core.requests(), [], "none of it reached the core");
}

#[tokio::test]
async fn answers_that_nobody_asked_for_are_dropped() {
    let stage = Stage::set("1").await;
    let mut pgw = stage.client(PGW).await;
    for (command, application) in [(272, 4), (258, 4), (274, 4), (280, 0), (282, 0), (257, 0), (999, 4)] {
        let body = [avp(263, b"s"), avp(268, &2001_u32.to_be_bytes()), avp(264, b"x.y"), avp(296, b"y")].concat();
        let length = u32::try_from(body.len() + 20).expect("short");
        pgw.send(Bytes::from([header(1, length, 0, command, application), body].concat())).await;
    }
    let told = pgw.ask(&pgw.data("s", Initial, 0, &[(99, 0, None)])).await;
    assert_eq!(told.code(), 5031, "the connection stands, and nothing was answered before");
}

#[tokio::test]
async fn a_second_cer_changes_nothing() {
    let stage = Stage::set("1").await;
    let mut pgw = stage.client(PGW).await;
    assert_eq!(pgw.ask(&pgw.data("s", Initial, 0, &[(10, 0, Some(MB))])).await.code(), 2001);
    pgw.exchange_capabilities().await;
    let mut other = pgw.cer();
    other.origin_host = "smf.core.example.net".into();
    let bytes = other.encoded(Exchange::new(3, 3)).expect("a CER").bytes().clone();
    pgw.send(bytes).await;
    assert_eq!(Told::of(pgw.receive().await).code(), 5012, "another name");
    let told = pgw.ask(&pgw.data("s", CcRequestType::Update, 1, &[(10, MB, Some(MB))])).await;
    assert_eq!(told.groups(), [(10, 2001, Some(MB), false)]);
}

#[tokio::test]
async fn usage_beyond_all_measure_is_refused() {
    let stage = Stage::set("1").await;
    let mut pgw = stage.client(PGW).await;
    pgw.ask(&pgw.data("s", Initial, 0, &[(10, 0, Some(MB))])).await;
    for (number, used) in [(1, u64::MAX), (2, 1 << 63), (3, (1 << 50) + 1)] {
        let told = pgw.ask(&pgw.data("s", CcRequestType::Update, number, &[(10, used, Some(MB))])).await;
        assert_eq!((told.code(), told.failed()), (5004, Some(415)), "{used}");
    }
    let mut sum = pgw.data("s", CcRequestType::Update, 4, &[]);
    sum.multiple_services_credit_control = vec![mscc((10, 1 << 49, None)), mscc((10, 1 << 50, None))];
    assert_eq!(pgw.ask(&sum).await.code(), 5004);
    assert_eq!(stage.account().0, "1");
}

#[tokio::test]
async fn more_than_the_window_is_too_much() {
    let stage = Stage::with("1", |config| config.limits.window = 2).await;
    let mut pgw = stage.client(PGW).await;
    stage.core.set_reachable(false);
    for number in 1..=3 {
        let session = format!("s{number}");
        let ccr = pgw.data(&session, Initial, 0, &[(10, 0, Some(MB))]);
        pgw.send(ccr.encoded(Exchange::new(number, number)).expect("a CCR").bytes().clone()).await;
    }
    let told = Told::of(pgw.receive().await);
    assert_eq!((told.code(), told.frame.header().hop_by_hop_id), (3004, 3));
    stage.core.set_reachable(true);
    for _ in 0..2 {
        assert_eq!(Told::of(pgw.receive().await).code(), 2001);
    }
}
