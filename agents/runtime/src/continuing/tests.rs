//! Whose call may go on, row by row.

use std::sync::Arc;

use agent_call::{CallEnd, CallSettings, Input, SwitchEvent};
use cdr_model::{CallDirection, SipData};
use types::charging::{
    ChargingMode, FailureHandling, FinalUnit, FinalUnitAction, ResultCode, Service, UnitAnswer, Units,
};
use types::{ClientId, EndedBy, Now, UtcMs};

use super::*;

const HOUR: u64 = 3_600_000;

fn offer(tenant: &str, payer: Option<&str>, called: Option<&str>) -> CallOffer {
    CallOffer {
        call_id: "c".into(),
        session_id: "s".into(),
        leg_id: "l".into(),
        parent_leg_id: None,
        tenant: tenant.into(),
        payer: payer.map(SubscriberId::account),
        charging_mode: ChargingMode::Prepaid,
        service: Service::Voice,
        category: "call".into(),
        subject: None,
        calling: None,
        called: called.map(Into::into),
        dialled: "0049301234567".into(),
        offered: UtcMs(0),
        never_refuse: false,
        direction: CallDirection::MobileOriginated,
        sip: SipData::default(),
        node: "n".into(),
        trunk: None,
    }
}

/// A call of account `a` to Germany.
fn ours() -> CallOffer {
    offer("t", Some("a"), Some("+49301234567"))
}

const fn at(mono_ms: u64) -> Now {
    Now { mono: MonoMs(mono_ms), utc: UtcMs(0) }
}

/// Offered; its INITIAL has no answer.
fn asking(offer: CallOffer) -> CallMachine {
    let settings =
        CallSettings { on_core_failure: FailureHandling::Continue, ..CallSettings::new(ClientId::from("agent")) };
    CallMachine::offer(Arc::new(settings), offer, at(0), &mut Vec::new())
}

/// The same, going on without one.
fn going_on(offer: CallOffer) -> CallMachine {
    let mut call = asking(offer);
    call.accept(at(0), Input::Continue { longest_ms: 600_000 }, &mut Vec::new());
    assert!(call.is_continued());
    call
}

fn over(offer: CallOffer) -> CallMachine {
    let mut call = going_on(offer);
    let end = CallEnd::normal(UtcMs(0), EndedBy::Caller);
    call.accept(at(0), Input::Switch(SwitchEvent::Ended(end)), &mut Vec::new());
    call
}

/// What the core says: of the request, of its unit; granted how much, and was that the last?
fn says(code: ResultCode, unit: ResultCode, granted_ms: Option<u64>, last: bool) -> ChargingAnswer {
    let mut answer = ChargingAnswer::refusal("s".into(), 0, code);
    answer.units = vec![UnitAnswer {
        rating_group: 0,
        service_identifier: None,
        result_code: unit,
        granted: granted_ms.map(Units::time),
        validity_time_ms: None,
        quota_threshold: None,
        quota_holding_time_ms: None,
        tariff_time_change: None,
        final_unit: last.then(|| FinalUnit { action: FinalUnitAction::Terminate, redirect: None, filters: Vec::new() }),
        billable: 0,
    }];
    answer
}

fn good() -> ChargingAnswer {
    says(ResultCode::SUCCESS, ResultCode::SUCCESS, Some(30_000), false)
}

#[test]
fn the_last_word_for_an_account_counts() {
    use ResultCode as Code;
    let end = says(Code::SUCCESS, Code::SUCCESS, None, false);
    let last = says(Code::SUCCESS, Code::SUCCESS, Some(5_000), true);
    let denied = says(Code::CREDIT_LIMIT_REACHED, Code::CREDIT_LIMIT_REACHED, None, false);
    let blocked = says(Code::SUCCESS, Code::END_USER_SERVICE_DENIED, None, true);
    let nothing_more = says(Code::SUCCESS, Code::CREDIT_LIMIT_REACHED, None, true);
    // Refused by its code alone, without a word of a last grant: so is a group beside others that are granted something.
    let unit_refused = says(Code::SUCCESS, Code::CREDIT_LIMIT_REACHED, None, false);
    let mut one_of_two = good();
    one_of_two.units.extend(unit_refused.units.clone());
    let no_unit_named = ChargingAnswer::refusal("s".into(), 1, Code::UNKNOWN_SESSION);
    for (name, words, goes_on) in [
        ("nothing was said", vec![], false),
        ("a grant", vec![good()], true),
        ("a grant, and the end of the call", vec![good(), end.clone()], true),
        ("only the end of a call", vec![end], false),
        ("the last of the credit", vec![good(), last.clone()], false),
        ("a denial", vec![good(), denied], false),
        ("blocked in mid-call", vec![good(), blocked], false),
        ("nothing more in mid-call", vec![good(), nothing_more], false),
        ("a unit refused", vec![good(), unit_refused], false),
        ("one of two units refused", vec![good(), one_of_two.clone()], false),
        ("one of two units refused from the beginning", vec![one_of_two], false),
        ("a denial that names no unit", vec![good(), no_unit_named], false),
        ("credit came back", vec![good(), last, good()], true),
    ] {
        let mut continuing = Continuing::new(ContinueLimits::default());
        for word in words {
            continuing.call_answered(&ours(), &word, MonoMs(0));
        }
        let longest_ms = continuing.longest_call_ms(&asking(ours()), [].iter(), MonoMs(1));
        assert_eq!(longest_ms, if goes_on { 600_000 } else { 0 }, "{name}");
    }
}

#[test]
fn another_account_another_tenant_another_number() {
    let limits = ContinueLimits { recent_ms: HOUR, never: vec!["+882".into(), "+4930".into()], ..Default::default() };
    for (name, payer, now, longest_ms) in [
        ("at the limit of recent", offer("t", Some("a"), Some("+491")), HOUR, 600_000),
        ("too long ago", offer("t", Some("a"), Some("+491")), HOUR + 1, 0),
        ("another account", offer("t", Some("b"), Some("+491")), 1, 0),
        ("another tenant", offer("u", Some("a"), Some("+491")), 1, 0),
        ("nobody pays", offer("t", None, Some("+491")), 1, 0),
        ("no number", offer("t", Some("a"), None), 1, 0),
        ("fraud's number", offer("t", Some("a"), Some("+88216")), 1, 0),
        ("another of them", offer("t", Some("a"), Some("+49301")), 1, 0),
        ("only like one", offer("t", Some("a"), Some("+49882")), 1, 600_000),
    ] {
        let mut continuing = Continuing::new(limits.clone());
        continuing.call_answered(&offer("t", Some("a"), Some("+491")), &good(), MonoMs(0));
        assert_eq!(continuing.longest_call_ms(&asking(payer), [].iter(), MonoMs(now)), longest_ms, "{name}");
    }
}

#[test]
fn so_many_calls_of_an_account_at_once() {
    let of_another = || going_on(offer("t", Some("b"), Some("+491")));
    let of_another_tenant = || going_on(offer("u", Some("a"), Some("+491")));
    for (name, limit, others, goes_on) in [
        ("none", 2, vec![], true),
        ("one of two", 2, vec![going_on(ours())], true),
        ("two of two", 2, vec![going_on(ours()), going_on(ours())], false),
        ("those with an answer do not count", 2, vec![asking(ours()), asking(ours()), asking(ours())], true),
        ("those that are over do not count", 1, vec![over(ours()), over(ours())], true),
        ("nor those of others", 1, vec![of_another(), of_another_tenant()], true),
        ("no call at all", 0, vec![], false),
    ] {
        let mut continuing = Continuing::new(ContinueLimits { calls_per_account: limit, ..Default::default() });
        continuing.call_answered(&ours(), &good(), MonoMs(0));
        let longest_ms = continuing.longest_call_ms(&asking(ours()), others.iter(), MonoMs(1));
        assert_eq!(longest_ms > 0, goes_on, "{name}");
    }
}

#[test]
fn what_is_remembered_is_bounded_and_the_old_make_room() {
    let mut continuing = Continuing::new(ContinueLimits { recent_ms: HOUR, ..Default::default() });
    let account = |number: usize| offer("t", Some(&format!("a{number}")), Some("+491"));
    for number in 0..REMEMBERED {
        continuing.call_answered(&account(number), &good(), MonoMs(if number < 10 { 0 } else { HOUR / 2 }));
    }
    continuing.call_answered(&account(REMEMBERED), &good(), MonoMs(HOUR / 2 - 1));
    assert_eq!(continuing.good.len(), REMEMBERED, "nobody is old enough");
    continuing.call_answered(&account(REMEMBERED), &good(), MonoMs(HOUR / 2));
    assert_eq!(continuing.good.len(), REMEMBERED - 10 + 1, "ten were");
    let longest_ms = continuing.longest_call_ms(&asking(account(REMEMBERED)), [].iter(), MonoMs(HOUR / 2));
    assert_eq!(longest_ms, 600_000);
}
