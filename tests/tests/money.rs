//! The worked examples of the money, through call machine, driver, client, ledger and rating, to the last unit.
//! Times are milliseconds since the answer. Slice 30 s, margin 5 s, R1 = 0.01 per second unless a test says otherwise.

use agent_call::{CallEnd, Command, SwitchEvent};
use cdr_model::{CallRecord, CostState, RecordType};
use tests::world::{BEGIN, World, numbers, offer};
use types::charging::Operation;
use types::{EndedBy, Money, ReleaseCause, SessionId, TerminationReason, UtcMs};

/// (operation, used in this request, granted by its answer), voice in ms.
fn dialogue(world: &World, session: &SessionId) -> Vec<(Operation, u64, u64)> {
    let answers = world.core.answers();
    let of_call = |request: &types::charging::ChargingRequest| request.session_id == *session;
    let rows = world.core.requests().into_iter().zip(answers).filter(|(request, _)| of_call(request));
    rows.map(|(request, answer)| {
        let used = request.units.iter().flat_map(|unit| &unit.used).filter_map(|used| used.units.time_ms).sum();
        let granted = answer.units.first().and_then(|unit| unit.granted).and_then(|units| units.time_ms).unwrap_or(0);
        (request.operation, used, granted)
    })
    .collect()
}

fn of_type(records: &[CallRecord], record_type: RecordType) -> Vec<&CallRecord> {
    records.iter().filter(|record| record.record_type == record_type).collect()
}

/// Duration in ms, billable in ms, cost, overrun in ms.
fn stop_figures(records: &[CallRecord]) -> (u64, u64, String, u64) {
    let [stop] = of_type(records, RecordType::Stop)[..] else { panic!("one STOP expected in {records:?}") };
    assert_eq!(of_type(records, RecordType::Start).len(), 1, "one START");
    let cost = stop.cost.as_ref().expect("a price");
    assert_eq!(cost.state, CostState::Final);
    let duration = stop.duration.expect("a duration").ms();
    let billable = stop.billable_seconds.expect("billable").ms();
    (duration, billable, cost.amount.unwrap_or(Money::ZERO).to_string(), stop.overrun_ms.unwrap_or(0))
}

fn ms(seconds: u64) -> u64 {
    seconds * 1000
}

use Operation::{Initial, Termination, Update};

#[tokio::test(start_paused = true)]
async fn example_1_a_call_that_ends_by_itself() {
    let mut world = World::new().await;
    world.core.account("a", "1.00");
    let call = world.offer("c", "a", numbers::R1).await;
    world.expect("offer", "a", "1", "0.3");
    world.answer(&call).await;
    world.zero_is_now();
    world.run_until(ms(25)).await;
    world.expect("25", "a", "0.75", "0.3");
    world.run_until(ms(50)).await;
    world.expect("50", "a", "0.5", "0.3");
    world.run_until(ms(70)).await;
    world.hang_up(&call).await;
    world.expect("70", "a", "0.3", "0");
    let expected = [(Initial, 0, ms(30)), (Update, ms(25), ms(30)), (Update, ms(25), ms(30)), (Termination, ms(20), 0)];
    assert_eq!(dialogue(&world, &call), expected);
    assert_eq!(stop_figures(&world.records().await), (ms(70), ms(70), "0.7".into(), 0));
    assert!(world.core.replayed_books_are_the_same());
}

#[tokio::test(start_paused = true)]
async fn example_2_credit_ends() {
    for (obeys_after_ms, balance, cost, billable_ms) in [(80, "0", "0.45", 45_000), (3_000, "-0.03", "0.48", 48_000)] {
        let mut world = World::new().await;
        world.core.account("a", "0.45");
        let call = world.offer("c", "a", numbers::R1).await;
        world.expect("offer", "a", "0.45", "0.3");
        world.answer(&call).await;
        world.zero_is_now();
        world.run_until(ms(25)).await;
        world.expect("25", "a", "0.2", "0.2");
        assert!(world.commands(&call).iter().any(|command| matches!(command, Command::WarnLowBalance { .. })));
        world.run_until(ms(40)).await;
        world.expect("40", "a", "0.05", "0.05");
        world.run_until(44_999).await;
        assert_eq!(world.released_at(&call), None, "never before the granted time is over");
        world.run_until(ms(45)).await;
        assert_eq!(world.released_at(&call), Some(ms(45)));
        world.run_until(ms(45) + obeys_after_ms).await;
        let by = EndedBy::Tollkeeper;
        let at = UtcMs(BEGIN.0 + i64::try_from(ms(45) + obeys_after_ms).expect("short"));
        world.event(&call, SwitchEvent::Ended(CallEnd { by, ..CallEnd::normal(at, by) })).await;
        world.expect("end", "a", balance, "0");
        let last = (Termination, ms(5) + obeys_after_ms, 0);
        let expected = [(Initial, 0, ms(30)), (Update, ms(25), ms(20)), (Update, ms(15), ms(5)), last];
        assert_eq!(dialogue(&world, &call), expected);
        let records = world.records().await;
        let figures = (ms(45) + obeys_after_ms, billable_ms, cost.into(), obeys_after_ms);
        assert_eq!(stop_figures(&records), figures);
        assert_eq!(of_type(&records, RecordType::Stop)[0].release_cause, Some(ReleaseCause::CreditExhausted));
    }
}

#[tokio::test(start_paused = true)]
async fn example_3_coarse_increments_and_a_connect_fee() {
    let mut world = World::new().await;
    world.core.account("a", "1.00");
    let call = world.offer("c", "a", numbers::COARSE).await;
    world.expect("offer", "a", "1", "0.65");
    world.answer(&call).await;
    world.zero_is_now();
    world.run_until(ms(55)).await;
    world.expect("55", "a", "0.35", "0");
    world.run_until(ms(60)).await;
    assert_eq!(world.released_at(&call), Some(ms(60)));
    world.run_until(60_040).await;
    world.hang_up(&call).await;
    world.expect("end", "a", "0.35", "0");
    let expected = [(Initial, 0, ms(60)), (Update, ms(55), ms(5)), (Termination, 5_040, 0)];
    assert_eq!(dialogue(&world, &call), expected);
    assert_eq!(stop_figures(&world.records().await), (60_040, ms(60), "0.65".into(), 40));
}

#[tokio::test(start_paused = true)]
async fn example_4_not_answered() {
    for (number, held) in [(numbers::R1, "0.3"), (numbers::COARSE, "0.65")] {
        let mut world = World::new().await;
        world.core.account("a", "1.00");
        let call = world.offer("c", "a", number).await;
        world.expect("offer", "a", "1", held);
        world.run_until(ms(20)).await;
        let end = CallEnd { cancelled: true, ..CallEnd::unanswered(UtcMs(BEGIN.0 + 20_000), 487) };
        world.event(&call, SwitchEvent::Ended(end)).await;
        world.expect("cancel", "a", "1", "0");
        let records = world.records().await;
        let [event] = &records[..] else { panic!("one EVENT and nothing else: {records:?}") };
        assert_eq!(
            (event.record_type, event.termination_reason),
            (RecordType::Event, Some(TerminationReason::Cancelled))
        );
        assert_eq!(event.cost.as_ref().and_then(|cost| cost.amount), Some(Money::ZERO));
    }
}

#[tokio::test(start_paused = true)]
async fn example_5_two_calls_on_one_account() {
    let mut world = World::new().await;
    world.core.account("a", "0.45");
    let one = world.offer("A", "a", numbers::R1).await;
    world.expect("offer A", "a", "0.45", "0.3");
    let two = world.offer("B", "a", numbers::R1).await;
    world.expect("offer B", "a", "0.45", "0.45");
    world.answer(&one).await;
    world.answer(&two).await;
    world.zero_is_now();
    world.run_until(ms(10)).await;
    world.expect("10", "a", "0.35", "0.35");
    world.run_until(ms(12)).await;
    world.hang_up(&one).await;
    world.expect("12", "a", "0.21", "0.21");
    world.run_until(ms(28)).await;
    world.expect("28", "a", "0.05", "0.05");
    world.run_until(ms(33)).await;
    assert_eq!(world.released_at(&two), Some(ms(33)));
    world.run_until(33_030).await;
    world.hang_up(&two).await;
    world.expect("end", "a", "0", "0");
    assert_eq!(dialogue(&world, &one), [(Initial, 0, ms(30)), (Termination, ms(12), 0)]);
    let expected = [
        (Initial, 0, ms(15)),
        (Update, ms(10), ms(5)),
        (Update, ms(2), ms(21)),
        (Update, ms(16), ms(5)),
        (Termination, 5_030, 0),
    ];
    assert_eq!(dialogue(&world, &two), expected);
    let records = world.records().await;
    let costs: Vec<_> = of_type(&records, RecordType::Stop)
        .into_iter()
        .map(|stop| (stop.call_id.to_string(), stop.cost.as_ref().and_then(|cost| cost.amount).map(|a| a.to_string())))
        .collect();
    assert_eq!(costs, [("A".into(), Some("0.12".into())), ("B".into(), Some("0.33".into()))]);
}

#[tokio::test(start_paused = true)]
async fn example_6_a_top_up_saves_the_call() {
    let mut world = World::new().await;
    world.core.account("a", "0.45");
    let call = world.offer("c", "a", numbers::R1).await;
    world.answer(&call).await;
    world.zero_is_now();
    world.run_until(ms(43)).await;
    world.core.top_up("a", "1.00");
    world.settle().await;
    world.expect("43", "a", "1.02", "0.3");
    world.run_until(ms(50)).await;
    assert_eq!(world.released_at(&call), None);
    world.hang_up(&call).await;
    world.expect("50", "a", "0.95", "0");
}

#[tokio::test(start_paused = true)]
async fn example_7_lost_answers_and_copies() {
    let mut world = World::new().await;
    world.core.account("a", "1.00");
    world.core.lose_answers(1);
    world.zero_is_now();
    let call = world.offer("c", "a", numbers::R1).await;
    world.run_until(ms(1)).await;
    world.expect("INITIAL twice", "a", "1", "0.3");
    let copies = world.core.answers();
    assert_eq!((copies.len(), &copies[0]), (2, &copies[1]), "the same answer for the same key");
    world.answer(&call).await;
    world.zero_is_now();
    world.run_until(ms(50)).await;
    let request_1 = world.core.requests().into_iter().find(|request| request.request_number == 1).expect("UPDATE");
    let stored = world.core.answers().into_iter().find(|answer| answer.request_number == 1).expect("its answer");
    let before = world.core.view("a");
    assert_eq!(world.core.charge_now(request_1.clone()), stored, "a late copy gets the stored answer");
    let mut other = request_1;
    other.units[0].used[0].units.time_ms = Some(ms(24));
    assert!(!world.core.charge_now(other).result_code.is_success(), "the same key with other usage is an error");
    assert_eq!(world.core.view("a"), before, "and nothing changed");
    world.run_until(ms(70)).await;
    world.hang_up(&call).await;
    world.expect("end", "a", "0.3", "0");
}

#[tokio::test(start_paused = true)]
async fn example_8_agent_killed_comes_back() {
    let mut world = World::new().await;
    world.core.account("a", "1.00");
    let call = world.offer("c", "a", numbers::R1).await;
    world.answer(&call).await;
    world.zero_is_now();
    world.run_until(ms(40)).await;
    world.agent_dies().await;
    world.run_until(ms(48)).await;
    assert_eq!(world.agent_restores().await, 1);
    world.alive(&call, ms(48)).await;
    world.run_until(ms(50)).await;
    world.expect("50", "a", "0.5", "0.3");
    world.run_until(ms(70)).await;
    world.hang_up(&call).await;
    world.expect("70", "a", "0.3", "0");
    let expected = [(Initial, 0, ms(30)), (Update, ms(25), ms(30)), (Update, ms(25), ms(30)), (Termination, ms(20), 0)];
    assert_eq!(dialogue(&world, &call), expected);
    assert_eq!(stop_figures(&world.records().await), (ms(70), ms(70), "0.7".into(), 0));
}

#[tokio::test(start_paused = true)]
async fn example_8_killed_before_the_core_heard_of_the_answer() {
    let mut world = World::new().await;
    world.core.account("a", "1.00");
    let call = world.offer("c", "a", numbers::R1).await;
    world.answer(&call).await;
    world.zero_is_now();
    world.run_until(ms(10)).await;
    world.agent_dies().await;
    world.run_until(ms(18)).await;
    assert_eq!(world.agent_restores().await, 1);
    world.alive(&call, ms(18)).await;
    world.run_until(ms(70)).await;
    world.hang_up(&call).await;
    world.expect("70", "a", "0.3", "0");
    assert_eq!(stop_figures(&world.records().await), (ms(70), ms(70), "0.7".into(), 0));
}

#[tokio::test(start_paused = true)]
async fn example_10_switch_dies() {
    let mut world = World::new().await;
    world.core.account("a", "1.00");
    let call = world.offer("c", "a", numbers::R1).await;
    world.answer(&call).await;
    world.zero_is_now();
    world.run_until(ms(30)).await;
    world.alive(&call, ms(30)).await;
    world.run_until(33_700).await;
    world.driver.switch_lost();
    world.run_until(ms(60)).await;
    world.event(&call, SwitchEvent::Gone).await;
    world.expect("end", "a", "0.7", "0");
    let expected = [(Initial, 0, ms(30)), (Update, ms(25), ms(30)), (Termination, ms(5), 0)];
    assert_eq!(dialogue(&world, &call), expected);
    let records = world.records().await;
    assert_eq!(stop_figures(&records), (ms(30), ms(30), "0.3".into(), 0));
    assert!(of_type(&records, RecordType::Stop)[0].reconstructed);
}

#[tokio::test(start_paused = true)]
async fn example_16_refusals() {
    let mut world = World::new().await;
    world.core.account("empty", "0.00");
    world.core.account("crumb", "0.005");
    world.core.account("rich", "100");
    world.core.account("blocked", "100");
    let blocked = ledger::AccountKey { tenant: tests::core::TENANT.into(), id: "blocked".into() };
    world.core.command(&ledger::Command::Block(blocked));
    let now = BEGIN;
    let mut postpaid = offer("postpaid", "blocked", Some(numbers::R1), now);
    postpaid.charging_mode = types::charging::ChargingMode::Postpaid;
    let mut nobody = offer("nobody", "rich", Some(numbers::R1), now);
    nobody.payer = None;
    let rows = [
        (offer("empty", "empty", Some(numbers::R1), now), ReleaseCause::CreditExhausted, 402, 1),
        (offer("crumb", "crumb", Some(numbers::R1), now), ReleaseCause::CreditExhausted, 402, 1),
        (offer("unknown", "ghost", Some(numbers::R1), now), ReleaseCause::UnknownAccount, 403, 1),
        (offer("blocked", "blocked", Some(numbers::R1), now), ReleaseCause::AccountBlocked, 403, 1),
        (postpaid, ReleaseCause::AccountBlocked, 403, 1),
        (offer("alice", "rich", None, now), ReleaseCause::InvalidNumber, 484, 0),
        (offer("unrated", "rich", Some(numbers::UNRATED), now), ReleaseCause::UnratedDestination, 403, 1),
        (nobody, ReleaseCause::UnknownPayer, 403, 0),
    ];
    for (offer, cause, status, requests) in rows {
        let call = world.offer_as(offer).await;
        assert_eq!(world.commands(&call), [Command::Refuse(cause)], "{call}");
        assert_eq!(dialogue(&world, &call).len(), requests, "{call}");
        world.event(&call, SwitchEvent::Ended(CallEnd::unanswered(now, status))).await;
        let records = world.records().await;
        let of_call: Vec<_> = records.iter().filter(|record| record.session_id == call).collect();
        let [event] = of_call[..] else { panic!("{call}: one EVENT and nothing else, not {of_call:?}") };
        let found = (event.record_type, event.release_cause, event.sip_status, event.termination_reason);
        let failed = Some(TerminationReason::Failed);
        assert_eq!(found, (RecordType::Event, Some(cause), Some(status), failed), "{call}");
    }
}

#[tokio::test(start_paused = true)]
async fn example_16_never_refused() {
    let mut world = World::new().await;
    world.core.account("empty", "0.00");
    world.core.set_reachable(false);
    let mut emergency = offer("112", "empty", Some("112"), BEGIN);
    emergency.never_refuse = true;
    let call = world.offer_as(emergency).await;
    world.answer(&call).await;
    world.driver.release(&call, ReleaseCause::Operator);
    world.zero_is_now();
    world.run_until(ms(5 * 3600)).await;
    assert_eq!(world.commands(&call), [], "nothing touches it");
    world.hang_up(&call).await;
    assert_eq!(dialogue(&world, &call), [], "no session");
    let records = world.records().await;
    let kinds: Vec<_> = records.iter().map(|record| record.record_type).collect();
    assert_eq!(kinds, [RecordType::Start, RecordType::Stop]);
    assert_eq!(records[1].duration.map(cdr_model::Seconds::ms), Some(ms(5 * 3600)));
    assert_eq!(records[1].cost, None);
}

#[tokio::test(start_paused = true)]
async fn example_17_roundness_never_depends_on_slicing() {
    for (number, talked_ms, cost) in [
        (numbers::R1, 70_000, "0.7"),
        (numbers::R1, 61_001, "0.62"),
        (numbers::COARSE, 60_000, "0.65"),
        (numbers::COARSE, 60_001, "1.25"),
    ] {
        for slice_ms in [7_000, 30_000, 500_000] {
            let mut world = World::with(|settings| settings.slice_ms = slice_ms).await;
            world.core.account("a", "100");
            let call = world.offer("c", "a", number).await;
            world.answer(&call).await;
            world.zero_is_now();
            world.run_until(talked_ms).await;
            world.hang_up(&call).await;
            let (duration_ms, _, charged, overrun_ms) = stop_figures(&world.records().await);
            assert_eq!((duration_ms, charged.as_str(), overrun_ms), (talked_ms, cost, 0), "slice {slice_ms}");
            let left = Money::from_units(100) - cost.parse().expect("an amount");
            assert_eq!(world.core.view("a").balance, left, "slice {slice_ms}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_the_core_of_20_s_drops_no_funded_call() {
    let mut world = World::with(|settings| (settings.slice_ms, settings.margin_ms) = (120_000, 30_000)).await;
    world.core.account("a", "100");
    let call = world.offer("c", "a", numbers::R1).await;
    world.answer(&call).await;
    world.zero_is_now();
    for begin in [ms(85), ms(170)] {
        world.run_until(begin).await;
        world.core.set_reachable(false);
        world.run_until(begin + ms(20)).await;
        world.core.set_reachable(true);
    }
    world.run_until(ms(600)).await;
    assert_eq!(world.released_at(&call), None);
    world.hang_up(&call).await;
    world.expect("end", "a", "94", "0");
}
