//! Versions, loads and comparisons as they are shown; the JSON forms are stable.

use std::collections::BTreeMap;

use charging_proto::v1::{
    ActivateTariffResponse, CompareTariffsResponse, LoadTariffResponse, TariffFault, TariffVersion,
};
use charging_server::Changes;
use rating::{LoadFault, PlanVersion};
use serde::Serialize;
use types::UtcMs;

use crate::cli::show;

mod changes;
mod event;

pub(super) use changes::ChangesView;
pub(super) use event::{EventView, ShownView};

/// A fault or a warning.
#[derive(Debug, Serialize)]
pub(super) struct FaultView {
    file: String,
    line: Option<u64>,
    column: Option<String>,
    message: String,
}

impl From<&LoadFault> for FaultView {
    fn from(fault: &LoadFault) -> Self {
        let found = if fault.found.is_empty() { String::new() } else { format!("`{}`: ", fault.found) };
        Self {
            file: fault.table.file_name().to_owned(),
            line: Some(fault.line).filter(|line| *line > 0),
            column: fault.column_name().map(str::to_owned),
            message: format!("{found}{}", fault.problem),
        }
    }
}

impl From<TariffFault> for FaultView {
    fn from(fault: TariffFault) -> Self {
        let TariffFault { file_name, line, column, message } = fault;
        Self { file: file_name, line, column, message }
    }
}

/// A fault as a person reads it.
pub(super) fn fault_line(fault: &TariffFault) -> String {
    let line = fault.line.map(|line| format!(" line {line}")).unwrap_or_default();
    let column = fault.column.as_ref().map(|column| format!(", column {column}")).unwrap_or_default();
    let joint = if fault.message.starts_with('`') { "," } else { ":" };
    format!("{}{line}{column}{joint} {}", fault.file_name, fault.message)
}

/// A kept version.
#[derive(Debug, Serialize)]
pub(super) struct VersionView {
    version: String,
    name: Option<String>,
    active: bool,
    loaded: Option<String>,
    loaded_by: Option<String>,
    active_from: Option<String>,
    currency: String,
    prefixes: u64,
    rates: u64,
    rating_plans: u64,
    profiles: u64,
    timings: u64,
    settings: BTreeMap<String, String>,
}

impl From<TariffVersion> for VersionView {
    fn from(version: TariffVersion) -> Self {
        Self {
            version: version.version,
            name: version.name,
            active: version.active,
            loaded: Some(version.loaded_time).filter(|time| *time > 0).map(show::time),
            loaded_by: version.loaded_by,
            active_from: version.active_from_time.map(show::time),
            currency: version.currency,
            prefixes: version.destination_count,
            rates: version.rate_count,
            rating_plans: version.rating_plan_count,
            profiles: version.profile_count,
            timings: version.timing_count,
            settings: version.settings.into_iter().collect(),
        }
    }
}

impl VersionView {
    pub(super) fn print_all(versions: Vec<Self>, format: show::Format) -> anyhow::Result<()> {
        if format.json {
            return versions.iter().try_for_each(show::json);
        }
        let rows = versions.into_iter().map(|version| {
            [
                version.version,
                show::or_dash(version.name),
                if version.active { "yes".to_owned() } else { "no".to_owned() },
                show::or_dash(version.loaded),
                show::or_dash(version.loaded_by),
                show::or_dash(version.active_from),
                version.currency,
                version.prefixes.to_string(),
                version.rates.to_string(),
            ]
        });
        let header = ["VERSION", "NAME", "IN FORCE", "LOADED", "BY", "IN FORCE FROM", "CURRENCY", "PREFIXES", "RATES"];
        show::rows(header, rows.collect(), "no versions; load one with tollkeeper tariff load DIR")
    }

    fn fields(&self) -> Vec<(&str, String)> {
        let mut fields = vec![
            ("version", self.version.clone()),
            ("name", show::or_dash(self.name.as_ref())),
            ("in force", if self.active { "yes".to_owned() } else { "no".to_owned() }),
            ("in force from", show::or_dash(self.active_from.as_ref())),
            ("loaded", show::or_dash(self.loaded.as_ref())),
            ("loaded by", show::or_dash(self.loaded_by.as_ref())),
            ("prefixes", self.prefixes.to_string()),
            ("rates", self.rates.to_string()),
            ("rating plans", self.rating_plans.to_string()),
            ("rating profiles", self.profiles.to_string()),
            ("timings", self.timings.to_string()),
        ];
        fields.extend(self.settings.iter().map(|(name, value)| (name.as_str(), value.clone())));
        fields
    }
}

/// What a load did.
#[derive(Debug, Serialize)]
pub(super) struct LoadedView {
    /// False: there are faults, nothing was kept.
    ok: bool,
    /// The version that was kept. Absent: a dry run, or there are faults.
    version: Option<VersionView>,
    content_version: Option<String>,
    compared_with: Option<String>,
    /// From when it is in force. Absent: it was not put in force.
    in_force_from: Option<String>,
    faults: Vec<FaultView>,
    warnings: Vec<FaultView>,
    #[serde(flatten)]
    changes: ChangesView,
}

impl LoadedView {
    pub(super) fn new(
        loaded: LoadTariffResponse,
        activated: Option<ActivateTariffResponse>,
        at: Option<UtcMs>,
    ) -> Self {
        let kept = loaded.version.is_some();
        let from = activated.as_ref().and_then(|activated| activated.version.as_ref()?.active_from_time);
        let version = activated.and_then(|activated| activated.version).or(loaded.version);
        let changes = Changes {
            differences: loaded.differences,
            difference_count: loaded.difference_count,
            price_changes: loaded.price_changes,
            price_change_count: loaded.price_change_count,
            prices_compared: loaded.prices_compared,
            settings: BTreeMap::new(),
        };
        Self {
            ok: loaded.faults.is_empty(),
            version: version.filter(|_| kept).map(VersionView::from),
            content_version: loaded.content_version,
            compared_with: loaded.compared_with,
            in_force_from: from.map(|from| at.map_or_else(|| show::time(from), |at| at.to_string())),
            faults: loaded.faults.into_iter().map(FaultView::from).collect(),
            warnings: loaded.warnings.into_iter().map(FaultView::from).collect(),
            changes: ChangesView::from(changes),
        }
    }

    pub(super) fn print(&self, diff: bool, format: show::Format) -> anyhow::Result<()> {
        if format.json {
            return show::json(self);
        }
        for warning in &self.warnings {
            let line = warning.line.map(|line| format!(" line {line}")).unwrap_or_default();
            crate::exit::complain(&format!("warning: {}{line}: {}", warning.file, warning.message));
        }
        if diff {
            self.changes.print(self.compared_with.as_deref())?;
        }
        let content = self.content_version.as_deref().unwrap_or_default();
        let changed = self.changes.summary(self.compared_with.as_deref());
        show::line(&match (&self.version, &self.in_force_from) {
            (None, _) => format!("dry run: nothing was kept; it would be version {content}, {changed}"),
            (Some(_), None) => {
                format!(
                    "version {content} is kept, not in force, {changed}; tollkeeper tariff activate {content} does it"
                )
            }
            (Some(_), Some(from)) => format!("version {content} is in force from {from}, {changed}"),
        })
    }
}

/// What an activation did.
#[derive(Debug, Serialize)]
pub(super) struct ActivatedView {
    version: VersionView,
    before: Option<String>,
    in_force_from: Option<String>,
    notified_sessions: u32,
}

impl ActivatedView {
    pub(super) fn new(activated: ActivateTariffResponse, at: Option<UtcMs>) -> Self {
        let version = VersionView::from(activated.version.unwrap_or_default());
        let in_force_from = at.map(|at| at.to_string()).or_else(|| version.active_from.clone());
        Self { version, before: activated.before, in_force_from, notified_sessions: activated.notified_sessions }
    }

    pub(super) fn print(&self, format: show::Format) -> anyhow::Result<()> {
        if format.json {
            return show::json(self);
        }
        let name = self.version.name.as_ref().map(|name| format!(" ({name})")).unwrap_or_default();
        let from = self.in_force_from.as_deref().unwrap_or_default();
        let before = show::or_dash(self.before.as_ref());
        show::line(&format!("version {}{name} is in force from {from}; before: {before}", self.version.version))
    }
}

/// Two versions.
#[derive(Debug, Serialize)]
pub(super) struct ComparisonView {
    before: String,
    after: String,
    #[serde(flatten)]
    changes: ChangesView,
}

impl From<CompareTariffsResponse> for ComparisonView {
    fn from(compared: CompareTariffsResponse) -> Self {
        let version = |version: Option<TariffVersion>| version.unwrap_or_default().version;
        let changes = Changes {
            differences: compared.differences,
            difference_count: compared.difference_count,
            price_changes: compared.price_changes,
            price_change_count: compared.price_change_count,
            prices_compared: compared.prices_compared,
            settings: compared.settings.into_iter().collect(),
        };
        Self { before: version(compared.before), after: version(compared.after), changes: changes.into() }
    }
}

impl ComparisonView {
    pub(super) fn of_folders(before: PlanVersion, after: PlanVersion, changes: Changes) -> Self {
        Self { before: before.to_string(), after: after.to_string(), changes: changes.into() }
    }

    pub(super) fn print(&self, format: show::Format) -> anyhow::Result<()> {
        if format.json {
            return show::json(self);
        }
        self.changes.print(Some(&self.before))?;
        show::line(&format!("version {}: {}", self.after, self.changes.summary(Some(&self.before))))
    }
}
