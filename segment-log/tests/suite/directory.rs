//! The same on a real file system.

use std::sync::Arc;

use segment_log::{CorruptPolicy, DirStorage, Error, Log, Position, Reader, Storage};

use crate::support::{append_all, payload, payloads, segments, small};

#[test]
fn a_log_on_disk_survives_reopening_rotation_and_truncation() {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("made/on/demand");
    let all: Vec<Vec<u8>> = (0..60).map(|n| payload(n, 400)).collect();
    for (round, chunk) in all.chunks(20).enumerate() {
        let (mut log, recovered) = Log::open_dir(&directory, small(CorruptPolicy::Refuse)).unwrap();
        assert_eq!((recovered.next.index(), recovered.torn_tail), (round as u64 * 20, None));
        chunk.iter().for_each(|one| append_all(&mut log, std::slice::from_ref(one)));
    }
    let (mut log, _) = Log::open_dir(&directory, small(CorruptPolicy::Refuse)).unwrap();
    assert_eq!(payloads(&log), all);
    let before = segments(log.storage().as_ref()).len();
    let first = log.truncate_front(Position::new(30)).unwrap();
    assert!(first.index() > 0 && first.index() <= 30 && segments(log.storage().as_ref()).len() < before);
    assert_eq!(payloads(&log), all[usize::try_from(first.index()).unwrap()..]);
}

#[test]
fn segments_are_reserved_and_cut_to_size_when_full() {
    let directory = tempfile::tempdir().unwrap();
    let (mut log, _) = Log::open_dir(directory.path(), small(CorruptPolicy::Refuse)).unwrap();
    (0..8).for_each(|n| append_all(&mut log, &[payload(n, 500)]));
    let length = |name: &str| std::fs::metadata(directory.path().join(name)).unwrap().len();
    let names = segments(log.storage().as_ref());
    assert_eq!(length(&names[0]), 40 + 7 * 516);
    assert!([4096, 40 + 516].contains(&length(&names[1])), "reserved, where the file system can");
}

#[test]
fn two_writers_of_one_directory_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let (log, _) = Log::open_dir(directory.path(), small(CorruptPolicy::Refuse)).unwrap();
    match Log::open_dir(directory.path(), small(CorruptPolicy::Refuse)) {
        Err(error @ Error::Locked { .. }) => {
            assert!(error.to_string().contains(&directory.path().display().to_string()))
        }
        other => panic!("{other:?}"),
    }
    drop(log);
    Log::open_dir(directory.path(), small(CorruptPolicy::Refuse)).unwrap();
}

#[test]
fn a_torn_file_on_disk_is_cut() {
    let directory = tempfile::tempdir().unwrap();
    let (mut log, _) = Log::open_dir(directory.path(), small(CorruptPolicy::Refuse)).unwrap();
    append_all(&mut log, &[payload(0, 100)]);
    append_all(&mut log, &[payload(1, 100)]);
    drop(log);
    // As after a power cut: the second record half there, the mark lost.
    std::fs::remove_file(directory.path().join("MARK")).unwrap();
    let segment = directory.path().join("00000000000000000000.seg");
    std::fs::OpenOptions::new().write(true).open(segment).unwrap().set_len(40 + 116 + 50).unwrap();
    let (log, recovered) = Log::open_dir(directory.path(), small(CorruptPolicy::Refuse)).unwrap();
    assert_eq!(recovered.torn_tail.unwrap().offset, 156);
    assert_eq!(payloads(&log), [payload(0, 100)]);
}

#[test]
fn a_new_log_has_a_salt_of_its_own() {
    let storage = DirStorage::at("/nonexistent");
    assert_ne!(storage.salt(), storage.salt());
}

#[test]
fn a_directory_that_does_not_exist_is_an_empty_log_to_a_reader() {
    let parent = tempfile::tempdir().unwrap();
    let storage = Arc::new(DirStorage::at(parent.path().join("missing")));
    let mut reader = Reader::on(storage, Position::ZERO, CorruptPolicy::Refuse);
    assert!(reader.read_next().unwrap().is_none());
}
