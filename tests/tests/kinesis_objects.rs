//! The S3 sink against moto, a server of somebody else's that knows If-None-Match; read back with boto3 and gzip.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use cdr_journal::{Journal, JournalOptions, JournalSource, Shipper, ShipperOptions};
use cdr_model::CallRecord;
use cdr_shipping::objects::{ObjectsConfig, ObjectsSink};
use segment_log::DirStorage;
use serde_json::{Value, json};
use tempfile::TempDir;

const BUCKET: &str = "records";
const LONG: Duration = Duration::from_secs(60);

/// Ended when dropped.
struct Moto {
    child: Child,
    endpoint: String,
}

impl Moto {
    fn start(log: &Path) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port").port();
        let log = std::fs::File::create(log).expect("a log");
        let mut command = Command::new(tools().join("python/bin/moto_server"));
        command.args(["-H", "127.0.0.1", "-p", &port.to_string()]).stdout(Stdio::null()).stderr(log);
        let child = command.spawn().expect("moto is installed: make tools");
        let moto = Self { child, endpoint: format!("http://127.0.0.1:{port}") };
        moto.script("create");
        moto
    }

    /// What the script prints, one JSON object a line.
    fn script(&self, action: &str) -> Vec<Value> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tools/objects.py");
        let mut command = Command::new(tools().join("python/bin/python"));
        let output = command.arg(script).args([&*self.endpoint, BUCKET, action]).output().expect("python runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).expect("text");
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    /// All recordIds, as the objects have them, in the order of their names.
    fn records(&self) -> Vec<String> {
        let mut objects = self.script("read");
        // Positions of 20 digits: within a journal names sort as it does.
        objects.sort_by_key(|object| object["key"].as_str().and_then(|key| key.rsplit('/').next()).map(str::to_owned));
        let ids = objects.iter().flat_map(|object| object["records"].as_array().into_iter().flatten());
        ids.map(|id| id.as_str().expect("a recordId").to_owned()).collect()
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        // It may be gone already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn tools() -> PathBuf {
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache");
    let cache = || std::env::var_os("XDG_CACHE_HOME").map_or_else(home, PathBuf::from);
    std::env::var_os("TOLLKEEPER_TOOLS").map_or_else(|| cache().join("tollkeeper-tools"), PathBuf::from)
}

/// One a minute, from 10:00.
fn record(number: u32) -> CallRecord {
    let start = format!("2026-01-02T{:02}:{:02}:00.000Z", 10 + number / 60, number % 60);
    let value = json!({
        "recordId": format!("s{number}/STOP/0"), "callId": format!("c{number}"), "sessionId": format!("s{number}"),
        "legId": "A", "recordType": "STOP", "recordSequence": 0, "tenant": "t", "startTime": start,
        "callingParty": {"number": "+4930123456"}, "calledParty": {"dialledNumber": "0044201"},
        "service": "VOICE", "callType": "VOICE", "callDirection": "MOBILE_ORIGINATED", "sipData": {},
        "metadata": {"serverNode": "k1"},
    });
    CallRecord::from_json(value.to_string().as_bytes()).expect("a record")
}

fn wanted(count: u32) -> Vec<String> {
    (0..count).map(|number| format!("s{number}/STOP/0")).collect()
}

fn config(moto: &Moto, directory: &Path) -> ObjectsConfig {
    let credentials = directory.join("credentials");
    std::fs::write(&credentials, "[default]\naws_access_key_id = test\naws_secret_access_key = test\n")
        .expect("written");
    ObjectsConfig {
        prefix: "cdr/raw".to_owned(),
        region: Some("us-east-1".to_owned()),
        endpoint_url: Some(moto.endpoint.clone()),
        credentials_file: Some(credentials),
        object_records: 40,
        ..ObjectsConfig::of(BUCKET)
    }
}

/// Ships all that is there, as a process that ends; from the checkpoint in `checkpoints`.
fn ship(journal: &Journal, checkpoints: &Path, config: &ObjectsConfig) -> Arc<cdr_journal::SinkCounters> {
    let sink = ObjectsSink::open("s3", config).expect("a sink");
    let storage = Arc::new(DirStorage::create_dir(checkpoints).expect("a directory"));
    let shipper = Shipper::start(JournalSource::of(journal), storage, Box::new(sink), ShipperOptions::default());
    let shipper = shipper.expect("started");
    let shipped = shipper.close(LONG).expect("shipped");
    assert_eq!(shipped.backlog, 0);
    Arc::clone(shipper.sink_counters())
}

#[test]
fn records_arrive_in_objects_by_hour_each_once() {
    let directory = TempDir::new().expect("a directory");
    let moto = Moto::start(&directory.path().join("moto.log"));
    let options = JournalOptions { segment_bytes: 65_536, ..JournalOptions::default() };
    let (journal, _) = Journal::open(directory.path().join("journal"), options).expect("a journal");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let append = |numbers: std::ops::Range<u32>| {
        for number in numbers {
            runtime.block_on(journal.append_durable(&record(number))).expect("durable");
        }
    };
    let (config, checkpoints) = (config(&moto, directory.path()), directory.path().join("checkpoints"));
    append(0..100);
    ship(&journal, &checkpoints, &config);
    let objects = moto.script("read");
    let mut parts: Vec<(String, usize)> = (objects.iter())
        .map(|object| {
            let (key, records) =
                (object["key"].as_str().expect("a key"), object["records"].as_array().expect("records"));
            (key.rsplit_once('/').expect("a folder").0.to_owned(), records.len())
        })
        .collect();
    parts.sort();
    let hour = |hour: u32| format!("cdr/raw/year=2026/month=01/day=02/hour={hour}");
    assert_eq!(parts, [(hour(10), 20), (hour(10), 40), (hour(11), 40)]);
    assert_eq!(moto.records(), wanted(100));

    // The process dies after a put and before the checkpoint that says so: an old one is put back. The same object again.
    let before = moto.script("read");
    let saved = std::fs::read(checkpoints.join("s3.checkpoint")).expect("a checkpoint");
    let id = String::from_utf8_lossy(&saved)
        .split("\\\"id\\\":\\\"")
        .nth(1)
        .expect("an id")
        .get(..16)
        .expect("16")
        .to_owned();
    let plan = format!(r#"{{"id":"{id}","plan":{{"first":60,"last":99,"hour":1767351600000}}}}"#);
    let content = json!({"version": 1, "position": 60, "state": plan}).to_string();
    let storage = DirStorage::create_dir(&checkpoints).expect("a directory");
    segment_log::write_snapshot(&storage, "s3.checkpoint", content.as_bytes()).expect("written");
    append(100..130);
    let counters = ship(&journal, &checkpoints, &config);
    assert_eq!(moto.records(), wanted(130), "nothing twice, nothing missing");
    let after = moto.script("read");
    assert!(before.iter().all(|object| after.contains(object)), "no object changed");
    // The one that was there, and the new ones.
    assert_eq!(counters.requests.load(Ordering::Relaxed), 3);
    assert_eq!(counters.failed_requests.load(Ordering::Relaxed), 0);
}

#[test]
fn a_store_that_goes_away_gets_everything_when_it_is_back() {
    let directory = TempDir::new().expect("a directory");
    let moto = Moto::start(&directory.path().join("moto.log"));
    let (journal, _) = Journal::open(directory.path().join("journal"), JournalOptions::default()).expect("a journal");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    for number in 0..10 {
        runtime.block_on(journal.append_durable(&record(number))).expect("durable");
    }
    // Nobody listens there.
    let config = config(&moto, directory.path());
    let away = ObjectsConfig { endpoint_url: Some("http://127.0.0.1:1".to_owned()), ..config.clone() };
    let checkpoints = directory.path().join("checkpoints");
    let storage = Arc::new(DirStorage::create_dir(&checkpoints).expect("a directory"));
    let sink = ObjectsSink::open("s3", &away).expect("needs no network");
    let shipper = Shipper::start(JournalSource::of(&journal), storage, Box::new(sink), ShipperOptions::default())
        .expect("started");
    let error = shipper.close(Duration::from_millis(300)).expect_err("nobody is there");
    assert!(error.to_string().contains("sink did not take"), "{error}");
    assert_eq!(moto.records(), Vec::<String>::new());
    // A bucket that is missing is told, and mended by making it.
    let missing = ObjectsConfig { bucket: "nobodys".to_owned(), ..config.clone() };
    let sink = ObjectsSink::open("s3", &missing).expect("a sink");
    let storage = Arc::new(DirStorage::create_dir(&checkpoints).expect("a directory"));
    let shipper = Shipper::start(JournalSource::of(&journal), storage, Box::new(sink), ShipperOptions::default())
        .expect("started");
    let error = anyhow::Error::new(shipper.close(Duration::from_millis(300)).expect_err("no such bucket"));
    assert!(format!("{error:#}").contains("bucket nobodys is not found; create it"), "{error:#}");
    ship(&journal, &checkpoints, &config);
    assert_eq!(moto.records(), wanted(10));
}
