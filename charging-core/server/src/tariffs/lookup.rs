//! The rows of a plan that decide about one number, or that belong to one destination: what an operator looks for when a
//! price surprises. A scan of the tables, for people; pricing has its own way.

use std::collections::BTreeSet;

use rating::{Plan, Table};

use super::cells::cells;

/// A row of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableRow {
    /// Where it stands.
    pub table: Table,
    /// Its cells.
    pub cells: Vec<String>,
}

/// What is looked for.
#[derive(Debug, Clone, Copy)]
pub enum Wanted<'w> {
    /// The prefixes of this number and everything behind them.
    Number(&'w str),
    /// The prefixes of this destination and everything behind it.
    Destination(&'w str),
}

/// Destinations, the rates they have, and the rating plans that use those; in the order of the tables.
pub fn rows_of(plan: &Plan, wanted: Wanted<'_>) -> Vec<TableRow> {
    let tables = plan.to_tables();
    let mut destinations: BTreeSet<String> = BTreeSet::new();
    let mut found = scan(tables.text(Table::Destinations), Table::Destinations, |cells| {
        let (id, prefix) = (cell(cells, 0), cell(cells, 1));
        let hit = match wanted {
            Wanted::Destination(wanted) => id == wanted,
            Wanted::Number(number) => {
                let bare = number.strip_prefix('+').filter(|_| plan.options().plus_is_optional);
                number.starts_with(prefix) || bare.is_some_and(|bare| bare.starts_with(prefix))
            }
        };
        if hit {
            destinations.insert(id.to_owned());
        }
        hit
    });
    // The longest first: that is the one that counts.
    found.sort_by_key(|row| std::cmp::Reverse(row.cells.get(1).map_or(0, String::len)));
    match wanted {
        Wanted::Number(_) => destinations.insert(ANY.to_owned()),
        Wanted::Destination(wanted) => destinations.insert(wanted.to_owned()),
    };
    let (mut rates, mut sets) = (BTreeSet::new(), BTreeSet::new());
    let priced = scan(tables.text(Table::DestinationRates), Table::DestinationRates, |cells| {
        let hit = destinations.contains(cell(cells, 1));
        if hit {
            sets.insert(cell(cells, 0).to_owned());
            rates.insert(cell(cells, 2).to_owned());
        }
        hit
    });
    let mut timings = BTreeSet::new();
    let plans = scan(tables.text(Table::RatingPlans), Table::RatingPlans, |cells| {
        let hit = sets.contains(cell(cells, 1));
        if hit {
            timings.insert(cell(cells, 2).to_owned());
        }
        hit
    });
    let of_tag =
        |table, tags: &BTreeSet<String>| scan(tables.text(table), table, |cells| tags.contains(cell(cells, 0)));
    found.extend(priced);
    found.extend(of_tag(Table::Rates, &rates));
    found.extend(plans);
    found.extend(of_tag(Table::Timings, &timings));
    found
}

fn scan(text: &str, table: Table, mut hit: impl FnMut(&[std::borrow::Cow<'_, str>]) -> bool) -> Vec<TableRow> {
    let rows = text.lines().map(cells).filter(|cells| hit(cells));
    rows.map(|cells| TableRow { table, cells: cells.into_iter().map(String::from).collect() }).collect()
}

fn cell<'c>(cells: &'c [std::borrow::Cow<'_, str>], column: usize) -> &'c str {
    cells.get(column).map_or("", |cell| &**cell)
}

const ANY: &str = "*any";
