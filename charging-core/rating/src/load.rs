//! The only I/O of the crate: a folder's files to texts.

use std::io::ErrorKind;
use std::path::Path;

use crate::fault::{LoadErrors, LoadFault, Problem};
use crate::plan::{Plan, PlanOptions};
use crate::tables::{Table, Tables};

impl Plan {
    /// Loads the plan in a folder. A missing file is an empty table, unknown files are ignored, a missing folder is a
    /// fault.
    ///
    /// # Errors
    /// All faults of all files, if there is any; nothing is half loaded.
    pub fn load(folder: &Path, options: impl Into<PlanOptions>) -> Result<Self, LoadErrors> {
        let mut tables = Tables::default();
        let mut faults = Vec::new();
        if let Err(error) = std::fs::read_dir(folder) {
            return Err(LoadErrors(vec![unreadable(Table::RatingProfiles, folder, error.kind())]));
        }
        for table in Table::ALL {
            let path = folder.join(table.file_name());
            match std::fs::read(&path).map(String::from_utf8) {
                Ok(Ok(text)) => *tables.text_mut(table) = text,
                Ok(Err(error)) => faults.push(not_utf8(table, &error)),
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => faults.push(unreadable(table, &path, error.kind())),
            }
        }
        if faults.is_empty() {
            return Self::from_tables(&tables, options);
        }
        // What could be read is looked at all the same, without the faults that the missing text would bring.
        let unread: Vec<Table> = faults.iter().map(|fault| fault.table).collect();
        if let Err(LoadErrors(more)) = Self::from_tables(&tables, options) {
            faults.extend(
                more.into_iter()
                    .filter(|fault| !matches!(fault.problem, Problem::Unknown { table } if unread.contains(&table))),
            );
        }
        faults.sort_by_key(|fault| (fault.table, fault.line, fault.column));
        Err(LoadErrors(faults))
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
