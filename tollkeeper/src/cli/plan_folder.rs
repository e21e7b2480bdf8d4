//! A tariff folder on this machine: its settings and its faults.

use std::path::{Path, PathBuf};

use charging_server::TariffConfig;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use rating::{LoadErrors, Plan, PlanOptions};

use crate::config::Config;
use crate::exit::UsageError;

/// What a plan needs besides its tables.
#[derive(Debug, Default, Args)]
pub struct SettingsArgs {
    /// Take currency, time zones and taxes from `[core.tariff]` of this configuration file.
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Currency of the prices; goes before the configuration. Without both: EUR.
    #[arg(long)]
    currency: Option<String>,
    /// Time zone of the tables' times of day, such as Europe/Berlin; goes before the configuration. Without both: UTC.
    #[arg(long, value_name = "NAME")]
    time_zone: Option<String>,
}

impl SettingsArgs {
    /// True if anything was said.
    pub fn any(&self) -> bool {
        self.config.is_some() || self.currency.is_some() || self.time_zone.is_some()
    }

    /// The settings; without a configuration file the defaults, changed by `default`.
    pub fn options(&self, default: impl FnOnce(PlanOptions) -> PlanOptions) -> anyhow::Result<PlanOptions> {
        let mut config = match &self.config {
            Some(file) => Config::load(Some(file))?.core.map(|core| core.tariff).unwrap_or_default(),
            None => TariffConfig::default(),
        };
        if let Some(currency) = &self.currency {
            config.currency = currency.as_str().into();
        }
        if let Some(time_zone) = &self.time_zone {
            config.time_zone = time_zone.as_str().into();
        }
        let options = config.options().map_err(|error| {
            let (key, problem) = match error {
                charging_server::TariffError::Setting { key, problem } => (key, problem),
                other => return UsageError(other.to_string()),
            };
            UsageError(format!("--{} {problem}", key.replace('_', "-")))
        })?;
        Ok(if self.config.is_none() { default(options) } else { options })
    }
}

/// Loads a folder with a progress bar, or fails with all its faults.
pub fn load(folder: &Path, options: PlanOptions) -> anyhow::Result<Plan> {
    let loaded = try_load(folder, options);
    loaded.map_err(|faults| anyhow::anyhow!("tariff folder {}:\n{faults}", folder.display()))
}

/// Loads a folder with a progress bar.
pub fn try_load(folder: &Path, options: PlanOptions) -> Result<Plan, LoadErrors> {
    let bar = bar("{bar:40} {bytes}/{total_bytes} {msg} {eta}");
    let loaded = Plan::load_with(folder, options, &mut |progress| {
        bar.set_message(progress.table.file_name());
        bar.set_length(progress.bytes_total);
        bar.set_position(progress.bytes_done);
    });
    bar.finish_and_clear();
    loaded
}

/// A bar on the terminal; nothing elsewhere.
pub fn bar(template: &str) -> ProgressBar {
    let bar = ProgressBar::new(0);
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
