//! The measurements, one process after the other.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitCode, Stdio};

use anyhow::Context as _;
use benches::machine;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::core::{Filled, Restarted};
use crate::report::{Report, print};
use crate::run::Run;
use crate::{All, What};

/// Hands a part's result to the process that started it.
pub fn tell(result: &impl Serialize) -> anyhow::Result<ExitCode> {
    println!("{}", serde_json::to_string(result)?);
    Ok(ExitCode::SUCCESS)
}

/// Runs all that is asked for and prints it.
pub fn measure(options: &All) -> anyhow::Result<ExitCode> {
    let root = options.dir.clone().unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"));
    std::fs::create_dir_all(&root)?;
    let folder = tempfile::Builder::new().prefix("bench-core-").tempdir_in(root)?;
    let wanted = |what: What| options.only.is_empty() || options.only.contains(&what);
    let mut report = Report {
        accounts: options.accounts,
        processors: std::thread::available_parallelism()?.get(),
        load_before: machine::load_average()?,
        fsync_before: machine::fsync_baseline(folder.path())?,
        ..Report::default()
    };
    if wanted(What::Accounts) {
        accounts(&folder.path().join("accounts"), options, &mut report)?;
    }
    let place = folder.path().join("busy");
    if [What::Engine, What::Stream, What::Unary].into_iter().any(wanted) {
        say(&format!("{} accounts with money", options.accounts));
        let filled: Filled = part(&["fill".into(), text(&place), options.accounts.to_string(), "true".into()])?;
        report.filled = Some(filled);
        report.restart_keyed = Some(restart(&place, "restart with a key for each account")?);
    }
    if wanted(What::Engine) {
        engine(&place, options, &mut report)?;
    }
    for (what, unary) in [(What::Stream, false), (What::Unary, true)] {
        if wanted(what) {
            let run = wire(&place, options, unary)?;
            let kept = if unary { &mut report.unary } else { &mut report.stream };
            *kept = Some(run);
        }
    }
    report.fsync_after = machine::fsync_baseline(folder.path())?;
    report.load_after = machine::load_average()?;
    let missed = report.missed();
    if options.json {
        println!("{}", serde_json::to_string(&report)?)
    } else {
        print(&report)
    }
    Ok(if options.strict && missed > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Memory and restart of accounts without a key; and the memory of a core that has none.
fn accounts(place: &Path, options: &All, report: &mut Report) -> anyhow::Result<()> {
    say(&format!("{} accounts without keys", options.accounts));
    let _: Filled = part(&["fill".into(), text(place), options.accounts.to_string(), "false".into()])?;
    report.restart_bare = Some(restart(place, "restart")?);
    std::fs::remove_dir_all(place)?;
    let _: Filled = part(&["fill".into(), text(place), "0".into(), "false".into()])?;
    report.empty = Some(restart(place, "a core without accounts")?);
    std::fs::remove_dir_all(place)?;
    Ok(())
}

fn engine(place: &Path, options: &All, report: &mut Report) -> anyhow::Result<()> {
    let in_flight = options.in_flight.unwrap_or(ENGINE_IN_FLIGHT);
    say(&format!("engine: {in_flight} in flight for {} s", options.seconds));
    let before = report.restart_keyed.as_ref().map_or(0, |restarted| restarted.bytes);
    let numbers = [options.accounts.to_string(), in_flight.to_string(), options.seconds.to_string(), "0".into()];
    let run: Run = part(&[vec!["engine".into(), text(place)], numbers.to_vec()].concat())?;
    let busy = restart(place, "restart with all stored outcomes")?;
    // Not at the end of the run: a snapshot that is being made has all of it once more.
    report.outcome_bytes = busy.bytes.saturating_sub(before) / run.operations.max(1);
    report.engine = Some(run);
    report.restart_busy = Some(busy);
    Ok(())
}

fn wire(place: &Path, options: &All, unary: bool) -> anyhow::Result<Run> {
    let (in_flight, connections) =
        if unary { (UNARY_IN_FLIGHT, 1) } else { (options.in_flight.unwrap_or(STREAM_IN_FLIGHT), 1) };
    let what = if unary { "unary" } else { "stream" };
    say(&format!("{what}: {in_flight} in flight for {} s", options.seconds));
    let mut server = Server::start(place)?;
    server.ask("0")?;
    let number = if unary { 2 } else { 1 };
    let arguments = [
        "wire".to_owned(),
        server.address.clone(),
        options.accounts.to_string(),
        in_flight.to_string(),
        connections.to_string(),
        options.seconds.to_string(),
        unary.to_string(),
        number.to_string(),
    ];
    let run: Run = part(&arguments)?;
    let of_core: Run = serde_json::from_str(&server.ask(&run.operations.to_string())?)?;
    server.stop()?;
    Ok(Run {
        core_cpu_ns: of_core.core_cpu_ns,
        batch: of_core.batch,
        largest_batch: of_core.largest_batch,
        commit_us: of_core.commit_us,
        core_bytes: of_core.core_bytes,
        core_peak_bytes: of_core.core_peak_bytes,
        ..run
    })
}

fn restart(place: &Path, what: &str) -> anyhow::Result<Restarted> {
    say(what);
    part(&["restart".into(), text(place)])
}

/// A server in a process of its own.
struct Server {
    process: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    address: String,
}

impl Server {
    fn start(place: &Path) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        let command = command.arg("serve").arg(place).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn()?;
        let orders = process.stdin.take();
        let answers = BufReader::new(process.stdout.take().context("no output")?);
        let mut server = Self { process, orders, answers, address: String::new() };
        server.address = server.line()?;
        Ok(server)
    }

    fn ask(&mut self, order: &str) -> anyhow::Result<String> {
        writeln!(self.orders.as_mut().context("stopped")?, "{order}")?;
        self.line()
    }

    fn line(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        anyhow::ensure!(!line.is_empty(), "the server ended; its reason is above");
        Ok(line.trim().to_owned())
    }

    fn stop(mut self) -> anyhow::Result<()> {
        self.orders = None;
        anyhow::ensure!(self.process.wait()?.success(), "the server failed");
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Gone already when all went well.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// Runs a part of this program and reads its result.
fn part<T: DeserializeOwned>(arguments: &[String]) -> anyhow::Result<T> {
    let mut command = Command::new(std::env::current_exe()?);
    let output = command.args(arguments).stderr(Stdio::inherit()).output()?;
    anyhow::ensure!(output.status.success(), "{} failed: {}", arguments.join(" "), output.status);
    let text = String::from_utf8(output.stdout)?;
    serde_json::from_str(text.lines().last().unwrap_or_default()).context("no result")
}

fn say(what: &str) {
    eprintln!("{what}");
}

fn text(path: &Path) -> String {
    PathBuf::from(path).display().to_string()
}

/// Half of them wait for the disk, half are decided meanwhile.
const ENGINE_IN_FLIGHT: usize = 256;
const STREAM_IN_FLIGHT: usize = 512;
const UNARY_IN_FLIGHT: usize = 64;
