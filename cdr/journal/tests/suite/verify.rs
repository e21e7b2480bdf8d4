//! Verification tells what is there and finds what is not, beside a running writer.

use std::sync::Arc;

use cdr_journal::{Archive, Journal, JournalOptions, Verified, verify_on};
use segment_log::Storage;
use segment_log::fault::FaultStorage;
use types::UtcMs;

use crate::support::{append, append_all, open, options, record, ship, ship_all};

const NOW: UtcMs = UtcMs(1_795_309_600_000);

fn verified(disk: &FaultStorage) -> Verified {
    let storage: Arc<dyn Storage> = Arc::new(disk.clone());
    let mut steps = Vec::new();
    let verified = verify_on(&storage, &mut |done, total| steps.push((done, total))).unwrap();
    assert!(steps.iter().all(|(done, total)| done <= total) && steps.is_sorted());
    assert_eq!(steps.last().map(|(done, total)| done == total), (!steps.is_empty()).then_some(true));
    verified
}

/// 60 records: archives, segments, and a writer that goes on.
fn kept() -> (FaultStorage, Journal) {
    let disk = FaultStorage::new();
    let archive = Archive::Gzip;
    let options = JournalOptions { sinks: vec!["lines".to_owned()], recent_ids: 20, archive, ..options() };
    let (journal, _) = open(&disk, options).unwrap();
    append_all(&journal, 0..60);
    ship_all(&mut ship(&journal, &disk).unwrap());
    disk.set_time(std::time::Duration::from_millis(u64::try_from(NOW.0).unwrap()));
    journal.keep_up(UtcMs(0)).unwrap();
    (disk, journal)
}

#[test]
fn a_journal_in_use_is_whole() {
    assert_eq!(verified(&FaultStorage::new()), Verified::default());
    let (disk, journal) = kept();
    let found = verified(&disk);
    assert!(found.is_whole(), "{found:?}");
    assert!(found.archives >= 2 && found.segments >= 2);
    assert_eq!(found.files.len(), usize::try_from(found.archives + found.segments).unwrap());
    let bytes: usize = (0..60).map(|n| record(n).to_json().unwrap().len()).sum();
    assert_eq!((found.records, found.payload_bytes), (60, u64::try_from(bytes).unwrap()));
    let ends: Vec<_> = found.files.iter().map(|file| (file.first, file.next)).collect();
    assert!(ends.windows(2).all(|pair| pair[0].1 == pair[1].0) && ends[0].0 == 0 && ends.last().unwrap().1 == 60);
    append(&journal, &record(60)).unwrap();
    assert_eq!(verified(&disk).records, 61);
    assert_eq!((found.duplicates, found.leftovers, found.uncommitted_bytes), (0, 0, 0));
}

#[test]
fn damage_loss_and_leftovers_are_told_apart() {
    type Harm = fn(&FaultStorage, &Verified);
    type Says = fn(&Verified) -> bool;
    let rows: [(&str, Harm, Says); 7] = [
        (
            "an octet of a segment",
            |disk, found| assert!(disk.flip(&found.files[found.files.len() - 2].name, 600, 1)),
            |found| !found.is_whole() && found.damaged_places == 1 && found.lost == 1 && found.gaps == 0,
        ),
        (
            "an octet of an archive",
            |disk, found| assert!(disk.flip(&found.files[1].name, 200, 1)),
            |found| !found.is_whole() && found.damaged_places == 1 && found.records < 60,
        ),
        (
            "an archive",
            |disk, found| disk.remove(&found.files[1].name).unwrap(),
            |found| {
                !found.is_whole() && (found.gaps, found.damaged_places) == (1, 0) && found.missing + found.records == 60
            },
        ),
        (
            "the first archive",
            |disk, found| disk.remove(&found.files[0].name).unwrap(),
            |found| found.is_whole() && found.records < 60,
        ),
        (
            "a segment",
            |disk, found| disk.remove(&found.files[found.files.len() - 2].name).unwrap(),
            |found| !found.is_whole() && found.missing + found.lost + found.records == 60,
        ),
        (
            "the end of the last segment",
            |disk, found| {
                let name = &found.files[found.files.len() - 1].name;
                let content = disk.content(name).unwrap();
                disk.put(name, &content[..100]);
            },
            |found| !found.is_whole() && found.lost >= 1,
        ),
        (
            "a crash while archiving",
            |disk, _| {
                disk.put("00000000000000000040.jsonl.gz.tmp", b"half");
                disk.put("00000000000000000059.jsonl.gz", b"its segment is still there");
            },
            |found| found.is_whole() && found.leftovers == 2 && found.records == 60,
        ),
    ];
    for (name, harm, says) in rows {
        let (disk, journal) = kept();
        drop(journal);
        harm(&disk, &verified(&disk));
        let found = verified(&disk);
        assert!(says(&found), "{name}: {found:?}");
    }
}

#[test]
fn what_was_not_committed_is_no_damage() {
    let (disk, journal) = kept();
    drop(journal);
    let last = verified(&disk).files.last().unwrap().name.clone();
    let mut content = disk.content(&last).unwrap();
    let end = content.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    content.resize(content.len().max(end + 50), 0);
    content[end..end + 50].fill(0x5A);
    disk.put(&last, &content);
    let found = verified(&disk);
    assert!(found.is_whole() && found.uncommitted_bytes == 50, "{found:?}");
}

#[test]
fn records_stored_twice_are_counted() {
    let disk = FaultStorage::new();
    let (journal, _) = open(&disk, JournalOptions { recent_ids: 0, ..options() }).unwrap();
    append_all(&journal, 0..3);
    append_all(&journal, 1..3);
    let found = verified(&disk);
    assert!(found.is_whole());
    assert_eq!((found.records, found.duplicates, found.undecodable), (5, 2, 0));
}
