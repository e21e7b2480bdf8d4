//! Before kinesalite, when `scripts/install-tools.sh` has installed it: a real server's routing, splits and limits.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_kinesis::types::{ShardIteratorType, StreamStatus};
use cdr_shipping::kinesis::KinesisConfig;
use segment_log::fault::FaultStorage;
use types::ConfigDuration;

use crate::double::Stored;
use crate::journal::{append, check, open, setting, ship, ship_all};

/// Where the tools are: `TOLLKEEPER_TEST_TOOLS`, or the user's cache.
fn tools() -> Option<PathBuf> {
    let chosen = std::env::var_os("TOLLKEEPER_TEST_TOOLS").map(PathBuf::from);
    let tools = chosen.or_else(|| std::env::home_dir().map(|home| home.join(".cache/tollkeeper-tools")))?;
    tools.join("node_modules/kinesalite").is_dir().then_some(tools)
}

struct Kinesalite {
    child: Child,
    url: String,
}

impl Kinesalite {
    fn start(tools: &Path) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/tools/kinesalite.js");
        let mut command = Command::new("node");
        command.arg(script).env("NODE_PATH", tools.join("node_modules")).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port: serde_json::Value = serde_json::from_str(&line).unwrap();
        Self { child, url: format!("http://127.0.0.1:{}", port["port"]) }
    }
}

impl Drop for Kinesalite {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// A client of the test's own.
fn client(url: &str) -> Client {
    let config = aws_sdk_kinesis::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .credentials_provider(Credentials::new("AKIDEXAMPLE", "not-a-secret", None, None, "test"))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .endpoint_url(url);
    Client::from_conf(config.build())
}

async fn active(client: &Client) {
    loop {
        let described = client.describe_stream().stream_name("calls").send().await.unwrap();
        if described.stream_description.is_some_and(|stream| stream.stream_status == StreamStatus::Active) {
            return;
        }
    }
}

/// All records of all shards, in the order of their sequence numbers, which are of one length and grow across shards.
async fn read(client: &Client) -> Vec<Stored> {
    let mut read = Vec::new();
    let shards = client.list_shards().stream_name("calls").send().await.unwrap().shards.unwrap();
    for shard in shards {
        let iterator = client.get_shard_iterator().stream_name("calls").shard_id(&shard.shard_id);
        let iterator = iterator.shard_iterator_type(ShardIteratorType::TrimHorizon).send().await.unwrap();
        let mut next = iterator.shard_iterator;
        while let Some(iterator) = next.take() {
            let page = client.get_records().shard_iterator(iterator).send().await.unwrap();
            // An open shard goes on for ever; an empty page at its tip is the end of it.
            if !page.records.is_empty() || page.millis_behind_latest.unwrap_or(0) > 0 {
                next = page.next_shard_iterator;
            }
            for record in page.records {
                let stored = Stored {
                    shard: shard.shard_id.clone(),
                    key: record.partition_key.unwrap(),
                    data: record.data.into_inner(),
                };
                read.push((record.sequence_number, stored));
            }
        }
    }
    read.sort_by(|(one, _), (other, _)| one.cmp(other));
    read.into_iter().map(|(_, stored)| stored).collect()
}

#[test]
fn kinesalite_gets_every_record_in_order_also_while_a_shard_is_split() {
    let Some(tools) = tools() else {
        println!("kinesalite is not installed, see scripts/install-tools.sh");
        return;
    };
    let server = Kinesalite::start(&tools);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let client = client(&server.url);
    let setting = setting(&server.url);
    let config = KinesisConfig { backoff_max: ConfigDuration::from_ms(100), ..setting.config.clone() };
    let disk = FaultStorage::new();
    let journal = open(&disk);
    append(&journal, 0..400, 100);
    // The stream does not exist when the shipper starts.
    let mut shipping = ship(&journal, &disk, &config);
    for _ in 0..5 {
        shipping.step().unwrap();
    }
    runtime.block_on(async {
        client.create_stream().stream_name("calls").shard_count(3).send().await.unwrap();
        active(&client).await;
    });
    ship_all(&mut shipping);
    let places = runtime.block_on(read(&client));
    check(&places, 400, 100);
    let shards: std::collections::BTreeSet<_> = places.into_iter().map(|stored| stored.shard).collect();
    assert_eq!(shards.len(), 3);
    runtime.block_on(async {
        let middle = (u128::MAX / 6).to_string();
        let split = client.split_shard().stream_name("calls").shard_to_split("shardId-000000000000");
        split.new_starting_hash_key(middle).send().await.unwrap();
        active(&client).await;
    });
    append(&journal, 400..1500, 100);
    ship_all(&mut shipping);
    let stored = runtime.block_on(read(&client));
    check(&stored, 1500, 100);
    let shards: std::collections::BTreeSet<_> = stored.into_iter().map(|stored| stored.shard).collect();
    assert_eq!(shards.len(), 5, "two new ones: {shards:?}");
}
