//! Replays independent rating cases when TOLLKEEPER_JUDGES names their folder: every GetCost step must come out to the
//! last digit of exact arithmetic (`exact` where a case gives it, otherwise `cost`).

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use rating::{Plan, PlanOptions, Query, Rounding, Table, Tables};
use serde_json::Value;
use types::charging::Service;
use types::{Currency, Money, UtcMs};

#[derive(Default)]
struct Tally {
    passed: usize,
    failed: Vec<String>,
    skipped: Vec<String>,
}

#[test]
fn independent_cases_come_out_exactly() {
    let Some(folder) = std::env::var_os("TOLLKEEPER_JUDGES").map(PathBuf::from) else {
        println!("skipped: TOLLKEEPER_JUDGES names no folder of cases");
        return;
    };
    let mut tally = Tally::default();
    let mut plans = HashMap::new();
    for file in ["cases_public.jsonl", "oracle_public.jsonl"] {
        let text = std::fs::read_to_string(folder.join(file)).expect("the cases can be read");
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            let case: Value = serde_json::from_str(line).expect("a case is JSON");
            run(&folder, &case, &mut plans, &mut tally);
        }
    }
    println!("passed {}, failed {}, skipped {}", tally.passed, tally.failed.len(), tally.skipped.len());
    tally.skipped.iter().for_each(|reason| println!("skipped {reason}"));
    assert!(tally.failed.is_empty(), "\n{}", tally.failed.join("\n"));
    assert!(tally.passed > 0, "no case was replayed");
}

fn run(folder: &Path, case: &Value, plans: &mut HashMap<String, Result<Plan, String>>, tally: &mut Tally) {
    let whole = [Value::Object(case.as_object().expect("an object").clone())];
    let steps = match &case["steps"] {
        Value::Array(steps) => steps.as_slice(),
        _ => &whole,
    };
    for step in steps.iter().filter(|step| step["op"].is_null() || step["op"] == "GetCost") {
        let depth = case["config"]["fallback_depth"].as_u64().unwrap_or(3);
        let key = format!("{}{depth}", case["plan"]);
        let plan = plans.entry(key).or_insert_with(|| plan(folder, &case["plan"], depth));
        let name = format!("{} {}", case["id"], step["request"]);
        match plan {
            Err(error) => tally.skipped.push(format!("{name}: {error}")),
            Ok(plan) => match check(plan, step) {
                Ok(true) => tally.passed += 1,
                Ok(false) => tally.skipped.push(name),
                Err(difference) => tally.failed.push(format!("{name}: {difference}")),
            },
        }
    }
}

fn plan(folder: &Path, plan: &Value, depth: u64) -> Result<Plan, String> {
    let currency: Currency = "EUR".parse().expect("a currency");
    // In the cases `+` is a character like any other.
    let fallback_depth = depth.try_into().expect("small");
    let options = PlanOptions { fallback_depth, plus_is_optional: false, ..currency.into() };
    let loaded = if let Some(path) = plan["folder"].as_str() {
        Plan::load(&folder.join(path), options)
    } else {
        let mut tables = Tables::default();
        for table in Table::ALL {
            let rows = plan["rows"][table.file_name().trim_end_matches(".csv")].as_array();
            for row in rows.into_iter().flatten() {
                tables.text_mut(table).push_str(row.as_str().expect("a row"));
                tables.text_mut(table).push('\n');
            }
        }
        Plan::from_tables(&tables, options)
    };
    loaded.map_err(|errors| errors.to_string())
}

/// True if checked, false if the step asks for something that is no price.
fn check(plan: &Plan, step: &Value) -> Result<bool, String> {
    let (request, expected) = (&step["request"], &step["expected"]);
    let text = |key: &str| request[key].as_str().unwrap_or_default();
    let service = match text("tor") {
        "*data" => Service::Data,
        "*sms" => Service::Sms,
        "*mms" => Service::Mms,
        "*generic" => Service::Generic,
        _ => Service::Voice,
    };
    let answer_time = format!("{}Z", text("answer_time").trim_end_matches('Z'));
    let start: UtcMs = answer_time.parse().map_err(|error| format!("{answer_time}: {error}"))?;
    let usage = match &request["usage"] {
        Value::String(seconds) => {
            let seconds: u64 = seconds.trim_end_matches('s').parse().map_err(|_| format!("usage {seconds}"))?;
            if service == Service::Voice { seconds * 1000 } else { seconds * 1_000_000_000 }
        }
        other => other.as_u64().ok_or("no usage")?,
    };
    let (tenant, category, subject) = (text("tenant"), text("category"), text("subject"));
    let query = Query { service, tenant, category, subject, destination: text("destination"), start };
    let found = plan.resolve(&query);
    if let Some(error) = expected["error"].as_str() {
        let wanted = match error {
            "RATING_PLAN_NOT_FOUND" => rating::Refusal::RatingPlanNotFound,
            _ => rating::Refusal::UnauthorizedDestination,
        };
        return if found.err() == Some(wanted) { Ok(true) } else { Err(format!("{found:?}, expected {error}")) };
    }
    let figure = if expected["exact"].is_null() { &expected["cost"] } else { &expected["exact"] };
    if figure.is_null() {
        return Ok(false);
    }
    let rated = found.map_err(|refusal| format!("{refusal}, expected {figure}"))?;
    let mut price = rated.price(usage, Rounding::Final);
    if request["loop_index"].as_u64().is_some_and(|index| index > 0) {
        // A later debit of a session pays no connect fee: what the total grows by after the fee was paid.
        price -= expected["connect_fee"].to_string().parse().map_err(|error| format!("connect fee: {error}"))?;
    }
    if equals(price, figure)? {
        return Ok(true);
    }
    let lines: Vec<String> = rated.explain(usage).iter().map(ToString::to_string).collect();
    Err(format!("{price}, expected {figure}\n    {}", lines.join("\n    ")))
}

/// Compares the figure's own decimal digits. A figure of more than nine decimals (a plan that does not round) is the
/// nearest binary fraction of an amount; ours is that amount rounded to nine decimals.
fn equals(price: Money, figure: &Value) -> Result<bool, String> {
    let text = figure.to_string();
    let text = text.strip_suffix(".0").unwrap_or(&text);
    let decimals = text.split_once('.').map_or("", |(_, decimals)| decimals);
    let nine = text.len() - decimals.len().saturating_sub(9);
    let wanted: Money = text[..nine].parse().map_err(|error| format!("{text}: {error}"))?;
    let beyond = if decimals.len() > 9 { 1 } else { 0 };
    Ok((price - wanted).nanos().abs() <= beyond)
}
