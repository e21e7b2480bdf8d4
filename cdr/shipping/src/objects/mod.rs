//! Sink `s3`: records as objects of gzip-compressed JSON lines in a store that speaks S3, each record in one object.
//!
//! Objects are cut by count, size, age and hour ([`ObjectsConfig`]) and put under
//! `PREFIX/year=YYYY/month=MM/day=DD/hour=HH/NODE-ID-FIRST-LAST.jsonl.gz`: partitions as Athena, Spark and DuckDB know them, and the
//! positions of the first and last record in the journal.
//!
//! * **The hour** is that of the first record, by the latest time it tells of itself (`endTime`, `answerTime`, `startTime`; UTC). A
//!   record of a later hour begins a new object; one of an earlier hour that comes late stays where it comes. After an outage records
//!   are therefore found under the hours they are of, not under the hour of the repair.
//! * **A retry is harmless**: what goes into an object and how it is called is in the checkpoint before the first attempt, and an
//!   object is put only if there is none of its name. After a lost answer or a crash the same lines go to the same name again.
//! * **Somebody else's object** of the same name (a copied data directory, say) is recognised by what is in it, left alone, and ours
//!   gets a name of its own.
//!
//! A pure cutter decides where an object ends; [`ObjectsSink`] puts it. Called by the shipper of `cdr-journal`.

mod config;
mod cut;
mod error;
mod plan;
mod sink;
mod store;

#[cfg(test)]
mod tests;

pub use config::{MOST_OBJECT_BYTES, ObjectsConfig};
pub use error::ObjectsError;
pub use sink::ObjectsSink;
