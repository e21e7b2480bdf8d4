//! `make demo-diameter`: packet gateways, a call server and a message centre (the load client of tollkeeper) behind a real freeDiameterd
//! relay, charged by tollkeeper with real money; a table a newcomer understands, and checks to the last unit.
//!
//! Everything runs on loopback in `target/demo-diameter` with the configuration of `demo/diameter`, and is stopped at the end, also on
//! Ctrl-C. Exit code 0 only if every balance, record and copy is right.

mod act;
mod check;
mod stage;

use std::process::ExitCode;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use stage::Stage;

fn main() -> ExitCode {
    demo::play::play(play)
}

fn play(interrupted: &AtomicBool) -> anyhow::Result<bool> {
    let begun = Instant::now();
    let stage = Stage::set(interrupted)?;
    let acts = act::all(&stage)?;
    stage.step("reading balances, records and metrics");
    let checks = check::all(&stage, &acts)?;
    check::table(&acts);
    println!("\nChecks:");
    for check in &checks {
        let mark = if check.ok { "ok   " } else { "WRONG" };
        println!("  {mark} {}: {}", check.name, check.detail);
    }
    let right = checks.iter().all(|check| check.ok);
    let verdict = if right { "all as expected" } else { "NOT as expected" };
    println!("\n{verdict}, {} s. Details: {}", begun.elapsed().as_secs(), stage.folder.display());
    Ok(right)
}
