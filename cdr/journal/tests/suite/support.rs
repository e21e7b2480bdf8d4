//! What the tests share.

use std::sync::Arc;
use std::sync::mpsc;

use cdr_journal::{Filters, FreeSpace};
use cdr_journal::{
    Journal, JournalError, JournalOptions, JournalRecord, JournalSource, JsonLinesSink, Position, Recovered, ShipError,
    ShipperOptions, Shipping, Step, search_on,
};
use cdr_model::{CallRecord, CalledParty, CallingParty, RecordMetadata, RecordType, SipData};
use segment_log::Storage;
use segment_log::fault::FaultStorage;
use types::charging::Service;
use types::{ConfigDuration, SessionId, UtcMs};

/// The lines' file.
pub const LINES: &str = "records.jsonl";

/// The STOP of call `n`, offered at second `n`.
pub fn record(n: u32) -> CallRecord {
    let session_id = SessionId::from(format!("k1/7/{n}"));
    CallRecord {
        schema_version: Default::default(),
        record_id: CallRecord::make_id(&session_id, RecordType::Stop, 0),
        call_id: format!("call-{n}").into(),
        session_id,
        leg_id: "A".into(),
        parent_leg_id: None,
        record_type: RecordType::Stop,
        record_sequence: 1,
        event_kind: None,
        adjusts_record_id: None,
        tenant: "example.org".into(),
        start_time: UtcMs(i64::from(n) * 1000),
        answer_time: None,
        end_time: None,
        duration: None,
        billable_seconds: None,
        overrun_ms: None,
        calling_party: CallingParty { number: Some("+4930123456".into()), ..CallingParty::default() },
        called_party: CalledParty { dialled_number: "0044201".into(), ..CalledParty::default() },
        service: Service::Voice,
        call_type: Default::default(),
        call_direction: Default::default(),
        termination_reason: None,
        release_cause: None,
        cause: None,
        sip_status: None,
        sip_data: SipData::default(),
        qos: None,
        usage: Vec::new(),
        cost: None,
        metadata: RecordMetadata { server_node: "k1".into(), ..RecordMetadata::default() },
        reconstructed: false,
        clock_anomaly: false,
    }
}

/// Small segments, nothing measured by itself.
pub fn options() -> JournalOptions {
    JournalOptions {
        segment_bytes: 4096,
        reserve_bytes: 0,
        space_interval: ConfigDuration::from_ms(0),
        ..JournalOptions::default()
    }
}

pub fn plenty() -> FreeSpace {
    Arc::new(|| Ok(u64::MAX))
}

pub fn open(disk: &FaultStorage, options: JournalOptions) -> Result<(Journal, Recovered), JournalError> {
    Journal::open_on(Arc::new(disk.clone()), plenty(), options)
}

pub fn reopen(disk: &FaultStorage) -> (Journal, Recovered) {
    open(disk, options()).unwrap()
}

/// Appends and waits.
pub fn append(journal: &Journal, record: &CallRecord) -> Result<Position, JournalError> {
    let (answer, answered) = mpsc::channel();
    journal.append(record, move |outcome| answer.send(outcome).unwrap())?;
    answered.recv().unwrap()
}

pub fn append_all(journal: &Journal, numbers: std::ops::Range<u32>) {
    for n in numbers {
        append(journal, &record(n)).unwrap();
    }
}

/// The JSON-lines sink `lines` beside the journal.
pub fn ship(journal: &Journal, disk: &FaultStorage) -> Result<Shipping, ShipError> {
    let storage: Arc<dyn Storage> = Arc::new(disk.clone());
    let sink = JsonLinesSink::on("lines", Arc::clone(&storage), LINES);
    Shipping::start(JournalSource::of(journal), storage, Box::new(sink), at_once())
}

/// Checkpoints after each delivery, no pauses, a small window.
pub fn at_once() -> ShipperOptions {
    let zero = ConfigDuration::from_ms(0);
    ShipperOptions { window_records: 500, backoff_min: zero, checkpoint_interval: zero, ..ShipperOptions::default() }
}

/// Ships everything; returns how many records arrived.
pub fn ship_all(shipping: &mut Shipping) -> usize {
    let mut shipped = 0;
    loop {
        match shipping.step().unwrap() {
            Step::Shipped(entries) => shipped += entries,
            Step::Pending => {}
            Step::Idle => return shipped,
        }
    }
}

/// The calls in the lines' file, in order; every line must be whole.
pub fn lines(disk: &FaultStorage) -> Vec<CallRecord> {
    let content = disk.content(LINES).unwrap_or_default();
    assert!(content.is_empty() || content.ends_with(b"\n"), "the last line is whole");
    let lines = content.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| CallRecord::from_json(line).unwrap()).collect()
}

pub fn records(numbers: std::ops::Range<u32>) -> Vec<CallRecord> {
    numbers.map(record).collect()
}

/// What the journal holds.
pub fn stored(disk: &FaultStorage) -> Vec<JournalRecord> {
    let mut found = search_on(Arc::new(disk.clone()), Filters::default()).unwrap();
    let stored: Vec<_> = found.by_ref().map(Result::unwrap).collect();
    assert_eq!((found.duplicates(), found.undecodable()), (0, 0));
    stored
}
