//! Table texts to typed rows, each with its line; and the canonical texts.
//!
//! Lines beginning with `#` and blank lines do not count, columns are positional, spaces round cells are dropped. Every
//! fault is kept and reading goes on, so that one run shows them all.

use csv::{ReaderBuilder, StringRecord, Trim, WriterBuilder};
use types::{Money, UtcMs};

use crate::calendar::Timing;
use crate::fault::{LoadFault, Problem};
use crate::fields;
use crate::geography::Destinations;
use crate::rounding::RoundingMethod;
use crate::tables::{Table, Tables};

/// All rows of a plan that could be read.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    pub timings: Vec<TimingRow>,
    pub destinations: Destinations,
    pub rates: Vec<RateRow>,
    pub destination_rates: Vec<DestinationRateRow>,
    pub rating_plans: Vec<RatingPlanRow>,
    pub profiles: Vec<ProfileRow>,
}

#[derive(Debug)]
pub(crate) struct TimingRow {
    pub line: u64,
    pub tag: Box<str>,
    /// A schedule for actions is no fault until a rating plan uses it: the fault that it is then.
    pub timing: Result<Timing, LoadFault>,
}

#[derive(Debug)]
pub(crate) struct RateRow {
    pub line: u64,
    pub id: Box<str>,
    pub connect_fee: Money,
    pub rate: Money,
    pub unit: u64,
    pub increment: u64,
    pub start: u64,
}

#[derive(Debug)]
pub(crate) struct DestinationRateRow {
    pub line: u64,
    pub id: Box<str>,
    pub destination: Box<str>,
    pub rate: Box<str>,
    pub method: RoundingMethod,
    pub decimals: u8,
    pub max_cost: Option<(Money, MaxCostStrategy)>,
}

/// What happens at the maximum cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MaxCostStrategy {
    /// The cost stops growing.
    Free,
    /// The usage ends.
    Disconnect,
}

#[derive(Debug)]
pub(crate) struct RatingPlanRow {
    pub line: u64,
    pub id: Box<str>,
    pub destination_rate: Box<str>,
    pub timing: Box<str>,
    pub weight: Money,
}

#[derive(Debug)]
pub(crate) struct ProfileRow {
    pub line: u64,
    pub tenant: Box<str>,
    pub category: Box<str>,
    pub subject: Box<str>,
    pub activation: UtcMs,
    pub rating_plan: Box<str>,
    pub fallback: Box<[Box<str>]>,
}

/// What was read of a plan: the rows, the canonical texts (every row that counts, in the order of the file), the faults.
#[derive(Debug, Default)]
pub(crate) struct TableTexts {
    pub rows: Rows,
    pub canonical: Tables,
    pub faults: Vec<LoadFault>,
}

impl TableTexts {
    /// Reads one table. Tells `progress` now and then how many bytes of it are done.
    pub(crate) fn read(&mut self, table: Table, text: &str, progress: &mut dyn FnMut(u64)) {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let canonical = WriterBuilder::new().flexible(true).from_writer(Vec::with_capacity(text.len()));
        let mut reader = TableReader { table, faults: &mut self.faults, canonical, progress };
        let rows = &mut self.rows;
        match table {
            Table::Timings => reader.each(text, |cells| rows.timings.extend(timing(cells))),
            Table::Destinations => {
                // An estimate: short rows, half of each the prefix.
                rows.destinations.reserve(text.len() / 16, text.len() / 2);
                reader.each(text, |cells| destination(cells, &mut rows.destinations));
            }
            Table::Rates => reader.each(text, |cells| rows.rates.extend(rate(cells))),
            Table::DestinationRates => {
                reader.each(text, |cells| rows.destination_rates.extend(destination_rate(cells)))
            }
            Table::RatingPlans => reader.each(text, |cells| rows.rating_plans.extend(rating_plan(cells))),
            Table::RatingProfiles => reader.each(text, |cells| rows.profiles.extend(profile(cells))),
        }
        *self.canonical.text_mut(table) = reader.canonical_text();
    }
}

struct TableReader<'f> {
    table: Table,
    faults: &'f mut Vec<LoadFault>,
    canonical: csv::Writer<Vec<u8>>,
    progress: &'f mut dyn FnMut(u64),
}

impl TableReader<'_> {
    fn each(&mut self, text: &str, mut row: impl FnMut(&mut Cells<'_>)) {
        let mut reader = ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .comment(Some(b'#'))
            .trim(Trim::All)
            .from_reader(text.as_bytes());
        let mut record = StringRecord::new();
        let mut since_progress = 0;
        loop {
            match reader.read_record(&mut record) {
                Ok(false) => break,
                Ok(true) => {
                    let line = line_of(text, &record);
                    if record.iter().any(|cell| !cell.is_empty()) {
                        self.row(line, &record, &mut row);
                    }
                }
                Err(error) => {
                    let line = error.position().map_or(0, csv::Position::line);
                    self.faults.push(LoadFault {
                        table: self.table,
                        line,
                        column: None,
                        found: "".into(),
                        problem: Problem::Malformed,
                    });
                }
            }
            since_progress += 1;
            if since_progress == ROWS_PER_PROGRESS {
                since_progress = 0;
                (self.progress)(reader.position().byte());
            }
        }
        (self.progress)(u64::try_from(text.len()).unwrap_or(u64::MAX));
    }

    fn row(&mut self, line: u64, record: &StringRecord, row: &mut impl FnMut(&mut Cells<'_>)) {
        let table = self.table;
        let mut cells: Vec<&str> = record.iter().collect();
        // The old layout: a leading Direction in RatingProfiles, and CdrStatQueueIds behind.
        let old_layout = table == Table::RatingProfiles && cells.first().is_some_and(|cell| DIRECTIONS.contains(cell));
        let direction = if old_layout { cells.remove(0) } else { OUTBOUND };
        let expected = table.columns().len();
        let behind = if table == Table::RatingProfiles { expected + 1 } else { expected };
        let surplus = cells.get(behind..).is_some_and(|more| more.iter().any(|cell| !cell.is_empty()));
        let mut cells_of_row = Cells { table, line, cells, faults: self.faults, faulty: false };
        if direction != OUTBOUND {
            cells_of_row.fault(None, direction, Problem::Direction);
        } else if cells_of_row.cells.len() < expected || surplus {
            let found = cells_of_row.cells.len();
            cells_of_row.fault(None, "", Problem::Cells { found, expected });
        } else {
            cells_of_row.cells.truncate(expected);
            // Writing to memory cannot fail; a row that could not be written would be missed by the version test.
            if self.canonical.write_record(&cells_of_row.cells).is_err() {
                cells_of_row.fault(None, "", Problem::Malformed);
            }
            row(&mut cells_of_row);
        }
    }

    fn canonical_text(self) -> String {
        self.canonical.into_inner().ok().and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default()
    }
}

/// The reader's position is that of the comments and blank lines before a record; the record itself begins after them.
fn line_of(text: &str, record: &StringRecord) -> u64 {
    let Some(position) = record.position() else { return 0 };
    let start = usize::try_from(position.byte()).unwrap_or(usize::MAX);
    let rest = text.get(start..).unwrap_or_default();
    let skipped = rest.split('\n').take_while(|line| line.starts_with('#') || line.trim_end_matches('\r').is_empty());
    position.line() + u64::try_from(skipped.count()).unwrap_or(0)
}

/// The cells of one row, and where their faults go.
struct Cells<'r> {
    table: Table,
    line: u64,
    cells: Vec<&'r str>,
    faults: &'r mut Vec<LoadFault>,
    faulty: bool,
}

impl<'r> Cells<'r> {
    fn fault(&mut self, column: Option<usize>, found: &str, problem: Problem) {
        self.faulty = true;
        self.faults.push(LoadFault { table: self.table, line: self.line, column, found: found.into(), problem });
    }

    fn cell(&self, column: usize) -> &'r str {
        self.cells.get(column).copied().unwrap_or_default()
    }

    fn id(&mut self, column: usize) -> Box<str> {
        self.present(column).into()
    }

    fn present(&mut self, column: usize) -> &'r str {
        let cell = self.cell(column);
        if cell.is_empty() {
            self.fault(Some(column), "", Problem::Empty);
        }
        cell
    }

    /// A row with a fault is none: nothing is made of half of it.
    fn whole<Row>(&self, row: Row) -> Option<Row> {
        if self.faulty { None } else { Some(row) }
    }

    /// The value of a cell, or a fault and nothing; the row's other cells are still looked at.
    fn parse<T>(&mut self, column: usize, parse: impl Fn(&str) -> Result<T, Problem>) -> Option<T> {
        let cell = self.cell(column);
        parse(cell).map_err(|problem| self.fault(Some(column), cell, problem)).ok()
    }
}

fn timing(cells: &mut Cells<'_>) -> Option<TimingRow> {
    let tag = cells.id(0);
    let parsed = fields::timing([cells.cell(1), cells.cell(2), cells.cell(3), cells.cell(4), cells.cell(5)]);
    let timing = match parsed {
        Ok(timing) => Ok(timing),
        Err((column, problem @ (Problem::Schedule | Problem::TimeRange))) => Err(LoadFault {
            table: Table::Timings,
            line: cells.line,
            column: Some(column),
            found: cells.cell(column).into(),
            problem,
        }),
        Err((column, problem)) => {
            let found = cells.cell(column);
            cells.fault(Some(column), found, problem);
            return None;
        }
    };
    cells.whole(TimingRow { line: cells.line, tag, timing })
}

fn destination(cells: &mut Cells<'_>, destinations: &mut Destinations) {
    let (id, prefix) = (cells.present(0), cells.present(1));
    if prefix.len() > MAX_PREFIX_BYTES {
        cells.fault(Some(1), prefix, Problem::TooLong { limit: MAX_PREFIX_BYTES });
    }
    if !cells.faulty {
        destinations.push(id, prefix);
    }
}

fn rate(cells: &mut Cells<'_>) -> Option<RateRow> {
    let id = cells.id(0);
    let connect_fee = cells.parse(1, fields::amount);
    let rate = cells.parse(2, fields::amount);
    let unit = cells.parse(3, fields::units);
    let increment = cells.parse(4, fields::units);
    let start = cells.parse(5, fields::units);
    let (connect_fee, rate, unit, increment, start) = (connect_fee?, rate?, unit?, increment?, start?);
    // What costs nothing costs nothing per any unit; a step of 0 is no step at all.
    if unit == 0 && !rate.is_zero() {
        cells.fault(Some(3), cells.cell(3), Problem::Zero);
    }
    if increment == 0 {
        cells.fault(Some(4), cells.cell(4), Problem::Zero);
    }
    cells.whole(RateRow { line: cells.line, id, connect_fee, rate, unit: unit.max(1), increment, start })
}

fn destination_rate(cells: &mut Cells<'_>) -> Option<DestinationRateRow> {
    let (id, destination, rate) = (cells.id(0), cells.id(1), cells.id(2));
    let method = cells.parse(3, fields::method);
    let decimals = cells.parse(4, fields::decimals);
    let max = cells.parse(5, fields::max_cost)?;
    let max_cost = match (max, cells.cell(6)) {
        (None, "" | "*free" | "*disconnect") => None,
        (Some(max), "*free") => Some((max, MaxCostStrategy::Free)),
        (Some(max), "*disconnect") => Some((max, MaxCostStrategy::Disconnect)),
        (_, found) => {
            cells.fault(Some(6), found, Problem::Strategy);
            None
        }
    };
    let (method, decimals) = (method?, decimals?);
    cells.whole(DestinationRateRow { line: cells.line, id, destination, rate, method, decimals, max_cost })
}

fn rating_plan(cells: &mut Cells<'_>) -> Option<RatingPlanRow> {
    let (id, destination_rate) = (cells.id(0), cells.id(1));
    let timing = match cells.cell(2) {
        "" => fields::ANY,
        timing => timing,
    };
    let weight = cells.parse(3, fields::weight)?;
    cells.whole(RatingPlanRow { line: cells.line, id, destination_rate, timing: timing.into(), weight })
}

fn profile(cells: &mut Cells<'_>) -> Option<ProfileRow> {
    let (tenant, category, subject) = (cells.id(0), cells.id(1), cells.id(2));
    let activation = cells.parse(3, fields::activation);
    let rating_plan = cells.id(4);
    let fallback = cells.cell(5).split(';').map(str::trim).filter(|subject| !subject.is_empty()).map(Box::from);
    let (line, activation, fallback) = (cells.line, activation?, fallback.collect());
    cells.whole(ProfileRow { line, tenant, category, subject, activation, rating_plan, fallback })
}

/// Rows between two calls of the progress.
const ROWS_PER_PROGRESS: u32 = 4096;
const OUTBOUND: &str = "*out";
const DIRECTIONS: [&str; 2] = [OUTBOUND, "*in"];
/// Longer than any number, name or SIP address that is dialled; keeps the trie's counters small.
const MAX_PREFIX_BYTES: usize = 255;
