//! What only shows from inside: a machine with a bug, and that nothing is left behind.

use agent_call::Timer;
use cdr_journal::JournalOptions;
use cdr_model::{CallDirection, SipData};
use charging_client::{ChargingFailure, ChargingTransport, ClientConfig, NotificationStream, Ready, TransportFuture};
use std::sync::{Arc, Mutex};
use tempfile::TempDir;
use types::charging::{
    ChargingAnswer, ChargingMode, ChargingRequest, ResultCode, Service, SessionPhase, SessionSummary, SubscriberId,
    UnitAnswer, Units,
};
use types::{EndedBy, UtcMs};

use super::*;

const BEGIN: UtcMs = UtcMs(1_795_300_000_000);

/// Grants 30 s to everything, and knows its sessions. Clones share one.
#[derive(Clone, Default)]
struct Granter(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    sessions: HashMap<SessionId, SessionSummary>,
    requests: Vec<(SessionId, u32, Operation)>,
    away: bool,
}

impl Granter {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().expect("no test panics with the lock")
    }

    fn answer(&self, request: ChargingRequest) -> ChargingAnswer {
        let mut state = self.lock();
        let (session_id, number) = (request.session_id.clone(), request.request_number);
        state.requests.push((session_id.clone(), number, request.operation));
        let over = request.operation == Operation::Termination;
        let used = request.units.iter().flat_map(|unit| &unit.used).filter_map(|used| used.units.time_ms).sum::<u64>();
        let session = state.sessions.entry(session_id.clone()).or_insert_with(|| summary(&request));
        session.last_request_number = number;
        session.used_time_ms += used;
        session.granted_time_ms = session.used_time_ms + 30_000;
        session.phase = if over { SessionPhase::Closed } else { SessionPhase::Open };
        if !request.client_state.is_empty() {
            session.client_state.clone_from(&request.client_state);
        }
        let mut answer = ChargingAnswer::refusal(session_id, number, ResultCode::SUCCESS);
        answer.units = vec![UnitAnswer {
            rating_group: 0,
            service_identifier: None,
            result_code: ResultCode::SUCCESS,
            granted: (!over).then_some(Units::time(30_000)),
            validity_time_ms: None,
            quota_threshold: None,
            quota_holding_time_ms: None,
            tariff_time_change: None,
            final_unit: None,
            billable: session.used_time_ms,
        }];
        answer
    }
}

fn summary(request: &ChargingRequest) -> SessionSummary {
    SessionSummary {
        session_id: request.session_id.clone(),
        client_id: request.client_id.clone(),
        phase: SessionPhase::Open,
        last_request_number: 0,
        used_time_ms: 0,
        granted_time_ms: 30_000,
        final_grant: false,
        billable_ms: 0,
        cost: None,
        answer_time: request.answer_time,
        updated: request.event_time,
        client_state: Vec::new(),
    }
}

fn lost() -> ChargingFailure {
    ChargingFailure::UnknownFate { cause: charging_client::FailureCause::Disconnected }
}

impl ChargingTransport for Granter {
    fn ready(&self) -> Ready<'_> {
        Box::pin(std::future::ready(()))
    }
    fn charge(&self, request: Arc<ChargingRequest>) -> TransportFuture<'_, ChargingAnswer> {
        Box::pin(async move { Ok(self.answer(Arc::unwrap_or_clone(request))) })
    }
    fn list_sessions<'a>(&'a self, _: &'a ClientId) -> TransportFuture<'a, Vec<SessionSummary>> {
        Box::pin(async move { Ok(self.lock().sessions.values().cloned().collect()) })
    }
    fn session<'a>(&'a self, session_id: &'a SessionId) -> TransportFuture<'a, Option<SessionSummary>> {
        Box::pin(async move {
            let state = self.lock();
            if state.away { Err(lost()) } else { Ok(state.sessions.get(session_id).cloned()) }
        })
    }
    fn notifications<'a>(&'a self, _: &'a ClientId) -> TransportFuture<'a, NotificationStream> {
        Box::pin(std::future::pending())
    }
    fn confirm<'a>(&'a self, _: &'a ClientId, _: u64) -> TransportFuture<'a, ()> {
        Box::pin(async move { Ok(()) })
    }
}

struct Rig {
    core: Granter,
    driver: CallDriver,
    orders: Vec<Order>,
    _folder: TempDir,
}

impl Rig {
    async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let options = JournalOptions { queue_records: 100_000, ..JournalOptions::default() };
        let (journal, _) = Journal::open(folder.path(), options).expect("a journal");
        let core = Granter::default();
        let client_id = ClientId::from("k1");
        let config = ClientConfig { max_pending: 100_000, ..ClientConfig::default() };
        let driver = CallDriver::new(DriverParts {
            switch: Arc::from("k1"),
            settings: CallSettings::new(client_id.clone()),
            authorise_timeout: std::time::Duration::from_secs(4),
            maximum_calls: 20_000,
            charging: Client::start(client_id, Arc::new(core.clone()), &config),
            journal: Arc::new(journal),
            call_log: None,
            proven_before: HashMap::new(),
            clock: Clock::simulated(BEGIN),
            continuing: crate::ContinueLimits::default(),
        });
        let mut rig = Self { core, driver, orders: Vec::new(), _folder: folder };
        rig.driver.restore().await.expect("an empty list");
        rig
    }

    /// Lets everything happen that needs no simulated time; the journal's disk has its own.
    async fn settle(&mut self) {
        let mut quiet = 0;
        while quiet < 64 {
            tokio::task::yield_now().await;
            let busy = tokio::select! {
                biased;
                () = self.driver.step() => true,
                () = std::future::ready(()) => self.driver.unsettled() > 0,
            };
            quiet = if busy { 0 } else { quiet + 1 };
            std::thread::yield_now();
            self.orders.extend(self.driver.orders());
        }
    }

    async fn talking(&mut self, call: &str) -> SessionId {
        let offer = offer(call);
        let session_id = offer.session_id.clone();
        self.driver.offer(offer);
        self.settle().await;
        let answer = Answer { at: self.driver.clock.now().utc, elapsed_ms: 0 };
        assert!(self.driver.event(&session_id, SwitchEvent::Answered(answer)));
        self.settle().await;
        session_id
    }

    fn make_panic(&mut self, session_id: &SessionId) {
        let key = self.driver.by_session[session_id];
        self.driver.calls.get_mut(&key).expect("a call").panics = true;
    }

    fn finished(&self, session_id: &SessionId) -> bool {
        self.orders.contains(&Order::Finished(session_id.clone()))
    }

    fn hang_up(&mut self, session_id: &SessionId) -> bool {
        let end = CallEnd::normal(self.driver.clock.now().utc, EndedBy::Caller);
        self.driver.event(session_id, SwitchEvent::Ended(end))
    }
}

fn offer(call: &str) -> CallOffer {
    CallOffer {
        call_id: call.into(),
        session_id: format!("k1/run/{call}").into(),
        leg_id: "A".into(),
        parent_leg_id: None,
        tenant: "example".into(),
        payer: Some(SubscriberId::account("a")),
        charging_mode: ChargingMode::Prepaid,
        service: Service::Voice,
        category: "call".into(),
        subject: None,
        calling: None,
        called: Some("+49301".into()),
        dialled: "+49301".into(),
        offered: BEGIN,
        never_refuse: false,
        direction: CallDirection::MobileOriginated,
        sip: SipData::default(),
        node: "k1".into(),
        trunk: None,
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_reloads_that_call_and_no_other() {
    let mut rig = Rig::new().await;
    let (sick, sound) = (rig.talking("sick").await, rig.talking("sound").await);
    rig.make_panic(&sick);
    let answer = Answer { at: BEGIN, elapsed_ms: 0 };
    rig.driver.event(&sick, SwitchEvent::Alive(answer));
    assert!(!rig.driver.knows(&sick) && rig.driver.knows(&sound));
    rig.settle().await;
    assert!(rig.driver.knows(&sick), "loaded again from the core");
    assert!(rig.orders.contains(&Order::Resync), "and the switch is asked what became of it");
    rig.driver.event(&sick, SwitchEvent::Alive(answer));
    for call in [&sick, &sound] {
        assert!(rig.hang_up(call));
    }
    rig.settle().await;
    assert!(rig.finished(&sick) && rig.finished(&sound));
    assert_eq!(rig.driver.calls.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_panic_while_the_core_is_away_waits_for_it() {
    let mut rig = Rig::new().await;
    let sick = rig.talking("sick").await;
    rig.core.lock().away = true;
    rig.make_panic(&sick);
    rig.driver.event(&sick, SwitchEvent::Ringing);
    rig.settle().await;
    assert!(!rig.driver.knows(&sick));
    rig.core.lock().away = false;
    tokio::time::advance(std::time::Duration::from_secs(1)).await;
    rig.settle().await;
    assert!(rig.driver.knows(&sick));
}

#[tokio::test(start_paused = true)]
async fn an_abort_is_not_lost_with_the_machine() {
    for before_the_panic in [true, false] {
        let mut rig = Rig::new().await;
        let sick = rig.talking("sick").await;
        let kind = NotificationKind::Abort(ReleaseCause::Fraud);
        let abort = Notification { sequence: 1, session_id: sick.clone(), kind };
        if before_the_panic {
            rig.driver.notified(&abort);
        }
        rig.make_panic(&sick);
        rig.driver.event(&sick, SwitchEvent::Ringing);
        rig.orders.clear();
        rig.driver.orders.clear();
        if !before_the_panic {
            rig.driver.notified(&abort);
        }
        rig.settle().await;
        rig.driver.event(&sick, SwitchEvent::Alive(Answer { at: BEGIN, elapsed_ms: 0 }));
        rig.settle().await;
        let is_release = |order: &Order| matches!(order, Order::Command(_, Command::Release { cause, .. }) if *cause == ReleaseCause::Fraud);
        assert!(rig.orders.iter().any(is_release), "{before_the_panic} {:?}", rig.orders);
        assert_eq!(rig.driver.notices.next_confirmation(), None, "its call still lives");
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_machine_that_panics_refuses_its_call() {
    let mut rig = Rig::new().await;
    for never_refuse in [false, true] {
        let call = CallOffer { never_refuse, ..offer("x") };
        let session = call.session_id.clone();
        rig.driver.next_panics = true;
        rig.driver.offer(call);
        assert!(!rig.driver.knows(&session));
        let orders: Vec<Order> = rig.driver.orders().collect();
        let refusal = Order::Command(session, Command::Refuse(ReleaseCause::ChargingUnavailable));
        assert_eq!(orders, if never_refuse { vec![] } else { vec![refusal] }, "nobody else would ever end it");
    }
    let sound = rig.talking("sound").await;
    assert!(rig.driver.knows(&sound));
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_calls_leave_nothing_behind() {
    let mut rig = Rig::new().await;
    let calls: Vec<CallOffer> = (0..10_000).map(|number| offer(&format!("c{number}"))).collect();
    let sessions: Vec<SessionId> = calls.iter().map(|offer| offer.session_id.clone()).collect();
    for offer in calls {
        rig.driver.offer(offer);
    }
    rig.settle().await;
    for session in &sessions {
        assert!(rig.driver.event(session, SwitchEvent::Answered(Answer { at: BEGIN, elapsed_ms: 0 })));
    }
    rig.settle().await;
    assert!(rig.driver.timers.count() >= 20_000, "quota and longest call of each");
    assert!(rig.driver.timers.is_set(rig.driver.by_session[&sessions[0]], Timer::MaximumCall));
    for session in &sessions {
        assert!(rig.hang_up(session));
    }
    rig.settle().await;
    let driver = &rig.driver;
    let left =
        (driver.calls.len(), driver.by_session.len(), driver.timers.count(), driver.charges.len(), driver.owed.len());
    assert_eq!(left, (0, 0, 0, 0, 0));
    assert!(sessions.iter().all(|session| driver.finished_lately(session)));
}

#[tokio::test(start_paused = true)]
async fn timers_are_not_starved_by_answers() {
    let mut rig = Rig::new().await;
    let call = rig.talking("c").await;
    // 90 s of 120 are over: an UPDATE is due.
    rig.core.lock().requests.clear();
    let due = rig.driver.timers.first().expect("the quota's");
    tokio::time::advance(std::time::Duration::from_millis(due.0)).await;
    let key = rig.driver.by_session[&call];
    for _ in 0..10 * UNTIMED {
        rig.driver.records_done.0.send(RecordDone { key, kept: false, failure: None }).expect("open");
    }
    for _ in 0..=UNTIMED {
        rig.driver.step().await;
    }
    assert_eq!(rig.driver.charges.len(), 1, "asked, although more was waiting");
}
