//! Recorded calls, as they were read and cut at odd places: the right records and the right money in the end.

use agent_freeswitch::FreeswitchConfig;

use crate::recording::{Recording, event_ms, frame};
use crate::stage::{Plan, Stage};

/// One recording and what must come of it. The dialled `park1` is read as a number.
struct Case {
    name: &'static str,
    balance: &'static str,
    after: &'static str,
    change: fn(&mut FreeswitchConfig),
    records: &'static [&'static str],
    said: &'static [&'static str],
}

const PLAIN: Case = Case {
    name: "",
    balance: "10.00",
    after: "10.00",
    change: |_| {},
    records: &[],
    said: &["uuid_setvar_multi", "uuid_transfer * 491701234567 XML tollkeeper_admitted"],
};

const CASES: &[Case] = &[
    Case {
        name: "20_park_auth_ok",
        after: "9.96",
        // The recorded agent gave 4 s; ours gave two minutes, and takes the switch's word for the end. billsec is 4.
        records: &["START", "STOP Normal BACKSTOP 3.519s cost 0.04"],
        ..PLAIN
    },
    Case {
        name: "22_park_refuse",
        balance: "0.00",
        after: "0.00",
        records: &["EVENT Failed 402 CREDIT_EXHAUSTED cost 0"],
        said: &["uuid_transfer * 402 XML tollkeeper_refused"],
        ..PLAIN
    },
    Case {
        name: "22_park_refuse",
        balance: "0.00",
        after: "0.00",
        change: |config| config.refuse_context = "".into(),
        records: &["EVENT Failed 402 CREDIT_EXHAUSTED cost 0"],
        said: &["uuid_kill * OUTGOING_CALL_BARRED"],
    },
    Case { name: "27_cancel_parked", records: &["EVENT Cancelled 487 cost 0"], ..PLAIN },
    // Not parked, and nothing in the dialplan says that anybody pays: voice mail, internal calls.
    Case { name: "10_json_bridged", said: &[], ..PLAIN },
    Case { name: "12_busy", said: &[], ..PLAIN },
    Case { name: "17_hold", said: &[], ..PLAIN },
    Case { name: "32_latin1_json", said: &[], ..PLAIN },
];

#[tokio::test(start_paused = true)]
async fn every_recording_gives_its_records_and_its_money_wherever_reads_end() {
    for case in CASES {
        for write_bytes in [usize::MAX, 1_009, 7] {
            play(case, write_bytes).await;
        }
    }
}

async fn play(case: &Case, write_bytes: usize) {
    let named = format!("{} in writes of {write_bytes}", case.name);
    let recording = Recording::load(case.name);
    let plan = Plan { begin_ms: recording.begin_ms(), balance: case.balance, change: case.change };
    let mut stage = Stage::set(plan).await;
    stage.switch.state().write_bytes = write_bytes;
    replay(&mut stage, &recording, case.said.len()).await;
    stage.eventually(&named, |stage| stage.records().len() >= case.records.len()).await;
    stage.expect_settled(&named, case.records, case.after).await;
    let said = stage.said();
    assert_eq!(said.len(), case.said.len(), "{named}: {said:?}");
    for (said, wanted) in said.iter().zip(case.said) {
        let mut parts = wanted.split('*');
        let (begin, end) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        assert!(said.starts_with(begin) && said.ends_with(end), "{named}: {said}");
    }
    stage.finish().await;
}

/// Each event at its time; after the call parked the agent says so many commands.
async fn replay(stage: &mut Stage, recording: &Recording, commands: usize) {
    (stage.switch.state().obeys, stage.switch.state().heartbeats) = (false, false);
    for (body, event) in &recording.events {
        stage.pass(u64::try_from(event_ms(event) - stage.now()).unwrap_or(0)).await;
        if event.contains_key("Unique-ID") {
            stage.switch.state().learn(event);
        }
        stage.switch.play(&frame(body));
        stage.settle().await;
        if event["Event-Name"] == "CHANNEL_PARK" {
            stage.until("the verdict", |stage| stage.said().len() >= commands).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_record_has_all_that_the_recording_tells() {
    let recording = Recording::load("20_park_auth_ok");
    let plan = Plan { begin_ms: recording.begin_ms(), balance: "10.00", change: |_| {} };
    let mut stage = Stage::set(plan).await;
    replay(&mut stage, &recording, 2).await;
    stage.until("STOP", |stage| stage.records().len() == 2).await;
    let stop = serde_json::to_value(&stage.full_records()[1]).expect("JSON");
    let channel = "d4ad5ece-0296-43f5-a86c-3e82035b89a3";
    let session = format!("fs1/e6bd3949-49ae-4ab0-b2b1-0029a7a995ce/1795307928766911-{channel}");
    let rows = [
        ("/callId", "1-17207@127.0.0.1"),
        ("/sessionId", &session),
        ("/legId", channel),
        ("/recordType", "STOP"),
        ("/tenant", "example"),
        ("/startTime", "2026-11-22T00:38:48.766Z"),
        ("/answerTime", "2026-11-22T00:38:49.847Z"),
        ("/endTime", "2026-11-22T00:38:53.366Z"),
        ("/calledParty/number", "+491701234567"),
        ("/calledParty/dialledNumber", "491701234567"),
        ("/callingParty/subscriberId", "1001"),
        ("/sipData/userAgent", "LabPhone/1.0 (sipp)"),
        ("/sipData/codec", "PCMU"),
        ("/sipData/ipAddress", "127.0.0.1"),
        ("/metadata/serverNode", "fs1"),
    ];
    for (path, expected) in rows {
        assert_eq!(stop.pointer(path).and_then(|value| value.as_str()), Some(expected), "{path}");
    }
    assert!(stop["qos"].is_null(), "no media came");
    stage.finish().await;
}

/// A dialplan that marks its calls but lets them through without us: charged from the switch's own answer, with the
/// quality of its media.
#[tokio::test(start_paused = true)]
async fn a_recorded_call_that_nobody_parked_is_adopted() {
    let recording = Recording::load("10_json_bridged").marked();
    let plan = Plan { begin_ms: recording.begin_ms(), balance: "10.00", change: |_| {} };
    let mut stage = Stage::set(plan).await;
    replay(&mut stage, &recording, 0).await;
    stage.expect_settled("adopted", &["START", "STOP Normal 4.040s cost 0.05"], "9.95").await;
    let stop = serde_json::to_value(&stage.full_records()[1]).expect("JSON");
    for (path, expected) in [("/qos/mos", "4.5"), ("/qos/jitter", "9.216"), ("/qos/packetLoss", "0.0")] {
        assert_eq!(stop.pointer(path).map(ToString::to_string).as_deref(), Some(expected), "{path}");
    }
    stage.finish().await;
}

/// A bad line: every eighth packet of the caller's is missing. The other leg's quality, which was perfect, is not ours.
#[tokio::test(start_paused = true)]
async fn a_record_tells_how_the_caller_was_heard() {
    let recording = Recording::of_legs("media");
    let plan = Plan { begin_ms: recording.begin_ms(), balance: "10.00", change: |_| {} };
    let mut stage = Stage::set(plan).await;
    replay(&mut stage, &recording, 0).await;
    stage.expect_settled("heard", &["START", "STOP Normal 13.280s cost 0.14"], "9.86").await;
    let records = stage.full_records();
    assert_eq!(records[0].qos, None, "nobody knows at the beginning");
    let stop = serde_json::to_value(&records[1]).expect("JSON");
    for (path, expected) in
        [("/qos/mos", "3.5"), ("/qos/jitter", "31.091"), ("/qos/packetLoss", "13.0"), ("/sipData/codec", "\"PCMA\"")]
    {
        assert_eq!(stop.pointer(path).map(ToString::to_string).as_deref(), Some(expected), "{path}");
    }
    assert_eq!(stop.pointer("/qos/latency"), None, "FreeSWITCH does not measure it");
    stage.finish().await;
}
