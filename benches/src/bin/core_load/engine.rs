//! The engine alone: commands of charging requests to a [`Core`](charging_server::Core) in this process, each waited for
//! until it is durable; so many at once.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ledger::{Command, Outcome};

use crate::run::{Meter, Run};
use crate::{core, traffic};

pub async fn run(place: &Path, accounts: u64, in_flight: usize, seconds: u64, number: u64) -> anyhow::Result<Run> {
    let handle = core::recorder()?;
    let core = core::start(place)?;
    let kept = core.query(|books| books.kept_session_count()).await?;
    anyhow::ensure!(kept == 0 || number > 0, "sessions from before");
    let figures = handle.render();
    let meter = Arc::new(Mutex::new(Meter::start()?));
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut slots = tokio::task::JoinSet::new();
    for slot in 0..in_flight {
        let (core, meter) = (core.clone(), Arc::clone(&meter));
        let mut callers = traffic::Callers::new(number, u64::try_from(slot)?, accounts);
        slots.spawn(async move {
            while Instant::now() < end {
                let (step, request) = callers.next();
                let begun = Instant::now();
                match core.decide(Command::Charge(Box::new(request))).await? {
                    Outcome::Charged(charged) => traffic::check(step, &charged.answer)?,
                    other => anyhow::bail!("{other:?}"),
                }
                meter.lock().unwrap_or_else(std::sync::PoisonError::into_inner).answered(begun.elapsed());
            }
            anyhow::Ok(())
        });
    }
    while let Some(ended) = slots.join_next().await {
        ended??;
    }
    let meter = Arc::into_inner(meter).and_then(|meter| meter.into_inner().ok());
    let mut run = meter.ok_or_else(|| anyhow::anyhow!("a slot is left"))?.finish(in_flight)?;
    core::ledger_figures(&figures, &handle.render(), &mut run);
    run.core_cpu_ns = core::of_ledger(&run.load_cpu_ns);
    run.load_cpu_ns.retain(|name, _| !run.core_cpu_ns.contains_key(name));
    (run.core_bytes, run.core_peak_bytes) = crate::threads::memory()?;
    core.stop();
    Ok(run)
}
