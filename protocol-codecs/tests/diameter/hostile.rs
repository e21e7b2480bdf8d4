//! Malformed and hostile requests: for each the code of the answer, what the Failed-AVP shows, and that the answer can be
//! read, has the session and the proxies' state. Framing faults are in `framing`.

use bytes::BytesMut;
use protocol_codecs::diameter::{
    Answer, Command, CreditControlAnswer, CreditControlRequest, EncodeError, Envelope, ErrorAnswer, Fault, Identity,
    Message, Mode, ResultCode, limits,
};

use crate::support::{avp, built, ccr, ccr_with, frame, leaves, message, smallest_ccr};

/// A Proxy-Info, to be found again in each answer.
fn proxy_info(state: &[u8]) -> Vec<u8> {
    avp(284, 0, 0x40, &[avp(280, 0, 0x40, b"dra.test"), avp(33, 0, 0x40, state)].concat())
}

/// Without the AVP of this code.
fn without(code: u32) -> Vec<Vec<u8>> {
    smallest_ccr().into_iter().filter(|avp| avp[..4] != code.to_be_bytes()).collect()
}

/// With another AVP in its place.
fn instead(code: u32, other: Vec<u8>) -> Vec<Vec<u8>> {
    smallest_ccr().into_iter().map(|avp| if avp[..4] == code.to_be_bytes() { other.clone() } else { avp }).collect()
}

/// An AVP whose length field says something else.
fn claiming(mut avp: Vec<u8>, length: u32) -> Vec<u8> {
    avp[5..8].copy_from_slice(&length.to_be_bytes()[1..]);
    avp
}

fn with_flags(mut message: Vec<u8>, flags: u8) -> Vec<u8> {
    message[4] = flags;
    message
}

/// Groups within groups: Failed-AVP, which may hold anything.
fn nested(depth: usize, innermost: &[u8]) -> Vec<u8> {
    (0..depth).fold(innermost.to_vec(), |inner, _| avp(279, 0, 0x40, &inner))
}

struct Row {
    name: &'static str,
    request: Vec<u8>,
    /// Result code, and the leaves of what Failed-AVP holds. `None` = it is read.
    tolerant: Option<(u32, &'static str)>,
    strict: Option<(u32, &'static str)>,
}

fn row(
    name: &'static str,
    request: Vec<u8>,
    tolerant: Option<(u32, &'static str)>,
    strict: Option<(u32, &'static str)>,
) -> Row {
    Row { name, request, tolerant, strict }
}

fn both(name: &'static str, request: Vec<u8>, expected: (u32, &'static str)) -> Row {
    row(name, request, Some(expected), Some(expected))
}

fn only_strict(name: &'static str, request: Vec<u8>, expected: (u32, &'static str)) -> Row {
    row(name, request, None, Some(expected))
}

fn header_rows() -> Vec<Row> {
    let sound = ccr(&smallest_ccr());
    let mut version = sound.clone();
    version[0] = 2;
    let base = |flags, command| built(flags, command, 0, &smallest_ccr()[1..3]);
    vec![
        row("sound", sound.clone(), None, None),
        row("T bit", with_flags(sound.clone(), 0xD0), None, None),
        both("version 2", version, (5011, "")),
        both("unknown command", built(0xC0, 999, 4, &smallest_ccr()), (3001, "")),
        both("accounting", built(0xC0, 271, 3, &smallest_ccr()), (3007, "")),
        both("Gx", built(0xC0, 272, 16_777_238, &smallest_ccr()), (3007, "")),
        both("relay as an application", built(0xC0, 272, 0xFFFF_FFFF, &smallest_ccr()), (3007, "")),
        both("CCR in the base application", built(0xC0, 272, 0, &smallest_ccr()), (3001, "")),
        both("R and E", with_flags(sound.clone(), 0xE0), (3008, "")),
        only_strict("CCR without P", with_flags(sound.clone(), 0x80), (3008, "")),
        only_strict("reserved bits", with_flags(sound, 0xCF), (5013, "")),
        only_strict("DWR with P", base(0xC0, 280), (3008, "")),
        only_strict("DWR in application 4", built(0x80, 280, 7, &smallest_ccr()[1..3]), (3007, "")),
        row("DWR", base(0x80, 280), None, None),
        both("DPR without cause", base(0x80, 282), (5005, "273/0=00000000")),
    ]
}

fn missing_rows() -> Vec<Row> {
    let mut rows = vec![
        both("nothing at all", ccr(&[]), (5005, "263/0=00")),
        both("no Session-Id", ccr(&without(263)), (5005, "263/0=00")),
        both("no Origin-Host", ccr(&without(264)), (5005, "264/0=00")),
        both("no Origin-Realm", ccr(&without(296)), (5005, "296/0=00")),
        both("no Destination-Realm", ccr(&without(283)), (5005, "283/0=00")),
        both("no Service-Context-Id", ccr(&without(461)), (5005, "461/0=00")),
        both("no CC-Request-Type", ccr(&without(416)), (5005, "416/0=00000000")),
        both("no CC-Request-Number", ccr(&without(415)), (5005, "415/0=00000000")),
        only_strict("no Auth-Application-Id", ccr(&without(258)), (5005, "258/0=00000000")),
    ];
    let subscription = avp(443, 0, 0x40, &avp(444, 0, 0x40, b"1"));
    rows.push(both("Subscription-Id without type", ccr_with(&[subscription]), (5005, "443.450/0=00000000")));
    let event = instead(416, avp(416, 0, 0x40, &4_u32.to_be_bytes()));
    rows.push(only_strict("event without action", ccr(&event), (5005, "436/0=00000000")));
    rows
}

fn value_rows() -> Vec<Row> {
    let number = |code: u32, value: u32| avp(code, 0, 0x40, &value.to_be_bytes());
    let money = avp(413, 0, 0x40, &avp(445, 0, 0x40, &avp(429, 0, 0x40, &[0; 4])));
    vec![
        both("CC-Request-Type 99", ccr(&instead(416, number(416, 99))), (5004, "416/0=00000063")),
        both("CC-Request-Type 0", ccr(&instead(416, number(416, 0))), (5004, "416/0=00000000")),
        both("Session-Id not UTF-8", ccr(&instead(263, avp(263, 0, 0x40, b"a\xFFb"))), (5004, "263/0=61ff62")),
        both("Origin-Host empty", ccr(&instead(264, avp(264, 0, 0x40, b""))), (5004, "264/0=")),
        both("Origin-Host with a line", ccr(&instead(264, avp(264, 0, 0x40, b"a\nb"))), (5004, "264/0=610a62")),
        only_strict("unknown Requested-Action", ccr_with(&[number(436, 9)]), (5004, "436/0=00000009")),
        only_strict("action outside of an event", ccr_with(&[number(436, 0)]), (5008, "436/0=00000000")),
        only_strict("another application", ccr(&instead(258, number(258, 1))), (5007, "258/0=00000000")),
        row(
            "Subscription-Id empty",
            ccr_with(&[avp(443, 0, 0x40, &[number(450, 0), avp(444, 0, 0x40, b"")].concat())]),
            None,
            None,
        ),
        both(
            "money without digits",
            ccr_with(&[avp(437, 0, 0x40, &money)]),
            (5005, "437.413.445.447/0=0000000000000000"),
        ),
        both(
            "address of 3 bytes",
            ccr_with(&[ps(&avp(1227, 10_415, 0, &[0, 1, 9]))]),
            (5014, "873.874.1227/10415=000000000000"),
        ),
        both(
            "IPv4 of 16 bytes",
            ccr_with(&[ps(&avp(1227, 10_415, 0, &[&[0, 1][..], &[9; 16]].concat()))]),
            (5014, "873.874.1227/10415=000000000000"),
        ),
    ]
}

/// Inside Service-Information and PS-Information.
fn ps(avps: &[u8]) -> Vec<u8> {
    avp(873, 10_415, 0x40, &avp(874, 10_415, 0x40, avps))
}

fn length_rows() -> Vec<Row> {
    let number = |value: &[u8]| avp(415, 0, 0x40, value);
    let with = |avp: Vec<u8>| ccr_with(&[avp]);
    let cut = {
        let mut bytes = ccr_with(&[vec![0, 0, 1, 176]]);
        bytes[3] = u8::try_from(bytes.len()).unwrap();
        bytes
    };
    let group = |inner: Vec<u8>| avp(456, 0, 0x40, &inner);
    vec![
        both("number of 2 bytes", ccr(&instead(415, number(&[0, 1]))), (5014, "415/0=00000000")),
        both("number of 8 bytes", ccr(&instead(415, number(&[0; 8]))), (5014, "415/0=00000000")),
        both("number of no bytes", ccr(&instead(415, number(&[]))), (5014, "415/0=00000000")),
        both("avp length 0", with(claiming(avp(432, 0, 0x40, &[0; 4]), 0)), (5014, "432/0=00000000")),
        both("avp length 7", with(claiming(avp(432, 0, 0x40, &[0; 4]), 7)), (5014, "432/0=00000000")),
        both("vendor avp length 8", with(claiming(avp(874, 10_415, 0x40, &[]), 8)), (5014, "874/10415=")),
        both("vendor avp length 11", with(claiming(avp(868, 10_415, 0x40, &[0; 4]), 11)), (5014, "868/10415=00000000")),
        both("avp past the end", with(claiming(avp(263, 0, 0x40, b"a"), 200)), (5014, "263/0=00")),
        both("avp length 0xffffff", with(claiming(avp(263, 0, 0x40, b"a"), 0xFF_FFFF)), (5014, "263/0=00")),
        both("first avp past the end", ccr(&[claiming(avp(263, 0, 0x40, b"a"), 5000)]), (5014, "263/0=00")),
        both("4 bytes behind the last avp", cut, (5014, "432/0=00000000")),
        both(
            "child past its group",
            with(group(claiming(avp(432, 0, 0x40, &[0; 4]), 16))),
            (5014, "456.432/0=00000000"),
        ),
        both("child length 0", with(group(claiming(avp(432, 0, 0x40, &[0; 4]), 0))), (5014, "456.432/0=00000000")),
        both("a number of 2 bytes that has no effect", with(avp(480, 0, 0x40, &[0; 2])), (5014, "480/0=00000000")),
        both("group of 3 bytes", with(group(vec![0, 0, 1])), (5014, "456/0=")),
        both("child of 4 bytes", with(group(vec![0, 0, 1, 176])), (5014, "456.432/0=00000000")),
        both(
            "grandchild past its group",
            with(group(avp(446, 0, 0x40, &claiming(avp(421, 0, 0x40, &[0; 8]), 20)))),
            (5014, "456.446.421/0=0000000000000000"),
        ),
        both(
            "broken group where none belongs",
            with(avp(430, 0, 0x40, &[0, 0, 1, 0xB1, 0x40, 0, 0, 99])),
            (5014, "430.433/0=00000000"),
        ),
        row("a group's last padding missing", with(claiming(group(avp(461, 0, 0x40, b"abc")), 8 + 11)), None, None),
    ]
}

fn number_rows() -> Vec<Row> {
    let twice = |code: u32| {
        let again = smallest_ccr().into_iter().find(|avp| avp[..4] == code.to_be_bytes()).expect("is there");
        ccr_with(&[again])
    };
    let rsu = avp(437, 0, 0x40, &[]);
    let user_equipment = |inner: &[u8]| avp(458, 0, 0x40, inner);
    let equipment = user_equipment(&[avp(459, 0, 0x40, &[0; 4]), avp(460, 0, 0x40, b"1")].concat());
    vec![
        both("two CC-Request-Number", twice(415), (5009, "415/0=00000000")),
        both("two CC-Request-Type", twice(416), (5009, "416/0=00000001")),
        both("two Session-Id", twice(263), (5009, "263/0=7067772e746573743b313b32")),
        only_strict("two Origin-Host", twice(264), (5009, "264/0=7067772e74657374")),
        only_strict("two Origin-Realm", twice(296), (5009, "296/0=74657374")),
        both("an empty group that needs something", ccr_with(&[user_equipment(&[])]), (5005, "458.459/0=00000000")),
        row(
            "two groups, the second one broken: not sent back",
            ccr_with(&[equipment, user_equipment(&[9; 9])]),
            Some((5009, "458/0=")),
            Some((5014, "458.151587081/0=00")),
        ),
        both(
            "two units in a group",
            ccr_with(&[avp(456, 0, 0x40, &[rsu.clone(), rsu].concat())]),
            (5009, "456.437/0="),
        ),
    ]
}

fn unknown_rows() -> Vec<Row> {
    let unknown = |flags: u8| avp(9999, 0, flags, &[1, 2, 3]);
    let huawei = |inner: &[u8]| avp(20300, 2011, 0x40, inner);
    let group = |inner: Vec<u8>| avp(456, 0, 0x40, &inner);
    vec![
        both("unknown and mandatory", ccr_with(&[unknown(0x40)]), (5001, "9999/0=010203")),
        row("unknown", ccr_with(&[unknown(0x00)]), None, None),
        both("unknown and mandatory in a group", ccr_with(&[group(unknown(0x40))]), (5001, "456.9999/0=010203")),
        only_strict(
            "Huawei's in Service-Information",
            ccr_with(&[avp(873, 10_415, 0x40, &huawei(&[9; 4]))]),
            (5001, "873.20300/2011=09090909"),
        ),
        both("Huawei's elsewhere", ccr_with(&[huawei(&[9; 4])]), (5001, "20300/2011=09090909")),
        only_strict(
            "a reason without its vendor",
            ccr_with(&[group(avp(872, 0, 0x40, &[0, 0, 0, 2]))]),
            (5001, "456.872/0=00000002"),
        ),
        row("an accounting avp", ccr_with(&[avp(480, 0, 0x40, &[0; 4])]), None, None),
        row("a cause that nobody asked for", ccr_with(&[avp(295, 0, 0x40, &[0, 0, 0, 1])]), None, None),
        only_strict("known without M", ccr(&instead(264, avp(264, 0, 0, b"a"))), (3009, "264/0=61")),
        only_strict("reserved avp bits", ccr(&instead(264, avp(264, 0, 0x41, b"a"))), (3009, "264/0=61")),
        only_strict("P bit of RFC 3588", ccr(&instead(264, avp(264, 0, 0x60, b"a"))), (3009, "264/0=61")),
        only_strict("M where it must not be", ccr_with(&[avp(281, 0, 0x40, b"a")]), (3009, "281/0=61")),
    ]
}

fn depth_rows() -> Vec<Row> {
    let empty = "279.279.279.279.279.279.279.279/0=";
    let failing = |depth| ccr_with(&[nested(depth, &avp(432, 0, 0x40, &[0; 4]))]);
    vec![
        row("7 groups", failing(7), None, None),
        both("8 groups", failing(8), (5004, empty)),
        both("64 groups", failing(64), (5004, empty)),
        both("1500 groups", failing(1500), (5004, empty)),
        row(
            "a group in itself",
            ccr_with(&[avp(456, 0, 0x40, &avp(456, 0, 0x40, &avp(456, 0, 0x40, &[])))]),
            None,
            None,
        ),
    ]
}

fn origin() -> (Identity<'static>, Identity<'static>) {
    ("ocs.test".into(), "test".into())
}

fn check(row: &Row, mode: Mode, expected: Option<(u32, &str)>) {
    let name = row.name;
    // The state of two proxies in front of everything, so that what is broken stands behind it.
    let mut bytes = row.request.clone();
    let proxies = [proxy_info(b"first"), proxy_info(b"\0second")].concat();
    bytes.splice(20..20, proxies.iter().copied());
    let length = u32::try_from(bytes.len()).unwrap().to_be_bytes();
    bytes[1..4].copy_from_slice(&length[1..]);
    let request = frame(&bytes);
    let read = request.message(mode);
    let Some((code, failed)) = expected else {
        assert!(read.is_ok(), "{name}, {mode:?}: {read:?}");
        return;
    };
    let error = read.expect_err(name);
    assert_eq!(error.result_code().0, code, "{name}, {mode:?}: {error}");
    let mut out = BytesMut::new();
    let answer = ErrorAnswer::about(&request, origin(), &error);
    answer.encode_for(request.header(), &mut out).unwrap();
    let sent = frame(&out);
    let (asked, header) = (request.header(), sent.header());
    assert_eq!(
        (header.command, header.application, header.hop_by_hop_id, header.end_to_end_id),
        (asked.command, asked.application, asked.hop_by_hop_id, asked.end_to_end_id),
        "{name}"
    );
    assert_eq!(header.flags.0 & !0x40, if code / 1000 == 3 { 0x20 } else { 0 }, "{name}: E with 3xxx alone");
    assert_eq!(header.flags.is_proxiable(), asked.flags.is_proxiable(), "{name}: P as it came");
    assert_eq!(header.version, 1);
    let said = Envelope::of(&sent);
    let states: Vec<_> = said.proxy_infos.iter().map(|info| info.proxy_state().unwrap()).collect();
    assert_eq!(states, [&b"first"[..], b"\0second"], "{name}");
    assert_eq!(said.session_id, Envelope::of(&request).session_id, "{name}");
    let shown: Vec<String> = answer.failed_avps.iter().flat_map(|failed| leaves(failed.avps())).collect();
    assert_eq!(shown.join(" "), failed, "{name}, {mode:?}");
    assert_eq!(error.failed_avp().is_some(), !failed.is_empty(), "{name}");
}

#[test]
fn each_fault_has_its_answer() {
    let rows =
        [header_rows(), missing_rows(), value_rows(), length_rows(), number_rows(), unknown_rows(), depth_rows()];
    for row in rows.iter().flatten() {
        check(row, Mode::Tolerant, row.tolerant);
        check(row, Mode::Strict, row.strict);
    }
}

/// What we answer can be read by us as a client, whatever it was about; a success is no refusal.
#[test]
fn refusals_are_read_as_errors() {
    for code in
        [ResultCode::TOO_BUSY, ResultCode::REALM_NOT_SERVED, ResultCode::UNABLE_TO_COMPLY, ResultCode::MISSING_AVP]
    {
        let request = frame(&ccr(&without(416)));
        let mut out = BytesMut::new();
        ErrorAnswer::to(&request, origin(), code).encode_for(request.header(), &mut out).unwrap();
        let sent = frame(&out);
        let Message::Answer(Answer::Error(answer)) = message(&sent) else { panic!("{code}") };
        assert_eq!(answer.result_code, code);
        assert_eq!(answer.session_id.as_deref(), Some("pgw.test;1;2"));
        assert_eq!(answer.cc_request_number, Some(0));
    }
    let request = frame(&ccr(&[]));
    let success = ErrorAnswer::to(&request, origin(), ResultCode::SUCCESS).encoded_for(request.header());
    assert_eq!(success, Err(EncodeError::BadValue { avp: "Result-Code" }));
}

/// An answer is not taken for a refusal because it is broken: only because it lacks what a success must have.
#[test]
fn broken_answers_are_not_refusals() {
    let refusal = |origin_flags: u8, number: &[u8]| {
        built(
            0x40,
            272,
            4,
            &[
                avp(263, 0, 0x40, b"s"),
                avp(268, 0, 0x40, &4012_u32.to_be_bytes()),
                avp(264, 0, origin_flags, b"ocs.test"),
                avp(296, 0, 0x40, b"test"),
                avp(415, 0, 0x40, number),
            ],
        )
    };
    let user = avp(1, 0, 0x40, b"\xFF");
    let mut unreadable = [refusal(0x40, &[0; 4]), user].concat();
    unreadable[3] += 12;
    let is_error = |bytes: &[u8], mode| {
        matches!(frame(bytes).message(mode).map(|read| read.message), Ok(Message::Answer(Answer::Error(_))))
    };
    assert!(is_error(&refusal(0x40, &[0; 4]), Mode::Tolerant) && is_error(&refusal(0x40, &[0; 4]), Mode::Strict));
    assert!(!is_error(&refusal(0x40, &[0; 3]), Mode::Tolerant), "a number of three bytes");
    assert!(!is_error(&unreadable, Mode::Tolerant), "a name that is not UTF-8");
    assert!(is_error(&refusal(0, &[0; 4]), Mode::Tolerant) && !is_error(&refusal(0, &[0; 4]), Mode::Strict));
}

#[test]
fn long_values_are_not_sent_back() {
    let long = vec![7; limits::FAILED_VALUE_BYTES_MAX + 1];
    let request = frame(&ccr_with(&[avp(9999, 0, 0x40, &long)]));
    let error = request.message(Mode::Tolerant).unwrap_err();
    assert_eq!(error.failed_avp(), Some(&avp(9999, 0, 0x40, &[])[..]));
    let request = frame(&ccr_with(&[avp(9999, 0, 0x40, &long[1..])]));
    let error = request.message(Mode::Tolerant).unwrap_err();
    assert_eq!(error.failed_avp().map(<[u8]>::len), Some(limits::FAILED_VALUE_BYTES_MAX + 8));
}

#[test]
fn faults_say_where() {
    let request = frame(&ccr_with(&[ps(&avp(1227, 10_415, 0, &[0, 1, 9]))]));
    let error = request.message(Mode::Tolerant).unwrap_err();
    assert_eq!(
        error.to_string(),
        "avp length of 15 bytes cannot be right: Service-Information 873 of vendor 10415 > \
         PS-Information 874 of vendor 10415 > PDP-Address 1227 of vendor 10415"
    );
    assert_eq!((error.fault(), error.avp()), (Fault::AvpLength { length_bytes: 15 }, Some((1227, 10_415))));
    assert!(!format!("{error:?}").contains("failed"), "no bytes in logs");
}

#[test]
fn many_groups_and_large_numbers_are_taken() {
    let usage = avp(446, 0, 0x40, &avp(421, 0, 0x40, &u64::MAX.to_be_bytes()));
    let group = avp(456, 0, 0x40, &[avp(432, 0, 0x40, &u32::MAX.to_be_bytes()), usage].concat());
    let request = frame(&ccr_with(&vec![group; 500]));
    let ccr = CreditControlRequest::decode(&request, Mode::Strict).unwrap().message;
    assert_eq!(ccr.multiple_services_credit_control.len(), 500);
    let last = ccr.multiple_services_credit_control.last().unwrap();
    assert_eq!((last.rating_group, last.used_service_units[0].cc_total_octets), (Some(u32::MAX), Some(u64::MAX)));
    let answer = CreditControlAnswer::to(&ccr, origin(), ResultCode::SUCCESS);
    assert!(answer.encoded(request.header().exchange()).is_ok());
}

#[test]
fn loops_are_seen() {
    let records = [avp(282, 0, 0x40, b"dra.test"), avp(282, 0, 0x40, b"OCS.test")];
    let request = frame(&ccr_with(&records));
    assert!(Envelope::of(&request).came_through("ocs.TEST"));
    assert!(!Envelope::of(&request).came_through("ocs.tes"));
    assert_eq!(Envelope::of(&request).route_records, ["dra.test", "OCS.test"]);
    let many = frame(&ccr_with(&vec![records[0].clone(); 1000]));
    assert_eq!(Envelope::of(&many).route_records.len(), 64, "bounded");
}
