//! One log record: a version octet, then the decided changes in postcard.

use ledger::{Change, pack};

use super::CoreError;

/// Format of an entry. Changes are numbered by place, so the enum only ever grows at its end, and what reads the newest
/// format reads the older ones: 2 has balances beside the main one, limits, and details of answers.
const VERSION: u8 = 2;
const OLDEST: u8 = 1;

/// Writes an entry behind what `octets` has.
pub(super) fn append(octets: &mut Vec<u8>, changes: &[Change]) {
    octets.push(VERSION);
    pack(changes, octets).expect("invariant: changes are plain data");
}

/// What [`append`] would write.
pub(super) fn octets_of(changes: &[Change]) -> usize {
    let mut octets = Vec::new();
    append(&mut octets, changes);
    octets.len()
}

pub(crate) fn decode(position: u64, payload: &[u8]) -> Result<Vec<Change>, CoreError> {
    let fault = |reason: String| CoreError::Entry { position, reason };
    match payload.split_first() {
        Some((&(OLDEST..=VERSION), changes)) => postcard::from_bytes(changes).map_err(|error| fault(error.to_string())),
        Some((version, _)) => Err(fault(format!("it has format {version}, this release reads {OLDEST} to {VERSION}"))),
        None => Err(fault("it is empty".to_owned())),
    }
}
