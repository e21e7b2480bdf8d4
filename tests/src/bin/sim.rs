//! Runs the simulation: many seeds on all processors, or one with the steps that led to its failure.

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use tests::sim::{self, Counts, Violation};

const USAGE: &str = "\
Agents, clients and the charging core in simulated time, with faults; an auditor checks the money after every step.

usage: sim [--from N] [--seeds N] [--steps N] [--trace N]
       sim --seed N [--steps N] [--trace N]

  --seed N    one seed, and what happened before its failure
  --from N    the first seed (0)
  --seeds N   how many (200)
  --steps N   ends each seed after so many events
  --trace N   so many lines about a failure (60)

examples:
  sim --seeds 5000
  sim --seed 137 --trace 200";

struct Arguments {
    one: bool,
    from: u64,
    seeds: u64,
    steps: u64,
    trace: usize,
}

fn main() -> ExitCode {
    match arguments().and_then(|arguments| arguments.map_or(Ok(true), |arguments| run(&arguments))) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("sim: {error:#}");
            ExitCode::from(64)
        }
    }
}

fn arguments() -> Result<Option<Arguments>> {
    let mut arguments = Arguments { one: false, from: 0, seeds: 200, steps: u64::MAX, trace: 60 };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut number = || -> Result<u64> {
            let text = words.next().with_context(|| format!("{word} needs a number"))?;
            text.parse().with_context(|| format!("{word}: `{text}` is not a number"))
        };
        match word.as_str() {
            "--seed" => (arguments.one, arguments.from, arguments.seeds) = (true, number()?, 1),
            "--from" => arguments.from = number()?,
            "--seeds" => arguments.seeds = number()?,
            "--steps" => arguments.steps = number()?,
            "--trace" => arguments.trace = usize::try_from(number()?)?,
            "--help" | "-h" => {
                println!("{USAGE}");
                return Ok(None);
            }
            other => bail!("`{other}` is not known\n{USAGE}"),
        }
    }
    Ok(Some(arguments))
}

/// True when nothing was found.
fn run(arguments: &Arguments) -> Result<bool> {
    // A seed that panics is reported with its number; the panic's own words come with it.
    std::panic::set_hook(Box::new(|_| {}));
    let folder = tempfile::tempdir()?;
    let pricing = sim::pricing(folder.path())?;
    let (begun, end) = (Instant::now(), arguments.from.saturating_add(arguments.seeds));
    let (next, failed) = (AtomicU64::new(arguments.from), AtomicBool::new(false));
    let (sums, found) = (Mutex::new(Counts::default()), Mutex::new(Vec::<Box<Violation>>::new()));
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end || failed.load(Ordering::Relaxed) {
                        return;
                    }
                    match sim::run(seed, arguments.steps, &pricing, 0) {
                        Ok(counts) => sums.lock().expect("nobody panics with it").add(&counts),
                        Err(violation) => {
                            failed.store(true, Ordering::Relaxed);
                            found.lock().expect("nobody panics with it").push(violation);
                        }
                    }
                    let done = seed + 1 - arguments.from;
                    if done.is_multiple_of(100) {
                        eprintln!("{done} of {} seeds, {} s", arguments.seeds, begun.elapsed().as_secs());
                    }
                }
            });
        }
    });
    let sums = sums.into_inner().expect("nobody panics with it");
    let mut found = found.into_inner().expect("nobody panics with it");
    found.sort_by_key(|violation| violation.seed);
    let Some(first) = found.first() else {
        println!("{} seeds in {} ms: {sums:?}", arguments.seeds, begun.elapsed().as_millis());
        return Ok(true);
    };
    // Again, for what led to it: the same seed is the same run.
    match sim::run(first.seed, arguments.steps, &pricing, arguments.trace.max(1)) {
        Err(again) if again.step == first.step && again.text == first.text => println!("{again}"),
        other => println!("{first}\nand the second run of this seed was another one: {other:?}"),
    }
    Ok(false)
}
