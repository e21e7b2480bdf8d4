//! Group commit: order, batching, bounds, failures, closing.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::time::Duration;

use segment_log::fault::{Crash, Failure, FaultStorage};
use segment_log::{Error, ErrorClass, GroupCommit, GroupCommitOptions, Operation, Position, SyncWatch};

use crate::support::{payload, payloads, reopen};

fn start(disk: &FaultStorage, queue_records: usize, queue_bytes: usize) -> GroupCommit {
    GroupCommit::start(
        reopen(disk).0,
        GroupCommitOptions { queue_records, queue_bytes, ..GroupCommitOptions::default() },
    )
    .unwrap()
}

/// For records that must succeed.
fn durable(outcome: Result<Position, Error>) {
    outcome.unwrap();
}

/// Holds the writer in a completion until the returned barrier is passed twice: once to know it is there, once to let it go.
fn hold(writer: &GroupCommit) -> Arc<Barrier> {
    let barrier = Arc::new(Barrier::new(2));
    let held = Arc::clone(&barrier);
    let completion = move |_| {
        held.wait();
        held.wait();
    };
    writer.submit(b"hold".to_vec(), completion).unwrap();
    barrier.wait();
    barrier
}

#[test]
fn completions_run_in_order_and_only_when_durable() {
    let disk = FaultStorage::new();
    let writer = start(&disk, 100, 1 << 20);
    let (sender, receiver) = mpsc::channel();
    for number in 0..1000 {
        let sender = sender.clone();
        let completion = move |outcome: Result<Position, Error>| sender.send(outcome.unwrap().index()).unwrap();
        writer.submit(payload(number, 20), completion).unwrap();
    }
    drop(sender);
    assert_eq!(receiver.iter().take(1000).collect::<Vec<_>>(), (0..1000).collect::<Vec<_>>());
    // Every answer is out: the power may fail now, before the writer is closed.
    disk.crash(Crash::DropUnsynced);
    assert_eq!(writer.close().unwrap(), writer.durable());
    assert_eq!(payloads(&reopen(&disk).0), (0..1000).map(|n| payload(n, 20)).collect::<Vec<_>>());
}

#[test]
fn what_queues_during_a_sync_is_one_batch_with_one_sync() {
    let disk = FaultStorage::new();
    let writer = start(&disk, 100, 1 << 20);
    let barrier = hold(&writer);
    let before = disk.count(Operation::Sync);
    (0..100).for_each(|n| writer.submit(payload(n, 20), durable).unwrap());
    assert_eq!((writer.queued(), writer.durable().index()), (100, 1));
    barrier.wait();
    writer.close().unwrap();
    assert_eq!(disk.count(Operation::Sync) - before, 1);
}

#[test]
fn a_full_queue_rejects_or_blocks() {
    let disk = FaultStorage::new();
    // By count, and by octets.
    for (records, bytes) in [(3, 1 << 20), (1000, 60)] {
        let writer = Arc::new(start(&disk, records, bytes));
        let barrier = hold(&writer);
        (0..3).for_each(|n| writer.try_submit(payload(n, 20), durable).unwrap());
        let rejected = writer.try_submit(payload(3, 20), |_| panic!("must not be called")).unwrap_err();
        assert!(matches!(rejected.error, Error::QueueFull { records: 3, bytes: 60 }));
        assert_eq!((rejected.error.class(), rejected.payload), (ErrorClass::Retry, payload(3, 20)));
        let (sender, receiver) = mpsc::channel();
        let blocked = {
            let writer = Arc::clone(&writer);
            std::thread::spawn(move || {
                writer.submit(payload(3, 20), move |outcome| sender.send(outcome).unwrap()).unwrap()
            })
        };
        assert!(receiver.try_recv().is_err());
        barrier.wait();
        blocked.join().unwrap();
        assert!(receiver.recv().unwrap().is_ok());
        writer.close().unwrap();
    }
}

#[test]
fn a_payload_larger_than_the_queue_is_taken_alone() {
    let disk = FaultStorage::new();
    let writer = start(&disk, 10, 5);
    (0..5).for_each(|n| writer.submit(payload(n, 50), durable).unwrap());
    assert_eq!(writer.close().unwrap().index(), 5);
}

#[test]
fn a_bad_record_fails_alone_and_in_its_place() {
    let disk = FaultStorage::new();
    let writer = start(&disk, 100, 1 << 20);
    let barrier = hold(&writer);
    let (sender, receiver) = mpsc::channel();
    for payload in [b"a".to_vec(), Vec::new(), b"b".to_vec()] {
        let sender = sender.clone();
        writer.submit(payload, move |outcome| sender.send(outcome).unwrap()).unwrap();
    }
    barrier.wait();
    writer.close().unwrap();
    let next = || receiver.recv().unwrap();
    assert_eq!(next().unwrap().index(), 1);
    assert!(matches!(next(), Err(Error::RecordEmpty)));
    assert_eq!(next().unwrap().index(), 2);
}

#[test]
fn a_failed_fsync_answers_everything_and_stops_the_writer() {
    let disk = FaultStorage::new();
    let writer = start(&disk, 100, 1 << 20);
    let barrier = hold(&writer);
    disk.fail_nth(Operation::Sync, 1, Failure::Io);
    let (sender, receiver) = mpsc::channel();
    for number in 0..10 {
        let sender = sender.clone();
        writer.submit(payload(number, 20), move |outcome| sender.send(outcome).unwrap()).unwrap();
    }
    drop(sender);
    barrier.wait();
    let answers: Vec<_> = receiver.iter().collect();
    assert_eq!(answers.len(), 10);
    assert!(answers.iter().all(|answer| matches!(answer, Err(Error::Poisoned { .. }))));
    let rejected = writer.submit(b"x".to_vec(), |_| panic!("must not be called")).unwrap_err();
    assert!(matches!(rejected.error, Error::Poisoned { .. }));
    assert!(matches!(writer.close(), Err(Error::Poisoned { .. })));
}

#[test]
fn a_full_disk_fails_the_batch_and_the_writer_goes_on() {
    let disk = FaultStorage::new();
    let writer = start(&disk, 100, 1 << 20);
    let (sender, receiver) = mpsc::channel();
    let submit = |number| {
        let sender = sender.clone();
        writer.submit(payload(number, 20), move |outcome| sender.send(outcome).unwrap()).unwrap();
        receiver.recv().unwrap()
    };
    assert_eq!(submit(0).unwrap().index(), 0);
    disk.fail_nth(Operation::Write, 1, Failure::NoSpace);
    assert!(matches!(submit(1), Err(Error::NoSpace { .. })));
    assert_eq!(submit(2).unwrap().index(), 1);
    writer.close().unwrap();
    assert_eq!(payloads(&reopen(&disk).0), [payload(0, 20), payload(2, 20)]);
}

#[test]
fn the_front_is_dropped_through_the_writer() {
    let disk = FaultStorage::new();
    let writer = start(&disk, 100, 1 << 20);
    for number in 0..40 {
        let (sender, receiver) = mpsc::channel();
        writer.submit(payload(number, 500), move |outcome| sender.send(outcome).unwrap()).unwrap();
        receiver.recv().unwrap().unwrap();
    }
    let (sender, receiver) = mpsc::channel();
    writer.truncate_front(Position::new(20), move |outcome| sender.send(outcome).unwrap()).unwrap();
    assert_eq!(receiver.recv().unwrap().unwrap().index(), 14);
    writer.close().unwrap();
    assert_eq!(reopen(&disk).1.first.index(), 14);
}

#[test]
fn close_drains_releases_the_lock_and_refuses_later_requests() {
    let disk = FaultStorage::new();
    let writer = start(&disk, 100, 1 << 20);
    let barrier = hold(&writer);
    let answered = Arc::new(AtomicUsize::new(0));
    for number in 0..50 {
        let answered = Arc::clone(&answered);
        writer
            .submit(payload(number, 20), move |outcome| {
                outcome.unwrap();
                answered.fetch_add(1, Ordering::SeqCst);
            })
            .unwrap();
    }
    let closing = std::thread::scope(|scope| {
        let closing = scope.spawn(|| writer.close());
        barrier.wait();
        closing.join().unwrap()
    });
    assert_eq!((closing.unwrap().index(), answered.load(Ordering::SeqCst)), (51, 50));
    assert_eq!(writer.close().unwrap().index(), 51);
    assert!(matches!(writer.try_submit(b"x".to_vec(), |_| ()).unwrap_err().error, Error::Closed));
    assert!(matches!(writer.truncate_front(Position::ZERO, |_| ()), Err(Error::Closed)));
    assert_eq!(payloads(&reopen(&disk).0).len(), 51);
}

#[test]
fn each_batch_that_is_durable_is_heard_once_and_no_other() {
    let disk = FaultStorage::new();
    let (watch, heard) = (SyncWatch::default(), Arc::new(AtomicUsize::new(0)));
    let counter = Arc::clone(&heard);
    watch.hear(move |_| {
        counter.fetch_add(1, Ordering::SeqCst);
    });
    let writer = GroupCommit::start_watched(reopen(&disk).0, GroupCommitOptions::default(), watch).unwrap();
    let (sender, receiver) = mpsc::channel();
    let write = || {
        let sender = sender.clone();
        writer.submit(payload(0, 20), move |outcome| sender.send(outcome.is_ok()).unwrap()).unwrap();
        receiver.recv().unwrap()
    };
    assert!(write() && write());
    // Nothing is written for this one.
    let sender = sender.clone();
    writer.truncate_front(Position::ZERO, move |outcome| sender.send(outcome.is_ok()).unwrap()).unwrap();
    assert!(receiver.recv().unwrap());
    disk.fail_all(Operation::Sync, Failure::Io);
    assert!(!write());
    drop(writer);
    assert_eq!(heard.load(Ordering::SeqCst), 2);
}

#[test]
fn the_last_owner_may_be_a_completion() {
    let disk = FaultStorage::new();
    let writer = Arc::new(start(&disk, 100, 1 << 20));
    let barrier = hold(&writer);
    let (sender, receiver) = mpsc::channel();
    let owner = Arc::clone(&writer);
    writer
        .submit(b"x".to_vec(), move |outcome| {
            drop(owner);
            sender.send(outcome.is_ok()).unwrap();
        })
        .unwrap();
    drop(writer);
    barrier.wait();
    assert!(receiver.recv().unwrap());
}

#[test]
fn a_panic_in_a_completion_leaves_nobody_waiting() {
    let disk = FaultStorage::new();
    let writer = start(&disk, 100, 1 << 20);
    let barrier = hold(&writer);
    let (sender, receiver) = mpsc::channel();
    writer.submit(b"x".to_vec(), |_| std::panic::resume_unwind(Box::new("a bug of the caller"))).unwrap();
    writer.submit(b"y".to_vec(), move |outcome| sender.send(outcome).unwrap()).unwrap();
    barrier.wait();
    assert_eq!(receiver.recv().unwrap().unwrap().index(), 2);
    assert!(matches!(writer.close(), Err(Error::WriterPanicked)));
}

#[test]
fn many_threads_submit_and_all_is_there_once() {
    const THREADS: usize = 8;
    const EACH: usize = 500;
    let directory = tempfile::tempdir().unwrap();
    let (log, _) = segment_log::Log::open_dir(directory.path(), segment_log::Options::default()).unwrap();
    let writer =
        GroupCommit::start(log, GroupCommitOptions { queue_records: 16, ..GroupCommitOptions::default() }).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let writer = &writer;
            scope.spawn(move || {
                for number in 0..EACH {
                    writer.submit(format!("{thread} {number}").into_bytes(), durable).unwrap();
                }
            });
        }
    });
    writer.close().unwrap();
    let (log, _) = segment_log::Log::open_dir(directory.path(), segment_log::Options::default()).unwrap();
    let mut next = [0; THREADS];
    for record in payloads(&log) {
        let text = String::from_utf8(record).unwrap();
        let (thread, number) = text.split_once(' ').unwrap();
        let expected = &mut next[thread.parse::<usize>().unwrap()];
        assert_eq!(number.parse::<usize>().unwrap(), *expected, "each thread's records are in its order");
        *expected += 1;
    }
    assert_eq!(next, [EACH; THREADS]);
}

#[test]
fn a_queue_of_nothing_is_refused() {
    for (records, bytes) in [(0, 1), (1, 0)] {
        let (log, _) = reopen(&FaultStorage::new());
        let error = GroupCommit::start(
            log,
            GroupCommitOptions { queue_records: records, queue_bytes: bytes, ..GroupCommitOptions::default() },
        )
        .unwrap_err();
        assert!(matches!(error, Error::OptionOutOfRange { .. }));
    }
}

/// A writer that is never due again by itself, after its first batch.
fn spaced(disk: &FaultStorage, queue_records: usize) -> GroupCommit {
    let sync_interval = Duration::from_secs(3600);
    let options = GroupCommitOptions { queue_records, sync_interval, ..GroupCommitOptions::default() };
    let writer = GroupCommit::start(reopen(disk).0, options).unwrap();
    let (sender, receiver) = mpsc::channel();
    writer.submit(b"first".to_vec(), move |outcome| sender.send(outcome).unwrap()).unwrap();
    assert!(receiver.recv().unwrap().is_ok(), "the first one is written at once");
    writer
}

#[test]
fn batches_are_spaced_and_nothing_is_answered_before_its_sync() {
    let disk = FaultStorage::new();
    let (writer, answered) = (spaced(&disk, 100), Arc::new(AtomicUsize::new(0)));
    let before = disk.count(Operation::Sync);
    for number in 0..10 {
        let answered = Arc::clone(&answered);
        let completion = move |outcome: Result<Position, Error>| {
            outcome.unwrap();
            answered.fetch_add(1, Ordering::Relaxed);
        };
        writer.submit(payload(number, 20), completion).unwrap();
    }
    let waiting = (answered.load(Ordering::Relaxed), writer.queued(), writer.durable().index());
    assert_eq!((waiting, disk.count(Operation::Sync)), ((0, 10, 1), before));
    assert_eq!(writer.close().unwrap().index(), 11, "a close does not wait");
    assert_eq!((answered.load(Ordering::Relaxed), disk.count(Operation::Sync) - before), (10, 1));
}

#[test]
fn a_queue_that_fills_up_ends_the_wait_and_is_one_batch() {
    let disk = FaultStorage::new();
    let (writer, before) = (spaced(&disk, 8), disk.count(Operation::Sync));
    for round in 1..=20 {
        let (sender, receiver) = mpsc::channel();
        for number in 0..4 {
            let sender = sender.clone();
            writer.submit(payload(number, 20), move |outcome| sender.send(outcome).unwrap()).unwrap();
            // The writer has all the time to take each alone, would it not wait.
            (0..100).for_each(|_| std::thread::yield_now());
        }
        assert_eq!(receiver.iter().take(4).filter(Result::is_ok).count(), 4, "round {round}");
        assert_eq!(disk.count(Operation::Sync) - before, round, "one sync for all four");
    }
    writer.close().unwrap();
}

#[test]
fn a_record_that_somebody_waits_for_ends_the_wait_and_takes_the_others_along() {
    let disk = FaultStorage::new();
    let (writer, before) = (spaced(&disk, 100), disk.count(Operation::Sync));
    let (sender, receiver) = mpsc::channel();
    let awaited = sender.clone();
    writer.submit(b"not awaited".to_vec(), move |outcome| sender.send(outcome).unwrap()).unwrap();
    // The writer has all the time to go to sleep.
    (0..100).for_each(|_| std::thread::yield_now());
    writer.try_submit_awaited(b"awaited".to_vec(), move |outcome| awaited.send(outcome).unwrap()).unwrap();
    let positions: Vec<_> = receiver.iter().map(|outcome| outcome.unwrap().index()).collect();
    assert_eq!((positions, disk.count(Operation::Sync) - before), (vec![1, 2], 1), "in their order, with one sync");
    writer.submit(b"not awaited".to_vec(), |outcome| assert!(outcome.is_ok())).unwrap();
    (0..100).for_each(|_| std::thread::yield_now());
    assert_eq!(writer.queued(), 1, "the one before it was awaited, this one is not");
    writer.close().unwrap();
}

#[test]
fn a_power_failure_during_the_wait_takes_only_what_was_not_answered() {
    let disk = FaultStorage::new();
    let writer = spaced(&disk, 100);
    writer.submit(b"second".to_vec(), |outcome| assert!(outcome.is_err())).unwrap();
    disk.crash(Crash::DropUnsynced);
    assert!(writer.close().is_err());
    assert_eq!(payloads(&reopen(&disk).0), [b"first"]);
}
