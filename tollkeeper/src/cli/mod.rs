//! The command line.

mod account;
mod cdr;
mod configuration;
mod connection;
mod diameter;
mod diameter_load;
mod journal;
mod ledger;
mod parse;
mod plan_folder;
mod process;
mod quote;
mod session;
mod ship_status;
mod show;
mod tariff;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory as _, Parser, Subcommand};

use crate::config::Config;
use crate::exit;

/// Prepaid charging for telephone calls.
#[derive(Debug, Parser)]
#[command(
    name = "tollkeeper",
    version,
    max_term_width = 100,
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Examples:
  tollkeeper run                                   a charging core on loopback, data in ./tollkeeper-data
  tollkeeper run -c tollkeeper.toml                what the file names
  tollkeeper account create alice --balance 10.00
  tollkeeper account topup alice 5.00

Exit codes: 0 done, 1 failed, 3 shutdown unfinished, 64 wrong usage or configuration."
)]
pub struct Cli {
    #[command(flatten)]
    core: connection::CoreArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run what the configuration file names: core, agents, journal, sinks.
    #[command(after_help = "Examples:
  tollkeeper run
  tollkeeper run -c /etc/tollkeeper/tollkeeper.toml
  tollkeeper run --data-dir /tmp/try-it

SIGTERM or SIGINT ends it in order; a second one ends it at once.")]
    Run(ConfigArgs),
    /// Check a configuration file: all mistakes with file, line and remedy; exit 64 if there are any.
    #[command(after_help = "Examples:
  tollkeeper check-config -c tollkeeper.toml
  tollkeeper check-config -c tollkeeper.toml --json")]
    CheckConfig(configuration::CheckArgs),
    /// Print the effective configuration, all defaults included, as TOML with comments.
    #[command(after_help = "Examples:
  tollkeeper print-config > tollkeeper.toml        a file to begin with
  tollkeeper print-config -c tollkeeper.toml")]
    PrintConfig(ConfigArgs),
    /// Accounts: create, show, list, top up, debit, block, unblock, history.
    #[command(after_help = "Examples:
  tollkeeper account create alice --currency EUR --balance 10.00 --identity e164:+49301234567
  tollkeeper account list --json")]
    #[command(subcommand)]
    Account(account::Command),
    /// Charging sessions: list, show, release.
    #[command(after_help = "Examples:
  tollkeeper session list
  tollkeeper session release SESSION_ID")]
    #[command(subcommand)]
    Session(session::Command),
    /// Call records, read from the journal's directory: tail, search.
    #[command(after_help = "Examples:
  tollkeeper cdr tail -f
  tollkeeper cdr search --account alice --type STOP --json")]
    #[command(subcommand)]
    Cdr(cdr::Command),
    /// The records' journal: verify, export, replay.
    #[command(after_help = "Examples:
  tollkeeper journal verify
  tollkeeper journal export --since 2026-11-01 --until 2026-12-01 --gzip -o november.jsonl.gz
  tollkeeper journal replay --sink kinesis --from 2026-11-22T10:00:00Z")]
    #[command(subcommand)]
    Journal(journal::Command),
    /// The ledger's files: verify, backup, restore.
    #[command(after_help = "Examples:
  tollkeeper ledger verify
  tollkeeper ledger backup /backup/2026-11-22
  tollkeeper ledger restore /backup/2026-11-22 --replace")]
    #[command(subcommand)]
    Ledger(ledger::Command),
    /// The Diameter agents' peers: who is connected, who was refused and why.
    #[command(after_help = "Examples:
  tollkeeper diameter peers -c /etc/tollkeeper/tollkeeper.toml
  tollkeeper diameter peers --json")]
    #[command(subcommand)]
    Diameter(diameter::Command),
    /// Tariffs: check a folder, load it into the running core, compare, show, history, activate.
    #[command(after_help = "Examples:
  tollkeeper tariff check /etc/tollkeeper/tariff
  tollkeeper tariff load /etc/tollkeeper/tariff --dry-run --diff
  tollkeeper tariff history")]
    #[command(subcommand)]
    Tariff(tariff::Command),
    /// What something costs, and why: from a tariff folder, or from the running core.
    #[command(after_help = "Examples:
  tollkeeper quote --plan demo/tariff --destination +49301234567 --usage 90s
  tollkeeper quote --destination +49301234567 --usage 90s --at 2026-12-24T18:00:00Z --explain
  tollkeeper quote --plan DIR --category data --destination web --usage 1048576 --tor data --json
  tollkeeper quote --plan DIR --requests in.jsonl --answers out.jsonl
  tollkeeper quote --session SESSION_ID            what a call was charged, and why

A file of requests has one JSON object a line, with the keys id, tor (\"*voice\"), tenant, category,
subject, destination, answer_time and usage (\"90s\" or a number). Its answers have id and cost, or
id and error, in the same order. There a + in a number is a character like any other, as in the
tariff format itself; with -c FILE it is as the file says.")]
    Quote(quote::QuoteArgs),
    /// Play Diameter clients (packet gateway, call server, message centre) towards a charging server or relay; rate, latencies, result codes.
    #[command(after_help = "Examples:
  tollkeeper diameter-load --target 127.0.0.1:3868 --rate 1000 --sessions 5000 --duration 30s
  tollkeeper diameter-load --target dra.example.net:3868 --profile ro-voice --updates 5 --json
  tollkeeper diameter-load --target ocs.example.net:5868 --tls --ca ca.pem --cert pgw.pem --key pgw.key
  tollkeeper diameter-load --target 127.0.0.1:3868 --profile sms-event --total 10000 --copies 10

The subscribers must have accounts, as E.164 numbers, and the server must have our Origin-Host among
its peers. Requests go out at the rate wanted whatever the server does; a latency counts from the
moment its request was meant for. Ctrl-C ends the sessions and says goodbye (DPR); a second one only
says goodbye. Exit code 1 when answers are missing or wrong.")]
    DiameterLoad(diameter_load::LoadArgs),
    /// Print a completion script for a shell.
    #[command(after_help = "Examples:
  tollkeeper completions bash > /etc/bash_completion.d/tollkeeper
  tollkeeper completions zsh > ~/.zfunc/_tollkeeper")]
    Completions {
        /// bash, elvish, fish, powershell or zsh.
        shell: clap_complete::Shell,
    },
}

/// Which configuration.
#[derive(Debug, Clone, Default, Args)]
pub struct ConfigArgs {
    /// The configuration file. Without: a core on loopback and nothing else.
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where everything durable is kept; goes before `data_dir` of the file.
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
}

impl ConfigArgs {
    /// The effective configuration.
    fn load(&self) -> anyhow::Result<Config> {
        let mut config = Config::load(self.config.as_deref())?;
        if let Some(data_dir) = &self.data_dir {
            config.top.data_dir.clone_from(data_dir);
        }
        Ok(config)
    }
}

/// Reads the command line and does what it says.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let code = if error.use_stderr() { exit::USAGE } else { exit::OK };
            // Where standard output is closed nobody wanted to read it.
            drop(error.print());
            return ExitCode::from(code);
        }
    };
    let done = match cli.command {
        Command::Run(args) => args.load().and_then(crate::run::run),
        Command::CheckConfig(args) => configuration::check(&args).map(|()| ExitCode::SUCCESS),
        Command::PrintConfig(args) => configuration::print(&args).map(|()| ExitCode::SUCCESS),
        Command::Account(command) => account::run(&cli.core, command).map(|()| ExitCode::SUCCESS),
        Command::Session(command) => session::run(&cli.core, command).map(|()| ExitCode::SUCCESS),
        Command::Cdr(command) => cdr::run(command).map(|()| ExitCode::SUCCESS),
        Command::Journal(command) => journal::run(command),
        Command::Ledger(command) => ledger::run(command),
        Command::Diameter(command) => diameter::run(&command).map(|()| ExitCode::SUCCESS),
        Command::Tariff(command) => tariff::run(&cli.core, command),
        Command::Quote(args) => quote::run(&cli.core, &args).map(|()| ExitCode::SUCCESS),
        Command::DiameterLoad(args) => diameter_load::run(&cli.core, &args),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "tollkeeper", &mut script);
            show::raw(&script).map(|()| ExitCode::SUCCESS)
        }
    };
    done.unwrap_or_else(|error| exit::failed(&error))
}
