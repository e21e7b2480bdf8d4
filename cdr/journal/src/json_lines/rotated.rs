//! Files that are full: their names, compressing them, removing the oldest.
//!
//! `records.jsonl` becomes `records-<time it was begun, UTC>-<position of its first record>.jsonl`, and `.gz` is added when it is
//! compressed. The compressed file gets its name when it is whole and synced, and only then the plain one is removed; where both are
//! found, the compressed one is whole.

use std::io::{self, Write as _};

use flate2::write::GzEncoder;
use flate2::{Compression, GzBuilder};
use segment_log::{Storage, StorageFile};
use serde::{Deserialize, Serialize};
use types::{ConfigDuration, UtcMs};

use super::state::Current;

/// When a file is closed and a new one begun, and what becomes of the closed ones. By default one file grows for ever.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rotation {
    /// A file gets no line that would make it longer, in octets; a single longer line gets a file of its own. Absent: no limit.
    pub max_bytes: Option<u64>,
    /// A file that was begun so long ago is closed when the next record comes. Absent: never.
    pub max_age: Option<ConfigDuration>,
    /// Closed files are compressed with gzip.
    pub gzip: bool,
    /// So many closed files stay, the latest; at least 1. Absent: all.
    pub keep_files: Option<usize>,
}

impl Rotation {
    /// Whether files are ever closed.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.max_bytes.is_some() || self.max_age.is_some()
    }
}

/// Names of the rotated files of one file.
#[derive(Debug)]
pub(super) struct Rotated {
    stem: String,
    /// With its dot; empty when there is none.
    extension: String,
}

impl Rotated {
    pub fn of(file_name: &str) -> Self {
        let (stem, extension) = match file_name.rfind('.').filter(|dot| *dot > 0) {
            Some(dot) => file_name.split_at(dot),
            None => (file_name, ""),
        };
        Self { stem: stem.to_owned(), extension: extension.to_owned() }
    }

    /// The name that the file gets when it is closed; the same whoever asks and when.
    pub fn name(&self, current: &Current) -> String {
        let first = current.first.unwrap_or_default();
        format!("{}-{}-{first}{}", self.stem, compact(current.begun), self.extension)
    }

    /// Whether the file was closed.
    pub fn exists(&self, storage: &dyn Storage, current: &Current) -> io::Result<bool> {
        let name = self.name(current);
        let compressed = format!("{name}{GZIP}");
        Ok(storage.list()?.iter().any(|found| *found == name || *found == compressed))
    }

    /// Compresses what is to be compressed and removes what is too much.
    pub fn tidy(&self, storage: &dyn Storage, rotation: &Rotation) -> io::Result<()> {
        let names = storage.list()?;
        for unfinished in
            names.iter().filter(|name| name.strip_suffix(UNFINISHED).is_some_and(|n| self.key(n).is_some()))
        {
            storage.remove(unfinished)?;
        }
        let mut files: Vec<(Key, &String)> = names.iter().filter_map(|name| Some((self.key(name)?, name))).collect();
        files.sort();
        // A file and its compressed form are one.
        let mut keys: Vec<&Key> = files.iter().map(|(key, _)| key).collect();
        keys.dedup_by_key(|key| (&key.begun, key.first));
        let surplus = keys.len().saturating_sub(rotation.keep_files.map_or(usize::MAX, |keep| keep.max(1)));
        let oldest_kept = keys.get(surplus).map(|key| (&key.begun, key.first));
        for (key, name) in &files {
            if oldest_kept.as_ref().is_some_and(|kept| (&key.begun, key.first) < *kept) {
                storage.remove(name)?;
            } else if rotation.gzip && !key.compressed {
                compress(storage, name)?;
            }
        }
        storage.sync_dir()
    }

    /// None: not a rotated file of this one.
    fn key(&self, name: &str) -> Option<Key> {
        let (plain, compressed) = match name.strip_suffix(GZIP) {
            Some(plain) => (plain, true),
            None => (name, false),
        };
        let middle = plain.strip_prefix(&*self.stem)?.strip_prefix('-')?.strip_suffix(&*self.extension)?;
        let (begun, first) = middle.split_once('-')?;
        let is_time = begun.len() == 16 && begun.ends_with('Z') && begun.as_bytes().get(8) == Some(&b'T');
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !is_time || !digits(first) {
            return None;
        }
        Some(Key { begun: begun.to_owned(), first: first.parse().ok()?, compressed })
    }
}

/// In the order of time: a journal that was begun anew counts its positions anew.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    begun: String,
    first: u64,
    compressed: bool,
}

/// `20261122T200015Z`.
fn compact(time: UtcMs) -> String {
    let text = time.to_string();
    let second = text.split('.').next().unwrap_or_default();
    second.chars().filter(|c| !matches!(c, '-' | ':')).chain(['Z']).collect()
}

fn compress(storage: &dyn Storage, name: &str) -> io::Result<()> {
    let (target, unfinished) = (format!("{name}{GZIP}"), format!("{name}{GZIP}{UNFINISHED}"));
    let plain = storage.open(name, false)?;
    let mut encoder = gzip(Appending { file: storage.create(&unfinished)?, length: 0 });
    let (mut chunk, mut offset) = (vec![0; CHUNK_BYTES], 0_u64);
    loop {
        match plain.read_at(&mut chunk, offset)? {
            0 => break,
            read => {
                encoder.write_all(chunk.get(..read).unwrap_or_default())?;
                offset = offset.saturating_add(u64::try_from(read).unwrap_or(u64::MAX));
            }
        }
    }
    encoder.finish()?.file.sync_all()?;
    storage.rename(&unfinished, &target)?;
    storage.sync_dir()?;
    storage.remove(name)
}

/// Without a time in its header: the same lines give the same file.
fn gzip<W: io::Write>(to: W) -> GzEncoder<W> {
    GzBuilder::new().mtime(0).write(to, Compression::default())
}

struct Appending {
    file: Box<dyn StorageFile>,
    length: u64,
}

impl io::Write for Appending {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write_at(bytes, self.length)?;
        self.length = self.length.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

const GZIP: &str = ".gz";
const UNFINISHED: &str = ".unfinished";
const CHUNK_BYTES: usize = 256 * 1024;
