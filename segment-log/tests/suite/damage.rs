//! Torn tails at every octet, flipped bits at every octet, damage before and behind acknowledged records.

use segment_log::fault::FaultStorage;
use segment_log::{CorruptPolicy, Error, ErrorClass, Position, Reason, Verify};

use crate::support::{FIRST, append_all, open, payload, payloads, read_from, reopen, small};

const LAST: &str = "00000000000000000007.seg";

/// Two segments: records 0 to 6 in the first, 7 to 10 in the last, where 8 to 10 are one batch.
fn two_segments() -> FaultStorage {
    let disk = FaultStorage::new();
    let (mut log, _) = reopen(&disk);
    (0..8).for_each(|n| append_all(&mut log, &[payload(n, 500)]));
    append_all(&mut log, &(8..11).map(|n| payload(n, 50)).collect::<Vec<_>>());
    drop(log);
    disk
}

fn without_mark(disk: &FaultStorage) {
    segment_log::Storage::remove(disk, "MARK").unwrap();
}

#[test]
fn a_file_cut_at_every_octet_loses_only_what_is_behind() {
    let disk = FaultStorage::new();
    let (mut log, _) = reopen(&disk);
    let all: Vec<Vec<u8>> = (0..6).map(|n| payload(n, 10 + n)).collect();
    append_all(&mut log, &all);
    drop(log);
    let content = disk.content(FIRST).unwrap();
    let ends: Vec<usize> = all
        .iter()
        .scan(40, |end, one| {
            *end += 16 + one.len();
            Some(*end)
        })
        .collect();
    for cut in 40..=*ends.last().unwrap() {
        let whole = ends.iter().filter(|end| **end <= cut).count();
        // The rest is gone, or reads as zeros.
        for fill in [cut, content.len()] {
            let disk = FaultStorage::new();
            let mut torn = content[..cut].to_vec();
            torn.resize(fill, 0);
            disk.put(FIRST, &torn);
            let (mut log, recovered) = reopen(&disk);
            assert_eq!(payloads(&log), all[..whole], "cut at {cut}");
            let boundary = cut == 40 || ends.contains(&cut);
            assert_eq!(recovered.torn_tail.is_none(), boundary, "cut at {cut}");
            append_all(&mut log, &[b"after".to_vec()]);
            drop(log);
            let (log, recovered) = reopen(&disk);
            assert_eq!((payloads(&log).len(), recovered.torn_tail), (whole + 1, None));
        }
    }
}

#[test]
fn a_flipped_octet_anywhere_never_gives_a_wrong_record() {
    let originals: Vec<Vec<u8>> = (0..8).map(|n| payload(n, 500)).chain((8..11).map(|n| payload(n, 50))).collect();
    let mut lost_at_most = 0;
    for name in [FIRST, LAST] {
        let used = if name == FIRST { 40 + 7 * 516 } else { 40 + 516 + 3 * 66 };
        for offset in 0..used {
            for mask in [0x01, 0x80] {
                let disk = two_segments();
                assert!(disk.flip(name, offset, mask));
                let refused = open(&disk, small(CorruptPolicy::Refuse)).unwrap_err();
                match refused {
                    Error::Corrupt { .. } => {}
                    Error::NewerFormat { .. } if offset == 0 => continue,
                    other => panic!("{name} {offset}: {other}"),
                }
                let (log, recovered) = match open(&disk, small(CorruptPolicy::Skip)) {
                    Err(Error::NewerFormat { .. }) if offset == 0 => continue,
                    other => other.unwrap(),
                };
                let (records, skipped) = read_from(&log, Position::ZERO).unwrap();
                for (position, payload) in &records {
                    assert_eq!(payload, &originals[usize::try_from(*position).unwrap()], "{name} {offset}");
                }
                let lost = 11 - records.len() as u64;
                assert_eq!((skipped.records, recovered.skipped.records), (lost, lost), "{name} {offset}");
                assert_eq!(log.next().index(), 11, "no position is used twice");
                lost_at_most = lost_at_most.max(lost);
                assert_eq!(
                    lost,
                    u64::from(offset >= 40),
                    "a damaged header loses nothing, a damaged record itself: {name} {offset}"
                );
            }
        }
    }
    assert_eq!(lost_at_most, 1);
}

#[test]
fn refusal_names_file_offset_position_and_remedy() {
    let disk = two_segments();
    assert!(disk.flip(FIRST, 40 + 2 * 516 + 100, 1));
    let error = open(&disk, small(CorruptPolicy::Refuse)).unwrap_err();
    assert_eq!(error.class(), ErrorClass::Fatal);
    let text = error.to_string();
    for part in ["fault-disk/00000000000000000000.seg", "byte 1072", "position 2", "restore the file from a backup"] {
        assert!(text.contains(part), "{text}");
    }
    assert!(error.remedy().is_some());
}

#[test]
fn without_full_verification_damage_shows_when_it_is_read() {
    let disk = two_segments();
    assert!(disk.flip(FIRST, 40 + 2 * 516 + 100, 1));
    let mut options = small(CorruptPolicy::Refuse);
    options.verify = Verify::LastSegment;
    let (log, _) = open(&disk, options).unwrap();
    assert!(matches!(read_from(&log, Position::ZERO), Err(Error::Corrupt { position, .. }) if position.index() == 2));
    assert_eq!(read_from(&log, Position::new(3)).unwrap().0.len(), 8, "what lies behind it can be read");
}

#[test]
fn damage_before_a_later_batch_is_not_taken_for_a_torn_tail_even_without_the_mark() {
    let disk = two_segments();
    without_mark(&disk);
    assert!(disk.flip(LAST, 40 + 20, 1));
    let error = open(&disk, small(CorruptPolicy::Refuse)).unwrap_err();
    assert!(
        matches!(error, Error::Corrupt { reason: Reason::Frame, position, .. } if position.index() == 7),
        "{error}"
    );
}

#[test]
fn a_hole_in_the_last_batch_is_torn_without_the_mark_and_damage_with_it() {
    let disk = two_segments();
    assert!(disk.flip(LAST, 40 + 516 + 20, 1));
    assert!(matches!(open(&disk, small(CorruptPolicy::Refuse)), Err(Error::Corrupt { .. })));
    without_mark(&disk);
    // As if the batch had never been synced: frames 9 and 10 arrived, 8 did not. Nothing of it comes back.
    let (mut log, recovered) = reopen(&disk);
    let torn = recovered.torn_tail.unwrap();
    assert_eq!((recovered.next.index(), torn.offset, torn.bytes), (8, 40 + 516, 3 * 66));
    append_all(&mut log, &[payload(8, 50)]);
    drop(log);
    assert_eq!(reopen(&disk).1.next.index(), 9, "the old frame 9 behind the new 8 is not revived");
}

#[test]
fn a_lost_end_is_noticed_by_the_mark() {
    let disk = two_segments();
    let content = disk.content(LAST).unwrap();
    disk.put(LAST, &content[..40 + 516]);
    let error = open(&disk, small(CorruptPolicy::Refuse)).unwrap_err();
    assert!(matches!(error, Error::Corrupt { reason: Reason::Missing, position, .. } if position.index() == 8));
    let (mut log, recovered) = open(&disk, small(CorruptPolicy::Skip)).unwrap();
    assert_eq!((recovered.skipped.records, log.append(b"x").unwrap().index()), (3, 11));
    log.commit().unwrap();
    let (records, skipped) = read_from(&log, Position::ZERO).unwrap();
    assert_eq!((records.len(), skipped.records), (9, 3));
}

#[test]
fn a_missing_segment_is_refused_or_counted() {
    let disk = two_segments();
    let (mut log, _) = reopen(&disk);
    (11..30).for_each(|n| append_all(&mut log, &[payload(n, 500)]));
    drop(log);
    segment_log::Storage::remove(&disk, LAST).unwrap();
    let error = open(&disk, small(CorruptPolicy::Refuse)).unwrap_err();
    assert!(
        matches!(error, Error::Corrupt { reason: Reason::Missing, position, .. } if position.index() == 7),
        "{error}"
    );
    let (log, recovered) = open(&disk, small(CorruptPolicy::Skip)).unwrap();
    let (records, skipped) = read_from(&log, Position::ZERO).unwrap();
    assert_eq!((skipped, recovered.skipped.regions), (recovered.skipped, 1));
    assert_eq!(records.len() as u64 + skipped.records, 30);
}

#[test]
fn a_payload_that_imitates_frames_is_never_read_as_records() {
    // Someone who knows the format, but not the salt, writes a whole log of his own into a record; then that record is damaged.
    let forged = FaultStorage::new();
    let (mut log, _) = reopen(&forged);
    append_all(&mut log, &(0..20).map(|n| payload(n, 20)).collect::<Vec<_>>());
    drop(log);
    let mut inside = forged.content(FIRST).unwrap();
    inside.truncate(40 + 20 * 36);
    let disk = tempfile::tempdir().unwrap();
    let options = || small(CorruptPolicy::Skip);
    let (mut log, _) = segment_log::Log::open_dir(disk.path(), options()).unwrap();
    append_all(&mut log, &[inside[40..].to_vec()]);
    append_all(&mut log, &[payload(1, 20)]);
    drop(log);
    let path = disk.path().join(FIRST);
    let mut content = std::fs::read(&path).unwrap();
    content[41] ^= 0x40;
    std::fs::write(&path, content).unwrap();
    let (log, _) = segment_log::Log::open_dir(disk.path(), options()).unwrap();
    assert_eq!(read_from(&log, Position::ZERO).unwrap().0, [(1, payload(1, 20))]);
}

#[test]
fn a_newer_format_is_refused_under_both_policies() {
    let disk = two_segments();
    let mut content = disk.content(LAST).unwrap();
    content[0] = 2;
    disk.put(LAST, &content);
    for policy in [CorruptPolicy::Refuse, CorruptPolicy::Skip] {
        let error = open(&disk, small(policy)).unwrap_err();
        assert!(
            matches!(error, Error::NewerFormat { found: 2, supported: 1, .. }) && error.class() == ErrorClass::Refused
        );
    }
}
