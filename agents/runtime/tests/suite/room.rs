//! New calls when there is no room: full, draining, no room for records.

use std::sync::atomic::Ordering;

use agent_call::{CallEnd, Command, SwitchEvent};
use agent_runtime::Order;
use cdr_model::RecordType;
use types::{ReleaseCause, UtcMs};

use crate::rig::{BEGIN, Rig, Setup, offer};

enum Lack {
    Places,
    Drain,
    Journal,
}

#[tokio::test(start_paused = true)]
async fn without_room_calls_are_refused_recorded_and_emergency_calls_are_not() {
    for lack in [Lack::Places, Lack::Drain, Lack::Journal] {
        let mut rig = Rig::with(Setup { maximum_calls: 2, ..Setup::default() }).await;
        rig.core.account("a", "100");
        let before = [rig.talking("one").await, rig.talking("two").await];
        match lack {
            Lack::Places => {}
            Lack::Drain => rig.driver.drain(),
            Lack::Journal => {
                rig.journal_room.store(0, Ordering::Release);
                rig.journal.measure_space().expect("measured");
            }
        }
        let refused = rig.offer("three").await;
        assert_eq!(rig.commands(&refused), [Command::Refuse(ReleaseCause::Shutdown)]);
        assert_eq!(ReleaseCause::Shutdown.sip_status(), 503);
        assert_eq!(rig.asked(&refused), [], "nothing is asked for it");
        let end = CallEnd::unanswered(UtcMs(BEGIN.0 + 1), 503);
        assert!(rig.driver.event(&refused, SwitchEvent::Ended(end)));
        rig.settle_records().await;
        assert!(rig.finished(&refused));
        assert_eq!(rig.kinds(&refused), [RecordType::Event]);

        let mut emergency = offer("112", BEGIN);
        emergency.never_refuse = true;
        let call = emergency.session_id.clone();
        rig.driver.offer(emergency);
        rig.settle().await;
        assert!(rig.commands(&call).is_empty(), "not touched");
        let answer = agent_call::Answer { at: rig.clock.now().utc, elapsed_ms: 0 };
        assert!(rig.driver.event(&call, SwitchEvent::Answered(answer)));
        rig.hang_up(&call).await;
        rig.settle_records().await;
        assert_eq!(rig.kinds(&call), [RecordType::Start, RecordType::Stop], "and recorded");
        for call in before {
            rig.hang_up(&call).await;
            rig.settle_records().await;
            assert!(rig.finished(&call), "running calls end as ever");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_place_comes_free_with_the_end_of_a_call() {
    let mut rig = Rig::with(Setup { maximum_calls: 1, ..Setup::default() }).await;
    rig.core.account("a", "100");
    let first = rig.talking("one").await;
    let second = rig.offer("two").await;
    assert_eq!(rig.commands(&second), [Command::Refuse(ReleaseCause::Shutdown)]);
    let end = CallEnd::unanswered(UtcMs(BEGIN.0 + 1), 503);
    rig.driver.event(&second, SwitchEvent::Ended(end));
    rig.hang_up(&first).await;
    rig.settle_records().await;
    let third = rig.offer("three").await;
    assert!(matches!(rig.commands(&third)[..], [Command::Admit { .. }]));
}

#[tokio::test(start_paused = true)]
async fn every_call_is_cut_at_the_millisecond_its_credit_ends() {
    let mut rig = Rig::new().await;
    rig.core.account("a", "100");
    let mut calls = Vec::new();
    for number in 0..40_u64 {
        let account = format!("own {number}");
        // Seconds of credit from 1 to 40, answered 137 ms apart.
        let cents = number + 1;
        rig.core.account(&account, &format!("0.{cents:02}"));
        let offer = tests::world::offer(&account, &account, Some(tests::world::numbers::R1), rig.clock.now().utc);
        let session = offer.session_id.clone();
        rig.driver.offer(offer);
        rig.settle().await;
        let now = rig.clock.now();
        assert!(rig.driver.event(&session, SwitchEvent::Answered(agent_call::Answer { at: now.utc, elapsed_ms: 0 })));
        rig.settle().await;
        calls.push((session, now.mono.0 + cents * 1000));
        rig.pass(137).await;
    }
    let mut released = std::collections::HashMap::new();
    let mut seen = 0;
    while released.len() < calls.len() {
        let now = rig.clock.now().mono.0;
        for order in &rig.orders[seen..] {
            if let Order::Command(session, Command::Release { attempt: 1, .. }) = order {
                released.insert(session.clone(), now);
            }
        }
        seen = rig.orders.len();
        assert!(now < 60_000, "only {} were cut", released.len());
        rig.pass(1).await;
    }
    // Those cut while others were still being answered are not timed.
    for (session, due) in calls.iter().filter(|(_, due)| *due > 40 * 137) {
        assert_eq!(released.get(session), Some(due), "{session}");
    }
}
