//! One log record: a version octet, then the decided changes in postcard.

use ledger::Change;
use postcard::ser_flavors::Flavor;

use super::CoreError;

/// Format of an entry. Changes are numbered by place, so the enum only ever grows at its end, and what reads the newest
/// format reads the older ones: 2 has balances beside the main one, limits, and details of answers.
const VERSION: u8 = 2;
const OLDEST: u8 = 1;

/// Writes an entry behind what `bytes` has.
pub(super) fn append(mut bytes: Vec<u8>, changes: &[Change]) -> Vec<u8> {
    bytes.push(VERSION);
    let written = postcard::serialize_with_flavor(changes, Octets(bytes));
    written.expect("invariant: changes are plain data")
}

/// Octets behind one another, slices as slices.
struct Octets(Vec<u8>);

impl Flavor for Octets {
    type Output = Vec<u8>;

    fn try_push(&mut self, octet: u8) -> postcard::Result<()> {
        self.0.push(octet);
        Ok(())
    }

    fn try_extend(&mut self, octets: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(octets);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<Vec<u8>> {
        Ok(self.0)
    }
}

pub(crate) fn decode(position: u64, payload: &[u8]) -> Result<Vec<Change>, CoreError> {
    let fault = |reason: String| CoreError::Entry { position, reason };
    match payload.split_first() {
        Some((&(OLDEST..=VERSION), changes)) => postcard::from_bytes(changes).map_err(|error| fault(error.to_string())),
        Some((version, _)) => Err(fault(format!("it has format {version}, this release reads {OLDEST} to {VERSION}"))),
        None => Err(fault("it is empty".to_owned())),
    }
}
