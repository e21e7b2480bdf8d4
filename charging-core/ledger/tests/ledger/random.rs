//! Seeded random operations with copies, reordering, lost answers, top-ups, bundles, limits, expiry and blocking. After
//! every step the desk audits the books and compares a replica fed from the logged bytes; at the end an independent sum
//! over every balance is compared.

use std::collections::BTreeMap;

use types::Money;
use types::charging::{BalanceAmount, BalanceKind, ChargingMode, ChargingRequest, ResultCode, SubscriberId};

use crate::desk::{Desk, cut, initial, key, termination, update};
use crate::tariff::{Rate, Tariff, money, r1, r3};
use ledger::{AccountLimits, BalanceTerms, Books, ChangeBalance, Command, Limit, Policy, Rounding, Transfer};

/// splitmix64: the same seed, the same run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % sides
    }
}

/// One call as its client sees it.
struct Call {
    session: String,
    payer: &'static str,
    mode: ChargingMode,
    number: u32,
    used_ms: u64,
}

const PAYERS: [&str; 3] = ["a", "b", "c"];

struct Play {
    desk: Desk,
    dice: Dice,
    calls: Vec<Call>,
    sent: Vec<ChargingRequest>,
    delayed: Vec<ChargingRequest>,
    answers: BTreeMap<(String, u32), types::charging::ChargingAnswer>,
    deposited: Money,
    /// Units put into each balance, less those taken out.
    filled: BTreeMap<&'static str, i64>,
    clock_ms: u64,
}

impl Play {
    fn new(seed: u64) -> Self {
        let rates = [r1(), r3(), Rate { price: money("0.0007"), round_up_to: Some(money("0.01")), ..r1() }];
        let mut dice = Dice(seed);
        let rate = rates[usize::try_from(dice.roll(3)).unwrap_or(0)].clone();
        let mut desk = Desk::new(Tariff::of(rate));
        PAYERS.iter().for_each(|payer| desk.open(payer, "2"));
        let deposited = money("6");
        Self {
            desk,
            dice,
            calls: vec![],
            sent: vec![],
            delayed: vec![],
            answers: BTreeMap::new(),
            deposited,
            filled: BTreeMap::new(),
            clock_ms: 0,
        }
    }

    fn step(&mut self) {
        self.clock_ms += self.dice.roll(20_000);
        self.desk.at(self.clock_ms);
        match self.dice.roll(20) {
            0..4 => self.offer(),
            4..12 => self.report(),
            12..15 => self.copy(),
            15 => self.deliver_delayed(),
            16 if self.dice.roll(2) == 0 => self.top_up(),
            16 => self.fill_or_take(),
            17 => drop(self.desk.sweep()),
            18 => self.debit(),
            19 if self.dice.roll(2) == 0 => self.set_limits(),
            _ => {
                let payer = key(PAYERS[usize::try_from(self.dice.roll(3)).unwrap_or(0)]);
                let block = Command::Block(payer.clone());
                self.desk.run(&if self.dice.roll(3) == 0 { block } else { Command::Unblock(payer) });
            }
        }
    }

    fn offer(&mut self) {
        let payer = PAYERS[usize::try_from(self.dice.roll(3)).unwrap_or(0)];
        let modes = [ChargingMode::Prepaid, ChargingMode::Prepaid, ChargingMode::Pseudoprepaid, ChargingMode::Postpaid];
        let mode = modes[usize::try_from(self.dice.roll(4)).unwrap_or(0)];
        let session = format!("s{}", self.calls.len());
        let call = Call { session, payer, mode, number: 0, used_ms: 0 };
        let ask = 10 + self.dice_seconds();
        let request = self.of_call(&call, initial(&call.session, ask));
        self.calls.push(call);
        self.send(request);
    }

    fn dice_seconds(&mut self) -> u64 {
        self.dice.roll(60)
    }

    fn of_call(&self, call: &Call, request: ChargingRequest) -> ChargingRequest {
        ChargingRequest {
            subscribers: vec![SubscriberId::account(call.payer)],
            charging_mode: call.mode,
            event_time: self.desk.now,
            ..request
        }
    }

    fn report(&mut self) {
        if self.calls.is_empty() {
            return;
        }
        let recent = self.calls.len().min(6) as u64;
        let at = self.calls.len() - 1 - usize::try_from(self.dice.roll(recent)).unwrap_or(0);
        let (used_ms, ask, end) = (self.dice.roll(40_000), 5 + self.dice_seconds(), self.dice.roll(5));
        let Some(call) = self.calls.get_mut(at) else { return };
        call.number += 1;
        call.used_ms += used_ms;
        let (session, number) = (call.session.clone(), call.number);
        let request = match end {
            0 => termination(&session, number, used_ms),
            1 => cut(&session, number, used_ms),
            _ => update(&session, number, used_ms, ask),
        };
        let request = self.of_call(&self.calls[at], request);
        if self.dice.roll(6) == 0 { self.delayed.push(request) } else { self.send(request) }
    }

    fn send(&mut self, request: ChargingRequest) {
        let answer = self.desk.answer(&request);
        let of_key = (request.session_id.to_string(), request.request_number);
        let kept = answer.result_code != ResultCode::UNKNOWN_SESSION;
        if kept {
            self.answers.insert(of_key, answer);
            self.sent.push(request);
        }
    }

    /// A copy of any earlier request: the same answer, no change.
    fn copy(&mut self) {
        if self.sent.is_empty() {
            return;
        }
        let at = usize::try_from(self.dice.roll(self.sent.len() as u64)).unwrap_or(0);
        let copy = ChargingRequest { retransmission: true, ..self.sent[at].clone() };
        let before = self.desk.log.len();
        let answer = self.desk.answer(&copy);
        let first = &self.answers[&(copy.session_id.to_string(), copy.request_number)];
        assert_eq!(&answer, first, "bit for bit");
        assert_eq!(self.desk.log.len(), before, "a copy changes nothing");
    }

    fn deliver_delayed(&mut self) {
        if !self.delayed.is_empty() {
            let at = usize::try_from(self.dice.roll(self.delayed.len() as u64)).unwrap_or(0);
            let request = self.delayed.swap_remove(at);
            self.send(request);
        }
    }

    fn top_up(&mut self) {
        let payer = PAYERS[usize::try_from(self.dice.roll(3)).unwrap_or(0)];
        self.desk.top_up(payer, "1.5");
        self.deposited += money("1.5");
    }

    /// Bundles and gifts of the last payer; the others pay with their own money alone.
    fn fill_or_take(&mut self) {
        let (balance, kind, weight) =
            [("minutes", BalanceKind::Voice, 10), ("gift", BalanceKind::Money, 5), ("late", BalanceKind::Voice, -5)]
                [usize::try_from(self.dice.roll(3)).unwrap_or(0)];
        let seconds = 1 + i64::try_from(self.dice.roll(90)).unwrap_or(0);
        let amount = match kind {
            BalanceKind::Money => BalanceAmount::Money(Money::from_nanos(i128::from(seconds) * 7_000_001)),
            _ => BalanceAmount::Units(seconds * 1000),
        };
        let (credit, lasts_ms) = (self.dice.roll(3) > 0, 1 + self.dice.roll(2_000_000));
        let valid_until = (self.dice.roll(3) == 0).then(|| self.desk.now.plus(lasts_ms));
        let terms = BalanceTerms { weight, valid_until, blocker: self.dice.roll(9) == 0, ..BalanceTerms::default() };
        let change = ChangeBalance {
            account: key("c"),
            operation_id: format!("balance-{}-{}", self.clock_ms, self.desk.log.len()).into(),
            balance_id: balance.into(),
            kind: credit.then_some(kind),
            credit,
            amount,
            currency: None,
            terms: credit.then_some(terms),
            valid_until: None,
        };
        if let ledger::Outcome::BalanceChanged(receipt) = self.desk.run(&Command::ChangeBalance(Box::new(change))) {
            match receipt.amount {
                BalanceAmount::Money(amount) => self.deposited += amount,
                BalanceAmount::Units(units) => *self.filled.entry(balance).or_default() += units,
            }
        }
    }

    fn set_limits(&mut self) {
        let payer = PAYERS[usize::try_from(self.dice.roll(3)).unwrap_or(0)];
        let cents = |amount: u64| Limit::Is(Money::from_nanos(i128::from(amount) * 10_000_000));
        let mut limit = |most: u64| if self.dice.roll(2) == 0 { Limit::Default } else { cents(self.dice.roll(most)) };
        let limits = AccountLimits {
            maximum_cost_per_call: limit(80),
            maximum_cost_per_hour: limit(200),
            maximum_cost_per_day: limit(400),
            ..AccountLimits::default()
        };
        let sessions = u32::try_from(1 + self.dice.roll(8)).unwrap_or(1);
        let limits = AccountLimits {
            maximum_sessions: if self.dice.roll(2) == 0 { Limit::Unlimited } else { Limit::Is(sessions) },
            maximum_new_sessions_per_minute: if self.dice.roll(3) == 0 { Limit::Is(sessions) } else { Limit::Default },
            ..limits
        };
        self.desk.run(&Command::SetLimits { account: key(payer), limits: Box::new(limits) });
    }

    fn debit(&mut self) {
        let payer = PAYERS[usize::try_from(self.dice.roll(3)).unwrap_or(0)];
        let operation_id = format!("debit-{}", self.clock_ms).into();
        let transfer = Transfer { account: key(payer), operation_id, amount: money("0.1"), currency: None };
        if let ledger::Outcome::Transferred(receipt) = self.desk.run(&Command::Debit(transfer)) {
            self.deposited += receipt.amount;
        }
    }

    /// Everything is reported in the end; then each session costs the price of its usage, however it got there.
    fn settle(&mut self) {
        while !self.delayed.is_empty() {
            self.deliver_delayed();
        }
        for at in 0..self.calls.len() {
            let number = self.calls[at].number + 1;
            let request = self.of_call(&self.calls[at], termination(&self.calls[at].session, number, 0));
            self.send(request);
        }
        self.desk.at(self.clock_ms + 36_000_000).sweep();
        assert_eq!(self.desk.books.open_session_count(), 0);
        self.compare_units();
        let gifts = self.desk.books.balances(&key("c"));
        let gifts: Money =
            gifts.iter().map(|one| if let BalanceAmount::Money(gift) = one.value { gift } else { Money::ZERO }).sum();
        let balances = self.desk.books.accounts(None).map(|view| view.balance).sum::<Money>() + gifts;
        for call in &self.calls {
            let Some(session) = self.desk.books.session(&call.session.as_str().into()) else { continue };
            let expected = self.desk.tariff.rates[0].1.from(self.desk.now, session.billable_ms, Rounding::Final);
            let expected = if session.billable_ms == 0 { Money::ZERO } else { expected };
            let cost = session.cost.map(|cost| cost.amount).unwrap_or_default();
            let bundled = self.drawn_units(call).values().sum::<i64>();
            if bundled == 0 {
                assert_eq!(cost, expected, "{}", call.session);
            } else {
                let used_ms = i64::try_from(session.billable_ms).unwrap_or(i64::MAX);
                assert!(cost <= expected && bundled <= used_ms, "{}", call.session);
            }
        }
        let costs = self.calls.iter().filter_map(|call| self.desk.books.session(&call.session.as_str().into()));
        let charged: Money = costs.filter_map(|session| session.cost).map(|cost| cost.amount).sum();
        assert_eq!(balances + charged, self.deposited, "money in = money left + money charged");
        assert!(self.desk.books.accounts(None).all(|view| view.held.is_zero()), "every reservation ends");
    }
}

impl Play {
    fn drawn_units(&self, call: &Call) -> BTreeMap<Box<str>, i64> {
        let drawn = self.desk.books.drawn(&call.session.as_str().into()).into_iter();
        let units = drawn.filter_map(|one| match one.amount {
            BalanceAmount::Units(units) => Some((one.balance_id, units)),
            BalanceAmount::Money(_) => None,
        });
        units.collect()
    }

    /// Units put in = units left + units that sessions took.
    fn compare_units(&self) {
        let mut drawn: BTreeMap<Box<str>, i64> = BTreeMap::new();
        for call in &self.calls {
            self.drawn_units(call).into_iter().for_each(|(id, units)| *drawn.entry(id).or_default() += units);
        }
        for balance in self.desk.books.balances(&key("c")) {
            let BalanceAmount::Units(left) = balance.value else { continue };
            let filled = self.filled.get(balance.id.as_ref()).copied().unwrap_or_default();
            assert_eq!(left + drawn.get(&balance.id).copied().unwrap_or_default(), filled, "{}", balance.id);
            assert_eq!(balance.held, BalanceAmount::Units(0));
        }
    }
}

#[test]
fn money_is_conserved_whatever_happens() {
    for seed in 0..60 {
        let mut play = Play::new(seed);
        (0..250).for_each(|_| play.step());
        play.settle();
        let mut again = Books::new();
        again.apply_all(&play.desk.log).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        assert!(again == play.desk.books, "seed {seed}: the log rebuilds the books");
        let before = play.desk.log.len();
        for request in play.sent.clone() {
            play.desk.answer(&request);
        }
        assert_eq!(play.desk.log.len(), before, "seed {seed}: replaying everything changes nothing");
    }
}

#[test]
fn prepaid_sessions_that_obey_never_spend_more_than_there_was() {
    for seed in 1000..1040 {
        let mut dice = Dice(seed);
        let rate = if dice.roll(2) == 0 { r1() } else { r3() };
        let mut desk = Desk::with(Tariff::of(rate), "5");
        let mut calls: Vec<(String, u32, u64)> = vec![];
        for step in 0..200_u32 {
            let at = usize::try_from(dice.roll(8)).unwrap_or(0);
            match calls.get(at).cloned() {
                None => {
                    let session = format!("s{step}");
                    let answer = desk.answer(&initial(&session, 1 + dice.roll(90)));
                    if answer.result_code == ResultCode::SUCCESS {
                        calls.push((session, 0, crate::desk::granted(&answer).0));
                    }
                }
                Some((session, number, grant)) => {
                    let used_ms = dice.roll(grant + 1);
                    if dice.roll(4) == 0 {
                        desk.answer(&termination(&session, number + 1, used_ms));
                        calls.remove(at);
                    } else {
                        let answer = desk.answer(&update(&session, number + 1, used_ms, 1 + dice.roll(90)));
                        calls[at] = (session, number + 1, crate::desk::granted(&answer).0);
                    }
                }
            }
            let view = desk.books.account(&key("a")).unwrap_or_else(|| panic!("account"));
            assert!(view.available >= Money::ZERO, "seed {seed}: {view:?}");
        }
    }
}

/// Sessions that stop where their grants end, in every mode: nobody costs more than the policy allows, and what is spent
/// and granted never exceeds the hour or the day.
#[test]
fn sessions_that_obey_never_cost_more_than_the_policy_allows() {
    for seed in 2000..2030 {
        let mut dice = Dice(seed);
        let rate = if dice.roll(2) == 0 { r1() } else { r3() };
        let mut desk = Desk::with(Tariff::of(rate), "1000");
        if dice.roll(2) == 0 {
            desk.bundle(i64::try_from(dice.roll(600)).unwrap_or(0) + 1);
        }
        let (call, hour, day) = (money("2"), money("5"), money("20"));
        desk.settings.policy = Policy {
            maximum_cost_per_call: Some(call),
            maximum_cost_per_hour: Some(hour),
            maximum_cost_per_day: Some(day),
            ..Policy::default()
        };
        let modes = [ChargingMode::Prepaid, ChargingMode::Pseudoprepaid, ChargingMode::Postpaid, ChargingMode::Rated];
        let mut calls: Vec<(String, u32, u64, ChargingMode)> = vec![];
        let mut clock_ms = 0;
        for step in 0..300_u32 {
            clock_ms += dice.roll(120_000);
            desk.at(clock_ms);
            let at = usize::try_from(dice.roll(6)).unwrap_or(0);
            let ask = 1 + dice.roll(90);
            match calls.get(at).cloned() {
                None => {
                    let mode = modes[usize::try_from(dice.roll(4)).unwrap_or(0)];
                    let session = format!("s{step}");
                    let offer = ChargingRequest { charging_mode: mode, event_time: desk.now, ..initial(&session, ask) };
                    let answer = desk.answer(&offer);
                    if answer.result_code == ResultCode::SUCCESS {
                        calls.push((session, 0, crate::desk::granted(&answer).0, mode));
                    }
                }
                Some((session, number, grant, mode)) => {
                    let used_ms = dice.roll(grant + 1);
                    let ends = dice.roll(3) == 0;
                    let report = if ends {
                        termination(&session, number + 1, used_ms)
                    } else {
                        update(&session, number + 1, used_ms, ask)
                    };
                    let answer = desk.answer(&ChargingRequest { charging_mode: mode, ..report });
                    let cost = answer.cost.map(|cost| cost.amount).unwrap_or_default();
                    assert!(cost <= call, "seed {seed}: {cost}");
                    if ends {
                        calls.remove(at);
                    } else {
                        calls[at] = (session, number + 1, crate::desk::granted(&answer).0, mode);
                    }
                }
            }
            let view = ledger::limits(&desk.books, &desk.tariff, &desk.settings, &key("a"), desk.now);
            let view = view.unwrap_or_else(|| panic!("account"));
            assert!(view.cost_last_hour + view.pledged <= hour, "seed {seed}, step {step}: {view:?}");
            assert!(view.cost_today + view.pledged <= day, "seed {seed}, step {step}: {view:?}");
            let told = desk.books.notifications(&"agent-1".into());
            let aborts = told.iter().filter(|one| matches!(one.kind, types::charging::NotificationKind::Abort(_)));
            assert_eq!(aborts.count(), 0, "seed {seed}, step {step}: nobody broke a rule");
        }
    }
}
