//! The state of the failing disk: what is visible, what is durable, and the changes between the two, in order.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::time::Duration;

use rustix::io::Errno;

use super::{Crash, CrashPoint, Failure};
use crate::storage::Operation;

#[derive(Debug, Default, Clone)]
pub(super) struct Disk {
    pub inodes: BTreeMap<u64, Inode>,
    /// Names as they are seen.
    pub names: BTreeMap<String, u64>,
    pub locks: BTreeSet<String>,
    /// Counts crashes; handles of an earlier one are dead.
    pub boot: u64,
    pub crash_at: Option<usize>,
    pub trace: Vec<CrashPoint>,
    pub faults: Vec<Fault>,
    pub capacity: Option<usize>,
    /// Operations that fail until they are healed.
    pub failing: BTreeMap<Operation, Failure>,
    pub read_only: bool,
    /// So many writes from now one is spoiled; 0: none.
    pub spoiled_write: usize,
    /// The time since 1970 that written files get.
    pub clock: Duration,
    durable_names: BTreeMap<String, u64>,
    name_changes: Vec<(u64, NameChange)>,
    dead: bool,
    /// Numbers inodes and changes.
    sequence: u64,
}

#[derive(Debug, Default, Clone)]
pub(super) struct Inode {
    pub durable: Vec<u8>,
    pub current: Vec<u8>,
    pub modified: Duration,
    changes: Vec<(u64, Change)>,
}

/// A failure to come.
#[derive(Debug, Clone)]
pub(super) struct Fault {
    pub operation: Operation,
    pub remaining: usize,
    pub failure: Failure,
}

#[derive(Debug, Clone)]
enum Change {
    Write { offset: usize, bytes: Vec<u8> },
    SetLen(usize),
}

#[derive(Debug, Clone)]
enum NameChange {
    Set(String, u64),
    Remove(String),
    Rename(String, String),
}

pub(super) fn crashed() -> io::Error {
    io::Error::other("the process has crashed here")
}

impl Disk {
    pub fn alive(&self) -> io::Result<()> {
        if self.dead { Err(crashed()) } else { Ok(()) }
    }

    pub fn writable(&self) -> io::Result<()> {
        if self.read_only { Err(Errno::ROFS.into()) } else { Ok(()) }
    }

    /// Runs a change between its two crash points, unless it is to fail.
    pub fn changing<T>(
        &mut self,
        operation: Operation,
        file: &str,
        change: impl FnOnce(&mut Self) -> io::Result<T>,
    ) -> io::Result<T> {
        self.alive()?;
        self.point(false, operation, file)?;
        self.writable()?;
        self.injected(operation)?;
        let changed = change(self)?;
        self.point(true, operation, file)?;
        Ok(changed)
    }

    /// Fails when a planned failure of this operation is due.
    pub fn injected(&mut self, operation: Operation) -> io::Result<()> {
        let mut due = None;
        self.faults.retain_mut(|fault| {
            if fault.operation != operation {
                return true;
            }
            fault.remaining = fault.remaining.saturating_sub(1);
            if fault.remaining == 0 {
                due = Some(fault.failure);
            }
            fault.remaining > 0
        });
        match due.or_else(|| self.failing.get(&operation).copied()) {
            None => Ok(()),
            Some(Failure::Io) => Err(Errno::IO.into()),
            Some(Failure::NoSpace) => Err(Errno::NOSPC.into()),
        }
    }

    pub fn create(&mut self, name: &str) -> u64 {
        if let Some(id) = self.names.get(name).copied() {
            self.change(id, Change::SetLen(0));
            return id;
        }
        let id = self.next_sequence();
        self.inodes.insert(id, Inode { modified: self.clock, ..Inode::default() });
        self.change_names(NameChange::Set(name.to_owned(), id));
        id
    }

    pub fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        if !self.names.contains_key(from) {
            return Err(io::ErrorKind::NotFound.into());
        }
        self.change_names(NameChange::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }

    pub fn remove(&mut self, name: &str) -> io::Result<()> {
        if !self.names.contains_key(name) {
            return Err(io::ErrorKind::NotFound.into());
        }
        self.change_names(NameChange::Remove(name.to_owned()));
        Ok(())
    }

    pub fn sync_names(&mut self) {
        self.durable_names = self.names.clone();
        self.name_changes.clear();
    }

    pub fn put(&mut self, name: &str, content: &[u8]) {
        let id = self.next_sequence();
        let (durable, current) = (content.to_vec(), content.to_vec());
        self.inodes.insert(id, Inode { durable, current, modified: self.clock, changes: Vec::new() });
        self.names.insert(name.to_owned(), id);
        self.durable_names.insert(name.to_owned(), id);
    }

    pub fn inode_of(&mut self, name: &str) -> Option<&mut Inode> {
        let id = self.names.get(name)?;
        self.inodes.get_mut(id)
    }

    pub fn read(&self, id: u64, buffer: &mut [u8], offset: u64) -> usize {
        let content = self.inodes.get(&id).map_or(&[][..], |inode| &inode.current);
        let rest = usize::try_from(offset).ok().and_then(|at| content.get(at..)).unwrap_or(&[]);
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        length
    }

    pub fn length(&self, id: u64) -> u64 {
        self.inodes.get(&id).map_or(0, |inode| u64::try_from(inode.current.len()).unwrap_or(u64::MAX))
    }

    /// A write that fails for want of space is done in half, or as far as the space goes.
    pub fn write(&mut self, id: u64, name: &str, bytes: &[u8], offset: u64) -> io::Result<()> {
        let offset = usize::try_from(offset).map_err(|_| io::ErrorKind::FileTooLarge)?;
        self.alive()?;
        self.point(false, Operation::Write, name)?;
        self.writable()?;
        let mut written = bytes;
        let mut outcome = self.injected(Operation::Write);
        if outcome.is_err() {
            written = &bytes[..bytes.len() / 2];
        }
        let end = offset.saturating_add(written.len());
        let fits = self.room(id, end);
        if fits < end {
            written = &written[..written.len().min(fits.saturating_sub(offset))];
            outcome = outcome.and(Err(Errno::NOSPC.into()));
        }
        let mut written = written.to_vec();
        self.spoil(&mut written);
        self.change(id, Change::Write { offset, bytes: written });
        outcome?;
        self.point(true, Operation::Write, name)
    }

    fn spoil(&mut self, bytes: &mut [u8]) {
        let (due, middle) = (self.spoiled_write == 1, bytes.len() / 2);
        self.spoiled_write = self.spoiled_write.saturating_sub(1);
        if due && let Some(octet) = bytes.get_mut(middle) {
            *octet ^= 1;
        }
    }

    pub fn set_len(&mut self, id: u64, length: u64) -> io::Result<()> {
        let length = usize::try_from(length).map_err(|_| io::ErrorKind::FileTooLarge)?;
        if self.room(id, length) < length {
            return Err(Errno::NOSPC.into());
        }
        self.change(id, Change::SetLen(length));
        Ok(())
    }

    /// A failed fsync loses what it should have saved: the pages are marked clean.
    pub fn sync(&mut self, id: u64, name: &str) -> io::Result<()> {
        self.alive()?;
        self.point(false, Operation::Sync, name)?;
        let outcome = self.writable().and_then(|()| self.injected(Operation::Sync));
        if let Some(inode) = self.inodes.get_mut(&id) {
            let changes = std::mem::take(&mut inode.changes);
            if outcome.is_ok() {
                changes.iter().for_each(|(_, change)| change.apply(&mut inode.durable));
            }
        }
        outcome?;
        self.point(true, Operation::Sync, name)
    }

    pub fn crash(&mut self, crash: Crash) {
        if let Some(survival) = Survival::new(crash) {
            self.lose_power(survival);
        }
        self.boot += 1;
        self.dead = false;
        self.crash_at = None;
        self.trace.clear();
        self.faults.clear();
        self.failing.clear();
        self.read_only = false;
        self.spoiled_write = 0;
        self.locks.clear();
    }

    /// What is visible becomes what survived.
    fn lose_power(&mut self, mut survival: Survival) {
        let mut changes: Vec<(u64, Surviving)> = Vec::new();
        for (id, inode) in &mut self.inodes {
            changes
                .extend(inode.changes.drain(..).map(|(sequence, change)| (sequence, Surviving::Content(*id, change))));
        }
        changes.extend(self.name_changes.drain(..).map(|(sequence, change)| (sequence, Surviving::Name(change))));
        changes.sort_by_key(|(sequence, _)| *sequence);
        for (_, change) in changes {
            match change {
                Surviving::Name(change) if survival.keeps_name() => change.apply(&mut self.durable_names),
                Surviving::Name(_) => {}
                Surviving::Content(id, change) => {
                    if let Some(inode) = self.inodes.get_mut(&id) {
                        survival.apply(change, &mut inode.durable);
                    }
                }
            }
        }
        let Self { inodes, names, durable_names, .. } = self;
        names.clone_from(durable_names);
        inodes.retain(|id, _| names.values().any(|named| named == id));
        for inode in inodes.values_mut() {
            inode.current.clone_from(&inode.durable);
        }
    }

    fn point(&mut self, after: bool, operation: Operation, file: &str) -> io::Result<()> {
        if self.crash_at == Some(self.trace.len()) {
            self.dead = true;
        }
        self.trace.push(CrashPoint { after, operation, file: file.to_owned() });
        self.alive()
    }

    fn change(&mut self, id: u64, change: Change) {
        let (sequence, now) = (self.next_sequence(), self.clock);
        if let Some(inode) = self.inodes.get_mut(&id) {
            inode.modified = now;
            change.apply(&mut inode.current);
            inode.changes.push((sequence, change));
        }
    }

    fn change_names(&mut self, change: NameChange) {
        let sequence = self.next_sequence();
        change.apply(&mut self.names);
        self.name_changes.push((sequence, change));
    }

    fn next_sequence(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence
    }

    /// How long the file could become, at most `wanted`.
    fn room(&self, id: u64, wanted: usize) -> usize {
        let own = self.inodes.get(&id).map_or(0, |inode| inode.current.len());
        let Some(capacity) = self.capacity else { return wanted };
        let others: usize = self
            .names
            .values()
            .filter(|other| **other != id)
            .filter_map(|id| self.inodes.get(id))
            .map(|i| i.current.len())
            .sum();
        wanted.min(own.max(capacity.saturating_sub(others)))
    }
}

enum Surviving {
    Content(u64, Change),
    Name(NameChange),
}

impl Change {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Self::SetLen(length) => content.resize(*length, 0),
            Self::Write { offset, bytes } => {
                let end = offset + bytes.len();
                if content.len() < end && !bytes.is_empty() {
                    content.resize(end, 0);
                }
                if !bytes.is_empty() {
                    content[*offset..end].copy_from_slice(bytes);
                }
            }
        }
    }
}

impl NameChange {
    fn apply(&self, names: &mut BTreeMap<String, u64>) {
        match self {
            Self::Set(name, id) => {
                names.insert(name.clone(), *id);
            }
            Self::Remove(name) => {
                names.remove(name);
            }
            Self::Rename(from, to) => {
                if let Some(id) = names.remove(from) {
                    names.insert(to.clone(), id);
                }
            }
        }
    }
}

/// Decides change by change, in the order they were made.
enum Survival {
    Nothing,
    Torn { bytes_left: usize },
    Scattered { random: u64, sector_bytes: usize, names_lost: bool },
}

impl Survival {
    /// `None` when the machine lives: then the page cache does too.
    fn new(crash: Crash) -> Option<Self> {
        match crash {
            Crash::KeepUnsynced => None,
            Crash::DropUnsynced => Some(Self::Nothing),
            Crash::Torn { bytes } => Some(Self::Torn { bytes_left: bytes }),
            Crash::Scattered { seed, sector_bytes } => {
                Some(Self::Scattered { random: seed, sector_bytes: sector_bytes.max(1), names_lost: false })
            }
        }
    }

    fn keeps_name(&mut self) -> bool {
        match self {
            Self::Nothing => false,
            Self::Torn { bytes_left } => *bytes_left > 0,
            Self::Scattered { random, names_lost, .. } => {
                // A journaling file system keeps the order of names: after one is lost, so are the later ones.
                *names_lost |= coin(random);
                !*names_lost
            }
        }
    }

    fn apply(&mut self, change: Change, content: &mut Vec<u8>) {
        match (self, change) {
            (Self::Nothing, _) => {}
            (Self::Torn { bytes_left }, Change::Write { offset, mut bytes }) => {
                bytes.truncate(*bytes_left);
                *bytes_left -= bytes.len();
                Change::Write { offset, bytes }.apply(content);
            }
            (Self::Torn { bytes_left }, change @ Change::SetLen(_)) => {
                if *bytes_left > 0 {
                    change.apply(content);
                }
            }
            (Self::Scattered { random, .. }, change @ Change::SetLen(_)) => {
                if coin(random) {
                    change.apply(content);
                }
            }
            (Self::Scattered { random, sector_bytes, .. }, Change::Write { offset, bytes }) => {
                let mut at = offset;
                let mut rest = &bytes[..];
                while !rest.is_empty() {
                    let (sector, later) = rest.split_at(rest.len().min(*sector_bytes - at % *sector_bytes));
                    if coin(random) {
                        Change::Write { offset: at, bytes: sector.to_vec() }.apply(content);
                    }
                    at += sector.len();
                    rest = later;
                }
            }
        }
    }
}

/// splitmix64: small, and the same everywhere.
fn coin(random: &mut u64) -> bool {
    *random = random.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *random;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    (z ^ (z >> 31)) & 1 == 1
}
