//! Who closes removed segments, and when: their space comes back with the last close.

use std::io;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime};

use segment_log::{CorruptPolicy, DirStorage, LockGuard, Log, Position, Storage, StorageFile};

use crate::support::{append_all, payload, segments, small};

const FREEING: &str = "segment-freeing";
/// Nothing here takes as long.
const PATIENCE: Duration = Duration::from_secs(10);

/// A real directory that tells which thread has closed a file that was opened, not created; the freeing one waits at a gate first.
#[derive(Debug)]
struct Watched {
    directory: DirStorage,
    closed: Mutex<Sender<String>>,
    gate: Arc<Mutex<()>>,
}

#[derive(Debug)]
struct WatchedFile {
    file: Option<Box<dyn StorageFile>>,
    closed: Sender<String>,
    gate: Arc<Mutex<()>>,
}

impl Drop for WatchedFile {
    fn drop(&mut self) {
        let closer = thread::current().name().unwrap_or_default().to_owned();
        let gate = (closer == FREEING).then(|| self.gate.lock().unwrap_or_else(PoisonError::into_inner));
        drop(self.file.take());
        drop(gate);
        // After the test nobody listens.
        self.closed.send(closer).ok();
    }
}

impl WatchedFile {
    fn file(&self) -> &dyn StorageFile {
        self.file.as_deref().unwrap()
    }
}

impl StorageFile for WatchedFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file().read_at(buffer, offset)
    }
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.file().write_at(bytes, offset)
    }
    fn length(&self) -> io::Result<u64> {
        self.file().length()
    }
    fn set_len(&self, length: u64) -> io::Result<()> {
        self.file().set_len(length)
    }
    fn allocate(&self, length: u64) -> io::Result<()> {
        self.file().allocate(length)
    }
    fn sync_data(&self) -> io::Result<()> {
        self.file().sync_data()
    }
    fn sync_all(&self) -> io::Result<()> {
        self.file().sync_all()
    }
}

impl Storage for Watched {
    fn directory(&self) -> &Path {
        self.directory.directory()
    }
    fn list(&self) -> io::Result<Vec<String>> {
        self.directory.list()
    }
    fn create(&self, name: &str) -> io::Result<Box<dyn StorageFile>> {
        self.directory.create(name)
    }
    fn open(&self, name: &str, writable: bool) -> io::Result<Box<dyn StorageFile>> {
        let file = Some(self.directory.open(name, writable)?);
        let closed = self.closed.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Ok(Box::new(WatchedFile { file, closed, gate: Arc::clone(&self.gate) }))
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.directory.rename(from, to)
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        self.directory.remove(name)
    }
    fn sync_dir(&self) -> io::Result<()> {
        self.directory.sync_dir()
    }
    fn modified(&self, name: &str) -> io::Result<SystemTime> {
        self.directory.modified(name)
    }
    fn lock(&self, name: &str) -> io::Result<Option<LockGuard>> {
        self.directory.lock(name)
    }
    fn salt(&self) -> u64 {
        self.directory.salt()
    }
}

/// A log of so many segments, none of which was opened since it was created, who closes them, and the gate.
fn watched(directory: &Path, count: usize) -> (Log, Receiver<String>, Arc<Mutex<()>>) {
    let ((closed, told), gate) = (channel(), Arc::default());
    let directory = DirStorage::at(directory);
    let storage = Watched { directory, closed: Mutex::new(closed), gate: Arc::clone(&gate) };
    let (mut log, _) = Log::open(Arc::new(storage), small(CorruptPolicy::Refuse)).unwrap();
    // One record of 4,000 octets is a segment.
    (0..count).for_each(|n| append_all(&mut log, &[payload(n, 4_000)]));
    assert_eq!(segments(log.storage().as_ref()).len(), count);
    (log, told, gate)
}

/// What this process has open in the directory although its name is gone.
fn deleted(directory: &Path) -> Vec<String> {
    let open = std::fs::read_dir("/proc/self/fd").unwrap();
    let targets = open.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
    let names = targets.map(|target| target.to_string_lossy().into_owned());
    let here = directory.to_str().unwrap();
    names.filter(|name| name.starts_with(here) && name.ends_with("(deleted)")).collect()
}

#[test]
fn the_space_of_a_removed_file_comes_back_by_itself() {
    let directory = tempfile::tempdir().unwrap();
    let (mut log, closed, gate) = watched(directory.path(), 4);
    let shut = gate.lock().unwrap();
    assert_eq!(log.truncate_front(Position::new(3)).unwrap().index(), 3);
    assert_eq!(segments(log.storage().as_ref()).len(), 1);
    assert_eq!(deleted(directory.path()).len(), 3, "not waited for: they are open still");
    drop(shut);
    for _ in 0..3 {
        assert_eq!(closed.recv_timeout(PATIENCE).unwrap(), FREEING);
    }
    assert_eq!(deleted(directory.path()), Vec::<String>::new());
    append_all(&mut log, &[payload(4, 100)]);
}

#[test]
fn few_removed_files_wait_and_none_outlives_the_log() {
    let directory = tempfile::tempdir().unwrap();
    let (mut log, closed, gate) = watched(directory.path(), 41);
    let shut = gate.lock().unwrap();
    assert_eq!(log.truncate_front(Position::new(40)).unwrap().index(), 40);
    // One is being closed, or will be soon, and 16 wait behind it.
    let waiting = deleted(directory.path()).len();
    assert!([16, 17].contains(&waiting), "{waiting}");
    drop(shut);
    drop(log);
    assert_eq!(deleted(directory.path()), Vec::<String>::new());
    assert_eq!(closed.try_iter().filter(|closer| closer == FREEING).count(), waiting);
}
