//! Every recorded message is read, and written again without losing anything but what is listed here.

use protocol_codecs::diameter::{EncodeError, Message, Mode, Notes, ResultCode};

use crate::support::{Recorded, again, all, frame, leaves, message, names, recorded, recording};

/// AVPs of Kamailio's that have no effect: Accounting-Record-Type and -Number, and two of an old vendor.
const IGNORED: &[&str] = &["480/0=", "485/0=", "2/10=", "3/10="];

#[test]
fn every_recorded_message_is_read_and_written_again() {
    let mut seen = 0;
    for recorded in all() {
        let (title, original) = (&recorded.title, recorded.frame());
        let read = message(&original);
        let written = match again(&read, &original) {
            Ok(written) => frame(&written),
            // One Kamailio call: its CER names no address. We never send that.
            Err(EncodeError::Missing { message: "CER", .. }) => continue,
            // The lab's servers answer groups without a result. We never do.
            Err(EncodeError::Missing { message: "CCA", .. }) => continue,
            // erlang's server of the lab grants units at the end of a session.
            Err(EncodeError::NotAllowed { avp: "Granted-Service-Unit", .. }) => continue,
            Err(error) => panic!("{title}: {error}"),
        };
        assert_eq!(message(&written), read, "{title}");
        assert_eq!(written.header().flags, original.header().flags, "{title}");
        let (mut before, after) = (leaves(original.avps()), leaves(written.avps()));
        before.retain(|leaf| !IGNORED.iter().any(|ignored| leaf.starts_with(ignored)));
        let lost: Vec<&String> = before.iter().filter(|leaf| !after.contains(leaf)).collect();
        let won: Vec<&String> = after.iter().filter(|leaf| !before.contains(leaf)).collect();
        assert_eq!((lost, won), (vec![], vec![]), "{title}");
        seen += 1;
    }
    assert!(seen > 90, "{seen}");
}

/// Where a peer writes AVPs in the order of the specification and with its flags, ours are the same bytes: which kinds of
/// messages those are, by recording.
const CANONICAL: &[(&str, &str)] = &[
    ("freediameter_relay_to_ocs", "CEA DPA DPR DWA DWR"),
    ("kamailio_calls_answered_interim", "CCA-I CCA-T CCA-U CEA DWR"),
    ("kamailio_calls_callee_busy", "CCA-I CCA-T CEA DWR"),
    ("kamailio_calls_denied", "CCA-I CCA-T CEA DWR"),
    ("kamailio_calls_final_unit", "CCA-I CCA-T CCA-U CEA DWR"),
    ("kamailio_calls_ocs_silent", "CEA DWR"),
    ("kamailio_calls_update_refused_4012", "CCA-I CCA-T CCA-U CEA DWR"),
    ("kamailio_ro", "CEA DWA DWR"),
    ("pgw_to_erlang", "CCA-E CCA-I CCA-U CEA CER DPR DWA DWR"),
    ("pgw_to_freediameter", "CER DPR DWA DWR"),
    ("python_diameter", "CEA CER DPA DPR DWA DWR RAA"),
];

#[test]
fn canonical_senders_are_met_to_the_byte() {
    for name in names() {
        let is_same = |recorded: &Recorded| {
            let original = recorded.frame();
            again(&message(&original), &original).is_ok_and(|written| written == recorded.bytes)
        };
        let mut same: Vec<String> =
            recording(&name).into_iter().filter(is_same).map(|recorded| recorded.name).collect();
        same.sort();
        same.dedup();
        let expected = CANONICAL.iter().find(|(recording, _)| *recording == name).map_or("", |(_, kinds)| kinds);
        assert_eq!(same.join(" "), expected, "{name}");
    }
}

#[test]
fn what_is_passed_over_is_counted() {
    let rows: &[(&str, &str, Notes)] = &[
        ("python_diameter", "CCR-I", Notes::default()),
        ("kamailio_ro", "CCR-I", Notes { repeated: 2, misplaced: 2, ..Notes::default() }),
        (
            "kamailio_calls_answered_interim",
            "CCR-T",
            Notes { repeated: 2, misplaced: 2, unknown: 2, ..Notes::default() },
        ),
    ];
    for (name, title, notes) in rows {
        let frame = recorded(name, title).frame();
        assert_eq!(frame.message(Mode::Tolerant).unwrap().notes, *notes, "{name} {title}");
    }
}

/// What each peer would be refused for, were we strict: flags that its dictionary has wrong, and Kamailio's CER.
#[test]
fn strict_reading_finds_what_peers_do() {
    let mut refused = Vec::new();
    for recorded in all() {
        if let Err(error) = recorded.frame().message(Mode::Strict) {
            let peer = recorded.title.split([',', '_']).next().unwrap();
            let kind = recorded.name.split('-').next().unwrap();
            refused.push(format!("{peer} {kind}: {} {error}", error.result_code().0));
        }
    }
    refused.sort();
    refused.dedup();
    let flags = |who: &str, avp: &str| format!("{who}: 3009 avp flags 0x00 against its definition: {avp}");
    let expected = vec![
        flags("crafted ASR", "Destination-Host 293"),
        flags("crafted CCA", "Origin-Host 264"),
        flags("crafted RAR", "Destination-Host 293"),
        flags("freediameter CCA", "Origin-Host 264"),
        flags("freediameter CCR", "Origin-Host 264"),
        flags("kamailio CCA", "Origin-Host 264"),
        flags("kamailio CCR", "Event-Timestamp 55"),
        "kamailio CER: 5005 missing: Host-IP-Address 257".to_owned(),
        flags("pgw CCA", "Origin-Host 264"),
        flags("pgw CCR", "Origin-Host 264"),
        flags("python CCA", "Origin-Host 264"),
        flags("python CCR", "Origin-Host 264"),
        flags("python RAR", "Destination-Host 293"),
    ];
    assert_eq!(refused, expected);
}

#[test]
fn names_in_recordings_are_the_messages() {
    for name in names() {
        for recorded in recording(&name) {
            let frame = recorded.frame();
            let is_request = matches!(message(&frame), Message::Request(_));
            assert_eq!(
                is_request,
                recorded.name.contains('R') && !recorded.name.starts_with("RAA"),
                "{}",
                recorded.title
            );
        }
    }
}

#[test]
fn result_codes_have_names() {
    for code in ResultCode::KNOWN {
        assert!(code.name().is_some());
    }
    assert_eq!(ResultCode(4012).to_string(), "4012 CREDIT_LIMIT_REACHED");
    assert_eq!(ResultCode(4999).to_string(), "4999");
}
