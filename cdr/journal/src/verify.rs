//! Is everything there? Reads every archive and segment and tells what each holds, what is damaged, and what is missing between
//! them. Takes no lock and changes nothing; a writer may go on.

use std::io;
use std::path::Path;
use std::sync::Arc;

use segment_log::{DirStorage, Error as LogError, Operation, Position, Storage, Survey, Uncommitted};
use serde::{Deserialize, Serialize};

use crate::archive::{UNFINISHED, archive_name, io_error, list_archives};
use crate::error::JournalError;
use crate::members::{Members, Step};
use crate::read::Seen;

/// What one file holds.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct FileReport {
    /// Its name.
    pub name: String,
    /// The position of its first record.
    pub first: u64,
    /// The position after its last.
    pub next: u64,
    /// Records that check.
    pub records: u64,
    /// Octets of JSON in them.
    pub payload_bytes: u64,
    /// Octets of the file.
    pub file_bytes: u64,
    /// Places that do not check.
    pub damaged_places: u64,
    /// Records that should be in it and are not.
    pub lost: u64,
    /// Records that check and are no call records of this release.
    pub undecodable: u64,
}

/// What a journal holds.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct Verified {
    /// Archives, oldest first, then segments.
    pub files: Vec<FileReport>,
    /// How many of them are archives.
    pub archives: u64,
    /// How many of them are segments.
    pub segments: u64,
    /// Records that check.
    pub records: u64,
    /// Octets of JSON in them.
    pub payload_bytes: u64,
    /// Octets of all files.
    pub file_bytes: u64,
    /// Places that do not check.
    pub damaged_places: u64,
    /// Records lost within files.
    pub lost: u64,
    /// Places between two files where records are missing.
    pub gaps: u64,
    /// Records missing there.
    pub missing: u64,
    /// Records that are no call records of this release.
    pub undecodable: u64,
    /// Records with a `recordId` that came before: readers pass them by.
    pub duplicates: u64,
    /// Whole records behind the last committed one: being written now, or left by a crash.
    pub uncommitted_records: u64,
    /// Octets behind the last committed record: the torn tail that the next opening cuts, if nobody is writing.
    pub uncommitted_bytes: u64,
    /// Archives that a crash left unfinished or beside their segment; they do not count, and the writer tidies them up.
    pub leftovers: u64,
}

impl Verified {
    /// Whether nothing acknowledged is damaged or missing.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.damaged_places == 0 && self.lost == 0 && self.gaps == 0 && self.undecodable == 0
    }

    fn add(&mut self, file: FileReport) {
        if let Some(before) = self.files.last().filter(|before| file.first > before.next) {
            self.gaps += 1;
            self.missing += file.first - before.next;
        }
        self.records += file.records;
        self.payload_bytes += file.payload_bytes;
        self.file_bytes += file.file_bytes;
        self.damaged_places += file.damaged_places;
        self.lost += file.lost;
        self.undecodable += file.undecodable;
        self.files.push(file);
    }
}

/// Verifies the journal in `directory`; `progress` hears how many files of how many are done. Keeps 16 octets for each record. A
/// journal that does not exist is whole and empty.
///
/// # Errors
/// [`JournalError::Log`] when a file cannot be read or is of a later release. Damage is no error.
pub fn verify(directory: impl AsRef<Path>, progress: &mut dyn FnMut(u64, u64)) -> Result<Verified, JournalError> {
    verify_on(&(Arc::new(DirStorage::at(directory.as_ref())) as Arc<dyn Storage>), progress)
}

/// [`verify`] on any storage.
///
/// # Errors
/// As [`verify`].
pub fn verify_on(storage: &Arc<dyn Storage>, progress: &mut dyn FnMut(u64, u64)) -> Result<Verified, JournalError> {
    let survey = Survey::open(Arc::clone(storage))?;
    let names = storage.list().map_err(|e| io_error(Operation::List, storage.as_ref(), "", e))?;
    let mut verified = Verified {
        leftovers: names.iter().filter(|name| name.ends_with(UNFINISHED)).count().try_into().unwrap_or(u64::MAX),
        ..Verified::default()
    };
    let begin = survey.segments().first().map_or(Position::MAX, |segment| segment.first);
    let (archives, beside): (Vec<_>, Vec<_>) =
        list_archives(storage.as_ref())?.into_iter().partition(|archive| archive.first < begin);
    verified.leftovers += u64::try_from(beside.len()).unwrap_or(u64::MAX);
    let total = u64::try_from(archives.len() + survey.segments().len()).unwrap_or(u64::MAX);
    let mut ids = Ids::default();
    let mut done = 0;
    for archive in archives {
        if let Some(file) = read_archive(storage.as_ref(), archive.name, archive.first, &mut ids)? {
            verified.archives += 1;
            verified.add(file);
        }
        done += 1;
        progress(done, total);
    }
    for number in 0..survey.segments().len() {
        match read_segment(storage.as_ref(), &survey, number, &mut ids)? {
            Some((file, uncommitted)) => {
                verified.segments += 1;
                verified.uncommitted_records += uncommitted.records;
                verified.uncommitted_bytes += uncommitted.bytes;
                verified.add(file);
            }
            None => verified.archives += 1,
        }
        done += 1;
        progress(done, total);
    }
    verified.duplicates = ids.duplicates;
    Ok(verified)
}

/// What is learned from the records themselves.
#[derive(Default)]
struct Ids {
    seen: Seen,
    duplicates: u64,
}

impl Ids {
    /// False for what is no call record.
    fn take(&mut self, json: &[u8]) -> bool {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Identity<'a> {
            #[serde(borrow)]
            record_id: std::borrow::Cow<'a, str>,
        }
        let Ok(identity) = serde_json::from_slice::<Identity<'_>>(json) else { return false };
        if !self.seen.insert(&identity.record_id) {
            self.duplicates += 1;
        }
        true
    }
}

/// `None` when it was archived meanwhile and that archive has been removed, too.
fn read_segment(
    storage: &dyn Storage,
    survey: &Survey,
    number: usize,
    ids: &mut Ids,
) -> Result<Option<(FileReport, Uncommitted)>, LogError> {
    let mut undecodable = 0;
    let found = survey.segment(number, &mut |record| undecodable += u64::from(!ids.take(record.payload)))?;
    let Some(found) = found else {
        let Some(segment) = survey.segments().get(number) else { return Ok(None) };
        let archived = read_archive(storage, archive_name(segment.first), segment.first, ids)?;
        return Ok(archived.map(|file| (file, Uncommitted::default())));
    };
    let file = FileReport {
        name: found.file.name,
        first: found.file.first.index(),
        next: found.next.index(),
        records: found.records,
        payload_bytes: found.payload_bytes,
        file_bytes: found.file_bytes,
        damaged_places: found.damaged.regions,
        lost: found.damaged.records,
        undecodable,
    };
    Ok(Some((file, found.uncommitted.unwrap_or_default())))
}

/// `None` when it is not there (any more).
fn read_archive(
    storage: &dyn Storage,
    name: String,
    first: Position,
    ids: &mut Ids,
) -> Result<Option<FileReport>, LogError> {
    let file = match storage.open(&name, false) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(|source| io_error(Operation::Open, storage, &name, source))?,
    };
    let failed = |source| io_error(Operation::Read, storage, &name, source);
    let file_bytes = file.length().map_err(failed)?;
    let mut report = FileReport { first: first.index(), next: first.index(), file_bytes, ..FileReport::default() };
    let mut members = Members::default();
    while let Some(step) = members.step(file.as_ref(), 0).map_err(failed)? {
        match step {
            Step::Damage { .. } => report.damaged_places += 1,
            Step::Member(header) => {
                report.lost += header.first.saturating_sub(report.next);
                report.next = header.first.saturating_add(header.records.into());
                report.records += u64::from(header.records);
                for line in members.lines().split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                    report.payload_bytes += u64::try_from(line.len()).unwrap_or(0);
                    report.undecodable += u64::from(!ids.take(line));
                }
            }
        }
    }
    Ok(Some(FileReport { name, ..report }))
}
