//! The worked examples of the money, 1 to 10, over the event socket, to the last unit. Slice 30 s, margin 5 s.

use types::ConfigDuration;
use types::charging::Operation::{self, Initial, Termination, Update};
use types::charging::ResultCode;

use crate::stage::{Stage, money};
use crate::synthetic::{BRITAIN, Call, stage};

async fn short_slices(balance: &'static str) -> Stage {
    stage(balance, |config| {
        (config.calls.slice, config.calls.margin) = (ConfigDuration::from_s(30), ConfigDuration::from_s(5));
    })
    .await
}

#[track_caller]
fn expect(stage: &Stage, when: &str, balance: &str, held: &str) {
    let view = stage.core.view("1001");
    assert_eq!((view.balance, view.held), (money(balance), money(held)), "{when}");
}

/// What was said to the core of this call: operation, used in this request, granted by its answer, in ms.
#[track_caller]
fn expect_dialogue(stage: &Stage, channel: &str, expected: &[(Operation, u64, u64)]) {
    let answers = stage.core.answers();
    let rows = stage.core.requests().into_iter().zip(answers);
    let of_call = rows.filter(|(request, _)| request.session_id.as_str().ends_with(&format!("-{channel}")));
    let rows: Vec<_> = of_call
        .map(|(request, answer)| {
            let used = request.units.iter().flat_map(|unit| &unit.used).filter_map(|used| used.units.time_ms).sum();
            let granted = answer.units.first().and_then(|unit| unit.granted).and_then(|units| units.time_ms);
            (request.operation, used, granted.unwrap_or(0))
        })
        .collect();
    assert_eq!(rows, expected, "{channel}");
}

/// When backstops were armed to fall, on which leg, and in which of the two groups.
fn backstops(stage: &Stage) -> Vec<String> {
    let armed = stage.said_of("sched_api").into_iter().map(|said| {
        let words: Vec<&str> = said.split(' ').collect();
        let next = if words[2].starts_with("tollkeeper-next/") { " next" } else { "" };
        format!("{} {}{next}", words[1], words[4])
    });
    armed.collect()
}

/// Proofs of life come at whole tens of seconds from the begin: the answer falls on one.
async fn answers_at_a_proof(stage: &mut Stage, call: &mut Call) {
    let wait = 10_000 - stage.now().rem_euclid(10_000);
    stage.pass(u64::try_from(wait).expect("positive")).await;
    call.answers(stage).await;
}

#[tokio::test(start_paused = true)]
async fn example_1_a_call_that_ends_by_itself() {
    let (mut stage, mut call) = (short_slices("1.00").await, Call::new("a"));
    call.connects(&mut stage).await;
    expect(&stage, "offer", "1.00", "0.30");
    for (at_ms, balance, held) in [(25_000, "0.75", "0.30"), (50_000, "0.50", "0.30")] {
        call.talks_until(&mut stage, at_ms).await;
        expect(&stage, "margin", balance, held);
    }
    call.talks_until(&mut stage, 70_000).await;
    call.hangs_up(&mut stage).await;
    stage.expect_settled("example 1", &["START", "STOP Normal 70.000s cost 0.7"], "0.30").await;
    assert_eq!(stage.full_records()[1].billable_seconds.map(|billable| billable.ms()), Some(70_000));
    let rows = [(Initial, 0, 30_000), (Update, 25_000, 30_000), (Update, 25_000, 30_000), (Termination, 20_000, 0)];
    expect_dialogue(&stage, "a", &rows);
    assert_eq!(
        backstops(&stage),
        ["+31 a next", "+31 a", "+31 a next", "+31 a"],
        "each is armed before the former goes"
    );
    stage.finish().await;
}

#[tokio::test(start_paused = true)]
async fn example_2_credit_ends() {
    let rows = [
        (80, "STOP Normal CREDIT_EXHAUSTED 45.080s overrun 80ms cost 0.45", "0"),
        (3_000, "STOP Normal CREDIT_EXHAUSTED 48.000s overrun 3000ms cost 0.48", "-0.03"),
    ];
    for (obeys_after_ms, stop, balance) in rows {
        let mut stage = stage("0.45", |config| {
            (config.calls.slice, config.calls.margin) = (ConfigDuration::from_s(30), ConfigDuration::from_s(5));
            config.low_balance_file = "/sounds/low.wav".into();
        })
        .await;
        let mut call = Call::new("a");
        stage.switch.state().obeys = false;
        call.connects(&mut stage).await;
        expect(&stage, "offer", "0.45", "0.30");
        assert_eq!(stage.said_of("uuid_broadcast").len(), 0);
        call.talks_until(&mut stage, 25_000).await;
        expect(&stage, "25", "0.20", "0.20");
        assert_eq!(stage.said_of("uuid_broadcast").len(), 1, "the warning comes with the last grant");
        call.talks_until(&mut stage, 40_000).await;
        expect(&stage, "40", "0.05", "0.05");
        call.talks_until(&mut stage, 44_990).await;
        assert_eq!(stage.said_of("uuid_kill"), Vec::<String>::new(), "never before the granted time is over");
        call.talks_until(&mut stage, 45_000).await;
        assert_eq!(stage.said_of("uuid_kill"), ["uuid_kill a ALLOTTED_TIMEOUT"]);
        let backstop = stage.switch.state().scheduled.clone();
        let due = backstop.first().expect("armed").due - call.answered_ms.expect("answered");
        assert!(backstop.len() == 1 && (45_000..47_200).contains(&due), "one backstop, behind our cut: {due}");
        stage.switch.state().scheduled.clear();
        call.talks_until(&mut stage, 45_000 + obeys_after_ms).await;
        call.ends(&mut stage, &[("Hangup-Cause", "ALLOTTED_TIMEOUT")]).await;
        stage.expect_settled("example 2", &["START", stop], balance).await;
        assert_eq!(stage.said_of("uuid_broadcast").len(), 1, "once");
        let last_ms = 5_000 + u64::try_from(obeys_after_ms).expect("positive");
        let rows = [(Initial, 0, 30_000), (Update, 25_000, 20_000), (Update, 15_000, 5_000), (Termination, last_ms, 0)];
        expect_dialogue(&stage, "a", &rows);
        stage.finish().await;
    }
}

#[tokio::test(start_paused = true)]
async fn example_3_coarse_increments_and_a_connect_fee() {
    let (mut stage, mut call) = (short_slices("1.00").await, Call::new("a"));
    (call.dialled, stage.switch.state().obeys) = (BRITAIN, false);
    call.connects(&mut stage).await;
    expect(&stage, "offer", "1.00", "0.65");
    call.talks_until(&mut stage, 55_000).await;
    expect(&stage, "55", "0.35", "0");
    call.talks_until(&mut stage, 60_000).await;
    assert_eq!(stage.said_of("uuid_kill").len(), 1);
    call.talks_until(&mut stage, 60_040).await;
    call.ends(&mut stage, &[("Hangup-Cause", "ALLOTTED_TIMEOUT")]).await;
    let stop = "STOP Normal CREDIT_EXHAUSTED 60.040s overrun 40ms cost 0.65";
    stage.expect_settled("example 3", &["START", stop], "0.35").await;
    assert_eq!(stage.full_records()[1].billable_seconds.map(|billable| billable.ms()), Some(60_000));
    expect_dialogue(&stage, "a", &[(Initial, 0, 60_000), (Update, 55_000, 5_000), (Termination, 5_040, 0)]);
    stage.finish().await;
}

#[tokio::test(start_paused = true)]
async fn example_4_not_answered() {
    for (dialled, held) in [(crate::synthetic::GERMANY, "0.30"), (BRITAIN, "0.65")] {
        let (mut stage, mut call) = (short_slices("1.00").await, Call::new("a"));
        call.dialled = dialled;
        call.parks(&mut stage).await;
        call.is_routed(&mut stage).await;
        expect(&stage, "offer", "1.00", held);
        call.says(&mut stage, "CHANNEL_PROGRESS", &[]).await;
        stage.pass(20_000).await;
        let cancel = [
            ("Hangup-Cause", "ORIGINATOR_CANCEL"),
            ("variable_sip_hangup_disposition", "recv_cancel"),
            ("variable_sip_invite_failure_status", "487"),
        ];
        call.ends(&mut stage, &cancel).await;
        stage.expect_settled("example 4", &["EVENT Cancelled 487 cost 0"], "1.00").await;
        stage.finish().await;
    }
}

#[tokio::test(start_paused = true)]
async fn example_5_two_calls_on_one_account() {
    let (mut stage, mut one, mut two) = (short_slices("0.45").await, Call::new("a"), Call::new("b"));
    for (call, held) in [(&mut one, "0.30"), (&mut two, "0.45")] {
        call.parks(&mut stage).await;
        call.is_routed(&mut stage).await;
        expect(&stage, "offer", "0.45", held);
    }
    one.answers(&mut stage).await;
    two.answers(&mut stage).await;
    one.talks_until(&mut stage, 10_000).await;
    expect(&stage, "10", "0.35", "0.35");
    one.talks_until(&mut stage, 12_000).await;
    one.hangs_up(&mut stage).await;
    stage.until("the first STOP", |stage| stage.records().len() == 3).await;
    expect(&stage, "12", "0.21", "0.21");
    two.talks_until(&mut stage, 28_000).await;
    expect(&stage, "28", "0.05", "0.05");
    stage.switch.state().obeys = false;
    two.talks_until(&mut stage, 33_000).await;
    assert_eq!(stage.said_of("uuid_kill"), ["uuid_kill b ALLOTTED_TIMEOUT"]);
    two.talks_until(&mut stage, 33_030).await;
    two.ends(&mut stage, &[("Hangup-Cause", "ALLOTTED_TIMEOUT")]).await;
    let second = "STOP Normal CREDIT_EXHAUSTED 33.030s overrun 30ms cost 0.33";
    stage.expect_settled("example 5", &["START", "START", "STOP Normal 12.000s cost 0.12", second], "0").await;
    expect_dialogue(&stage, "a", &[(Initial, 0, 30_000), (Termination, 12_000, 0)]);
    let rows = [
        (Initial, 0, 15_000),
        (Update, 10_000, 5_000),
        (Update, 2_000, 21_000),
        (Update, 16_000, 5_000),
        (Termination, 5_030, 0),
    ];
    expect_dialogue(&stage, "b", &rows);
    stage.finish().await;
}

#[tokio::test(start_paused = true)]
async fn example_6_a_top_up_saves_the_call() {
    let (mut stage, mut call) = (short_slices("0.45").await, Call::new("a"));
    call.connects(&mut stage).await;
    call.talks_until(&mut stage, 43_000).await;
    stage.core.top_up("1001", "1.00");
    stage.until("the new grant", |stage| stage.core.view("1001").held == money("0.30")).await;
    expect(&stage, "43", "1.02", "0.30");
    call.talks_until(&mut stage, 50_000).await;
    assert_eq!(stage.said_of("uuid_kill"), Vec::<String>::new());
    call.hangs_up(&mut stage).await;
    stage.expect_settled("example 6", &["START", "STOP Normal 50.000s cost 0.5"], "0.95").await;
    let rows = [
        (Initial, 0, 30_000),
        (Update, 25_000, 20_000),
        (Update, 15_000, 5_000),
        (Update, 3_000, 30_000),
        (Termination, 7_000, 0),
    ];
    expect_dialogue(&stage, "a", &rows);
    stage.finish().await;
}

#[tokio::test(start_paused = true)]
async fn example_7_lost_answers_and_copies() {
    let (mut stage, mut call) = (short_slices("1.00").await, Call::new("a"));
    stage.core.lose_answers(1);
    call.parks(&mut stage).await;
    stage.eventually("the transfer", |stage| !stage.said_of("uuid_transfer a").is_empty()).await;
    expect(&stage, "INITIAL twice", "1.00", "0.30");
    let copies = stage.core.answers();
    assert_eq!((copies.len(), &copies[0]), (2, &copies[1]), "the same answer for the same key");
    call.answers(&mut stage).await;
    call.talks_until(&mut stage, 51_000).await;
    let (mut update, stored) = (stage.core.requests()[2].clone(), stage.core.answers()[2].clone());
    assert_eq!((stage.core.requests().len(), update.request_number), (4, 1), "the copy comes after request 2");
    update.retransmission = true;
    assert_eq!(stage.core.charge_now(update.clone()), stored);
    expect(&stage, "the copy", "0.50", "0.30");
    update.units[0].used[0].units.time_ms = Some(26_000);
    assert_ne!(stage.core.charge_now(update).result_code, ResultCode::SUCCESS, "other usage under the same key");
    expect(&stage, "the forged copy", "0.50", "0.30");
    call.talks_until(&mut stage, 70_000).await;
    call.hangs_up(&mut stage).await;
    stage.expect_settled("example 7", &["START", "STOP Normal 70.000s cost 0.7"], "0.30").await;
    stage.finish().await;
}

#[tokio::test(start_paused = true)]
async fn example_8_agent_killed_comes_back() {
    let (mut stage, mut call) = (short_slices("1.00").await, Call::new("a"));
    call.connects(&mut stage).await;
    call.talks_until(&mut stage, 40_000).await;
    stage.agent_dies().await;
    call.talks_until(&mut stage, 48_000).await;
    stage.agent_starts();
    stage.connected(2).await;
    call.talks_until(&mut stage, 50_000).await;
    expect(&stage, "50, as planned", "0.50", "0.30");
    call.talks_until(&mut stage, 70_000).await;
    call.hangs_up(&mut stage).await;
    stage.expect_settled("example 8", &["START", "STOP Normal 70.000s cost 0.7"], "0.30").await;
    let rows = [(Initial, 0, 30_000), (Update, 25_000, 30_000), (Update, 25_000, 30_000), (Termination, 20_000, 0)];
    expect_dialogue(&stage, "a", &rows);
    stage.finish().await;
}

#[tokio::test(start_paused = true)]
async fn example_9_agent_killed_comes_back_late() {
    let (mut stage, mut call) = (short_slices("1.00").await, Call::new("a"));
    call.parks(&mut stage).await;
    call.is_routed(&mut stage).await;
    answers_at_a_proof(&mut stage, &mut call).await;
    call.talks_until(&mut stage, 40_000).await;
    stage.agent_dies().await;
    call.talks_until(&mut stage, 55_000).await;
    assert_eq!(stage.switch.state().channels.len(), 1, "the backstop is not early");
    call.talks_until(&mut stage, 57_200).await;
    assert!(stage.switch.state().channels.is_empty(), "no free call without an agent");
    call.talks_until(&mut stage, 600_000).await;
    stage.agent_starts();
    stage.eventually("STOP", |stage| stage.records().len() == 2).await;
    stage.expect_settled("example 9", &["START", "STOP Normal 40.000s cost 0.4 reconstructed"], "0.60").await;
    expect_dialogue(&stage, "a", &[(Initial, 0, 30_000), (Update, 25_000, 30_000), (Termination, 15_000, 0)]);
    let (copy, stored) = (stage.core.requests()[2].clone(), stage.core.answers()[2].clone());
    assert_eq!(stage.core.charge_now(copy), stored, "a second copy changes nothing");
    expect(&stage, "the copy", "0.60", "0");
    stage.finish().await;
}

#[tokio::test(start_paused = true)]
async fn example_10_switch_dies() {
    let (mut stage, mut call) = (short_slices("1.00").await, Call::new("a"));
    call.parks(&mut stage).await;
    call.is_routed(&mut stage).await;
    answers_at_a_proof(&mut stage, &mut call).await;
    call.talks_until(&mut stage, 33_700).await;
    stage.switch.restarts("run-2");
    stage.eventually("STOP", |stage| stage.records().len() == 2).await;
    stage.expect_settled("example 10", &["START", "STOP Normal 30.000s cost 0.3 reconstructed"], "0.70").await;
    expect_dialogue(&stage, "a", &[(Initial, 0, 30_000), (Update, 25_000, 30_000), (Termination, 5_000, 0)]);
    stage.finish().await;
}
