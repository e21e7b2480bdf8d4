//! Verify, backup and restore: beside a running core, of damaged files, interrupted, refused.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use charging_server::{CoreError, UpkeepError, upkeep};
use ledger::Outcome;
use types::UtcMs;

use crate::rig::{Place, account, books, chain, charge, initial, is, money, now, termination, top_up, view};

fn quiet(_: &'static str, _: u64, _: u64) {}

fn back_up(place: &Place, to: &Path) -> upkeep::Backup {
    upkeep::back_up(&place.data(), to, now(), &mut quiet).unwrap_or_else(|error| panic!("{}", chain(&error)))
}

fn restore(from: &Path, place: &Place, replace: bool) -> Result<upkeep::Restored, UpkeepError> {
    upkeep::restore(from, &place.data(), replace, UtcMs(1_000), &mut quiet)
}

fn flip(path: &Path, offset: usize) {
    let mut bytes = std::fs::read(path).expect("readable");
    *bytes.get_mut(offset).expect("within") ^= 0x10;
    std::fs::write(path, bytes).expect("written");
}

fn segments(place: &Place) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(place.ledger()).expect("readable").map(|entry| entry.expect("readable").path());
    let mut found: Vec<PathBuf> = entries.filter(|path| path.extension().is_some_and(|end| end == "seg")).collect();
    found.sort();
    found
}

/// A core with accounts, open and closed sessions, and some snapshots behind it.
async fn busy(place: &mut Place) -> charging_server::Core {
    place.config.snapshot_records = 10;
    let core = place.start();
    account(&core, "a", "10").await;
    charge(&core, initial("a", "open", 30)).await;
    charge(&core, initial("a", "closed", 30)).await;
    charge(&core, termination("a", "closed", 1, 20)).await;
    for number in 0..40 {
        core.decide(top_up("a", &format!("op {number}"), "1")).await.expect("decided");
    }
    core
}

#[tokio::test]
async fn a_backup_of_a_running_core_has_all_that_was_answered() {
    let mut place = Place::new();
    let core = busy(&mut place).await;
    let before = books(&core).await;
    let to = place.folder.path().join("backup");
    let backup = back_up(&place, &to);
    assert_eq!((backup.accounts, backup.open_sessions, backup.uncommitted), (1, 1, 0));
    core.decide(top_up("a", "after it", "1")).await.expect("decided");
    let elsewhere = Place::new();
    let restored = restore(&to, &elsewhere, false).expect("restored");
    assert_eq!((restored.position, restored.put_aside.len()), (backup.position, 0));
    let again = elsewhere.start();
    assert_eq!(books(&again).await, before);
    // Its sessions go on, at the prices they began with.
    charge(&again, termination("a", "open", 1, 10)).await;
    assert_eq!(money(&again, "a").await, is("49.7", "0"));
    let report = upkeep::verify(&to, &mut quiet).expect("a report");
    assert!(report.is_whole(), "{report:?}");
    assert_eq!(report.books.expect("books").position, backup.position);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_under_load_is_a_moment_of_it() {
    let mut place = Place::new();
    let core = busy(&mut place).await;
    let done = std::sync::Arc::new(AtomicBool::new(false));
    let load = tokio::spawn({
        let (core, done) = (core.clone(), std::sync::Arc::clone(&done));
        async move {
            let mut number = 0;
            while !done.load(Ordering::Acquire) {
                let outcome = core.decide(top_up("a", &format!("load {number}"), "1")).await;
                assert!(matches!(outcome, Ok(Outcome::Transferred(_))), "{outcome:?}");
                number += 1;
            }
        }
    });
    for round in 0..5 {
        let least = view(&core, "a").await.balance;
        let to = place.folder.path().join(format!("backup {round}"));
        let data = place.data();
        let made = tokio::task::spawn_blocking(move || upkeep::back_up(&data, &to, now(), &mut quiet).map(|_| to));
        let to = made.await.expect("no panic").unwrap_or_else(|error| panic!("{}", chain(&error)));
        let most = view(&core, "a").await.balance;
        let elsewhere = Place::new();
        restore(&to, &elsewhere, false).expect("restored");
        let balance = view(&elsewhere.start(), "a").await.balance;
        assert!((least..=most).contains(&balance), "{least} {balance} {most}");
    }
    done.store(true, Ordering::Release);
    load.await.expect("no panic");
}

#[tokio::test]
async fn a_damaged_newest_snapshot_costs_nothing_but_a_longer_start() {
    let mut place = Place::new();
    let core = busy(&mut place).await;
    crate::rig::eventually("two snapshots", || async {
        core.decide(top_up("a", &format!("more {}", now().0), "1")).await.expect("decided");
        place.ledger().join("books.previous").exists()
    })
    .await;
    let before = books(&core).await;
    core.stop();
    flip(&place.ledger().join("books"), 40);
    let report = upkeep::verify(&place.data(), &mut quiet).expect("a report");
    assert!(!report.is_whole() && report.is_recoverable(), "{report:?}");
    assert!(report.faults.iter().any(|fault| fault.contains("snapshot damaged")), "{report:?}");
    let core = place.start();
    assert_eq!(books(&core).await, before);
    // The next snapshot replaces the damaged one, not the good one.
    crate::rig::eventually("a good one", || async {
        core.decide(top_up("a", &format!("again {}", now().0), "1")).await.expect("decided");
        upkeep::verify(&place.data(), &mut quiet).is_ok_and(|report| report.is_whole())
    })
    .await;
    core.stop();
    let flip_both = || ["books", "books.previous"].map(|name| flip(&place.ledger().join(name), 40));
    // Both, and the log has everything from its begin.
    flip_both();
    let report = upkeep::verify(&place.data(), &mut quiet).expect("a report");
    assert!(!report.is_whole() && report.is_recoverable(), "{report:?}");
    let first = segments(&place).first().cloned();
    let core = place.start_in_segments(4096);
    crate::rig::eventually("the log is cut", || async {
        core.decide(top_up("a", &format!("cut {}", now().0), "1")).await.expect("decided");
        segments(&place).first().cloned() != first
    })
    .await;
    core.stop();
    // Both, and it has not: only a backup helps, and that is what it says.
    flip_both();
    let report = upkeep::verify(&place.data(), &mut quiet).expect("a report");
    assert!(!report.is_recoverable(), "{report:?}");
    let text = place.refusal();
    assert!(text.contains("books") && text.contains("restore it from a backup"), "{text}");
}

#[tokio::test]
async fn a_damaged_log_is_told_refused_and_replaced_by_a_backup() {
    let mut place = Place::new();
    place.config.snapshot_records = 1_000_000;
    let core = place.start();
    account(&core, "a", "1").await;
    let to = place.folder.path().join("backup");
    let before = books(&core).await;
    back_up(&place, &to);
    core.stop();
    let damaged = segments(&place).first().cloned().expect("a segment");
    flip(&damaged, 60);
    let report = upkeep::verify(&place.data(), &mut quiet).expect("a report");
    assert!(!report.is_recoverable() && report.faults.iter().any(|fault| fault.contains("is damaged in 1 places")));
    let text = place.refusal();
    assert!(text.contains(".seg") && text.contains("restore"), "{text}");
    let refused = restore(&to, &place, false).expect_err("a ledger is there");
    assert!(matches!(refused, UpkeepError::WouldReplace { .. }) && refused.to_string().contains("--replace"));
    let restored = restore(&to, &place, true).expect("restored");
    let aside: Vec<_> = restored.put_aside.iter().map(|path| path.file_name().expect("a name").to_owned()).collect();
    assert_eq!(aside, ["ledger.replaced-1970-01-01T00-00-01-000Z", "tariffs.replaced-1970-01-01T00-00-01-000Z"]);
    assert_eq!(books(&place.start()).await, before);
}

#[tokio::test]
async fn what_cannot_be_restored_is_refused_and_the_ledger_stays() {
    let mut place = Place::new();
    let core = busy(&mut place).await;
    let to = place.folder.path().join("backup");
    back_up(&place, &to);
    let running = restore(&to, &place, true).expect_err("it runs");
    assert!(matches!(running, UpkeepError::InUse { .. }), "{running}");
    let before = books(&core).await;
    core.stop();
    let exists = upkeep::back_up(&place.data(), &to, now(), &mut quiet).expect_err("it is there");
    assert!(matches!(exists, UpkeepError::Exists { .. }), "{exists}");
    let nothing = place.folder.path().join("nothing");
    let absent = upkeep::back_up(&nothing, &place.folder.path().join("other"), now(), &mut quiet);
    assert!(absent.is_err_and(|error| error.to_string().contains("no ledger in")));
    std::fs::create_dir_all(&nothing).expect("made");
    let none = restore(&nothing, &place, true).expect_err("no backup");
    assert!(matches!(none, UpkeepError::NotABackup { .. }), "{none}");
    // Each file of the backup, damaged or missing.
    let manifest = std::fs::read_to_string(to.join("backup.json")).expect("a manifest");
    let listed: serde_json::Value = serde_json::from_str(&manifest).expect("JSON");
    for file in listed["files"].as_array().expect("files") {
        let path = to.join(file["path"].as_str().expect("a path"));
        let good = std::fs::read(&path).expect("readable");
        if good.is_empty() {
            continue;
        }
        flip(&path, good.len() / 2);
        let told = restore(&to, &place, true).expect_err("damaged");
        assert!(told.to_string().contains(path.to_str().expect("text")), "{told}");
        std::fs::remove_file(&path).expect("removed");
        let told = restore(&to, &place, true).expect_err("missing");
        assert!(told.to_string().contains("is missing"), "{told}");
        std::fs::write(&path, good).expect("put back");
    }
    std::fs::write(to.join("backup.json"), manifest.replace("\"format\": 1", "\"format\": 2")).expect("written");
    let newer = restore(&to, &place, true).expect_err("newer");
    assert!(newer.to_string().contains("format 2, this release reads up to 1"), "{newer}");
    assert_eq!(books(&place.start()).await, before, "through all of it");
}

#[tokio::test]
async fn half_a_restore_is_not_taken_for_a_ledger() {
    let mut place = Place::new();
    let core = busy(&mut place).await;
    let before = books(&core).await;
    let to = place.folder.path().join("backup");
    back_up(&place, &to);
    core.stop();
    // Stopped between the renames.
    std::fs::write(place.data().join("restore.unfinished"), b"").expect("written");
    std::fs::rename(place.ledger(), place.folder.path().join("aside")).expect("renamed");
    let refused = place.try_start().map(|_| ()).expect_err("must not start empty");
    assert!(matches!(refused, CoreError::RestoreUnfinished { .. }));
    assert!(refused.to_string().contains("tollkeeper ledger restore"), "{refused}");
    restore(&to, &place, false).expect("restored");
    assert_eq!(books(&place.start()).await, before);
}
