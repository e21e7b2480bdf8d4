//! Everything goes wrong on the way to the stream, and the process is killed with -9 at random (DESIGN section 8): every
//! record that was acknowledged arrives, in order per call once duplicates are dropped, and the checkpoint never passes a gap.
//!
//! `RECORDS`, `KILLS`, `TOLLKEEPER_SEED` and `BACKEND` (kinesalite, moto, own) make it longer or repeat it; `make soak` does.

mod kinesis;

use std::time::{Duration, Instant};

use demo::lab::{Kinesalite, Moto, eventually};
use kinesis::{STREAM, Stage, number_from, seed};
use serde_json::json;
use tests::kinesis::{Backend, Dice, FaultPlan, FaultProxy, Stream};

const SHARDS: u32 = 3;
/// Records a second that come in: more than the shards of the hostile plan take, so that some always wait.
const RATE: u64 = 2_400;

/// What answers behind the proxy; lives as long as the test.
enum Behind {
    Own,
    Kinesalite(Kinesalite),
    Moto(Moto),
}

impl Behind {
    fn start(stage_folder: &std::path::Path, name: &str) -> anyhow::Result<Self> {
        Ok(match name {
            "own" => Self::Own,
            "kinesalite" => Self::Kinesalite(Kinesalite::start(stage_folder, SHARDS, STREAM)?),
            "moto" => {
                let moto = Moto::start(stage_folder)?;
                demo::lab::kinesis(moto.port, "CreateStream", &json!({"StreamName": STREAM, "ShardCount": SHARDS}))?;
                Self::Moto(moto)
            }
            other => anyhow::bail!("BACKEND={other}: kinesalite, moto or own"),
        })
    }

    fn backend(&self) -> Backend {
        let at = |port: u16| Backend::Forward { address: ([127, 0, 0, 1], port).into(), stream: STREAM.to_owned() };
        match self {
            Self::Own => Backend::Own(Stream::new(STREAM, SHARDS, None, true)),
            Self::Kinesalite(server) => at(server.port),
            Self::Moto(server) => at(server.port),
        }
    }

    /// Where the checker reads: past the proxy, when something is behind.
    fn url(&self, proxy: &FaultProxy) -> String {
        match self {
            Self::Own => proxy.url(),
            Self::Kinesalite(server) => server.url(),
            Self::Moto(server) => server.url(),
        }
    }
}

/// One run; says what came out.
fn run(name: &str, behind: &str, records: u64, kills: u64) -> anyhow::Result<()> {
    let (seed, begun) = (seed()?, Instant::now());
    let mut stage = Stage::new(name, seed, records, "")?;
    let server = Behind::start(&stage.folder, behind)?;
    let proxy = FaultProxy::start(FaultPlan::hostile(seed), server.backend())?;
    stage.plan["kinesis"]["endpoint_url"] = json!(proxy.url());
    stage.plan["rate"] = json!(RATE);
    let mut dice = Dice::of(seed, u64::MAX);
    let mut pump = stage.start()?;
    let limit = Duration::from_secs(60 + records / 200);
    for kill in 0..kills {
        // Somewhere in its share of the run, counted by what the stream has accepted.
        let share = records / (kills + 1);
        let at = kill * share + share / 2 + dice.below(share);
        eventually("so many records arriving", limit, || {
            (pump.ended().is_some() || proxy.statistics().accepted >= at).then_some(())
        })?;
        anyhow::ensure!(pump.ended().is_none(), "the pump has ended before kill {kill}");
        let pause = Duration::from_millis(dice.below(30));
        let state = stage.kill(&mut pump, &proxy, pause)?;
        println!("kill {} after {at} accepted: {state}", kill + 1);
        pump = stage.start()?;
    }
    let summary = stage.finish(&mut pump, limit)?;
    let found = stage.check_all(&server.url(&proxy))?;
    let statistics = serde_json::to_value(proxy.statistics())?;
    println!(
        "{records} records, {kills} kills, seed {seed}, {behind} behind the proxy, {} s",
        begun.elapsed().as_secs()
    );
    println!("pump: {summary}");
    println!("proxy: {statistics}");
    println!("boto3 read: {found}");
    anyhow::ensure!(summary["backlog"] == 0, "{summary}");
    // The run was what it says it was; in a short one some kind of fault may not have come.
    let count = |fault: &str| statistics[fault].as_u64().unwrap_or(0);
    let whole = count("server_errors") + count("lost_requests") + count("lost_answers");
    anyhow::ensure!(count("failed_entries") > 0 && whole > 0, "nothing went wrong: {statistics}");
    // A second's worth is free; a short run may end with it.
    anyhow::ensure!(records < 5_000 || count("throttled_entries") > 0, "nothing was throttled: {statistics}");
    anyhow::ensure!(statistics["refused_requests"] == 0, "the sink sent what the service refuses: {statistics}");
    Ok(())
}

#[test]
fn kills_and_faults_lose_nothing_and_keep_the_order() -> anyhow::Result<()> {
    let behind = std::env::var("BACKEND").unwrap_or_else(|_| "kinesalite".to_owned());
    run("kinesis-faults", &behind, number_from("RECORDS", 5_000)?, number_from("KILLS", 2)?)
}

#[test]
fn everything_arrives_in_moto_too() -> anyhow::Result<()> {
    run("kinesis-moto", "moto", 1_500, 1)
}
