//! A packet gateway and a message centre, as a Diameter peer is: sessions with two rating groups, some of which do not wait for
//! answers before they report again, and some of which are left behind; events, refunds, enquiries. No outbox: it asks again by itself.

use types::charging::{
    ChargingAnswer, ChargingMode, ChargingRequest, Operation, RequestedAction, Service, SubscriberId, UnitUsage, Units,
    UsedUnits,
};
use types::{ClientId, SessionId};

use super::client::SimClient;
use super::event::{Body, Event, GatewayEvent, Packet, Reply};
use super::stage::Stage;
use super::tariff::TENANT;

/// See the module's documentation.
pub(crate) struct Gateway {
    client: SimClient,
    name: ClientId,
    sessions: Vec<Session>,
}

struct Session {
    id: SessionId,
    account: u64,
    mode: ChargingMode,
    kind: Kind,
    next: u32,
    /// Does not wait for answers.
    hasty: bool,
    over: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Data,
    Message,
}

impl Gateway {
    pub fn new(index: usize) -> Self {
        Self { client: SimClient::new(index, 0), name: name(), sessions: Vec::new() }
    }

    pub fn is_idle(&self) -> bool {
        self.client.is_idle()
    }

    pub fn happens(&mut self, stage: &mut Stage, event: GatewayEvent) {
        match event {
            GatewayEvent::Begin => self.begin(stage),
            GatewayEvent::Step(at) => self.step(stage, at),
            GatewayEvent::Unanswered(attempt) => self.client.unanswered(stage, attempt),
            GatewayEvent::Again(lane) => self.client.attempt(stage, &lane),
        }
    }

    pub fn replied(&mut self, stage: &mut Stage, attempt: u64, reply: Reply) {
        let Ok(Some(delivered)) = self.client.replied(stage, attempt, reply) else { return };
        let (request, answer) = (delivered.request, delivered.answer);
        if stage.mishap(40) {
            self.lie(stage, &request);
        }
        let of_session = |session: &Session| session.id == request.session_id;
        let Some(at) = self.sessions.iter().position(of_session) else { return };
        self.go_on(stage, at, &request, &answer);
    }

    fn go_on(&mut self, stage: &mut Stage, at: usize, request: &ChargingRequest, answer: &ChargingAnswer) {
        let Some(session) = self.sessions.get_mut(at) else { return };
        let lives = answer.result_code.is_success() && request.operation != Operation::Termination && !session.over;
        if session.hasty && request.operation != Operation::Initial {
            return;
        }
        let again = match session.kind {
            Kind::Data => lives,
            Kind::Message => lives && session.next < 3 && stage.dice.per_mille(400),
        };
        if again {
            let pause_ms = stage.roll(500, 90_000);
            stage.after(pause_ms, Event::Gateway(GatewayEvent::Step(at)));
        }
    }

    fn begin(&mut self, stage: &mut Stage) {
        let account = self.an_account(stage);
        let number = self.sessions.len();
        let kind = if stage.dice.per_mille(500) { Kind::Data } else { Kind::Message };
        let mode = if stage.dice.per_mille(100) { ChargingMode::Postpaid } else { ChargingMode::Prepaid };
        let hasty = kind == Kind::Data && stage.dice.per_mille(300);
        let id: SessionId = format!("g/{number}").into();
        self.sessions.push(Session { id, account, mode, kind, next: 0, hasty, over: false });
        if stage.dice.per_mille(100) {
            self.enquire(stage, number);
        }
        match kind {
            Kind::Data => {
                let units = vec![asking(10, stage.roll(1, 8_000_000)), asking(20, stage.roll(1, 20_000_000))];
                self.submit(stage, number, Operation::Initial, None, units);
            }
            Kind::Message => {
                let specific_units = Some(stage.roll(1, 3));
                let units = Units { specific_units, ..Units::default() };
                let unit = UnitUsage { requested: Some(units), ..UnitUsage::default() };
                self.submit(stage, number, Operation::Event, Some(RequestedAction::DirectDebit), vec![unit]);
            }
        }
    }

    /// Never one of those with bundles.
    fn an_account(&self, stage: &mut Stage) -> u64 {
        let account = stage.dice.below(stage.plan.accounts);
        if account % 5 == 4 { account - 1 } else { account }
    }

    fn step(&mut self, stage: &mut Stage, at: usize) {
        let Some(session) = self.sessions.get(at) else { return };
        if session.over {
            return;
        }
        if session.kind == Kind::Message {
            return self.submit(stage, at, Operation::Event, Some(RequestedAction::Refund), Vec::new());
        }
        let hasty = session.hasty;
        if stage.dice.per_mille(30) {
            // Left behind: it expires, and may be heard of once more.
            let late_ms = stage.roll(300_000, 1_500_000);
            return stage.after(late_ms, Event::Gateway(GatewayEvent::Step(at)));
        }
        let ends = stage.dice.per_mille(180);
        let mut units = Vec::new();
        for (group, most) in [(10, 6_000_000), (20, 15_000_000)] {
            if ends || stage.dice.per_mille(700) {
                let mut unit = using(group, stage.roll(0, most));
                if !ends && stage.dice.per_mille(850) {
                    unit.requested = asking(group, stage.roll(1, most)).requested;
                }
                units.push(unit);
            }
        }
        if ends && let Some(session) = self.sessions.get_mut(at) {
            session.over = true;
        }
        let operation = if ends { Operation::Termination } else { Operation::Update };
        self.submit(stage, at, operation, None, units);
        if hasty && !ends {
            let pause_ms = stage.roll(0, 4_000);
            stage.after(pause_ms, Event::Gateway(GatewayEvent::Step(at)));
        }
    }

    fn submit(
        &mut self,
        stage: &mut Stage,
        at: usize,
        operation: Operation,
        action: Option<RequestedAction>,
        units: Vec<UnitUsage>,
    ) {
        let Some(session) = self.sessions.get_mut(at) else { return };
        let number = session.next;
        session.next += 1;
        let cheap =
            |unit: UnitUsage| UnitUsage { category: (unit.rating_group == 20).then(|| "data_cheap".into()), ..unit };
        let (service, category) = match session.kind {
            Kind::Data => (Service::Data, "data"),
            Kind::Message => (Service::Sms, "sms"),
        };
        let request = ChargingRequest {
            client_id: self.name.clone(),
            session_id: session.id.clone(),
            request_number: number,
            operation,
            requested_action: action,
            tenant: TENANT.into(),
            subscribers: vec![SubscriberId::account(format!("a{}", session.account))],
            charging_mode: session.mode,
            service,
            category: category.into(),
            subject: None,
            calling: None,
            called: None,
            event_time: stage.utc(0),
            answer_time: None,
            service_information: None,
            units: units.into_iter().map(cheap).collect(),
            release_cause: None,
            client_state: Vec::new(),
            retransmission: false,
        };
        let waits = !session.hasty || operation == Operation::Initial;
        // Without an outbox nothing of it can fail.
        drop(self.client.submit(stage, request, waits));
    }

    /// Asks what something would cost, under a session of its own that nobody keeps.
    fn enquire(&mut self, stage: &mut Stage, at: usize) {
        let Some(session) = self.sessions.get(at) else { return };
        let action =
            if stage.dice.per_mille(500) { RequestedAction::CheckBalance } else { RequestedAction::PriceEnquiry };
        let units = Units { specific_units: Some(1), ..Units::default() };
        let request = ChargingRequest {
            client_id: self.name.clone(),
            session_id: format!("g/enquiry/{at}").into(),
            request_number: 0,
            operation: Operation::Event,
            requested_action: Some(action),
            tenant: TENANT.into(),
            subscribers: vec![SubscriberId::account(format!("a{}", session.account))],
            charging_mode: ChargingMode::Prepaid,
            service: Service::Sms,
            category: "sms".into(),
            subject: None,
            calling: None,
            called: None,
            event_time: stage.utc(0),
            answer_time: None,
            service_information: None,
            units: vec![UnitUsage { requested: Some(units), ..UnitUsage::default() }],
            release_cause: None,
            client_state: Vec::new(),
            retransmission: false,
        };
        self.send_once(stage, request);
    }

    /// The same key with other usage: a bug or an attack.
    fn lie(&mut self, stage: &mut Stage, request: &ChargingRequest) {
        let mut other = request.clone();
        let Some(unit) = other.units.first_mut() else { return };
        match unit.used.first_mut() {
            Some(used) => used.units.total_octets = used.units.total_octets.map(|octets| octets + 1),
            None => unit.requested = Some(Units { specific_units: Some(9), ..Units::default() }),
        }
        self.send_once(stage, other);
    }

    fn send_once(&mut self, stage: &mut Stage, request: ChargingRequest) {
        let attempt = stage.dice.throw();
        let body = Body::Charge(Box::new(request));
        stage.send(Packet { client: self.client.index, life: 0, attempt, body });
    }
}

/// Its name at the core.
pub(crate) fn name() -> ClientId {
    ClientId::from("gateway")
}

fn asking(rating_group: u32, octets: u64) -> UnitUsage {
    let units = Units { total_octets: Some(octets), ..Units::default() };
    UnitUsage { rating_group, requested: Some(units), ..UnitUsage::default() }
}

fn using(rating_group: u32, octets: u64) -> UnitUsage {
    let units = Units { total_octets: Some(octets), ..Units::default() };
    let used = UsedUnits { sequence: 0, units, start: None, end: None, tariff_change: None, reason: None };
    UnitUsage { rating_group, used: vec![used], ..UnitUsage::default() }
}
