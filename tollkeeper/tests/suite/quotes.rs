//! `quote`: from a folder, from a core, and files of requests.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;
use types::Money;

use crate::support::{Tollkeeper, run};

fn plan() -> String {
    format!("{}/tests/tariff", env!("CARGO_MANIFEST_DIR"))
}

/// A tariff with everything that an explanation can tell of.
fn rich(folder: &Path) {
    let files = [
        ("Destinations.csv", "DE,49\n"),
        ("Rates.csv", "DAY,0.05,0.60,60s,60s,0s\nDAY,0.05,0.60,60s,1s,60s\nNIGHT,0,0.07,60s,1s,0s\n"),
        ("Timings.csv", "EVENING,*any,*any,*any,*any,18:00:00\n"),
        ("DestinationRates.csv", "DD,DE,DAY,*up,4,0,\nDN,DE,NIGHT,*up,4,0,\n"),
        ("RatingPlans.csv", "RP,DD,*any,10\nRP,DN,EVENING,20\n"),
        ("RatingProfiles.csv", "default,call,*any,,RP,\n"),
    ];
    for (name, text) in files {
        std::fs::write(folder.join(name), text).expect("written");
    }
}

#[test]
fn a_folder_is_priced_without_a_core() {
    let plan = plan();
    let quote =
        |more: &[&str]| run(&[["quote", "--plan", &plan, "--destination", "+49301234567"].as_slice(), more].concat());
    let told = quote(&["--usage", "1m30s", "--json"]).json().remove(0);
    let seen = (&told["cost"], &told["currency"], &told["billable"], &told["tor"], &told["error"]);
    assert_eq!(seen, (&json!("0.9"), &json!("EUR"), &json!(90_000), &json!("voice"), &Value::Null), "{told}");
    let text = quote(&["--usage", "90s", "--currency", "USD"]).ok();
    assert!(text.lines().any(|line| line.split_whitespace().eq(["price", "0.9", "USD"])), "{text}");
    let nowhere = run(&["quote", "--plan", &plan, "--destination", "88", "--usage", "90s"]).ok();
    assert!(nowhere.starts_with("no price: no rate covers the destination"), "{nowhere}");
}

#[test]
fn an_explanation_can_be_read_to_a_customer() {
    let folder = TempDir::new().expect("a folder");
    rich(folder.path());
    let plan = folder.path().to_str().expect("text");
    let args = ["quote", "--plan", plan, "--destination", "4930", "--usage", "150s", "--explain"];
    let at = ["--at", "2026-11-20T16:58:40Z", "--time-zone", "Europe/Berlin"];
    let text = run(&[args.as_slice(), &at].concat()).ok();
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    assert!(lines[0].contains("150s used, 150s paid for") && lines[0].contains("rating plan RP"), "{text}");
    let amounts: Vec<&str> = lines.iter().skip(2).filter_map(|line| line.split_whitespace().next()).collect();
    // 60 s and 20 s by day, 70 s from 18:00 in Berlin on: 0.05 + 0.60 + 0.20 + 0.0816...
    let expected = ["0.050000000", "0.600000000", "0.200000000", "0.081666666", "0.000033334", "0.931700000"];
    assert_eq!(amounts, expected, "{text}");
    for wanted in [
        "connect fee of rate DAY",
        "0s to 60s (from 17:58:40): 1 step of 60s at 0.6 per 60s (DE, rate DAY)",
        "60s to 80s (from 17:59:40): 20 steps of 1s at 0.6 per 60s (DE, rate DAY)",
        "80s to 150s (from 18:00:00): 70 steps of 1s at 0.07 per 60s (DE, rate NIGHT, EVENING, exactly 0.081666666666...)",
        "the sum is rounded up to 4 decimals",
        "EUR: the price",
    ] {
        assert!(text.contains(wanted), "{wanted}\n{text}");
    }
    let told = run(&[args.as_slice(), &at, &["--json"]].concat()).json().remove(0);
    let sum: Money = told["lines"]
        .as_array()
        .expect("lines")
        .iter()
        .map(|line| line["amount"].as_str().expect("text").parse::<Money>().expect("money"))
        .sum();
    assert_eq!((told["cost"].as_str(), sum.to_string()), (Some("0.9317"), "0.9317".to_owned()), "{told}");
}

#[test]
fn a_running_core_is_asked_when_no_folder_is_named() {
    let core = Tollkeeper::start(&format!("[core.tariff]\nfolder = \"{}\"\n", plan()));
    let args = ["quote", "--destination", "+49301234567", "--usage", "90s", "--at", "2026-11-22T12:00:00Z"];
    let remote = core.cli(&[args.as_slice(), &["--explain", "--json"]].concat()).json().remove(0);
    let local = run(&[args.as_slice(), &["--plan", &plan(), "--explain", "--json"]].concat()).json().remove(0);
    assert_eq!(remote, local);
    let nobody = core.cli(&["quote", "--session", "none"]);
    assert!(nobody.code == Some(1) && nobody.err.contains("no session none"), "{nobody:?}");
    let no_tariff = Tollkeeper::start("").cli(&args);
    assert!(no_tariff.code == Some(1) && no_tariff.err.contains("tollkeeper tariff load DIR"), "{no_tariff:?}");
}

#[test]
fn what_is_asked_wrongly_is_told() {
    let plan = plan();
    let rows: [(&[&str], &str); 7] = [
        (&["--destination", "49", "--usage", "90"], "write 90s for seconds"),
        (&["--destination", "49", "--usage", "-1s"], "not negative"),
        (&["--destination", "49", "--usage", "1.5", "--tor", "data"], "a number such as 1048576"),
        (&["--destination", "49", "--usage", "90s", "--at", "noon"], "a time is written"),
        (&["--destination", "49", "--usage", "90s", "--time-zone", "Mars"], "--time-zone \"Mars\" is no time zone"),
        (&["--destination", "49"], "--usage"),
        (&["--requests", "in.jsonl"], "--answers"),
    ];
    for (args, expected) in rows {
        let finished = run(&[["quote", "--plan", &plan].as_slice(), args].concat());
        assert!(finished.code == Some(64) && finished.err.contains(expected), "{finished:?}");
    }
    let missing = run(&["quote", "--plan", "/no/such", "--destination", "49", "--usage", "1s"]);
    assert!(missing.code == Some(1) && missing.err.contains("/no/such"), "{missing:?}");
}

fn request(id: usize, usage: &str) -> String {
    format!(
        r#"{{"id":{id},"tor":"*voice","tenant":"default","category":"call","subject":"s","destination":"49301","answer_time":"2026-01-01T00:00:00Z","usage":"{usage}"}}"#
    )
}

/// The answers to a text of requests, and what was said beside them.
fn bulk(plan: &str, requests: &[u8]) -> (Vec<Value>, Value, String) {
    let folder = TempDir::new().expect("a folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("text").to_owned();
    std::fs::write(path("in.jsonl"), requests).expect("written");
    let args = ["quote", "--plan", plan, "--requests", &path("in.jsonl"), "--answers", &path("out.jsonl"), "--json"];
    let finished = run(&args);
    let err = finished.err.clone();
    let summary = finished.json().remove(0);
    let answers = std::fs::read_to_string(path("out.jsonl")).expect("answers");
    assert_eq!(std::fs::read_dir(folder.path()).expect("readable").count(), 2, "no file is left beside them");
    (answers.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect(), summary, err)
}

#[test]
fn many_requests_are_answered_in_their_order() {
    // More than all workers take at once, so that turns come round.
    let count = 30_000;
    let mut text = String::new();
    for id in 0..count {
        match id {
            777 => text.push_str("not JSON\n"),
            778 => text.push_str("\r\n"),
            // Longer than anything that is read at once.
            20_000 => writeln!(text, "{{\"id\":\"{}\"}}", "x".repeat(3 << 20)).expect("written"),
            _ => writeln!(text, "{}", request(id, &format!("{}s", id % 100 + 1))).expect("written"),
        }
    }
    text.pop();
    let (answers, summary, err) = bulk(&plan(), text.as_bytes());
    assert_eq!(answers.len(), count - 1, "the empty line has none");
    let mut answers = answers.into_iter();
    for id in (0..count).filter(|id| *id != 778) {
        let answer = answers.next().expect("an answer");
        let line = id + 1;
        if id == 777 || id == 20_000 {
            assert_eq!(
                (&answer["error"], &answer["line"], &answer["id"]),
                (&json!("BAD_REQUEST"), &json!(line), &Value::Null)
            );
        } else {
            let cost = Money::from_nanos(10_000_000 * i128::try_from(id % 100 + 1).expect("small")).to_string();
            assert_eq!(answer, json!({ "id": id, "cost": cost }));
        }
    }
    let seen = (&summary["requests"], &summary["priced"], &summary["bad"]);
    assert_eq!(seen, (&json!(count - 1), &json!(count - 3), &json!(2)), "{summary}");
    assert!(err.contains("2 lines are no requests"), "{err}");
}

#[test]
fn requests_come_and_answers_go_through_pipes() {
    use std::io::Write as _;
    use std::process::Stdio;
    let plan = plan();
    let mut command = crate::support::binary();
    command.args(["quote", "--plan", &plan, "--requests", "-", "--answers", "-"]);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("started");
    let mut input = child.stdin.take().expect("piped");
    input.write_all(request(1, "10s").as_bytes()).expect("written");
    drop(input);
    let output = child.wait_with_output().expect("ended");
    assert_eq!(String::from_utf8(output.stdout).expect("text"), "{\"id\":1,\"cost\":\"0.1\"}\n");
    let err = String::from_utf8(output.stderr).expect("text");
    assert!(
        err.starts_with("1 requests in 0.") && err.contains(" a second: 1 priced, 0 refused, 0 bad lines"),
        "{err}"
    );
}

/// A figure's own digits, to nine decimals; the second says that it had more.
fn figure(value: &Value) -> (Money, bool) {
    let text = value.to_string();
    let text = text.strip_suffix(".0").unwrap_or(&text);
    let decimals = text.split_once('.').map_or("", |(_, decimals)| decimals);
    let nine = text.len() - decimals.len().saturating_sub(9);
    (text[..nine].parse().unwrap_or_else(|error| panic!("{text}: {error}")), decimals.len() > 9)
}

#[test]
fn independent_answers_come_out_exactly() {
    let Some(folder) = std::env::var_os("TOLLKEEPER_JUDGES").map(PathBuf::from) else {
        println!("skipped: TOLLKEEPER_JUDGES names no folder of cases");
        return;
    };
    let text = std::fs::read_to_string(folder.join("oracle_public.jsonl")).expect("the cases can be read");
    let mut by_plan: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for line in text.lines() {
        let case: Value = serde_json::from_str(line).expect("a case is JSON");
        by_plan.entry(case["plan"]["folder"].as_str().expect("a folder").to_owned()).or_default().push(case);
    }
    let (mut passed, mut failed) = (0, Vec::new());
    for (plan, cases) in by_plan {
        let requests = cases.iter().map(|case| {
            let mut request = case["request"].clone();
            request["id"] = case["id"].clone();
            format!("{request}\n")
        });
        let (answers, _, _) = bulk(folder.join(&plan).to_str().expect("text"), requests.collect::<String>().as_bytes());
        assert_eq!(answers.len(), cases.len(), "{plan}");
        for (case, answer) in cases.iter().zip(answers) {
            assert_eq!(case["id"], answer["id"]);
            let expected = &case["expected"];
            let right = if expected["error"].is_null() {
                let (wanted, more) =
                    figure(if expected["exact"].is_null() { &expected["cost"] } else { &expected["exact"] });
                let cost = answer["cost"].as_str().and_then(|cost| cost.parse::<Money>().ok());
                cost.is_some_and(|cost| (cost - wanted).nanos().abs() <= i128::from(more))
            } else {
                expected["error"] == answer["error"]
            };
            if right { passed += 1 } else { failed.push(format!("{}: {answer}, expected {expected}", case["request"])) }
        }
    }
    println!("passed {passed}, failed {}", failed.len());
    assert!(failed.is_empty() && passed > 1000, "{passed} passed\n{}", failed.join("\n"));
}
