//! The records' durable spool (DESIGN section 6), what ships it, and how it is read.
//!
//! * [`Journal`]: the write side. A record counts as taken when it is on disk; of two records with one `recordId` the first
//!   durable one wins. Written by the agents, opened by the binary.
//! * [`Shipper`]: reads the journal from its own checkpoint and offers a [`Sink`] a window of what is not delivered, as its
//!   [`View`] shows it; [`JsonLinesSink`] is the one for
//!   a laptop: one JSON object a line, each record exactly once.
//! * [`tail`] and [`search`]: the read side for the command line, without the writer's lock; [`verify`]: is everything there;
//!   [`replay`]: a sink is set back and gets records again.
//!
//! | what happens | what the journal does |
//! |---|---|
//! | queue full | [`JournalError::QueueFull`]; nothing is taken, the caller keeps the record and comes again |
//! | disk full | [`JournalError::NoSpace`] to each record of the batch, none of them is or will be on disk; no new calls until space is back |
//! | free space below the reserve | records are still taken (running calls, emergency calls), but no new calls |
//! | write or fsync failed | [`JournalError::Stopped`]; no new calls until it was recovered from the disk, in the same process ([`OnDiskError`]) |
//! | what was acknowledged is not there when recovering | [`JournalError::Missing`]: its disk is not mounted; stopped until everything is back |
//! | torn tail at opening | cut: nobody was told that it is safe |
//! | damage in the middle | skipped and counted, the rest is kept |
//!
//! Refusing new calls is policy, not force: the caller asks [`Journal::accepts_calls`] for chargeable calls only, and never for
//! emergency calls.

mod archive;
mod checkpoint;
mod counters;
mod crash_points;
mod error;
mod filters;
mod journal;
mod json_lines;
mod members;
mod opening;
mod options;
mod place;
mod read;
mod reader;
mod recent;
mod replay;
mod retention;
mod shipper;
mod shipping;
mod sink;
mod space;
mod trouble;
mod upkeep;
mod verify;
mod view;
mod wake;
mod window;

pub use counters::{ShipperCounters, SinkCounters};
pub use crash_points::{CRASH_POINTS, CrashPoint};
pub use error::{JournalError, ShipError, SinkError};
pub use filters::Filters;
pub use journal::{Journal, JournalCounters, Recovered};
pub use json_lines::{JsonLinesSink, Rotation, WallClock};
pub use options::{Archive, JournalOptions, OnDiskError, ShipperOptions};
pub use place::{SinkPlace, places, places_on};
pub use read::{JournalRecord, JournalRecords, search, search_on, tail, tail_on};
pub use reader::JournalReader;
pub use replay::{Replay, ReplayFrom, replay, replay_on};
pub use segment_log::{Operation, Position, Storage, StorageFile};
pub use shipper::{Shipped, Shipper};
pub use shipping::{JournalSource, Shipping, Step};
pub use sink::{Delivered, JournalEntry, Sink};
pub use space::FreeSpace;
pub use trouble::{Standing, Trouble};
pub use upkeep::Upkeep;
pub use verify::{FileReport, Verified, verify, verify_on};
pub use view::View;
