//! The failing disk keeps its own promises; otherwise the other tests would prove little.

use std::sync::Arc;

use segment_log::fault::{Crash, Failure, FaultStorage};
use segment_log::{Log, Operation, Options, Storage};

fn names(disk: &FaultStorage) -> Vec<String> {
    disk.list().unwrap()
}

#[test]
fn content_needs_fsync_and_names_need_fsync_of_the_directory() {
    let disk = FaultStorage::new();
    let kept = disk.create("kept").unwrap();
    kept.write_at(b"synced", 0).unwrap();
    kept.sync_data().unwrap();
    disk.sync_dir().unwrap();
    kept.write_at(b" and not", 6).unwrap();
    disk.create("unsynced name").unwrap().sync_data().unwrap();
    disk.rename("kept", "renamed").unwrap();
    assert_eq!(disk.content("renamed").unwrap(), b"synced and not");
    disk.crash(Crash::KeepUnsynced);
    assert_eq!(names(&disk), ["renamed", "unsynced name"], "a killed process loses nothing");
    disk.crash(Crash::DropUnsynced);
    assert_eq!(names(&disk), ["kept"]);
    assert_eq!(disk.content("kept").unwrap(), b"synced");
    assert!(kept.write_at(b"x", 0).is_err() && kept.sync_data().is_err(), "handles die with the process");
}

#[test]
fn a_failed_fsync_loses_the_data_though_the_next_one_succeeds() {
    let disk = FaultStorage::new();
    let file = disk.create("f").unwrap();
    disk.sync_dir().unwrap();
    file.write_at(b"gone", 0).unwrap();
    disk.fail_nth(Operation::Sync, 1, Failure::Io);
    file.sync_data().unwrap_err();
    file.sync_data().unwrap();
    assert_eq!(disk.content("f").unwrap(), b"gone");
    disk.crash(Crash::DropUnsynced);
    assert_eq!(disk.content("f").unwrap(), b"");
}

#[test]
fn tearing_keeps_a_prefix_and_scattering_keeps_sectors() {
    for bytes in 0..=6 {
        let disk = FaultStorage::new();
        let file = disk.create("f").unwrap();
        disk.sync_dir().unwrap();
        file.write_at(b"abc", 0).unwrap();
        file.write_at(b"def", 3).unwrap();
        disk.crash(Crash::Torn { bytes });
        assert_eq!(disk.content("f").unwrap(), b"abcdef"[..bytes]);
    }
    let outcomes: std::collections::BTreeSet<Vec<u8>> = (0..200)
        .map(|seed| {
            let disk = FaultStorage::new();
            disk.put("f", b"......");
            disk.open("f", true).unwrap().write_at(b"abcdef", 0).unwrap();
            disk.crash(Crash::Scattered { seed, sector_bytes: 2 });
            disk.content("f").unwrap()
        })
        .collect();
    assert_eq!(outcomes.len(), 8, "each of three sectors on its own: {outcomes:?}");
}

#[test]
fn a_full_disk_takes_what_fits() {
    let disk = FaultStorage::new();
    disk.set_capacity(Some(10));
    let file = disk.create("f").unwrap();
    file.write_at(b"12345678", 0).unwrap();
    let error = file.write_at(b"abcdef", 8).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
    assert_eq!(disk.content("f").unwrap(), b"12345678ab");
    assert!(file.allocate(11).is_err());
    file.set_len(4).unwrap();
    file.write_at(b"abcdef", 4).unwrap();
}

#[test]
fn a_crash_point_stops_before_or_after_the_operation() {
    for (point, content) in [(0, &b""[..]), (1, b"x")] {
        let disk = FaultStorage::new();
        let file = disk.create("f").unwrap();
        disk.crash_at(point);
        file.write_at(b"x", 0).unwrap_err();
        assert!(disk.list().is_err(), "dead");
        assert_eq!(disk.trace()[point].to_string(), ["before write f", "after write f"][point]);
        disk.crash(Crash::KeepUnsynced);
        assert_eq!(disk.content("f").unwrap(), content);
    }
}

#[test]
fn a_spoiled_write_succeeds_and_is_wrong() {
    let disk = FaultStorage::new();
    let file = disk.create("f").unwrap();
    disk.spoil_nth_write(2);
    for at in [0, 3, 6] {
        file.write_at(b"abc", at).unwrap();
    }
    assert_eq!(disk.content("f").unwrap(), b"abcaccabc");
    disk.spoil_nth_write(1);
    disk.heal();
    file.write_at(b"abc", 3).unwrap();
    assert_eq!(disk.content("f").unwrap(), b"abcabcabc");
}

#[test]
fn a_fork_is_a_disk_of_its_own() {
    let disk = FaultStorage::new();
    let (mut log, _) = Log::open(Arc::new(disk.clone()), Options::default()).expect("opens");
    log.append(b"kept").expect("appended");
    log.commit().expect("committed");
    disk.set_capacity(Some(disk.used()));
    let fork = disk.fork();
    assert_eq!(fork.used(), disk.used());
    fork.crash(Crash::DropUnsynced);
    let (mut other, recovered) = Log::open(Arc::new(fork), Options::default()).expect("the lock is the other disk's");
    assert_eq!(recovered.next.index(), 1);
    other.append(b"unseen").expect("appended");
    other.commit().expect("committed");
    assert_eq!((log.durable().index(), other.durable().index()), (1, 2));
    assert_eq!(log.append(b"next").expect("alive").index(), 1);
}
