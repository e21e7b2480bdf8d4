//! Versions, events, faults and prices as the API tells them.

use charging_proto::v1::{
    ShowTariffRequest, ShowTariffResponse, TariffEvent, TariffEventKind, TariffFault, TariffRow, TariffRowCounts,
    TariffVersion,
};
use rating::{LoadFault, PlanVersion};
use tonic::Status;

use super::{refused, wanted};
use crate::changes::settings;
use crate::tariffs::{Entry, Kind, Tariffs, Wanted, rows_of, utc_now};

/// A kept version as it stands.
pub(super) fn version(tariffs: &Tariffs, version: PlanVersion) -> Result<TariffVersion, Status> {
    let history = tariffs.history();
    of_version(tariffs, version, &history)
}

/// All kept versions, the last loaded one first.
pub(super) fn versions(tariffs: &Tariffs) -> Result<Vec<TariffVersion>, Status> {
    let history = tariffs.history();
    let kept = tariffs.versions().map_err(refused)?;
    let mut versions =
        kept.into_iter().map(|kept| of_version(tariffs, kept, &history)).collect::<Result<Vec<_>, _>>()?;
    versions.sort_by_key(|version| std::cmp::Reverse(version.loaded_time));
    Ok(versions)
}

fn of_version(tariffs: &Tariffs, version: PlanVersion, history: &[Entry]) -> Result<TariffVersion, Status> {
    let summary = tariffs.summary(version).map_err(refused)?;
    let of_version = || history.iter().rev().filter(|entry| entry.version == version);
    let loaded = of_version().find(|entry| entry.kind == Kind::Loaded);
    let name = of_version().find_map(|entry| entry.name.as_deref());
    let counts = summary.counts;
    Ok(TariffVersion {
        tenant: String::new(),
        version: version.to_string(),
        loaded_time: loaded.map_or(0, |entry| entry.time.0),
        active_from_time: of_version().find_map(|entry| entry.from).map(|from| from.0),
        active: tariffs.current().is_some_and(|plan| plan.version() == version),
        destination_count: counts.prefixes,
        rate_count: counts.rates,
        name: name.map(str::to_owned),
        currency: summary.options.currency.to_string(),
        loaded_by: loaded.and_then(|entry| entry.by.as_deref()).map(str::to_owned),
        profile_count: counts.profiles,
        rating_plan_count: counts.rating_plans,
        timing_count: counts.timings,
        settings: settings(&summary.options).into_iter().collect(),
    })
}

/// A version and the rows that were asked for.
pub(super) fn show(tariffs: &Tariffs, request: &ShowTariffRequest) -> Result<ShowTariffResponse, Status> {
    let plan = wanted(tariffs, request.version.as_deref(), None)?;
    let number = request.number.as_deref().map(Wanted::Number);
    let rows = match number.or_else(|| request.destination.as_deref().map(Wanted::Destination)) {
        Some(wanted) => rows_of(&plan, wanted),
        None => Vec::new(),
    };
    let history = tariffs.history();
    let scheduled = tariffs.scheduled(utc_now()).into_iter().filter_map(|(from, version)| {
        let made = history.iter().rev().find(|entry| entry.from == Some(from) && entry.version == version);
        made.cloned().map(event)
    });
    Ok(ShowTariffResponse {
        version: Some(of_version(tariffs, plan.version(), &history)?),
        row_count: u64::try_from(rows.len()).unwrap_or(u64::MAX),
        rows: rows
            .into_iter()
            .take(MOST_ROWS)
            .map(|row| TariffRow { file_name: row.table.file_name().to_owned(), cells: row.cells })
            .collect(),
        scheduled: scheduled.collect(),
    })
}

/// An entry of the history.
pub(super) fn event(entry: Entry) -> TariffEvent {
    let kind = match entry.kind {
        Kind::Loaded => TariffEventKind::Loaded,
        Kind::Activated => TariffEventKind::Activated,
    };
    let comment = entry.comment.map(String::from);
    let folder = entry.folder.map(|folder| format!("from {}", folder.display()));
    TariffEvent {
        sequence: entry.sequence,
        time: entry.time.0,
        kind: kind.into(),
        version: entry.version.to_string(),
        name: entry.name.map(String::from),
        by: entry.by.map(String::from),
        comment: comment.or(folder),
        active_from_time: entry.from.map(|from| from.0),
        before: entry.before.map(|before| before.to_string()),
        changed_rows: entry
            .rows
            .into_iter()
            .map(|rows| TariffRowCounts {
                file_name: rows.file.into(),
                added: rows.added,
                removed: rows.removed,
                changed: rows.changed,
            })
            .collect(),
    }
}

/// A fault or a warning.
pub(super) fn fault(fault: &LoadFault) -> TariffFault {
    let found = if fault.found.is_empty() { String::new() } else { format!("`{}`: ", fault.found) };
    TariffFault {
        file_name: fault.table.file_name().to_owned(),
        line: Some(fault.line).filter(|line| *line > 0),
        column: fault.column_name().map(str::to_owned),
        message: format!("{found}{}", fault.problem),
    }
}

const MOST_ROWS: usize = 1000;
