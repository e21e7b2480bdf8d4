//! Plans that load, and every fault of those that do not.

use rating::{Plan, Query, Refusal, Rounding, Table, Tables};
use types::charging::Service;
use types::{Currency, Money};

fn eur() -> Currency {
    "EUR".parse().expect("a currency")
}

fn good() -> Tables {
    Tables {
        timings: "#Tag,Years,Months,MonthDays,WeekDays,Time\nASAP,,,,,*asap\n".into(),
        destinations: "# two countries\n\nDE,49\nUK,44\n".into(),
        rates:
            "#Id,ConnectFee,Rate,RateUnit,RateIncrement,GroupIntervalStart\n\nR, 0 ,0.01,1s,1s,0s\nS,,\"0.02\",1s,1s,\n"
                .into(),
        destination_rates: "DR,DE,R,*up,4,0,\nDS,UK,S,*up,4,,\n".into(),
        rating_plans: "P,DR,*any,10\nP,DS,,\nQ,DS,*any,10\n".into(),
        rating_profiles: "t,call,anna,2026-01-01T00:00:00Z,P,*any\nt,call,anna,,Q,bert\nt,call,bert,,P,\n".into(),
    }
}

fn faults(change: impl Fn(&mut Tables)) -> Vec<String> {
    let mut tables = good();
    change(&mut tables);
    match Plan::from_tables(&tables, eur()) {
        Ok(_) => Vec::new(),
        Err(errors) => errors.faults().iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn each_fault_names_file_line_and_column() {
    let rows: [(Table, &str, &str); 27] = [
        (
            Table::Rates,
            "X,0,0.01,1s,1s",
            "Rates.csv line 5: 5 cells, expected 6; empty cells at the end must be present",
        ),
        (Table::Rates, "X,0,0.01,1s,1s,0,7", "Rates.csv line 5: 7 cells, expected 6;"),
        (Table::Rates, ",0,0.01,1s,1s,0", "Rates.csv line 5, column Id: empty"),
        (Table::Rates, "X,-1,0.01,1s,1s,0", "Rates.csv line 5, column ConnectFee, `-1`: negative"),
        (Table::Rates, "X,0,1e3,1s,1s,0", "Rates.csv line 5, column Rate, `1e3`: expected a decimal number"),
        (
            Table::Rates,
            "X,0,0.0000000001,1s,1s,0",
            "Rates.csv line 5, column Rate, `0.0000000001`: expected a decimal number",
        ),
        (Table::Rates, "X,0,0.01,1 s,1s,0", "Rates.csv line 5, column RateUnit, `1 s`: expected a duration"),
        (Table::Rates, "X,0,0.01,0,1s,0", "Rates.csv line 5, column RateUnit, `0`: zero"),
        (Table::Rates, "X,0,0.01,1s,0s,0", "Rates.csv line 5, column RateIncrement, `0s`: zero"),
        (Table::Rates, "R,0,0.03,1s,1s,0", "Rates.csv line 5, column GroupIntervalStart: contradicts line 3"),
        (
            Table::Rates,
            "X,0,0.01,1000000000000039,1,0",
            "Rates.csv line 5, column RateUnit: price of an increment needs",
        ),
        (
            Table::Rates,
            "X,0,1000000000000000,1,1h,0",
            "Rates.csv line 5, column RateIncrement: an increment costs more",
        ),
        (
            Table::DestinationRates,
            "X,DE,NO,*up,4,,",
            "DestinationRates.csv line 3, column RatesTag, `NO`: not found in Rates.csv",
        ),
        (
            Table::DestinationRates,
            "X,DE,R,*off,4,,",
            "DestinationRates.csv line 3, column RoundingMethod, `*off`: expected *up",
        ),
        (
            Table::DestinationRates,
            "X,DE,R,*up,x,,",
            "DestinationRates.csv line 3, column RoundingDecimals, `x`: expected a whole",
        ),
        (
            Table::DestinationRates,
            "X,DE,R,*up,4,10,",
            "DestinationRates.csv line 3, column MaxCostStrategy: expected *free",
        ),
        (
            Table::DestinationRates,
            "DR,DE,S,*up,4,,",
            "DestinationRates.csv line 3, column DestinationId: applies at the same",
        ),
        (
            Table::RatingPlans,
            "P,NO,*any,10",
            "RatingPlans.csv line 4, column DestinationRatesId, `NO`: not found in Dest",
        ),
        (Table::RatingPlans, "P,DR,NO,10", "RatingPlans.csv line 4, column TimingTag, `NO`: not found in Timings.csv"),
        (Table::RatingPlans, "P,DR,ASAP,10", "Timings.csv line 2, column Time, `*asap`: a schedule for actions"),
        (Table::RatingPlans, "P,DR,*any,high", "RatingPlans.csv line 4, column Weight, `high`: expected a decimal"),
        (
            Table::RatingProfiles,
            "t,call,x,,NO,",
            "RatingProfiles.csv line 4, column RatingPlanId, `NO`: not found in Rat",
        ),
        (
            Table::RatingProfiles,
            "t,call,x,yesterday,P,",
            "RatingProfiles.csv line 4, column ActivationTime, `yesterday`: exp",
        ),
        (
            Table::RatingProfiles,
            "t,call,bert,,Q,",
            "RatingProfiles.csv line 4, column ActivationTime: contradicts line 3",
        ),
        (Table::RatingProfiles, "*in,t,call,x,,P,,", "RatingProfiles.csv line 4, `*in`: only direction *out"),
        (
            Table::Timings,
            "T,*any,13,*any,*any,00:00:00",
            "Timings.csv line 3, column Months, `13`: expected a whole number",
        ),
        (
            Table::Timings,
            "*any,2026,*any,*any,*any,00:00:00",
            "Timings.csv line 3, column Tag, `*any`: *any is built in",
        ),
    ];
    for (table, row, expected) in rows {
        let found = faults(|tables| tables.text_mut(table).push_str(&format!("{row}\n")));
        assert_eq!(found.len(), 1, "{row}: {found:?}");
        assert!(found.iter().all(|fault| fault.starts_with(expected)), "{row}: {found:?}");
    }
    assert_eq!(faults(|_| ()), [""; 0]);
}

#[test]
fn rows_that_would_contradict_each_other_are_refused() {
    let two_ids = |tables: &mut Tables| {
        tables.destinations.push_str("EU,49\n");
        tables.destination_rates.push_str("DE2,EU,S,*up,4,,\n");
        tables.rating_plans.push_str("P,DE2,*any,10\n");
    };
    assert!(faults(two_ids).iter().all(|fault| fault.starts_with("RatingPlans.csv line 4, column Weight: applies")));
    assert_eq!(faults(two_ids).len(), 1);
    // a weight decides
    let weighted = |tables: &mut Tables| {
        two_ids(tables);
        tables.rating_plans = tables.rating_plans.replace("P,DE2,*any,10", "P,DE2,*any,20");
    };
    assert_eq!(faults(weighted), [""; 0]);
    let days = |first: &str, second: &str| {
        faults(|tables| {
            tables.timings.push_str(&format!("A,*any,*any,*any,{first},08:00:00\nB,*any,12,*any,{second},08:00:00\n"));
            tables.destination_rates.push_str("D2,DE,S,*up,4,,\n");
            tables.rating_plans = "P,DR,A,10\nP,D2,B,10\nQ,DS,*any,10\n".into();
        })
    };
    assert_eq!(days("1;2;3;4;5", "6;7"), [""; 0]);
    assert_eq!(days("1;2;3;4;5", "5;6;7").len(), 1);
    assert_eq!(days("0", "7").len(), 1, "both are Sunday");
}

#[test]
fn all_faults_come_in_one_run() {
    let found = faults(|tables| {
        tables.rates.push_str("X,a,b,c,d,e\n\"broken\n");
        tables.rating_profiles.push_str("t,call,x,z,NO,\n");
    });
    assert!(found.len() >= 7, "{found:?}");
}

#[test]
fn a_folder_loads_as_its_texts_do() {
    let folder = tempfile::tempdir().expect("a folder");
    for table in Table::ALL {
        std::fs::write(folder.path().join(table.file_name()), good().text(table)).expect("a file");
    }
    std::fs::write(folder.path().join("Chargers.csv"), "not ours, \"whatever").expect("a file");
    let plan = Plan::load(folder.path(), eur()).unwrap_or_else(|errors| panic!("{errors}"));
    let from_texts = Plan::from_tables(&good(), eur()).expect("the same plan");
    assert_eq!(plan.version(), from_texts.version());

    let mut told = Vec::new();
    let again = Plan::load_with(folder.path(), eur(), &mut |progress| told.push(progress));
    assert_eq!(again.map(|plan| plan.version()), Ok(plan.version()));
    assert!(told.is_sorted_by_key(|progress| progress.bytes_done) && told.len() >= Table::ALL.len(), "{told:?}");
    assert!(told.last().is_some_and(|progress| progress.bytes_done == progress.bytes_total), "{told:?}");

    std::fs::write(folder.path().join("Rates.csv"), b"R,0,0.01,1s,1s,0s\nS,\xff").expect("a file");
    let errors = Plan::load(folder.path(), eur()).expect_err("no UTF-8").to_string();
    assert!(errors.contains("Rates.csv line 2: not UTF-8 from byte 20") && errors.contains("faults: 1"), "{errors}");
    let nowhere = Plan::load(&folder.path().join("nowhere"), eur()).expect_err("no folder").to_string();
    assert!(nowhere.contains("cannot be read: entity not found"), "{nowhere}");
}

#[test]
fn the_canonical_texts_give_the_same_plan() {
    let plan = Plan::from_tables(&good(), eur()).expect("a plan");
    let again = Plan::from_tables(plan.to_tables(), plan.options()).expect("the same plan");
    assert_eq!((again.version(), again.to_tables()), (plan.version(), plan.to_tables()));
    assert_eq!(plan.to_tables().rates, "R,0,0.01,1s,1s,0s\nS,,0.02,1s,1s,\n");
    assert_eq!(plan.version().to_string().parse(), Ok(plan.version()));
    // content counts, comments and the old layout do not
    let mut old = good();
    old.rating_profiles = old.rating_profiles.lines().map(|row| format!("*out,{row},QUEUE\n")).collect();
    old.rates.insert_str(0, "# a comment\n");
    assert_eq!(Plan::from_tables(&old, eur()).map(|plan| plan.version()), Ok(plan.version()));
    let mut dearer = good();
    dearer.rates = dearer.rates.replace("0.01", "0.011");
    assert_ne!(Plan::from_tables(&dearer, eur()).map(|plan| plan.version()), Ok(plan.version()));
    let usd: Currency = "USD".parse().expect("a currency");
    assert_ne!(Plan::from_tables(&good(), usd).map(|plan| plan.version()), Ok(plan.version()));
}

#[test]
fn who_pays_by_which_plan_and_since_when() {
    let plan = Plan::from_tables(&good(), eur()).expect("a plan");
    let rows = [
        // P since 2026: both countries
        ("anna", "4930", "2026-06-01T00:00:00Z", Ok("0.01")),
        ("anna", "4420", "2026-06-01T00:00:00Z", Ok("0.02")),
        // before that Q: 44 only, 49 by the fallback subject
        ("anna", "4420", "2025-06-01T00:00:00Z", Ok("0.02")),
        ("anna", "4930", "2025-06-01T00:00:00Z", Ok("0.01")),
        ("anna", "33", "2025-06-01T00:00:00Z", Err(Refusal::UnauthorizedDestination)),
        ("carl", "4930", "2026-06-01T00:00:00Z", Err(Refusal::RatingPlanNotFound)),
    ];
    for (subject, destination, start, expected) in rows {
        let start = start.parse().expect("a time");
        let query = Query { service: Service::Voice, tenant: "t", category: "call", subject, destination, start };
        let price = plan.resolve(&query).map(|rated| rated.price(1000, Rounding::Final));
        let expected = expected.map(|price| price.parse::<Money>().expect("an amount"));
        assert_eq!(price, expected, "{subject} {destination} {start}");
    }
    // a change of plan splits a call
    let start = "2025-12-31T23:59:50Z".parse().expect("a time");
    let query =
        Query { service: Service::Voice, tenant: "t", category: "call", subject: "anna", destination: "4420", start };
    assert_eq!(plan.resolve(&query).map(|rated| rated.rating_plan_id()), Ok("Q"));
    let warnings: Vec<String> = plan.warnings().iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        ["RatingProfiles.csv line 1, column FallbackSubject, `*any`: not found in RatingProfiles.csv"]
    );
}
