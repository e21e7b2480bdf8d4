//! Entries of the history, and a version with what is scheduled, as they are shown.

use charging_proto::v1::{ShowTariffResponse, TariffEvent, TariffEventKind, TariffRow};
use serde::Serialize;

use super::VersionView;
use crate::cli::show;

/// An entry of the history.
#[derive(Debug, Serialize)]
pub(in crate::cli::tariff) struct EventView {
    sequence: u64,
    time: String,
    kind: &'static str,
    version: String,
    name: Option<String>,
    by: Option<String>,
    comment: Option<String>,
    in_force_from: Option<String>,
    before: Option<String>,
    changed_rows: Vec<RowsView>,
}

#[derive(Debug, Serialize)]
struct RowsView {
    file: String,
    added: u64,
    removed: u64,
    changed: u64,
}

impl From<TariffEvent> for EventView {
    fn from(event: TariffEvent) -> Self {
        let kind = match event.kind() {
            TariffEventKind::Loaded => "loaded",
            TariffEventKind::Activated => "activated",
            TariffEventKind::Unspecified => "unknown",
        };
        let rows = event.changed_rows.into_iter().map(|rows| RowsView {
            file: rows.file_name,
            added: rows.added,
            removed: rows.removed,
            changed: rows.changed,
        });
        Self {
            sequence: event.sequence,
            time: show::time(event.time),
            kind,
            version: event.version,
            name: event.name,
            by: event.by,
            comment: event.comment,
            in_force_from: event.active_from_time.map(show::time),
            before: event.before,
            changed_rows: rows.collect(),
        }
    }
}

impl EventView {
    pub(in crate::cli::tariff) fn print_all(events: Vec<Self>, format: show::Format) -> anyhow::Result<()> {
        if format.json {
            return events.iter().try_for_each(show::json);
        }
        let rows = events.into_iter().map(|event| {
            let what = event.what();
            [
                event.sequence.to_string(),
                event.time,
                event.kind.to_owned(),
                event.version,
                show::or_dash(event.name),
                show::or_dash(event.by),
                what,
                show::or_dash(event.comment),
            ]
        });
        let header = ["NO", "TIME", "DONE", "VERSION", "NAME", "BY", "WHAT CHANGED", "COMMENT"];
        show::rows(header, rows.collect(), "nothing was loaded yet")
    }

    /// In a few words.
    fn what(&self) -> String {
        if let Some(from) = &self.in_force_from {
            return format!("in force from {from}");
        }
        if self.changed_rows.is_empty() {
            return "nothing".to_owned();
        }
        let of_file = self.changed_rows.iter().map(|rows| {
            let file = rows.file.trim_end_matches(".csv");
            format!("{file} +{} -{} ~{}", rows.added, rows.removed, rows.changed)
        });
        of_file.collect::<Vec<_>>().join(", ")
    }
}

/// A version with rows.
#[derive(Debug, Serialize)]
pub(in crate::cli::tariff) struct ShownView {
    version: VersionView,
    rows: Vec<RowView>,
    row_count: u64,
    scheduled: Vec<EventView>,
}

#[derive(Debug, Serialize)]
struct RowView {
    file: String,
    cells: Vec<String>,
}

impl From<ShowTariffResponse> for ShownView {
    fn from(shown: ShowTariffResponse) -> Self {
        let row = |TariffRow { file_name, cells }| RowView { file: file_name, cells };
        Self {
            version: VersionView::from(shown.version.unwrap_or_default()),
            rows: shown.rows.into_iter().map(row).collect(),
            row_count: shown.row_count,
            scheduled: shown.scheduled.into_iter().map(EventView::from).collect(),
        }
    }
}

impl ShownView {
    pub(in crate::cli::tariff) fn print(&self, rows_only: bool, format: show::Format) -> anyhow::Result<()> {
        if format.json {
            return show::json(self);
        }
        if rows_only {
            let rows = self.rows.iter().map(|row| [row.file.clone(), row.cells.join(", ")]);
            show::rows(["FILE", "ROW"], rows.collect(), "no rows")?;
            let shown = u64::try_from(self.rows.len()).unwrap_or(u64::MAX);
            if self.row_count > shown {
                show::line(&format!("and {} more", self.row_count - shown))?;
            }
            return Ok(());
        }
        show::fields(&self.version.fields())?;
        for event in &self.scheduled {
            let from = event.in_force_from.as_deref().unwrap_or_default();
            let name = event.name.as_ref().map(|name| format!(" ({name})")).unwrap_or_default();
            let by = show::or_dash(event.by.as_ref());
            show::line(&format!("scheduled: version {}{name} from {from}, by {by}", event.version))?;
        }
        Ok(())
    }
}
