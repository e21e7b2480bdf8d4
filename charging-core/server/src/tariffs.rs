//! Tariff versions: the one in force for new sessions, and every older one that a running session was rated with.
//!
//! Each version that was ever in force is kept in the data directory, so that a restart prices an old session as
//! before, whatever the operator's folder says now.

use std::collections::HashMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use rating::{LoadErrors, Plan, PlanOptions, Table, Tables};
use types::Currency;

/// Why a tariff cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TariffError {
    /// The operator's folder has faults.
    #[error("tariff folder {folder}:\n{faults}")]
    Faulty {
        /// The folder.
        folder: PathBuf,
        /// All of them.
        faults: LoadErrors,
    },
    /// A kept version cannot be read or written.
    #[error("tariff version in {path}")]
    Kept {
        /// File or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A kept version does not load any more.
    #[error("tariff version in {path} is damaged: put back the files of that folder from a backup, or move it away")]
    Damaged {
        /// Its folder.
        path: PathBuf,
    },
    /// Not a currency.
    #[error("{0:?} is not a currency")]
    Currency(Box<str>),
}

/// All versions.
#[derive(Debug)]
pub struct Tariffs {
    versions: RwLock<Versions>,
    kept_in: PathBuf,
}

#[derive(Debug, Default)]
struct Versions {
    current: Option<Arc<Plan>>,
    by_version: HashMap<u128, Arc<Plan>>,
}

impl Tariffs {
    /// Loads what is kept in `kept_in`, then the operator's `folder`, which becomes the version in force.
    pub fn open(kept_in: &Path, folder: Option<&Path>, currency: &str) -> Result<Self, TariffError> {
        let currency: Currency = currency.parse().map_err(|_| TariffError::Currency(currency.into()))?;
        let tariffs = Self { versions: RwLock::default(), kept_in: kept_in.to_path_buf() };
        tariffs.load_kept()?;
        if let Some(folder) = folder {
            let plan =
                Plan::load(folder, currency).map_err(|faults| TariffError::Faulty { folder: folder.into(), faults })?;
            for warning in plan.warnings() {
                tracing::warn!(folder = %folder.display(), %warning, "tariff");
            }
            tariffs.put_in_force(Arc::new(plan))?;
        }
        Ok(tariffs)
    }

    /// The version in force.
    pub fn current(&self) -> Option<Arc<Plan>> {
        self.versions.read().unwrap_or_else(PoisonError::into_inner).current.clone()
    }

    /// A version that is or was in force.
    pub fn version(&self, version: u128) -> Option<Arc<Plan>> {
        self.versions.read().unwrap_or_else(PoisonError::into_inner).by_version.get(&version).cloned()
    }

    fn put_in_force(&self, plan: Arc<Plan>) -> Result<(), TariffError> {
        self.keep(&plan)?;
        let mut versions = self.versions.write().unwrap_or_else(PoisonError::into_inner);
        versions.by_version.insert(plan.version().bits(), Arc::clone(&plan));
        versions.current = Some(plan);
        Ok(())
    }

    fn load_kept(&self) -> Result<(), TariffError> {
        let kept = |path: &Path, source| TariffError::Kept { path: path.into(), source };
        fs::create_dir_all(&self.kept_in).map_err(|error| kept(&self.kept_in, error))?;
        for entry in fs::read_dir(&self.kept_in).map_err(|error| kept(&self.kept_in, error))? {
            let path = entry.map_err(|error| kept(&self.kept_in, error))?.path();
            if path.extension().is_some_and(|extension| extension == UNFINISHED) {
                continue;
            }
            let text = fs::read_to_string(path.join(CURRENCY_FILE)).map_err(|error| kept(&path, error))?;
            let damaged = || TariffError::Damaged { path: path.clone() };
            let currency: Currency = text.trim().parse().map_err(|_| damaged())?;
            let plan = Plan::load(&path, PlanOptions::from(currency)).map_err(|_| damaged())?;
            if path.file_name().is_none_or(|name| *name != *plan.version().to_string()) {
                return Err(damaged());
            }
            let mut versions = self.versions.write().unwrap_or_else(PoisonError::into_inner);
            versions.by_version.insert(plan.version().bits(), Arc::new(plan));
        }
        Ok(())
    }

    /// Written beside its place and renamed: half a version is never read.
    fn keep(&self, plan: &Plan) -> Result<(), TariffError> {
        let path = self.kept_in.join(plan.version().to_string());
        if path.is_dir() {
            return Ok(());
        }
        let unfinished = path.with_extension(UNFINISHED);
        let write = || -> std::io::Result<()> {
            if unfinished.is_dir() {
                fs::remove_dir_all(&unfinished)?;
            }
            fs::create_dir_all(&unfinished)?;
            let tables: &Tables = plan.to_tables();
            let files = Table::ALL.into_iter().map(|table| (table.file_name(), tables.text(table)));
            for (name, text) in files.chain([(CURRENCY_FILE, plan.currency().as_str())]) {
                let mut file = fs::File::create(unfinished.join(name))?;
                file.write_all(text.as_bytes())?;
                file.sync_all()?;
            }
            fs::File::open(&unfinished)?.sync_all()?;
            fs::rename(&unfinished, &path)?;
            fs::File::open(&self.kept_in)?.sync_all()
        };
        write().map_err(|source| TariffError::Kept { path, source })
    }
}

const CURRENCY_FILE: &str = "currency";
const UNFINISHED: &str = "unfinished";
