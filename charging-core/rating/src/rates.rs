//! Rates made exact: one common fraction of a nano unit for the increments of the whole plan.

use std::collections::HashMap;

use types::Money;

use crate::build::Notes;
use crate::fault::Problem;
use crate::rows::RateRow;
use crate::tables::Table;
use crate::tariff::{Group, Rate, index};

/// All rates, their indices by id, and the parts of a nano unit that their prices are counted in.
pub(crate) fn rates<'r>(rows: &'r [RateRow], notes: &mut Notes) -> (Vec<Rate>, HashMap<&'r str, u32>, i128) {
    let mut by_id: Vec<(&str, Vec<&RateRow>)> = Vec::new();
    let mut ids: HashMap<&str, u32> = HashMap::new();
    for row in rows {
        let at = *ids.entry(&row.id).or_insert(index(by_id.len()));
        match usize::try_from(at).ok().and_then(|at| by_id.get_mut(at)) {
            Some((_, group)) => group.push(row),
            None => by_id.push((&row.id, vec![row])),
        }
    }
    let fractions: HashMap<u64, (i128, i128)> =
        rows.iter().filter_map(|row| Some((row.line, increment_price(row, notes)?))).collect();
    let mut per_nano = 1;
    for row in rows {
        let Some((_, denominator)) = fractions.get(&row.line) else { continue };
        let common = per_nano / gcd(per_nano, *denominator) * denominator;
        if common > MAX_PER_NANO {
            notes.fault(Table::Rates, row.line, 3, "", Problem::TooFine { limit: MAX_PER_NANO });
        } else {
            per_nano = common;
        }
    }
    let rates = by_id.into_iter().map(|(id, rows)| rate(id, rows, &fractions, per_nano, notes)).collect();
    (rates, ids, per_nano)
}

/// The exact price of one increment in nano units, as a reduced fraction.
fn increment_price(row: &RateRow, notes: &mut Notes) -> Option<(i128, i128)> {
    let (unit, increment) = (i128::from(row.unit), i128::from(row.increment));
    let shared = gcd(increment, unit);
    let (increment, unit) = (increment / shared, unit / shared);
    let shared = gcd(row.rate.nanos(), unit);
    let price = (row.rate.nanos() / shared).checked_mul(increment);
    let denominator = unit / shared;
    match price.filter(|price| price / denominator <= Money::LIMIT.nanos()) {
        Some(price) => Some((price, denominator)),
        None => {
            notes.fault(Table::Rates, row.line, 4, "", Problem::TooLarge);
            None
        }
    }
}

fn rate(
    id: &str,
    mut rows: Vec<&RateRow>,
    fractions: &HashMap<u64, (i128, i128)>,
    per_nano: i128,
    notes: &mut Notes,
) -> Rate {
    let connect_fee = rows.first().map_or(Money::ZERO, |row| row.connect_fee);
    rows.sort_by_key(|row| row.start);
    for pair in rows.windows(2) {
        let [earlier, later] = pair else { continue };
        let length = later.start - earlier.start;
        if length == 0 {
            notes.fault(Table::Rates, later.line, 5, "", Problem::Duplicate { line: earlier.line });
        } else if length % earlier.increment.max(1) != 0 {
            notes.warn(Table::Rates, later.line, 5, id, Problem::Uneven { line: earlier.line });
        }
    }
    let ends = rows.iter().skip(1).map(|row| row.start).chain([u64::MAX]).collect::<Vec<_>>();
    let groups = rows.iter().zip(ends).map(|(row, end)| {
        let (price, denominator) = fractions.get(&row.line).copied().unwrap_or((0, 1));
        Group {
            start: row.start,
            end,
            increment: row.increment.max(1),
            ticks: price.saturating_mul(per_nano / denominator),
            rate: row.rate,
            unit: row.unit,
        }
    });
    let rate = Rate { id: id.into(), connect_fee, groups: groups.collect() };
    if let Some(row) = rows.first().filter(|_| !rate.is_complete()) {
        notes.warn(Table::Rates, row.line, 5, id, Problem::NoFirstGroup);
    }
    rate
}

fn gcd(mut a: i128, mut b: i128) -> i128 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a.max(1)
}

/// Prices are counted in at most 10^12 parts of a nano unit: units of 60, 3600, 1024 and their like stay far below,
/// and the largest amount of money still has a hundredfold room in 127 bits.
const MAX_PER_NANO: i128 = 1_000_000_000_000;
