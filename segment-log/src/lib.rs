//! A checksummed, append-only log in segment files, with group commit.
//!
//! Three callers use it: the charging ledger (reply only after the disk has the change), the record journal (a record counts
//! as taken when it is on disk) and the agents' call log. It moves bytes; what a record means is the caller's business.
//!
//! * [`Log`]: the core; one thread at most, which closes removed segments. `append` buffers, `commit` writes the batch and calls
//!   fdatasync once.
//! * [`GroupCommit`]: one thread that owns a `Log`, for callers without a thread of their own.
//! * [`Reader`]: follows a log from another thread or process, without its lock; it sees committed records only.
//! * [`Survey`]: every segment of a log examined one by one, for a report; like a reader it needs no lock.
//! * [`write_snapshot`] / [`read_snapshot`]: one checksummed file, replaced atomically.
//! * [`Storage`]: the files underneath: [`DirStorage`] on a real disk, [`fault::FaultStorage`] in memory, for tests of every
//!   crate that keeps something here: it loses unsynced data, tears writes, fails calls and stops at named crash points.
//!
//! # What is on disk (format version 1, all integers little endian)
//!
//! | file | content |
//! |---|---|
//! | `<first position, 20 digits>.seg` | header of 40 octets, frames, then zeros up to the reserved size |
//! | `MARK` | the first position not yet durable; written after each commit, not synced (see below) |
//! | `LOCK` | empty; locked with flock by the one process that writes |
//!
//! * Segment header: version 1, `tollseg`, base position u64, salt u64, salt again, 4 zero octets, crc32c of all before.
//! * Frame: payload length u32 (1 to [`MAX_RECORD_BYTES`]), crc32c, low half of the position u32, records of the same batch
//!   before this one u32 (both xor the salt), payload. The crc covers salt, position, length, batch index and payload, so a
//!   frame of another log, another place or an earlier life of the disk block never passes.
//!
//! The batch index is what makes recovery exact: a frame says which positions were durable before it was written. Blocks of one
//! unsynced batch may reach the disk in any order, so after a power cut a good frame can stand behind a hole. If every frame
//! behind the hole is of the hole's own batch, nobody was told it was safe and it is cut; if a later batch stands there, or
//! `MARK` lies beyond it, acknowledged data is damaged and [`CorruptPolicy`] decides. One case stays open: damage within the
//! last batch together with a `MARK` made stale by a power cut looks like a torn write, and is cut.
//!
//! # Limits
//!
//! Damage is found by crc32c, not prevented: it protects against disks, not against somebody who may write the files.
//! A failed fsync poisons the log for good: the kernel may have dropped the pages, so a second fsync that succeeds means nothing.

mod cursor;
mod directory;
mod error;
pub mod fault;
mod format;
mod freeing;
mod group;
mod log;
mod mark;
mod options;
mod position;
mod reader;
mod recovery;
mod segment;
mod snapshot;
mod storage;
mod survey;
mod watch;
mod window;

pub use directory::DirStorage;
pub use error::{Error, ErrorClass, Reason};
pub use format::{FORMAT_VERSION, FRAME_HEADER_BYTES, MAX_RECORD_BYTES, SEGMENT_HEADER_BYTES};
pub use group::{GroupCommit, GroupCommitOptions, Rejected};
pub use log::Log;
pub use options::{CorruptPolicy, Options, Verify};
pub use position::Position;
pub use reader::{Reader, Record, Records};
pub use recovery::{Recovered, Skipped, TornTail};
pub use snapshot::{read_snapshot, write_snapshot};
pub use storage::{LockGuard, Operation, Storage, StorageFile};
pub use survey::{SegmentFile, SegmentSurvey, Survey, Uncommitted, segments};
pub use watch::SyncWatch;
