//! `tariff check`: a folder, without a core.

use std::process::ExitCode;

use rating::{LoadFault, Plan, Table};
use serde::Serialize;

use super::CheckArgs;
use super::view::FaultView;
use crate::cli::{plan_folder, show};
use crate::exit;

#[derive(Serialize)]
struct Report {
    ok: bool,
    version: Option<String>,
    rows: Vec<Rows>,
    faults: Vec<FaultView>,
    warnings: Vec<FaultView>,
}

#[derive(Serialize)]
struct Rows {
    file: &'static str,
    rows: usize,
}

/// Prints what is there, or all that is wrong.
pub(super) fn run(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    let options = args.settings.options(|options| options)?;
    let loaded = plan_folder::try_load(&args.folder, options);
    let report = match &loaded {
        Ok(plan) => good(plan),
        Err(errors) => {
            let faults = views(errors.faults());
            Report { ok: false, version: None, rows: Vec::new(), faults, warnings: Vec::new() }
        }
    };
    if args.format.json {
        show::json(&report)?;
    } else if let Err(errors) = &loaded {
        exit::complain(&format!("error: tariff folder {}:\n{errors}", args.folder.display()));
    } else {
        show::line("ok")?;
        let rows = report.rows.iter().map(|rows| [rows.file.to_owned(), rows.rows.to_string()]).collect();
        show::rows(["FILE", "ROWS"], rows, "no rows")?;
        show::line(&format!("version {}", report.version.as_deref().unwrap_or_default()))?;
        for warning in loaded.iter().flat_map(Plan::warnings) {
            exit::complain(&format!("warning: {warning}"));
        }
    }
    Ok(if report.ok { ExitCode::SUCCESS } else { ExitCode::from(exit::FAILED) })
}

fn good(plan: &Plan) -> Report {
    let tables = plan.to_tables();
    let rows =
        Table::ALL.into_iter().map(|table| Rows { file: table.file_name(), rows: tables.text(table).lines().count() });
    Report {
        ok: true,
        version: Some(plan.version().to_string()),
        rows: rows.collect(),
        faults: Vec::new(),
        warnings: views(plan.warnings()),
    }
}

fn views(faults: &[LoadFault]) -> Vec<FaultView> {
    faults.iter().map(FaultView::from).collect()
}
