//! What accounts may do besides paying, and what becomes of running sessions.

use ledger::{AccountLimits, Command, DestinationClass, DestinationRule, Limit, Outcome, Policy, Refusal};
use types::charging::{
    ChargingAnswer, ChargingMode, ChargingRequest, NotificationKind, Operation, RequestedAction, ResultCode, Service,
    UnitUsage, Units,
};
use types::{Number, ReleaseCause};

use crate::desk::{Desk, cost, cut, granted, initial, key, notices, request, termination, update};
use crate::tariff::{Tariff, money, r1, r3};

const MODES: [ChargingMode; 4] =
    [ChargingMode::Prepaid, ChargingMode::Pseudoprepaid, ChargingMode::Postpaid, ChargingMode::Rated];
const MINUTE: u64 = 60_000;

/// Account `a` with much money, under `policy`.
fn desk(policy: Policy) -> Desk {
    let mut desk = Desk::with(Tariff::of(r1()), "100");
    desk.settings.policy = policy;
    desk
}

fn cost_policy(call: Option<&str>, hour: Option<&str>, day: Option<&str>) -> Policy {
    Policy {
        maximum_cost_per_call: call.map(money),
        maximum_cost_per_hour: hour.map(money),
        maximum_cost_per_day: day.map(money),
        ..Policy::default()
    }
}

fn class(name: &str, prefix: &str, rule: DestinationRule) -> DestinationClass {
    DestinationClass { class: name.into(), prefixes: vec![prefix.into()], rule }
}

#[track_caller]
fn expect_denied(answer: &ChargingAnswer) {
    let expected = (ResultCode::END_USER_SERVICE_DENIED, Some(ReleaseCause::Policy));
    assert_eq!((answer.result_code, answer.release_cause), expected, "{answer:?}");
}

fn in_mode(charging_mode: ChargingMode, request: ChargingRequest) -> ChargingRequest {
    ChargingRequest { charging_mode, ..request }
}

#[test]
fn so_many_sessions_at_once_in_every_mode() {
    for mode in MODES {
        let mut desk = desk(Policy { maximum_sessions: Some(2), ..Policy::default() });
        for session in ["s", "t"] {
            assert_eq!(granted(&desk.answer(&in_mode(mode, initial(session, 30)))), (30_000, false));
        }
        let denied = desk.charge(&in_mode(mode, initial("u", 30)));
        expect_denied(&denied.answer);
        assert_eq!(denied.denial.map(ledger::Denial::as_str), Some("policy_sessions"));
        desk.answer(&in_mode(mode, termination("s", 1, 1000)));
        let copy = desk.charge(&in_mode(mode, initial("u", 30)));
        assert_eq!((copy.answer, copy.replayed), (denied.answer, true), "denied under its key, cause and all");
        assert_eq!(granted(&desk.answer(&in_mode(mode, initial("v", 30)))), (30_000, false));
    }
}

#[test]
fn so_many_new_sessions_in_a_minute() {
    for mode in MODES {
        let mut desk = desk(Policy { maximum_new_sessions_per_minute: Some(2), ..Policy::default() });
        desk.answer(&in_mode(mode, initial("s", 30)));
        desk.at(30_000).answer(&in_mode(mode, initial("t", 30)));
        expect_denied(&desk.at(59_999).answer(&in_mode(mode, initial("u", 30))));
        assert_eq!(desk.at(60_000).answer(&in_mode(mode, initial("v", 30))).result_code, ResultCode::SUCCESS);
        expect_denied(&desk.at(89_999).answer(&in_mode(mode, initial("w", 30))));
        assert_eq!(desk.at(90_000).answer(&in_mode(mode, initial("x", 30))).result_code, ResultCode::SUCCESS);
    }
}

#[test]
fn a_session_ends_where_it_has_cost_what_it_may() {
    for mode in MODES {
        let mut desk = desk(cost_policy(Some("0.45"), None, None));
        let answer = desk.answer(&in_mode(mode, initial("s", 30)));
        assert_eq!((granted(&answer), answer.release_cause), ((30_000, false), None), "{mode:?}");
        let answer = desk.answer(&in_mode(mode, update("s", 1, 25_000, 30)));
        assert_eq!((granted(&answer), answer.release_cause), ((20_000, true), Some(ReleaseCause::Policy)), "{mode:?}");
        let answer = desk.answer(&in_mode(mode, update("s", 2, 20_000, 30)));
        assert_eq!(answer.units[0].result_code, ResultCode::END_USER_SERVICE_DENIED, "{mode:?}");
        assert_eq!(answer.release_cause, Some(ReleaseCause::Policy));
        // Our cut for the policy's sake has the same tolerance as one for lack of credit.
        let end = ChargingRequest { release_cause: Some(ReleaseCause::Policy), ..termination("s", 3, 900) };
        assert_eq!(cost(&desk.answer(&in_mode(mode, end))).0, "0.45", "{mode:?}");
    }
    let mut desk = desk(cost_policy(Some("0.009"), None, None));
    expect_denied(&desk.answer(&initial("s", 30)));
    let mut poor = Desk::with(Tariff::of(r1()), "0.20");
    poor.settings.policy = cost_policy(Some("0.45"), None, None);
    let answer = poor.answer(&initial("s", 30));
    assert_eq!((granted(&answer), answer.release_cause), ((20_000, true), None), "the credit ends before the rule");
}

#[test]
fn the_hour_counts_sessions_together_and_slides() {
    for mode in MODES {
        let mut desk = desk(cost_policy(None, Some("1.00"), None));
        desk.answer(&in_mode(mode, initial("s", 30)));
        desk.answer(&in_mode(mode, termination("s", 1, 50_000)));
        // 0.50 spent; A may use 0.30 of its grant, so 0.20 are left for B.
        assert_eq!(granted(&desk.at(10 * MINUTE).answer(&in_mode(mode, initial("A", 30)))), (30_000, false));
        let answer = desk.answer(&in_mode(mode, initial("B", 30)));
        assert_eq!((granted(&answer), answer.release_cause), ((20_000, true), Some(ReleaseCause::Policy)), "{mode:?}");
        expect_denied(&desk.answer(&in_mode(mode, initial("C", 30))));
        desk.answer(&in_mode(mode, termination("A", 1, 0)));
        let answer = desk.answer(&in_mode(mode, update("B", 1, 20_000, 60)));
        assert_eq!(granted(&answer), (30_000, true), "{mode:?}: what A left over");
        desk.answer(&in_mode(mode, termination("B", 2, 30_000)));
        expect_denied(&desk.at(60 * MINUTE - 1).answer(&in_mode(mode, initial("D", 30))));
        let answer = desk.at(60 * MINUTE).answer(&in_mode(mode, initial("E", 60)));
        assert_eq!(granted(&answer), (50_000, true), "{mode:?}: the first 0.50 are an hour ago");
    }
}

#[test]
fn the_day_is_the_tenants_and_fixed() {
    let mut desk = desk(cost_policy(None, None, Some("0.40")));
    desk.answer(&initial("s", 30));
    desk.answer(&termination("s", 1, 30_000));
    assert_eq!(granted(&desk.answer(&initial("t", 30))), (10_000, true));
    desk.answer(&termination("t", 1, 10_000));
    let midnight = 12 * 60 * MINUTE;
    expect_denied(&desk.at(midnight - 1).answer(&initial("u", 30)));
    assert_eq!(granted(&desk.at(midnight).answer(&initial("v", 30))), (30_000, false));
    // A tenant two hours east has its midnight at 22:00 UTC.
    let mut desk = self::desk(cost_policy(None, None, Some("0.30")));
    desk.tariff.east_ms = 2 * 3_600_000;
    desk.answer(&initial("s", 30));
    desk.answer(&termination("s", 1, 30_000));
    expect_denied(&desk.at(10 * 60 * MINUTE - 1).answer(&initial("t", 30)));
    assert_eq!(granted(&desk.at(10 * 60 * MINUTE).answer(&initial("u", 30))), (30_000, false));
}

#[test]
fn classes_of_destinations() {
    let destinations = vec![
        class("premium", "+49900", DestinationRule::Denied),
        class("satellite", "+88", DestinationRule::MaximumCostPerCall(money("0.10"))),
    ];
    for mode in MODES {
        let mut desk = desk(Policy {
            destinations: destinations.clone(),
            maximum_cost_per_call: Some(money("0.20")),
            ..Policy::default()
        });
        let to = |session: &str, called: &str| ChargingRequest {
            called: Some(Number::from(called)),
            charging_mode: mode,
            ..initial(session, 30)
        };
        expect_denied(&desk.answer(&to("s", "+499001")));
        assert_eq!(granted(&desk.answer(&to("t", "+8816"))), (10_000, true), "{mode:?}");
        assert_eq!(granted(&desk.answer(&to("u", "+4930"))), (20_000, true));
        // An account's own rule for a class.
        let destinations =
            vec![("premium".into(), DestinationRule::Allowed), ("satellite".into(), DestinationRule::Denied)];
        let limits = Box::new(AccountLimits {
            destinations,
            maximum_cost_per_call: Limit::Unlimited,
            ..AccountLimits::default()
        });
        desk.run(&Command::SetLimits { account: key("a"), limits });
        let abort = NotificationKind::Abort(ReleaseCause::Policy);
        let told = desk.books.notifications(&"agent-1".into());
        let told: Vec<_> = told.iter().map(|one| (one.session_id.as_str(), one.kind)).collect();
        assert_eq!(told, [("t", abort)], "{mode:?}: what is not allowed any more is ended");
        let answer =
            desk.answer(&in_mode(mode, ChargingRequest { called: Some("+8816".into()), ..update("t", 1, 5000, 30) }));
        assert_eq!(
            (answer.units[0].result_code, answer.release_cause),
            (ResultCode::END_USER_SERVICE_DENIED, Some(ReleaseCause::Policy))
        );
        assert_eq!(granted(&desk.answer(&to("v", "+499001"))), (30_000, false));
        expect_denied(&desk.answer(&to("w", "+8816")));
    }
}

#[test]
fn events_obey_too() {
    let message = |session: &str, called: &str| ChargingRequest {
        requested_action: Some(RequestedAction::DirectDebit),
        service: Service::Sms,
        called: Some(Number::from(called)),
        answer_time: None,
        units: vec![UnitUsage {
            requested: Some(Units { specific_units: Some(10_000), ..Units::default() }),
            ..UnitUsage::default()
        }],
        ..request(session, 0, Operation::Event)
    };
    let mut desk = desk(Policy {
        destinations: vec![class("premium", "+49900", DestinationRule::Denied)],
        maximum_new_sessions_per_minute: Some(3),
        maximum_cost_per_hour: Some(money("0.25")),
        maximum_sessions: Some(0),
        ..Policy::default()
    });
    expect_denied(&desk.answer(&message("m1", "+499001")));
    for session in ["m2", "m3"] {
        assert_eq!(cost(&desk.answer(&message(session, "+4930"))).0, "0.1", "an event is not open");
    }
    let denied = desk.charge(&message("m4", "+4930"));
    assert_eq!(denied.denial.map(ledger::Denial::as_str), Some("policy_cost_per_hour"));
    desk.expect("a", "99.80", "0");
    // A refund takes its cost out of the hour.
    let refund = ChargingRequest {
        requested_action: Some(RequestedAction::Refund),
        request_number: 1,
        ..message("m2", "+4930")
    };
    desk.answer(&refund);
    assert_eq!(cost(&desk.answer(&message("m5", "+4930"))).0, "0.1");
    expect_denied(&desk.answer(&message("m6", "+4930")));
    assert_eq!(desk.charge(&message("m7", "+4930")).denial.map(ledger::Denial::as_str), Some("policy_velocity"));
}

#[test]
fn lower_limits_end_what_they_do_not_allow() {
    let limits =
        |hour: &str| AccountLimits { maximum_cost_per_hour: Limit::Is(money(hour)), ..AccountLimits::default() };
    let mut desk = desk(cost_policy(None, Some("5"), None));
    desk.answer(&initial("s", 30));
    desk.answer(&update("s", 1, 25_000, 30));
    desk.answer(&initial("t", 30));
    let set = |limits| Command::SetLimits { account: key("a"), limits: Box::new(limits) };
    let Outcome::Limits(view) = desk.run(&set(limits("0.85"))) else { panic!("no limits") };
    let figures = (view.cost_last_hour, view.pledged, view.cost_today, view.open_sessions);
    assert_eq!(figures, (money("0.25"), money("0.60"), money("0.25"), 2));
    assert!(desk.books.notifications(&"agent-1".into()).is_empty(), "what is spent and granted still fits");
    desk.run(&set(limits("0.84")));
    assert_eq!(desk.books.notifications(&"agent-1".into()).len(), 2);
    desk.run(&set(limits("0.80")));
    assert_eq!(desk.books.notifications(&"agent-1".into()).len(), 2, "told once");
    // The classes must be there, and amounts make sense.
    let unknown =
        AccountLimits { destinations: vec![("x".into(), DestinationRule::Denied)], ..AccountLimits::default() };
    for senseless in [unknown, limits("-1")] {
        assert_eq!(desk.run(&set(senseless)), Outcome::Refused(Refusal::InvalidLimits));
    }
    let nobody = Command::SetLimits { account: key("b"), limits: Box::default() };
    assert_eq!(desk.run(&nobody), Outcome::Refused(Refusal::UnknownAccount));
}

#[test]
fn overrun_of_one_ends_the_others() {
    let mut desk = desk(cost_policy(None, Some("1.00"), None));
    desk.answer(&initial("s", 30));
    desk.answer(&initial("t", 60));
    let answer = desk.answer(&termination("s", 1, 41_000));
    assert_eq!(notices(&answer), [("t".into(), NotificationKind::Abort(ReleaseCause::Policy))]);
    desk.answer(&cut("t", 1, 20_000));
    assert!(desk.books.notifications(&"agent-1".into()).is_empty());
}

#[test]
fn an_account_may_have_more_than_the_default() {
    let mut desk =
        desk(Policy { maximum_sessions: Some(1), maximum_cost_per_call: Some(money("0.10")), ..Policy::default() });
    let limits = Box::new(AccountLimits {
        maximum_sessions: Limit::Is(2),
        maximum_cost_per_call: Limit::Unlimited,
        ..AccountLimits::default()
    });
    desk.run(&Command::SetLimits { account: key("a"), limits });
    for session in ["s", "t"] {
        assert_eq!(granted(&desk.answer(&initial(session, 30))), (30_000, false));
    }
    expect_denied(&desk.answer(&initial("u", 30)));
    desk.run(&Command::SetLimits { account: key("a"), limits: Box::default() });
    let view = ledger::limits(&desk.books, &desk.tariff, &desk.settings, &key("a"), desk.now);
    assert_eq!(view.map(|view| (view.effective.maximum_sessions, view.open_sessions)), Some((Some(1), 2)));
    assert!(
        desk.books.notifications(&"agent-1".into()).iter().any(|one| one.session_id.as_str() == "t"),
        "too dear now"
    );
}

#[test]
fn a_block_for_fraud_says_so() {
    let mut desk = desk(Policy::default());
    desk.answer(&initial("s", 30));
    let block = Command::BlockFor { account: key("a"), cause: ReleaseCause::Fraud };
    desk.run(&block);
    let abort = NotificationKind::Abort(ReleaseCause::Fraud);
    let answer = desk.answer(&update("s", 1, 1000, 30));
    assert_eq!((notices(&answer), answer.release_cause), (vec![("s".into(), abort)], Some(ReleaseCause::Fraud)));
    let denied = desk.answer(&initial("t", 30));
    assert_eq!(
        (denied.result_code, denied.release_cause),
        (ResultCode::END_USER_SERVICE_DENIED, Some(ReleaseCause::Fraud))
    );
    let before = desk.log.len();
    desk.run(&block);
    assert_eq!(desk.log.len(), before, "blocked already");
    desk.run(&Command::Unblock(key("a")));
    desk.run(&Command::Block(key("a")));
    assert_eq!(desk.answer(&initial("u", 30)).release_cause, None, "4010 says it");
}

#[test]
fn coarse_increments_stay_below_the_limit() {
    let mut desk = Desk::with(Tariff::of(r3()), "100");
    desk.settings.policy = cost_policy(Some("1.30"), None, None);
    assert_eq!(granted(&desk.answer(&initial("s", 600))), (120_000, true));
    let answer = desk.answer(&termination("s", 1, 120_000));
    assert_eq!(cost(&answer).0, "1.25");
}
