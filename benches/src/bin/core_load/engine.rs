//! The engine alone: commands of charging requests to a [`Core`](charging_server::Core) in this process, so many at once; the next
//! one of a place is asked when its last one is durable.

use std::path::Path;
use std::time::{Duration, Instant};

use ledger::{Command, Outcome};

use crate::run::{Meter, Run};
use crate::{core, traffic};

/// One of those that ask.
struct Place {
    callers: traffic::Callers,
    /// Which request of its session is on its way.
    step: u32,
    begun: Instant,
}

pub async fn run(place: &Path, accounts: u64, in_flight: usize, seconds: u64, number: u64) -> anyhow::Result<Run> {
    let handle = core::recorder()?;
    let core = core::start(place)?;
    let kept = core.query(|books| books.kept_session_count()).await?;
    anyhow::ensure!(kept == 0 || number > 0, "sessions from before");
    let figures = handle.render();
    let mut stream = core.stream();
    let mut meter = Meter::start()?;
    let mut now = Instant::now();
    let end = now + Duration::from_secs(seconds);
    let mut places: Vec<Place> = (0..u64::try_from(in_flight)?)
        .map(|slot| Place { callers: traffic::Callers::new(number, slot, accounts), step: 0, begun: now })
        .collect();
    let mut open = in_flight;
    for (place, ticket) in places.iter_mut().zip(0..) {
        stream.submit(ticket, place.ask(now));
    }
    while open > 0 {
        for (ticket, outcome) in stream.next().await {
            now = Instant::now();
            let place = usize::try_from(ticket).ok().and_then(|at| places.get_mut(at));
            let place = place.ok_or_else(|| anyhow::anyhow!("nobody asked {ticket}"))?;
            meter.answered(now - place.begun);
            match outcome? {
                Outcome::Charged(charged) => traffic::check(place.step, &charged.answer)?,
                other => anyhow::bail!("{other:?}"),
            }
            if now < end { stream.submit(ticket, place.ask(now)) } else { open -= 1 }
        }
    }
    let mut run = meter.finish(in_flight)?;
    core::ledger_figures(&figures, &handle.render(), &mut run);
    run.core_cpu_ns = core::of_ledger(&run.load_cpu_ns);
    run.load_cpu_ns.retain(|name, _| !run.core_cpu_ns.contains_key(name));
    (run.core_bytes, run.core_peak_bytes) = crate::threads::memory()?;
    core.stop();
    Ok(run)
}

impl Place {
    fn ask(&mut self, now: Instant) -> Command {
        let (step, request) = self.callers.next();
        (self.step, self.begun) = (step, now);
        Command::Charge(Box::new(request))
    }
}
