//! An operator's plan with most of what the format has, and questions about it as a support agent would ask them: each
//! price and each usage is worked out by hand from the rules of the format.

use rating::{Plan, Query, Rounding, Tables, parse_service, parse_usage};
use types::{Currency, Money};

fn plan() -> Plan {
    let tables = Tables {
        timings: "PEAK,*any,*any,*any,1;2;3;4;5,08:00:00\n\
                  EVENING,*any,*any,*any,1;2;3;4;5,19:00:00\n\
                  MORNING,*any,*any,*any,1;2;3;4;5,00:00:00\n\
                  WEEKEND,*any,*any,*any,6;7,00:00:00\n\
                  SUNDAY,*any,*any,*any,0,00:00:00\n\
                  CHRISTMAS,*any,12,25,*any,00:00:00\n\
                  LUNCH,*any,*any,*any,*any,12:00:00;12:59:59\n\
                  IN_2026,2026,*any,*any,*any,00:00:00\n"
            .into(),
        destinations: "DE,49\nMOBILE,4915\nMOBILE,4917\nPREMIUM,49900\nUK_CHEAP,44\nUK_DEAR,44\nPLUS,+1\n\"A, B\",33\n".into(),
        rates: "PEAK,0.1,0.12,60s,1s,0s\n\
                OFF,0,0.06,60s,60s,0s\n\
                WEEKEND,0.05,0.03,60s,30s,0s\n\
                CHRISTMAS,0,0.01,60s,60s,0s\n\
                LUNCH,0,0.01,1s,1s,0s\n\
                STEPS,0,0.1,60s,60s,0s\n\
                STEPS,0.9,0.05,60s,30s,60s\n\
                STEPS,0,0.01,60s,1s,180s\n\
                ODD,0,1,1h,7s,0s\n\
                CENT,0,0.01,1s,1s,0s\n\
                TWO,0,0.02,1s,1s,0s\n\
                DAY_MB,0,0.1,1048576,10240,0\n\
                NIGHT_MB,0,0.01,1048576,1048576,0\n\
                SMS,0.02,0.05,1,1,0\n"
            .into(),
        destination_rates: "PEAK,DE,PEAK,*up,4,0,\n\
                            OFF,DE,OFF,*up,4,0,\n\
                            WEEKEND,DE,WEEKEND,*middle,3,0,\n\
                            CHRISTMAS,DE,CHRISTMAS,*up,2,0,\n\
                            LUNCH,DE,LUNCH,*up,4,0,\n\
                            STEPS_UP,DE,STEPS,*up,4,0,\n\
                            STEPS_DOWN,MOBILE,STEPS,*down,4,0,\n\
                            ODD_UP,DE,ODD,*up,6,0,\n\
                            ODD_DOWN,MOBILE,ODD,*down,6,0,\n\
                            ODD_MIDDLE,*any,ODD,*middle,6,0,\n\
                            CENT,DE,CENT,*up,4,0,\n\
                            CENT_MOBILE,MOBILE,TWO,*up,4,0,\n\
                            CENT_UK,UK_CHEAP,CENT,*up,4,0,\n\
                            TWO_UK,UK_DEAR,TWO,*up,4,0,\n\
                            CENT_PLUS,PLUS,CENT,*up,4,0,\n\
                            QUOTED,\"A, B\",CENT,*up,4,0,\n\
                            FREE_FROM,DE,PEAK,*up,4,0.1,*free\n\
                            FREE_LATE,DE,CENT,*up,4,0.05,*free\n\
                            CUT,DE,CENT,*up,4,0.5,*disconnect\n\
                            TWO_DE,DE,TWO,*up,4,0,\n\
                            DAY_MB,*any,DAY_MB,*up,4,0,\n\
                            NIGHT_MB,*any,NIGHT_MB,*up,4,0,\n\
                            SMS,*any,SMS,*up,4,0,\n"
            .into(),
        rating_plans: "WEEK,PEAK,PEAK,10\nWEEK,OFF,EVENING,10\nWEEK,OFF,MORNING,10\nWEEK,WEEKEND,WEEKEND,10\nWEEK,CHRISTMAS,CHRISTMAS,20\n\
                       LUNCH,PEAK,PEAK,10\nLUNCH,LUNCH,LUNCH,10\n\
                       SUNDAY,TWO_DE,SUNDAY,20\nSUNDAY,CENT,*any,10\n\
                       YEAR,CENT,IN_2026,20\nYEAR,TWO_DE,*any,10\n\
                       STEPS,STEPS_UP,*any,10\nSTEPS,STEPS_DOWN,*any,10\n\
                       ODD,ODD_UP,*any,10\nODD,ODD_DOWN,*any,10\nODD,ODD_MIDDLE,*any,10\n\
                       WORLD,CENT,*any,10\nWORLD,CENT_MOBILE,*any,10\nWORLD,CENT_UK,*any,20\nWORLD,TWO_UK,*any,10\nWORLD,CENT_PLUS,*any,10\n\
                       UK,TWO_UK,*any,20\nUK,CENT_UK,*any,10\n\
                       QUOTED,QUOTED,*any,10\n\
                       FREE,FREE_FROM,*any,10\n\
                       CAP,TWO_DE,PEAK,10\nCAP,FREE_LATE,EVENING,10\n\
                       CUT,CUT,*any,10\n\
                       TWO,TWO_DE,*any,10\n\
                       DATA,DAY_MB,PEAK,10\nDATA,NIGHT_MB,EVENING,10\n\
                       SMS,SMS,*any,10\n"
            .into(),
        rating_profiles: "t,call,week,2026-01-01T00:00:00Z,WEEK,\n\
                          t,call,lunch,,LUNCH,\nt,call,sunday,,SUNDAY,\nt,call,year,,YEAR,\nt,call,steps,,STEPS,\nt,call,odd,,ODD,\n\
                          t,call,world,,WORLD,\nt,call,uk,,UK,\nt,call,quoted,,QUOTED,\nt,call,free,,FREE,\nt,call,cap,,CAP,\nt,call,cut,,CUT,\n\
                          t,call,moves,2026-06-01T00:00:00Z,TWO,\nt,call,moves,2026-11-18T10:00:00Z,WORLD,\n\
                          t,call,falls,,UK,nobody;quoted;world\n\
                          t,call,*any,,TWO,\n\
                          t,data,*any,,DATA,\nt,sms,*any,,SMS,\n"
            .into(),
    };
    let eur: Currency = "EUR".parse().expect("a currency");
    Plan::from_tables(&tables, eur).unwrap_or_else(|errors| panic!("{errors}"))
}

/// `*voice/call/week/4930`, when, how much.
fn ask<T>(
    plan: &Plan,
    what: &str,
    start: &str,
    usage: &str,
    answer: impl Fn(rating::Rated<'_>, u64) -> T,
) -> Result<T, String> {
    let [tor, category, subject, destination] = what.split('/').collect::<Vec<_>>()[..] else { panic!("{what}") };
    let service = parse_service(tor).expect("a service");
    let start = start.parse().expect("a time");
    let query = Query { service, tenant: "t", category, subject, destination, start };
    let usage = parse_usage(usage, service).expect("usage");
    plan.resolve(&query).map(|rated| answer(rated, usage)).map_err(|refusal| refusal.code().to_owned())
}

/// 18 November 2026 is a Wednesday.
#[test]
fn what_it_costs() {
    let rows = [
        // the week: 0.1 and 0.002 a second by day, 0.06 a minute begun in the evening, 0.05 and 0.015 a half minute at weekends
        ("*voice/call/week/4930", "2026-11-18T10:00:00Z", "60s", "0.22"),
        // a minute of the night was begun at 7:59:30 and lasts until 8:00:30
        ("*voice/call/week/4930", "2026-11-18T07:59:30Z", "60s", "0.06"),
        ("*voice/call/week/4930", "2026-11-18T07:59:30Z", "61s", "0.062"),
        ("*voice/call/week/4930", "2026-11-18T18:59:30Z", "60s", "0.22"),
        ("*voice/call/week/4930", "2026-11-18T18:59:30Z", "90s", "0.22"),
        ("*voice/call/week/4930", "2026-11-18T18:59:30Z", "91s", "0.28"),
        // Friday to Saturday: the connect fee is that of the first span only
        ("*voice/call/week/4930", "2026-11-20T23:59:45Z", "60s", "0.06"),
        ("*voice/call/week/4930", "2026-11-20T23:59:45Z", "61s", "0.075"),
        ("*voice/call/week/4930", "2026-11-20T23:59:45Z", "91s", "0.09"),
        ("*voice/call/week/4930", "2026-11-21T10:00:00Z", "1s", "0.065"),
        // Sunday to Monday
        ("*voice/call/week/4930", "2026-11-22T23:59:50Z", "40s", "0.125"),
        // Christmas is heavier than the Friday it is, and over at midnight
        ("*voice/call/week/4930", "2026-12-25T10:00:00Z", "60s", "0.01"),
        ("*voice/call/week/4930", "2026-12-25T23:59:30Z", "61s", "0.025"),
        ("*voice/call/week/4930", "2026-12-24T23:59:30Z", "61s", "0.07"),
        // two days and a bit: 21 h 30 min of Christmas, then 24 h at 0.03 a minute, then Sunday's first half minute
        ("*voice/call/week/4930", "2026-12-25T02:30:00Z", "163801s", "56.115"),
        // of equal weights the latest start of the day, as long as it lasts
        ("*voice/call/lunch/4930", "2026-11-18T11:59:50Z", "20s", "0.22"),
        ("*voice/call/lunch/4930", "2026-11-18T12:59:50Z", "20s", "0.12"),
        // 0 and 7 are Sunday
        ("*voice/call/sunday/4930", "2026-11-21T23:59:50Z", "20s", "0.3"),
        ("*voice/call/sunday/4930", "2026-11-22T23:59:50Z", "20s", "0.3"),
        ("*voice/call/year/4930", "2026-12-31T23:59:50Z", "20s", "0.3"),
        // three groups, and the connect fee of the first row: 0.1 + 4 x 0.025 + 20 x 0.01 / 60
        ("*voice/call/steps/4930", "2026-11-18T10:00:00Z", "60s", "0.1"),
        ("*voice/call/steps/4930", "2026-11-18T10:00:00Z", "61s", "0.125"),
        ("*voice/call/steps/4930", "2026-11-18T10:00:00Z", "200s", "0.2034"),
        ("*voice/call/steps/4915", "2026-11-18T10:00:00Z", "200s", "0.2033"),
        // two steps of 7 s at 1/3600 a second: 0.003888...
        ("*voice/call/odd/4930", "2026-11-18T10:00:00Z", "10s", "0.003889"),
        ("*voice/call/odd/4917", "2026-11-18T10:00:00Z", "10s", "0.003888"),
        ("*voice/call/odd/999", "2026-11-18T10:00:00Z", "10s", "0.003889"),
        // the longest prefix that has a rate: 49900 has none of its own
        ("*voice/call/world/49151", "2026-11-18T10:00:00Z", "10s", "0.2"),
        ("*voice/call/world/4915", "2026-11-18T10:00:00Z", "10s", "0.2"),
        ("*voice/call/world/491", "2026-11-18T10:00:00Z", "10s", "0.1"),
        ("*voice/call/world/499001", "2026-11-18T10:00:00Z", "10s", "0.1"),
        ("*voice/call/world/+12", "2026-11-18T10:00:00Z", "10s", "0.1"),
        ("*voice/call/world/12", "2026-11-18T10:00:00Z", "10s", "UNAUTHORIZED_DESTINATION"),
        // of two destinations with the same prefix the heavier row
        ("*voice/call/world/4420", "2026-11-18T10:00:00Z", "10s", "0.1"),
        ("*voice/call/uk/4420", "2026-11-18T10:00:00Z", "10s", "0.2"),
        ("*voice/call/quoted/331", "2026-11-18T10:00:00Z", "10s", "0.1"),
        // a maximum takes the connect fee in; one that comes later takes nothing back: 10 x 0.02, then no more
        ("*voice/call/free/4930", "2026-11-18T10:00:00Z", "2m", "0.1"),
        ("*voice/call/cap/4930", "2026-11-18T18:59:50Z", "60s", "0.2"),
        ("*voice/call/cap/4930", "2026-11-18T18:59:59Z", "60s", "0.05"),
        ("*voice/call/cut/4930", "2026-11-18T10:00:00Z", "100s", "1"),
        // plans by their times, for voice also within a call
        ("*voice/call/moves/4930", "2026-05-31T23:59:59.999Z", "1s", "RATING_PLAN_NOT_FOUND"),
        ("*voice/call/moves/4930", "2026-11-18T09:59:50Z", "20s", "0.3"),
        ("*voice/call/week/4930", "2025-12-31T23:59:59Z", "1s", "RATING_PLAN_NOT_FOUND"),
        // fallbacks in their order, those that are nobody left out; a profile of one's own hides that of *any
        ("*voice/call/falls/331", "2026-11-18T10:00:00Z", "10s", "0.1"),
        ("*voice/call/falls/4930", "2026-11-18T10:00:00Z", "10s", "0.1"),
        ("*voice/call/uk/4930", "2026-11-18T10:00:00Z", "10s", "UNAUTHORIZED_DESTINATION"),
        ("*voice/call/stranger/4930", "2026-11-18T10:00:00Z", "10s", "0.2"),
        ("*voice/calls/week/4930", "2026-11-18T10:00:00Z", "10s", "RATING_PLAN_NOT_FOUND"),
        // data as at its start: 103 steps of 10240 octets, or one of a whole megabyte; no rate at the weekend
        ("*data/data/anna/web", "2026-11-18T18:59:59Z", "1048576", "0.1006"),
        ("*data/data/anna/web", "2026-11-18T19:00:00Z", "1", "0.01"),
        ("*data/data/anna/web", "2026-11-18T18:59:59Z", "1000000000000", "95367.4317"),
        ("*data/data/anna/web", "2026-11-21T10:00:00Z", "1", "UNAUTHORIZED_DESTINATION"),
        ("*sms/sms/anna/4930", "2026-11-18T10:00:00Z", "3", "0.17"),
        ("*sms/sms/anna/4930", "2026-11-18T10:00:00Z", "0", "0"),
    ];
    let plan = plan();
    for (what, start, usage, expected) in rows {
        let cost = ask(&plan, what, start, usage, |rated, usage| rated.price(usage, Rounding::Final).to_string());
        assert_eq!(cost.unwrap_or_else(|code| code), expected, "{what} {start} {usage}");
    }
}

#[test]
fn how_long_it_lasts() {
    let rows = [
        // (1 - 0.1) / 0.002
        ("*voice/call/week/4930", "2026-11-18T10:00:00Z", "3h", "1", 450_000),
        // 0.1 + 30 x 0.002, then two minutes of the evening at 0.06, which 0.3 pays
        ("*voice/call/week/4930", "2026-11-18T18:59:30Z", "3h", "0.3", 150_000),
        ("*voice/call/week/4930", "2026-11-18T18:59:30Z", "3h", "0.279", 90_000),
        ("*voice/call/week/4930", "2026-11-18T10:00:00Z", "3h", "0.1019", 0),
        // a whole minute is paid, whatever was asked for
        ("*voice/call/week/4930", "2026-11-18T20:00:00Z", "90s", "10", 120_000),
        // 0.1 for the first minute, 0.025 a half minute, 0.01 a minute in seconds: 0.2001 pays 0.6 of a second: none
        ("*voice/call/steps/4930", "2026-11-18T10:00:00Z", "3h", "0.2001", 180_000),
        ("*voice/call/steps/4930", "2026-11-18T10:00:00Z", "3h", "0.2002", 181_000),
        ("*voice/call/steps/4930", "2026-11-18T10:00:00Z", "3h", "0.124", 60_000),
        // a maximum that makes free, and one that disconnects
        ("*voice/call/free/4930", "2026-11-18T10:00:00Z", "3h", "0.1", 10_800_000),
        ("*voice/call/cut/4930", "2026-11-18T10:00:00Z", "3h", "10", 50_000),
        ("*voice/call/cap/4930", "2026-11-18T18:59:50Z", "3h", "0.2", 10_800_000),
        ("*voice/call/cap/4930", "2026-11-18T18:59:50Z", "3h", "0.19", 9_000),
        // a plan that changes at 10:00: 5 x 0.02, then 0.01 each
        ("*voice/call/moves/4930", "2026-11-18T09:59:55Z", "3h", "0.25", 20_000),
        ("*data/data/anna/web", "2026-11-18T18:59:59Z", "10485760", "0.01", 10_240 * 10),
        ("*sms/sms/anna/4930", "2026-11-18T10:00:00Z", "10", "0.12", 2),
        ("*sms/sms/anna/4930", "2026-11-18T10:00:00Z", "10", "0.06", 0),
    ];
    let plan = plan();
    for (what, start, limit, amount, expected) in rows {
        let amount: Money = amount.parse().expect("an amount");
        let most = ask(&plan, what, start, limit, |rated, limit| rated.max_usage(0, limit, amount));
        assert_eq!(most, Ok(expected), "{what} {start} {limit} for {amount}");
    }
}
