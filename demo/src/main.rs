//! `make demo`: real SIP calls through a real Kamailio, charged by tollkeeper, shown in a table a newcomer understands.
//!
//! Everything runs on loopback in `target/demo`, and is stopped at the end, also on Ctrl-C. Exit code 0 only if every
//! call went as it must and every balance is right to the last unit.

mod check;
mod plan;
mod report;
mod stage;

use std::process::ExitCode;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use anyhow::Context;

use report::Call;
use stage::Stage;

fn main() -> ExitCode {
    demo::play::play(play)
}

fn play(interrupted: &AtomicBool) -> anyhow::Result<bool> {
    let begun = Instant::now();
    let mut stage = Stage::set(interrupted)?;
    let mut calls: Vec<Call> = Vec::new();
    plan::everyday_calls(&mut stage, &mut calls)?;
    plan::refused_and_unanswered(&mut stage, &mut calls)?;
    plan::credit_and_operators(&mut stage, &mut calls)?;
    plan::forged_payer(&mut stage, &mut calls)?;
    plan::emergency_without_agent(&mut stage, &mut calls)?;
    stage.step("reading sessions, records and balances");
    stage.wait_for_records(&calls)?;
    for call in &mut calls {
        call.read(&stage).with_context(|| call.id.clone())?;
    }
    let checks = check::all(&mut stage, &calls)?;
    report::table(&calls);
    report::checks(&checks);
    report::write_summary(&stage.folder.join("summary.json"), &calls, &checks)?;
    stage.strike()?;
    let right = checks.iter().all(|check| check.ok);
    let verdict = if right { "all as expected" } else { "NOT as expected" };
    println!(
        "\n{} calls, {verdict}, {} s. Details: {}",
        calls.len(),
        begun.elapsed().as_secs(),
        stage.folder.display()
    );
    Ok(right)
}
