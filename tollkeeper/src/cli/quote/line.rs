//! One line of a file of requests, and its answer.
//!
//! In: `{"id","tor","tenant","category","subject","destination","answer_time","usage"}`; other keys are passed by. `id` is
//! any JSON value. `usage` is a duration text such as `"90s"`, or a whole number of units (of voice: nanoseconds).
//! `answer_time` is ISO 8601; without a zone it is UTC.
//! Out: `{"id","cost":"<decimal>"}`, or `{"id","error":"<CODE>"}`; for a line that is no request
//! `{"id","error":"BAD_REQUEST","line","message"}`, where `id` is null if it could not be read.

use std::borrow::Cow;

use rating::{Plan, Query};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use types::UtcMs;

/// What became of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Priced,
    Refused,
    /// No request.
    Bad,
}

#[derive(Deserialize)]
struct Request<'l> {
    #[serde(borrow)]
    id: Option<&'l RawValue>,
    #[serde(borrow)]
    tor: Option<Cow<'l, str>>,
    #[serde(borrow)]
    tenant: Option<Cow<'l, str>>,
    #[serde(borrow)]
    category: Option<Cow<'l, str>>,
    #[serde(borrow)]
    subject: Option<Cow<'l, str>>,
    #[serde(borrow)]
    destination: Option<Cow<'l, str>>,
    #[serde(borrow)]
    answer_time: Option<Cow<'l, str>>,
    #[serde(borrow)]
    usage: Option<&'l RawValue>,
}

#[derive(Serialize)]
struct Answer<'l> {
    id: Option<&'l RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cost: Option<types::Money>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

/// Answers a line; `number` is its place in the file, from 1. The answer ends with a line end.
pub(super) fn answer(plan: &Plan, line: &[u8], number: u64, out: &mut Vec<u8>) -> Outcome {
    let request: Request<'_> = match serde_json::from_slice(line) {
        Ok(request) => request,
        Err(error) => {
            // Its id may be readable all the same.
            #[derive(Deserialize)]
            struct OnlyId<'l> {
                #[serde(borrow)]
                id: Option<&'l RawValue>,
            }
            let id = serde_json::from_slice::<OnlyId<'_>>(line).ok().and_then(|only| only.id);
            return bad(id, number, &format!("not a request: {error}"), out);
        }
    };
    match price(plan, &request) {
        Ok(Ok(cost)) => {
            write(&Answer { id: request.id, cost: Some(cost), error: None, line: None, message: None }, out);
            Outcome::Priced
        }
        Ok(Err(code)) => {
            write(&Answer { id: request.id, cost: None, error: Some(code), line: None, message: None }, out);
            Outcome::Refused
        }
        Err(message) => bad(request.id, number, &message, out),
    }
}

/// The answer to a line that is no request.
pub(super) fn bad(id: Option<&RawValue>, line: u64, message: &str, out: &mut Vec<u8>) -> Outcome {
    let message = Some(format!("line {line}: {message}"));
    write(&Answer { id, cost: None, error: Some("BAD_REQUEST"), line: Some(line), message }, out);
    Outcome::Bad
}

/// The price, or the code of a refusal; or why it is no request.
fn price(plan: &Plan, request: &Request<'_>) -> Result<Result<types::Money, &'static str>, String> {
    let tor = request.tor.as_deref().ok_or("tor is missing")?;
    let service = rating::parse_service(tor)
        .ok_or_else(|| format!("tor {tor:?} must be *voice, *data, *sms, *mms or *generic"))?;
    let usage = request.usage.ok_or("usage is missing")?.get();
    // Of a text without escapes: what is in the quotes.
    let usage = usage.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(usage);
    let usage = rating::parse_usage(usage, service)
        .map_err(|_| format!("usage {usage:?} must be a duration such as \"90s\" or a whole number, not negative"))?;
    let text = |name: &str, field: &'_ Option<Cow<'_, str>>| match field {
        Some(text) => Ok(text.clone().into_owned()),
        None => Err(format!("{name} is missing")),
    };
    let start = time(request.answer_time.as_deref().ok_or("answer_time is missing")?)?;
    let (tenant, category) = (text("tenant", &request.tenant)?, text("category", &request.category)?);
    let (subject, destination) = (text("subject", &request.subject)?, text("destination", &request.destination)?);
    let query =
        Query { service, tenant: &tenant, category: &category, subject: &subject, destination: &destination, start };
    Ok(match plan.resolve(&query) {
        Ok(rated) => rated.quote(usage).map(|quote| quote.price).map_err(|error| error.code()),
        Err(refusal) => Err(refusal.code()),
    })
}

/// ISO 8601 with `Z`, with an offset, or without either: UTC then.
fn time(text: &str) -> Result<UtcMs, String> {
    let wrong = || format!("answer_time {text:?} must be a time such as 2026-01-31T08:00:00Z");
    let (clock, offset_ms) = match text.len().checked_sub(6).and_then(|at| text.split_at_checked(at)) {
        _ if text.ends_with('Z') => (text.strip_suffix('Z').unwrap_or(text), 0),
        Some((clock, offset)) if clock.contains('T') && offset.starts_with(['+', '-']) => {
            (clock, offset_ms(offset).ok_or_else(wrong)?)
        }
        _ => (text, 0),
    };
    let local: UtcMs = format!("{clock}Z").parse().map_err(|_| wrong())?;
    Ok(UtcMs(local.0.saturating_sub(offset_ms)))
}

/// `+02:00` in milliseconds.
fn offset_ms(text: &str) -> Option<i64> {
    let (hours, minutes) = text.get(1..)?.split_once(':')?;
    let part = |digits: &str, below: i64| {
        let two = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
        if two { digits.parse::<i64>().ok().filter(|value| *value < below) } else { None }
    };
    let ms = (part(hours, 24)? * 60 + part(minutes, 60)?) * 60_000;
    Some(if text.starts_with('-') { -ms } else { ms })
}

fn write(answer: &Answer<'_>, out: &mut Vec<u8>) {
    // Into memory, of plain values: cannot fail.
    serde_json::to_writer(&mut *out, answer).unwrap_or_default();
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use rating::{PlanOptions, Tables};
    use types::Currency;

    use super::*;

    fn plan() -> Plan {
        let currency: Currency = "EUR".parse().expect("a currency");
        let tables = Tables {
            destinations: "DE,+49\n".into(),
            rates: "R,0,0.1,60s,1s,0s\nD,0,1,1048576,1,0\n".into(),
            destination_rates: "DR,DE,R,*up,4,0,\nDD,*any,D,*up,4,0,\n".into(),
            rating_plans: "P,DR,*any,10\nQ,DD,*any,10\n".into(),
            rating_profiles: "t,call,*any,,P,\nt,data,*any,2026-01-01T00:00:00Z,Q,\n".into(),
            ..Tables::default()
        };
        Plan::from_tables(&tables, PlanOptions { plus_is_optional: false, ..currency.into() }).expect("a plan")
    }

    fn told(line: &str) -> String {
        let mut out = Vec::new();
        answer(&plan(), line.as_bytes(), 7, &mut out);
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn each_request_has_its_answer() {
        let of = |id: &str, category: &str, destination: &str, time: &str, usage: &str| {
            format!(
                r#"{{"id":{id},"tor":"*voice","tenant":"t","category":"{category}","subject":"s","destination":"{destination}","answer_time":"{time}","usage":{usage}}}"#
            )
        };
        let (t, noon) = ("2026-06-01T12:00:00Z", "2026-06-01T14:00:00.5+02:00");
        let rows = [
            (of("\"a\"", "call", "+4930", t, "\"61s\""), r#"{"id":"a","cost":"0.1017"}"#),
            (of("1", "call", "+4930", noon, "\"1m1s\""), r#"{"id":1,"cost":"0.1017"}"#),
            (
                of("{\"x\": [1]}", "call", "+4930", "2026-06-01T12:00:00", "60000000000"),
                r#"{"id":{"x": [1]},"cost":"0.1"}"#,
            ),
            (of("\"a\"", "call", "+4930", t, "\"0s\""), r#"{"id":"a","cost":"0"}"#),
            (of("\"a\"", "call", "4930", t, "\"1s\""), r#"{"id":"a","error":"UNAUTHORIZED_DESTINATION"}"#),
            (of("\"a\"", "fax", "+4930", t, "\"1s\""), r#"{"id":"a","error":"RATING_PLAN_NOT_FOUND"}"#),
        ];
        for (line, expected) in rows {
            assert_eq!(told(&line), format!("{expected}\n"), "{line}");
        }
        let data = r#"{"id":"d","tor":"*data","tenant":"t","category":"data","subject":"s","destination":"x","answer_time":"2026-01-01T00:00:00Z","usage":524288,"more":null}"#;
        assert_eq!(told(data), "{\"id\":\"d\",\"cost\":\"0.5\"}\n");
        assert_eq!(told(&data.replace("524288", "\"524288\"")), "{\"id\":\"d\",\"cost\":\"0.5\"}\n");
    }

    #[test]
    fn a_bad_line_is_told_with_its_number() {
        let good = r#"{"id":"a","tor":"*voice","tenant":"t","category":"call","subject":"s","destination":"+49","answer_time":"2026-06-01T12:00:00Z","usage":"1s"}"#;
        assert_eq!(told(good), "{\"id\":\"a\",\"cost\":\"0.0017\"}\n");
        let changes = [
            ("\"usage\":\"1s\"", "\"usage\":\"-1s\"", "not negative"),
            ("\"usage\":\"1s\"", "\"usage\":-1", "not negative"),
            ("\"usage\":\"1s\"", "\"usage\":1.5", "whole number"),
            ("\"usage\":\"1s\"", "\"usage\":null", "usage is missing"),
            ("\"usage\":\"1s\"", "\"usage\":{}", "whole number"),
            (",\"usage\":\"1s\"", "", "usage is missing"),
            ("*voice", "*fax", "must be *voice"),
            ("2026-06-01", "2026-02-30", "must be a time"),
            ("12:00:00Z", "12:00:00+25:00", "must be a time"),
            ("\"subject\":\"s\",", "", "subject is missing"),
            ("\"subject\":\"s\"", "\"subject\":5", "not a request"),
        ];
        for (from, to, expected) in changes {
            let line = good.replace(from, to);
            let told: serde_json::Value = serde_json::from_str(&told(&line)).expect("JSON");
            assert_eq!((&told["id"], &told["error"], &told["line"]), (&"a".into(), &"BAD_REQUEST".into(), &7.into()));
            let message = told["message"].as_str().expect("text");
            assert!(message.starts_with("line 7: ") && message.contains(expected), "{line}: {message}");
        }
        for line in ["nonsense", "[]", "{\"id\":\"a\"", "\u{0}", "{\"id\":\"a\"}}"] {
            let told: serde_json::Value = serde_json::from_str(&told(line)).expect("JSON");
            assert_eq!(told["error"], "BAD_REQUEST", "{line}");
        }
    }
}
