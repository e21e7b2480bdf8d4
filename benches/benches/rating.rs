//! Prices a second on one core, over a generated plan of a million prefixes and a thousand rates: calls of a minute and of
//! an hour in steps of a second, 256 MB in steps of 10 kB, each to a random number, found and priced. Also how long the
//! plan takes to load, how much memory that needs, and how long a number takes to be found.
//!
//! The load runs in a process of its own, so that its peak of memory is nobody else's. Fails when a goal is missed.

use std::fs::File;
use std::hint::black_box;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::{Context, Result};
use rating::{Plan, Query, Rounding};
use rustix::time::{ClockId, clock_gettime};
use types::charging::Service;
use types::{Currency, UtcMs};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let met = match arguments.iter().position(|argument| argument == LOAD) {
        Some(at) => arguments.get(at + 1).context("no folder").and_then(|folder| load_alone(Path::new(folder))),
        None => measure(),
    };
    match met {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// True if every goal is met.
fn measure() -> Result<bool> {
    let folder = tempfile::tempdir()?;
    write_plan(folder.path())?;
    println!("plan: {PREFIXES} prefixes, {RATES} rates, {DESTINATIONS} destinations; one core");
    let alone = Command::new(std::env::current_exe()?).arg(LOAD).arg(folder.path()).output()?;
    print!("{}", String::from_utf8_lossy(&alone.stdout));
    anyhow::ensure!(alone.stderr.is_empty(), "the load: {}", String::from_utf8_lossy(&alone.stderr));
    let plan = load(folder.path())?;
    let numbers = numbers();
    let find = |number: &str| {
        black_box(plan.resolve(&query(Service::Voice, number)).is_ok());
    };
    let mut met = alone.status.success();
    met &= report("look-up, ns each", each_ns(find, &numbers), "at most", 300);
    for (what, service, usage) in [
        ("prices/s: 60 s in steps of 1 s", Service::Voice, 60_000),
        ("prices/s: 1 h in steps of 1 s", Service::Voice, 3_600_000),
        ("prices/s: 256 MB in steps of 10 kB", Service::Data, 256 << 20),
    ] {
        let price =
            |number: &str| plan.resolve(&query(service, number)).map(|rated| rated.price(usage, Rounding::Final));
        let priced = numbers.iter().all(|number| price(number).is_ok_and(|price| !price.is_zero()));
        anyhow::ensure!(priced, "a number without a price");
        let work = |number: &str| {
            black_box(price(number).is_ok());
        };
        met &= report(what, 1_000_000_000 / each_ns(work, &numbers).max(1), "at least", 1_000_000);
    }
    Ok(met)
}

/// Nanoseconds of a core that `work` takes for a number: the best of some rounds over all of them.
fn each_ns(mut work: impl FnMut(&str), numbers: &[String]) -> u128 {
    let mut best = u128::MAX;
    for _ in 0..ROUNDS {
        let begin = core_ns();
        numbers.iter().for_each(|number| work(number));
        best = best.min(core_ns() - begin);
    }
    best / numbers.len() as u128
}

/// What this thread has had of its core so far: other processes that want it do not count.
fn core_ns() -> u128 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    u128::from(time.tv_sec.unsigned_abs()) * 1_000_000_000 + u128::from(time.tv_nsec.unsigned_abs())
}

fn report(what: &str, figure: u128, bound: &str, goal: u128) -> bool {
    let met = if bound == "at most" { figure <= goal } else { figure >= goal };
    println!("{what:<36} {figure:>10}   goal: {bound} {goal}{}", if met { "" } else { "   MISSED" });
    met
}

fn query(service: Service, number: &str) -> Query<'_> {
    let category = if service == Service::Data { "data" } else { "call" };
    Query { service, tenant: "bench", category, subject: "anna", destination: number, start: UtcMs(1_795_309_601_612) }
}

fn load(folder: &Path) -> Result<Plan> {
    let currency: Currency = "EUR".parse()?;
    Ok(Plan::load(folder, currency)?)
}

fn load_alone(folder: &Path) -> Result<bool> {
    let (begin, of_core) = (Instant::now(), core_ns());
    let plan = load(folder)?;
    let in_time = report("load, ms", begin.elapsed().as_millis(), "at most", 3_000);
    println!("{:<36} {:>10}", "the same, of a core", (core_ns() - of_core) / 1_000_000);
    let peak = report("peak of the process, KiB", memory_kib("VmHWM:")?, "at most", 100 * 1024);
    println!("{:<36} {:>10}", "the process with the plan, KiB", memory_kib("VmRSS:")?);
    drop(plan);
    Ok(in_time & peak)
}

fn memory_kib(field: &str) -> Result<u128> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(field)).context("no such field")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

/// Nine hundred thousand prefixes of six digits, as dense as a country's, and a hundred thousand longer ones.
fn write_plan(folder: &Path) -> Result<()> {
    let table = |name: &str| -> Result<BufWriter<File>> { Ok(BufWriter::new(File::create(folder.join(name))?)) };
    let mut dice = Dice(1);
    let mut destinations = table("Destinations.csv")?;
    for at in 0..900_000 {
        writeln!(destinations, "DST_{:03},{}", dice.below(DESTINATIONS), 100_000 + at)?;
    }
    for at in 0..PREFIXES - 900_000 {
        let behind = [10, 100, 1000][usize::try_from(at % 3)?];
        writeln!(destinations, "DST_{:03},{}{}", dice.below(DESTINATIONS), 100_000 + at * 9, dice.below(behind))?;
    }
    let (mut rates, mut pairs) = (table("Rates.csv")?, table("DestinationRates.csv")?);
    for at in 0..RATES / 2 {
        writeln!(rates, "VOICE_{at},0.0{},0.{:03},60s,1s,0s", at % 10, 10 + at)?;
        writeln!(rates, "DATA_{at},0,0.{:03},1048576,10240,0", 10 + at)?;
    }
    for at in 0..DESTINATIONS {
        for kind in ["VOICE", "DATA"] {
            writeln!(pairs, "{kind},DST_{at:03},{kind}_{},*up,4,0,", at % (RATES / 2))?;
        }
    }
    writeln!(table("RatingPlans.csv")?, "CALLS,VOICE,*any,10\nOCTETS,DATA,*any,10")?;
    writeln!(table("RatingProfiles.csv")?, "bench,call,*any,,CALLS,\nbench,data,*any,,OCTETS,")?;
    Ok(())
}

fn numbers() -> Vec<String> {
    let mut dice = Dice(2);
    (0..NUMBERS).map(|_| format!("{}{:06}", 100_000 + dice.below(900_000), dice.below(1_000_000))).collect()
}

/// The same numbers in every run: xorshift.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % limit
    }
}

const LOAD: &str = "--load";
const PREFIXES: u64 = 1_000_000;
const RATES: u64 = 1_000;
const DESTINATIONS: u64 = 1_000;
const NUMBERS: u64 = 200_000;
const ROUNDS: u32 = 7;
