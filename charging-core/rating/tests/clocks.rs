//! Tariff hours on the wall clocks of Berlin and New York, through both of their changes in a year; each row worked out
//! by hand from the hours that were shown.

use rating::{Plan, PlanOptions, Query, Rounding, Tables, TenantOptions};
use types::charging::Service;
use types::{Currency, Money, UtcMs};

/// 0.01 a second, and 0.02 from 01:30 to 02:30 and from 02:30 to 03:30 in their plans; Monday costs 0.03.
fn plan(zone: &str) -> Plan {
    let tables = Tables {
        timings: "EARLY,*any,*any,*any,*any,01:30:00;02:29:59\n\
                  LATE,*any,*any,*any,*any,02:30:00;03:29:59\n\
                  MONDAY,*any,*any,*any,1,00:00:00\n"
            .into(),
        destinations: "D,49\n".into(),
        rates: "BASE,0,0.01,1s,1s,0s\nDEAR,0,0.02,1s,1s,0s\nMONDAY,0,0.03,1s,1s,0s\n".into(),
        destination_rates: "B,D,BASE,*up,4,,\nD,D,DEAR,*up,4,,\nM,D,MONDAY,*up,4,,\n".into(),
        rating_plans: "E,B,*any,10\nE,D,EARLY,20\nL,B,*any,10\nL,D,LATE,20\nM,B,*any,10\nM,M,MONDAY,20\n".into(),
        rating_profiles: "t,call,early,,E,\nt,call,late,,L,\nt,call,monday,,M,\n".into(),
    };
    let eur: Currency = "EUR".parse().expect("a currency");
    let tenant = TenantOptions { time_zone: zone.parse().expect("a time zone"), tax: None };
    let options = PlanOptions { tenants: [("t".into(), tenant)].into(), ..eur.into() };
    Plan::from_tables(&tables, options).unwrap_or_else(|errors| panic!("{errors}"))
}

fn query<'q>(subject: &'q str, start: &str) -> Query<'q> {
    let start: UtcMs = start.parse().unwrap_or_else(|error| panic!("{start}: {error}"));
    Query { service: Service::Voice, tenant: "t", category: "call", subject, destination: "4930", start }
}

const BERLIN: &str = "Europe/Berlin";
const NEW_YORK: &str = "America/New_York";

#[test]
fn borders_follow_the_wall_clock() {
    let rows = [
        // Berlin, 29 March 2026: 02:00 to 03:00 is not shown. LATE begins with the first instant after, at 01:00 UTC.
        (BERLIN, "late", "2026-03-29T00:59:50Z", 20, "0.30"),
        (BERLIN, "late", "2026-03-29T01:00:00Z", 10, "0.20"),
        (BERLIN, "late", "2026-03-29T01:29:50Z", 20, "0.30"),
        // EARLY begins at 01:30 shown, 00:30 UTC, and its end is skipped: over at 01:00 UTC.
        (BERLIN, "early", "2026-03-29T00:29:50Z", 20, "0.30"),
        (BERLIN, "early", "2026-03-29T00:59:50Z", 20, "0.30"),
        // A day of 23 hours: 22 h 30 min and 30 min.
        (BERLIN, "late", "2026-03-28T23:00:00Z", 23 * 3600, "846"),
        // Berlin, 25 October 2026: 02:00 to 03:00 is shown twice. LATE begins when 02:30 is first shown, 00:30 UTC, ...
        (BERLIN, "late", "2026-10-25T00:29:50Z", 20, "0.30"),
        // ... still lasts while 02:00 to 02:30 is shown again, ...
        (BERLIN, "late", "2026-10-25T01:00:00Z", 10, "0.20"),
        (BERLIN, "late", "2026-10-25T01:29:50Z", 20, "0.40"),
        // ... and ends at 03:30, 02:30 UTC.
        (BERLIN, "late", "2026-10-25T02:29:50Z", 20, "0.30"),
        // EARLY ends when 02:30 is first shown, and does not come back.
        (BERLIN, "early", "2026-10-25T00:29:50Z", 20, "0.30"),
        (BERLIN, "early", "2026-10-25T01:00:00Z", 10, "0.10"),
        // A day of 25 hours: 23 h and 2 h.
        (BERLIN, "late", "2026-10-24T22:00:00Z", 25 * 3600, "972"),
        // New York, 8 March 2026: 02:00 to 03:00 is not shown; from 07:00 UTC on it is 03:00.
        (NEW_YORK, "late", "2026-03-08T06:59:50Z", 20, "0.30"),
        (NEW_YORK, "late", "2026-03-08T07:29:50Z", 20, "0.30"),
        (NEW_YORK, "early", "2026-03-08T06:29:50Z", 20, "0.30"),
        (NEW_YORK, "early", "2026-03-08T06:59:50Z", 20, "0.30"),
        (NEW_YORK, "late", "2026-03-08T05:00:00Z", 23 * 3600, "846"),
        // New York, 1 November 2026: 01:00 to 02:00 is shown twice. EARLY from 05:30 UTC until 02:30 is shown, 07:30 UTC.
        (NEW_YORK, "early", "2026-11-01T05:29:50Z", 20, "0.30"),
        (NEW_YORK, "early", "2026-11-01T06:00:00Z", 10, "0.20"),
        (NEW_YORK, "early", "2026-11-01T07:29:50Z", 20, "0.30"),
        (NEW_YORK, "late", "2026-11-01T07:29:50Z", 20, "0.30"),
        (NEW_YORK, "late", "2026-11-01T08:29:50Z", 20, "0.30"),
        (NEW_YORK, "early", "2026-11-01T04:00:00Z", 25 * 3600, "972"),
        // Days begin at local midnight: Monday, 23 November 2026.
        (BERLIN, "monday", "2026-11-22T22:59:50Z", 20, "0.40"),
        (NEW_YORK, "monday", "2026-11-23T04:59:50Z", 20, "0.40"),
        ("UTC", "monday", "2026-11-22T23:59:50Z", 20, "0.40"),
        (BERLIN, "monday", "2026-11-23T22:59:50Z", 20, "0.40"),
    ];
    for (zone, subject, start, seconds, expected) in rows {
        let plan = plan(zone);
        let price = plan.resolve(&query(subject, start)).map(|rated| rated.price(seconds * 1000, Rounding::Final));
        assert_eq!(price, Ok(expected.parse::<Money>().expect("an amount")), "{zone} {subject} {start} {seconds} s");
    }
}

#[test]
fn zones_belong_to_tenants_and_to_the_version() {
    let (berlin, new_york) = (plan(BERLIN), plan(NEW_YORK));
    assert_ne!(berlin.version(), new_york.version());
    let again = Plan::from_tables(berlin.to_tables(), berlin.options()).expect("the same plan");
    assert_eq!(again.version(), berlin.version());
    let lines: Vec<String> = berlin
        .resolve(&query("late", "2026-10-25T00:29:50Z"))
        .expect("a price")
        .explain(20_000)
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        lines,
        [
            "from 2026-10-25T02:29:50.000+02:00: tariff of late, rating plan L, for the first 2 characters of the number",
            "D, BASE: 0s to 10s: 10 x 1s at 0.01 per 1s = 0.1",
            "D, DEAR, LATE from 2026-10-25T02:30:00.000+02:00: 10s to 20s: 10 x 1s at 0.02 per 1s = 0.2",
            "total 0.3, rounded up to 4 decimals: 0.3",
        ]
    );
}

#[test]
fn while_it_rings_through_a_change_of_clocks_the_dearest_start_counts() {
    let plan = plan(BERLIN);
    let from: UtcMs = "2026-03-29T00:58:30Z".parse().expect("a time");
    let window =
        plan.resolve_window(&query("late", "2026-03-29T00:58:30Z"), from, from.plus(180_000)).expect("a price");
    assert_eq!(window.earliest().price(30_000, Rounding::Running).to_string(), "0.3");
    assert_eq!(window.price(30_000, Rounding::Running).to_string(), "0.6");
}
