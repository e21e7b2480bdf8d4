//! The core's side: the process that has the books, and what it says about itself.

use std::collections::BTreeMap;
use std::io::BufRead as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use charging_server::{Core, CoreConfig, TariffConfig};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use crate::run::{Run, each};
use crate::{tariff, threads, traffic};

/// Where a core's things are: `data/` and `tariff/` below it.
pub fn config(place: &Path) -> CoreConfig {
    let tariff = TariffConfig { folder: Some(place.join("tariff")), ..TariffConfig::default() };
    CoreConfig {
        tariff,
        policy: tariff::policy(),
        listen: std::net::SocketAddr::from(([127, 0, 0, 1], 0)),
        ..CoreConfig::default()
    }
}

pub fn start(place: &Path) -> anyhow::Result<Core> {
    Core::start(&place.join("data"), &config(place)).context("the core does not start")
}

/// The recorder that the binary has.
pub fn recorder() -> anyhow::Result<PrometheusHandle> {
    let builder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &[0.001, 0.01, 0.1, 1.0])?
        .set_buckets_for_metric(Matcher::Suffix("_batch_commands".to_owned()), BATCHES)?;
    Ok(builder.install_recorder()?)
}

/// What the ledger counted between two looks.
pub fn ledger_figures(before: &str, after: &str, run: &mut Run) {
    // All figures are read in millionths: sums of seconds have decimals.
    let of = |text: &str, name: &str| -> u64 {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.and_then(|value| benches::machine::parse_seconds(value).ok()).unwrap_or(0)
    };
    let more = |name: &str| of(after, name).saturating_sub(of(before, name));
    let commits = (more("tollkeeper_ledger_batch_commands_count") / MILLION).max(1);
    run.batch = more("tollkeeper_ledger_batch_commands_sum") / MILLION / commits;
    run.commit_us = more("tollkeeper_ledger_commit_duration_seconds_sum") / commits;
    let bucket = |bound: &str| more(&format!("tollkeeper_ledger_batch_commands_bucket{{le=\"{bound}\"}}"));
    let all = bucket("+Inf");
    let bounds = BATCHES.iter().map(ToString::to_string).find(|bound| bucket(bound) == all);
    run.largest_batch = bounds.map_or_else(|| "more".to_owned(), |bound| format!("<= {bound}"));
}

/// What a fill took.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Filled {
    pub seconds: u64,
    pub disk_bytes: u64,
}

/// Makes accounts, as an operator does. With `money`, each has some, and with it a live key; every tenth has limits of
/// its own.
pub async fn fill(place: &Path, accounts: u64, money: bool) -> anyhow::Result<Filled> {
    let begun = Instant::now();
    tariff::write(&place.join("tariff"))?;
    let config = CoreConfig { snapshot_records: (accounts * 9 / 10).max(1), ..config(place) };
    let core = Core::start(&place.join("data"), &config).context("the core does not start")?;
    let room = Arc::new(Semaphore::new(IN_FLIGHT));
    let commands = (0..accounts).flat_map(|number| {
        let opened = if money {
            traffic::funded(number)
        } else {
            ledger::Command::CreateAccount(Box::new(traffic::account(number)))
        };
        let own = (money && number % 10 == 0).then(|| traffic::limits(number));
        std::iter::once(opened).chain(own)
    });
    for (at, command) in commands.enumerate() {
        if at % 200_000 == 0 {
            eprint!(".");
        }
        let (core, place) = (core.clone(), Arc::clone(&room).acquire_owned().await?);
        tokio::spawn(async move {
            let done = core.decide(command).await;
            drop(place);
            done.is_ok()
        });
    }
    drop(room.acquire_many(u32::try_from(IN_FLIGHT)?).await?);
    let made = core.query(|books| books.account_count()).await?;
    anyhow::ensure!(u64::try_from(made)? == accounts, "{made} accounts were made");
    // As after some hours of work: a snapshot, and a log behind it.
    let snapshot = place.join("data/ledger/books");
    while accounts > 0 && !snapshot.exists() {
        anyhow::ensure!(begun.elapsed() < LONGEST_FILL, "no snapshot was made");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    core.stop();
    Ok(Filled { seconds: begun.elapsed().as_secs(), disk_bytes: size(&place.join("data/ledger"))? })
}

/// What a restart took.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Restarted {
    /// Until commands are taken.
    pub ms: u64,
    pub accounts: usize,
    pub kept_sessions: usize,
    /// Memory of the whole process when it has served for some seconds, and at most until then.
    pub bytes: u64,
    pub peak_bytes: u64,
    /// The same before the core was there.
    pub before_bytes: u64,
    pub disk_bytes: u64,
}

/// Starts a core on what there is.
pub async fn restart(place: &Path) -> anyhow::Result<Restarted> {
    let (before_bytes, _) = threads::memory()?;
    let begun = Instant::now();
    let core = start(place)?;
    let (accounts, kept_sessions) = core.query(|books| (books.account_count(), books.kept_session_count())).await?;
    let ms = u64::try_from(begun.elapsed().as_millis())?;
    // What reading took is freed by now. The allocator gives it back a second later, when it is next asked for something large, as
    // it is all the time where there is work.
    for _ in 0..SETTLING {
        tokio::time::sleep(Duration::from_millis(100)).await;
        drop(std::hint::black_box(vec![1_u8; LARGE]));
    }
    let (bytes, peak_bytes) = threads::memory()?;
    drop(core);
    let disk_bytes = size(&place.join("data/ledger"))?;
    Ok(Restarted { ms, accounts, kept_sessions, bytes, peak_bytes, before_bytes, disk_bytes })
}

/// Serves until a line comes, then tells what it used; first line: the address.
pub async fn serve(place: PathBuf) -> anyhow::Result<()> {
    let handle = recorder()?;
    let core = start(&place)?;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let (address, server) =
        charging_server::serve(core.clone(), &config(&place), async { drop(stopped.await) }).await?;
    let serving = tokio::spawn(server);
    println!("http://{address}");
    let mut before = (threads::cpu_ns()?, handle.render());
    loop {
        let line = tokio::task::spawn_blocking(|| std::io::stdin().lock().lines().next()).await?;
        let Some(Ok(line)) = line else { break };
        let after = (threads::cpu_ns()?, handle.render());
        let operations: u64 = line.trim().parse()?;
        if operations > 0 {
            let mut run =
                Run { core_cpu_ns: each(threads::between(&before.0, &after.0), operations), ..Run::default() };
            ledger_figures(&before.1, &after.1, &mut run);
            (run.core_bytes, run.core_peak_bytes) = threads::memory()?;
            println!("{}", serde_json::to_string(&run)?);
        } else {
            println!("ready");
        }
        before = after;
    }
    stop.send(()).map_err(|()| anyhow::anyhow!("the server ended by itself"))?;
    serving.await??;
    core.stop();
    Ok(())
}

/// Octets of the files in a folder.
pub fn size(folder: &Path) -> anyhow::Result<u64> {
    use std::os::unix::fs::MetadataExt as _;
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        let file = entry?.metadata()?;
        // What is reserved and not written counts, too.
        bytes += if file.is_file() { file.len().min(file.blocks() * 512) } else { 0 };
    }
    Ok(bytes)
}

/// CPU of the ledger's own threads out of a process that also makes the load.
pub fn of_ledger(cpu: &BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    cpu.iter().filter(|(name, _)| OWN.contains(&name.as_str())).map(|(name, ns)| (name.clone(), *ns)).collect()
}

const OWN: [&str; 5] = ["ledger", "ledger-log", "snapshot", "snapshots", threads::GONE];
const IN_FLIGHT: usize = 4096;
/// Tenths of a second before memory is read.
const SETTLING: usize = 30;
const LARGE: usize = 8 << 20;
const LONGEST_FILL: Duration = Duration::from_secs(300);
const MILLION: u64 = 1_000_000;
const BATCHES: &[f64] = &[1.0, 16.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 4096.0];
