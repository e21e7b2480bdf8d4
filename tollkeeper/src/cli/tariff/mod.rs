//! `tariff ...`: a folder is checked here, everything else is asked of the running core.

mod check;
mod desk;
mod upload;
mod view;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use types::UtcMs;

use super::connection::CoreArgs;
use super::plan_folder::SettingsArgs;
use super::{parse, show};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check a folder without a core: all faults with file, line and column; exit 1 if there are any.
    #[command(after_help = "Examples:
  tollkeeper tariff check /etc/tollkeeper/tariff
  tollkeeper tariff check DIR -c tollkeeper.toml       currency, time zones and taxes as configured
  tollkeeper tariff check DIR --json | jq .faults")]
    Check(CheckArgs),
    /// Load a folder into the running core and put it in force; running calls keep the tariff they began with.
    #[command(after_help = "Examples:
  tollkeeper tariff load DIR --dry-run --diff          what would change
  tollkeeper tariff load DIR --name 2027-01 --comment \"new year prices\" --at 2027-01-01T00:00:00Z
  tollkeeper tariff load DIR --diff --number +49301234567 --number +442071234567
  tollkeeper tariff load DIR --no-activate             keep it for `tariff activate`

Nothing is half loaded: a folder with faults changes nothing (exit 1). Every load is kept, with who, when and what changed.")]
    Load(LoadArgs),
    /// Compare two versions, or two folders: rows, settings, and prices of sample numbers.
    #[command(after_help = "Examples:
  tollkeeper tariff diff 2026-12 2027-01
  tollkeeper tariff diff 3f9a                          a version against the one in force
  tollkeeper tariff diff 3f9a 77c0 --number +49301234567 --json
  tollkeeper tariff diff ./tariff-old ./tariff-new     two folders, without a core")]
    Diff(DiffArgs),
    /// The version in force, what is scheduled, and the rows that decide about a number or a destination.
    #[command(after_help = "Examples:
  tollkeeper tariff show
  tollkeeper tariff show 2026-12
  tollkeeper tariff show --number +49301234567
  tollkeeper tariff show --destination DE_MOBILE --json")]
    Show(ShowArgs),
    /// The versions that are kept, the last loaded one first.
    #[command(after_help = "Examples:
  tollkeeper tariff list
  tollkeeper tariff list --json | jq -r .version")]
    List(ListArgs),
    /// Every load and activation, newest first: who, when, what changed.
    #[command(after_help = "Examples:
  tollkeeper tariff history
  tollkeeper tariff history --limit 5 --json")]
    History(HistoryArgs),
    /// Put a kept version in force, older or newer, now or at a time; running calls keep the tariff they began with.
    #[command(after_help = "Examples:
  tollkeeper tariff activate 2026-12 --comment \"prices of January were wrong\"
  tollkeeper tariff activate 3f9a --at 2027-01-01T00:00:00Z

An activation for the same instant replaces the earlier one: that is how a scheduled one is taken back.")]
    Activate(ActivateArgs),
}

#[derive(Debug, Args)]
pub struct CheckArgs {
    /// The folder with the tables.
    folder: PathBuf,
    #[command(flatten)]
    settings: SettingsArgs,
    #[command(flatten)]
    format: show::Format,
}

/// Who does it, for the history.
#[derive(Debug, Args)]
struct AuthorArgs {
    /// Who does it, for the history. Without: the user of this shell.
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    /// Why, for the history.
    #[arg(long, value_name = "TEXT")]
    comment: Option<String>,
}

impl AuthorArgs {
    fn by(&self) -> Option<String> {
        let user = || ["USER", "LOGNAME"].into_iter().find_map(|name| std::env::var(name).ok());
        self.by.clone().or_else(user).filter(|name| !name.is_empty())
    }
}

#[derive(Debug, Args)]
pub struct LoadArgs {
    /// The folder with the tables.
    folder: PathBuf,
    /// Check and compare, keep nothing.
    #[arg(long, conflicts_with_all = ["name", "at", "no_activate"])]
    dry_run: bool,
    /// Show which rows and prices change against the version in force.
    #[arg(long)]
    diff: bool,
    /// A number whose price is compared; may be repeated. Without: one of each destination.
    #[arg(long = "number", value_name = "NUMBER", requires = "diff")]
    numbers: Vec<String>,
    /// Another name for the version, such as 2027-01.
    #[arg(long)]
    name: Option<String>,
    /// Put it in force at this time, in UTC. Without: now.
    #[arg(long, value_parser = parse::time, value_name = "TIME", conflicts_with = "no_activate")]
    at: Option<UtcMs>,
    /// Keep it only.
    #[arg(long)]
    no_activate: bool,
    #[command(flatten)]
    author: AuthorArgs,
    #[command(flatten)]
    format: show::Format,
}

#[derive(Debug, Args)]
pub struct DiffArgs {
    /// The older version (its name, or the first digits of it) or folder.
    before: String,
    /// The newer version or folder. Without: the version in force.
    after: Option<String>,
    /// A number whose price is compared; may be repeated. Without: one of each destination.
    #[arg(long = "number", value_name = "NUMBER")]
    numbers: Vec<String>,
    #[command(flatten)]
    settings: SettingsArgs,
    #[command(flatten)]
    format: show::Format,
}

#[derive(Debug, Args)]
pub struct ShowArgs {
    /// The version: its name, or the first digits of it. Without: the one in force.
    version: Option<String>,
    /// Show the rows that decide about this number.
    #[arg(long, conflicts_with = "destination")]
    number: Option<String>,
    /// Show the rows of this destination.
    #[arg(long, value_name = "ID")]
    destination: Option<String>,
    #[command(flatten)]
    format: show::Format,
}

#[derive(Debug, Args)]
pub struct ListArgs {
    #[command(flatten)]
    format: show::Format,
}

#[derive(Debug, Args)]
pub struct HistoryArgs {
    /// The newest so many.
    #[arg(long)]
    limit: Option<u32>,
    #[command(flatten)]
    format: show::Format,
}

#[derive(Debug, Args)]
pub struct ActivateArgs {
    /// The version: its name, or the first digits of it.
    version: String,
    /// From when, in UTC. Without: now.
    #[arg(long, value_parser = parse::time, value_name = "TIME")]
    at: Option<UtcMs>,
    #[command(flatten)]
    author: AuthorArgs,
    #[command(flatten)]
    format: show::Format,
}

/// Does it.
pub fn run(core: &CoreArgs, command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Check(args) => check::run(&args),
        Command::Load(args) => desk::load(core, &args),
        Command::Diff(args) => desk::diff(core, &args).map(|()| ExitCode::SUCCESS),
        Command::Show(args) => desk::show(core, &args).map(|()| ExitCode::SUCCESS),
        Command::List(args) => desk::list(core, &args).map(|()| ExitCode::SUCCESS),
        Command::History(args) => desk::history(core, &args).map(|()| ExitCode::SUCCESS),
        Command::Activate(args) => desk::activate(core, &args).map(|()| ExitCode::SUCCESS),
    }
}
