//! Prices worked out by hand.

use rating::{Plan, PlanOptions, Query, Rated, Refusal, Rounding, Tables};
use types::charging::Service;
use types::{Currency, Money, UtcMs};

const RATES: &str = "
R1,0,0.01,1s,1s,0s
MINUTE,0.05,0.60,60s,60s,0s
FINE,0,0.02,60s,1s,0s
THIRD,0,0.01,60s,1s,0s
FINE60,0,0.02,60s,60s,0s
PEAK,0,0.60,60s,60s,0s
GROUPS,0.2,0.1,60s,60s,0s
GROUPS,0,0.05,60s,1s,60s
UNEVEN,0,0.6,60s,50s,0s
UNEVEN,0,0.3,60s,10s,60s
FREE,0,0,60s,60s,0s
FLAT,0.1,0,0,1s,0
LATE,0,0.05,60s,60s,60s
DAY,0,0.02,1s,1s,0s
MB,0,0.1,1048576,1048576,0
SMS,0,0.08,1,1,0
";

fn plan_of(destination_rates: &str, rating_plans: &str) -> Plan {
    let tables = Tables {
        timings: "LATE_HOURS,*any,*any,*any,*any,20:00:00\nAFTER,*any,*any,*any,*any,20:00:10\n".into(),
        destinations: "D,49\nD,+44\nMOBILE,4915\nPREMIUM,49900\n".into(),
        rates: RATES.into(),
        destination_rates: destination_rates.into(),
        rating_plans: rating_plans.into(),
        rating_profiles: "t,call,*any,,P,\n".into(),
    };
    Plan::from_tables(&tables, eur()).unwrap_or_else(|errors| panic!("{errors}"))
}

fn eur() -> Currency {
    "EUR".parse().expect("a currency")
}

fn query<'q>(destination: &'q str, start: &str) -> Query<'q> {
    let start = start.parse().expect("a time");
    Query { service: Service::Voice, tenant: "t", category: "call", subject: "anna", destination, start }
}

const NOON: &str = "2026-11-20T12:00:00Z";

/// A plan with one destination rate: rate tag, rounding method, decimals, maximum cost, strategy.
fn simple(row: &str) -> Plan {
    plan_of(&format!("DR,D,{row}\n"), "P,DR,*any,10\n")
}

fn money(text: &str) -> Money {
    text.parse().expect("an amount")
}

fn rated(plan: &Plan) -> Rated<'_> {
    plan.resolve(&query("4930123", NOON)).expect("a price")
}

#[test]
fn prices_come_out_to_the_last_unit() {
    let rows: [(&str, u64, &str, &str); 30] = [
        // R1: 0.01 a second
        ("R1,*up,4,,", 0, "0", "0"),
        ("R1,*up,4,,", 1, "0.01", "0.01"),
        ("R1,*up,4,,", 1_000, "0.01", "0.01"),
        ("R1,*up,4,,", 1_001, "0.02", "0.02"),
        ("R1,*up,4,,", 70_000, "0.7", "0.7"),
        ("R1,*up,4,,", 45_080, "0.46", "0.46"),
        // 0.60 a minute in minutes, connect fee 0.05
        ("MINUTE,*up,4,,", 0, "0", "0"),
        ("MINUTE,*up,4,,", 1, "0.65", "0.65"),
        ("MINUTE,*up,4,,", 55_000, "0.65", "0.65"),
        ("MINUTE,*up,4,,", 60_000, "0.65", "0.65"),
        ("MINUTE,*up,4,,", 60_040, "1.25", "1.25"),
        // 0.02 a minute by the second: a third of a nano unit must not be lost sixty times
        ("FINE,*up,9,,", 60_000, "0.02", "0.02"),
        ("FINE,*up,9,,", 1_000, "0.000333334", "0.000333334"),
        ("FINE,*down,9,,", 1_000, "0.000333333", "0.000333334"),
        ("FINE,*middle,4,,", 1_000, "0.0003", "0.000333334"),
        ("FINE,*middle,4,,", 2_000, "0.0007", "0.0007"),
        ("FINE,*down,2,,", 59_000, "0.01", "0.019666667"),
        ("FINE,*up,20,,", 1_000, "0.000333334", "0.000333334"),
        ("THIRD,*up,9,,", 3_600_000_000, "600", "600"),
        // rate groups: first minute 0.1, then 0.05 by the second
        ("GROUPS,*up,4,,", 30_000, "0.3", "0.3"),
        ("GROUPS,*up,4,,", 60_000, "0.3", "0.3"),
        ("GROUPS,*up,4,,", 61_000, "0.3009", "0.3009"),
        ("GROUPS,*up,4,,", 120_000, "0.35", "0.35"),
        // 50 s steps until 60 s: the second step reaches 100 s, the next group goes on from there
        ("UNEVEN,*up,4,,", 60_000, "1", "1"),
        ("UNEVEN,*up,4,,", 100_000, "1", "1"),
        ("UNEVEN,*up,4,,", 101_000, "1.05", "1.05"),
        // per call, free, and capped
        ("FLAT,*up,4,,", 45_000, "0.1", "0.1"),
        ("FREE,*up,4,,", u64::MAX, "0", "0"),
        ("R1,*up,4,0.62,*free", 100_000, "0.62", "0.62"),
        ("R1,*up,4,0.62,*disconnect", 100_000, "1", "1"),
    ];
    for (row, usage, last, running) in rows {
        let plan = simple(row);
        let rated = rated(&plan);
        assert_eq!(rated.price(usage, Rounding::Final), money(last), "final, {row} {usage}");
        assert_eq!(rated.price(usage, Rounding::Running), money(running), "running, {row} {usage}");
    }
}

#[test]
fn credit_buys_whole_increments() {
    let rows: [(&str, u64, u64, &str, u64); 18] = [
        // example 3 of the money page
        ("MINUTE,*up,4,,", 0, 30_000, "1.00", 60_000),
        ("MINUTE,*up,4,,", 55_000, 85_000, "1.00", 60_000),
        ("MINUTE,*up,4,,", 55_000, 85_000, "1.25", 120_000),
        ("MINUTE,*up,4,,", 0, 30_000, "0.64", 0),
        ("MINUTE,*up,4,,", 70_000, 100_000, "1.00", 70_000),
        // R1
        ("R1,*up,4,,", 25_000, 55_000, "0.45", 45_000),
        ("R1,*up,4,,", 0, 30_000, "0.005", 0),
        ("R1,*up,4,,", 0, 30_000, "0.309", 30_000),
        ("R1,*up,4,,", 0, 30_500, "9", 31_000),
        ("R1,*up,4,,", 0, 30_000, "-1", 0),
        // the last third counts: 0.019666667 pays 59 s, 0.019666666 does not
        ("FINE,*up,9,,", 0, 60_000, "0.019666667", 59_000),
        ("FINE,*up,9,,", 0, 60_000, "0.019666666", 58_000),
        // the close rounds up to cents, so 0.015 pays only what rounds to 0.01
        ("FINE,*up,2,,", 0, 60_000, "0.015", 30_000),
        ("UNEVEN,*up,4,,", 0, 200_000, "1.04", 100_000),
        ("UNEVEN,*up,4,,", 0, 200_000, "1.05", 110_000),
        ("R1,*up,4,0.62,*free", 0, 100_000, "0.62", 100_000),
        ("R1,*up,4,0.62,*free", 0, 100_000, "0.61", 61_000),
        ("R1,*up,4,0.62,*disconnect", 0, 100_000, "9", 62_000),
    ];
    for (row, already, limit, amount, expected) in rows {
        let plan = simple(row);
        assert_eq!(rated(&plan).max_usage(already, limit, money(amount)), expected, "{row} {already} {limit} {amount}");
    }
    assert_eq!(rated(&simple("FREE,*up,4,,")).max_usage(0, 90_000, Money::ZERO), 120_000);
}

#[test]
fn usage_of_data_and_messages_is_in_units() {
    let plan = plan_of("DR,*any,MB,*up,4,,\nDS,*any,SMS,*up,4,,\n", "P,DR,*any,10\nQ,DS,*any,10\n");
    let data = plan.resolve(&Query { service: Service::Data, ..query("", NOON) }).expect("a price");
    assert_eq!(data.price(1, Rounding::Final), money("0.1"));
    assert_eq!(data.price(5 << 20, Rounding::Final), money("0.5"));
    assert_eq!(data.max_usage(0, 5 << 20, money("0.45")), 4 << 20);
    assert_eq!(data.billable((5 << 20) + 1), 6 << 20);
    assert_eq!((data.destination_id(), data.rate_id(), data.rating_plan_id()), ("*any", "MB", "P"));
    assert_eq!(data.per_minute_rate(0), money("0.1"));
}

#[test]
fn a_tariff_border_splits_a_call() {
    let plan = plan_of("DAY,D,DAY,*up,4,,\nLATE,D,R1,*up,4,,\n", "P,DAY,*any,10\nP,LATE,LATE_HOURS,10\n");
    let answered = plan.resolve(&query("4930", "2026-11-20T19:59:50Z")).expect("a price");
    assert_eq!(answered.price(25_000, Rounding::Running), money("0.35"));
    assert_eq!(answered.price(30_000, Rounding::Final), money("0.40"));
    assert_eq!(answered.max_usage(0, 30_000, money("0.25")), 15_000);
    assert_eq!(answered.per_minute_rate(0), money("1.2"));
    assert_eq!(answered.per_minute_rate(11_000), money("0.6"));
    // midnight brings the day rate back
    let late = plan.resolve(&query("4930", "2026-11-20T23:59:50Z")).expect("a price");
    assert_eq!(late.price(20_000, Rounding::Final), money("0.30"));
    // a second that begins at the lower rate ends at it
    let between = plan.resolve(&query("4930", "2026-11-20T19:59:59.500Z")).expect("a price");
    assert_eq!(between.price(1_500, Rounding::Final), money("0.03"));
    // what is no voice keeps the rate of its start
    let generic = Query { service: Service::Generic, ..query("4930", "2026-11-20T19:59:50Z") };
    assert_eq!(plan.resolve(&generic).expect("a price").price(30_000_000_000, Rounding::Final), money("0.6"));
}

#[test]
fn a_finer_rounding_after_a_border_takes_nothing_back_while_the_call_runs() {
    let plan = plan_of("DAY,D,DAY,*up,0,,\nLATE,D,R1,*up,4,,\n", "P,DAY,*any,10\nP,LATE,LATE_HOURS,10\n");
    let rated = plan.resolve(&query("4930", "2026-11-20T19:59:50Z")).expect("a price");
    for (usage, running, last) in [(10_000, "1", "1"), (11_000, "1", "0.21"), (100_000, "1.1", "1.1")] {
        assert_eq!(rated.price(usage, Rounding::Running), money(running), "{usage}");
        assert_eq!(rated.price(usage, Rounding::Final), money(last), "{usage}");
    }
    assert_eq!(rated.max_usage(0, 60_000, money("0.9")), 0);
    assert_eq!(rated.max_usage(0, 200_000, money("1")), 90_000);
}

#[test]
fn while_it_rings_the_dearest_start_counts() {
    let plan = plan_of("DAY,D,DAY,*up,4,,\nLATE,D,R1,*up,4,,\n", "P,DAY,*any,10\nP,LATE,LATE_HOURS,10\n");
    let window = |from: &str| {
        let from: UtcMs = from.parse().expect("a time");
        plan.resolve_window(&query("4930", NOON), from, from.plus(180_000)).expect("a price")
    };
    let falling = window("2026-11-20T19:59:40Z");
    assert_eq!(falling.price(30_000, Rounding::Running), money("0.50"));
    assert_eq!(falling.max_usage(30_000, money("0.45")), 25_000);
    // the dear hour begins at midnight, within the ring
    let rising = window("2026-11-20T23:58:40Z");
    assert_eq!(rising.earliest().price(30_000, Rounding::Running), money("0.30"));
    assert_eq!(rising.price(30_000, Rounding::Running), money("0.60"));
    assert_eq!(rising.max_usage(30_000, money("0.45")), 22_000);
    // it begins after the ring, within the talk
    let talking = window("2026-11-20T23:56:50Z");
    assert_eq!(talking.price(30_000, Rounding::Running), money("0.50"));
    // far from any border all starts are alike
    assert_eq!(window(NOON).price(30_000, Rounding::Running), money("0.60"));
}

#[test]
fn while_it_rings_a_dearer_plan_may_come_in_force() {
    let mut tables = plan_of("A,D,R1,*up,4,,\nB,D,DAY,*up,4,,\n", "P,A,*any,10\nQ,B,*any,10\n").to_tables().clone();
    tables.rating_profiles = "t,call,*any,,P,\nt,call,*any,2026-11-20T12:00:10Z,Q,\n".into();
    let plan = Plan::from_tables(&tables, eur()).unwrap_or_else(|errors| panic!("{errors}"));
    let from: UtcMs = NOON.parse().expect("a time");
    let window = |ring_ms| plan.resolve_window(&query("4930", NOON), from, from.plus(ring_ms)).expect("a price");
    assert_eq!(window(9_999).earliest().price(30_000, Rounding::Running), money("0.50"));
    assert_eq!(window(10_000).price(30_000, Rounding::Running), money("0.60"));
}

#[test]
fn a_longer_prefix_without_a_rate_in_the_plan_does_not_count() {
    // Of the prefixes between the first and the last one that have a rate, one has none.
    let plan = plan_of("A,D,R1,*up,4,,\nB,PREMIUM,DAY,*up,4,,\n", "P,A,*any,10\nP,B,*any,10\n");
    let found = |number| plan.resolve(&query(number, NOON)).map(|rated| rated.destination_id().to_owned());
    assert_eq!(found("4915123"), Ok("D".to_owned()));
    assert_eq!((found("499001"), found("+441")), (Ok("PREMIUM".to_owned()), Ok("D".to_owned())));
}

#[test]
fn while_it_rings_an_increment_may_begin_in_a_short_peak() {
    // minutes at 0.02 a minute, and 0.60 for those that begin in the ten seconds from 20:00:00 on
    let rates = "LOW,D,FINE60,*up,4,,\nPEAK,D,PEAK,*up,4,,\n";
    let plan = plan_of(rates, "P,LOW,*any,10\nP,PEAK,LATE_HOURS,10\nP,LOW,AFTER,10\n");
    let from: UtcMs = "2026-11-20T19:58:30Z".parse().expect("a time");
    let window = plan.resolve_window(&query("4930", NOON), from, from.plus(60_000)).expect("a price");
    assert_eq!(window.earliest().price(120_000, Rounding::Final), money("0.04"));
    // only a start at 19:59:00 has its second minute begin at the peak
    assert_eq!(window.price(120_000, Rounding::Final), money("0.62"));
    assert_eq!(window.max_usage(120_000, money("0.50")), 60_000);
}

#[test]
fn a_change_of_plan_splits_a_call() {
    let mut tables = plan_of("A,D,R1,*up,4,,\nB,D,DAY,*up,4,,\n", "P,A,*any,10\nQ,B,*any,10\n").to_tables().clone();
    tables.rating_profiles = "t,call,*any,,P,\nt,call,*any,2026-11-20T12:00:10Z,Q,\n".into();
    let plan = Plan::from_tables(&tables, eur()).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(rated(&plan).price(30_000, Rounding::Final), money("0.50"));
    assert_eq!(rated(&plan).rating_plan_id(), "P");
}

#[test]
fn a_change_of_plan_may_lead_to_a_fallback_subject_and_back() {
    let mut tables =
        plan_of("A,D,R1,*up,4,,\nB,D,DAY,*up,4,,\nM,PREMIUM,R1,*up,4,,\n", "P,A,*any,10\nQ,B,*any,10\nN,M,*any,10\n")
            .to_tables()
            .clone();
    // anna's plan has no rate for the number from 12:00:10 to 12:00:20; bert's has, and changes at 12:00:15
    tables.rating_profiles = "t,call,anna,,P,\nt,call,anna,2026-11-20T12:00:10Z,N,bert\n\
                              t,call,anna,2026-11-20T12:00:20Z,P,\n\
                              t,call,bert,,P,\nt,call,bert,2026-11-20T12:00:15Z,Q,\n"
        .into();
    let plan = Plan::from_tables(&tables, eur()).unwrap_or_else(|errors| panic!("{errors}"));
    let rated = rated(&plan);
    assert_eq!(rated.price(30_000, Rounding::Final), money("0.35"));
    let subjects = rated.explain(30_000).into_iter().filter_map(|line| match line {
        rating::Line::Plan { subject, rating_plan_id, .. } => Some(format!("{subject} {rating_plan_id}")),
        _ => None,
    });
    assert_eq!(subjects.collect::<Vec<_>>(), ["anna P", "bert P", "bert Q", "anna P"]);
}

#[test]
fn with_and_without_plus_the_prefix_with_most_digits_wins() {
    let mut tables = plan_of("X,*any,R1,*up,4,,\n", "P,X,*any,10\n").to_tables().clone();
    tables.destinations = "PLUS,+49\nPLUS,+4917\nBARE,49\nBARE,4915\nBARE,4\n".into();
    tables.destination_rates = "R,PLUS,R1,*up,4,,\nR,BARE,DAY,*up,4,,\n".into();
    tables.rating_plans = "P,R,*any,10\n".into();
    let plan = Plan::from_tables(&tables, eur()).unwrap_or_else(|errors| panic!("{errors}"));
    for (number, destination) in
        [("+4930", "PLUS"), ("+4915", "BARE"), ("+4917", "PLUS"), ("+41", "BARE"), ("4917", "BARE")]
    {
        let found = plan.resolve(&query(number, NOON)).map(|rated| rated.destination_id());
        assert_eq!(found, Ok(destination), "{number}");
    }
}

#[test]
fn the_longest_prefix_that_the_plan_knows_wins() {
    let rates = "D,D,R1,*up,4,,\nM,MOBILE,DAY,*up,4,,\nA,*any,FREE,*up,4,,\n";
    let plan = plan_of(rates, "P,D,*any,10\nP,M,*any,10\nP,A,*any,10\n");
    let rows = [
        ("4930", "D"),
        ("4915", "MOBILE"),
        ("491", "D"),
        ("49900", "D"),
        ("+4930", "D"),
        ("+49151", "MOBILE"),
        ("+44", "D"),
        ("44", "*any"),
        ("voicemail", "*any"),
        ("", "*any"),
    ];
    for (number, destination) in rows {
        let found = plan.resolve(&query(number, NOON)).map(|rated| rated.destination_id());
        assert_eq!(found, Ok(destination), "{number}");
    }
    let exact = PlanOptions { plus_is_optional: false, ..eur().into() };
    let strict = Plan::from_tables(plan.to_tables(), exact).expect("the same tables");
    assert_eq!(strict.resolve(&query("+4930", NOON)).map(|rated| rated.destination_id()), Ok("*any"));
    assert_ne!(strict.version(), plan.version());
}

#[test]
fn a_rate_without_a_begin_is_refused_and_warned_of() {
    let plan = simple("LATE,*up,4,,");
    assert_eq!(plan.resolve(&query("4930", NOON)).err(), Some(Refusal::IncompleteRate));
    let warnings: Vec<String> = plan.warnings().iter().map(ToString::to_string).collect();
    let expected = [
        "Rates.csv line 11, column GroupIntervalStart, `UNEVEN`: begins within a step of line 10",
        "Rates.csv line 14, column GroupIntervalStart, `LATE`: no group starts at 0",
    ];
    for begin in expected {
        assert!(warnings.iter().any(|warning| warning.starts_with(begin)), "{begin}: {warnings:?}");
    }
}

#[test]
fn an_explanation_names_every_step() {
    let plan = simple("GROUPS,*up,4,0.31,*free");
    let lines: Vec<String> = rated(&plan).explain(61_000).iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "from 2026-11-20T12:00:00.000+00:00: tariff of *any, rating plan P, for the first 2 characters of the number",
            "connect fee of GROUPS: 0.2",
            "D, GROUPS: 0s to 60s: 1 x 60s at 0.1 per 60s = 0.1",
            "D, GROUPS: 60s to 61s: 1 x 1s at 0.05 per 60s = 0.000833333 + 1/3 nano",
            "total 0.300833333 + 1/3 nano, rounded up to 4 decimals: 0.3009",
        ]
    );
    let capped: Vec<String> = rated(&plan).explain(120_000).iter().map(ToString::to_string).collect();
    assert_eq!(capped.get(4).map(String::as_str), Some("maximum cost reached, no more than 0.31"));
    assert!(rated(&plan).explain(0).is_empty());
}
