//! Asterisk's manager events, as they were recorded, give exactly the right records. The translation is written by hand
//! from the events' meaning; it is not the agent's.

mod sequence;

use std::collections::{BTreeMap, BTreeSet};

use agent_call::{Answer, CallEnd, Command, SwitchEvent};
use sequence::{FUNDED, Heard, Line, Outcome, Play, parse, play};
use types::{Cause, EndedBy, LegId, ReleaseCause, UtcMs};

/// One call: the channel that pays, and every channel that was made for it.
#[derive(Default)]
struct Legs {
    live: BTreeSet<String>,
    up: bool,
    transferred: bool,
    dial_status: Option<String>,
    ended_by: Option<EndedBy>,
}

/// Channels are known by their Uniqueid: the Linkedid of a channel changes when calls are joined.
#[derive(Default)]
struct Translation {
    calls: BTreeMap<String, Legs>,
    call_of: BTreeMap<String, String>,
    heard: Vec<Heard>,
}

fn heard(lines: &[Line<'_>]) -> Vec<Heard> {
    let mut translation = Translation::default();
    for line in lines {
        translation.line(line, line.time("Timestamp").expect("every event has one"));
    }
    translation.heard
}

impl Translation {
    fn line(&mut self, line: &Line<'_>, at: UtcMs) {
        match line.name {
            "Newchannel" => self.new_channel(line, at),
            "DialState" if line.field("DialStatus") == Some("RINGING") => self.tell(line, at, SwitchEvent::Ringing),
            "DialEnd" => {
                let legs = self.legs(line.text("Uniqueid"));
                legs.dial_status = line.field("DialStatus").map(str::to_owned);
            }
            "Newstate" if line.field("ChannelStateDesc") == Some("Up") => {
                let channel = line.text("Uniqueid");
                if self.call_of[channel] == channel {
                    self.legs(channel).up = true;
                    self.tell(line, at, SwitchEvent::Answered(Answer { at, elapsed_ms: 0 }));
                }
            }
            "HangupRequest" => {
                let channel = line.text("Uniqueid").to_owned();
                let by = if self.call_of[&channel] == channel { EndedBy::Caller } else { EndedBy::Callee };
                self.legs(&channel).ended_by.get_or_insert(by);
            }
            "BlindTransfer" => {
                self.transferred(line.text("TransfererUniqueid"), line.text("TransfereeUniqueid"), at);
            }
            "AttendedTransfer" => {
                let (transferee, target) = (line.text("TransfereeUniqueid"), line.text("TransferTargetUniqueid"));
                self.transferred(line.text("OrigTransfererUniqueid"), target, at);
                self.transferred(line.text("SecondTransfererUniqueid"), transferee, at);
            }
            "Hangup" => self.hangup(line, at),
            _ => {}
        }
    }

    fn new_channel(&mut self, line: &Line<'_>, at: UtcMs) {
        let (channel, linked) = (line.text("Uniqueid").to_owned(), line.text("Linkedid"));
        let call = if channel == linked { channel.clone() } else { self.call_of[linked].clone() };
        if channel == linked {
            self.calls.insert(call.clone(), Legs::default());
            self.heard.push(Heard::Offer { call: call.clone(), at });
        }
        self.call_of.insert(channel.clone(), call);
        self.legs(&channel).live.insert(channel);
    }

    /// The transferer goes on paying for the leg it leaves behind.
    fn transferred(&mut self, transferer: &str, to: &str, at: UtcMs) {
        self.legs(transferer).transferred = true;
        let event = SwitchEvent::Transferred { to: LegId::from(to) };
        self.heard.push(Heard::Event { call: self.call_of[transferer].clone(), at, event });
    }

    /// A call is over with its paying channel, or, once that has transferred it away, with its last one.
    fn hangup(&mut self, line: &Line<'_>, at: UtcMs) {
        let channel = line.text("Uniqueid").to_owned();
        let payer = self.call_of[&channel] == channel;
        let legs = self.legs(&channel);
        legs.live.remove(&channel);
        let over = if legs.transferred { legs.live.is_empty() } else { payer };
        if !over {
            return;
        }
        let no_answer = legs.dial_status.as_deref() == Some("NOANSWER");
        let (by, up) = (legs.ended_by, legs.up);
        let sip_status = line.number("TechCause").filter(|_| !up);
        let cause = match line.number("Cause") {
            Some(16) if no_answer && !up && sip_status.is_none() => Cause::NO_ANSWER,
            cause => Cause(cause.unwrap_or(0)),
        };
        let cancelled = !up && by == Some(EndedBy::Caller);
        let end = CallEnd { cause, sip_status, cancelled, ..CallEnd::normal(at, by.unwrap_or(EndedBy::Switch)) };
        self.tell(line, at, SwitchEvent::Ended(end));
    }

    fn tell(&mut self, line: &Line<'_>, at: UtcMs, event: SwitchEvent) {
        let call = self.call_of[line.text("Uniqueid")].clone();
        self.heard.push(Heard::Event { call, at, event });
    }

    fn legs(&mut self, channel: &str) -> &mut Legs {
        self.calls.get_mut(&self.call_of[channel]).expect("its call is known")
    }
}

/// Plays a capture in every manner that must not matter, and compares the records of its calls, oldest first.
#[track_caller]
fn gives(capture: &str, calls: &[&[&str]]) {
    let heard = heard(&parse(capture));
    for how in [FUNDED, Play { twice: true, ..FUNDED }, Play { late_core: true, ..FUNDED }] {
        let outcomes: Vec<Outcome> = play(&heard, how).into_values().collect();
        assert_eq!(outcomes.iter().map(Outcome::lines).collect::<Vec<_>>(), calls);
        assert!(outcomes.iter().all(|outcome| outcome.finished));
    }
}

#[test]
fn answered() {
    let rows = [
        (include_str!("captures/asterisk_plain_answered.txt"), "STOP 3010 ms billed 4000 Normal cause 16 cost 0.04"),
        (
            include_str!("captures/asterisk_plain_answered_rtp.txt"),
            "STOP 6009 ms billed 7000 Normal cause 16 cost 0.07",
        ),
        (
            include_str!("captures/asterisk_plain_callee_hangs_up.txt"),
            "STOP 3006 ms billed 4000 Normal cause 16 cost 0.04",
        ),
        (include_str!("captures/asterisk_stasis_auth_allow.txt"), "STOP 3014 ms billed 4000 Normal cause 16 cost 0.04"),
    ];
    for (capture, stop) in rows {
        gives(capture, &[&["START", stop]]);
    }
}

#[test]
fn not_answered() {
    let rows = [
        (include_str!("captures/asterisk_plain_busy.txt"), "EVENT Busy cause 17 sip 486 cost 0.00"),
        (include_str!("captures/asterisk_plain_cancelled.txt"), "EVENT Cancelled cause 127 sip 487 cost 0.00"),
        (include_str!("captures/asterisk_plain_declined.txt"), "EVENT Failed cause 21 sip 403 cost 0.00"),
        (include_str!("captures/asterisk_plain_noanswer.txt"), "EVENT NoAnswer cause 19 cost 0.00"),
        (include_str!("captures/asterisk_stasis_cancel_while_held.txt"), "EVENT Cancelled cause 127 sip 487 cost 0.00"),
    ];
    for (capture, event) in rows {
        gives(capture, &[&[event]]);
    }
}

/// Held in Stasis, denied by the core, hung up by us with cause 21: the record says why, in our words.
#[test]
fn denied_while_held() {
    let heard = heard(&parse(include_str!("captures/asterisk_stasis_auth_deny_delete_21.txt")));
    let calls = play(&heard, Play { balance: 0, ..FUNDED });
    let outcome = calls.into_values().next().expect("one call");
    assert_eq!(outcome.lines(), ["EVENT Failed CREDIT_EXHAUSTED cause 50 sip 402 cost 0.00"]);
    assert_eq!(outcome.commands, [Command::Refuse(ReleaseCause::CreditExhausted)]);
    assert!(outcome.finished);
}

/// The caller refers the callee to a third party and hangs up: it pays until that conversation ends.
#[test]
fn blind_transfer() {
    let capture = include_str!("captures/asterisk_blind_transfer_refer.txt");
    gives(capture, &[&["START", "STOP 5022 ms billed 6000 Normal cause 16 cost 0.06"]]);
    let calls = play(&heard(&parse(capture)), FUNDED);
    let stop = calls.values().next().and_then(|outcome| outcome.records.last()).expect("a STOP");
    assert_eq!(stop.metadata.tags, ["TRANSFERRED:asttest-1795307841.112".into()]);
}

/// Two calls of one caller are joined and the caller leaves: each session goes on until its own leg hangs up, though the
/// switch gives both the same Linkedid by then.
#[test]
fn attended_transfer() {
    gives(
        include_str!("captures/asterisk_attended_transfer_refer_replaces.txt"),
        &[
            &["START", "STOP 10128 ms billed 11000 Normal cause 16 cost 0.11"],
            &["START", "STOP 8048 ms billed 9000 Normal cause 16 cost 0.09"],
        ],
    );
}
