//! FreeSWITCH's event socket, as it was recorded, gives exactly the right records. The translation is written by hand
//! from the events' meaning; it is not the agent's.

mod sequence;

use agent_call::{Answer, CallEnd, SwitchEvent};
use sequence::{FUNDED, Heard, Line, Play, parse, play};
use types::{Cause, EndedBy, ReleaseCause};

/// Charges the inbound leg. It is offered where it parks, or where it appears when nothing parks it. HANGUP_COMPLETE has
/// the final numbers; HANGUP before it says nothing more.
fn heard(lines: &[Line<'_>]) -> Vec<Heard> {
    let offered_at =
        if lines.iter().any(|line| line.name == "CHANNEL_PARK") { "CHANNEL_PARK" } else { "CHANNEL_CREATE" };
    let inbound = lines.iter().filter(|line| line.field("Call-Direction") == Some("inbound"));
    inbound
        .filter_map(|line| {
            let (call, at) = (line.text("Unique-ID").to_owned(), line.time("Event-Date-Timestamp").expect("a time"));
            let event = match line.name {
                name if name == offered_at => return Some(Heard::Offer { call, at }),
                "CHANNEL_PROGRESS" | "CHANNEL_PROGRESS_MEDIA" => SwitchEvent::Ringing,
                "CHANNEL_ANSWER" => {
                    let at = line.time("Caller-Channel-Answered-Time").expect("answered");
                    SwitchEvent::Answered(Answer { at, elapsed_ms: 0 })
                }
                "CHANNEL_HANGUP_COMPLETE" => SwitchEvent::Ended(end(line)),
                _ => return None,
            };
            Some(Heard::Event { call, at, event })
        })
        .collect()
}

fn end(line: &Line<'_>) -> CallEnd {
    let backstop = line.field("Hangup-Cause") == Some("ALLOTTED_TIMEOUT");
    let disposition = line.field("variable_sip_hangup_disposition");
    let by = match disposition {
        _ if backstop => EndedBy::Switch,
        Some("recv_bye" | "recv_cancel") => EndedBy::Caller,
        Some("send_bye" | "send_refuse") => EndedBy::Callee,
        _ => EndedBy::Unknown,
    };
    CallEnd {
        answered: line.time("Caller-Channel-Answered-Time"),
        cause: Cause(line.number("variable_hangup_cause_q850").unwrap_or(0)),
        sip_status: line.number("variable_sip_invite_failure_status"),
        cancelled: disposition == Some("recv_cancel"),
        release_cause: backstop.then_some(ReleaseCause::Backstop),
        ..CallEnd::normal(line.time("Caller-Channel-Hangup-Time").expect("ended"), by)
    }
}

/// Plays a capture in every manner that must not matter, and compares the records.
#[track_caller]
fn gives(capture: &str, records: &[&str]) {
    let lines = parse(capture);
    let heard = heard(&lines);
    for how in [FUNDED, Play { twice: true, ..FUNDED }, Play { late_core: true, ..FUNDED }] {
        let calls = play(&heard, how);
        assert_eq!(calls.len(), 1);
        for outcome in calls.values() {
            assert_eq!(outcome.lines(), records);
            assert!(outcome.finished);
        }
    }
    let billusec = lines.iter().rfind(|line| line.name == "CHANNEL_HANGUP_COMPLETE").and_then(|line| {
        let inbound = line.field("Call-Direction") == Some("inbound");
        line.number::<u64>("variable_billusec").filter(|_| inbound)
    });
    let records = play(&heard, FUNDED).into_values().flat_map(|outcome| outcome.records);
    let talked_ms = records.filter_map(|record| record.duration).max();
    let billed_us = talked_ms.map_or(0, |talked| talked.ms() * 1000);
    assert!(
        billusec.is_some_and(|us| us.abs_diff(billed_us) < 1000),
        "{billusec:?} us by the switch, {billed_us} by us"
    );
}

#[test]
fn answered_and_bridged() {
    gives(
        include_str!("captures/freeswitch_bridged.txt"),
        &["START", "STOP 4040 ms billed 5000 Normal cause 16 cost 0.05"],
    );
}

#[test]
fn busy() {
    gives(include_str!("captures/freeswitch_busy.txt"), &["EVENT Busy cause 17 sip 486 cost 0.00"]);
}

#[test]
fn cancelled() {
    gives(include_str!("captures/freeswitch_cancel.txt"), &["EVENT Cancelled cause 16 sip 487 cost 0.00"]);
}

#[test]
fn not_answered() {
    gives(include_str!("captures/freeswitch_noanswer.txt"), &["EVENT NoAnswer cause 19 cost 0.00"]);
}

/// Parked, authorised, transferred on, and ended by the switch's own backstop.
#[test]
fn parked_and_capped() {
    gives(
        include_str!("captures/freeswitch_park_auth_ok.txt"),
        &["START", "STOP 3519 ms billed 4000 Normal BACKSTOP cause 16 cost 0.04"],
    );
}

/// The caller gives up while the call is parked and nobody has authorised it.
#[test]
fn cancelled_while_parked() {
    gives(include_str!("captures/freeswitch_cancel_parked.txt"), &["EVENT Cancelled cause 16 sip 487 cost 0.00"]);
}
