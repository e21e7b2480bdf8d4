//! The records' durable spool (DESIGN section 6), what ships it, and how it is read.
//!
//! * [`Journal`]: the write side. A record counts as taken when it is on disk; of two records with one `recordId` the first
//!   durable one wins. Written by the agents, opened by the binary.
//! * [`Shipper`]: reads the journal from its own checkpoint and hands batches to a [`Sink`]; [`JsonLinesSink`] is the one for
//!   a laptop: one JSON object a line, each record exactly once.
//! * [`tail`] and [`search`]: the read side for the command line, without the writer's lock.
//!
//! | what happens | what the journal does |
//! |---|---|
//! | queue full | [`JournalError::QueueFull`]; nothing is taken, the caller keeps the record and comes again |
//! | disk full | [`JournalError::NoSpace`] to each record of the batch, none of them is or will be on disk; no new calls until space is back |
//! | free space below the reserve | records are still taken (running calls, emergency calls), but no new calls |
//! | write or fsync failed | [`JournalError::Stopped`] from then on; no new calls until the process is restarted |
//! | torn tail at opening | cut: nobody was told that it is safe |
//! | damage in the middle | skipped and counted, the rest is kept |
//!
//! Refusing new calls is policy, not force: the caller asks [`Journal::accepts_calls`] for chargeable calls only, and never for
//! emergency calls.

mod checkpoint;
mod error;
mod filters;
mod journal;
mod json_lines;
mod options;
mod read;
mod recent;
mod retention;
mod shipper;
mod shipping;
mod sink;
mod space;
mod wake;

pub use error::{JournalError, ShipError, SinkError};
pub use filters::Filters;
pub use journal::{Journal, JournalCounters, Recovered};
pub use json_lines::JsonLinesSink;
pub use options::{JournalOptions, ShipperOptions};
pub use read::{JournalRecord, JournalRecords, search, search_on, tail, tail_on};
pub use segment_log::Position;
pub use shipper::{Shipped, Shipper};
pub use shipping::{JournalSource, ShipperCounters, Shipping, Step};
pub use sink::{Delivered, JournalEntry, Sink};
pub use space::FreeSpace;
