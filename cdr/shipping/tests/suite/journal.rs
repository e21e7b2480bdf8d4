//! A journal with calls in it, and the sink on it.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::{Arc, mpsc};

use cdr_journal::{Journal, JournalOptions, JournalSource, ShipperOptions, Shipping, Step, Storage};
use cdr_model::CallRecord;
use cdr_shipping::kinesis::{KinesisConfig, KinesisSink};
use segment_log::fault::FaultStorage;
use types::ConfigDuration;

use crate::double::{Double, Stored};

/// The `n`th record of all; `calls` calls take turns, and two calls share an account.
pub fn record(n: u32, calls: u32) -> CallRecord {
    let (call, sequence) = (n % calls, n / calls);
    let json = serde_json::json!({
        "recordId": format!("s{call}/INTERIM/{sequence}"), "callId": format!("call-{call}"), "sessionId": format!("s{call}"),
        "legId": "a", "recordType": "INTERIM", "recordSequence": sequence, "tenant": "default",
        "startTime": "2026-11-22T20:00:15.000Z", "callingParty": {"subscriberId": format!("account-{}", call / 2)},
        "calledParty": {"dialledNumber": "030"}, "service": "VOICE", "callType": "VOICE",
        "callDirection": "MOBILE_ORIGINATED", "sipData": {}, "metadata": {"serverNode": "k1"},
    });
    CallRecord::from_json(json.to_string().as_bytes()).unwrap()
}

pub fn open(disk: &FaultStorage) -> Journal {
    let options = JournalOptions {
        segment_bytes: 256 * 1024,
        reserve_bytes: 0,
        space_interval: ConfigDuration::from_ms(0),
        ..JournalOptions::default()
    };
    Journal::open_on(Arc::new(disk.clone()), Arc::new(|| Ok(u64::MAX)), options).unwrap().0
}

/// Appends records and waits until they are durable.
pub fn append(journal: &Journal, numbers: std::ops::Range<u32>, calls: u32) {
    let (answer, answers) = mpsc::channel();
    for n in numbers {
        let answer = answer.clone();
        journal.append(&record(n, calls), move |outcome| answer.send(outcome).unwrap()).unwrap();
    }
    drop(answer);
    assert!(answers.iter().all(|outcome| outcome.is_ok()));
}

/// A file of credentials and the configuration for it: whatever the environment says, this is used.
pub struct Setting {
    pub config: KinesisConfig,
    _credentials: tempfile::NamedTempFile,
}

pub fn setting(url: &str) -> Setting {
    let mut credentials = tempfile::NamedTempFile::new().unwrap();
    credentials
        .write_all(b"[default]\naws_access_key_id = AKIDEXAMPLE\naws_secret_access_key = not-a-secret\n")
        .unwrap();
    let config = KinesisConfig {
        region: Some("eu-central-1".to_owned()),
        endpoint_url: Some(url.to_owned()),
        credentials_file: Some(credentials.path().to_path_buf()),
        batch_age: ConfigDuration::from_ms(0),
        backoff_min: ConfigDuration::from_ms(1),
        backoff_max: ConfigDuration::from_ms(20),
        ..KinesisConfig::of_stream("calls")
    };
    Setting { config, _credentials: credentials }
}

pub fn at_once() -> ShipperOptions {
    let zero = ConfigDuration::from_ms(0);
    ShipperOptions { checkpoint_interval: zero, backoff_min: zero, ..ShipperOptions::default() }
}

pub fn ship(journal: &Journal, disk: &FaultStorage, config: &KinesisConfig) -> Shipping {
    let storage: Arc<dyn Storage> = Arc::new(disk.clone());
    let sink = KinesisSink::open("kinesis", config).unwrap();
    Shipping::start(JournalSource::of(journal), storage, Box::new(sink), at_once()).unwrap()
}

/// Ships until `done`; each step waits a little by itself.
pub fn step_until(shipping: &mut Shipping, mut done: impl FnMut(&Shipping, Step) -> bool) {
    for _ in 0..5000 {
        let step = shipping.step().unwrap();
        if done(shipping, step) {
            return;
        }
    }
    panic!("not after 5000 steps, checkpoint {:?}", shipping.checkpoint());
}

pub fn ship_all(shipping: &mut Shipping) {
    step_until(shipping, |_, step| step == Step::Idle);
}

/// What a consumer has that drops repetitions: all records, each call's in order.
pub fn check(stored: &[Stored], records: u32, calls: u32) {
    let mut last: BTreeMap<String, (u32, String)> = BTreeMap::new();
    let mut seen = std::collections::BTreeSet::new();
    for stored in stored {
        let record = CallRecord::from_json(&stored.data).unwrap();
        if !seen.insert(record.record_id.to_string()) {
            continue;
        }
        let call = record.call_id.to_string();
        if let Some((before, _)) = last.insert(call.clone(), (record.record_sequence, stored.shard.clone())) {
            assert_eq!(record.record_sequence, before + 1, "{call}");
        } else {
            assert_eq!(record.record_sequence, 0, "{call}");
        }
    }
    assert_eq!((seen.len(), last.len()), (records.try_into().unwrap(), calls.try_into().unwrap()));
}

/// The double, a journal and the sink's settings.
pub fn scene(shards: u32) -> (Double, FaultStorage, Journal, Setting) {
    let double = Double::start(shards);
    let disk = FaultStorage::new();
    let journal = open(&disk);
    let setting = setting(&double.url);
    (double, disk, journal, setting)
}
