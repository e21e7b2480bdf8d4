//! Plans and questions that nobody means: each has a defined answer or a typed error, never a panic or a wrapped number.

use rating::{Plan, PlanOptions, PriceError, Problem, Query, Refusal, Rounding, Table, Tables};
use types::charging::Service;
use types::{Currency, Money};

fn tables(rates: &str) -> Tables {
    Tables {
        timings: "DAY,*any,*any,*any,*any,08:00:00;17:59:59\nFROM8,*any,*any,*any,*any,08:00:00\n".into(),
        destinations: "D,49\n".into(),
        rates: rates.into(),
        destination_rates: "D,D,R,*up,4,,\n".into(),
        rating_plans: "P,D,*any,10\n".into(),
        rating_profiles: "t,call,anna,,P,\n".into(),
    }
}

fn options() -> PlanOptions {
    PlanOptions::from("EUR".parse::<Currency>().expect("a currency"))
}

fn plan(tables: &Tables) -> Plan {
    Plan::from_tables(tables, options()).unwrap_or_else(|errors| panic!("{errors}"))
}

fn problems(tables: &Tables) -> Vec<(Table, Problem)> {
    let errors = Plan::from_tables(tables, options()).map(|plan| plan.version()).expect_err("faults");
    errors.faults().iter().map(|fault| (fault.table, fault.problem)).collect()
}

fn at(start: &str, service: Service) -> Query<'static> {
    let start = start.parse().expect("a time");
    Query { service, tenant: "t", category: "call", subject: "anna", destination: "4930", start }
}

fn money(text: &str) -> Money {
    text.parse().expect("an amount")
}

const NOON: &str = "2026-11-20T12:00:00Z";

#[test]
fn a_time_without_a_rate_refuses_a_call_that_begins_in_it_but_ends_none() {
    let mut tables = tables("R,0,0.01,1s,1s,0s\n");
    tables.rating_plans = "P,D,DAY,10\n".into();
    let plan = plan(&tables);
    for start in ["2026-11-20T07:59:59.999Z", "2026-11-20T18:00:00Z"] {
        let refusal = plan.resolve(&at(start, Service::Voice)).err();
        assert_eq!(refusal, Some(Refusal::UnauthorizedDestination), "{start}");
    }
    // who was let in goes on at the last rate: through the night, and into the next day
    let rated = plan.resolve(&at("2026-11-20T17:59:50Z", Service::Voice)).expect("a price");
    assert_eq!(rated.price(20_000, Rounding::Final), money("0.20"));
    assert_eq!(rated.price(86_400_000, Rounding::Final), money("864"));
}

#[test]
fn a_rate_that_does_not_begin_at_0_is_refused() {
    let plan = plan(&tables("R,0,0.01,1s,1s,60s\n"));
    assert_eq!(plan.resolve(&at(NOON, Service::Voice)).err(), Some(Refusal::IncompleteRate));
    assert!(plan.warnings().iter().any(|warning| warning.problem == Problem::NoFirstGroup));
}

#[test]
fn units_of_zero_or_less_are_faults() {
    for (row, problem) in [
        ("R,0,0.01,0,1s,0s", Problem::Zero),
        ("R,0,0.01,1s,0,0s", Problem::Zero),
        ("R,0,0.01,-1s,1s,0s", Problem::Duration),
        ("R,0,0.01,1s,-5,0s", Problem::Duration),
        ("R,0,0.01,1s,1s,-60s", Problem::Duration),
        ("R,-0.1,0.01,1s,1s,0s", Problem::Negative),
        ("R,0,-0.01,1s,1s,0s", Problem::Negative),
    ] {
        let found = problems(&tables(&format!("{row}\n")));
        assert!(found.contains(&(Table::Rates, problem)), "{row}: {found:?}");
    }
}

#[test]
fn timings_that_overlap_with_equal_weight_are_a_fault_unless_their_prices_are_alike() {
    let mut overlapping = tables("R,0,0.01,1s,1s,0s\nS,0,0.02,1s,1s,0s\n");
    overlapping.destination_rates += "E,D,S,*up,4,,\n";
    overlapping.rating_plans = "P,D,DAY,10\nP,E,FROM8,10\n".into();
    assert_eq!(problems(&overlapping), [(Table::RatingPlans, Problem::Ambiguous { line: 1 })]);
    overlapping.rating_plans = "P,D,DAY,20\nP,E,FROM8,10\n".into();
    let price =
        |start| plan(&overlapping).resolve(&at(start, Service::Voice)).map(|rated| rated.price(1000, Rounding::Final));
    assert_eq!(price("2026-11-20T17:59:59Z"), Ok(money("0.01")));
    assert_eq!(price("2026-11-20T18:00:00Z"), Ok(money("0.02")));
    overlapping.destination_rates = overlapping.destination_rates.replace("E,D,S", "E,D,R");
    overlapping.rating_plans = "P,D,DAY,10\nP,E,FROM8,10\n".into();
    assert_eq!(plan(&overlapping).resolve(&at(NOON, Service::Voice)).map(|rated| rated.rate_id()), Ok("R"));
}

#[test]
fn fallbacks_that_refer_to_each_other_end() {
    let mut cyclic = tables("R,0,0.01,1s,1s,0s\n");
    cyclic.destinations += "E,44\n";
    cyclic.destination_rates += "E,E,R,*up,4,,\n";
    cyclic.rating_plans += "Q,E,*any,10\n";
    // everybody falls back to everybody: 100 subjects, as deep as can be
    let names: Vec<String> = (0..100).map(|name| format!("s{name}")).collect();
    cyclic.rating_profiles = names.iter().map(|name| format!("t,call,{name},,Q,{}\n", names.join(";"))).collect();
    cyclic.rating_profiles += &format!("t,call,anna,,Q,{}\n", names.join(";"));
    let deep = PlanOptions { fallback_depth: 255, ..options() };
    let plan = Plan::from_tables(&cyclic, deep).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(plan.resolve(&at(NOON, Service::Voice)).err(), Some(Refusal::UnauthorizedDestination));
}

#[test]
fn a_profile_met_too_deep_is_looked_at_again_on_a_shorter_way() {
    // anna falls back to b and then to c; b leads to c one step deeper, where c's own fallback would be too deep
    let mut tables = tables("R,0,0.01,1s,1s,0s\n");
    tables.destinations += "E,44\n";
    tables.destination_rates += "E,E,R,*up,4,,\n";
    tables.rating_plans += "Q,E,*any,10\n";
    tables.rating_profiles = "t,call,anna,,Q,b;c\nt,call,b,,Q,c\nt,call,c,,Q,d\nt,call,d,,P,\n".into();
    let plan = plan(&tables);
    assert_eq!(plan.resolve(&at(NOON, Service::Voice)).map(|rated| rated.subject()), Ok("d"));
    let shallow = Plan::from_tables(&tables, PlanOptions { fallback_depth: 2, ..options() }).expect("a plan");
    assert_eq!(shallow.resolve(&at(NOON, Service::Voice)).err(), Some(Refusal::UnauthorizedDestination));
}

#[test]
fn a_subject_may_be_found_by_its_beginning() {
    let mut tables = tables("R,0,0.01,1s,1s,0s\n");
    tables.rating_profiles = "t,call,an,,P,\nt,call,*any,,P,\n".into();
    let subject = |options| {
        Plan::from_tables(&tables, options)
            .map(|plan| plan.resolve(&at(NOON, Service::Voice)).map(|rated| rated.subject().to_owned()))
    };
    assert_eq!(subject(options()), Ok(Ok("*any".to_owned())));
    assert_eq!(subject(PlanOptions { subject_prefix_matching: true, ..options() }), Ok(Ok("an".to_owned())));
}

#[test]
fn a_million_million_units_cost_what_they_cost() {
    let plan = plan(&tables("R,0,0.000000001,3,7,0\n"));
    let rated = plan.resolve(&at(NOON, Service::Data)).expect("a price");
    // 142,857,142,858 steps of 7 units at a third of a nano unit a unit
    assert_eq!(rated.billable(1_000_000_000_000), 1_000_000_000_006);
    assert_eq!(rated.price(1_000_000_000_000, Rounding::Running).nanos(), 333_333_400_000);
    let mut fine = tables("R,0,0.000000001,3,7,0\n");
    fine.destination_rates = "D,D,R,*up,9,,\n".into();
    let fine = self::plan(&fine);
    let rated = fine.resolve(&at(NOON, Service::Data)).expect("a price");
    assert_eq!(rated.price(1_000_000_000_000, Rounding::Final).nanos(), 333_333_333_336);
    assert_eq!(rated.max_usage(0, u64::MAX, Money::from_nanos(333_333_333_336)), 1_000_000_000_006);
}

#[test]
fn a_price_beyond_the_amounts_is_a_typed_error_or_their_limit() {
    let plan = plan(&tables("R,0,1000000000000000,1,1,0\n"));
    let rated = plan.resolve(&at(NOON, Service::Data)).expect("a price");
    assert_eq!(rated.quote(1).map(|quote| quote.price), Ok(Money::LIMIT));
    for usage in [2, 1_000_000_000_000, u64::MAX] {
        assert_eq!(rated.quote(usage), Err(PriceError::TooLarge), "{usage}");
        assert_eq!(rated.price(usage, Rounding::Running), Money::LIMIT, "{usage}");
        assert_eq!(rated.price(usage, Rounding::Final), Money::LIMIT, "{usage}");
        assert!(!rated.explain(usage).is_empty());
    }
    assert_eq!(rated.max_usage(0, u64::MAX, money("999999999999999")), 0);
    // an increment that costs more than any amount is no rate at all
    let found = problems(&tables("R,0,1000000000000000,1,2,0\n"));
    assert_eq!(found, [(Table::Rates, Problem::TooLarge)]);
}
