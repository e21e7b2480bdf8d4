//! GetCost: a price, and what the case says of it besides.

use rating::{Line, Plan, Query, Rated, Rounding, parse_service};
use serde_json::Value;
use types::charging::Service;
use types::{Money, UtcMs};

use super::Verdict;
use super::figures::{base_units, equals, numbers, time, usage};
use super::plans::NO_TENANT;

/// The text of a field, if there is one.
pub fn text<'v>(request: &'v Value, key: &str) -> &'v str {
    request[key].as_str().unwrap_or_default()
}

/// What is asked of a plan.
pub fn query<'v>(request: &'v Value, service: Service, start: UtcMs) -> Query<'v> {
    let or_none = |key: &str| Some(text(request, key)).filter(|text| !text.is_empty()).unwrap_or(NO_TENANT);
    Query {
        service,
        tenant: or_none("tenant"),
        category: or_none("category"),
        subject: text(request, "subject"),
        destination: text(request, "destination"),
        start,
    }
}

/// The service that is asked for; voice unless told otherwise.
pub fn service(request: &Value) -> Result<Service, String> {
    match text(request, "tor") {
        "" => Ok(Service::Voice),
        tor => parse_service(tor).ok_or(format!("unknown tor {tor}")),
    }
}

pub fn judge(case: &Value, step: &Value, plan: &Plan) -> Verdict {
    let expected = &step["expected"];
    let known = ["cost", "exact", "error", "connect_fee", "timespans", "rounded_duration", "matched"];
    let unknown = expected.as_object().into_iter().flatten().find(|(key, _)| !known.contains(&key.as_str()));
    if let Some((key, _)) = unknown {
        return Verdict::Skipped(format!("GetCost with {key} expected"));
    }
    match compare(case, step, plan) {
        Ok(()) => Verdict::Passed,
        Err(difference) => Verdict::Failed(difference),
    }
}

fn compare(case: &Value, step: &Value, plan: &Plan) -> Result<(), String> {
    let (request, expected) = (&step["request"], &step["expected"]);
    let service = service(request)?;
    let used = usage(&request["usage"], service)?;
    // A later debit of a session says how much of it there is with this usage: rate groups count from its start.
    let total = ["duration_index", "call_duration"].into_iter().find(|key| !request[*key].is_null());
    let total = total.map_or(Ok(used), |key| usage(&request[key], service))?.max(used);
    let before = total - used;
    let answered =
        time(if request["answer_time"].is_null() { &request["setup_time"] } else { &request["answer_time"] })?;
    let back = if service == Service::Voice { before } else { 0 };
    let start = UtcMs(answered.0.saturating_sub_unsigned(back));
    let found = plan.resolve(&query(request, service, start));
    if let Some(error) = expected["error"].as_str() {
        return match found.map_err(|refusal| refusal.code()) {
            Err(code) if code == error => Ok(()),
            Err(code) => Err(format!("ours {code}, theirs {error}")),
            Ok(rated) => Err(format!("ours {}, theirs {error}", rated.price(used, Rounding::Final))),
        };
    }
    let rated = found.map_err(|refusal| format!("ours {}, theirs {expected}", refusal.code()))?;
    let fee = connect_fee(&rated, total);
    let mut price = rated.price(total, Rounding::Final) - rated.price(before, Rounding::Final);
    let first = request["loop_index"].as_u64().unwrap_or(0) == 0;
    if before == 0 && used > 0 && !first {
        price -= fee;
    } else if before > 0 && first {
        price += fee;
    }
    cost(case, expected, price).map_err(|difference| explained(&rated, total, &difference))?;
    if !expected["connect_fee"].is_null() && !equals(fee, &expected["connect_fee"].to_string())? {
        return Err(format!("connect fee: ours {fee}, theirs {}", expected["connect_fee"]));
    }
    let timespans = rated.explain(total).iter().filter(|line| matches!(line, Line::Span { .. })).count();
    if expected["timespans"].as_u64().is_some_and(|theirs| u64::try_from(timespans) != Ok(theirs)) {
        let difference = format!("timespans: ours {timespans}, theirs {}", expected["timespans"]);
        return Err(explained(&rated, total, &difference));
    }
    let rounded = i128::from(rated.billable(total)) * if service == Service::Voice { 1_000_000 } else { 1 };
    if !expected["rounded_duration"].is_null() && base_units(&expected["rounded_duration"]) != Some(rounded) {
        return Err(format!("rounded duration: ours {rounded}, theirs {}", expected["rounded_duration"]));
    }
    matched(expected, request, &rated)
}

/// The exact figure counts; of a case that is marked as a quirk, the cost as it stands or a figure that its note names.
fn cost(case: &Value, expected: &Value, price: Money) -> Result<(), String> {
    if !expected["exact"].is_null() {
        let right = equals(price, &expected["exact"].to_string())?;
        return if right { Ok(()) } else { Err(format!("ours {price}, exact {}", expected["exact"])) };
    }
    if expected["cost"].is_null() || equals(price, &expected["cost"].to_string())? {
        return Ok(());
    }
    let told = [text(case, "quirk"), text(case, "notes")];
    let named =
        !case["quirk"].is_null() && told.iter().flat_map(|text| numbers(text)).any(|n| equals(price, n) == Ok(true));
    if named { Ok(()) } else { Err(format!("ours {price}, theirs {}", expected["cost"])) }
}

fn connect_fee(rated: &Rated<'_>, usage: u64) -> Money {
    let fee = rated.explain(usage.max(1)).into_iter().find_map(|line| match line {
        Line::ConnectFee { fee, .. } => Some(fee),
        _ => None,
    });
    fee.unwrap_or(Money::ZERO)
}

fn matched(expected: &Value, request: &Value, rated: &Rated<'_>) -> Result<(), String> {
    let number = text(request, "destination");
    let subject = format!("*out:{}:{}:{}", text(request, "tenant"), text(request, "category"), rated.subject());
    let prefix = Some(rated.matched_prefix(number)).filter(|prefix| !prefix.is_empty()).unwrap_or("*any");
    for (key, theirs) in expected["matched"].as_object().into_iter().flatten() {
        let ours = match key.as_str() {
            "subject" => subject.as_str(),
            "prefix" => prefix,
            "destination" | "destination_id" | "dest_id" => rated.destination_id(),
            "rating_plan" | "rating_plan_id" => rated.rating_plan_id(),
            _ => return Err(format!("matched {key} is not judged")),
        };
        let theirs = theirs.as_str().unwrap_or_default();
        if ours != theirs && !(key == "subject" && theirs == rated.subject()) {
            return Err(format!("matched {key}: ours {ours}, theirs {theirs}"));
        }
    }
    Ok(())
}

fn explained(rated: &Rated<'_>, usage: u64, difference: &str) -> String {
    let lines: Vec<String> = rated.explain(usage).iter().map(|line| format!("\n    {line}")).collect();
    format!("{difference}{}", lines.concat())
}
