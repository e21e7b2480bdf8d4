//! What happened to legs while no agent listened: talks that moved to other legs, and legs that nobody pays for.

use agent_runtime::UnknownCalls;

use crate::beside::consults;
use crate::stage::{Stage, money};
use crate::synthetic::{BRITAIN, Call, GERMANY, stage};
use crate::transfers::{BLIND, called_by, is_admitted, sends, talking};

/// The agent dies, or the connection breaks; what happens until [`Away::ends`] nobody hears.
struct Away {
    agent_dies: bool,
}

impl Away {
    async fn begins(agent_dies: bool, stage: &mut Stage) -> Self {
        if agent_dies {
            stage.agent_dies().await;
        } else {
            stage.switch.state().reachable = false;
            stage.switch.hang_up();
        }
        Self { agent_dies }
    }

    async fn ends(self, stage: &mut Stage) {
        if self.agent_dies {
            stage.agent_starts();
        }
        stage.switch.state().reachable = true;
        stage.connected(2).await;
    }
}

/// What the switch knows, without an event for anybody.
fn happens_unseen(leg: &Call, stage: &Stage, fields: &[(&str, &str)]) {
    let mut event = leg.event(stage, "CHANNEL_ANSWER");
    event.extend(fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())));
    stage.switch.state().learn(&event);
}

fn is_gone(leg: &str, stage: &Stage) {
    stage.switch.state().channels.remove(leg);
}

fn subscribers(stage: &Stage) -> Vec<String> {
    let requests = stage.core.requests();
    let initial = requests.iter().filter(|request| request.request_number == 0);
    initial.map(|request| request.subscribers[0].value.expose().to_owned()).collect()
}

/// a has two calls, and brings b and d together while nobody listens: both go on, with the legs of b and d.
#[tokio::test(start_paused = true)]
async fn calls_that_were_joined_unseen_go_on_with_the_legs_that_talk() {
    for agent_dies in [true, false] {
        let mut stage = stage("10.00", |_| {}).await;
        let (_, b) = talking(&mut stage).await;
        let mut c = Call::new("c");
        c.dialled = BRITAIN;
        stage.pass(1_000).await;
        c.connects(&mut stage).await;
        let d = called_by("c", "d", &stage);
        d.says(&mut stage, "CHANNEL_ANSWER", &[]).await;
        c.says(&mut stage, "CHANNEL_BRIDGE", &[("Other-Leg-Unique-ID", "d")]).await;
        stage.pass(10_000).await;
        let away = Away::begins(agent_dies, &mut stage).await;
        is_gone("a", &stage);
        is_gone("c", &stage);
        happens_unseen(&b, &stage, &[("Other-Leg-Unique-ID", "d"), ("variable_signal_bond", "d")]);
        happens_unseen(&d, &stage, &[("Other-Leg-Unique-ID", "b"), ("variable_signal_bond", "b")]);
        stage.pass(2_000).await;
        away.ends(&mut stage).await;
        stage
            .eventually("backstops on both", |stage| {
                let tasks = stage.switch.state().scheduled.clone();
                ["b", "d"].iter().all(|leg| tasks.iter().any(|task| task.channel == *leg))
            })
            .await;
        stage.pass(20_000).await;
        let asked = stage.core.requests().iter().filter(|request| request.request_number == 0).count();
        assert_eq!(asked, 2, "no call besides");
        let talked_ms = stage.now() - c.answered_ms.expect("answered");
        for leg in [&b, &d] {
            leg.ends(&mut stage, &[]).await;
        }
        stage.eventually("both STOPs", |stage| stage.records().len() == 4).await;
        let found: Vec<_> = stage.full_records().into_iter().filter_map(|record| record.duration).collect();
        let expected = [talked_ms + 1_000, talked_ms].map(|ms| u64::try_from(ms).expect("positive"));
        assert_eq!(found.iter().map(|duration| duration.ms()).collect::<Vec<_>>(), expected, "{agent_dies}");
        stage.finish().await;
    }
}

/// The time in which it was found out where the talk goes on is talk, too: the cut is as exact as ever.
#[tokio::test(start_paused = true)]
async fn a_call_that_moved_unseen_is_cut_in_time() {
    let mut stage = stage("0.30", |_| {}).await;
    let (a, b) = talking(&mut stage).await;
    stage.pass(10_000).await;
    let away = Away::begins(true, &mut stage).await;
    is_gone("a", &stage);
    happens_unseen(&b, &stage, &[("Other-Leg-Unique-ID", "x"), ("variable_signal_bond", "x")]);
    stage.pass(1_000).await;
    away.ends(&mut stage).await;
    stage.eventually("the cut", |stage| stage.said_of("uuid_kill b") == ["uuid_kill b ALLOTTED_TIMEOUT"]).await;
    let talked_ms = stage.now() - a.answered_ms.expect("answered");
    assert!((30_000..=30_100).contains(&talked_ms), "{talked_ms}");
    stage.finish().await;
}

/// a has sent b and d together while d still rang (REFER with Replaces of a call that nobody has answered), and the agent
/// dies: d answers before or after it is back.
#[tokio::test(start_paused = true)]
async fn an_answer_after_a_transfer_is_charged_by_the_next_agent() {
    for answered_before in [true, false] {
        let mut stage = stage("10.00", |_| {}).await;
        let mut c = Call::new("c");
        c.dialled = BRITAIN;
        c.parks(&mut stage).await;
        c.is_routed(&mut stage).await;
        stage.pass(1_000).await;
        let left = [("variable_transfer_to", "satt:b"), ("Caller-Channel-Hangup-Time", "1795300001000000")];
        c.says(&mut stage, "CHANNEL_HANGUP", &left).await;
        let away = Away::begins(true, &mut stage).await;
        // The channel stays until its callee has answered.
        let mut waits = c.event(&stage, "CHANNEL_ANSWER");
        waits.extend(left.map(|(name, value)| (name.to_owned(), value.into())));
        stage.switch.state().channels.insert("c".into(), waits);
        stage.pass(1_000).await;
        let mut d = called_by("c", "d", &stage);
        if answered_before {
            is_gone("c", &stage);
            happens_unseen(&d, &stage, &[("variable_signal_bond", "b")]);
            stage.pass(500).await;
            away.ends(&mut stage).await;
        } else {
            away.ends(&mut stage).await;
            stage.pass(2_000).await;
            d = called_by("c", "d", &stage);
            d.says(&mut stage, "CHANNEL_ANSWER", &[]).await;
        }
        stage.eventually("START", |stage| stage.records() == ["START"]).await;
        stage
            .eventually("a backstop on d", |stage| {
                stage.switch.state().scheduled.iter().any(|task| task.channel == "d")
            })
            .await;
        let answered = stage.full_records()[0].answer_time;
        assert_eq!(answered.map(|at| at.0), d.answered_ms, "{answered_before}");
        d.talks_until(&mut stage, 30_000).await;
        assert!(stage.said_of("uuid_kill").is_empty(), "{:?}", stage.said());
        d.ends(&mut stage, &[]).await;
        stage.expect_settled("d", &["START", "STOP Normal 30.000s cost 0.65"], "9.35").await;
        stage.finish().await;
    }
}

/// The agent dies when b, whom a has sent on, was admitted, and before the third party answers.
#[tokio::test(start_paused = true)]
async fn a_blind_transfer_that_is_answered_unseen_is_charged_from_that_answer() {
    let mut stage = stage("10.00", |_| {}).await;
    let (a, mut b) = talking(&mut stage).await;
    stage.pass(5_000).await;
    sends(&a, &mut b, BRITAIN, &mut stage).await;
    is_admitted("b", BRITAIN, &mut stage).await;
    let away = Away::begins(true, &mut stage).await;
    stage.pass(1_000).await;
    let c = called_by("b", "c", &stage);
    happens_unseen(&c, &stage, &[("Other-Leg-Unique-ID", "b")]);
    let answered = (stage.now() * 1000).to_string();
    let bridged = [("Other-Leg-Unique-ID", "c"), ("Other-Leg-Channel-Answered-Time", answered.as_str())];
    happens_unseen(&b, &stage, &bridged);
    stage.pass(3_000).await;
    away.ends(&mut stage).await;
    stage.eventually("both go on", |stage| stage.records() == ["START", "START"]).await;
    stage.pass(10_000).await;
    assert!(stage.said_of("uuid_kill").is_empty(), "{:?}", stage.said());
    let (talked_ms, both_ms) =
        (stage.now() - c.answered_ms.expect("answered"), stage.now() - a.answered_ms.expect("answered"));
    c.ends(&mut stage, &[]).await;
    b.ends(&mut stage, &[]).await;
    stage.eventually("both STOPs", |stage| stage.records().len() == 4).await;
    let mut found: Vec<_> =
        stage.full_records().iter().filter_map(|record| record.duration).map(|it| it.ms()).collect();
    found.sort_unstable();
    let expected = [talked_ms, both_ms].map(|ms| u64::try_from(ms).expect("positive"));
    assert_eq!(found, expected);
    stage.finish().await;
}

/// A leg that was called beside a call while nobody listened: charged from its own answer to whoever had it called, or
/// released, as configured; also when the two were left together meanwhile.
#[tokio::test(start_paused = true)]
async fn a_leg_that_was_called_beside_a_call_unseen_is_charged() {
    for (handed_over, release, agent_dies) in
        [(false, false, true), (false, false, false), (true, false, true), (true, true, true)]
    {
        let case = format!("{handed_over} {release} {agent_dies}");
        let mut stage = match release {
            false => stage("10.00", |_| {}).await,
            true => stage("10.00", |config| config.calls.unknown_calls = UnknownCalls::Release).await,
        };
        let (a, b) = talking(&mut stage).await;
        let session = a.session("run-1");
        stage.pass(5_000).await;
        let away = Away::begins(agent_dies, &mut stage).await;
        stage.pass(1_000).await;
        let mut leg = called_by("a", "l", &stage);
        leg.dialled = BRITAIN;
        let marks = [("variable_tollkeeper_part_of", session.as_str()), ("variable_signal_bond", "a")];
        happens_unseen(&leg, &stage, &marks);
        let (called, answered) = ((leg.created_ms * 1000).to_string(), (stage.now() * 1000).to_string());
        if handed_over {
            is_gone("a", &stage);
            happens_unseen(&b, &stage, &[("Other-Leg-Unique-ID", "l"), ("variable_signal_bond", "l")]);
        } else {
            let consulting = [
                ("Other-Leg-Unique-ID", "l"),
                ("Other-Leg-Channel-Created-Time", called.as_str()),
                ("Other-Leg-Channel-Answered-Time", answered.as_str()),
                ("variable_current_application", "att_xfer"),
                ("variable_soft_holding_uuid", "b"),
            ];
            happens_unseen(&a, &stage, &consulting);
        }
        stage.pass(2_000).await;
        away.ends(&mut stage).await;
        stage.eventually(&case, |stage| subscribers(stage).len() == 2).await;
        assert_eq!(subscribers(&stage), ["1001", "1001"], "{case}");
        stage.eventually("its START", |stage| stage.records().len() >= 2).await;
        let of_leg = stage.full_records().into_iter().find(|record| record.leg_id.as_str() == "l").expect("its record");
        assert_eq!(of_leg.answer_time.map(|at| at.0), leg.answered_ms, "{case}");
        let kills: &[&str] = if release { &["uuid_kill l MANAGER_REQUEST"] } else { &[] };
        stage.pass(2_000).await;
        assert_eq!(stage.said_of("uuid_kill"), kills, "{case}");
        stage.agent.abort();
    }
}

/// Its call is over for the core, too: the leg says itself whose it was. Called by another than the payer it is nobody's,
/// and ended; what has no mark of ours, or talks to nobody, is left alone.
#[tokio::test(start_paused = true)]
async fn a_leg_of_a_forgotten_call_is_charged_or_ended_and_a_strangers_left_alone() {
    let (session, payer, talks) =
        ("variable_tollkeeper_part_of", "variable_tollkeeper_paid_by", "variable_signal_bond");
    let of_a = (session, "fs1/run-1/17-a");
    type Row = (&'static str, Vec<(&'static str, &'static str)>, Option<&'static str>, bool);
    let rows: [Row; 7] = [
        ("by the payer", vec![of_a, (payer, "1001"), (talks, "x")], Some("1001"), false),
        ("by a callee", vec![(session, "fs1/run-1/17-z"), (payer, "1001"), (talks, "x")], None, true),
        ("nobody paid", vec![of_a, (talks, "x")], None, true),
        ("no mark", vec![(talks, "x")], None, false),
        ("alone", vec![of_a, (payer, "1001")], None, false),
        ("free", vec![of_a, (payer, "1001"), (talks, "x"), ("variable_tollkeeper_mode", "none")], None, false),
        ("a user", vec![of_a, (payer, "1001"), (talks, "x"), ("variable_dialed_user", "1003")], None, false),
    ];
    for (case, fields, paid_by, ended) in rows {
        let mut stage = stage("10.00", |_| {}).await;
        let away = Away::begins(false, &mut stage).await;
        let leg = called_by("a", "l", &stage);
        happens_unseen(&leg, &stage, &fields);
        stage.pass(2_000).await;
        away.ends(&mut stage).await;
        stage.pass(8_000).await;
        assert_eq!(subscribers(&stage), paid_by.into_iter().collect::<Vec<_>>(), "{case}");
        let kills: &[&str] = if ended { &["uuid_kill l OUTGOING_CALL_BARRED"] } else { &[] };
        assert_eq!(stage.said_of("uuid_kill"), kills, "{case}");
        stage.agent.abort();
    }
}

/// What the next agent finds in good order is not touched: calls with their callees, and a leg that is charged already.
#[tokio::test(start_paused = true)]
async fn legs_in_good_order_are_left_as_they_are() {
    let mut stage = stage("10.00", |_| {}).await;
    let (a, b) = talking(&mut stage).await;
    stage.pass(5_000).await;
    let leg = consults("a", &mut stage, &[]).await;
    stage.until("asked", |stage| stage.core.requests().len() == 2).await;
    let away = Away::begins(true, &mut stage).await;
    stage.pass(1_000).await;
    away.ends(&mut stage).await;
    stage.pass(15_000).await;
    let initial = stage.core.requests().iter().filter(|request| request.request_number == 0).count();
    assert_eq!((initial, stage.said_of("uuid_kill").len()), (2, 0));
    let (talked_ms, beside_ms) =
        (stage.now() - a.answered_ms.expect("answered"), stage.now() - leg.answered_ms.expect("answered"));
    for leg in [&leg, &b, &a] {
        leg.ends(&mut stage, &[]).await;
    }
    stage.eventually("both STOPs", |stage| stage.records().len() == 4).await;
    let mut found: Vec<_> =
        stage.full_records().iter().filter_map(|record| record.duration).map(|it| it.ms()).collect();
    found.sort_unstable();
    assert_eq!(found, [beside_ms, talked_ms].map(|ms| u64::try_from(ms).expect("positive")));
    let price = (talked_ms + 999) / 1000;
    assert_eq!(stage.balance("1001"), money(&format!("9.{:02}", 35 - price)), "{}", GERMANY);
    stage.finish().await;
}

/// A callee has called another beside the call and left that one with the caller, unseen: nobody can tell who the callee
/// was. Ended, or paid by the caller where that is configured; his own call goes on.
#[tokio::test(start_paused = true)]
async fn whom_a_callee_left_behind_unseen_is_not_paid_by_the_caller_unless_configured() {
    for by_caller in [false, true] {
        let mut stage = match by_caller {
            false => stage("10.00", |_| {}).await,
            true => stage("10.00", |config| config.transfers_paid_by = agent_freeswitch::TransferPayer::Caller).await,
        };
        let (a, _) = talking(&mut stage).await;
        let session = a.session("run-1");
        stage.pass(5_000).await;
        let away = Away::begins(true, &mut stage).await;
        is_gone("b", &stage);
        let mut leg = called_by("b", "l", &stage);
        leg.dialled = BRITAIN;
        let marks = [("variable_tollkeeper_part_of", session.as_str()), ("variable_signal_bond", "a")];
        happens_unseen(&leg, &stage, &marks);
        let called = (leg.created_ms * 1000).to_string();
        let talks = [("Other-Leg-Unique-ID", "l"), ("Other-Leg-Channel-Created-Time", called.as_str())];
        happens_unseen(&a, &stage, &talks);
        stage.pass(1_000).await;
        away.ends(&mut stage).await;
        stage.pass(8_000).await;
        let kills: &[&str] = if by_caller { &[] } else { &["uuid_kill l OUTGOING_CALL_BARRED"] };
        assert_eq!(stage.said_of("uuid_kill"), kills, "{by_caller}");
        assert_eq!(subscribers(&stage).len(), 1 + usize::from(by_caller));
        stage.agent.abort();
    }
}

/// The payer and the one he called have both left, and whom he called beside talks on: the first call is over, the other is
/// charged for itself.
#[tokio::test(start_paused = true)]
async fn a_call_does_not_go_on_with_a_leg_that_was_called_later() {
    let mut stage = stage("10.00", |_| {}).await;
    let (a, _) = talking(&mut stage).await;
    let session = a.session("run-1");
    stage.pass(12_000).await;
    let away = Away::begins(true, &mut stage).await;
    is_gone("a", &stage);
    is_gone("b", &stage);
    let mut leg = called_by("a", "l", &stage);
    leg.dialled = BRITAIN;
    let (part_of, paid_by) = ("variable_tollkeeper_part_of", "variable_tollkeeper_paid_by");
    let marks = [(part_of, session.as_str()), (paid_by, "1001"), ("variable_signal_bond", "x")];
    happens_unseen(&leg, &stage, &marks);
    away.ends(&mut stage).await;
    stage.eventually("the end of the first", |stage| stage.records().len() == 3).await;
    let records = stage.full_records();
    let first = records.iter().find(|record| record.duration.is_some()).expect("its STOP");
    assert!(first.reconstructed && first.leg_id.as_str() == "a");
    stage.until("the other is paid", |stage| subscribers(stage) == ["1001", "1001"]).await;
    stage.agent.abort();
}

/// A switch with thousands of calls is not asked for the callee of each.
#[tokio::test(start_paused = true)]
async fn callees_of_live_calls_are_not_asked_for() {
    for (before_ms, asked) in [(100, 0), (-100, 1)] {
        let mut stage = stage("10.00", |_| {}).await;
        let (a, _) = talking(&mut stage).await;
        let called = ((a.answered_ms.expect("answered") - before_ms) * 1000).to_string();
        let talks = [("Other-Leg-Unique-ID", "b"), ("Other-Leg-Channel-Created-Time", called.as_str())];
        happens_unseen(&a, &stage, &talks);
        Away::begins(false, &mut stage).await.ends(&mut stage).await;
        stage.pass(1_000).await;
        let dumps = stage.switch.state().asked.iter().filter(|asked| asked.starts_with("uuid_dump b")).count();
        assert_eq!(dumps, asked, "{before_ms}");
        stage.agent.abort();
    }
}

/// A leg that ends before it is decided who pays for it is over.
#[tokio::test(start_paused = true)]
async fn a_stray_that_ends_in_time_is_forgotten() {
    let mut stage = stage("10.00", |_| {}).await;
    let away = Away::begins(false, &mut stage).await;
    let leg = called_by("a", "l", &stage);
    let fields = [("variable_tollkeeper_part_of", "fs1/run-1/17-a"), ("variable_signal_bond", "x")];
    happens_unseen(&leg, &stage, &fields);
    away.ends(&mut stage).await;
    stage.pass(500).await;
    leg.ends(&mut stage, &[(BLIND, "ANSWER")]).await;
    stage.pass(8_000).await;
    assert_eq!((stage.core.requests().len(), stage.said_of("uuid_kill").len()), (0, 0));
    stage.finish().await;
}
