//! What happened to the tariff: every load and every activation, in `history.jsonl`, one line each, oldest first. A line
//! is a CRC-32C in hexadecimal digits, a space, and a JSON object. The file is replaced as a whole with each new line
//! (loads are rare), so that a crash leaves the old one or the new one; a damaged line is told by its number and nothing
//! is guessed.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use rating::PlanVersion;
use serde::{Deserialize, Serialize};
use types::UtcMs;

use super::TariffError;
use super::compare::RowCounts;
use super::kept::replace_file;

/// A load or an activation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its place in the history, from 1.
    pub sequence: u64,
    /// When it was done.
    #[serde(with = "types::time::iso8601")]
    pub time: UtcMs,
    /// What was done.
    pub kind: Kind,
    /// The version.
    #[serde(with = "digits")]
    pub version: PlanVersion,
    /// Another name it was given. Absent: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Box<str>>,
    /// Who did it. Absent: unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Box<str>>,
    /// Why. Absent: nothing was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<Box<str>>,
    /// The operator's folder it was loaded from at start. Absent: it came over the API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<PathBuf>,
    /// Of an activation: from when. Absent: a load.
    #[serde(default, with = "types::time::iso8601::option", skip_serializing_if = "Option::is_none")]
    pub from: Option<UtcMs>,
    /// The version that was in force at the time. Absent: none was.
    #[serde(default, with = "digits::option", skip_serializing_if = "Option::is_none")]
    pub before: Option<PlanVersion>,
    /// Of a load: rows that differ from `before`, by table; tables without a difference are left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rows: Vec<RowCounts>,
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A version was loaded and kept.
    Loaded,
    /// A version was made the one in force, now or from a time on.
    Activated,
}

/// Reads the history; none yet is an empty one.
pub(super) fn read(folder: &Path) -> Result<Vec<Entry>, TariffError> {
    let path = folder.join(FILE);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) if error.kind() == ErrorKind::InvalidData => return Err(TariffError::History { path, line: 0 }),
        Err(source) => return Err(TariffError::Kept { path, source }),
    };
    let mut entries: Vec<Entry> = Vec::new();
    for (line, text) in (1..).zip(text.lines()) {
        let next = entries.last().map_or(1, |entry| entry.sequence.saturating_add(1));
        match parse(text).filter(|entry| entry.sequence == next) {
            Some(entry) => entries.push(entry),
            None => return Err(TariffError::History { path, line }),
        }
    }
    Ok(entries)
}

/// Writes all of it; durable when it returns.
pub(super) fn write(folder: &Path, entries: &[Entry]) -> Result<(), TariffError> {
    let path = folder.join(FILE);
    let mut text = String::new();
    for entry in entries {
        let json = serde_json::to_string(entry);
        let json = json.map_err(|error| TariffError::Kept { path: path.clone(), source: error.into() })?;
        text.push_str(&format!("{:08x} {json}\n", crc32c::crc32c(json.as_bytes())));
    }
    replace_file(&path, text.as_bytes()).map_err(|source| TariffError::Kept { path, source })
}

fn parse(line: &str) -> Option<Entry> {
    let (crc, json) = line.split_once(' ')?;
    let crc = u32::from_str_radix(crc, 16).ok()?;
    if crc != crc32c::crc32c(json.as_bytes()) {
        return None;
    }
    serde_json::from_str(json).ok()
}

/// From when which version is in force, in order of time. A later activation of the same instant replaces the earlier.
pub(super) fn timeline<'e>(entries: impl IntoIterator<Item = &'e Entry>) -> Vec<(UtcMs, PlanVersion)> {
    let mut timeline: Vec<(UtcMs, PlanVersion)> = Vec::new();
    for entry in entries {
        let Some(from) = entry.from else { continue };
        match timeline.binary_search_by_key(&from, |(from, _)| *from) {
            Ok(at) => {
                if let Some((_, version)) = timeline.get_mut(at) {
                    *version = entry.version;
                }
            }
            Err(at) => timeline.insert(at, (from, entry.version)),
        }
    }
    timeline
}

/// Versions as their digits.
mod digits {
    use rating::PlanVersion;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(version: &PlanVersion, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(version)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PlanVersion, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }

    pub mod option {
        use super::*;

        pub fn serialize<S: Serializer>(version: &Option<PlanVersion>, serializer: S) -> Result<S::Ok, S::Error> {
            match version {
                Some(version) => serializer.collect_str(version),
                None => serializer.serialize_none(),
            }
        }

        pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<PlanVersion>, D::Error> {
            let text = Option::<String>::deserialize(deserializer)?;
            text.map(|text| text.parse().map_err(D::Error::custom)).transpose()
        }
    }
}

const FILE: &str = "history.jsonl";

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(sequence: u64, version: u128, from: Option<i64>) -> Entry {
        let kind = if from.is_some() { Kind::Activated } else { Kind::Loaded };
        Entry {
            sequence,
            time: UtcMs(1_000),
            kind,
            version: PlanVersion::from_bits(version),
            name: Some("spring \"sale\"".into()),
            by: None,
            comment: None,
            folder: None,
            from: from.map(UtcMs),
            before: Some(PlanVersion::from_bits(u128::MAX)),
            rows: vec![RowCounts { file: "Rates.csv".into(), added: 1, removed: 2, changed: 3 }],
        }
    }

    #[test]
    fn it_is_read_as_it_was_written_and_damage_is_told_by_line() {
        let folder = tempfile::tempdir().expect("a folder");
        assert_eq!(read(folder.path()).expect("none yet"), []);
        let entries = [entry(1, 7, None), entry(2, 7, Some(5_000)), entry(3, 8, None)];
        write(folder.path(), &entries).expect("written");
        assert_eq!(read(folder.path()).expect("read"), entries);
        let path = folder.path().join(FILE);
        let good = fs::read(&path).expect("readable");
        for place in 0..good.len() {
            let mut bad = good.clone();
            let byte = bad.get_mut(place).expect("within");
            *byte ^= 1;
            fs::write(&path, &bad).expect("written");
            let told = read(folder.path()).map(|_| ());
            let line = u64::try_from(good.iter().take(place).filter(|byte| **byte == b'\n').count()).expect("few") + 1;
            // A flipped line end joins two lines; flipped UTF-8 spoils the text as a whole.
            let lines = [line, line.saturating_sub(1), 0];
            assert!(matches!(told, Err(TariffError::History { line, .. }) if lines.contains(&line)), "{place}");
        }
    }

    #[test]
    fn the_last_word_on_an_instant_counts() {
        let entries = [
            entry(1, 1, None),
            entry(2, 1, Some(10)),
            entry(3, 2, Some(30)),
            entry(4, 3, Some(20)),
            entry(5, 1, Some(30)),
        ];
        let version = |number| PlanVersion::from_bits(number);
        assert_eq!(timeline(&entries), [(UtcMs(10), version(1)), (UtcMs(20), version(3)), (UtcMs(30), version(1))]);
    }
}
