//! The only I/O of the crate: a folder's files to texts.

use std::io::ErrorKind;
use std::path::Path;

use crate::build;
use crate::fault::{LoadErrors, LoadFault, Problem};
use crate::options::PlanOptions;
use crate::plan::Plan;
use crate::rows::TableTexts;
use crate::tables::{Table, Tables};

/// How far a load has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoadProgress {
    /// The table that is read.
    pub table: Table,
    /// Bytes read of all files.
    pub bytes_done: u64,
    /// Bytes of all files, as their folder says.
    pub bytes_total: u64,
}

impl Plan {
    /// Loads the plan in a folder. A missing file is an empty table, unknown files are ignored, a missing folder is a
    /// fault.
    ///
    /// # Errors
    /// All faults of all files, if there is any; nothing is half loaded.
    pub fn load(folder: &Path, options: impl Into<PlanOptions>) -> Result<Self, LoadErrors> {
        Self::load_with(folder, options, &mut |_| ())
    }

    /// The same, and tells `progress` how far it has come: after each table, and every few thousand rows.
    ///
    /// # Errors
    /// As [`Plan::load`].
    pub fn load_with(
        folder: &Path,
        options: impl Into<PlanOptions>,
        progress: &mut dyn FnMut(LoadProgress),
    ) -> Result<Self, LoadErrors> {
        if let Err(error) = std::fs::read_dir(folder) {
            return Err(LoadErrors(vec![unreadable(Table::RatingProfiles, folder, error.kind())]));
        }
        let size = |table: Table| std::fs::metadata(folder.join(table.file_name())).map_or(0, |file| file.len());
        let bytes_total = Table::ALL.into_iter().map(size).fold(0, u64::saturating_add);
        let mut bytes_before: u64 = 0;
        let mut read = TableTexts::default();
        let mut unread = Vec::new();
        for table in Table::ALL {
            let path = folder.join(table.file_name());
            let text = match std::fs::read(&path).map(String::from_utf8) {
                Ok(Ok(text)) => text,
                Ok(Err(error)) => {
                    unread.push(not_utf8(table, &error));
                    continue;
                }
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => {
                    unread.push(unreadable(table, &path, error.kind()));
                    continue;
                }
            };
            read.read(table, &text, &mut |bytes| {
                progress(LoadProgress { table, bytes_done: bytes_before.saturating_add(bytes), bytes_total });
            });
            bytes_before = bytes_before.saturating_add(u64::try_from(text.len()).unwrap_or(u64::MAX));
        }
        let built = build::build(read, options.into());
        if unread.is_empty() {
            return built;
        }
        // What could be read was looked at all the same; the faults that the missing text brings do not count.
        let missing: Vec<Table> = unread.iter().map(|fault| fault.table).collect();
        let brought =
            |fault: &LoadFault| matches!(fault.problem, Problem::Unknown { table } if missing.contains(&table));
        let mut faults = unread;
        if let Err(LoadErrors(more)) = built {
            faults.extend(more.into_iter().filter(|fault| !brought(fault)));
        }
        faults.sort_by_key(|fault| (fault.table, fault.line, fault.column));
        Err(LoadErrors(faults))
    }

    /// Makes a plan of table texts; pure.
    ///
    /// # Errors
    /// All faults of all tables, if there is any.
    pub fn from_tables(tables: &Tables, options: impl Into<PlanOptions>) -> Result<Self, LoadErrors> {
        let mut read = TableTexts::default();
        Table::ALL.into_iter().for_each(|table| read.read(table, tables.text(table), &mut |_| ()));
        build::build(read, options.into())
    }
}

fn unreadable(table: Table, path: &Path, kind: ErrorKind) -> LoadFault {
    let found = path.display().to_string().into();
    LoadFault { table, line: 0, column: None, found, problem: Problem::Unreadable(kind) }
}

fn not_utf8(table: Table, error: &std::string::FromUtf8Error) -> LoadFault {
    let byte = error.utf8_error().valid_up_to();
    let lines = error.as_bytes().iter().take(byte).filter(|byte| **byte == b'\n').count();
    let line = u64::try_from(lines).map_or(0, |lines| lines + 1);
    LoadFault { table, line, column: None, found: "".into(), problem: Problem::NotUtf8 { byte } }
}
