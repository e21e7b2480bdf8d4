//! A stream that fails, loses answers, is missing, is split; a shipper that is told to end.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use cdr_journal::{JournalSource, Shipper, Step};
use cdr_shipping::kinesis::{KinesisConfig, KinesisSink};
use types::ConfigDuration;

use crate::double::{Double, Fault};
use crate::journal::{append, at_once, check, open, scene, setting, ship, ship_all, step_until};

fn of(counter: &AtomicU64) -> u64 {
    counter.load(Relaxed)
}

#[test]
fn every_fault_is_survived_in_order_and_counted_for_what_it_is() {
    // Fault, and whether: the request failed, entries went again, they were throttled, they may be there twice.
    let rows = [
        (Fault::Partial, false, true, false, false),
        (Fault::Throttled, false, true, true, false),
        (Fault::Internal, true, true, false, true),
        (Fault::Cut, true, true, false, true),
        (Fault::Silent, true, true, false, true),
        (Fault::Short, true, true, false, true),
        (Fault::Refused("ProvisionedThroughputExceededException"), true, true, false, false),
        (Fault::Refused("AccessDeniedException"), true, true, false, false),
        (Fault::Refused("ExpiredTokenException"), true, true, false, false),
        (Fault::Refused("KMSThrottlingException"), true, true, false, false),
        (Fault::Refused("SomethingNew"), true, true, false, false),
    ];
    for (fault, failed, retried, throttled, duplicates) in rows {
        let (double, disk, journal, setting) = scene(1);
        append(&journal, 0..60, 20);
        double.plan([fault]);
        let config = KinesisConfig { request_timeout: ConfigDuration::from_ms(300), ..setting.config.clone() };
        let mut shipping = ship(&journal, &disk, &config);
        ship_all(&mut shipping);
        check(&double.stored(), 60, 20);
        assert_eq!((double.planned(), shipping.checkpoint().index()), (0, 60), "{fault:?}");
        let counters = shipping.sink_counters();
        let twice = double.stored().len() > 60;
        let met = (of(&counters.retried) > 0, of(&counters.throttled) > 0, of(&counters.possible_duplicates) > 0);
        assert_eq!(met, (retried, throttled, duplicates), "{fault:?}");
        assert_eq!(of(&counters.failed_requests) > 0, failed && fault != Fault::Short, "{fault:?}");
        assert!(!twice || duplicates, "{fault:?}: what arrived twice was announced");
        let puts = u64::try_from(double.puts().len()).unwrap();
        assert_eq!(of(&counters.requests), puts, "{fault:?}: the SDK repeats nothing by itself");
    }
}

#[test]
fn a_storm_of_faults_loses_nothing_and_keeps_the_order() {
    let (double, disk, journal, setting) = scene(3);
    append(&journal, 0..900, 45);
    let kinds = [Fault::Partial, Fault::Cut, Fault::Throttled, Fault::Internal, Fault::Partial, Fault::Short];
    double.plan(kinds.into_iter().cycle().take(40));
    let mut shipping = ship(&journal, &disk, &setting.config);
    let mut shipped = 0;
    step_until(&mut shipping, |shipping, step| {
        if let Step::Shipped(entries) = step {
            shipped += u64::try_from(entries).unwrap();
        }
        assert_eq!(shipping.checkpoint().index(), shipped, "the checkpoint is the contiguous front");
        step == Step::Idle
    });
    check(&double.stored(), 900, 45);
    assert!(double.stored().len() > 900 && double.planned() == 0);
}

#[test]
fn a_stream_that_is_missing_is_waited_for() {
    let (double, disk, journal, setting) = scene(2);
    double.missing(true);
    append(&journal, 0..10, 10);
    let mut shipping = ship(&journal, &disk, &setting.config);
    let failed = |shipping: &cdr_journal::Shipping| of(&shipping.sink_counters().failed_requests);
    step_until(&mut shipping, |shipping, _| failed(shipping) >= 2);
    assert_eq!((shipping.checkpoint().index(), double.stored().len()), (0, 0));
    let trouble = shipping.trouble().unwrap().to_owned();
    assert!(trouble.contains("ResourceNotFoundException") && trouble.contains("create the stream"), "{trouble}");
    double.missing(false);
    ship_all(&mut shipping);
    check(&double.stored(), 10, 10);
    assert_eq!(shipping.trouble(), None);
}

#[test]
fn a_server_that_is_away_at_the_start_is_found_when_it_comes() {
    let away = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = away.local_addr().unwrap();
    drop(away);
    let setting = setting(&format!("http://{address}"));
    let disk = segment_log::fault::FaultStorage::new();
    let journal = open(&disk);
    append(&journal, 0..10, 10);
    let mut shipping = ship(&journal, &disk, &setting.config);
    step_until(&mut shipping, |shipping, _| of(&shipping.sink_counters().failed_requests) >= 2);
    assert_eq!(of(&shipping.sink_counters().possible_duplicates), 0, "nothing can have arrived");
    let double = Double::on(std::net::TcpListener::bind(address).unwrap(), 2);
    ship_all(&mut shipping);
    check(&double.stored(), 10, 10);
}

#[test]
fn without_credentials_nothing_is_sent_and_nothing_is_lost() {
    let (double, disk, journal, setting) = scene(1);
    append(&journal, 0..10, 10);
    let empty = tempfile::NamedTempFile::new().unwrap();
    let config = KinesisConfig { credentials_file: Some(empty.path().to_path_buf()), ..setting.config.clone() };
    let mut shipping = ship(&journal, &disk, &config);
    step_until(&mut shipping, |shipping, _| of(&shipping.sink_counters().failed_requests) >= 2);
    assert_eq!(of(&shipping.sink_counters().possible_duplicates), 0, "nothing can have arrived");
    assert_eq!((double.puts().len(), shipping.checkpoint().index()), (0, 0));
    drop(shipping);
    ship_all(&mut ship(&journal, &disk, &setting.config));
    check(&double.stored(), 10, 10);
}

#[test]
fn without_the_right_to_list_shards_one_lane_takes_all() {
    let (double, disk, journal, setting) = scene(3);
    double.deny_listing();
    append(&journal, 0..90, 30);
    ship_all(&mut ship(&journal, &disk, &setting.config));
    check(&double.stored(), 90, 30);
    assert_eq!(double.most_in_flight(), 1);
}

#[test]
fn a_split_is_seen_in_the_answers_and_the_shards_are_listed_again() {
    let (double, disk, journal, setting) = scene(1);
    append(&journal, 0..40, 20);
    let mut shipping = ship(&journal, &disk, &setting.config);
    ship_all(&mut shipping);
    let before = double.listings();
    double.reshard(4);
    let mut end = 40;
    // The list is asked for at most once a second, so a few deliveries go the old way.
    step_until(&mut shipping, |_, step| {
        if step == Step::Idle && double.listings() == before {
            append(&journal, end..end + 20, 20);
            end += 20;
        }
        step == Step::Idle && double.listings() > before
    });
    append(&journal, end..end + 400, 20);
    ship_all(&mut shipping);
    check(&double.stored(), end + 400, 20);
    let new = double.stored().into_iter().filter(|stored| stored.shard.contains("10")).count();
    assert!(new >= 400);
}

#[test]
fn told_to_end_it_ends_in_time_and_the_rest_is_offered_again() {
    let (double, disk, journal, setting) = scene(1);
    append(&journal, 0..10, 10);
    double.plan([Fault::Silent]);
    let sink = Box::new(KinesisSink::open("kinesis", &setting.config).unwrap());
    let storage = Arc::new(disk.clone());
    let shipper = Shipper::start(JournalSource::of(&journal), storage.clone(), sink, at_once()).unwrap();
    while double.puts().is_empty() {
        std::thread::yield_now();
    }
    let told = Instant::now();
    let shipped = shipper.close(Duration::ZERO).unwrap();
    assert!(told.elapsed() < setting.config.request_timeout.std() / 2, "the request was not waited for");
    assert_eq!((shipped.checkpoint.index(), shipped.backlog), (0, 10));
    // Slow to fill a batch, but told that nothing more will come.
    let config = KinesisConfig { batch_age: ConfigDuration::from_s(10), ..setting.config.clone() };
    let sink = Box::new(KinesisSink::open("kinesis", &config).unwrap());
    let shipper = Shipper::start(JournalSource::of(&journal), storage, sink, at_once()).unwrap();
    let told = Instant::now();
    assert_eq!(shipper.close(Duration::from_secs(60)).unwrap().checkpoint.index(), 10);
    assert!(told.elapsed() < config.batch_age.std() / 2);
    check(&double.stored(), 10, 10);
}

#[test]
fn a_sink_may_be_dropped_in_an_asynchronous_context() {
    let (double, _disk, _journal, setting) = scene(1);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async { drop(KinesisSink::open("kinesis", &setting.config).unwrap()) });
    assert_eq!(double.listings(), 0, "nothing is asked before the first delivery");
}
