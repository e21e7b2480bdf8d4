//! What callers ask: sessions of three requests (reserve, commit and reserve again, commit and release) on random accounts to
//! random destinations. The same in every run.

use std::collections::VecDeque;
use std::time::{SystemTime, UNIX_EPOCH};

use ledger::{AccountKey, AccountLimits, Command, CreateAccount, Limit, OpenAccount};
use types::charging::{
    ChargingAnswer, ChargingMode, ChargingRequest, Operation, ResultCode, Service, SubscriberId, SubscriberIdKind,
    UnitUsage, Units, UsedUnits,
};
use types::{Money, Number, UtcMs};

use crate::tariff::{self, Dice, TENANT};

/// Requests of one session.
pub const REQUESTS: u32 = 3;
pub const CLIENT: &str = "bench-1";

/// Who the numbered account is.
pub fn key(number: u64) -> AccountKey {
    AccountKey { tenant: TENANT.into(), id: format!("customer-{number:07}").into() }
}

/// A new account with an id and a telephone number.
pub fn account(number: u64) -> CreateAccount {
    let phone = SubscriberId { kind: SubscriberIdKind::E164, value: Number::new(phone(number)) };
    CreateAccount {
        key: key(number),
        currency: tariff::currency(),
        identities: vec![phone],
        low_balance_limit: None,
        credit_limit: None,
    }
}

/// The same with money in it, which leaves a key.
pub fn funded(number: u64) -> Command {
    let (operation_id, first_balance) = ("opening".into(), Money::from_units(1_000_000));
    Command::OpenAccount(Box::new(OpenAccount { create: account(number), operation_id, first_balance }))
}

/// Limits of an account's own, beside those that apply to all.
pub fn limits(number: u64) -> Command {
    let limits = AccountLimits {
        maximum_sessions: Limit::Is(1000),
        maximum_cost_per_day: Limit::Is(Money::from_units(100_000)),
        ..AccountLimits::default()
    };
    Command::SetLimits { account: key(number), limits: Box::new(limits) }
}

/// Callers of one place: a call is offered, another one goes on that was offered [`GOES_ON`] calls before, and a third one
/// ends that was offered [`ENDS`] calls before. So that many are open at once.
pub struct Callers {
    run: u64,
    slot: u64,
    accounts: u64,
    dice: Dice,
    calls: VecDeque<Call>,
    offered: u64,
    turn: u32,
}

/// An open call.
struct Call {
    number: u64,
    account: u64,
    called: String,
}

impl Callers {
    /// `run` and `slot` name sessions that nobody else has.
    pub fn new(run: u64, slot: u64, accounts: u64) -> Self {
        let dice = Dice::new(run.wrapping_mul(1_000_003) ^ (slot + 1));
        Self { run, slot, accounts, dice, calls: VecDeque::new(), offered: 0, turn: 0 }
    }

    /// What is asked next, and which request of its session that is.
    pub fn next(&mut self) -> (u32, ChargingRequest) {
        loop {
            let step = self.turn % REQUESTS;
            self.turn = self.turn.wrapping_add(1) % REQUESTS;
            let call = match step {
                0 => {
                    self.offered += 1;
                    let (account, called) = (self.dice.below(self.accounts), tariff::number(&mut self.dice));
                    self.calls.push_back(Call { number: self.offered, account, called });
                    self.calls.len().checked_sub(1)
                }
                1 => self.calls.len().checked_sub(GOES_ON),
                _ => self.calls.len().checked_sub(ENDS),
            };
            let Some(call) = call.and_then(|at| self.calls.get(at)) else { continue };
            let request = request(self.run, self.slot, call, step, &mut self.dice);
            if step == REQUESTS - 1 {
                self.calls.pop_front();
            }
            return (step, request);
        }
    }
}

fn request(run: u64, slot: u64, call: &Call, number: u32, dice: &mut Dice) -> ChargingRequest {
    let now = now();
    let (operation, used_ms, asked_ms) = match number {
        0 => (Operation::Initial, 0, Some(120_000)),
        1 => (Operation::Update, 90_000 + dice.below(10_000), Some(120_000)),
        _ => (Operation::Termination, 1 + dice.below(100_000), None),
    };
    let used = UsedUnits {
        sequence: number,
        units: Units::time(used_ms),
        start: None,
        end: None,
        tariff_change: None,
        reason: None,
    };
    let unit = UnitUsage {
        requested: asked_ms.map(Units::time),
        used: if number == 0 { Vec::new() } else { vec![used] },
        ..UnitUsage::default()
    };
    ChargingRequest {
        client_id: CLIENT.into(),
        session_id: format!("{CLIENT}:{:x}:{:05x}-{:08x}@pbx.example.com", run, slot, call.number).into(),
        request_number: number,
        operation,
        requested_action: None,
        tenant: TENANT.into(),
        subscribers: vec![SubscriberId { kind: SubscriberIdKind::E164, value: Number::new(phone(call.account)) }],
        charging_mode: ChargingMode::Prepaid,
        service: Service::Voice,
        category: "call".into(),
        subject: None,
        calling: Some(Number::new(phone(call.account))),
        called: Some(Number::new(call.called.as_str())),
        event_time: now,
        answer_time: (number > 0).then_some(now),
        service_information: None,
        units: vec![unit],
        release_cause: None,
        client_state: if number == 0 { CLIENT_STATE.to_vec() } else { Vec::new() },
        retransmission: false,
    }
}

/// Every request is granted what it asks: anything else would be a cheaper way through the core.
pub fn check(request: u32, answer: &ChargingAnswer) -> anyhow::Result<()> {
    let granted = answer.units.first().and_then(|unit| unit.granted);
    let as_asked = if request == REQUESTS - 1 { granted.is_none() } else { granted.is_some() };
    anyhow::ensure!(answer.result_code == ResultCode::SUCCESS && as_asked, "not granted: {answer:?}");
    Ok(())
}

fn phone(number: u64) -> String {
    format!("+4930{number:08}")
}

fn now() -> UtcMs {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UtcMs(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// What an agent would have back after a crash.
const CLIENT_STATE: &[u8] =
    br#"{"v":1,"call":"a84b4c76e66710","leg":"a","callee":"+4420","ringing":true,"offered":1763822000123}"#;
/// Calls offered between the reports of one.
const GOES_ON: usize = 20;
const ENDS: usize = 40;
