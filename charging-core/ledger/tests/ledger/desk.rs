//! A desk that decides, applies, and audits after every step. A replica lives only on the logged bytes of the
//! changes, as recovery does, and must stay equal.

use ledger::{
    AccountKey, Books, Change, Charged, Command, CreateAccount, Decision, Fingerprint, Outcome, Settings, Transfer,
    decide, decide_known, most_octets, pack,
};
use types::charging::{
    ChargingAnswer, ChargingMode, ChargingRequest, NotificationKind, Operation, ResultCode, Service, SubscriberId,
    UnitUsage, Units, UsedUnits,
};
use types::{Number, ReleaseCause, SessionId, UtcMs};

use crate::tariff::{Tariff, currency, money};

pub struct Desk {
    pub books: Books,
    pub replica: Books,
    pub tariff: Tariff,
    pub settings: Settings,
    pub now: UtcMs,
    /// Changes of all decisions so far.
    pub log: Vec<Change>,
    transfers: u32,
}

pub fn key(id: &str) -> AccountKey {
    AccountKey { tenant: "t".into(), id: id.into() }
}

/// 2026-11-22T12:00:00Z.
pub const NOON: UtcMs = UtcMs(1_795_348_800_000);

impl Desk {
    pub fn new(tariff: Tariff) -> Self {
        let (books, replica) = (Books::new(), Books::new());
        Self { books, replica, tariff, settings: Settings::default(), now: NOON, log: Vec::new(), transfers: 0 }
    }

    /// With one account `a` that has `balance`.
    pub fn with(tariff: Tariff, balance: &str) -> Self {
        let mut desk = Self::new(tariff);
        desk.open("a", balance);
        desk
    }

    pub fn open(&mut self, id: &str, balance: &str) {
        self.create(CreateAccount {
            key: key(id),
            currency: currency("EUR"),
            identities: Vec::new(),
            low_balance_limit: None,
            credit_limit: None,
        });
        self.top_up(id, balance);
    }

    pub fn create(&mut self, create: CreateAccount) -> Outcome {
        self.run(&Command::CreateAccount(Box::new(create)))
    }

    pub fn top_up(&mut self, id: &str, amount: &str) {
        self.transfers += 1;
        if !money(amount).is_zero() {
            let operation_id = format!("top-up-{}", self.transfers).into();
            let transfer = Transfer { account: key(id), operation_id, amount: money(amount), currency: None };
            let outcome = self.run(&Command::TopUp(transfer));
            assert!(matches!(outcome, Outcome::Transferred(_)), "{outcome:?}");
        }
    }

    /// Decides; whether the caller brings the fingerprint makes no difference.
    pub fn decide(&self, command: &Command) -> Decision {
        let decision = decide(&self.books, &self.tariff, &self.settings, command, self.now);
        let fingerprint = Fingerprint::of_command(command);
        let known = decide_known(&self.books, &self.tariff, &self.settings, command, fingerprint, self.now);
        assert_eq!(known, decision, "{command:?}");
        let mut octets = Vec::new();
        pack(&decision.changes, &mut octets).unwrap_or_else(|error| panic!("{command:?}: {error}"));
        assert!(octets.len() <= most_octets(&decision.changes), "{command:?}");
        decision
    }

    /// Decides, applies, audits.
    pub fn run(&mut self, command: &Command) -> Outcome {
        let decision = self.decide(command);
        self.books.apply_all(&decision.changes).unwrap_or_else(|error| panic!("{command:?}: {error}"));
        for change in &decision.changes {
            let bytes = postcard::to_stdvec(change).unwrap_or_else(|error| panic!("{change:?}: {error}"));
            let read: Change = postcard::from_bytes(&bytes).unwrap_or_else(|error| panic!("{change:?}: {error}"));
            self.replica.apply(&read).unwrap_or_else(|error| panic!("{change:?}: {error}"));
        }
        assert!(self.books == self.replica, "the logged changes lead elsewhere after {command:?}");
        self.books.check().unwrap_or_else(|imbalance| panic!("{command:?}: {imbalance}"));
        self.log.extend(decision.changes);
        decision.outcome
    }

    pub fn charge(&mut self, request: &ChargingRequest) -> Charged {
        match self.run(&Command::Charge(Box::new(request.clone()))) {
            Outcome::Charged(charged) => charged,
            other => panic!("not an answer: {other:?}"),
        }
    }

    pub fn answer(&mut self, request: &ChargingRequest) -> ChargingAnswer {
        (*self.charge(request).answer).clone()
    }

    /// Moves the clock to so many milliseconds after noon.
    pub fn at(&mut self, ms: u64) -> &mut Self {
        self.now = NOON.plus(ms);
        self
    }

    /// Runs Expire until there is no more; the sessions that expired.
    pub fn sweep(&mut self) -> Vec<SessionId> {
        let mut expired_ids = Vec::new();
        loop {
            match self.run(&Command::Expire) {
                Outcome::Swept { expired, more } => {
                    expired_ids.extend(expired);
                    if !more {
                        return expired_ids;
                    }
                }
                other => panic!("not a sweep: {other:?}"),
            }
        }
    }

    /// Balance and held of an account, as text.
    #[track_caller]
    pub fn expect(&self, id: &str, balance: &str, held: &str) {
        let view = self.books.account(&key(id)).unwrap_or_else(|| panic!("no account {id}"));
        assert_eq!((view.balance, view.held), (money(balance), money(held)), "balance and held of {id}");
    }
}

/// A voice request of session `session` on account `a`, answered at noon unless it is an INITIAL.
pub fn request(session: &str, number: u32, operation: Operation) -> ChargingRequest {
    ChargingRequest {
        client_id: "agent-1".into(),
        session_id: session.into(),
        request_number: number,
        operation,
        requested_action: None,
        tenant: "t".into(),
        subscribers: vec![SubscriberId::account("a")],
        charging_mode: ChargingMode::Prepaid,
        service: Service::Voice,
        category: "call".into(),
        subject: None,
        calling: None,
        called: Some(Number::from("+49301234567")),
        event_time: NOON,
        answer_time: (operation != Operation::Initial).then_some(NOON),
        service_information: None,
        units: Vec::new(),
        release_cause: None,
        client_state: Vec::new(),
        retransmission: false,
    }
}

pub fn initial(session: &str, ask_s: u64) -> ChargingRequest {
    let units = vec![UnitUsage { requested: Some(Units::time(ask_s * 1000)), ..UnitUsage::default() }];
    ChargingRequest { units, ..request(session, 0, Operation::Initial) }
}

pub fn update(session: &str, number: u32, used_ms: u64, ask_s: u64) -> ChargingRequest {
    let requested = Some(Units::time(ask_s * 1000));
    let units = vec![UnitUsage { requested, used: vec![used(number, used_ms)], ..UnitUsage::default() }];
    ChargingRequest { units, ..request(session, number, Operation::Update) }
}

pub fn termination(session: &str, number: u32, used_ms: u64) -> ChargingRequest {
    let units = vec![UnitUsage { used: vec![used(number, used_ms)], ..UnitUsage::default() }];
    ChargingRequest { units, ..request(session, number, Operation::Termination) }
}

/// TERMINATION after our own cut for lack of credit.
pub fn cut(session: &str, number: u32, used_ms: u64) -> ChargingRequest {
    ChargingRequest { release_cause: Some(ReleaseCause::CreditExhausted), ..termination(session, number, used_ms) }
}

/// TERMINATION of a call that was never answered.
pub fn gone(session: &str, number: u32) -> ChargingRequest {
    ChargingRequest { answer_time: None, ..request(session, number, Operation::Termination) }
}

pub fn used(sequence: u32, used_ms: u64) -> UsedUnits {
    UsedUnits { sequence, units: Units::time(used_ms), start: None, end: None, tariff_change: None, reason: None }
}

/// What the first unit of an answer granted, in milliseconds, and whether it was the last.
#[track_caller]
pub fn granted(answer: &ChargingAnswer) -> (u64, bool) {
    assert_eq!(answer.result_code, ResultCode::SUCCESS, "{answer:?}");
    let unit = answer.units.first().unwrap_or_else(|| panic!("no unit in {answer:?}"));
    (unit.granted.and_then(|units| units.time_ms).unwrap_or(0), unit.final_unit.is_some())
}

/// The cost in an answer, with overrun.
#[track_caller]
pub fn cost(answer: &ChargingAnswer) -> (String, String) {
    let cost = answer.cost.unwrap_or_else(|| panic!("no cost in {answer:?}"));
    (cost.amount.to_string(), cost.overrun.to_string())
}

/// The notifications in an answer.
pub fn notices(answer: &ChargingAnswer) -> Vec<(String, NotificationKind)> {
    answer.notifications.iter().map(|one| (one.session_id.to_string(), one.kind)).collect()
}
