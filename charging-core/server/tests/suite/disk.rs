//! Disks that are full or broken.

use std::os::unix::process::ExitStatusExt;
use std::process::{Command as Process, Stdio};

use charging_server::CoreError;
use ledger::Outcome;
use segment_log::Operation;
use segment_log::fault::{Crash, Failure, FaultStorage};
use types::charging::{ChargingAnswer, ResultCode};

use crate::rig::{Held, Place, account, books, chain, charge, eventually, initial, is, money, top_up};

/// Octets in all files, as the capacity counts them.
fn size(disk: &FaultStorage) -> usize {
    let names = segment_log::Storage::list(disk).expect("alive");
    names.iter().filter_map(|name| disk.content(name)).map(|content| content.len()).sum()
}

/// A core whose disk has room for so many octets beyond what is used.
async fn nearly_full(place: &Place, octets: usize) -> (FaultStorage, charging_server::Core) {
    let disk = FaultStorage::new();
    // From the start, so that the log does not reserve a whole segment.
    disk.set_capacity(Some(4096));
    let core = place.start_on(disk.clone()).expect("a core");
    account(&core, "a", "1").await;
    disk.set_capacity(Some(size(&disk) + octets));
    (disk, core)
}

#[tokio::test]
async fn a_full_disk_refuses_and_goes_on_when_there_is_room() {
    let place = Place::new();
    let (disk, core) = nearly_full(&place, 1000).await;
    let mut answered = 0;
    let full = loop {
        match core.decide(top_up("a", &format!("op {answered}"), "1")).await {
            Ok(Outcome::Transferred(_)) => answered += 1,
            other => break other,
        }
    };
    assert!(matches!(full, Err(CoreError::DiskFull)), "{full:?}");
    assert!(answered > 0);
    let balance = (1 + answered).to_string();
    assert_eq!(money(&core, "a").await, is(&balance, "0"), "books are read again without the batch");
    let again = core.decide(top_up("a", &format!("op {answered}"), "1")).await;
    assert!(matches!(again, Err(CoreError::DiskFull)), "{again:?}");
    // Stored answers need no room.
    let copy = core.decide(top_up("a", "op 0", "1")).await.expect("a copy");
    assert!(matches!(copy, Outcome::Transferred(receipt) if receipt.balance == types::Money::from_units(2)));
    disk.set_capacity(None);
    eventually("space is noticed", || async { core.decide(top_up("a", &format!("op {answered}"), "1")).await.is_ok() })
        .await;
    let balance = (2 + answered).to_string();
    assert_eq!(money(&core, "a").await, is(&balance, "0"));
    let before = books(&core).await;
    core.stop();
    disk.crash(Crash::DropUnsynced);
    assert_eq!(books(&place.start_on(disk).expect("recovers")).await, before);
}

#[tokio::test]
async fn a_batch_without_room_is_refused_whole_and_leaves_no_trace() {
    let place = Place::new();
    let (disk, core) = nearly_full(&place, 0).await;
    let before = books(&core).await;
    let mut waiting = tokio::task::JoinSet::new();
    for number in 0..200 {
        let core = core.clone();
        waiting.spawn(async move { core.decide(top_up("a", &format!("op {number}"), "1")).await });
    }
    while let Some(outcome) = waiting.join_next().await {
        assert!(matches!(outcome, Ok(Err(CoreError::DiskFull))), "{outcome:?}");
    }
    assert_eq!(books(&core).await, before);
    disk.set_capacity(None);
    core.stop();
    disk.crash(Crash::DropUnsynced);
    assert_eq!(books(&place.start_on(disk).expect("recovers")).await, before);
}

/// Only the first write finds no room. The second batch would fit, but was decided as if the first had been.
#[tokio::test]
async fn what_was_decided_on_top_of_a_batch_without_room_is_refused_with_it() {
    let place = Place::new();
    let (disk, core) = nearly_full(&place, 1000).await;
    disk.set_capacity(None);
    let before = books(&core).await;
    let mut waiting = tokio::task::JoinSet::new();
    let held = Held::hold(&core).await;
    // More than one batch, all there before the first is written.
    let commands = 5_000;
    for number in 0..commands {
        let core = core.clone();
        waiting.spawn(async move { core.decide(top_up("a", &format!("op {number}"), "1")).await });
    }
    eventually("all are queued", || async { core.waiting() == commands }).await;
    disk.fail_nth(Operation::Write, 1, Failure::NoSpace);
    held.let_go().await;
    while let Some(outcome) = waiting.join_next().await {
        assert!(matches!(outcome, Ok(Err(CoreError::DiskFull))), "{outcome:?}");
    }
    assert_eq!(books(&core).await, before);
    core.stop();
    disk.crash(Crash::DropUnsynced);
    assert_eq!(books(&place.start_on(disk).expect("recovers")).await, before);
}

#[tokio::test]
async fn more_than_a_batch_holds_on_a_full_disk_answers_nothing_that_is_lost() {
    // 64 MiB are one batch: client states of 15 MiB make the ledger commit in the middle of its turn.
    let place = Place::new();
    let (disk, core) = nearly_full(&place, 1000).await;
    let before = books(&core).await;
    let mut waiting = tokio::task::JoinSet::new();
    // The ledger stands still while its queue fills.
    let held = Held::hold(&core).await;
    for number in 0..9 {
        let core = core.clone();
        let mut request = initial("a", &format!("s {number}"), 1);
        request.client_state = vec![7; 15 * 1024 * 1024];
        waiting.spawn(async move { core.decide(ledger::Command::Charge(Box::new(request))).await });
    }
    eventually("all are queued", || async { core.waiting() == 9 }).await;
    held.let_go().await;
    while let Some(outcome) = waiting.join_next().await {
        assert!(matches!(outcome, Ok(Err(CoreError::DiskFull))), "answered, and not on disk");
    }
    assert_eq!(books(&core).await, before);
    disk.set_capacity(None);
    core.stop();
    assert_eq!(books(&place.start_on(disk).expect("recovers")).await, before);
}

#[tokio::test]
async fn a_command_larger_than_a_log_record_is_refused_alone() {
    let place = Place::new();
    let core = place.start();
    account(&core, "a", "1").await;
    let mut request = initial("a", "s", 1);
    request.client_state = vec![7; 17 * 1024 * 1024];
    let refused = core.decide(ledger::Command::Charge(Box::new(request))).await;
    assert!(matches!(refused, Err(CoreError::TooLarge { .. })), "{refused:?}");
    assert_eq!(money(&core, "a").await, is("1", "0"));
    let answer: ChargingAnswer = charge(&core, initial("a", "s", 1)).await;
    assert_eq!(answer.result_code, ResultCode::SUCCESS);
}

const CHILD: &str = "CORE_CHILD_FSYNC";

/// Not a test by itself: a core in a child process whose disk fails one fsync.
#[test]
fn child_whose_fsync_fails() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().build().expect("a runtime");
    runtime.block_on(async {
        let place = Place::new();
        let disk = FaultStorage::new();
        let core = place.start_on(disk.clone()).expect("a core");
        account(&core, "a", "1").await;
        println!("running");
        match std::env::var(CHILD).as_deref() {
            Ok("read-only") => disk.set_read_only(),
            _ => disk.fail_nth(Operation::Sync, 1, Failure::Io),
        }
        let outcome = core.decide(top_up("a", "op", "1")).await;
        println!("answered {outcome:?}");
        // A second fsync would succeed and mean nothing.
        let outcome = core.decide(top_up("a", "op 2", "1")).await;
        println!("answered {outcome:?}");
    });
}

#[test]
fn a_failed_fsync_or_a_disk_that_turns_read_only_stops_the_process_without_an_answer() {
    for how in ["fsync", "read-only"] {
        stops_without_an_answer(how);
    }
}

fn stops_without_an_answer(how: &str) {
    let output = Process::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "disk::child_whose_fsync_fails", "--nocapture"])
        .env(CHILD, how)
        .stderr(Stdio::null())
        .output()
        .expect("a child");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("running") && !text.contains("answered"), "{text}");
    assert_eq!(output.status.signal(), Some(6), "it aborts");
}

#[tokio::test]
async fn a_read_only_disk_is_told_at_start_with_the_remedy_and_nothing_is_lost() {
    let place = Place::new();
    let disk = FaultStorage::new();
    let core = place.start_on(disk.clone()).expect("a core");
    account(&core, "a", "1").await;
    let before = books(&core).await;
    core.stop();
    let whole = segment_log::Storage::list(&disk).expect("alive");
    let whole: Vec<_> = whole.into_iter().map(|name| (disk.content(&name), name)).collect();
    disk.set_read_only();
    let text = chain(&place.start_on(disk.clone()).map(|_| ()).expect_err("must not start"));
    assert!(text.contains("mount it for writing; nothing was changed"), "{text}");
    let writable = FaultStorage::new();
    for (content, name) in whole {
        assert_eq!(disk.content(&name), content, "{name}");
        writable.put(&name, &content.expect("a file"));
    }
    assert_eq!(books(&place.start_on(writable).expect("again")).await, before);
}
