//! Replays independent rating cases: the GetCost and GetMaxUsage steps of a file of cases, against plans in a folder.
//!
//! `cargo run --release -p tests --example judge -- --cases FILE.jsonl --plans DIR`. Prints each failure with our figure
//! and theirs, what was skipped and why, and `N passed, M failed, K skipped` at the end; exit code 1 if anything failed.

mod cases;

use std::path::PathBuf;
use std::process::ExitCode;

use cases::Judge;

const USAGE: &str = "\
Replays the GetCost and GetMaxUsage steps of a file of rating cases.

Usage: judge --cases FILE.jsonl --plans DIR

  --cases FILE.jsonl   one case a line; may be given several times
  --plans DIR          the folder that the cases' plan folders are in: either the one that holds `plans`, or `plans` itself
  --verbose            name every skipped step, not only how many there are of each kind

Example: judge --cases cases_public.jsonl --cases oracle_public.jsonl --plans plans";

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}\n\n{USAGE}");
            ExitCode::from(64)
        }
    }
}

fn run() -> Result<bool, String> {
    let (mut files, mut plans, mut verbose) = (Vec::new(), None, false);
    let mut arguments = std::env::args_os().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = |name: &str| arguments.next().map(PathBuf::from).ok_or(format!("{name} needs a path"));
        match argument.to_str() {
            Some("--cases") => files.push(value("--cases")?),
            Some("--plans") => plans = Some(value("--plans")?),
            Some("--verbose") => verbose = true,
            Some("--help" | "-h") => {
                println!("{USAGE}");
                return Ok(true);
            }
            _ => return Err(format!("unknown argument {}", argument.display())),
        }
    }
    let plans = plans.ok_or("--plans is missing")?;
    if files.is_empty() {
        return Err("--cases is missing".to_owned());
    }
    let mut judge = Judge::new(&plans);
    for file in files {
        let text = std::fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
        for (line, case) in text.lines().enumerate().filter(|(_, case)| !case.trim().is_empty()) {
            judge.replay(case).map_err(|error| format!("{} line {}: {error}", file.display(), line + 1))?;
        }
    }
    judge.failed.iter().for_each(|failure| println!("FAILED {failure}"));
    for (reason, steps) in &judge.skipped {
        println!("skipped {}: {reason}", steps.len());
        steps.iter().filter(|_| verbose).for_each(|step| println!("    {step}"));
    }
    let skipped: usize = judge.skipped.values().map(Vec::len).sum();
    println!("{} passed, {} failed, {skipped} skipped", judge.passed, judge.failed.len());
    Ok(judge.failed.is_empty())
}
