//! Shards are split and merged while records come in: order per call holds, nothing is lost. kinesalite reshards as the
//! service does; a proxy before it makes the run hostile.

mod kinesis;

use std::time::Duration;

use anyhow::Context;
use demo::lab::{Kinesalite, Process, eventually};
use kinesis::{STREAM, Stage, seed};
use serde_json::{Value, json};
use tests::kinesis::{Backend, FaultPlan, FaultProxy};

#[test]
fn order_holds_while_shards_are_split_and_merged() -> anyhow::Result<()> {
    let seed = seed()?;
    let mut stage = Stage::new("kinesis-resharding", seed, 6_000, "")?;
    let server = Kinesalite::start(&stage.folder, 2, STREAM)?;
    let behind = Backend::Forward { address: ([127, 0, 0, 1], server.port).into(), stream: STREAM.to_owned() };
    // Fewer faults than elsewhere, or hardly anything would be under way when a shard closes.
    let plan = FaultPlan { limits: None, ..FaultPlan::hostile(seed) };
    let proxy = FaultProxy::start(plan, behind)?;
    stage.plan["kinesis"]["endpoint_url"] = json!(proxy.url());
    stage.plan["rate"] = json!(1_000);
    let mut pump = stage.start()?;
    arrived(&proxy, &mut pump, 700)?;
    for shard in server.open_shards()? {
        split(&server, &shard)?;
    }
    arrived(&proxy, &mut pump, 2_500)?;
    merge(&server)?;
    arrived(&proxy, &mut pump, 3_500)?;
    split(&server, server.open_shards()?.last().context("an open shard")?)?;
    let summary = stage.finish(&mut pump, Duration::from_secs(120))?;
    let found = stage.check_all(&server.url())?;
    println!("pump: {summary}\nproxy: {}\nboto3 read: {found}", serde_json::to_value(proxy.statistics())?);
    let used = found["shards"].as_object().map_or(0, serde_json::Map::len);
    // Two at first, four by splitting, one by merging, two by splitting.
    anyhow::ensure!(used == 9, "records in {used} shards: {found}");
    Ok(())
}

fn arrived(proxy: &FaultProxy, pump: &mut Process, records: u64) -> anyhow::Result<()> {
    eventually("records arriving", Duration::from_secs(60), || {
        (pump.ended().is_some() || proxy.statistics().accepted >= records).then_some(())
    })?;
    anyhow::ensure!(pump.ended().is_none(), "the pump has ended too early");
    Ok(())
}

fn split(server: &Kinesalite, shard: &Value) -> anyhow::Result<()> {
    let key = |name: &str| {
        shard["HashKeyRange"][name].as_str().context("a hash key")?.parse::<u128>().map_err(anyhow::Error::new)
    };
    let (begin, end) = (key("StartingHashKey")?, key("EndingHashKey")?);
    let middle = begin + (end - begin) / 2;
    let request = json!({
        "StreamName": server.stream, "ShardToSplit": shard["ShardId"], "NewStartingHashKey": middle.to_string(),
    });
    server.ask("SplitShard", &request)?;
    server.wait_active()
}

/// The two open shards with the lowest keys.
fn merge(server: &Kinesalite) -> anyhow::Result<()> {
    let mut open = server.open_shards()?;
    let begin =
        |shard: &Value| shard["HashKeyRange"]["StartingHashKey"].as_str().and_then(|key| key.parse::<u128>().ok());
    open.sort_by_key(begin);
    let [low, high, ..] = open.as_slice() else { anyhow::bail!("two open shards") };
    let request = json!({
        "StreamName": server.stream, "ShardToMerge": low["ShardId"], "AdjacentShardToMerge": high["ShardId"],
    });
    server.ask("MergeShards", &request)?;
    server.wait_active()
}
