//! Which rows differ between two plans. Rows are matched by their key within the table: tag, prefix, or tag and
//! destination; so a changed price is one change and not a row gone and a row new.

use std::collections::{BTreeMap, HashSet};

use rating::{Plan, Table};
use serde::{Deserialize, Serialize};

use super::cells::cells;

/// A row that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowDifference {
    /// Where it stands.
    pub table: Table,
    /// Its key: the cells that name it.
    pub key: String,
    /// The row as it was. Absent: it is new.
    pub before: Option<String>,
    /// The row as it is. Absent: it is gone.
    pub after: Option<String>,
}

/// How many rows of a table differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowCounts {
    /// The table's file.
    pub file: Box<str>,
    /// New ones.
    pub added: u64,
    /// Gone ones.
    pub removed: u64,
    /// Rows with the same key and another content.
    pub changed: u64,
}

/// The rows that differ, by table, in the order of their keys.
pub fn row_differences(before: &Plan, after: &Plan) -> Vec<RowDifference> {
    let (before, after) = (before.to_tables(), after.to_tables());
    Table::ALL.into_iter().flat_map(|table| in_table(table, before.text(table), after.text(table))).collect()
}

/// How many rows differ, by table; without an older plan all are new.
pub(super) fn changed_rows(before: Option<&Plan>, after: &Plan) -> Vec<RowCounts> {
    if let Some(before) = before {
        return row_counts(&row_differences(before, after));
    }
    let rows = Table::ALL.into_iter().map(|table| RowCounts {
        file: table.file_name().into(),
        added: u64::try_from(after.to_tables().text(table).lines().count()).unwrap_or(u64::MAX),
        removed: 0,
        changed: 0,
    });
    rows.filter(|rows| rows.added > 0).collect()
}

/// Counts them.
fn row_counts(differences: &[RowDifference]) -> Vec<RowCounts> {
    let counted = Table::ALL.into_iter().map(|table| {
        let of_table = || differences.iter().filter(move |difference| difference.table == table);
        let count = |added: bool, removed: bool| {
            let counted = of_table().filter(|d| d.before.is_none() == added && d.after.is_none() == removed).count();
            u64::try_from(counted).unwrap_or(u64::MAX)
        };
        RowCounts {
            file: table.file_name().into(),
            added: count(true, false),
            removed: count(false, true),
            changed: count(false, false),
        }
    });
    counted.filter(|counts| counts.added + counts.removed + counts.changed > 0).collect()
}

/// A row before and after.
type Sides<'r> = (Option<&'r str>, Option<&'r str>);

fn in_table(table: Table, before: &str, after: &str) -> Vec<RowDifference> {
    if before == after {
        return Vec::new();
    }
    let olds: HashSet<&str> = before.lines().collect();
    let news: HashSet<&str> = after.lines().collect();
    // Key, and which of the rows with that key it is.
    let mut rows: BTreeMap<(String, usize), Sides<'_>> = BTreeMap::new();
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for line in before.lines().filter(|line| !news.contains(line)) {
        let nth = nth(&mut seen, table, line);
        rows.entry(nth).or_default().0 = Some(line);
    }
    seen.clear();
    for line in after.lines().filter(|line| !olds.contains(line)) {
        let nth = nth(&mut seen, table, line);
        rows.entry(nth).or_default().1 = Some(line);
    }
    let differences = rows.into_iter().map(|((key, _), (before, after))| RowDifference {
        table,
        key,
        before: before.map(str::to_owned),
        after: after.map(str::to_owned),
    });
    differences.collect()
}

fn nth(seen: &mut BTreeMap<String, usize>, table: Table, line: &str) -> (String, usize) {
    let key = key(table, line);
    let count = seen.entry(key.clone()).or_default();
    *count += 1;
    (key, *count)
}

fn key(table: Table, line: &str) -> String {
    let columns: &[usize] = match table {
        Table::Timings => &[0],
        Table::Destinations | Table::DestinationRates => &[0, 1],
        Table::Rates => &[0, 5],
        Table::RatingPlans => &[0, 1, 2],
        Table::RatingProfiles => &[0, 1, 2, 3],
    };
    let cells = cells(line);
    let named = columns.iter().filter_map(|column| cells.get(*column)).filter(|cell| !cell.is_empty());
    named.map(|cell| &**cell).collect::<Vec<&str>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_matched_by_their_keys() {
        let before = "R1,0,0.01,1s,1s,0s\nR2,0,0.02,1s,1s,0s\nR2,0,0.01,1s,1s,60s\n";
        let after = "R2,0,0.03,1s,1s,0s\nR2,0,0.01,1s,1s,60s\nR3,0,\"1,000\",1s,1s,0s\n";
        let found = in_table(Table::Rates, before, after);
        let told: Vec<(&str, Option<&str>, Option<&str>)> =
            found.iter().map(|d| (d.key.as_str(), d.before.as_deref(), d.after.as_deref())).collect();
        let expected = [
            ("R1 0s", Some("R1,0,0.01,1s,1s,0s"), None),
            ("R2 0s", Some("R2,0,0.02,1s,1s,0s"), Some("R2,0,0.03,1s,1s,0s")),
            ("R3 0s", None, Some("R3,0,\"1,000\",1s,1s,0s")),
        ];
        assert_eq!(told, expected);
        let counts = RowCounts { file: "Rates.csv".into(), added: 1, removed: 1, changed: 1 };
        assert_eq!(row_counts(&found), [counts]);
        assert_eq!(in_table(Table::Rates, before, before), []);
    }

    #[test]
    fn two_rows_of_one_key_stay_two() {
        let found = in_table(Table::RatingPlans, "P,D,*any,10\nP,D,*any,20\n", "P,D,*any,30\n");
        assert_eq!(found.len(), 2, "{found:?}");
        assert_eq!(found.iter().filter(|difference| difference.after.is_none()).count(), 1);
    }
}
