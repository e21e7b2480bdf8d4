//! `ledger`: verified, backed up and restored from the command line.

use serde_json::json;

use crate::support::{Tollkeeper, run};

#[test]
fn a_ledger_comes_back_from_its_backup() {
    let mut tollkeeper = Tollkeeper::start("");
    tollkeeper.cli(&["account", "create", "alice", "--balance", "10.00"]).ok();
    let data = tollkeeper.data_dir();
    let (place, to) = (data.to_str().expect("text"), tollkeeper.directory.path().join("backup"));
    let backup = to.to_str().expect("text");
    let report = &run(&["ledger", "verify", "--data-dir", place, "--json"]).json()[0];
    assert_eq!((&report["whole"], &report["books"]["accounts"]), (&json!(true), &json!(1)));
    let made = &run(&["ledger", "backup", backup, "--data-dir", place, "--json"]).json()[0];
    assert_eq!((&made["accounts"], &made["uncommitted"]), (&json!(1), &json!(0)));
    let again = run(&["ledger", "backup", backup, "--data-dir", place]);
    assert_eq!(again.code, Some(1));
    assert!(again.err.contains("exists already"), "{again:?}");
    let shown = run(&["ledger", "verify", "--backup", backup, "--files"]).ok();
    assert!(shown.contains(".seg") && shown.trim_end().ends_with("whole"), "{shown}");
    tollkeeper.cli(&["account", "topup", "alice", "5.00"]).ok();
    let running = run(&["ledger", "restore", backup, "--data-dir", place, "--replace"]);
    assert!(running.code == Some(1) && running.err.contains("a running core uses"), "{running:?}");
    assert_eq!(tollkeeper.terminate(), Some(0));
    let segment = data.join("ledger").join("00000000000000000000.seg");
    let mut content = std::fs::read(&segment).expect("a segment");
    content[60] ^= 1;
    std::fs::write(&segment, content).expect("written");
    let damaged = run(&["ledger", "verify", "--data-dir", place]);
    assert!(damaged.code == Some(1) && damaged.out.contains("DAMAGED: stop the core"), "{damaged:?}");
    let occupied = run(&["ledger", "restore", backup, "--data-dir", place]);
    assert!(occupied.code == Some(1) && occupied.err.contains("--replace"), "{occupied:?}");
    let shown = run(&["ledger", "restore", backup, "--data-dir", place, "--replace"]).ok();
    assert!(shown.contains("put aside: ") && shown.contains("ledger.replaced-"), "{shown}");
    tollkeeper.restart();
    let account = &tollkeeper.cli(&["account", "show", "alice", "--json"]).json()[0];
    assert_eq!(account["balance"], "10", "as of the backup: {account}");
}

#[test]
fn mistakes_are_told_with_their_remedy() {
    let missing = run(&["ledger", "verify", "--data-dir", "/nonexistent/place"]);
    assert_eq!(missing.code, Some(1));
    assert!(missing.err.contains("no ledger in /nonexistent/place/ledger; name the data directory"), "{missing:?}");
    let folder = tempfile::tempdir().expect("a directory");
    let place = folder.path().to_str().expect("text");
    let none = run(&["ledger", "restore", place, "--data-dir", place]);
    assert!(none.code == Some(1) && none.err.contains("is no backup: it has no backup.json"), "{none:?}");
}
