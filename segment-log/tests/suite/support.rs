//! What the tests share: opening on the failing disk, and reading everything back.

use std::sync::Arc;

use segment_log::fault::FaultStorage;
use segment_log::{CorruptPolicy, Error, Log, Options, Position, Recovered, Skipped, Storage};

/// The first segment of a log that begins at 0.
pub const FIRST: &str = "00000000000000000000.seg";

/// Payloads with their positions.
pub type Numbered = Vec<(u64, Vec<u8>)>;

pub fn small(corrupt: CorruptPolicy) -> Options {
    Options { segment_bytes: 4096, corrupt, ..Options::default() }
}

pub fn open(disk: &FaultStorage, options: Options) -> Result<(Log, Recovered), Error> {
    Log::open(Arc::new(disk.clone()), options)
}

pub fn reopen(disk: &FaultStorage) -> (Log, Recovered) {
    open(disk, small(CorruptPolicy::Refuse)).unwrap()
}

pub fn append_all(log: &mut Log, payloads: &[Vec<u8>]) {
    for payload in payloads {
        log.append(payload).unwrap();
    }
    log.commit().unwrap();
}

/// All records from `from`, with what was skipped.
pub fn read_from(log: &Log, from: Position) -> Result<(Numbered, Skipped), Error> {
    let mut records = log.records(from);
    let mut read = Vec::new();
    while let Some(record) = records.read_next()? {
        read.push((record.position.index(), record.payload.to_vec()));
    }
    Ok((read, records.skipped()))
}

pub fn payloads(log: &Log) -> Vec<Vec<u8>> {
    let (records, _) = read_from(log, log.first()).unwrap();
    for (expected, (position, _)) in (log.first().index()..).zip(&records) {
        assert_eq!(*position, expected, "positions are contiguous");
    }
    records.into_iter().map(|(_, payload)| payload).collect()
}

/// A payload that names its number, `bytes` long.
pub fn payload(number: usize, bytes: usize) -> Vec<u8> {
    format!("{number:>8}").into_bytes().into_iter().cycle().take(bytes).collect()
}

pub fn segments(storage: &dyn Storage) -> Vec<String> {
    let mut names: Vec<String> = storage.list().unwrap().into_iter().filter(|name| name.ends_with(".seg")).collect();
    names.sort();
    names
}
