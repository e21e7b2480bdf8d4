//! The file operations a log needs, as a trait, so that tests can stand between the log and the disk.

use std::any::Any;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// One kind of file operation: named in errors and in the crash points of [`crate::fault`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Operation {
    /// Listing the directory.
    List,
    /// Creating a file.
    Create,
    /// Opening a file.
    Open,
    /// Reading a file or its length.
    Read,
    /// Writing.
    Write,
    /// Reserving space.
    Allocate,
    /// Setting the length.
    SetLen,
    /// fdatasync or fsync of a file.
    Sync,
    /// fsync of the directory.
    SyncDir,
    /// Renaming.
    Rename,
    /// Removing.
    Remove,
    /// Locking.
    Lock,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::List => "list",
            Self::Create => "create",
            Self::Open => "open",
            Self::Read => "read",
            Self::Write => "write",
            Self::Allocate => "allocate",
            Self::SetLen => "set length",
            Self::Sync => "fsync",
            Self::SyncDir => "fsync of the directory",
            Self::Rename => "rename",
            Self::Remove => "remove",
            Self::Lock => "lock",
        })
    }
}

/// Holds a lock until dropped.
pub type LockGuard = Box<dyn Any + Send>;

/// One directory of files. Names are plain file names within it.
pub trait Storage: Send + Sync + fmt::Debug {
    /// The directory, for error texts.
    fn directory(&self) -> &Path;

    /// Names of all files.
    ///
    /// # Errors
    /// When the directory cannot be read.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Creates an empty file for reading and writing; one of that name is emptied.
    ///
    /// # Errors
    /// When it cannot be created.
    fn create(&self, name: &str) -> io::Result<Box<dyn StorageFile>>;

    /// Opens an existing file; for reading only unless `writable`.
    ///
    /// # Errors
    /// `NotFound` when there is none, or what the system says.
    fn open(&self, name: &str, writable: bool) -> io::Result<Box<dyn StorageFile>>;

    /// Renames, replacing a file that has the new name.
    ///
    /// # Errors
    /// What the system says.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// What the system says.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes creations, renames and removals durable.
    ///
    /// # Errors
    /// What the system says; the caller never retries.
    fn sync_dir(&self) -> io::Result<()>;

    /// When the file was last written, by the wall clock.
    ///
    /// # Errors
    /// `NotFound` when there is none, or what the system says.
    fn modified(&self, name: &str) -> io::Result<SystemTime>;

    /// Takes the exclusive lock on the file of that name, creating it; `None` when somebody holds it.
    ///
    /// # Errors
    /// What the system says.
    fn lock(&self, name: &str) -> io::Result<Option<LockGuard>>;

    /// A number that nobody outside can foretell; each new log takes one, so that no payload can imitate a frame.
    fn salt(&self) -> u64;

    /// The full path of a file, for error texts.
    fn path(&self, name: &str) -> PathBuf {
        self.directory().join(name)
    }
}

/// One open file.
pub trait StorageFile: Send + fmt::Debug {
    /// Reads into `buffer` from `offset`; 0 at the end of the file. May read less than asked.
    ///
    /// # Errors
    /// What the system says.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes all of `bytes` at `offset`. On an error any part of it may have been written.
    ///
    /// # Errors
    /// What the system says.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// The length in octets.
    ///
    /// # Errors
    /// What the system says.
    fn length(&self) -> io::Result<u64>;

    /// Cuts or extends (with zeros) to `length` octets.
    ///
    /// # Errors
    /// What the system says.
    fn set_len(&self, length: u64) -> io::Result<()>;

    /// Reserves space up to `length` octets, which then read as zeros and count as part of the file. Where the file system
    /// cannot, nothing happens and that is no error.
    ///
    /// # Errors
    /// When there is no space.
    fn allocate(&self, length: u64) -> io::Result<()>;

    /// Makes the content durable (fdatasync).
    ///
    /// # Errors
    /// What the system says; the caller never retries.
    fn sync_data(&self) -> io::Result<()>;

    /// Makes content and length durable (fsync); used after cutting.
    ///
    /// # Errors
    /// What the system says; the caller never retries.
    fn sync_all(&self) -> io::Result<()>;
}

/// Whether an error means that the disk or the quota is full.
pub(crate) fn is_no_space(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
