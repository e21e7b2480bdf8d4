//! Every recording, in any pieces: the same frames, and as many as there are.

use protocol_codecs::esl::{Frame, FrameError, FrameScanner};

use crate::support::{decode, from_switch, names};

/// Recording, and how many of its frames are: `auth/request`, `command/reply`, `api/response`, json or plain events, xml
/// events, notices. Counted by another program.
const FRAMES: &[(&str, [usize; 6])] = &[
    ("01_auth_ok", [1, 2, 2, 0, 0, 1]),
    ("02_auth_bad", [1, 1, 0, 0, 0, 1]),
    ("02b_cmd_before_auth", [1, 3, 0, 0, 0, 1]),
    ("02c_userauth", [1, 7, 1, 0, 0, 1]),
    ("02d_userauth_bad", [1, 1, 0, 0, 0, 1]),
    ("03_api_replies", [1, 23, 28, 0, 0, 1]),
    ("04_bgapi", [1, 17, 2, 5, 6, 1]),
    ("04b_sendevent_crlf", [1, 6, 1, 2, 0, 1]),
    ("05_event_plain_all", [1, 3, 0, 27, 0, 1]),
    ("10_json_bridged", [1, 3, 4, 15, 0, 1]),
    ("11_plain_bridged", [1, 3, 0, 14, 0, 1]),
    ("12_busy", [1, 3, 0, 8, 0, 1]),
    ("16_noroute", [1, 3, 0, 3, 0, 1]),
    ("17_hold", [1, 3, 0, 6, 0, 1]),
    ("20_park_auth_ok", [1, 3, 6, 17, 0, 1]),
    ("22_park_refuse", [1, 3, 2, 5, 0, 1]),
    ("23_00_kill_parked_CALL_REJECTED", [1, 3, 1, 5, 0, 1]),
    ("23_09_kill_parked_402", [1, 3, 1, 5, 0, 1]),
    ("25_sched_hangup_traps", [1, 3, 8, 8, 0, 1]),
    ("27_cancel_parked", [1, 4, 1, 5, 0, 1]),
    ("28_park_timeout", [1, 3, 0, 6, 0, 1]),
    ("29_sendmsg_hangup", [1, 6, 3, 16, 0, 1]),
    ("30_filter", [1, 13, 0, 12, 0, 1]),
    ("31_utf8_json", [1, 3, 0, 4, 0, 1]),
    ("31_utf8_plain", [1, 3, 0, 4, 0, 1]),
    ("32_latin1_json", [1, 3, 0, 4, 0, 1]),
    ("32_latin1_plain", [1, 3, 0, 4, 0, 1]),
    ("40_outbound_async", [0, 7, 1, 11, 0, 2]),
    ("42_outbound_refuse", [0, 5, 0, 8, 0, 2]),
    ("43_outbound_hangup", [0, 3, 0, 1, 0, 1]),
    ("44_outbound_resume", [0, 3, 1, 0, 0, 1]),
    ("45_outbound_agent_dies", [0, 1, 0, 0, 0, 0]),
    ("47_outbound_sync", [0, 6, 0, 0, 0, 1]),
    ("48_idle_and_half_half", [1, 3, 1, 3, 0, 1]),
    ("48_idle_and_half_noauth", [1, 0, 0, 0, 0, 1]),
    ("49_flood_trimmed", [1, 3, 252, 3, 0, 1]),
    ("50_reload_shutdown_reload", [1, 2, 1, 0, 0, 1]),
    ("50_reload_shutdown_shutdown", [1, 3, 0, 3, 0, 1]),
    ("60_show_channels_trimmed", [1, 2, 3, 6, 0, 0]),
    ("61_reconcile_after", [1, 3, 4, 2, 0, 1]),
    ("61_reconcile_before", [1, 2, 1, 4, 0, 0]),
    ("62_kill9", [1, 2, 0, 2, 0, 0]),
    ("62_kill9_after", [1, 3, 3, 1, 0, 1]),
    ("71_cap_accuracy_trimmed", [1, 2, 1, 5, 0, 0]),
];

fn kind(frame: &Frame) -> usize {
    match frame {
        Frame::AuthRequest => 0,
        Frame::CommandReply(_) => 1,
        Frame::ApiResponse(_) => 2,
        Frame::Event(_) => 3,
        Frame::XmlEvent(_) => 4,
        Frame::DisconnectNotice(_) => 5,
        other => panic!("not recorded: {other:?}"),
    }
}

#[test]
fn every_frame_is_there() {
    for (name, expected) in FRAMES {
        let (items, fault) = decode([from_switch(name).as_slice()]);
        let mut found = [0; 6];
        for item in items {
            let frame = item.unwrap_or_else(|error| panic!("{name}: {error}"));
            found[kind(&frame)] += 1;
        }
        assert_eq!((found, fault), (*expected, None), "{name}");
    }
    let tabled = FRAMES.iter().map(|(name, _)| *name);
    assert!(tabled.eq(names().iter().map(String::as_str).filter(|name| *name != "02e_userauth_long")));
}

#[test]
fn byte_by_byte_gives_the_same() {
    for name in names() {
        let whole = from_switch(&name);
        let expected = decode([whole.as_slice()]);
        assert_eq!(decode(whole.chunks(1)), expected, "{name} byte by byte");
        for pieces in [7, 1_460] {
            assert_eq!(decode(whole.chunks(pieces)), expected, "{name} in pieces of {pieces}");
        }
    }
}

#[test]
fn a_frame_may_be_cut_at_any_byte() {
    let mut cuts = 0_usize;
    for (name, _) in FRAMES {
        let whole = from_switch(name);
        let mut rest = whole.as_slice();
        while !rest.is_empty() {
            let span = FrameScanner::default().scan(rest).unwrap().unwrap();
            for cut in 0..span.consumed {
                let mut scanner = FrameScanner::default();
                assert_eq!(scanner.scan(&rest[..cut]), Ok(None), "{name} at {cut}");
                assert_eq!(scanner.scan(rest).as_ref(), Ok(&Some(span.clone())), "{name} at {cut}");
            }
            cuts += span.consumed;
            rest = &rest[span.consumed..];
        }
    }
    assert!(cuts > 1_000_000, "{cuts} bytes of recordings");
}

#[test]
fn a_stream_may_be_cut_at_any_byte() {
    for name in names() {
        let whole = from_switch(&name);
        let expected = decode([whole.as_slice()]);
        // Small ones at every byte, large ones at some: a prime, so that no frame is always cut at the same place.
        let step = if whole.len() < 5_000 { 1 } else { 4_999 };
        for cut in (0..whole.len()).step_by(step) {
            let (left, right) = whole.split_at(cut);
            assert_eq!(decode([left, right]), expected, "{name} at {cut}");
        }
    }
}

#[test]
fn what_ends_early_is_known_to_have() {
    let whole = from_switch("62_kill9");
    let (all, _) = decode([whole.as_slice()]);
    for cut in (1..whole.len()).step_by(97) {
        let (items, fault) = decode([&whole[..cut]]);
        assert!(items.len() < all.len() && items[..] == all[..items.len()]);
        assert!(matches!(fault, None | Some(FrameError::EndInFrame { .. })), "{fault:?}");
        let used: u64 = match fault {
            Some(FrameError::EndInFrame { offset, held_bytes }) => offset + held_bytes as u64,
            _ => cut as u64,
        };
        assert_eq!(used, cut as u64, "no byte unaccounted for");
    }
}
