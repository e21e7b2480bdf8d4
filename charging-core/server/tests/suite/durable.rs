//! The books and their log without a thread: what the ledger thread and the simulation have in common.

use std::sync::Arc;

use charging_server::{CoreError, DurableBooks, SEGMENT_BYTES, TariffConfig, TariffPricing, Tariffs};
use ledger::{Books, Command, CreateAccount, Outcome, Settings, Transfer};
use segment_log::fault::{Crash, FaultStorage};
use segment_log::{Error, Storage};
use types::{Money, UtcMs};

use crate::rig::{key, write_tariff};

const NOW: UtcMs = UtcMs(1_795_300_000_000);

struct Desk {
    disk: FaultStorage,
    segment_bytes: u64,
    store: DurableBooks,
    pricing: TariffPricing,
}

impl Desk {
    fn new() -> Self {
        Self::in_segments(SEGMENT_BYTES)
    }

    fn in_segments(segment_bytes: u64) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        write_tariff(&folder.path().join("tariff"), "0.01");
        let config = TariffConfig { folder: Some(folder.path().join("tariff")), ..TariffConfig::default() };
        let tariffs = Tariffs::open(&folder.path().join("kept"), &config, 0).expect("a tariff");
        let disk = FaultStorage::new();
        // From the start, so that the log does not reserve a whole segment.
        disk.set_capacity(Some(100_000));
        let store = DurableBooks::open(Arc::new(disk.clone()), segment_bytes).expect("opens");
        Self { disk, segment_bytes, store, pricing: TariffPricing::new(Arc::new(tariffs)) }
    }

    fn decide(&mut self, command: &Command) -> Outcome {
        self.store.decide(&self.pricing, &Settings::default(), command, NOW).expect("decided").outcome
    }

    fn top_up(&mut self, number: u32) -> Outcome {
        let operation_id = format!("op {number}").into();
        let amount = Money::from_units(1);
        self.decide(&Command::TopUp(Transfer { account: key("a"), operation_id, amount, currency: None }))
    }

    fn account(&mut self) {
        let currency = "EUR".parse().expect("a currency");
        let create =
            CreateAccount { key: key("a"), currency, identities: vec![], low_balance_limit: None, credit_limit: None };
        self.decide(&Command::CreateAccount(Box::new(create)));
        assert!(self.store.commit().expect("a good disk"));
    }

    fn records_since_snapshot(&self) -> usize {
        (1..).take_while(|records| self.store.is_snapshot_due(*records, 0)).count()
    }

    fn again(mut self) -> (Books, Self) {
        let before = self.store.books().clone();
        self.disk.crash(Crash::DropUnsynced);
        drop(self.store);
        self.store = DurableBooks::open(Arc::new(self.disk.clone()), self.segment_bytes).expect("recovers");
        (before, self)
    }
}

#[test]
fn what_is_committed_is_there_again_and_nothing_else() {
    let mut desk = Desk::new();
    desk.account();
    desk.top_up(1);
    assert!(desk.store.commit().expect("a good disk"));
    let durable = desk.store.books().clone();
    desk.top_up(2);
    let (before, desk) = desk.again();
    assert_ne!(before, durable);
    assert_eq!(*desk.store.books(), durable);
}

#[test]
fn a_batch_without_room_is_not_in_the_books() {
    let mut desk = Desk::new();
    desk.account();
    let before = desk.store.books().clone();
    desk.disk.set_capacity(Some(desk.disk.used()));
    desk.top_up(1);
    assert!(!desk.store.commit().expect("a full disk is no failure"));
    assert_eq!(*desk.store.books(), before);
    desk.disk.set_capacity(None);
    desk.top_up(1);
    assert!(desk.store.commit().expect("a good disk"));
    let (before, desk) = desk.again();
    assert_eq!(*desk.store.books(), before);
}

#[test]
fn snapshots_take_the_place_of_the_log() {
    let mut desk = Desk::new();
    desk.account();
    for number in 0..20 {
        desk.top_up(number);
        assert!(desk.store.commit().expect("a good disk"));
        if number % 6 == 5 {
            assert_eq!(desk.records_since_snapshot(), if number == 5 { 7 } else { 6 });
            desk.store.snapshot().expect("a snapshot");
            assert_eq!(desk.records_since_snapshot(), 0);
        }
    }
    let (before, desk) = desk.again();
    assert_eq!(*desk.store.books(), before);
    assert_eq!(desk.records_since_snapshot(), 2);
    assert!(!desk.store.is_snapshot_due(2, 1_000), "two records are less than ten snapshots, also after a recovery");
}

/// The log is cut at the snapshot before the newest, so that together they are enough when the disk has damaged the newest.
#[test]
fn a_damaged_snapshot_costs_nothing_while_there_is_the_one_before_it() {
    let mut desk = Desk::in_segments(4096);
    desk.account();
    let mut cut = 0;
    for number in 0..400 {
        desk.top_up(number);
        assert!(desk.store.commit().expect("a good disk"));
        let first = segments(&desk.disk)[0];
        cut += u32::from(number % 100 == 99 && first > 0);
        if number % 100 == 60 {
            desk.store.snapshot().expect("a snapshot");
        }
        if number % 20 == 1 && number > 200 {
            let disk = desk.disk.fork();
            disk.crash(Crash::DropUnsynced);
            assert!(disk.flip("books", 30, 1), "{number}");
            let recovered = DurableBooks::open(Arc::new(disk), 4096).expect("from the one before");
            assert_eq!(recovered.books(), desk.store.books(), "{number}");
        }
    }
    assert!(cut >= 2 && segments(&desk.disk).len() > 3, "the log is cut, and between snapshots there are segments");
}

/// Until the log is cut for the first time it has every change there ever was: snapshots are needed no more than an index is.
#[test]
fn a_damaged_first_snapshot_costs_nothing_while_the_log_has_everything() {
    let mut desk = Desk::in_segments(4096);
    desk.account();
    // What is there after a crash when the disk has damaged these snapshots, too.
    let opened = |desk: &Desk, damaged: &[&str]| {
        let disk = desk.disk.fork();
        disk.crash(Crash::DropUnsynced);
        damaged.iter().for_each(|name| assert!(disk.flip(name, 30, 1), "{name}"));
        DurableBooks::open(Arc::new(disk), 4096)
    };
    let recovers = |desk: &Desk, damaged: &[&str]| {
        let recovered = opened(desk, damaged).expect("from the log");
        assert_eq!(recovered.books(), desk.store.books());
        recovered
    };
    let both = ["books", "books.previous"];
    for number in 0..300 {
        desk.top_up(number);
        assert!(desk.store.commit().expect("a good disk"));
        match number {
            20 => desk.store.snapshot().expect("a snapshot"),
            40 => {
                let mut recovered = recovers(&desk, &both[..1]);
                // The damaged one is replaced by a good one.
                recovered.snapshot().expect("a snapshot");
                assert!(!recovered.is_snapshot_due(1, 0));
                desk.store.snapshot().expect("a snapshot");
                assert_eq!(segments(&desk.disk)[0], 0, "both fit into what the log still has");
            }
            60 => drop(recovers(&desk, &both)),
            200 | 280 => desk.store.snapshot().expect("a snapshot"),
            _ => {}
        }
    }
    assert!(segments(&desk.disk)[0] > 0, "the log is cut");
    recovers(&desk, &both[..1]);
    let refused = opened(&desk, &both).expect_err("what was before the log's begin is nowhere");
    assert!(matches!(refused, CoreError::Store(Error::Corrupt { .. })), "{refused}");
}

/// The positions at which the segments of the log begin.
fn segments(disk: &FaultStorage) -> Vec<u64> {
    let names = disk.list().expect("alive");
    let mut begins: Vec<u64> = names.iter().filter_map(|name| name.strip_suffix(".seg")?.parse().ok()).collect();
    begins.sort_unstable();
    begins
}
