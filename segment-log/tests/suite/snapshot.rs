//! Snapshots: whole or not at all.

use segment_log::fault::{Crash, Failure, FaultStorage};
use segment_log::{DirStorage, Error, ErrorClass, Operation, Reason, read_snapshot, write_snapshot};

#[test]
fn a_snapshot_is_read_back_and_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let storage = DirStorage::at(directory.path());
    assert!(read_snapshot(&storage, "accounts.snap").unwrap().is_none());
    for content in [&b"first"[..], b"", &[7; 100_000]] {
        write_snapshot(&storage, "accounts.snap", content).unwrap();
        assert!(read_snapshot(&storage, "accounts.snap").unwrap().unwrap() == content);
    }
}

/// A log on the same disk waits for a piece and not for all.
#[test]
fn a_large_one_is_synced_in_pieces() {
    let content: Vec<u8> = (0..9 << 20).map(|at: u32| (at >> 8) as u8 ^ at as u8).collect();
    let disk = FaultStorage::new();
    write_snapshot(&disk, "s", &content).unwrap();
    assert!(read_snapshot(&disk, "s").unwrap().unwrap() == content);
    assert_eq!(disk.count(Operation::Sync), 3);
    for nth in 1..=3 {
        disk.fail_nth(Operation::Sync, nth, Failure::Io);
        let failed = write_snapshot(&disk, "s", b"another").and_then(|()| write_snapshot(&disk, "s", &content));
        assert!(matches!(failed, Err(Error::Poisoned { operation: Operation::Sync, .. })), "{nth}: {failed:?}");
    }
}

#[test]
fn a_crash_at_every_point_leaves_the_old_or_the_new() {
    let prepared = || {
        let disk = FaultStorage::new();
        write_snapshot(&disk, "s", b"the old content").unwrap();
        disk
    };
    let disk = prepared();
    disk.crash_at(usize::MAX);
    write_snapshot(&disk, "s", b"what is new").unwrap();
    let points = disk.trace().len();
    assert!(points >= 10);
    for point in 0..points {
        let torn = (0..40).map(|bytes| Crash::Torn { bytes });
        let scattered = (0..20).map(|seed| Crash::Scattered { seed, sector_bytes: 4 });
        for crash in [Crash::KeepUnsynced, Crash::DropUnsynced].into_iter().chain(torn).chain(scattered) {
            let disk = prepared();
            disk.crash_at(point);
            write_snapshot(&disk, "s", b"what is new").unwrap_err();
            disk.crash(crash);
            let content = read_snapshot(&disk, "s").unwrap().unwrap();
            assert!(content == b"the old content" || content == b"what is new", "point {point}, {crash:?}");
        }
    }
    disk.crash(Crash::DropUnsynced);
    assert_eq!(read_snapshot(&disk, "s").unwrap().unwrap(), b"what is new", "once written it is durable");
}

#[test]
fn every_flipped_octet_and_every_cut_is_noticed() {
    let disk = FaultStorage::new();
    write_snapshot(&disk, "s", b"content").unwrap();
    let whole = disk.content("s").unwrap();
    for offset in 0..whole.len() {
        assert!(disk.flip("s", offset, 0x21));
        match read_snapshot(&disk, "s") {
            Err(Error::Corrupt { reason: Reason::Snapshot, .. }) => {}
            Err(Error::NewerFormat { found: 0x20, .. }) if offset == 0 => {}
            other => panic!("octet {offset}: {other:?}"),
        }
        assert!(disk.flip("s", offset, 0x21));
        disk.put("cut", &whole[..offset]);
        assert!(matches!(read_snapshot(&disk, "cut"), Err(Error::Corrupt { .. })), "cut at {offset}");
    }
    assert_eq!(read_snapshot(&disk, "s").unwrap().unwrap(), b"content");
}

#[test]
fn failures_are_told_apart() {
    let disk = FaultStorage::new();
    write_snapshot(&disk, "s", b"old").unwrap();
    disk.fail_nth(Operation::Write, 2, Failure::NoSpace);
    let error = write_snapshot(&disk, "s", b"new").unwrap_err();
    assert!(matches!(error, Error::NoSpace { .. }) && error.class() == ErrorClass::Retry);
    assert!(disk.content("s.tmp").is_none(), "half a snapshot does not keep the space");
    disk.fail_nth(Operation::Sync, 1, Failure::Io);
    assert!(matches!(write_snapshot(&disk, "s", b"new"), Err(Error::Poisoned { .. })));
    assert_eq!(read_snapshot(&disk, "s").unwrap().unwrap(), b"old");
}

#[test]
fn names_of_the_log_and_paths_are_refused() {
    let disk = FaultStorage::new();
    for name in
        ["", ".hidden", "a/b", "../a", "LOCK", "MARK", "00000000000000000000.seg", "x.seg", "x.seg.tmp", "x.tmp", "a\0"]
    {
        assert!(matches!(write_snapshot(&disk, name, b"x"), Err(Error::SnapshotName { .. })), "{name:?}");
        assert!(matches!(read_snapshot(&disk, name), Err(Error::SnapshotName { .. })), "{name:?}");
    }
}
