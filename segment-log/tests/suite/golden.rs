//! Files of format version 1, checked in. Every later release must read them; this one also writes the same octets.
//!
//! `BLESS=1 cargo test -p segment-log golden` writes them anew: only ever for a new version, in a new folder.

use std::path::PathBuf;

use segment_log::fault::FaultStorage;
use segment_log::{CorruptPolicy, Options, read_snapshot, write_snapshot};

use crate::support::{append_all, open, payloads, segments};

const SNAPSHOT: &str = "accounts.snap";
const FILES: [&str; 4] = ["00000000000000000041.seg", "00000000000000000048.seg", "MARK", SNAPSHOT];

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v1")
}

fn records() -> Vec<Vec<u8>> {
    (0u8..10).map(|n| vec![n; 1 + usize::from(n) * 130]).collect()
}

fn options() -> Options {
    Options { segment_bytes: 4096, start: 41.into(), corrupt: CorruptPolicy::Refuse, ..Options::default() }
}

fn written() -> FaultStorage {
    let disk = FaultStorage::new();
    let (mut log, _) = open(&disk, options()).unwrap();
    let records = records();
    append_all(&mut log, &records[..3]);
    append_all(&mut log, &records[3..7]);
    append_all(&mut log, &records[7..]);
    write_snapshot(&disk, SNAPSHOT, b"state before position 41").unwrap();
    drop(log);
    disk
}

#[test]
fn golden_files_of_version_1_are_readable() {
    let disk = FaultStorage::new();
    for name in FILES {
        disk.put(name, &std::fs::read(folder().join(name)).unwrap());
    }
    let (log, recovered) = open(&disk, options()).unwrap();
    assert_eq!((recovered.first.index(), recovered.next.index(), recovered.segments), (41, 51, 2));
    assert_eq!(payloads(&log), records());
    assert_eq!(read_snapshot(&disk, SNAPSHOT).unwrap().unwrap(), b"state before position 41");
}

#[test]
fn golden_files_of_version_1_are_written_the_same() {
    let disk = written();
    assert_eq!(segments(&disk), FILES[..2]);
    for name in FILES {
        let content = disk.content(name).unwrap();
        let path = folder().join(name);
        if std::env::var_os("BLESS").is_some() {
            std::fs::create_dir_all(folder()).unwrap();
            std::fs::write(&path, &content).unwrap();
        }
        assert!(std::fs::read(&path).unwrap() == content, "{name} differs");
    }
}
