//! The rules of the house that a machine can check: who may use whom, what pure crates may not touch, how long a file may
//! be. The tables are the contract; ARCHITECTURE.md tells why.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Crate, and which of ours it may use (besides for its tests).
const MAY_USE: &[(&str, &[&str])] = &[
    ("types", &[]),
    ("protocol-codecs", &[]),
    ("segment-log", &[]),
    ("cdr-model", &["types"]),
    ("cdr-journal", &["cdr-model", "segment-log", "types"]),
    ("agent-call", &["cdr-model", "types"]),
    ("cdr-shipping", &["cdr-journal", "cdr-model", "types"]),
    ("agent-runtime", &["agent-call", "cdr-journal", "cdr-model", "charging-client", "segment-log", "types"]),
    ("agent-freeswitch", &["agent-call", "agent-runtime", "cdr-model", "protocol-codecs", "types"]),
    (
        "agent-diameter",
        &["agent-call", "agent-runtime", "cdr-journal", "cdr-model", "charging-client", "protocol-codecs", "types"],
    ),
    ("agent-kamailio", &["agent-call", "agent-runtime", "cdr-model", "protocol-codecs", "types"]),
    ("charging-proto", &["types"]),
    ("charging-client", &["charging-proto", "segment-log", "types"]),
    ("rating", &["types"]),
    ("ledger", &["types"]),
    ("charging-server", &["charging-proto", "ledger", "rating", "segment-log", "types"]),
];

/// Crates on top: nothing may depend on them but each other.
const ON_TOP: &[&str] = &["tollkeeper", "demo", "tests", "benches"];

/// Crates that must not read a clock, open a socket or roll dice; and the few foreign crates they may use.
const PURE: &[(&str, &[&str])] = &[
    ("types", &["serde", "smol_str", "thiserror"]),
    ("protocol-codecs", &["bytes", "nom", "rsip", "serde", "serde_json", "thiserror", "tokio-util"]),
    ("agents/call", &["serde", "thiserror"]),
    ("cdr/model", &["hmac", "rlibphonenumber", "serde", "serde_json", "sha2", "thiserror"]),
    ("charging-core/rating", &["csv", "jiff", "serde", "thiserror"]),
    ("charging-core/ledger", &["foldhash", "postcard", "serde", "thiserror"]),
];

/// What a pure crate must not name. The loader of tariffs reads files: that is its job and its only exception.
const IMPURE: &[&str] =
    &["SystemTime", "Instant::now", "TcpStream", "UdpSocket", "std::thread", "tokio::", "RandomState", "rand::"];

const LONGEST_FILE: usize = 600;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a workspace").to_path_buf()
}

fn metadata() -> Value {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--no-deps"])
        .current_dir(repository())
        .output()
        .expect("cargo metadata runs");
    serde_json::from_slice(&output.stdout).expect("cargo metadata is JSON")
}

/// Normal dependencies of each workspace member, by package name.
fn dependencies() -> BTreeMap<String, Vec<String>> {
    let metadata = metadata();
    let packages = metadata["packages"].as_array().expect("packages");
    let name = |value: &Value| value["name"].as_str().expect("a name").to_owned();
    let of = |package: &Value| {
        let all = package["dependencies"].as_array().expect("dependencies");
        all.iter().filter(|dependency| dependency["kind"].is_null()).map(name).collect()
    };
    packages.iter().map(|package| (name(package), of(package))).collect()
}

#[test]
fn crates_use_only_whom_they_may() {
    let dependencies = dependencies();
    let ours: Vec<&String> = dependencies.keys().collect();
    let mut faults = Vec::new();
    for (package, used) in &dependencies {
        let allowed = MAY_USE.iter().find(|(name, _)| name == package).map(|(_, allowed)| *allowed);
        if allowed.is_none() && !ON_TOP.contains(&package.as_str()) {
            faults.push(format!("{package} is not in the table of tests/tests/house.rs"));
        }
        for dependency in used.iter().filter(|dependency| ours.contains(dependency)) {
            if allowed.is_some_and(|allowed| !allowed.contains(&dependency.as_str())) {
                faults.push(format!("{package} must not use {dependency}"));
            }
        }
    }
    assert_eq!(faults, Vec::<String>::new());
}

#[test]
fn pure_crates_stay_pure() {
    let dependencies = dependencies();
    let mut faults = Vec::new();
    for (folder, foreign) in PURE {
        let package = match *folder {
            "agents/call" => "agent-call",
            "cdr/model" => "cdr-model",
            other => other.rsplit('/').next().expect("a name"),
        };
        for dependency in dependencies.get(package).into_iter().flatten() {
            if !dependencies.contains_key(dependency) && !foreign.contains(&dependency.as_str()) {
                faults.push(format!("{package} must not use {dependency}"));
            }
        }
        for file in sources(&repository().join(folder).join("src")) {
            let text = std::fs::read_to_string(&file).expect("readable");
            for word in IMPURE {
                if is_test(&file) || !text.contains(word) {
                    continue;
                }
                faults.push(format!("{} names {word}", file.display()));
            }
        }
    }
    assert_eq!(faults, Vec::<String>::new());
}

#[test]
fn files_have_one_idea() {
    let root = repository();
    let mut faults = Vec::new();
    for folder in
        metadata()["packages"].as_array().expect("packages").iter().filter_map(|p| p["manifest_path"].as_str())
    {
        let folder = Path::new(folder).parent().expect("a folder");
        for file in sources(&folder.join("src")) {
            let lines = std::fs::read_to_string(&file).expect("readable").lines().count();
            if lines > LONGEST_FILE {
                faults.push(format!("{}: {lines} lines", file.strip_prefix(&root).unwrap_or(&file).display()));
            }
        }
    }
    assert_eq!(faults, Vec::<String>::new(), "at most {LONGEST_FILE} lines: split where there are two ideas");
}

#[test]
fn nothing_is_left_unfinished_or_tied_to_one_machine() {
    let listed = Command::new("git").args(["ls-files"]).current_dir(repository()).output().expect("git runs");
    let files = String::from_utf8(listed.stdout).expect("UTF-8 names");
    // In pieces, so that this file does not find itself.
    let words = [
        ["todo", "!("].concat(),
        ["unimplemented", "!("].concat(),
        ["/wo", "rk/"].concat(),
        ["../sha", "red/captures"].concat(),
    ];
    let mut faults = Vec::new();
    for file in files.lines().filter(|file| !file.ends_with(".jsonl") && *file != "Cargo.lock") {
        let Ok(text) = std::fs::read_to_string(repository().join(file)) else { continue };
        faults.extend(words.iter().filter(|word| text.contains(*word)).map(|word| format!("{file}: {word}")));
    }
    assert_eq!(faults, Vec::<String>::new());
}

/// Every file of tests runs in the unit stage, by one of the Makefile's patterns, or is one of the end-to-end stage.
#[test]
fn every_test_file_runs_in_one_stage() {
    let read = |path: &str| std::fs::read_to_string(repository().join(path)).expect("readable");
    assert!(read("Makefile").contains("--test '[!dfk]*' --test diameter --test 'f[!r]*' --test freeswitch_sequences"));
    let end_to_end = read("scripts/e2e.sh");
    assert!(end_to_end.contains("tests/tests/kamailio_*.rs"));
    assert!(end_to_end.contains("tests/tests/{diameter,freeswitch,kinesis}_*.rs"));
    let metadata = metadata();
    let packages = metadata["packages"].as_array().expect("packages");
    let targets = packages.iter().flat_map(|package| package["targets"].as_array().into_iter().flatten());
    let tests = targets.filter(|target| target["kind"][0] == "test");
    let mut faults = Vec::new();
    for test in tests {
        let (name, path) = (test["name"].as_str().expect("a name"), test["src_path"].as_str().expect("a path"));
        let named_alike = ["diameter", "freeswitch_sequences"].contains(&name);
        let unit = !["d", "fr", "k"].iter().any(|begin| name.starts_with(begin)) || named_alike;
        let kinds = ["diameter_", "freeswitch_", "kamailio_", "kinesis_"];
        let end_to_end = path.contains("/tests/tests/") && kinds.iter().any(|kind| name.starts_with(kind));
        if unit == end_to_end {
            faults.push(format!("{name}: {path}"));
        }
    }
    assert_eq!(faults, Vec::<String>::new());
}

/// Every metric and every channel variable in the code has a row in the reference, and no row is without its word.
#[test]
fn metrics_and_variables_are_documented() {
    let root = repository();
    let documented: BTreeSet<String> = ["metrics.md", "freeswitch-variables.md"]
        .iter()
        .map(|page| std::fs::read_to_string(root.join("docs/reference").join(page)).expect("readable"))
        .flat_map(|page| page.lines().filter_map(row_name).collect::<Vec<_>>())
        .collect();
    let homes = ["agents", "charging-core", "tollkeeper/src"];
    let texts: Vec<String> = homes
        .iter()
        .flat_map(|home| sources(&root.join(home)))
        .filter(|file| !is_test(file))
        .map(|file| std::fs::read_to_string(file).expect("readable"))
        .collect();
    let quoted = texts.iter().flat_map(|text| text.split('"'));
    let ours = |word: &&str| {
        word.starts_with("tollkeeper_") && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
    };
    let named: BTreeSet<String> = quoted.filter(ours).map(str::to_owned).collect();
    assert_eq!(named.difference(&documented).collect::<Vec<_>>(), Vec::<&String>::new(), "without a row");
    assert_eq!(documented.difference(&named).collect::<Vec<_>>(), Vec::<&String>::new(), "rows without a word");
}

/// The word that a table's row is about, where it is one of ours.
fn row_name(row: &str) -> Option<String> {
    let name = row.strip_prefix("| `")?.split('`').next()?;
    name.starts_with("tollkeeper_").then(|| name.to_owned())
}

fn is_test(file: &Path) -> bool {
    let text = file.to_string_lossy();
    text.contains("tests") || text.ends_with("_tests.rs")
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.expect("a readable folder").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}
