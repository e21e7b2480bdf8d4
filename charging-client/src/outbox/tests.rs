use std::sync::mpsc;

use segment_log::fault::{Crash, FaultStorage};
use types::charging::{ChargingMode, ChargingRequest, Operation, Service, UnitUsage, Units};
use types::{ClientId, SessionId, Tenant, UtcMs};

use super::book::MARKS_A_MOVE;
use super::entry::Entry;
use super::*;

fn request(session: u64) -> ChargingRequest {
    ChargingRequest {
        client_id: ClientId::from("agent-1"),
        session_id: SessionId::from(format!("s{session}")),
        request_number: 3,
        operation: Operation::Update,
        requested_action: None,
        tenant: Tenant::from("example"),
        subscribers: Vec::new(),
        charging_mode: ChargingMode::Prepaid,
        service: Service::Voice,
        category: "call".into(),
        subject: None,
        calling: None,
        called: Some("+49301234567".into()),
        event_time: UtcMs(1_795_309_601_612),
        answer_time: Some(UtcMs(1_795_309_600_000)),
        service_information: None,
        units: vec![UnitUsage { requested: Some(Units::time(30_000)), ..UnitUsage::default() }],
        release_cause: None,
        client_state: vec![1, 2, 3],
        retransmission: false,
    }
}

/// Takes it and waits until it is durable.
fn take(outbox: &mut Outbox, number: u64) {
    let (sender, receiver) = mpsc::channel();
    outbox.take(number, &request(number), move |result| sender.send(result).expect("heard"));
    let position = receiver.recv().expect("told").expect("durable");
    outbox.stands(number, position);
}

fn numbers(loaded: &Loaded) -> Vec<u64> {
    loaded.requests.iter().map(|kept| kept.number).collect()
}

#[test]
fn what_is_not_done_is_there_again_whole_and_in_order() {
    let storage = FaultStorage::new();
    let (mut outbox, loaded) =
        Outbox::open(Arc::new(storage.clone()), Duration::ZERO, SyncWatch::default()).expect("opens");
    assert_eq!((numbers(&loaded), loaded.next_number), (vec![], 1));
    for number in 1..=5 {
        take(&mut outbox, number);
    }
    outbox.done(2);
    outbox.done(4);
    take(&mut outbox, 6);
    drop(outbox);
    storage.crash(Crash::DropUnsynced);
    let (_, loaded) = Outbox::open(Arc::new(storage), Duration::ZERO, SyncWatch::default()).expect("opens");
    assert_eq!((numbers(&loaded), loaded.next_number, loaded.unreadable), (vec![1, 3, 5, 6], 7, 0));
    assert_eq!(loaded.requests[1].request, request(3));
}

#[test]
fn the_log_is_cut_at_the_oldest_request_and_old_ones_move_to_its_end() {
    let storage = FaultStorage::new();
    let (mut outbox, _) = Outbox::open(Arc::new(storage.clone()), Duration::ZERO, SyncWatch::default()).expect("opens");
    take(&mut outbox, 1);
    for number in 2..=100 {
        take(&mut outbox, number);
        outbox.done(number);
    }
    assert_eq!(outbox.holding_back(1_000), Vec::<u64>::new());
    assert_eq!(outbox.holding_back(50), [1]);
    take(&mut outbox, 1);
    assert_eq!(outbox.holding_back(50), Vec::<u64>::new());
    drop(outbox);
    let (_, loaded) = Outbox::open(Arc::new(storage), Duration::ZERO, SyncWatch::default()).expect("opens");
    assert_eq!((numbers(&loaded), loaded.next_number), (vec![1], 101), "one of its two copies");
}

#[test]
fn a_disk_that_fails_says_so_for_each_request() {
    let storage = FaultStorage::new();
    let (mut outbox, _) = Outbox::open(Arc::new(storage.clone()), Duration::ZERO, SyncWatch::default()).expect("opens");
    storage.fail_all(segment_log::Operation::Sync, segment_log::fault::Failure::Io);
    for number in 1..=2 {
        let (sender, receiver) = mpsc::channel();
        outbox.take(number, &request(number), move |result| sender.send(result).expect("heard"));
        assert!(receiver.recv().expect("told").is_err(), "{number}");
    }
}

#[test]
fn entries_of_other_versions_are_not_guessed() {
    let whole = entry::taken(7, &request(7));
    assert_eq!(Entry::decode(&whole), Some(Entry::Taken { number: 7, request: Box::new(request(7)) }));
    assert_eq!(Entry::decode(&entry::done(7)), Some(Entry::Done { number: 7 }));
    for (at, octet) in [(0, 2), (1, 9)] {
        let mut other = whole.clone();
        other[at] = octet;
        assert_eq!(Entry::decode(&other), None);
    }
    for length in 0..10 {
        assert_eq!(Entry::decode(&whole[..length]), None, "{length}");
    }
}

/// More than a segment goes by, and many marks: what stands, or is only on its way to the disk, is not cut off.
#[test]
fn what_stands_is_never_cut_off_with_what_is_done() {
    for confirmed in [true, false] {
        let storage = FaultStorage::new();
        let (mut outbox, _) =
            Outbox::open(Arc::new(storage.clone()), Duration::ZERO, SyncWatch::default()).expect("opens");
        if confirmed {
            take(&mut outbox, 1);
        } else {
            // Its place is not known yet.
            outbox.take(1, &request(1), |_| {});
        }
        let large = ChargingRequest { client_state: vec![7; 6_000], ..request(2) };
        let all: Vec<u64> = (2..2 + 2 * u64::from(MARKS_A_MOVE)).collect();
        for (at, batch) in all.chunks(256).enumerate() {
            if at == 6 {
                // Late in the log; what stands before it stays, too.
                take(&mut outbox, LATE);
            }
            let (sender, receiver) = mpsc::channel();
            for &number in batch {
                let sender = sender.clone();
                outbox.take(number, &large, move |result| sender.send((number, result)).expect("heard"));
            }
            for (number, result) in receiver.iter().take(batch.len()) {
                outbox.stands(number, result.expect("durable"));
                outbox.done(number);
            }
        }
        drop(outbox);
        let (_, loaded) = Outbox::open(Arc::new(storage), Duration::ZERO, SyncWatch::default()).expect("opens");
        assert_eq!(numbers(&loaded), [1, LATE], "confirmed: {confirmed}");
    }
}

/// An outbox in which something is on its way to the disk at any time, as in one that is always busy, is cut all the same.
#[test]
fn a_request_on_its_way_does_not_hold_back_the_log() {
    let storage = FaultStorage::new();
    let (mut outbox, _) = Outbox::open(Arc::new(storage.clone()), Duration::ZERO, SyncWatch::default()).expect("opens");
    let large = ChargingRequest { client_state: vec![7; 6_000], ..request(2) };
    let (sender, receiver) = mpsc::channel();
    // Two segments go by.
    for number in 1..=2 * u64::from(MARKS_A_MOVE) {
        let sender = sender.clone();
        outbox.take(number, &large, move |result| sender.send((number, result)).expect("heard"));
        if number > 1 {
            let (before, result) = receiver.recv().expect("told");
            outbox.stands(before, result.expect("durable"));
            outbox.done(before);
        }
    }
    drop(outbox);
    assert_eq!(storage.content("00000000000000000000.seg"), None, "the first segment is gone");
    let (_, loaded) = Outbox::open(Arc::new(storage), Duration::ZERO, SyncWatch::default()).expect("opens");
    assert_eq!(numbers(&loaded), [2 * u64::from(MARKS_A_MOVE)], "the one on its way is there");
}

const LATE: u64 = 1_000_000;

/// One entry that cannot be read is one request: the others are still owed.
#[test]
fn a_damaged_entry_costs_no_other() {
    let storage = FaultStorage::new();
    let (mut outbox, _) = Outbox::open(Arc::new(storage.clone()), Duration::ZERO, SyncWatch::default()).expect("opens");
    take(&mut outbox, 1);
    storage.spoil_nth_write(1);
    take(&mut outbox, 2);
    take(&mut outbox, 3);
    drop(outbox);
    let (_, loaded) = Outbox::open(Arc::new(storage), Duration::ZERO, SyncWatch::default()).expect("opens");
    assert_eq!((numbers(&loaded), loaded.unreadable), (vec![1, 3], 1));
}
