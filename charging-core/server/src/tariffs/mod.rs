//! Tariff versions: which one is in force when, and every one that was ever loaded.
//!
//! A version is kept in the data directory when it is loaded ([`kept`]), and each load and activation is written to the
//! history ([`history`]), which survives restarts and crashes. In memory are the plans that may still be needed: those in
//! force since the oldest request that may yet come (outboxes send late, with original times), those to come, and those
//! that kept sessions were rated with. A session keeps the version it began with.
//!
//! The operator's folder is loaded and put in force at start when its content, or a setting, is another one than at the
//! last such load; so an activation by hand is not undone by a restart.

mod cells;
mod compare;
mod error;
mod history;
mod kept;
mod lookup;
mod resident;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::time::{SystemTime, UNIX_EPOCH};

use metrics::gauge;
use rating::{LoadErrors, Plan, PlanOptions, PlanVersion, Tables, TimeZone};
use types::{Tenant, UtcMs};

pub use compare::{RowCounts, RowDifference, row_differences};
pub use error::TariffError;
pub use history::{Entry, Kind};
pub use kept::{Counts, Summary};
pub use lookup::{TableRow, Wanted, rows_of};

use crate::config::TariffConfig;
use crate::metric::names;
use kept::Kept;
pub(crate) use resident::Resident;

/// All versions.
#[derive(Debug)]
pub struct Tariffs {
    kept: Kept,
    options: PlanOptions,
    window_ms: u64,
    resident: RwLock<Resident>,
    /// Held while something is loaded or activated: one after the other.
    history: Mutex<Vec<Entry>>,
}

/// Whether each of these versions is kept in `folder` and can be priced with.
///
/// # Errors
/// The first that is missing or damaged, or a damaged history.
pub(crate) fn check_kept(folder: &Path, versions: impl IntoIterator<Item = u128>) -> Result<(), TariffError> {
    if !folder.is_dir() {
        // A ledger that never rated anything may have none.
        return versions.into_iter().next().map_or(Ok(()), |version| {
            Err(TariffError::NotKept { version: PlanVersion::from_bits(version), folder: folder.into() })
        });
    }
    let kept = Kept::open(folder)?;
    for version in versions {
        kept.read(PlanVersion::from_bits(version))?;
    }
    history::read(folder).map(|_| ())
}

/// Who does something, and why.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Author {
    /// Absent: unknown.
    pub by: Option<Box<str>>,
    /// Absent: nothing was said.
    pub comment: Option<Box<str>>,
}

impl Tariffs {
    /// Reads what is kept in `kept_in`, and loads the configured folder if it is new. `window_ms`: how far back a request
    /// may have begun that has not come yet.
    ///
    /// # Errors
    /// When the folder or a setting has faults, or a version in force or to come cannot be read.
    pub fn open(kept_in: &Path, config: &TariffConfig, window_ms: u64) -> Result<Self, TariffError> {
        let kept = Kept::open(kept_in)?;
        let history = history::read(kept_in)?;
        let tariffs = Self {
            kept,
            options: config.options()?,
            window_ms,
            resident: RwLock::default(),
            history: Mutex::new(history),
        };
        if let Some(folder) = &config.folder {
            tariffs.load_folder(folder)?;
        }
        let timeline = history::timeline(tariffs.entries().iter());
        let schedule = tariffs.schedule(&timeline, utc_now())?;
        tariffs.change(|resident| resident.schedule(schedule));
        Ok(tariffs)
    }

    /// The clock of a tenant, by which its days begin.
    pub fn time_zone(&self, tenant: &Tenant) -> &TimeZone {
        &self.options.tenant(tenant.as_str()).time_zone
    }

    /// The version in force for what begins now.
    pub fn current(&self) -> Option<Arc<Plan>> {
        let now = utc_now();
        self.in_force(now, now)
    }

    /// The version for what began at `start`, as known at `now`: a start in the future counts as now, one before all
    /// versions (or before those that are still held in memory) as the start of the first.
    pub fn in_force(&self, start: UtcMs, now: UtcMs) -> Option<Arc<Plan>> {
        self.resident().in_force(start, now).cloned()
    }

    /// The version in force for what begins at `now`, and since when it is.
    pub fn in_force_since(&self, now: UtcMs) -> Option<(PlanVersion, UtcMs)> {
        self.resident().since(now)
    }

    /// A version that is held in memory: each that a kept session was rated with is.
    pub fn version(&self, version: u128) -> Option<Arc<Plan>> {
        self.resident().plan(PlanVersion::from_bits(version)).cloned()
    }

    /// Any kept version; reads it from disk when it is not held in memory.
    ///
    /// # Errors
    /// When it is not kept or is damaged.
    pub fn read(&self, version: PlanVersion) -> Result<Arc<Plan>, TariffError> {
        self.version(version.bits()).map_or_else(|| self.kept.read(version).map(Arc::new), Ok)
    }

    /// Holds a version in memory for the sessions that were rated with it.
    ///
    /// # Errors
    /// As [`Tariffs::read`].
    pub fn hold(&self, version: u128) -> Result<(), TariffError> {
        self.hold_plan(self.read(PlanVersion::from_bits(version))?);
        Ok(())
    }

    /// The version of a name, of all its digits, or of the first of them (four at least).
    ///
    /// # Errors
    /// When none or more than one fits.
    pub fn find(&self, text: &str) -> Result<PlanVersion, TariffError> {
        let unknown = || TariffError::Unknown { asked: text.into() };
        if let Some(entry) = self.entries().iter().rev().find(|entry| entry.name.as_deref() == Some(text)) {
            return Ok(entry.version);
        }
        if text.len() < FEWEST_DIGITS || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(unknown());
        }
        let digits = text.to_ascii_lowercase();
        let mut fitting = self.kept.list()?.into_iter().filter(|version| version.to_string().starts_with(&digits));
        match (fitting.next(), fitting.count()) {
            (None, _) => Err(unknown()),
            (Some(version), 0) => Ok(version),
            (Some(_), more) => Err(TariffError::Ambiguous { asked: text.into(), versions: more + 1 }),
        }
    }

    /// Makes a plan with the configured settings; nothing is kept yet.
    ///
    /// # Errors
    /// All faults of the tables.
    pub fn build(&self, tables: &Tables) -> Result<Plan, LoadErrors> {
        Plan::from_tables(tables, &self.options)
    }

    /// Keeps a version and writes it to the history; what is in force does not change.
    ///
    /// # Errors
    /// When the name is no name or another version's, or the disk refuses.
    pub fn keep(&self, plan: &Arc<Plan>, name: Option<&str>, author: Author) -> Result<Entry, TariffError> {
        let entry = self.keep_from(plan, name, author, None)?;
        self.change(|resident| resident.refresh(Arc::clone(plan)));
        Ok(entry)
    }

    /// Puts a kept version in force, now or from a time on.
    ///
    /// # Errors
    /// When it is not kept or is damaged, the time has passed, or the disk refuses.
    pub fn activate(&self, version: PlanVersion, from: Option<UtcMs>, author: Author) -> Result<Entry, TariffError> {
        let plan = self.read(version)?;
        self.put_in_force(&plan, from, author, None)
    }

    /// All loads and activations, oldest first.
    pub fn history(&self) -> Vec<Entry> {
        self.entries().clone()
    }

    /// All kept versions, in the order of their digits.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn versions(&self) -> Result<Vec<PlanVersion>, TariffError> {
        let mut versions = self.kept.list()?;
        versions.sort();
        Ok(versions)
    }

    /// Settings and counts of a version.
    ///
    /// # Errors
    /// As [`Tariffs::read`].
    pub fn summary(&self, version: PlanVersion) -> Result<Summary, TariffError> {
        self.kept.summary(version)
    }

    /// Activations to come, the next one first.
    pub fn scheduled(&self, now: UtcMs) -> Vec<(UtcMs, PlanVersion)> {
        let mut timeline = history::timeline(self.entries().iter());
        timeline.retain(|(from, _)| *from > now);
        timeline
    }

    /// Lets go of plans that can be needed no more; `used` are those of the kept sessions, asked after
    /// [`Tariffs::narrow`].
    pub fn forget_unused(&self, used: &[u128]) -> usize {
        self.change(|resident| resident.forget_unused(used))
    }

    /// From now on, nothing new is rated with versions that were replaced longer ago than requests may come late.
    pub fn narrow(&self) {
        let first = utc_now().0.saturating_sub_unsigned(self.window_ms);
        self.change(|resident| resident.narrow(UtcMs(first)));
    }

    fn load_folder(&self, folder: &Path) -> Result<(), TariffError> {
        let plan = Plan::load(folder, &self.options)
            .map_err(|faults| TariffError::Faulty { folder: folder.into(), faults })?;
        for warning in plan.warnings() {
            tracing::warn!(folder = %folder.display(), %warning, "tariff");
        }
        let last = self.entries().iter().rev().find(|entry| entry.folder.is_some()).map(|entry| entry.version);
        if last == Some(plan.version()) {
            // As it is, the kept copy need not be read again.
            self.kept.write(&plan)?;
            self.hold_plan(Arc::new(plan));
            return Ok(());
        }
        let author = || Author { by: Some("configuration".into()), comment: None };
        self.keep_from(&plan, None, author(), Some(folder))?;
        self.put_in_force(&Arc::new(plan), None, author(), Some(folder)).map(drop)
    }

    fn keep_from(
        &self,
        plan: &Plan,
        name: Option<&str>,
        author: Author,
        folder: Option<&Path>,
    ) -> Result<Entry, TariffError> {
        let mut history = self.entries();
        self.check_name(name, plan.version(), &history)?;
        self.kept.write(plan)?;
        let before = self.current();
        let rows = compare::changed_rows(before.as_deref(), plan);
        let before = before.map(|plan| plan.version());
        let entry = Entry { rows, ..self.entry(Kind::Loaded, plan.version(), author, before, &history) };
        let entry = Entry { name: name.map(Box::from), folder: folder.map(Path::to_path_buf), ..entry };
        self.append(&mut history, entry)
    }

    fn put_in_force(
        &self,
        plan: &Arc<Plan>,
        from: Option<UtcMs>,
        author: Author,
        folder: Option<&Path>,
    ) -> Result<Entry, TariffError> {
        let mut history = self.entries();
        let now = utc_now();
        let from = from.unwrap_or(now);
        if from < now {
            return Err(TariffError::Passed { from, now });
        }
        if from > LAST_TIME {
            return Err(TariffError::TooFar { last: LAST_TIME });
        }
        let before = self.current().map(|plan| plan.version());
        let entry = self.entry(Kind::Activated, plan.version(), author, before, &history);
        let name = history.iter().rev().find(|entry| entry.version == plan.version() && entry.name.is_some());
        let name = name.and_then(|entry| entry.name.clone());
        let entry = Entry { name, from: Some(from), folder: folder.map(Path::to_path_buf), ..entry };
        // First all that can fail, then the word that counts after a restart, then what counts now.
        self.hold_plan(Arc::clone(plan));
        let schedule = self.schedule(&history::timeline(history.iter().chain([&entry])), now)?;
        let entry = self.append(&mut history, entry)?;
        self.change(|resident| resident.schedule(schedule));
        Ok(entry)
    }

    fn check_name(&self, name: Option<&str>, version: PlanVersion, history: &[Entry]) -> Result<(), TariffError> {
        let Some(name) = name else { return Ok(()) };
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        let digits_only = name.bytes().all(|byte| byte.is_ascii_hexdigit());
        if name.is_empty() || name.len() > LONGEST_NAME || digits_only || !name.bytes().all(plain) {
            return Err(TariffError::Name { name: name.into() });
        }
        match history.iter().find(|entry| entry.name.as_deref() == Some(name) && entry.version != version) {
            Some(taken) => Err(TariffError::NameTaken { name: name.into(), version: taken.version }),
            None => Ok(()),
        }
    }

    fn entry(
        &self,
        kind: Kind,
        version: PlanVersion,
        author: Author,
        before: Option<PlanVersion>,
        history: &[Entry],
    ) -> Entry {
        let sequence = history.last().map_or(1, |entry| entry.sequence.saturating_add(1));
        let Author { by, comment } = author;
        let (name, folder, from, rows) = (None, None, None, Vec::new());
        Entry { sequence, time: utc_now(), kind, version, name, by, comment, folder, from, before, rows }
    }

    /// Durable, then known; a disk that refuses leaves both as they were.
    fn append(&self, history: &mut Vec<Entry>, entry: Entry) -> Result<Entry, TariffError> {
        history.push(entry.clone());
        if let Err(error) = history::write(self.kept.folder(), history) {
            history.pop();
            return Err(error);
        }
        Ok(entry)
    }

    /// The plans that are or will be in force, read where they are not held; replaced ones as long as late requests may
    /// come.
    fn schedule(&self, timeline: &[(UtcMs, PlanVersion)], now: UtcMs) -> Result<Vec<(UtcMs, Arc<Plan>)>, TariffError> {
        let first = UtcMs(now.0.saturating_sub_unsigned(self.window_ms));
        let mut schedule = Vec::new();
        for (at, (from, version)) in timeline.iter().enumerate() {
            let until = timeline.get(at + 1).map(|(next, _)| *next);
            if until.is_some_and(|until| until <= first) {
                continue;
            }
            match self.read(*version) {
                Ok(plan) => schedule.push((*from, plan)),
                Err(error) if until.is_some_and(|until| until <= now) => {
                    tracing::warn!(%version, error = &error as &dyn std::error::Error, "a replaced tariff version cannot be read: late requests are rated with the next one");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(schedule)
    }

    /// What is held in memory. Whoever activates a version waits as long as this is kept.
    pub(crate) fn resident(&self) -> RwLockReadGuard<'_, Resident> {
        self.resident.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn hold_plan(&self, plan: Arc<Plan>) {
        self.change(|resident| resident.hold(plan));
    }

    fn change<T>(&self, change: impl FnOnce(&mut Resident) -> T) -> T {
        let mut resident = self.resident.write().unwrap_or_else(PoisonError::into_inner);
        let changed = change(&mut resident);
        gauge!(names::TARIFFS_HELD).set(f64::from(u32::try_from(resident.held()).unwrap_or(u32::MAX)));
        changed
    }

    fn entries(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The wall clock. A clock before 1970 counts as 1970.
pub(crate) fn utc_now() -> UtcMs {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UtcMs(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Fewer digits of a version name nothing: a word may look like them.
const FEWEST_DIGITS: usize = 4;
const LONGEST_NAME: usize = 64;
/// 9999-12-31T23:59:59Z: later times have no text.
const LAST_TIME: UtcMs = UtcMs(253_402_300_799_000);
