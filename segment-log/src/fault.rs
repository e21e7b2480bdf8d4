//! A disk in memory that fails on purpose; deterministic. For the tests of every crate that keeps something in a log.
//!
//! [`FaultStorage`] follows what POSIX promises and not a bit more: a write is visible at once and durable after fsync of its
//! file; a new, renamed or removed name is durable after fsync of the directory. [`FaultStorage::crash`] then decides which of the
//! unsynced changes survive. Ways to make trouble, which combine:
//!
//! * [`FaultStorage::crash_at`]: the process dies at a crash point. Every changing call has one before and one after it, numbered
//!   and named in [`FaultStorage::trace`]; run once to count them, then once for each.
//! * [`FaultStorage::fail_nth`]: the n-th call of a kind fails. A failed fsync loses the unsynced changes of that file although
//!   they stay visible, as Linux does: an fsync that is repeated succeeds and saves nothing.
//! * [`FaultStorage::fail_all`] and [`FaultStorage::set_read_only`]: a disk that stays broken until [`FaultStorage::heal`].
//! * [`FaultStorage::spoil_nth_write`]: a write that succeeds and is wrong.
//! * [`FaultStorage::set_capacity`]: the disk is full beyond so many octets; a write that does not fit is done in part.
//!
//! ```
//! use std::sync::Arc;
//! use segment_log::fault::{Crash, FaultStorage};
//! use segment_log::{Log, Options};
//!
//! let disk = FaultStorage::new();
//! let (mut log, _) = Log::open(Arc::new(disk.clone()), Options::default())?;
//! log.append(b"kept")?;
//! log.commit()?;
//! log.append(b"never committed")?;
//! disk.crash(Crash::DropUnsynced);
//! drop(log);
//! let (log, recovered) = Log::open(Arc::new(disk), Options::default())?;
//! assert_eq!(recovered.next.index(), 1);
//! # drop(log);
//! # Ok::<(), segment_log::Error>(())
//! ```

mod disk;

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use crate::storage::{LockGuard, Operation, Storage, StorageFile};
use disk::{Disk, Fault, Inode};

/// Which unsynced changes survive a crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crash {
    /// All stay visible, still unsynced: the process was killed, the machine and its page cache live.
    KeepUnsynced,
    /// None: the machine lost power at the worst time.
    DropUnsynced,
    /// The first so many octets written since, in order; the write they end in is torn there. Changes of names and lengths survive
    /// when they came before that point.
    Torn {
        /// Octets kept.
        bytes: usize,
    },
    /// Each sector of each unsynced write survives or not by the seed, in no order; names survive up to some change.
    Scattered {
        /// Determines everything.
        seed: u64,
        /// Sector size in octets, at least 1; disks have 512 or 4096, small ones find faults with small records.
        sector_bytes: usize,
    },
}

/// What an injected failure reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// EIO.
    Io,
    /// ENOSPC; a write is done in half first.
    NoSpace,
}

/// A point at which [`FaultStorage::crash_at`] can stop the process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CrashPoint {
    /// False: before the operation; true: right after it.
    pub after: bool,
    /// The operation.
    pub operation: Operation,
    /// The file's name; empty for the directory.
    pub file: String,
}

impl fmt::Display for CrashPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let when = if self.after { "after" } else { "before" };
        write!(f, "{when} {} {}", self.operation, self.file)
    }
}

/// The disk; clones share it.
#[derive(Clone, Default)]
pub struct FaultStorage {
    disk: Arc<Mutex<Disk>>,
}

impl fmt::Debug for FaultStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultStorage").field("files", &self.disk().names.keys()).finish_non_exhaustive()
    }
}

impl FaultStorage {
    /// An empty disk without faults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A second disk with the same files, durable and not, and the same faults to come: what happens to one is not seen on the
    /// other. For looking at what a crash now would leave, without one.
    #[must_use]
    pub fn fork(&self) -> Self {
        Self { disk: Arc::new(Mutex::new(self.disk().clone())) }
    }

    /// Crashes and restarts the process or the machine: open files and locks are gone (their use fails from now on), faults planned are
    /// forgotten, and of what was not synced only what `crash` says is left.
    pub fn crash(&self, crash: Crash) {
        self.disk().crash(crash);
    }

    /// Stops the process at the crash point of that number (see [`FaultStorage::trace`]; 0 is the next one): that call and every
    /// later one fails and changes nothing until [`FaultStorage::crash`].
    pub fn crash_at(&self, point: usize) {
        let mut disk = self.disk();
        disk.crash_at = Some(point);
        disk.trace.clear();
    }

    /// The crash points passed since the start, the last crash, or the last [`FaultStorage::crash_at`].
    #[must_use]
    pub fn trace(&self) -> Vec<CrashPoint> {
        self.disk().trace.clone()
    }

    /// Lets the `nth` call of `operation` from now fail, once; 1 is the next.
    pub fn fail_nth(&self, operation: Operation, nth: usize, failure: Failure) {
        self.disk().faults.push(Fault { operation, remaining: nth, failure });
    }

    /// Lets every call of `operation` fail from now on, until [`FaultStorage::heal`] or a crash.
    pub fn fail_all(&self, operation: Operation, failure: Failure) {
        self.disk().failing.insert(operation, failure);
    }

    /// Refuses every change (EROFS), as a file system that went read-only after an error; until [`FaultStorage::heal`] or a crash.
    pub fn set_read_only(&self) {
        self.disk().read_only = true;
    }

    /// Lets the `nth` write from now, 1 is the next, put one wrong octet into the middle of what it writes and say nothing: a disk
    /// that lies.
    pub fn spoil_nth_write(&self, nth: usize) {
        self.disk().spoiled_write = nth;
    }

    /// Ends all planned and lasting failures. What was lost stays lost.
    pub fn heal(&self) {
        let mut disk = self.disk();
        disk.faults.clear();
        disk.failing.clear();
        disk.read_only = false;
        disk.spoiled_write = 0;
    }

    /// What files written from now on say of their time.
    pub fn set_time(&self, since_1970: Duration) {
        self.disk().clock = since_1970;
    }

    /// Limits the disk to so many octets in all files; `None` lifts the limit.
    pub fn set_capacity(&self, bytes: Option<usize>) {
        self.disk().capacity = bytes;
    }

    /// Octets in all files as they are seen: what [`FaultStorage::set_capacity`] leaves no room beyond.
    #[must_use]
    pub fn used(&self) -> usize {
        let disk = self.disk();
        disk.names.values().filter_map(|id| disk.inodes.get(id)).map(|inode| inode.current.len()).sum()
    }

    /// How often `operation` was called since the start or the last crash.
    #[must_use]
    pub fn count(&self, operation: Operation) -> usize {
        self.disk().trace.iter().filter(|point| point.operation == operation && point.after).count()
    }

    /// The visible content of a file.
    #[must_use]
    pub fn content(&self, name: &str) -> Option<Vec<u8>> {
        let disk = self.disk();
        disk.names.get(name).and_then(|id| disk.inodes.get(id)).map(|inode| inode.current.clone())
    }

    /// Puts a file there, durably.
    pub fn put(&self, name: &str, content: &[u8]) {
        self.disk().put(name, content);
    }

    /// Flips the bits of `mask` in one octet of a file, durably; false when the file has no such octet.
    #[must_use]
    pub fn flip(&self, name: &str, offset: usize, mask: u8) -> bool {
        let mut disk = self.disk();
        let Some(inode) = disk.inode_of(name) else { return false };
        let Inode { durable, current, .. } = inode;
        match (current.get_mut(offset), durable.get_mut(offset)) {
            (Some(seen), kept) => {
                *seen ^= mask;
                if let Some(kept) = kept {
                    *kept ^= mask;
                }
                true
            }
            _ => false,
        }
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        // Nothing panics while it holds this lock; a test that does elsewhere still gets to its report.
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn file(&self, disk: &Disk, id: u64, name: &str) -> Box<dyn StorageFile> {
        Box::new(FaultFile { storage: self.clone(), id, boot: disk.boot, name: name.to_owned() })
    }
}

impl Storage for FaultStorage {
    fn directory(&self) -> &Path {
        Path::new("fault-disk")
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let disk = self.disk();
        disk.alive()?;
        Ok(disk.names.keys().cloned().collect())
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn StorageFile>> {
        let mut disk = self.disk();
        let id = disk.changing(Operation::Create, name, |disk| Ok(disk.create(name)))?;
        Ok(self.file(&disk, id, name))
    }

    fn open(&self, name: &str, _writable: bool) -> io::Result<Box<dyn StorageFile>> {
        let mut disk = self.disk();
        disk.alive()?;
        disk.injected(Operation::Open)?;
        let id = disk.names.get(name).copied().ok_or(io::ErrorKind::NotFound)?;
        Ok(self.file(&disk, id, name))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk().changing(Operation::Rename, to, |disk| disk.rename(from, to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.disk().changing(Operation::Remove, name, |disk| disk.remove(name))
    }

    fn sync_dir(&self) -> io::Result<()> {
        self.disk().changing(Operation::SyncDir, "", |disk| {
            disk.sync_names();
            Ok(())
        })
    }

    fn modified(&self, name: &str) -> io::Result<SystemTime> {
        let disk = self.disk();
        disk.alive()?;
        let inode = disk.names.get(name).and_then(|id| disk.inodes.get(id)).ok_or(io::ErrorKind::NotFound)?;
        Ok(SystemTime::UNIX_EPOCH + inode.modified)
    }

    fn lock(&self, name: &str) -> io::Result<Option<LockGuard>> {
        let mut disk = self.disk();
        disk.alive()?;
        disk.writable()?;
        if !disk.locks.insert(name.to_owned()) {
            return Ok(None);
        }
        Ok(Some(Box::new(FaultLock { storage: self.clone(), boot: disk.boot, name: name.to_owned() })))
    }

    fn salt(&self) -> u64 {
        // Always the same: every run of a test writes the same octets.
        0x5EED_0F5E_ED0F_5EED
    }
}

struct FaultLock {
    storage: FaultStorage,
    boot: u64,
    name: String,
}

impl Drop for FaultLock {
    fn drop(&mut self) {
        let mut disk = self.storage.disk();
        if disk.boot == self.boot {
            disk.locks.remove(&self.name);
        }
    }
}

struct FaultFile {
    storage: FaultStorage,
    id: u64,
    boot: u64,
    name: String,
}

impl fmt::Debug for FaultFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultFile").field("name", &self.name).field("boot", &self.boot).finish_non_exhaustive()
    }
}

impl FaultFile {
    /// The disk, unless it crashed since this file was opened.
    fn disk(&self) -> io::Result<MutexGuard<'_, Disk>> {
        let disk = self.storage.disk();
        disk.alive()?;
        if disk.boot == self.boot { Ok(disk) } else { Err(disk::crashed()) }
    }

    /// Runs `change` under the file's name of now: it may have been renamed since it was opened.
    fn change<T>(&self, change: impl FnOnce(&mut Disk, &str) -> io::Result<T>) -> io::Result<T> {
        let mut disk = self.disk()?;
        let name = disk
            .names
            .iter()
            .find(|(_, id)| **id == self.id)
            .map_or_else(|| self.name.clone(), |(name, _)| name.clone());
        change(&mut disk, &name)
    }
}

impl StorageFile for FaultFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut disk = self.disk()?;
        disk.injected(Operation::Read)?;
        Ok(disk.read(self.id, buffer, offset))
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.change(|disk, name| disk.write(self.id, name, bytes, offset))
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.disk()?.length(self.id))
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.change(|disk, name| disk.changing(Operation::SetLen, name, |disk| disk.set_len(self.id, length)))
    }

    fn allocate(&self, length: u64) -> io::Result<()> {
        self.change(|disk, name| {
            disk.changing(Operation::Allocate, name, |disk| {
                let longer = length > disk.length(self.id);
                if longer { disk.set_len(self.id, length) } else { Ok(()) }
            })
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        self.change(|disk, name| disk.sync(self.id, name))
    }

    fn sync_all(&self) -> io::Result<()> {
        self.change(|disk, name| disk.sync(self.id, name))
    }
}
