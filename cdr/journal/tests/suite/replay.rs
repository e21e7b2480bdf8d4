//! A sink is set back and gets records again.

use std::sync::Arc;

use cdr_journal::{Archive, JournalOptions, JournalReader, Position, ReplayFrom, ShipError, replay_on};
use segment_log::Storage;
use segment_log::fault::FaultStorage;
use types::UtcMs;

use crate::support::{append_all, lines, open, options, records, ship, ship_all};

fn keeping() -> JournalOptions {
    JournalOptions { sinks: vec!["lines".to_owned()], recent_ids: 10, archive: Archive::Gzip, ..options() }
}

#[test]
fn a_sink_set_back_gets_the_records_again_from_archives_and_segments() {
    for (from, first) in [
        (ReplayFrom::Position(Position::new(3)), 3),
        (ReplayFrom::Position(Position::new(39)), 39),
        (ReplayFrom::Time(UtcMs(7000)), 7),
        (ReplayFrom::Time(UtcMs(6001)), 7),
        (ReplayFrom::Time(UtcMs(0)), 0),
        (ReplayFrom::Time(UtcMs(40_000)), 40),
    ] {
        let disk = FaultStorage::new();
        let storage: Arc<dyn Storage> = Arc::new(disk.clone());
        let (journal, _) = open(&disk, keeping()).unwrap();
        append_all(&journal, 0..40);
        ship_all(&mut ship(&journal, &disk).unwrap());
        assert!(journal.keep_up(UtcMs(0)).unwrap().archived >= 2);
        let in_use = replay_on(&storage, "lines", from, true);
        assert!(matches!(in_use, Err(ShipError::JournalInUse { .. })), "{in_use:?}");
        drop(journal);
        for apply in [false, false, true] {
            let planned = replay_on(&storage, "lines", from, apply).unwrap();
            assert_eq!((planned.checkpoint.index(), planned.from.index(), planned.lost), (40, first, 0), "{from:?}");
            assert_eq!(planned.records, 40 - first);
        }
        let again = replay_on(&storage, "lines", ReplayFrom::Position(Position::new(first)), false).unwrap();
        assert_eq!((again.checkpoint.index(), again.records), (first, 0));
        let mut reader = JournalReader::on(Arc::clone(&storage), again.checkpoint);
        let next = reader.read_next().unwrap().map(|record| record.position.index());
        assert_eq!(next, (first < 40).then_some(first));
    }
}

#[test]
fn the_sink_goes_on_from_there() {
    let disk = FaultStorage::new();
    let storage: Arc<dyn Storage> = Arc::new(disk.clone());
    let (journal, _) = open(&disk, keeping()).unwrap();
    append_all(&journal, 0..6);
    ship_all(&mut ship(&journal, &disk).unwrap());
    drop(journal);
    replay_on(&storage, "lines", ReplayFrom::Position(Position::new(4)), true).unwrap();
    let (journal, _) = open(&disk, keeping()).unwrap();
    append_all(&journal, 6..7);
    assert_eq!(ship_all(&mut ship(&journal, &disk).unwrap()), 3);
    let expected = [records(0..6), records(4..7)].concat();
    assert_eq!(lines(&disk), expected);
}

#[test]
fn what_makes_no_sense_is_refused_and_changes_nothing() {
    let disk = FaultStorage::new();
    let storage: Arc<dyn Storage> = Arc::new(disk.clone());
    let (journal, _) = open(&disk, keeping()).unwrap();
    append_all(&journal, 0..3);
    let mut shipping = ship(&journal, &disk).unwrap();
    ship_all(&mut shipping);
    drop(journal);
    let from = ReplayFrom::Position(Position::new(1));
    assert!(matches!(replay_on(&storage, "lines", from, true), Err(ShipError::InUse { .. })), "its shipper still runs");
    drop(shipping);
    assert!(matches!(replay_on(&storage, "other", from, true), Err(ShipError::NoCheckpoint { .. })));
    assert!(matches!(replay_on(&storage, "../x", from, true), Err(ShipError::Name { .. })));
    let ahead = ReplayFrom::Position(Position::new(4));
    assert!(matches!(replay_on(&storage, "lines", ahead, true), Err(ShipError::NotBack { .. })));
    assert_eq!(replay_on(&storage, "lines", from, false).unwrap().checkpoint.index(), 3);
}
