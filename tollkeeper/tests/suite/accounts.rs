//! Accounts through the binary, over gRPC, on disk.

use serde_json::{Value, json};

use crate::support::{Tollkeeper, run};

#[test]
fn an_accounts_life() {
    let core = Tollkeeper::start("");
    let one = |args: &[&str]| core.cli(args).json().remove(0);
    let created = one(&[
        "account",
        "create",
        "alice",
        "--balance",
        "1.00",
        "--identity",
        "e164:+49301234567",
        "--low-balance",
        "0.10",
        "--credit-limit",
        "0.5",
        "--json",
    ]);
    let expected = json!({
        "tenant": "default", "account_id": "alice", "currency": "EUR", "identities": ["e164:+49301234567"],
        "balance": "1", "held": "0", "available": "1.5", "credit_limit": "0.5", "low_balance_limit": "0.1",
        "balances": [], "blocked": false, "open_sessions": 0,
    });
    assert_eq!(created["account_id"], expected["account_id"]);
    assert_eq!(one(&["account", "show", "alice", "--json"]), expected);
    assert_eq!(one(&["account", "show", "--identity", "e164:+49301234567", "--json"]), expected);
    let topped = one(&["account", "topup", "alice", "0.000000001", "--request-id", "v1", "--json"]);
    assert_eq!((&topped["amount"], &topped["request_id"]), (&json!("0.000000001"), &json!("v1")));
    // A copy counts once.
    core.cli(&["account", "topup", "alice", "0.000000001", "--request-id", "v1"]).ok();
    let made_up = one(&["account", "topup", "alice", "2", "--json"]);
    assert!(made_up["request_id"].as_str().is_some_and(|id| id.starts_with("cli-")), "{made_up}");
    one(&["account", "debit", "alice", "0.25", "--json"]);
    assert_eq!(one(&["account", "show", "alice", "--json"])["balance"], "2.750000001");
    assert_eq!(one(&["account", "block", "alice", "--json"])["blocked"], true);
    assert_eq!(one(&["account", "list", "--blocked", "true", "--json"])["account_id"], "alice");
    assert_eq!(one(&["account", "unblock", "alice", "--json"])["blocked"], false);
    assert!(core.cli(&["account", "list", "--blocked", "true", "--json"]).json().is_empty());
    let history = core.cli(&["account", "history", "alice", "--json"]).json();
    let seen: Vec<(&Value, &Value)> = history.iter().map(|entry| (&entry["kind"], &entry["change"])).collect();
    let expected = [json!("1"), json!("0.000000001"), json!("2"), json!("-0.25")];
    assert_eq!(seen.iter().map(|(_, change)| (*change).clone()).collect::<Vec<_>>(), expected, "{history:?}");
    assert_eq!(seen.last().map(|(kind, _)| *kind), Some(&json!("debit")));
    assert!(history[0]["time"].as_str().is_some_and(|time| time.ends_with('Z')), "{history:?}");
}

#[test]
fn tables_are_for_people() {
    let core = Tollkeeper::start("");
    core.cli(&["account", "create", "bob", "--tenant", "acme", "--currency", "USD", "--balance", "12.50"]).ok();
    assert_eq!(core.cli(&["account", "list"]).ok().trim(), "no accounts");
    let table = core.cli(&["account", "list", "--tenant", "acme"]).ok();
    let words: Vec<&str> = table.lines().nth(1).unwrap_or_default().split_whitespace().collect();
    assert_eq!(words, ["bob", "USD", "12.5", "0", "12.5", "no", "0"], "{table}");
    assert_eq!(core.cli(&["session", "list"]).ok().trim(), "no sessions");
}

#[test]
fn what_goes_wrong_is_told_in_a_line() {
    let core = Tollkeeper::start("");
    core.cli(&["account", "create", "alice", "--balance", "1"]).ok();
    let address = core.core();
    let rows: [(&[&str], i32, &str); 8] = [
        (&["account", "show", "nobody"], 1, "no such account"),
        (&["account", "create", "alice"], 1, "account exists already"),
        (&["account", "debit", "alice", "2"], 1, "only 1 is available"),
        (&["account", "topup", "alice", "1", "--currency", "USD"], 1, "account is in EUR"),
        (&["session", "show", "none"], 1, "knows no session none"),
        (&["session", "release", "none"], 1, "no such session"),
        (&["account", "topup", "alice", "1e3"], 64, "not a decimal amount"),
        (&["account", "topup", "alice", "0.0000000001"], 64, "at most 9 are kept exactly"),
    ];
    for (args, code, text) in rows {
        let finished = core.cli(args);
        assert_eq!(finished.code, Some(code), "{finished:?}");
        assert!(finished.err.starts_with("error: ") && finished.err.contains(text), "{finished:?}");
        assert!(code == 64 || finished.err.contains(&address), "{finished:?}");
    }
}

#[test]
fn a_core_that_is_away_is_named() {
    // Nobody listens on port 1.
    let finished = run(&["--core", "http://127.0.0.1:1", "account", "list"]);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(
        finished.err.contains("http://127.0.0.1:1 cannot be reached") && finished.err.contains("--core"),
        "{finished:?}"
    );
    assert_eq!(run(&["--core", "nonsense", "account", "list"]).code, Some(64));
}
