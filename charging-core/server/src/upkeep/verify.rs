//! Every file of a ledger read and every committed change applied, for a report to people.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use ledger::Books;
use segment_log::{DirStorage, Position, Record, Storage, Survey};
use serde::Serialize;
use types::{Currency, Money};

use super::files::ledger_in;
use super::manifest::{Manifest, count};
use super::{Progress, TARIFFS, UpkeepError};
use crate::store::{entry, snapshot};
use crate::tariffs;

/// What is in a ledger's files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct LedgerReport {
    /// Snapshots, the newest first.
    pub snapshots: Vec<SnapshotReport>,
    /// Segments of the log, oldest first.
    pub segments: Vec<SegmentReport>,
    /// Records behind the last that is marked as committed: on their way in a running core; after a crash its next start decides.
    pub uncommitted_records: u64,
    /// What the files recover to; absent when they do not.
    pub books: Option<Totals>,
    /// Tariff versions that kept sessions were rated with.
    pub tariff_versions: u64,
    /// Everything that is wrong, in words.
    pub faults: Vec<String>,
}

/// One snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SnapshotReport {
    /// Its file.
    pub name: &'static str,
    /// The first position of the log that is not in it; absent when it cannot be read.
    pub position: Option<u64>,
    /// Octets of its content; absent when it cannot be read.
    pub bytes: Option<u64>,
}

/// One segment of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SegmentReport {
    /// Its file.
    pub name: String,
    /// The position of its first record.
    pub first: u64,
    /// The position after its last committed record.
    pub next: u64,
    /// Committed records that check.
    pub records: u64,
    /// Octets of the file.
    pub file_bytes: u64,
    /// Damaged places.
    pub damaged_places: u64,
    /// Records lost in them.
    pub lost: u64,
}

/// The recovered books.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Where their snapshot stands; 0 without one.
    pub snapshot_position: u64,
    /// The first position that is not in them.
    pub position: u64,
    /// Accounts.
    pub accounts: u64,
    /// Sessions that are open.
    pub open_sessions: u64,
    /// Sessions whose answers are kept, the open ones included.
    pub kept_sessions: u64,
    /// Money by currency.
    pub currencies: Vec<CurrencyTotals>,
}

/// Money of all accounts of one currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CurrencyTotals {
    /// Which.
    pub currency: Currency,
    /// Sum of the main balances.
    pub balance: Money,
    /// The part that sessions hold.
    pub held: Money,
}

impl LedgerReport {
    /// Nothing is wrong.
    pub fn is_whole(&self) -> bool {
        self.faults.is_empty()
    }

    /// A core starts with all that was acknowledged, whatever is wrong.
    pub fn is_recoverable(&self) -> bool {
        self.books.is_some()
    }
}

/// Reads the ledger in `data_dir`, or in a backup, and tells what it finds. Changes nothing.
///
/// # Errors
/// When there is no ledger, or the system does not let its files be read. Damage is no error here.
pub fn verify(data_dir: &Path, progress: Progress<'_>) -> Result<LedgerReport, UpkeepError> {
    let storage = Arc::new(ledger_in(data_dir)?);
    let mut report = LedgerReport::default();
    if let Some(manifest) = Manifest::read(data_dir)? {
        match manifest.check(data_dir, progress) {
            Err(error @ UpkeepError::Damaged { .. }) => report.faults.push(chain(&error)),
            other => other?,
        }
    }
    look_at_snapshots(&storage, &mut report);
    let books = replay(&storage, &mut report, progress)?;
    if let Some((books, from, position)) = books {
        if let Err(error) = tariffs::check_kept(&data_dir.join(TARIFFS), books.plan_versions()) {
            report.faults.push(chain(&error));
        }
        report.tariff_versions = count(books.plan_versions().count());
        match books.check() {
            Ok(()) => report.books = Some(totals(&books, from, position)),
            Err(imbalance) => report.faults.push(format!("the books do not balance: {imbalance}")),
        }
    }
    Ok(report)
}

fn look_at_snapshots(storage: &Arc<DirStorage>, report: &mut LedgerReport) {
    for name in [snapshot::NEWEST, snapshot::PREVIOUS] {
        match snapshot::read_named(&**storage, name) {
            Ok(None) => {}
            Ok(Some(kept)) => report.snapshots.push(SnapshotReport {
                name,
                position: Some(kept.at.index()),
                bytes: kept.content.map(|content| count(content.len())),
            }),
            Err(error) => {
                report.snapshots.push(SnapshotReport { name, position: None, bytes: None });
                report.faults.push(chain(&error));
            }
        }
    }
}

/// Applies what stands behind the snapshot that a core would start from. None: it could not start.
fn replay(
    storage: &Arc<DirStorage>,
    report: &mut LedgerReport,
    progress: Progress<'_>,
) -> Result<Option<(Books, u64, u64)>, UpkeepError> {
    let survey = Survey::open(Arc::clone(storage) as Arc<dyn Storage>)?;
    let mut replay = match snapshot::read(&**storage) {
        Ok(kept) => Some(Replay { books: kept.books, next: kept.at, fault: None }),
        Err(error) => {
            report.faults.push(chain(&error));
            None
        }
    };
    let from = replay.as_ref().map_or(Position::ZERO, |replay| replay.next);
    let total = count(survey.segments().len());
    for number in 0..survey.segments().len() {
        progress("segments", count(number), total);
        let seen = survey.segment(number, &mut |record| {
            if let Some(replay) = &mut replay {
                replay.apply(&record);
            }
        })?;
        // Removed meanwhile by a core that runs.
        let Some(seen) = seen else { continue };
        let segment = SegmentReport {
            name: seen.file.name,
            first: seen.file.first.index(),
            next: seen.next.index(),
            records: seen.records,
            file_bytes: seen.file_bytes,
            damaged_places: seen.damaged.regions,
            lost: seen.damaged.records,
        };
        if seen.damaged.regions > 0 || seen.damaged.records > 0 {
            let (name, places, lost) = (&segment.name, segment.damaged_places, segment.lost);
            report.faults.push(format!("{name} is damaged in {places} places, {lost} records are lost"));
        }
        report.uncommitted_records += seen.uncommitted.map_or(0, |uncommitted| uncommitted.records);
        report.segments.push(segment);
    }
    progress("segments", total, total);
    let Some(replay) = replay else { return Ok(None) };
    if let Some(fault) = replay.fault {
        report.faults.push(fault);
        return Ok(None);
    }
    let damaged_behind = report.segments.iter().any(|segment| segment.lost > 0 && segment.next > from.index());
    Ok((!damaged_behind).then_some((replay.books, from.index(), replay.next.index())))
}

struct Replay {
    books: Books,
    /// The position that has to come.
    next: Position,
    /// Why it stopped.
    fault: Option<String>,
}

impl Replay {
    fn apply(&mut self, record: &Record<'_>) {
        if self.fault.is_some() || record.position < self.next {
            return;
        }
        let position = record.position.index();
        if record.position > self.next {
            self.fault = Some(format!("records {} to {position} are missing", self.next.index()));
            return;
        }
        let applied = entry::decode(position, record.payload).map_err(|error| chain(&error)).and_then(|changes| {
            let unfit = |error: ledger::ApplyError| format!("the record at position {position} does not fit: {error}");
            self.books.apply_all(&changes).map_err(unfit)
        });
        match applied {
            Ok(()) => self.next = record.position.next(),
            Err(fault) => self.fault = Some(fault),
        }
    }
}

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

fn totals(books: &Books, from: u64, position: u64) -> Totals {
    let mut currencies: BTreeMap<Currency, (Money, Money)> = BTreeMap::new();
    for account in books.accounts(None) {
        let sums = currencies.entry(account.currency).or_default();
        sums.0 += account.balance;
        sums.1 += account.held;
    }
    let currencies =
        currencies.into_iter().map(|(currency, (balance, held))| CurrencyTotals { currency, balance, held });
    Totals {
        snapshot_position: from,
        position,
        accounts: count(books.account_count()),
        open_sessions: count(books.open_session_count()),
        kept_sessions: count(books.kept_session_count()),
        currencies: currencies.collect(),
    }
}
