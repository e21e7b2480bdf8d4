//! Legs that come and go: transfers, forwarding, forking, conference, click-to-call, loopback. Recorded from a real
//! FreeSWITCH 1.11.2 (`tests/captures/README.md`), played at their own times against the real ledger and journal.

use std::collections::{BTreeMap, BTreeSet};

use cdr_model::CallRecord;

use crate::recording::{Recording, event_ms, frame};
use crate::stage::{Plan, Stage, money, summary};

/// One recording, and who pays what for it in the end.
struct Case {
    name: &'static str,
    /// Who calls whom and what becomes of it.
    story: &'static str,
    change: fn(&mut agent_freeswitch::FreeswitchConfig),
    /// Type, leg and the leg it comes from (in the order of their appearance), payer, number, and the summary; sorted.
    records: &'static [&'static str],
    /// `callId`s of all records.
    calls: usize,
    /// What is left of 10.00 on 1001 and on 1002.
    left: [&'static str; 2],
}

const CASES: &[Case] = &[
    Case {
        name: "blind_caller",
        story: "a holds b, then sends him to c by REFER",
        change: |_| {},
        records: &[
            "a 1001 +491701234567 START",
            "a 1001 +491701234567 STOP Normal 5.080s cost 0.06",
            "b<a 1001 +442071234567 START",
            "b<a 1001 +442071234567 STOP Normal 2.520s cost 0.65",
        ],
        calls: 1,
        left: ["9.29", "10"],
    },
    Case {
        name: "blind_callee",
        story: "b, a user of ours, sends a to c by REFER",
        change: |_| {},
        records: &[
            "a 1001 +491701231002 START",
            "a 1001 +491701231002 STOP Normal 4.260s cost 0.05",
            "a<b 1002 +442071234567 START",
            "a<b 1002 +442071234567 STOP Normal 2.660s cost 0.65",
        ],
        calls: 1,
        left: ["9.95", "9.35"],
    },
    Case {
        name: "operator",
        story: "uuid_transfer of a, who pays for the next conversation as for this one",
        change: |_| {},
        records: &[
            "a 1001 +442071234567 START",
            "a 1001 +442071234567 STOP Normal 2.020s cost 0.65",
            "a 1001 +491701234567 START",
            "a 1001 +491701234567 STOP Normal 1.320s cost 0.02",
        ],
        calls: 1,
        left: ["9.33", "10"],
    },
    Case {
        name: "operator_bleg",
        story: "uuid_transfer of b, whom a had called",
        change: |_| {},
        records: &[
            "a 1001 +491701234567 START",
            "a 1001 +491701234567 STOP Normal 3.760s cost 0.04",
            "b<a 1001 +442071234567 START",
            "b<a 1001 +442071234567 STOP Normal 1.739s cost 0.65",
        ],
        calls: 1,
        left: ["9.31", "10"],
    },
    Case {
        name: "blind_caller_late",
        story: "a sends b to c by REFER; that b waits is told before that a has left",
        change: |_| {},
        records: &[
            "a 1001 +491701234567 START",
            "a 1001 +491701234567 STOP Normal 6.740s cost 0.07",
            "b<a 1001 +442071234567 START",
            "b<a 1001 +442071234567 STOP Normal 2.420s cost 0.65",
        ],
        calls: 1,
        left: ["9.28", "10"],
    },
    Case {
        name: "attended_caller",
        story: "a holds b, calls d, and brings b and d together (REFER with Replaces)",
        change: |_| {},
        records: &[
            "a 1001 +491701234567 START",
            "a 1001 +491701234567 STOP Normal 5.980s cost 0.06",
            "c 1001 +442071234567 START",
            "c 1001 +442071234567 STOP Normal 3.520s cost 0.65",
        ],
        calls: 2,
        left: ["9.29", "10"],
    },
    Case {
        name: "attended_callee",
        story: "b holds a, calls d from c, and brings a and d together",
        change: |_| {},
        records: &[
            "a 1001 +491701234567 START",
            "a 1001 +491701234567 STOP Normal 5.900s cost 0.06",
            "c 1002 +442071234567 START",
            "c 1002 +442071234567 STOP Normal 3.520s cost 0.65",
        ],
        calls: 2,
        left: ["9.94", "9.35"],
    },
    Case {
        name: "attended_early_caller",
        story: "a holds b, calls d, and brings the two together while d still rings",
        change: |_| {},
        records: &[
            "a 1001 +491701234567 START",
            "a 1001 +491701234567 STOP Normal 8.624s cost 0.09",
            "c 1001 +442071234567 START",
            "c 1001 +442071234567 STOP Normal 3.564s cost 0.65",
        ],
        calls: 2,
        left: ["9.26", "10"],
    },
    Case {
        name: "attended_early_callee",
        story: "b holds a, calls d from c, and brings a and d together while d still rings",
        change: |_| {},
        records: &[
            "a 1001 +491701234567 START",
            "a 1001 +491701234567 STOP Normal 7.640s cost 0.08",
            "c 1002 +442071234567 START",
            "c 1002 +442071234567 STOP Normal 2.540s cost 0.65",
        ],
        calls: 2,
        left: ["9.92", "9.35"],
    },
    Case {
        name: "attended_early_cancel",
        story: "a holds b, calls d, and brings the two together, but b does not wait until d answers",
        change: |_| {},
        records: &[
            "a 1001 +491701234567 START",
            "a 1001 +491701234567 STOP Normal 3.582s cost 0.04",
            "c 1001 +442071234567 EVENT Failed cost 0",
        ],
        calls: 2,
        left: ["9.96", "10"],
    },
    Case {
        name: "att_xfer",
        story: "a talks to b, calls d over a loopback channel (att_xfer), and leaves the two together",
        change: |_| {},
        records: &[
            "a 1001 +491701234567 START",
            "a 1001 +491701234567 STOP Normal 7.740s cost 0.08",
            "c 1001 +442071234567 START",
            "c 1001 +442071234567 STOP Normal 5.240s cost 0.65",
        ],
        calls: 2,
        left: ["9.27", "10"],
    },
    Case {
        name: "att_xfer_back",
        story: "a talks to b, calls d (att_xfer), who hangs up, and talks to b again",
        change: |_| {},
        records: &[
            "a 1001 +491701234567 START",
            "a 1001 +491701234567 STOP Normal 7.240s cost 0.08",
            "c 1001 +442071234567 START",
            "c 1001 +442071234567 STOP Normal 2.720s cost 0.65",
        ],
        calls: 2,
        left: ["9.27", "10"],
    },
    Case {
        name: "att_xfer_callee",
        story: "b, whom a has called, calls d (att_xfer), and leaves a and d together",
        change: |_| {},
        records: &[
            "a 1001 +491701231002 START",
            "a 1001 +491701231002 STOP Normal 7.741s cost 0.08",
            "c 1002 +442071234567 START",
            "c 1002 +442071234567 STOP Normal 5.261s cost 0.65",
        ],
        calls: 2,
        left: ["9.92", "9.35"],
    },
    Case {
        name: "att_xfer_gateway",
        story: "a talks to b, calls d over a gateway (att_xfer), and leaves the two together",
        change: |_| {},
        records: &[
            "a 1001 +491701234567 START",
            "a 1001 +491701234567 STOP Normal 7.060s cost 0.08",
            "c<a 1001 +442071234567 START",
            "c<a 1001 +442071234567 STOP Normal 4.780s cost 0.65",
        ],
        calls: 1,
        left: ["9.27", "10"],
    },
    Case {
        name: "att_xfer_gateway_callee",
        story: "b, whom a has called, calls d over a gateway (att_xfer) and hangs up: FreeSWITCH ends a, and keeps d",
        change: |_| {},
        records: &[
            "a 1001 +491701231704 START",
            "a 1001 +491701231704 STOP Normal 4.000s cost 0.04",
            "c<b 1002 +442071234567 START",
            "c<b 1002 +442071234567 STOP Normal 4.220s cost 0.65",
        ],
        calls: 1,
        left: ["9.96", "9.35"],
    },
    Case {
        name: "att_xfer_early",
        story: "a talks to b, calls d (att_xfer), and hangs up before d answers: FreeSWITCH ends them all",
        change: |_| {},
        records: &[
            "a 1001 +491701234567 START",
            "a 1001 +491701234567 STOP Normal 2.800s cost 0.03",
            "c 1001 +442071234567 EVENT Failed cost 0",
        ],
        calls: 2,
        left: ["9.97", "10"],
    },
    Case {
        name: "hold",
        story: "a holds b, then b holds a",
        change: |_| {},
        records: &["a 1001 +491701234567 START", "a 1001 +491701234567 STOP Normal 5.520s cost 0.06"],
        calls: 1,
        left: ["9.94", "10"],
    },
    Case {
        name: "loopback_unpaid",
        story: "a free call goes over a loopback channel, whose far end waits for us",
        change: |_| {},
        records: &["a nobody +491701234567 EVENT Failed 403 UNKNOWN_PAYER cost 0"],
        calls: 1,
        left: ["10", "10"],
    },
    Case {
        name: "loopback_paid",
        story: "a call that is paid goes over a loopback channel, which gives way",
        change: |_| {},
        records: &["a 1001 +491701234444 START", "a 1001 +491701234444 STOP Normal 6.275s cost 0.07"],
        calls: 1,
        left: ["9.93", "10"],
    },
    Case {
        name: "click",
        story: "the switch calls a for account 1001, and then b",
        change: |_| {},
        records: &["a 1001 +442071234567 START", "a 1001 +442071234567 STOP Normal 3.245s cost 0.65"],
        calls: 1,
        left: ["9.35", "10"],
    },
    Case {
        name: "redirected",
        story: "b, of whom nothing is known, answers 302 with another number",
        change: |_| {},
        records: &[
            "a 1001 +491701234302 START",
            "a 1001 +491701234302 STOP Normal 2.060s cost 0.03",
            "a<b nobody +442071234567 EVENT Failed 403 UNKNOWN_PAYER cost 0",
        ],
        calls: 1,
        left: ["9.97", "10"],
    },
    Case {
        name: "fork",
        story: "three legs ring, one is busy, one answers",
        change: |_| {},
        records: &["a 1001 +491701232222 START", "a 1001 +491701232222 STOP Normal 2.260s cost 0.03"],
        calls: 1,
        left: ["9.97", "10"],
    },
    Case {
        name: "serial",
        story: "the first is busy, the second answers",
        change: |_| {},
        records: &["a 1001 +491701233333 START", "a 1001 +491701233333 STOP Normal 2.240s cost 0.03"],
        calls: 1,
        left: ["9.97", "10"],
    },
    Case {
        name: "to_conference",
        story: "the operator moves a and b to a room, where b stays after a has left",
        change: |_| {},
        records: &["a 1001 +491701234567 START", "a 1001 +491701234567 STOP Normal 4.860s cost 0.05"],
        calls: 1,
        left: ["9.95", "10"],
    },
    Case {
        name: "conference",
        story: "two callers meet in a room",
        change: |_| {},
        records: &[
            "a 1001 +491701235555 START",
            "a 1001 +491701235555 STOP Normal 2.540s cost 0.03",
            "b 1002 +491701235555 START",
            "b 1002 +491701235555 STOP Normal 3.240s cost 0.04",
        ],
        calls: 2,
        left: ["9.97", "9.96"],
    },
];

#[tokio::test(start_paused = true)]
async fn every_leg_is_charged_once_and_to_the_right_account() {
    let mut wrong = Vec::new();
    for case in CASES {
        wrong.extend(play(case).await);
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// What is not as it should be.
async fn play(case: &Case) -> Option<String> {
    let recording = Recording::of_legs(case.name);
    let plan = Plan { begin_ms: recording.begin_ms(), balance: "10.00", change: case.change };
    let mut stage = Stage::set(plan).await;
    stage.core.account("1002", "10.00");
    let names = replay(&mut stage, &recording).await;
    let what = format!("{}: {}", case.name, case.story);
    stage.eventually(&what, |stage| stage.records().len() >= case.records.len()).await;
    stage.pass(3_000).await;
    let mut records: Vec<String> = stage.full_records().iter().map(|record| line(record, &names)).collect();
    records.sort_unstable();
    let balances = ["1001", "1002"].map(|account| stage.balance(account));
    let held = ["1001", "1002"].iter().any(|account| !stage.core.view(account).held.is_zero());
    let calls: BTreeSet<_> = stage.full_records().into_iter().map(|record| record.call_id).collect();
    let good = records == case.records && balances == case.left.map(money) && calls.len() == case.calls;
    let good = good && !held;
    let said = stage.said();
    let found = format!("{what}: {records:#?} {balances:?} held {held}, calls {calls:?}; said {said:#?}");
    stage.finish().await;
    (!good).then_some(found)
}

/// Each event at its time; a leg that waits goes on when the agent has said so, as it did when this was recorded.
async fn replay(stage: &mut Stage, recording: &Recording) -> BTreeMap<String, char> {
    (stage.switch.state().obeys, stage.switch.state().heartbeats) = (false, false);
    let mut names = BTreeMap::new();
    let mut letters = 'a'..='z';
    let mut parked: BTreeMap<String, usize> = BTreeMap::new();
    for (body, event) in &recording.events {
        stage.pass(u64::try_from(event_ms(event) - stage.now()).unwrap_or(0)).await;
        let Some(channel) = event.get("Unique-ID").and_then(|id| id.as_str()) else { continue };
        if let Some(times) = parked.get(channel).copied() {
            verdict(stage, channel, times).await;
        }
        names.entry(channel.to_owned()).or_insert_with(|| letters.next().expect("few legs"));
        stage.switch.state().learn(event);
        stage.switch.play(&frame(body));
        stage.settle().await;
        // Legs that the switch keeps by itself wait for nobody.
        if event["Event-Name"] == "CHANNEL_PARK" && event["Channel-State"] != "CS_PARK" {
            *parked.entry(channel.to_owned()).or_default() += 1;
        }
    }
    names
}

/// Before the channel does anything more, it was told where to go.
async fn verdict(stage: &mut Stage, channel: &str, times: usize) {
    let verdicts = |stage: &Stage| {
        let of_channel = [format!("uuid_transfer {channel} "), format!("uuid_kill {channel} ")];
        let said = stage.said();
        said.iter().filter(|said| of_channel.iter().any(|begin| said.starts_with(begin))).count()
    };
    stage.until("the verdict", |stage| verdicts(stage) >= times).await;
    for _ in 0..8 {
        stage.settle().await;
    }
}

fn line(record: &CallRecord, names: &BTreeMap<String, char>) -> String {
    let letter = |leg: &str| names.get(leg).map_or("?".to_owned(), ToString::to_string);
    let parent = record.parent_leg_id.as_ref().map(|leg| format!("<{}", letter(leg.as_str()))).unwrap_or_default();
    let payer = record.calling_party.subscriber_id.as_ref().map_or("nobody", |payer| payer.expose());
    let called = record.called_party.number.as_ref().map_or("-", |number| number.expose());
    format!("{}{parent} {payer} {called} {}", letter(record.leg_id.as_str()), summary(record))
}
