//! Notifications: who is told, how often, until when.

use types::charging::NotificationKind;
use types::{ClientId, ReleaseCause};

use crate::desk::{Desk, initial, key, notices, termination, update};
use crate::tariff::{PLAN_VERSION, Tariff, r1};
use ledger::{Command, Outcome, Refusal};

fn pending(desk: &Desk) -> Vec<(u64, String)> {
    let all = desk.books.notifications(&ClientId::from("agent-1"));
    all.into_iter().map(|one| (one.sequence, one.session_id.to_string())).collect()
}

#[test]
fn only_sessions_that_are_short_are_told_of_credit() {
    let mut desk = Desk::with(Tariff::of(r1()), "0.45");
    desk.answer(&initial("full", 30));
    desk.answer(&initial("short", 30));
    desk.top_up("a", "0.01");
    assert_eq!(pending(&desk), [(1, "short".into())]);
    desk.top_up("a", "0.01");
    assert_eq!(pending(&desk), [(2, "short".into())], "a newer one says it all");
    desk.answer(&update("short", 1, 1000, 30));
    assert_eq!(pending(&desk), [], "the report was what it asked for");
}

#[test]
fn open_sessions_of_another_tariff_are_told_of_the_new_one_until_they_report() {
    let mut desk = Desk::with(Tariff::of(r1()), "9.00");
    for id in ["ended", "reports", "silent"] {
        desk.answer(&initial(id, 30));
    }
    desk.answer(&termination("ended", 1, 1000));
    let in_force_since = desk.at(5_000).now;
    let of_another = |desk: &Desk, version| {
        let found = desk.books.open_with_other_tariff(version, in_force_since);
        found.map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(of_another(&desk, PLAN_VERSION), Vec::<String>::new(), "it rated them all");
    assert_eq!(of_another(&desk, PLAN_VERSION + 1), ["reports", "silent"]);
    let all = ["ended", "reports", "unknown", "silent"].map(|id| id.into()).to_vec();
    assert_eq!(desk.at(6_000).run(&Command::Reauthorize(all)), Outcome::Done);
    assert_eq!(
        pending(&desk),
        [(1, "reports".into()), (2, "silent".into())],
        "also those with all the credit they asked for"
    );
    desk.answer(&update("reports", 1, 6000, 30));
    assert_eq!(pending(&desk), [(2, "silent".into())]);
    assert_eq!(of_another(&desk, PLAN_VERSION + 1), ["silent"]);
}

#[test]
fn a_top_up_that_only_covers_debt_tells_nobody() {
    let mut desk = Desk::with(Tariff::of(r1()), "0.40");
    desk.answer(&initial("short", 60));
    desk.answer(&update("short", 1, 60_000, 30));
    desk.expect("a", "-0.20", "0");
    desk.top_up("a", "0.20");
    assert_eq!(pending(&desk), []);
    desk.top_up("a", "0.01");
    assert_eq!(pending(&desk).len(), 1);
}

#[test]
fn expiry_and_smaller_grants_free_credit_for_others() {
    let mut desk = Desk::with(Tariff::of(r1()), "0.45");
    desk.answer(&initial("A", 30));
    desk.at(200_000).answer(&initial("B", 30));
    assert_eq!(desk.at(270_000).sweep(), ["A".into()]);
    assert_eq!(pending(&desk), [(1, "B".into())]);
    desk.answer(&update("B", 1, 1000, 30));
    desk.answer(&initial("C", 60));
    // B asks for less than it had: C, which was cut short, may ask again.
    desk.answer(&update("B", 2, 1000, 5));
    assert_eq!(pending(&desk), [(2, "C".into())]);
}

#[test]
fn notifications_are_repeated_until_confirmed() {
    let mut desk = Desk::with(Tariff::of(r1()), "1.00");
    desk.answer(&initial("s", 30));
    desk.answer(&initial("other", 30));
    let release = |id: &str| Command::Release { session_id: id.into(), cause: ReleaseCause::Operator };
    assert_eq!(desk.run(&release("s")), Outcome::Done);
    assert_eq!(desk.run(&release("x")), Outcome::Refused(Refusal::UnknownSession));
    let abort = ("s".to_owned(), NotificationKind::Abort(ReleaseCause::Operator));
    for number in 1..3 {
        assert_eq!(notices(&desk.answer(&update("other", number, 1000, 30))), std::slice::from_ref(&abort));
    }
    let confirm = |client: &str, through| Command::ConfirmNotifications { client_id: client.into(), through };
    desk.run(&confirm("agent-2", 1));
    desk.run(&confirm("agent-1", 0));
    assert_eq!(pending(&desk).len(), 1);
    desk.run(&confirm("agent-1", 1));
    assert_eq!(notices(&desk.answer(&update("other", 3, 1000, 30))), []);
    // A released session is still charged to its end.
    desk.answer(&termination("s", 1, 7000));
    desk.answer(&termination("other", 4, 0));
    desk.expect("a", "0.90", "0");
}

#[test]
fn an_answer_carries_a_bounded_number_and_the_oldest_first() {
    let mut desk = Desk::with(Tariff::of(r1()), "10");
    desk.settings.notifications_per_answer = 2;
    for session in ["c", "b", "a"] {
        desk.answer(&initial(session, 30));
        desk.run(&Command::Release { session_id: session.into(), cause: ReleaseCause::Fraud });
    }
    let seen: Vec<_> = desk.answer(&initial("z", 30)).notifications.into_iter().map(|one| one.sequence).collect();
    assert_eq!(seen, [1, 2]);
    desk.run(&Command::Block(key("a")));
    assert_eq!(pending(&desk).len(), 4, "one abort a session");
}
