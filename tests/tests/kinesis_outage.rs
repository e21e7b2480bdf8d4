//! The stream is away for a while and records keep coming (DESIGN section 8): they wait on disk and not in memory, and are
//! shipped faster than they come in once the stream is back.

mod kinesis;

use std::time::{Duration, Instant};

use demo::lab::{Kinesalite, Process, eventually, repository};
use kinesis::{STREAM, Stage, folder_bytes, resident_kib, seed};
use serde_json::json;
use tests::kinesis::{Backend, FaultPlan, FaultProxy, Outage, ShardLimits, Stream};

/// Records a second that come in, and so many seconds.
const RATE: u64 = 1_000;
const SECONDS: u64 = 18;
/// The outage begins and ends.
const BEGINS: Duration = Duration::from_secs(3);
const WINDOW_FULL: Duration = Duration::from_secs(6);
const ENDS: Duration = Duration::from_secs(12);

fn wait_until(begun: Instant, moment: Duration) {
    std::thread::sleep(moment.saturating_sub(begun.elapsed()));
}

#[test]
fn an_outage_fills_the_disk_and_not_the_memory() -> anyhow::Result<()> {
    for outage in [Outage::Away, Outage::Hangs] {
        through(outage)?;
    }
    Ok(())
}

fn through(outage: Outage) -> anyhow::Result<()> {
    let seed = seed()?;
    let plan = FaultPlan { limits: Some(ShardLimits::PROVISIONED), ..FaultPlan::quiet() };
    let proxy = FaultProxy::start(plan, Backend::Own(Stream::new(STREAM, 3, None, true)))?;
    let mut stage = Stage::new("kinesis-outage", seed, RATE * SECONDS, &proxy.url())?;
    stage.plan["rate"] = json!(RATE);
    stage.plan["record_bytes"] = json!(900);
    // Small, so that it is full soon: from then on memory has no reason to grow.
    stage.plan["shipper"] = json!({"window_records": 2_000});
    // The outage is compressed, and so are the pauses between attempts.
    stage.plan["kinesis"]["backoff_max"] = json!("1s");
    stage.plan["kinesis"]["request_timeout"] = json!("2s");
    stage.plan["journal"]["segment_bytes"] = json!(2 * 1024 * 1024);
    let journal = stage.folder.join("journal");
    let mut pump = stage.start()?;
    eventually("the first record", Duration::from_secs(20), || (proxy.statistics().accepted > 0).then_some(()))?;
    let begun = Instant::now();
    wait_until(begun, BEGINS);
    let before_kib = resident_kib(&pump)?;
    proxy.outage(outage);
    wait_until(begun, WINDOW_FULL);
    let (full_kib, full_bytes) = (resident_kib(&pump)?, folder_bytes(&journal)?);
    let accepted = proxy.statistics().accepted;
    wait_until(begun, ENDS);
    let (end_kib, end_bytes) = (resident_kib(&pump)?, folder_bytes(&journal)?);
    anyhow::ensure!(proxy.statistics().accepted == accepted, "nothing arrives in an outage");
    let waiting = acknowledged(&stage)?.saturating_sub(accepted);
    proxy.outage(Outage::None);
    let back = Instant::now();
    let first = proxy.statistics().accepted;
    eventually("records arriving again", Duration::from_secs(10), || {
        (proxy.statistics().accepted > first).then_some(())
    })?;
    let (resumed, arrived) = (back.elapsed(), proxy.statistics().accepted);
    let caught_up = catch_up(&stage, &proxy, &mut pump)?;
    let arrived = proxy.statistics().accepted - arrived;
    let per_second = arrived * 1000 / u64::try_from(caught_up.as_millis())?.max(1);
    let summary = stage.finish(&mut pump, Duration::from_secs(120))?;
    let found = stage.check_all(&proxy.url())?;
    println!(
        "{outage:?} for {:?} at {RATE} records/s: memory {before_kib} KiB before, {full_kib} with the window full, {end_kib} at \
         the end; journal {full_bytes} octets, then {end_bytes}; {waiting} records waited; the first arrived {resumed:?} after it, \
         then {caught_up:?} to catch up at {per_second} records/s",
        ENDS - BEGINS
    );
    println!("pump: {summary}\nboto3 read: {found}");
    anyhow::ensure!(end_bytes > full_bytes, "the journal grows");
    anyhow::ensure!(waiting >= RATE * (ENDS - BEGINS).as_secs() / 2, "intake goes on: {waiting} waited");
    anyhow::ensure!(end_kib < full_kib + 6 * 1024, "memory grows: {full_kib} KiB, then {end_kib}");
    anyhow::ensure!(per_second > RATE * 3 / 2, "catching up at {per_second} records/s, intake is {RATE}");
    Ok(())
}

fn acknowledged(stage: &Stage) -> anyhow::Result<u64> {
    let text = std::fs::read(stage.folder.join("acknowledged"))?;
    Ok(u64::try_from(text.iter().filter(|byte| **byte == b'\n').count())?)
}

/// Waits until what waited has arrived, while more comes in.
fn catch_up(stage: &Stage, proxy: &FaultProxy, pump: &mut Process) -> anyhow::Result<Duration> {
    let back = Instant::now();
    eventually("catching up", Duration::from_secs(60), || {
        let behind = acknowledged(stage).ok()?.saturating_sub(proxy.statistics().accepted);
        (pump.ended().is_some() || behind < RATE / 2).then_some(())
    })?;
    Ok(back.elapsed())
}

/// The server itself is killed and comes back, with nothing in between.
#[test]
fn a_server_that_dies_and_comes_back() -> anyhow::Result<()> {
    let seed = seed()?;
    let mut stage = Stage::new("kinesis-restart", seed, 2_000, "")?;
    let mut server = Kinesalite::start(&stage.folder, 3, STREAM)?;
    stage.plan["kinesis"]["endpoint_url"] = json!(server.url());
    stage.plan["rate"] = json!(500);
    let mut pump = stage.start()?;
    eventually("half of the records", Duration::from_secs(30), || {
        (pump.ended().is_some() || acknowledged(&stage).is_ok_and(|records| records > 700)).then_some(())
    })?;
    server.process.kill()?;
    eventually("more records", Duration::from_secs(30), || {
        (pump.ended().is_some() || acknowledged(&stage).is_ok_and(|records| records > 1_500)).then_some(())
    })?;
    anyhow::ensure!(pump.ended().is_none(), "the pump goes on without the stream");
    server.start_again()?;
    let summary = stage.finish(&mut pump, Duration::from_secs(60))?;
    let found = stage.check_all(&server.url())?;
    println!("pump: {summary}\nboto3 read: {found}");
    // As the demo reads it: each record one line.
    let output = stage.folder.join("read-back.jsonl");
    let lines = server.read_back(&repository().join("demo/read_stream.py"), &output)?;
    anyhow::ensure!(found["records"] == lines, "{lines} lines");
    let text = std::fs::read_to_string(output)?;
    anyhow::ensure!(
        text.lines().count() == lines && text.lines().all(|line| line.starts_with("{\"")),
        "not JSON lines"
    );
    Ok(())
}
