//! Files of a journal as the first release wrote them, checked in: every later release reads them, and what this one writes is the
//! same. See the README beside them.

use std::io::Read as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use cdr_journal::{Archive, Filters, JournalOptions, Position, ReplayFrom, replay_on, search_on, verify_on};
use segment_log::fault::FaultStorage;
use segment_log::{Log, Options, Storage};
use types::UtcMs;

use crate::support::{open, options, ship, ship_all};

const CHECKPOINT: &str = "lines.checkpoint";
const RECORDS: u32 = 20;
const BEGIN: UtcMs = UtcMs(1_795_309_600_000);

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v1")
}

/// A record as the first release wrote it, letter by letter: the record's model may grow, these octets may not change.
fn json(n: u32) -> String {
    format!(
        r#"{{"recordId":"k1/7/{n}/STOP/0","callId":"call-{n}","sessionId":"k1/7/{n}","legId":"A","recordType":"STOP","recordSequence":1,"tenant":"example.org","startTime":"2026-11-22T01:06:{n:02}.000Z","duration":45.080,"callingParty":{{"number":"+4930123456","subscriberId":"alice"}},"calledParty":{{"dialledNumber":"0044201"}},"service":"VOICE","callType":"VOICE","callDirection":"MOBILE_ORIGINATED","terminationReason":"NORMAL","cause":16,"sipData":{{}},"cost":{{"state":"FINAL","currency":"EUR","amount":"0.45"}},"metadata":{{"serverNode":"k1"}}}}"#
    )
}

/// The journal whose files are checked in.
fn written() -> FaultStorage {
    let disk = FaultStorage::new();
    disk.set_time(Duration::from_millis(u64::try_from(BEGIN.0).unwrap()));
    let options = JournalOptions { sinks: vec!["lines".into()], recent_ids: 6, archive: Archive::Gzip, ..options() };
    let segments = Options { segment_bytes: options.segment_bytes, ..Options::default() };
    let (mut log, _) = Log::open(Arc::new(disk.clone()), segments).unwrap();
    for n in 0..RECORDS {
        log.append(json(n).as_bytes()).unwrap();
        log.commit().unwrap();
    }
    drop(log);
    let (journal, _) = open(&disk, options).unwrap();
    ship_all(&mut ship(&journal, &disk).unwrap());
    journal.keep_up(BEGIN).unwrap();
    drop(journal);
    // The state is the sink's own, so the file shows a made-up one.
    let content = br#"{"version":1,"position":20,"state":"of the sink"}"#;
    segment_log::write_snapshot(&disk, CHECKPOINT, content).unwrap();
    let storage: Arc<dyn Storage> = Arc::new(disk.clone());
    replay_on(&storage, "lines", ReplayFrom::Position(Position::new(5)), true).unwrap();
    disk
}

fn is_golden(name: &str) -> bool {
    name == "MARK" || name == CHECKPOINT || name.ends_with(".seg") || name.ends_with(".jsonl.gz")
}

fn names(storage: &FaultStorage) -> Vec<String> {
    storage.list().unwrap().into_iter().filter(|name| is_golden(name)).collect()
}

#[test]
fn golden_files_are_readable() {
    let disk = FaultStorage::new();
    for entry in std::fs::read_dir(folder()).unwrap() {
        let entry = entry.unwrap();
        disk.put(entry.file_name().to_str().unwrap(), &std::fs::read(entry.path()).unwrap());
    }
    let storage: Arc<dyn Storage> = Arc::new(disk.clone());
    let mut found = search_on(Arc::clone(&storage), Filters::default()).unwrap();
    let read: Vec<_> = found.by_ref().map(Result::unwrap).collect();
    assert_eq!((found.damaged(), found.undecodable(), found.duplicates()), (0, 0, 0));
    assert_eq!(read.len(), usize::try_from(RECORDS).unwrap());
    for (n, record) in (0..).zip(&read) {
        assert_eq!((record.position.index(), &*record.json), (u64::from(n), json(n).as_bytes()));
        assert_eq!(record.record.call_id.as_str(), format!("call-{n}"));
    }
    let verified = verify_on(&storage, &mut |_, _| {}).unwrap();
    assert!(verified.is_whole() && verified.archives >= 1 && verified.segments >= 1, "{verified:?}");
    let planned = replay_on(&storage, "lines", ReplayFrom::Position(Position::new(2)), false).unwrap();
    assert_eq!((planned.checkpoint.index(), planned.records), (5, 3));
}

#[test]
fn golden_files_are_written_the_same() {
    let disk = written();
    if std::env::var_os("BLESS").is_some() {
        std::fs::create_dir_all(folder()).unwrap();
        for name in names(&disk) {
            std::fs::write(folder().join(&name), disk.content(&name).unwrap()).unwrap();
        }
    }
    let mut checked_in: Vec<String> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| is_golden(name))
        .collect();
    checked_in.sort();
    assert_eq!(names(&disk), checked_in);
    for name in checked_in {
        let (golden, today) = (std::fs::read(folder().join(&name)).unwrap(), disk.content(&name).unwrap());
        if name.ends_with(".jsonl.gz") {
            // Another release of the compressor may choose other octets for the same lines.
            let unpacked = |bytes: &[u8]| {
                let mut lines = Vec::new();
                flate2::read::MultiGzDecoder::new(bytes).read_to_end(&mut lines).unwrap();
                lines
            };
            assert!(unpacked(&golden) == unpacked(&today), "{name} differs");
            // Magic, flags, time; the extra field with its version, position and count, but for the length.
            assert_eq!((&golden[..17], &golden[21..33]), (&today[..17], &today[21..33]), "{name}");
        } else {
            assert!(golden == today, "{name} differs");
        }
    }
}
