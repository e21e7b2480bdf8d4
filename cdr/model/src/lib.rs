//! The call detail record, DESIGN section 6: JSON, camelCase, one object a line. What is unknown is absent, never 0 or
//! guessed. Amounts are decimal strings, times ISO 8601 UTC with milliseconds, durations decimal seconds.

mod decimal;
mod lenient;
pub mod masking;
pub mod numbering;
mod party;
mod record;
#[cfg(test)]
mod schema;
mod usage;
mod version;

pub use decimal::{Decimal, Degrees, Seconds};
pub use masking::{Masking, MaskingConfig, MaskingError, MaskingKey};
pub use numbering::{KnownNumbers, Parties};
pub use party::{CalledParty, CallingParty, Coordinates, Location, NumberType};
pub use record::{CallDirection, CallRecord, CallType, EventKind, Qos, RecordMetadata, RecordType, SipData};
pub use usage::{CostState, RecordCost, RecordUnits, RecordUsage};
pub use version::{SchemaVersion, SchemaVersionError};

/// Largest encoded record that a journal or a stream has to take, in bytes. Every text in it comes from a SIP header
/// or a configuration, and those are bounded well below.
pub const MAX_RECORD_BYTES: usize = 256 * 1024;

/// JSON Schema (draft 2020-12) of [`SchemaVersion::CURRENT`]: every record that this release writes is valid by it, and
/// every record of a newer minor version too.
pub const CALL_RECORD_SCHEMA: &str = include_str!("../../../docs/reference/call-record.schema.json");

impl CallRecord {
    /// The deduplication key: of two records with the same id the first durable one wins. It is made from the
    /// session, the type, and the count of that type in the session, so that a record written again after a crash
    /// gets the id it had.
    pub fn make_id(session_id: &types::SessionId, record_type: RecordType, ordinal: u32) -> Box<str> {
        format!("{session_id}/{}/{ordinal}", record_type.as_str()).into()
    }

    /// The record as one line of JSON, without the newline.
    pub fn to_json(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut json = Vec::with_capacity(USUAL_BYTES);
        serde_json::to_writer(&mut json, self)?;
        Ok(json)
    }

    /// Reads one line of JSON; unknown fields are ignored, so that older readers take newer records.
    pub fn from_json(line: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(line)
    }
}

/// Room for most records, so that writing one moves nothing.
const USUAL_BYTES: usize = 2_048;

#[cfg(test)]
mod tests;
