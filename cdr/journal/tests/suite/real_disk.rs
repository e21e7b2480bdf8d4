//! Real disks that are full, fail an fsync, or go read-only under a running journal, which then goes on by itself.
//!
//! Disks are mounted for it, which only root may do where the system lets it; elsewhere the tests say so and end. In memory, so that
//! no disk of this machine is filled.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use cdr_journal::{Filters, Journal, JournalError, JournalOptions, Position, search, verify};
use cdr_model::CallRecord;
use tempfile::TempDir;
use types::{ConfigDuration, ErrorClass};

use crate::support::{append, append_all, options, record, records};

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

/// A mounted disk of a test's own; gone when dropped, also by a panic. Declared before whatever has files on it.
struct Disk {
    directory: TempDir,
    mounted: Vec<PathBuf>,
}

impl Disk {
    /// So many MiB of memory.
    fn of_memory(mebibytes: u64) -> Option<Self> {
        or_skip(|| {
            let mut disk = Self::new()?;
            disk.mount(&["-t", "tmpfs", "-o", &format!("size={mebibytes}m"), "tmpfs"], disk.path())?;
            Ok(disk)
        })
    }

    /// ext4 that promises 64 MiB, on so many MiB of memory: when those are used up, what it took fails to reach the disk.
    fn thin(mebibytes: u64) -> Option<Self> {
        or_skip(|| {
            let mut disk = Self::new()?;
            disk.mount(&["-t", "tmpfs", "-o", &format!("size={mebibytes}m"), "tmpfs"], disk.store())?;
            let image = std::fs::File::create(disk.image()).map_err(|e| e.to_string())?;
            image.set_len(64 * MIB).map_err(|e| e.to_string())?;
            // Nothing but the records is to need new blocks.
            run("mkfs.ext4", &["-q", "-F", "-m", "0", "-N", "64", "-O", "^has_journal"], &disk.image())?;
            disk.mount_image()?;
            Ok(disk)
        })
    }

    fn new() -> Result<Self, String> {
        if !rustix::process::geteuid().is_root() {
            return Err("only root may mount".to_owned());
        }
        let disk = Self { directory: TempDir::new().map_err(|e| e.to_string())?, mounted: Vec::new() };
        for place in [disk.path(), disk.store()] {
            std::fs::create_dir(place).map_err(|e| e.to_string())?;
        }
        Ok(disk)
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("disk")
    }

    fn store(&self) -> PathBuf {
        self.directory.path().join("store")
    }

    fn image(&self) -> PathBuf {
        self.store().join("image")
    }

    fn mount_image(&mut self) -> Result<(), String> {
        let image = self.image();
        let image = image.to_str().ok_or("a path that is no text")?.to_owned();
        self.mount(&["-t", "ext4", "-o", "loop,errors=continue,noinit_itable", &image], self.path())
    }

    fn mount(&mut self, what: &[&str], at: PathBuf) -> Result<(), String> {
        run("mount", what, &at)?;
        self.mounted.push(at);
        Ok(())
    }

    /// Only when no file on it is open any more; whoever looks at it for a moment is waited for.
    fn unmount(&mut self) {
        let at = self.mounted.pop().expect("a mounted disk");
        eventually("it can be unmounted", || run("umount", &[], &at).is_ok());
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        while let Some(at) = self.mounted.pop() {
            // Lazily: after a panic somebody may still have files there.
            if let Err(reason) = run("umount", &["-l"], &at) {
                eprintln!("{reason}");
            }
        }
    }
}

fn or_skip(disk: impl FnOnce() -> Result<Disk, String>) -> Option<Disk> {
    let disk = disk();
    if let Err(reason) = &disk {
        eprintln!("skipped, no disk can be mounted here: {reason}");
    }
    disk.ok()
}

fn run(program: &str, args: &[&str], last: &Path) -> Result<(), String> {
    let output = Command::new(program).args(args).arg(last).output().map_err(|e| format!("{program}: {e}"))?;
    if output.status.success() {
        Ok(())
    } else {
        Err(format!("{program}: {}", String::from_utf8_lossy(&output.stderr)))
    }
}

fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < deadline, "never happened: {what}");
        std::thread::yield_now();
    }
}

/// Looks after itself, each millisecond.
fn watching(segment_bytes: u64, reserve_bytes: u64) -> JournalOptions {
    JournalOptions { segment_bytes, reserve_bytes, space_interval: ConfigDuration::from_ms(1), ..options() }
}

fn held(directory: &Path) -> Vec<CallRecord> {
    let mut found = search(directory, Filters::default()).unwrap();
    let held = found.by_ref().map(|found| found.unwrap().record).collect();
    assert_eq!((found.duplicates(), found.undecodable(), found.damaged()), (0, 0, 0));
    held
}

/// Appends from number `from` on until a record is not taken; returns its number and why.
fn append_until_refused(journal: &Journal, from: u32) -> (u32, JournalError) {
    (from..1_000_000)
        .find_map(|n| append(journal, &record(n)).err().map(|error| (n, error)))
        .expect("a disk has an end")
}

fn tries_again_until_taken(journal: &Journal, n: u32) {
    eventually("the record is taken", || append(journal, &record(n)).is_ok());
}

#[test]
fn a_full_disk_refuses_calls_first_then_records_and_goes_on_when_there_is_space() {
    let Some(disk) = Disk::of_memory(8) else { return };
    let (directory, others) = (disk.path().join("journal"), disk.path().join("somebody-elses"));
    let (journal, _) = Journal::open(&directory, watching(256 * KIB, MIB)).unwrap();
    append_all(&journal, 0..100);
    assert!(journal.accepts_calls());
    let free = journal.measure_space().unwrap();
    std::fs::write(&others, vec![1; usize::try_from(free - 700 * KIB).unwrap()]).unwrap();
    eventually("new calls are refused", || !journal.accepts_calls());
    // Running calls get their records down, as far as the disk goes.
    append_all(&journal, 100..200);
    let (n, error) = append_until_refused(&journal, 200);
    assert!(matches!(error, JournalError::NoSpace { .. }) && error.class() == ErrorClass::Retry, "{error}");
    assert!(n > 1000, "the reserve holds more than {n} records");
    for again in n..n + 3 {
        assert!(matches!(append(&journal, &record(again)), Err(JournalError::NoSpace { .. })));
    }
    assert!(!journal.accepts_calls() && !journal.has_stopped());
    assert_eq!(held(&directory), records(0..n));

    std::fs::remove_file(&others).unwrap();
    eventually("new calls are accepted", || journal.accepts_calls());
    append_all(&journal, n..n + 200);
    assert_eq!(journal.counters().recoveries.load(Ordering::Relaxed), 0, "that was no error of the disk");
    assert_eq!(journal.close().unwrap(), Position::new(u64::from(n) + 200));
    assert_eq!(held(&directory), records(0..n + 200));
    assert!(verify(&directory, &mut |_, _| {}).unwrap().is_whole());
    drop(journal);
    // A process that begins on a full disk.
    drop(std::fs::write(&others, vec![1; usize::try_from(8 * MIB).unwrap()]));
    let (journal, recovered) = Journal::open(&directory, watching(256 * KIB, MIB)).unwrap();
    assert_eq!((recovered.log.next.index(), recovered.log.skipped.records), (u64::from(n) + 200, 0));
    assert!(!journal.accepts_calls());
    let (full, error) = append_until_refused(&journal, n + 200);
    assert!(matches!(error, JournalError::NoSpace { .. }), "{error}");
    std::fs::remove_file(&others).unwrap();
    eventually("new calls are accepted", || journal.accepts_calls());
    append_all(&journal, full..full + 100);
    assert_eq!(held(&directory), records(0..full + 100));
}

#[test]
fn after_an_fsync_that_failed_everything_acknowledged_is_on_the_disk_itself() {
    let Some(mut disk) = Disk::thin(4) else { return };
    // One segment, whose space ext4 has promised: only the fsync can tell that it does not exist.
    let (journal, _) = Journal::open(disk.path(), watching(16 * MIB, 0)).unwrap();
    append_all(&journal, 0..100);
    let (n, error) = append_until_refused(&journal, 100);
    assert!(matches!(error, JournalError::Stopped { .. }) && error.class() == ErrorClass::Retry, "{error}");
    assert!(n > 1000, "only {n} records went into 4 MiB");
    assert!(!journal.accepts_calls() && journal.has_stopped());
    for again in n..n + 3 {
        assert!(append(&journal, &record(again)).is_err(), "an fsync that now succeeds proves nothing");
    }
    run("mount", &["-o", "remount,size=64m"], &disk.store()).unwrap();
    tries_again_until_taken(&journal, n);
    assert!(journal.accepts_calls() && journal.counters().recoveries.load(Ordering::Relaxed) > 0);
    append_all(&journal, n + 1..n + 100);
    journal.close().unwrap();
    // Not what the page cache shows.
    disk.unmount();
    disk.mount_image().unwrap();
    assert_eq!(held(&disk.path()), records(0..n + 100));
    assert!(verify(disk.path(), &mut |_, _| {}).unwrap().is_whole());
}

#[test]
fn a_disk_that_goes_read_only_and_is_mounted_again_is_recovered_by_the_same_process() {
    let Some(mut disk) = Disk::thin(32) else { return };
    let (journal, _) = Journal::open(disk.path(), watching(256 * KIB, 0)).unwrap();
    append_all(&journal, 0..500);
    // As after an error of its own: files that are open for writing stay open, and fail.
    run("mount", &["-o", "remount,abort"], &disk.path()).unwrap();
    let error = append(&journal, &record(500)).unwrap_err();
    assert!(matches!(error, JournalError::Stopped { .. }), "{error}");
    assert!(!journal.accepts_calls() && journal.recover().is_err());
    assert_eq!(held(&disk.path())[..500], records(0..500), "it can be read");
    disk.unmount();
    // Where the disk was is a directory of the disk below, which must not be taken for a new journal.
    assert!(journal.recover().is_err() && !journal.accepts_calls());
    assert_eq!(std::fs::read_dir(disk.path()).unwrap().count(), 0);
    disk.mount_image().unwrap();
    tries_again_until_taken(&journal, 500);
    append_all(&journal, 501..600);
    assert!(journal.accepts_calls());
    journal.close().unwrap();
    disk.unmount();
    disk.mount_image().unwrap();
    assert_eq!(held(&disk.path()), records(0..600));
    assert!(verify(disk.path(), &mut |_, _| {}).unwrap().is_whole());
}
