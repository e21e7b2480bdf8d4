//! `tariff ...` against a running process, and on folders.

use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Finished, Tollkeeper, binary, run};

fn write(folder: &Path, rate: &str) -> String {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tariff");
    std::fs::create_dir_all(folder).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a folder") {
        let path = entry.expect("an entry").path();
        std::fs::copy(&path, folder.join(path.file_name().expect("a name"))).expect("copied");
    }
    std::fs::write(folder.join("Rates.csv"), format!("R1,0,{rate},1s,1s,0s\n")).expect("written");
    folder.to_str().expect("text").to_owned()
}

fn one(finished: Finished) -> Value {
    let mut values = finished.json();
    assert_eq!(values.len(), 1, "{values:?}");
    values.remove(0)
}

fn price(core: &Tollkeeper) -> String {
    let quote = one(core.cli(&["quote", "--destination", "+49301", "--usage", "10s", "--json"]));
    quote["cost"].as_str().unwrap_or("none").to_owned()
}

#[test]
fn a_tariffs_life() {
    let folder = TempDir::new().expect("a folder");
    let (cheap, dear) = (write(&folder.path().join("cheap"), "0.01"), write(&folder.path().join("dear"), "0.03"));
    let mut core = Tollkeeper::start("");
    // The first one: nothing to compare with.
    let loaded =
        core.cli(&["tariff", "load", &cheap, "--name", "cheap-1", "--by", "anna", "--comment", "the begin"]).ok();
    assert!(loaded.contains("is in force from") && loaded.contains("nothing was in force before"), "{loaded}");
    assert_eq!(price(&core), "0.1");
    // What would change.
    let dry = core.cli(&["tariff", "load", &dear, "--dry-run", "--diff", "--number", "+49301"]).ok();
    for wanted in [
        "R1,0,0.01,1s,1s,0s",
        "R1,0,0.03,1s,1s,0s",
        "+200.0 %",
        "dry run: nothing was kept",
        "rows that differ: 1, sample prices that differ: 1 of 1",
    ] {
        assert!(dry.contains(wanted), "{wanted}\n{dry}");
    }
    assert_eq!(price(&core), "0.1");
    let loaded = one(core.cli(&["tariff", "load", &dear, "--by", "bert", "--json"]));
    let version = loaded["version"]["version"].as_str().expect("a version").to_owned();
    assert_eq!(
        (&loaded["ok"], &loaded["row_count"], &loaded["version"]["active"]),
        (&json!(true), &json!(1), &json!(true))
    );
    assert_eq!(price(&core), "0.3");
    // Back, after a crash.
    core.kill();
    core.restart();
    assert_eq!(price(&core), "0.3");
    core.cli(&["tariff", "activate", "cheap-1", "--by", "carl", "--comment", "too dear"]).ok();
    assert_eq!(price(&core), "0.1");
    let history = core.cli(&["tariff", "history", "--json"]).json();
    let seen: Vec<_> = history.iter().map(|event| (event["kind"].as_str(), event["by"].as_str())).collect();
    let (loaded, activated) = (Some("loaded"), Some("activated"));
    let (anna, bert, carl) = (Some("anna"), Some("bert"), Some("carl"));
    assert_eq!(seen, [(activated, carl), (activated, bert), (loaded, bert), (activated, anna), (loaded, anna)]);
    assert_eq!(history[2]["changed_rows"], json!([{ "file": "Rates.csv", "added": 0, "removed": 0, "changed": 1 }]));
    let table = core.cli(&["tariff", "history", "--limit", "1"]).ok();
    assert!(table.lines().count() == 2 && table.contains("too dear"), "{table}");
    let compared = core.cli(&["tariff", "diff", "cheap-1", &version[..8]]).ok();
    assert!(compared.contains("+200.0 %"), "{compared}");
    let against_current = one(core.cli(&["tariff", "diff", &version, "--json"]));
    assert_eq!(against_current["prices"][0]["change"], "-1.2", "{against_current}");
    let shown = one(core.cli(&["tariff", "show", "--json"]));
    assert_eq!((&shown["version"]["name"], &shown["version"]["prefixes"]), (&json!("cheap-1"), &json!(1)), "{shown}");
    let rows = core.cli(&["tariff", "show", &version, "--number", "+49301"]).ok();
    assert!(rows.contains("R1, 0, 0.03, 1s, 1s, 0s"), "{rows}");
    let listed = core.cli(&["tariff", "list"]).ok();
    assert_eq!(listed.lines().count(), 3, "{listed}");
    let scheduled = core.cli(&["tariff", "activate", &version, "--at", "2999-01-01T00:00:00Z"]).ok();
    assert!(scheduled.contains("from 2999-01-01T00:00:00.000Z"), "{scheduled}");
    assert_eq!(price(&core), "0.1");
    let shown = core.cli(&["tariff", "show"]).ok();
    assert!(shown.contains(&format!("scheduled: version {version} from 2999-01-01T00:00:00.000Z")), "{shown}");
}

#[test]
fn what_goes_wrong_with_a_tariff_is_told() {
    let folder = TempDir::new().expect("a folder");
    let good = write(&folder.path().join("good"), "0.01");
    let bad = write(&folder.path().join("bad"), "cheap");
    let core = Tollkeeper::start("");
    let empty = folder.path().to_str().expect("text").to_owned();
    let rows: [(&[&str], i32, &str); 11] = [
        (&["tariff", "load", &bad], 1, "Rates.csv line 1, column Rate, `cheap`: expected a decimal number"),
        (&["tariff", "load", "/no/such"], 64, "/no/such is not a folder"),
        (&["tariff", "load", &empty], 64, "has no table of a tariff; expected Timings.csv"),
        (&["tariff", "load", &good, "--name", "cafe"], 1, "cannot name a tariff version"),
        (&["tariff", "load", &good, "--at", "2001-01-01"], 1, "is loaded, but not put in force"),
        (&["tariff", "load", &good, "--number", "1"], 64, "--diff"),
        (&["tariff", "activate", "spring"], 1, "no tariff version \"spring\""),
        (&["tariff", "show"], 1, "no tariff is in force"),
        (&["tariff", "diff", &good, "spring"], 64, "two versions or two folders"),
        (&["tariff", "diff", "spring", "summer"], 1, "no tariff version \"spring\""),
        (&["tariff", "check", &bad], 1, "Rates.csv line 1, column Rate, `cheap`"),
    ];
    for (args, code, text) in rows {
        let finished = core.cli(args);
        assert_eq!(finished.code, Some(code), "{finished:?}");
        assert!(finished.err.starts_with("error: ") && finished.err.contains(text), "{text}\n{finished:?}");
    }
    let faults = core.cli(&["tariff", "load", &bad, "--json"]);
    assert_eq!(faults.code, Some(1), "{faults:?}");
    let told: Value = serde_json::from_str(faults.out.trim()).expect("JSON");
    assert_eq!((&told["ok"], &told["faults"][0]["line"]), (&json!(false), &json!(1)), "{told}");
}

#[test]
fn folders_are_checked_and_compared_without_a_core() {
    let folder = TempDir::new().expect("a folder");
    let (old, new) = (write(&folder.path().join("old"), "0.01"), write(&folder.path().join("new"), "0.02"));
    let checked = run(&["tariff", "check", &old]).ok();
    assert!(checked.starts_with("ok\n") && checked.contains("Rates.csv"), "{checked}");
    let json = one(run(&["tariff", "check", &old, "--json"]));
    assert_eq!((&json["ok"], &json["faults"]), (&json!(true), &json!([])));
    let mut many = std::fs::read_to_string(folder.path().join("old/Rates.csv")).expect("readable");
    many.push_str("R2,x,y,1s,1s,0s\nR3,0,1\n");
    std::fs::write(folder.path().join("old/Rates.csv"), many).expect("written");
    let bad = run(&["tariff", "check", &old, "--json"]);
    let told: Value = serde_json::from_str(bad.out.trim()).expect("JSON");
    assert_eq!((bad.code, told["faults"].as_array().map(Vec::len)), (Some(1), Some(3)), "all in one run: {told}");
    write(&folder.path().join("old"), "0.01");
    let text = run(&["tariff", "diff", &old, &new]).ok();
    assert!(
        text.contains("+100.0 %") && text.contains("rows that differ: 1, sample prices that differ: 1 of "),
        "{text}"
    );
    assert!(run(&["tariff", "diff", &old, &old]).ok().contains("nothing differs"));
}

#[test]
fn settings_of_a_tariff_come_from_the_configuration() {
    let folder = TempDir::new().expect("a folder");
    let plan = write(&folder.path().join("plan"), "0.01");
    let config = folder.path().join("t.toml");
    let text = "[core.tariff]\ncurrency = \"CHF\"\ntime_zone = \"Europe/Zurich\"\ntax = { percent = \"8.1\", included = false }\n\
                [core.tariff.tenants.\"a.b\"]\ntax = { percent = \"0\", included = true }\n";
    std::fs::write(&config, text).expect("written");
    let config = config.to_str().expect("text");
    let quote = |tenant: &str| {
        let args = [
            "quote",
            "--plan",
            &plan,
            "-c",
            config,
            "--tenant",
            tenant,
            "--destination",
            "49",
            "--usage",
            "100s",
            "--json",
        ];
        one(run(&args))
    };
    let taxed = quote("default");
    let seen = (&taxed["cost"], &taxed["net"], &taxed["tax"], &taxed["currency"]);
    assert_eq!(seen, (&json!("1.081"), &json!("1"), &json!("0.081"), &json!("CHF")), "{taxed}");
    assert_eq!(quote("a.b")["error"], "RATING_PLAN_NOT_FOUND");
    let printed = run(&["print-config", "-c", config]).ok();
    for line in ["percent = \"8.1\"", "[core.tariff.tenants.\"a.b\".tax]", "time_zone = \"Europe/Zurich\""] {
        assert!(printed.lines().any(|found| found == line), "{line}\n{printed}");
    }
    let mut before = "";
    for line in printed.lines() {
        if line.contains(" = ") && !line.starts_with('#') || line.starts_with('[') {
            assert!(before.starts_with("# "), "no comment above: {line}\n{printed}");
        }
        before = line;
    }
    std::fs::write(config, "[core.tariff]\ntime_zon = \"UTC\"\ntax = { percent = 19, included = true }\n")
        .expect("written");
    let wrong = run(&["check-config", "-c", config]);
    assert_eq!(wrong.code, Some(64));
    assert!(
        wrong.err.contains("t.toml:2:1: core.tariff.time_zon: unknown key; did you mean \"time_zone\"?"),
        "{wrong:?}"
    );
    assert!(wrong.err.contains("t.toml:3:"), "{wrong:?}");
    std::fs::write(config, "[core.tariff]\ntime_zone = \"Mars\"\nfallback_depth = 0\n").expect("written");
    let wrong = run(&["check-config", "-c", config]);
    assert!(wrong.err.contains("t.toml:2:13: core.tariff.time_zone: \"Mars\" is no time zone"), "{wrong:?}");
    assert!(wrong.err.contains("t.toml:3:18: core.tariff.fallback_depth: must be from 1 to 32"), "{wrong:?}");
}

#[test]
fn a_load_is_signed_by_the_user_of_the_shell() {
    let folder = TempDir::new().expect("a folder");
    let plan = write(folder.path(), "0.01");
    let core = Tollkeeper::start("");
    let mut command = binary();
    command.args(["tariff", "load", &plan]).env("TOLLKEEPER_CORE", core.core()).env("USER", "dora");
    assert!(command.status().expect("started").success());
    let history = core.cli(&["tariff", "history", "--json"]).json();
    assert!(history.len() == 2 && history.iter().all(|event| event["by"] == "dora"), "{history:?}");
}
