//! Kept versions on disk: a folder each, named by the version, with the six canonical tables and `plan.json` (settings
//! and counts). Written beside its place, fsynced and renamed: half a version is never read. Reading one makes its plan
//! again and compares the version with the folder's name, so that damage never prices anything.

use std::collections::HashSet;
use std::fs;
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use rating::{Plan, PlanOptions, PlanVersion, Table, Tables};
use serde::{Deserialize, Serialize};

use super::TariffError;

/// The folder of all versions.
#[derive(Debug)]
pub(super) struct Kept {
    folder: PathBuf,
}

/// What is known of a version without loading it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// What it was loaded with.
    pub options: PlanOptions,
    /// How much there is in it.
    pub counts: Counts,
}

/// How much there is in a version.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Prefixes.
    pub prefixes: u64,
    /// Rates.
    pub rates: u64,
    /// Rating plans.
    pub rating_plans: u64,
    /// Rows of rating profiles.
    pub profiles: u64,
    /// Timings.
    pub timings: u64,
}

impl Counts {
    fn of(tables: &Tables) -> Self {
        let rows = |table| count(tables.text(table).lines().count());
        let tags = |table| {
            let tags = tables.text(table).lines().filter_map(|line| line.split(',').next());
            count(tags.collect::<HashSet<&str>>().len())
        };
        Self {
            prefixes: rows(Table::Destinations),
            rates: tags(Table::Rates),
            rating_plans: tags(Table::RatingPlans),
            profiles: rows(Table::RatingProfiles),
            timings: tags(Table::Timings),
        }
    }
}

impl Kept {
    pub(super) fn open(folder: &Path) -> Result<Self, TariffError> {
        fs::create_dir_all(folder).map_err(|source| TariffError::Kept { path: folder.into(), source })?;
        Ok(Self { folder: folder.into() })
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// All versions, in no order.
    pub(super) fn list(&self) -> Result<Vec<PlanVersion>, TariffError> {
        let failed = |source| TariffError::Kept { path: self.folder.clone(), source };
        let mut versions = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            // Whatever else lies here is none: the history, unfinished folders, an operator's notes.
            let digits = name.to_str().filter(|name| name.len() == NAME_LENGTH);
            versions.extend(digits.and_then(|name| name.parse::<PlanVersion>().ok()));
        }
        Ok(versions)
    }

    /// Settings and counts, without looking whether the tables are whole.
    pub(super) fn summary(&self, version: PlanVersion) -> Result<Summary, TariffError> {
        let path = self.place(version);
        match fs::read(path.join(PLAN_FILE)) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|_| TariffError::Damaged { path }),
            // Kept by a release that knew no settings but the currency.
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let plan = self.read(version)?;
                Ok(Summary { options: plan.options().clone(), counts: Counts::of(plan.to_tables()) })
            }
            Err(source) => Err(TariffError::Kept { path, source }),
        }
    }

    /// Makes the plan again.
    pub(super) fn read(&self, version: PlanVersion) -> Result<Plan, TariffError> {
        let path = self.place(version);
        if !path.is_dir() {
            return Err(TariffError::NotKept { version, folder: self.folder.clone() });
        }
        let damaged = || TariffError::Damaged { path: path.clone() };
        let options = match fs::read(path.join(PLAN_FILE)) {
            Ok(bytes) => serde_json::from_slice::<Summary>(&bytes).map_err(|_| damaged())?.options,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let text = fs::read_to_string(path.join(CURRENCY_FILE)).map_err(|_| damaged())?;
                PlanOptions::from(text.trim().parse::<types::Currency>().map_err(|_| damaged())?)
            }
            Err(source) => return Err(TariffError::Kept { path, source }),
        };
        let plan = Plan::load(&path, options).map_err(|_| damaged())?;
        if plan.version() == version { Ok(plan) } else { Err(damaged()) }
    }

    /// Durable when it returns. A folder that is there already is left alone.
    pub(super) fn write(&self, plan: &Plan) -> Result<(), TariffError> {
        let path = self.place(plan.version());
        if path.is_dir() {
            return Ok(());
        }
        let unfinished = path.with_extension(UNFINISHED);
        let write = || -> io::Result<()> {
            if unfinished.is_dir() {
                fs::remove_dir_all(&unfinished)?;
            }
            fs::create_dir_all(&unfinished)?;
            let tables = plan.to_tables();
            let summary = Summary { options: plan.options().clone(), counts: Counts::of(tables) };
            let summary = serde_json::to_string(&summary)?;
            let files = Table::ALL.into_iter().map(|table| (table.file_name(), tables.text(table)));
            for (name, text) in files.chain([(PLAN_FILE, summary.as_str())]) {
                write_durably(&unfinished.join(name), text.as_bytes())?;
            }
            sync_folder(&unfinished)?;
            fs::rename(&unfinished, &path)?;
            sync_folder(&self.folder)
        };
        write().map_err(|source| TariffError::Kept { path, source })
    }

    fn place(&self, version: PlanVersion) -> PathBuf {
        self.folder.join(version.to_string())
    }
}

/// Replaces a file as a whole: after a crash there is the old one or the new one.
pub(super) fn replace_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let unfinished = path.with_extension(UNFINISHED);
    write_durably(&unfinished, bytes)?;
    fs::rename(&unfinished, path)?;
    path.parent().map_or(Ok(()), sync_folder)
}

fn write_durably(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = fs::File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    fs::File::open(folder)?.sync_all()
}

fn count(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

const PLAN_FILE: &str = "plan.json";
const CURRENCY_FILE: &str = "currency";
const UNFINISHED: &str = "unfinished";
/// Hexadecimal digits of a version.
const NAME_LENGTH: usize = 32;
