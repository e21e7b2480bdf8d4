//! Every recording, as it was read and cut at odd places: the right records and the right money in the end.

use agent_kamailio::KamailioConfig;
use protocol_codecs::evapi::{AuthVerdict, ToKamailio};
use types::ConfigDuration;

use crate::double::Split;
use crate::recording::{Json, Recording};
use crate::stage::{Plan, Stage, money};

/// One recording and what must come of it.
struct Case {
    name: &'static str,
    before: &'static str,
    after: &'static str,
    change: fn(&mut KamailioConfig),
    skipped: fn(&Json) -> bool,
    records: &'static [&'static str],
}

const PLAIN: Case =
    Case { name: "", before: "10.00", after: "10.00", change: |_| {}, skipped: |_| false, records: &[] };

/// 0.01 per started second; the talk is `end_time` minus `answer_time` of the recording, in milliseconds.
const CASES: &[Case] = &[
    Case { name: "answered", after: "9.98", records: &["START", "STOP Normal 1.505s cost 0.02"], ..PLAIN },
    Case { name: "callee_hangs_up", after: "9.98", records: &["START", "STOP Normal 1.009s cost 0.02"], ..PLAIN },
    Case { name: "trunk", records: &["START", "STOP Normal 0.508s cost 0.01"], ..PLAIN },
    Case { name: "busy", records: &["EVENT Busy 486 cost 0"], ..PLAIN },
    Case { name: "declined", records: &["EVENT Failed 603 cost 0"], ..PLAIN },
    Case { name: "cancelled", records: &["EVENT Cancelled 487 cost 0"], ..PLAIN },
    Case { name: "no_answer", records: &["EVENT NoAnswer 408 cost 0"], ..PLAIN },
    Case {
        name: "rejected",
        before: "0.00",
        after: "0.00",
        records: &["EVENT Failed 402 CREDIT_EXHAUSTED cost 0"],
        ..PLAIN
    },
    Case { name: "rejected_484", records: &["EVENT Failed 484 INVALID_NUMBER cost 0"], ..PLAIN },
    Case {
        name: "max_duration_cut",
        after: "9.96",
        // The recorded agent gave 3 s; ours gave two minutes, and takes the switch's word for the end.
        records: &["START", "STOP Normal BACKSTOP 3.386s cost 0.04"],
        ..PLAIN
    },
    Case { name: "peer_lost", after: "9.50", records: &["START", "STOP Normal 49.415s cost 0.5"], ..PLAIN },
    Case {
        name: "agent_disconnect",
        before: "0.01",
        after: "0.00",
        skipped: |said| matches!(said.get("cause").and_then(serde_json::Value::as_str), Some("X" | "AGAIN")),
        records: &["START", "STOP Normal CREDIT_EXHAUSTED 1.006s overrun 6ms cost 0.01"],
        ..PLAIN
    },
    Case {
        name: "set_timeout",
        after: "9.93",
        // A grant of 3 s, and 3 s more when 1 s is left: the recorded cap of 5 s again.
        change: |config| {
            (config.calls.slice, config.calls.margin) = (ConfigDuration::from_s(3), ConfigDuration::from_s(1));
        },
        skipped: |said| said.get("h_id").and_then(serde_json::Value::as_u64) == Some(11630),
        records: &["START", "STOP Normal BACKSTOP 6.393s cost 0.07"],
        ..PLAIN
    },
    Case {
        name: "never_refuse",
        skipped: |said| matches!(said["event"].as_str(), Some("DISCONNECT" | "SET_TIMEOUT")),
        records: &["START", "STOP Normal 0.808s", "START", "STOP Normal 0.304s", "START", "STOP Normal 2.508s"],
        ..PLAIN
    },
    Case {
        name: "reconnect_call_survives",
        after: "9.95",
        records: &["START", "STOP Normal 4.008s cost 0.05"],
        ..PLAIN
    },
    Case {
        name: "reconnect_call_ended_while_away",
        after: "9.97",
        records: &["START", "STOP Normal 2.509s cost 0.03"],
        ..PLAIN
    },
];

#[tokio::test(start_paused = true)]
async fn every_recording_gives_its_records_and_its_money_wherever_reads_end() {
    for case in CASES {
        for split in [Split::Recorded, Split::Every(1), Split::Every(7), Split::Every(333)] {
            play(case, split).await;
        }
    }
}

async fn play(case: &Case, split: Split) {
    let named = format!("{} {split:?}", case.name);
    let recording = Recording::load(case.name);
    let plan = Plan { balance: case.before, change: case.change, ..Plan::of(&recording) };
    let mut stage = Stage::set(plan).await;
    stage.kamailio.state().split = split;
    stage.play(&recording, case.skipped).await;
    stage.expect_settled(&named, case.records, case.after).await;
    for (_, _, verdict) in stage.verdicts() {
        if let AuthVerdict::Allow { cap_s } = verdict {
            let first = stage.core.answers().first().and_then(|answer| answer.units.first()).map(|unit| unit.granted);
            let granted_ms = first.expect("a grant").and_then(|granted| granted.time_ms).expect("of time");
            assert!(u64::from(cap_s) >= granted_ms.div_ceil(1000) + 2, "{named}: cap {cap_s} s for {granted_ms} ms");
        }
    }
    if case.name == "never_refuse" {
        assert_eq!((stage.core.requests(), stage.disconnects()), (vec![], vec![]), "{named}");
        assert!(stage.verdicts().is_empty() && stage.timeouts().is_empty(), "{named}");
    }
    if case.name == "trunk" {
        assert_eq!(stage.balance("trunk-a"), money("9.99"), "{named}");
    }
    stage.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_record_has_all_that_the_recording_tells() {
    let recording = Recording::load("answered");
    let mut stage = Stage::set(Plan::of(&recording)).await;
    stage.play(&recording, |_| false).await;
    let records = stage.full_records();
    let stop = serde_json::to_value(&records[1]).expect("JSON");
    let expected = serde_json::json!({
        "callId": "1-4106@127.0.0.1",
        "sessionId": "k1/1795315186.457556-1833346044/5536-24219",
        "legId": "4106uac1",
        "recordType": "STOP",
        "tenant": "example",
        "startTime": "2026-11-22T02:39:47.021Z",
        "answerTime": "2026-11-22T02:39:47.081Z",
        "endTime": "2026-11-22T02:39:48.586Z",
        "cause": 16,
        "terminationReason": "NORMAL",
        "service": "VOICE",
    });
    for (key, value) in expected.as_object().expect("an object") {
        assert_eq!(&stop[key], value, "{key}");
    }
    assert_eq!(stop["calledParty"]["number"], "+491701234567");
    assert_eq!(stop["calledParty"]["dialledNumber"], "491701234567");
    assert_eq!(stop["callingParty"]["subscriberId"], "1001");
    assert_eq!(stop["sipData"]["callIdHeader"], "1-4106@127.0.0.1");
    assert_eq!(stop["sipData"]["userAgent"], "sipp-uac");
    assert_eq!(stop["sipData"]["ipAddress"], "127.0.0.1");
    assert_eq!(stop["qos"]["jitter"].to_string(), "1.0");
    assert_eq!(stop["metadata"]["serverNode"], "k1");
    stage.finish().await;
}

/// The agent is silent in these, so the core is: whatever it held is given back when it can be asked again, and no end
/// is acknowledged before.
#[tokio::test(start_paused = true)]
async fn a_call_over_before_the_core_answered_is_not_acknowledged_before_it_is_settled() {
    let cases = [
        ("auth_timeout", "EVENT Failed 503 CHARGING_UNAVAILABLE cost 0"),
        ("cancelled_while_suspended", "EVENT Failed cost 0"),
    ];
    for (name, event) in cases {
        let recording = Recording::load(name);
        let change: fn(&mut KamailioConfig) = |config| config.calls.authorise_timeout = ConfigDuration::from_s(30);
        let mut stage = Stage::set(Plan { change, ..Plan::of(&recording) }).await;
        stage.connected().await;
        stage.core.set_reachable(false);
        let not_ours = |said: &Json| matches!(said["event"].as_str(), Some("AUTH_REPLY" | "CALL_END_ACK"));
        stage.play_on(&recording, not_ours).await;
        stage.pass(3_000).await;
        assert_eq!((stage.verdicts(), stage.kamailio.state().acks.len()), (vec![], 0), "{name}");
        stage.core.set_reachable(true);
        stage.eventually("the acknowledgement", |stage| stage.kamailio.state().kept.is_empty()).await;
        stage.expect_settled(name, &[event], "10.00").await;
        assert!(stage.verdicts().is_empty(), "{name}: nothing is said to an INVITE that is gone");
        stage.finish().await;
    }
}

#[tokio::test(start_paused = true)]
async fn refusals_of_hello_and_errors_leave_the_agent_trying() {
    for split in [Split::Recorded, Split::Every(5)] {
        let recording = Recording::load("protocol_errors");
        let mut stage = Stage::set(Plan::of(&recording)).await;
        stage.kamailio.state().split = split;
        stage.play(&recording, |_| true).await;
        assert_eq!(stage.kamailio.state().connections, 4, "three refusals, then accepted");
        let pings = stage.kamailio.state().pings;
        stage.pass(6_000).await;
        assert!(stage.kamailio.state().pings >= pings + 3, "the connection stands");
        assert_eq!(stage.kamailio.state().connections, 4);
        let resends = stage.kamailio.heard(|said| matches!(said, ToKamailio::Resend {}).then_some(())).len();
        assert!(resends > 1, "a DISCONNECT without effect asks for the ends again");
        stage.expect_settled("protocol_errors", &[], "10.00").await;
        stage.finish().await;
    }
}
