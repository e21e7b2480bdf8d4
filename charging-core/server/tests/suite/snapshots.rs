//! Snapshots made while running, and restarts from them.

use std::sync::Arc;

use charging_server::DurableBooks;
use segment_log::fault::{Crash, FaultStorage};
use segment_log::{Operation, Storage};

use crate::rig::{Place, account, books, charge, copy_directory, eventually, initial, is, money, top_up};

fn names(place: &Place, ending: &str) -> Vec<String> {
    let entries = std::fs::read_dir(place.ledger()).expect("readable");
    let names = entries.map(|entry| entry.expect("readable").file_name().into_string().expect("text"));
    names.filter(|name| name.ends_with(ending)).collect()
}

#[tokio::test]
async fn a_restart_from_a_snapshot_is_the_same() {
    let mut place = Place::new();
    place.config.snapshot_records = 10;
    let core = place.start();
    account(&core, "a", "1").await;
    charge(&core, initial("a", "s", 30)).await;
    for number in 0..50 {
        core.decide(top_up("a", &format!("op {number}"), "1")).await.expect("decided");
    }
    eventually("a snapshot", || async { !names(&place, "books").is_empty() }).await;
    // At any moment beside the snapshot's making, a crash leaves something that recovers.
    for number in 50..200 {
        core.decide(top_up("a", &format!("op {number}"), "1")).await.expect("decided");
        if number % 10 == 0 {
            let crashed = Place::new();
            copy_directory(&place.data(), &crashed.data());
            assert_eq!(books(&crashed.start()).await, books(&core).await, "{number}");
        }
    }
    let before = books(&core).await;
    core.stop();
    let storage = segment_log::DirStorage::at(place.ledger());
    let content = segment_log::read_snapshot(&storage, "books").expect("good").expect("there");
    let (at, _): (u64, ledger::Books) = postcard::from_bytes(&content[1..]).expect("books");
    assert!(at >= 50, "it moved on: {at}");
    let core = place.start();
    assert_eq!(books(&core).await, before);
    assert_eq!(money(&core, "a").await, is("201", "0.3"));
}

/// The position of the newest snapshot; 0 without one.
fn newest_at(place: &Place) -> u64 {
    let storage = segment_log::DirStorage::at(place.ledger());
    let content = segment_log::read_snapshot(&storage, "books").expect("good").unwrap_or_else(|| vec![2, 0]);
    postcard::take_from_bytes(&content[1..]).expect("a position").0
}

/// What a start would read behind a snapshot grows with the snapshot, also when the core is started again in between.
#[tokio::test]
async fn snapshots_of_large_books_are_further_apart() {
    let mut place = Place::new();
    (place.config.snapshot_records, place.config.snapshot_log_percent) = (10, 300);
    let mut core = place.start();
    account(&core, "a", "1").await;
    // The state makes the first snapshot as large as some hundreds of top-ups.
    let mut request = initial("a", "s", 30);
    request.client_state = vec![7; 40_000];
    charge(&core, request).await;
    let more = async |core: &charging_server::Core, from: u32, count: u32| {
        for number in from..from + count {
            core.decide(top_up("a", &format!("op {number}"), "1")).await.expect("decided");
        }
    };
    more(&core, 0, 20).await;
    eventually("the first snapshot", || async { newest_at(&place) > 0 }).await;
    let first = newest_at(&place);
    for from in [100, 200] {
        more(&core, from, 100).await;
        core.stop();
        assert_eq!(newest_at(&place), first, "200 records of some 60 octets are less than three times 40,000");
        core = place.start();
    }
    more(&core, 1_000, 2_500).await;
    eventually("the next snapshot", || async { newest_at(&place) > first }).await;
}

/// Whatever the threads do meanwhile: the log reaches back to the snapshot before the newest, and no further than it must.
#[tokio::test]
async fn the_log_before_a_snapshot_goes_and_the_rest_is_enough() {
    let mut place = Place::new();
    place.segment_bytes = 4096;
    (place.config.snapshot_records, place.config.snapshot_log_percent) = (60, 0);
    let disk = FaultStorage::new();
    let core = place.start_on(disk.clone()).expect("a core");
    account(&core, "a", "1").await;
    let first = disk.list().expect("alive").into_iter().find(|name| name.ends_with(".seg")).expect("a segment");
    let mut damaged = 0;
    for number in 0..100_000 {
        core.decide(top_up("a", &format!("op {number}"), "1")).await.expect("decided");
        let now = disk.fork();
        now.crash(Crash::DropUnsynced);
        if number % 10 == 0 && now.content("books.previous").is_some() && now.flip("books", 30, 1) {
            let recovered = DurableBooks::open(Arc::new(now), place.segment_bytes).expect("from the one before");
            assert_eq!(*recovered.books(), books(&core).await, "{number}");
            damaged += 1;
        }
        if damaged > 50 && disk.content(&first).is_none() {
            break;
        }
    }
    assert!(damaged > 50 && disk.content(&first).is_none(), "{damaged} newest snapshots were damaged");
    let before = books(&core).await;
    core.stop();
    assert_eq!(books(&place.start_on(disk).expect("recovers")).await, before);
}

#[tokio::test]
async fn a_crash_during_a_run_with_snapshots_loses_nothing_answered() {
    let mut place = Place::new();
    place.config.snapshot_records = 4;
    for seed in 0..40_u64 {
        let disk = FaultStorage::new();
        let core = place.start_on(disk.clone()).expect("a core");
        account(&core, "a", "1").await;
        let operations = 3 + seed % 20;
        for number in 0..operations {
            core.decide(top_up("a", &format!("op {number}"), "1")).await.expect("decided");
        }
        let before = books(&core).await;
        // The disk of another machine: what a power cut at this moment leaves, whatever the snapshot's thread is doing.
        let after = FaultStorage::new();
        for name in disk.list().expect("alive") {
            if let Some(content) = disk.content(&name) {
                after.put(&name, &content);
            }
        }
        core.stop();
        after.crash(Crash::DropUnsynced);
        let recovered = place.start_on(after).expect("recovers");
        let now = books(&recovered).await;
        assert_eq!(now, before, "seed {seed}");
        recovered.stop();
        disk.crash(Crash::Scattered { seed, sector_bytes: 512 });
        let recovered = place.start_on(disk).expect("recovers");
        assert_eq!(books(&recovered).await, before, "seed {seed}, scattered");
    }
}

#[tokio::test]
async fn a_snapshot_that_fails_is_no_harm() {
    let mut place = Place::new();
    place.config.snapshot_records = 5;
    let disk = FaultStorage::new();
    let core = place.start_on(disk.clone()).expect("a core");
    account(&core, "a", "1").await;
    // Renames are the snapshot's from now on: the log has its segment.
    disk.fail_nth(Operation::Rename, 1, segment_log::fault::Failure::Io);
    for number in 0..20 {
        core.decide(top_up("a", &format!("op {number}"), "1")).await.expect("decided");
    }
    eventually("a later one succeeds", || async {
        core.decide(top_up("a", &format!("more {:?}", std::time::Instant::now()), "1")).await.expect("decided");
        disk.content("books").is_some()
    })
    .await;
    let before = books(&core).await;
    core.stop();
    let storage: Arc<dyn Storage> = Arc::new(disk.clone());
    assert!(segment_log::read_snapshot(&*storage, "books").expect("good").is_some());
    assert_eq!(books(&place.start_on(disk).expect("recovers")).await, before);
}
