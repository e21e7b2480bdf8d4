//! The caller hears that the credit is used up: the conversation ends at the grant, what follows is free and limited.

use agent_freeswitch::FreeswitchConfig;
use types::ConfigDuration;

use crate::stage::{Stage, money};
use crate::synthetic::{Call, stage};

type Change = fn(&mut FreeswitchConfig);

const FILE: Change = |config| {
    slices(config);
    config.empty_balance_file = "/sounds/empty.wav".into();
};

const CONTEXT: Change = |config| {
    slices(config);
    config.empty_balance_context = "top_up".into();
    config.empty_balance_limit = ConfigDuration::from_s(40);
};

fn slices(config: &mut FreeswitchConfig) {
    (config.calls.slice, config.calls.margin) = (ConfigDuration::from_s(30), ConfigDuration::from_s(5));
}

const MARK: &str = "uuid_setvar_multi a tollkeeper_mode=none;tollkeeper_empty_balance=true";

/// The way out, with its guard.
fn guarded(call: &Call, transfer: &str) -> Vec<String> {
    vec![kill_in("leaving", 3, call), MARK.to_owned(), transfer.to_owned()]
}

/// A task of the switch beside those of the session.
fn kill_in(group: &str, seconds: u32, call: &Call) -> String {
    format!("sched_api +{seconds} tollkeeper-{group}/{} uuid_kill a ALLOTTED_TIMEOUT", call.session("run-1"))
}

/// An answered call of account 1001 with 0.20, bridged to channel `b`, at the end of its credit. What was said so far
/// is forgotten.
async fn out_of_credit(change: Change) -> (Stage, Call) {
    let (mut stage, mut call) = (stage("0.20", change).await, Call::new("a"));
    call.connects(&mut stage).await;
    call.says(&mut stage, "CHANNEL_BRIDGE", &[("Other-Leg-Unique-ID", "b")]).await;
    call.talks_until(&mut stage, 19_990).await;
    stage.switch.state().said.clear();
    (stage, call)
}

/// What the switch tells of the end of channel `a`.
async fn ends(stage: &mut Stage, cause: &str) {
    stage.switch.state().end("a", cause);
    stage.settle().await;
}

#[tokio::test(start_paused = true)]
async fn the_conversation_ends_at_the_grant_and_the_rest_is_free() {
    let rows: [(Change, &str, u32); 2] = [
        (FILE, "uuid_transfer a playback:/sounds/empty.wav,hangup:ALLOTTED_TIMEOUT inline inline", 60),
        (CONTEXT, "uuid_transfer a 491701234567 XML top_up", 40),
    ];
    for (change, transfer, limit) in rows {
        let (mut stage, call) = out_of_credit(change).await;
        call.talks_until(&mut stage, 20_000).await;
        stage.until("the way out", |stage| stage.said().len() == 3).await;
        assert_eq!(stage.said(), guarded(&call, transfer));
        assert_eq!(stage.records(), ["START"], "metered until it is proven out");
        call.talks_until(&mut stage, 20_100).await;
        assert_eq!(stage.said()[3..], [&*kill_in("limit", limit, &call), "uuid_kill b ALLOTTED_TIMEOUT"]);
        assert_eq!(stage.switch.state().unguarded, 0, "the next task before the former goes");
        let stop = "STOP Normal CREDIT_EXHAUSTED 20.000s cost 0.2";
        stage.expect_settled(transfer, &["START", stop], "0.00").await;
        // Half a minute of announcement, and the end of the channel.
        stage.pass(30_000).await;
        assert!(stage.switch.state().channels.contains_key("a"), "longer than the former backstop");
        ends(&mut stage, "NORMAL_CLEARING").await;
        stage.pass(2_000).await;
        stage.expect_settled(transfer, &["START", stop], "0.00").await;
        assert_eq!((stage.said().len(), stage.core.requests().len()), (5, 3));
        stage.finish().await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_limit_ends_whoever_stays() {
    let (mut stage, call) = out_of_credit(CONTEXT).await;
    call.talks_until(&mut stage, 59_000).await;
    assert!(stage.switch.state().channels.contains_key("a"));
    call.talks_until(&mut stage, 61_200).await;
    assert!(stage.switch.state().channels.is_empty());
    assert_eq!((stage.records().len(), stage.balance("1001")), (2, money("0.00")));
    stage.finish().await;
}

/// (calls that the switch refuses, what is said behind the way out).
const UNWILLING: &[(&str, &str)] =
    &[("uuid_transfer", "uuid_kill a ALLOTTED_TIMEOUT"), ("sched_api +40", "uuid_kill a ALLOTTED_TIMEOUT")];

#[tokio::test(start_paused = true)]
async fn whoever_cannot_be_sent_away_or_limited_is_ended() {
    for (refused, said) in UNWILLING {
        let (mut stage, call) = out_of_credit(CONTEXT).await;
        stage.switch.state().refusals = vec![(refused, "-ERR permission denied\n")];
        call.talks_until(&mut stage, 20_200).await;
        assert_eq!(stage.said().last().map(String::as_str), Some(*said), "{refused}");
        assert!(stage.switch.state().channels.is_empty());
        stage.until("STOP", |stage| stage.records().len() == 2).await;
        let records = stage.records();
        assert!(records.len() == 2 && records[1].starts_with("STOP Normal CREDIT_EXHAUSTED 20.0"), "{records:?}");
        assert_eq!(stage.balance("1001"), money("0.00"));
        stage.finish().await;
    }
}

/// The order is taken and not carried out: nobody talks on for nothing.
#[tokio::test(start_paused = true)]
async fn a_leg_that_does_not_leave_is_ended_with_the_other() {
    let (mut stage, call) = out_of_credit(CONTEXT).await;
    stage.switch.state().leaves_after_ms = None;
    call.talks_until(&mut stage, 21_900).await;
    assert_eq!((stage.said().len(), stage.records().len()), (3, 1), "asked again and again, and metered");
    call.talks_until(&mut stage, 22_100).await;
    assert_eq!(stage.said()[3..], ["uuid_kill a ALLOTTED_TIMEOUT", "uuid_kill b ALLOTTED_TIMEOUT"]);
    stage.until("STOP", |stage| stage.records().len() == 2).await;
    stage.finish().await;
}

/// The caller hangs up in the announcement before the switch has shown that it left: the conversation ended before.
#[tokio::test(start_paused = true)]
async fn the_announcement_is_not_charged_when_it_is_cut_short() {
    let (mut stage, call) = out_of_credit(FILE).await;
    stage.switch.state().refusals = vec![("uuid_dump", "")];
    call.talks_until(&mut stage, 21_500).await;
    ends(&mut stage, "NORMAL_CLEARING").await;
    let stop = "STOP Normal CREDIT_EXHAUSTED 20.000s cost 0.2";
    stage.expect_settled("cut short", &["START", stop], "0.00").await;
    stage.finish().await;
}

/// The agent dies between the order and the proof: the guard ends the leg, and nothing is charged beyond the grant.
#[tokio::test(start_paused = true)]
async fn an_agent_that_dies_at_the_way_out_leaves_a_guard() {
    let (mut stage, call) = out_of_credit(CONTEXT).await;
    stage.switch.state().leaves_after_ms = Some(10_000);
    call.talks_until(&mut stage, 20_050).await;
    assert_eq!(stage.said().len(), 3);
    stage.agent_dies().await;
    stage.pass(3_500).await;
    assert!(stage.switch.state().channels.is_empty(), "the guard");
    stage.agent_starts();
    stage.connected(2).await;
    stage.eventually("STOP", |stage| stage.records().len() == 2).await;
    assert!(stage.full_records()[1].reconstructed);
    assert!(stage.balance("1001") >= money("0.00"));
    stage.finish().await;
}

/// The agent restarts while the caller hears the announcement: neither metered on nor taken for a new call.
#[tokio::test(start_paused = true)]
async fn a_restarted_agent_knows_that_the_conversation_is_over() {
    for proven in [false, true] {
        let (mut stage, call) = out_of_credit(CONTEXT).await;
        if !proven {
            stage.switch.state().leaves_after_ms = Some(1_000);
        }
        call.talks_until(&mut stage, if proven { 20_200 } else { 20_060 }).await;
        let requests = stage.core.requests().len();
        stage.agent_dies().await;
        stage.switch.state().scheduled.clear();
        stage.pass(10_000).await;
        stage.agent_starts();
        stage.connected(2).await;
        let stop = "STOP Normal CREDIT_EXHAUSTED 20.000s cost 0.2";
        stage.eventually("STOP", |stage| stage.records().len() == 2).await;
        stage.expect_settled("restarted", &["START", stop], "0.00").await;
        stage.pass(20_000).await;
        ends(&mut stage, "NORMAL_CLEARING").await;
        stage.pass(2_000).await;
        let further = stage.core.requests().len() - requests;
        assert_eq!((stage.records().len(), further), (2, usize::from(!proven)), "proven before: {proven}");
        stage.finish().await;
    }
}

/// The connection breaks at the way out and comes back ten seconds later: those are not charged.
#[tokio::test(start_paused = true)]
async fn a_break_at_the_way_out_is_not_charged() {
    let (mut stage, call) = out_of_credit(CONTEXT).await;
    stage.switch.state().leaves_after_ms = Some(1_000);
    call.talks_until(&mut stage, 20_060).await;
    stage.switch.state().reachable = false;
    stage.switch.hang_up();
    stage.switch.state().scheduled.clear();
    stage.pass(10_000).await;
    stage.switch.state().reachable = true;
    stage.connected(2).await;
    let stop = "STOP Normal CREDIT_EXHAUSTED 20.000s cost 0.2";
    stage.expect_settled("break", &["START", stop], "0.00").await;
    stage.finish().await;
}

/// Another reason than credit ends the call as ever.
#[tokio::test(start_paused = true)]
async fn only_credit_has_an_announcement() {
    let (mut stage, mut call) = (
        stage("1.00", |config| {
            CONTEXT(config);
            config.calls.maximum_call = ConfigDuration::from_s(10);
        })
        .await,
        Call::new("a"),
    );
    call.connects(&mut stage).await;
    stage.switch.state().said.clear();
    call.talks_until(&mut stage, 10_100).await;
    assert_eq!(stage.said(), ["uuid_kill a ALLOTTED_TIMEOUT"]);
    stage.finish().await;
}

/// Refused for want of credit: sent to the same context, unpaid, with the record of a refusal. A restart in between does
/// not make a call of it.
#[tokio::test(start_paused = true)]
async fn a_caller_refused_for_credit_may_be_sent_there_too() {
    for dies in [false, true] {
        let (mut stage, mut call) = (stage("0.00", CONTEXT).await, Call::new("a"));
        call.parks(&mut stage).await;
        let said = [MARK, &kill_in("limit", 40, &call), "uuid_transfer a 491701234567 XML top_up"].map(str::to_owned);
        stage.until("the transfer", |stage| stage.said() == said).await;
        // The machine that asks for a card number answers.
        stage.pass(1_000).await;
        call.further.insert("Caller-Context".into(), "top_up".into());
        call.further.insert("variable_tollkeeper_mode".into(), "none".into());
        call.further.insert("variable_tollkeeper_empty_balance".into(), "true".into());
        call.answers(&mut stage).await;
        if dies {
            stage.agent_dies().await;
            stage.agent_starts();
            stage.connected(2).await;
        }
        stage.pass(20_000).await;
        call.hangs_up(&mut stage).await;
        stage.pass(2_000).await;
        stage.expect_settled("refused", &["EVENT Failed 402 CREDIT_EXHAUSTED cost 0"], "0.00").await;
        assert_eq!((stage.said().len(), stage.core.requests().len()), (3, 1));
        stage.finish().await;
    }
}

/// Other refusals have their status as ever.
#[tokio::test(start_paused = true)]
async fn only_credit_is_refused_there() {
    let (mut stage, mut call) = (stage("1.00", CONTEXT).await, Call::new("a"));
    call.further.insert("variable_cgr_account".into(), "ghost".into());
    call.parks(&mut stage).await;
    stage.until("the refusal", |stage| stage.said() == ["uuid_kill a OUTGOING_CALL_BARRED"]).await;
    stage.finish().await;
}
