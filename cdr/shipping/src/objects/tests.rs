//! Each record in one object, whatever is lost on the way. The store is in memory and fails on purpose.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use cdr_journal::{Delivered, JournalEntry, Position, Sink};
use futures_util::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error as StoreError, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result as StoreResult,
};
use proptest::prelude::*;
use types::{ConfigDuration, ErrorClass, UtcMs};

use super::config::ObjectsConfig;
use super::cut::{Bounds, Cut, Cutter};
use super::plan::Plan;
use super::sink::ObjectsSink;

/// What becomes of a put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It arrives and says so.
    Fine,
    /// It fails before it arrives.
    Lost,
    /// It arrives, and its answer is lost.
    AnswerLost,
}

/// A store that does with each put as it is told, then all well.
#[derive(Debug, Clone, Default)]
struct Flaky {
    inner: Arc<InMemory>,
    fates: Arc<Mutex<Vec<Fate>>>,
    puts: Arc<AtomicUsize>,
}

impl Flaky {
    fn with(fates: &[Fate]) -> Self {
        let store = Self::default();
        *store.fates.lock().unwrap() = fates.iter().rev().copied().collect();
        store
    }

    /// All objects by name, unpacked, as the positions in them.
    fn objects(&self) -> BTreeMap<String, Vec<u64>> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            use futures_util::TryStreamExt as _;
            use object_store::ObjectStoreExt as _;
            let listed: Vec<ObjectMeta> = self.inner.list(None).try_collect().await.unwrap();
            let mut objects = BTreeMap::new();
            for meta in listed {
                let packed = self.inner.get(&meta.location).await.unwrap().bytes().await.unwrap();
                let mut text = String::new();
                flate2::read::GzDecoder::new(&*packed).read_to_string(&mut text).unwrap();
                let position = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["at"].as_u64();
                objects.insert(meta.location.to_string(), text.lines().map(|line| position(line).unwrap()).collect());
            }
            objects
        })
    }

    /// All positions that arrived, in order, with what stands twice.
    fn positions(&self) -> Vec<u64> {
        let mut positions: Vec<u64> = self.objects().into_values().flatten().collect();
        positions.sort_unstable();
        positions
    }
}

impl fmt::Display for Flaky {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("flaky")
    }
}

#[async_trait::async_trait]
impl ObjectStore for Flaky {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> StoreResult<PutResult> {
        self.puts.fetch_add(1, Ordering::Relaxed);
        let fate = self.fates.lock().unwrap().pop().unwrap_or(Fate::Fine);
        let cut = || StoreError::Generic { store: "flaky", source: "connection cut".into() };
        if fate == Fate::Lost {
            return Err(cut());
        }
        let answer = self.inner.put_opts(location, payload, options).await;
        if fate == Fate::AnswerLost { Err(cut()) } else { answer }
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> StoreResult<GetResult> {
        self.inner.get_opts(location, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> StoreResult<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, options).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, StoreResult<Path>>) -> BoxStream<'static, StoreResult<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, StoreResult<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> StoreResult<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> StoreResult<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

/// A record that ended at that minute of 2026-11-22.
fn entry(at: u64, minute: u64) -> JournalEntry {
    let (hour, minute) = (minute / 60, minute % 60);
    let json = format!(
        r#"{{"recordId":"r{at}","at":{at},"startTime":"2026-11-22T00:00:00.000Z","endTime":"2026-11-22T{hour:02}:{minute:02}:00.000Z"}}"#
    );
    JournalEntry { position: Position::new(at), json: json.into_bytes() }
}

fn config() -> ObjectsConfig {
    ObjectsConfig {
        prefix: "cdr".to_owned(),
        object_records: 4,
        object_age: ConfigDuration::from_ms(0),
        ..ObjectsConfig::of("bucket")
    }
}

/// As the shipper does: what is delivered is cut off, and the state is what a crash goes back to. Returns what is left.
struct Ship {
    sink: ObjectsSink,
    state: Option<String>,
    delivered: usize,
}

impl Ship {
    fn start(store: &Flaky, config: &ObjectsConfig, state: Option<String>, delivered: usize) -> Self {
        let mut sink = ObjectsSink::on("s3", config, Arc::new(store.clone()));
        let state = Some(sink.resume(state.as_deref()).unwrap());
        Self { sink, state, delivered }
    }

    /// One delivery; `false`: nothing is left.
    fn step(&mut self, entries: &[JournalEntry]) -> Result<bool, ErrorClass> {
        let window = &entries[self.delivered..];
        if window.is_empty() {
            return Ok(false);
        }
        let Delivered { entries, state } = self.sink.deliver(window).map_err(|error| error.class())?;
        self.delivered += entries;
        self.state = Some(state);
        Ok(true)
    }

    fn finish(&mut self, entries: &[JournalEntry]) {
        self.sink.ending();
        for _ in 0..1000 {
            match self.step(entries) {
                Ok(false) => return,
                Ok(true) | Err(ErrorClass::Retry) => {}
                Err(class) => panic!("{class:?}"),
            }
        }
        panic!("never comes to an end");
    }
}

#[test]
fn objects_have_partitions_names_and_bounds() {
    let store = Flaky::default();
    let entries: Vec<_> = (0..6).map(|at| entry(at, 10)).chain([entry(8, 61), entry(9, 59), entry(10, 62)]).collect();
    Ship::start(&store, &config(), None, 0).finish(&entries);
    let objects: Vec<_> = store.objects().into_iter().collect();
    let name = |hour: u8, first: u64, last: u64| {
        format!("cdr/year=2026/month=11/day=22/hour={hour:02}/s3-0000000000000000-{first:020}-{last:020}.jsonl.gz")
    };
    assert_eq!(
        objects,
        [(name(0, 0, 3), vec![0, 1, 2, 3]), (name(0, 4, 5), vec![4, 5]), (name(1, 8, 10), vec![8, 9, 10])],
        "four at most; a later hour begins anew; what comes late stays"
    );
}

#[test]
fn the_cutter_cuts_by_each_bound_and_waits_otherwise() {
    let bounds = Bounds { records: 3, bytes: 400, age_ms: 1000 };
    let hour = |hour: i64| UtcMs(1_795_305_600_000 + hour * 3_600_000);
    let (later, long) = (hour(30), JournalEntry { position: Position::new(1), json: vec![b' '; 300] });
    let cut = |entries, hour| Some(Cut { entries, hour });
    type Row = (&'static str, Vec<JournalEntry>, u64, bool, Option<Cut>);
    let rows: Vec<Row> = vec![
        ("nothing", vec![], 5000, true, None),
        ("waits", vec![entry(0, 0), entry(1, 0)], 999, false, None),
        ("age", vec![entry(0, 0), entry(1, 0)], 1000, false, cut(2, hour(0))),
        ("the end", vec![entry(0, 0)], 0, true, cut(1, hour(0))),
        ("count", vec![entry(0, 0), entry(1, 0), entry(2, 0)], 0, false, cut(3, hour(0))),
        ("size", vec![entry(0, 0), long.clone()], 0, false, cut(1, hour(0))),
        (
            "one that is too long",
            vec![JournalEntry { json: vec![b' '; 900], ..long.clone() }],
            0,
            false,
            cut(1, hour(30)),
        ),
        ("a later hour", vec![entry(0, 59), entry(1, 60)], 0, false, cut(1, hour(0))),
        ("an earlier hour", vec![entry(0, 60), entry(1, 59)], 0, false, None),
        ("an hour ahead of the clock", vec![entry(0, 60 * 23)], 0, true, cut(1, hour(23))),
    ];
    for (name, window, now_ms, ending, expected) in rows {
        let mut cutter = Cutter::new(bounds);
        let alone = cutter.look(&window[..window.len().min(1)], 0, later, false);
        assert_eq!(alone.is_some(), name == "one that is too long", "{name}: one alone waits");
        assert_eq!(cutter.look(&window, now_ms, later, ending), expected, "{name}");
    }
    // A clock that is wrong: a record of the far future counts as of now.
    assert_eq!(Cutter::new(bounds).look(&[entry(0, 60 * 23)], 0, hour(2), true), cut(1, hour(2)));
}

#[test]
fn lost_puts_and_lost_answers_make_one_object_of_each_range() {
    use Fate::{AnswerLost, Fine, Lost};
    for fates in
        [[Lost, Fine, Fine], [AnswerLost, Fine, Fine], [Lost, AnswerLost, Lost], [AnswerLost, AnswerLost, AnswerLost]]
    {
        let store = Flaky::with(&fates);
        let entries: Vec<_> = (0..10).map(|at| entry(at, 0)).collect();
        let mut ship = Ship::start(&store, &config(), None, 0);
        ship.finish(&entries);
        assert_eq!(store.positions(), (0..10).collect::<Vec<_>>(), "{fates:?}");
        assert_eq!(store.objects().len(), 3, "{fates:?}");
        let counters = ship.sink.counters();
        let failed = fates.iter().filter(|fate| **fate != Fine).count();
        assert_eq!(counters.failed_requests.load(Ordering::Relaxed), failed as u64, "{fates:?}");
        assert_eq!(counters.requests.load(Ordering::Relaxed) as usize, store.puts.load(Ordering::Relaxed));
    }
}

#[test]
fn a_crash_between_put_and_checkpoint_puts_the_same_range_though_more_has_come() {
    let store = Flaky::default();
    let entries: Vec<_> = (0..9).map(|at| entry(at, 0)).collect();
    let mut ship = Ship::start(&store, &config(), None, 0);
    // Two records are there, the object is planned, put, and the process dies before the checkpoint says so.
    ship.step(&entries[..2]).unwrap();
    let (planned, delivered) = (ship.state.clone(), ship.delivered);
    ship.step(&entries[..2]).unwrap();
    assert_eq!((ship.delivered, delivered, store.positions()), (2, 0, vec![0, 1]));
    drop(ship);
    // Seven more have come: the next attempt must not make another object of [0, 1, 2, 3].
    let mut again = Ship::start(&store, &config(), planned, 0);
    again.finish(&entries);
    assert_eq!(store.positions(), (0..9).collect::<Vec<_>>());
}

#[test]
fn another_object_of_our_name_is_left_alone_and_ours_gets_the_next() {
    use object_store::ObjectStoreExt as _;
    let store = Flaky::default();
    let plan = Plan { first: 0, last: 1, hour: UtcMs(1_795_305_600_000), copy: 1 };
    let name = plan.key("cdr", "s3", "0000000000000000");
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let theirs = super::sink::pack(&[entry(77, 0)]).unwrap();
    runtime.block_on(store.inner.put(&Path::from(name.as_str()), theirs)).unwrap();
    let mut ship = Ship::start(&store, &config(), None, 0);
    ship.finish(&[entry(0, 0), entry(1, 0)]);
    let objects = store.objects();
    assert_eq!(objects[&name], [77]);
    assert_eq!(objects[&name.replace(".jsonl", "-2.jsonl")], [0, 1]);
    // Compressed by another release, it is ours all the same.
    let (store, name) = (Flaky::default(), name.as_str());
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none());
    std::io::Write::write_all(&mut encoder, &[entry(0, 0).json, entry(1, 0).json, Vec::new()].join(&b'\n')).unwrap();
    runtime.block_on(store.inner.put(&Path::from(name), encoder.finish().unwrap().into())).unwrap();
    Ship::start(&store, &config(), None, 0).finish(&[entry(0, 0), entry(1, 0)]);
    assert_eq!(store.objects().len(), 1);
}

#[test]
fn a_checkpoint_set_back_puts_again_and_damage_within_a_plan_is_passed_by() {
    let store = Flaky::default();
    let entries: Vec<_> = (0..8).map(|at| entry(at, 0)).collect();
    let mut ship = Ship::start(&store, &config(), None, 0);
    for _ in 0..3 {
        ship.step(&entries).unwrap();
    }
    assert_eq!((ship.delivered, ship.state.as_deref().is_some_and(|state| state.contains("plan"))), (4, true));
    // By hand, to ship again from position 2: the plan of [4, 7] is void.
    let mut replay = Ship::start(&store, &config(), ship.state.clone(), 2);
    replay.finish(&entries);
    assert_eq!(store.positions(), [0, 1, 2, 2, 3, 3, 4, 5, 6, 7]);
    // The end of a plan was damaged while the process was down: waited for, and then put without it.
    let mut state = None;
    for patient in [true, false] {
        let store = Flaky::default();
        let mut ship = Ship::start(&store, &config(), state.clone(), 0);
        if patient {
            ship.step(&entries).unwrap();
            state = ship.state.clone();
        } else {
            ship.sink.lose_patience();
        }
        for _ in 0..5 {
            ship.step(&entries[..3]).unwrap();
        }
        assert_eq!(store.positions(), if patient { vec![] } else { vec![0, 1, 2] });
    }
    let broken = Ship::start(&store, &config(), None, 0).sink.resume(Some("what?")).unwrap_err();
    assert_eq!(broken.class(), ErrorClass::Refused);
}

#[test]
fn refusals_are_told_with_their_remedy() {
    let source = || "no".into();
    let path = || "k".to_owned();
    let rows = [
        (StoreError::PermissionDenied { path: path(), source: source() }, ErrorClass::Retry, "s3:PutObject"),
        (StoreError::NotFound { path: path(), source: source() }, ErrorClass::Retry, "bucket b is not found"),
        (StoreError::NotSupported { source: source() }, ErrorClass::Refused, "conditional put"),
        (StoreError::Generic { store: "s", source: source() }, ErrorClass::Retry, "failed on k"),
    ];
    for (error, class, words) in rows {
        let error = super::ObjectsError::of_request("b", "k", error);
        assert_eq!(error.class(), class, "{error}");
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[test]
fn a_client_is_made_without_the_network_and_its_key_comes_from_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key");
    let with = |content: &str| {
        std::fs::write(&path, content).unwrap();
        let config = ObjectsConfig {
            endpoint_url: Some("http://127.0.0.1:1".to_owned()),
            credentials_file: Some(path.clone()),
            ..config()
        };
        ObjectsSink::open("s3", &config)
    };
    let mut sink = with("# ours\n[other]\naws_access_key_id = x\n[default]\naws_access_key_id = AKIAEXAMPLE\naws_secret_access_key=not-so-secret\n").unwrap();
    assert!(!format!("{sink:?}").contains("not-so-secret"));
    sink.resume(None).unwrap();
    sink.deliver(&[entry(0, 0)]).unwrap();
    let away = sink.deliver(&[entry(0, 0)]).unwrap_err();
    assert_eq!(away.class(), ErrorClass::Retry, "{away:?}");
    assert_eq!(
        with("[default]\naws_access_key_id = AKIAEXAMPLE\n[other]\naws_secret_access_key = x\n").unwrap_err().class(),
        ErrorClass::Refused
    );
}

#[test]
fn values_are_checked() {
    let rows: Vec<(ObjectsConfig, &str)> = vec![
        (ObjectsConfig { bucket: "B".to_owned(), ..config() }, "bucket"),
        (ObjectsConfig { prefix: "/a".to_owned(), ..config() }, "prefix"),
        (ObjectsConfig { prefix: "a/../b".to_owned(), ..config() }, "prefix"),
        (ObjectsConfig { node: Some("a/b".to_owned()), ..config() }, "node"),
        (ObjectsConfig { endpoint_url: Some("http://minio.example.net:9000".to_owned()), ..config() }, "endpoint_url"),
        (ObjectsConfig { endpoint_url: Some("minio:9000".to_owned()), ..config() }, "endpoint_url"),
        (ObjectsConfig { object_records: 0, ..config() }, "object_records"),
        (ObjectsConfig { object_bytes: 1 << 30, ..config() }, "object_bytes"),
        (ObjectsConfig { request_timeout: ConfigDuration::from_ms(1), ..config() }, "request_timeout"),
    ];
    for (config, key) in rows {
        assert_eq!(config.faults().iter().map(|(key, _)| *key).collect::<Vec<_>>(), [key]);
    }
    for endpoint in ["http://127.0.0.1:5000", "http://localhost:5000/", "http://[::1]:9", "https://minio.example.net"] {
        assert_eq!(ObjectsConfig { endpoint_url: Some(endpoint.to_owned()), ..config() }.faults(), [], "{endpoint}");
    }
}

proptest! {
    /// Records come in pieces; puts and answers are lost; the process dies after any delivery, before or after its checkpoint.
    #[test]
    fn each_record_is_in_one_object(
        minutes in prop::collection::vec(0_u64..180, 1..40),
        fates in prop::collection::vec(prop::sample::select(vec![Fate::Fine, Fate::Lost, Fate::AnswerLost]), 0..20),
        moves in prop::collection::vec((0_usize..6, 0_u8..4), 0..60),
    ) {
        let entries: Vec<_> = minutes.iter().enumerate().map(|(at, minute)| entry(2 * at as u64, *minute)).collect();
        let store = Flaky::with(&fates);
        let mut ship = Ship::start(&store, &config(), None, 0);
        let mut there = 0;
        for (more, crash) in moves {
            there = (there + more).min(entries.len());
            let safe = (ship.state.clone(), ship.delivered);
            match (ship.step(&entries[..there]), crash) {
                // Killed before the checkpoint, killed after it.
                (_, 0) => ship = Ship::start(&store, &config(), safe.0, safe.1),
                (_, 1) => ship = Ship::start(&store, &config(), ship.state.clone(), ship.delivered),
                (outcome, _) => prop_assert!(!matches!(outcome, Err(ErrorClass::Refused | ErrorClass::Fatal))),
            }
        }
        ship.finish(&entries);
        let wanted: Vec<u64> = entries.iter().map(|entry| entry.position.index()).collect();
        prop_assert_eq!(store.positions(), wanted);
    }
}
