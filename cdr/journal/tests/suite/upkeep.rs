//! What goes on while an upkeep is under way: it may take long.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, SystemTime};

use cdr_journal::{Journal, JournalOptions, Storage, StorageFile};
use segment_log::LockGuard;
use segment_log::fault::FaultStorage;
use types::UtcMs;

use crate::support::{append_all, options, plenty, ship, ship_all};

type Hook = Box<dyn FnOnce() + Send>;

/// Does something of its own in the midst of the first removal.
struct Hooked {
    disk: FaultStorage,
    at_removal: Mutex<Option<Hook>>,
}

impl std::fmt::Debug for Hooked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.disk.fmt(f)
    }
}

impl Storage for Hooked {
    fn directory(&self) -> &Path {
        self.disk.directory()
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.disk.list()
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn StorageFile>> {
        self.disk.create(name)
    }

    fn open(&self, name: &str, writable: bool) -> io::Result<Box<dyn StorageFile>> {
        self.disk.open(name, writable)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        if let Some(hook) = self.at_removal.lock().unwrap().take() {
            hook();
        }
        self.disk.remove(name)
    }

    fn sync_dir(&self) -> io::Result<()> {
        self.disk.sync_dir()
    }

    fn modified(&self, name: &str) -> io::Result<SystemTime> {
        self.disk.modified(name)
    }

    fn lock(&self, name: &str) -> io::Result<Option<LockGuard>> {
        self.disk.lock(name)
    }

    fn salt(&self) -> u64 {
        self.disk.salt()
    }
}

#[test]
fn records_are_shipped_meanwhile() {
    let disk = FaultStorage::new();
    let hooked = Arc::new(Hooked { disk: disk.clone(), at_removal: Mutex::default() });
    let keeping = JournalOptions { sinks: vec!["lines".to_owned()], recent_ids: 4, ..options() };
    let (journal, _) = Journal::open_on(hooked.clone(), plenty(), keeping).unwrap();
    append_all(&journal, 0..40);
    let mut shipping = ship(&journal, &disk).unwrap();
    ship_all(&mut shipping);
    append_all(&journal, 40..42);
    let (begin, begun) = mpsc::channel::<()>();
    let (shipped, arrived) = mpsc::channel();
    let shipper = std::thread::spawn(move || {
        begun.recv().unwrap();
        // Nobody listens any more when it was late.
        shipped.send(ship_all(&mut shipping)).ok();
    });
    let (tell, told) = mpsc::channel();
    *hooked.at_removal.lock().unwrap() = Some(Box::new(move || {
        begin.send(()).unwrap();
        tell.send(arrived.recv_timeout(Duration::from_secs(30))).unwrap();
    }));
    assert!(journal.keep_up(UtcMs(0)).unwrap().archived > 0);
    assert_eq!(told.recv().unwrap(), Ok(2));
    shipper.join().unwrap();
}
