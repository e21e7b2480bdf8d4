//! Seeded random operations with copies, reordering, lost answers, top-ups, expiry and blocking. After every step the
//! desk audits the books and compares a replica fed from the logged bytes; at the end an independent sum is compared.

use std::collections::BTreeMap;

use types::Money;
use types::charging::{ChargingMode, ChargingRequest, ResultCode, SubscriberId};

use crate::desk::{Desk, cut, initial, key, termination, update};
use crate::tariff::{Rate, Tariff, money, r1, r3};
use ledger::{Books, Command, Rounding, Transfer};

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
            16 => self.top_up(),
            17 => drop(self.desk.sweep()),
            18 => self.debit(),
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
        let balances: Money = self.desk.books.accounts(None).map(|view| view.balance).sum();
        for call in &self.calls {
            let Some(session) = self.desk.books.session(&call.session.as_str().into()) else { continue };
            let expected = self.desk.tariff.rates[0].1.from(self.desk.now, session.billable_ms, Rounding::Final);
            let expected = if session.billable_ms == 0 { Money::ZERO } else { expected };
            assert_eq!(session.cost.map(|cost| cost.amount), Some(expected), "{}", call.session);
        }
        let costs = self.calls.iter().filter_map(|call| self.desk.books.session(&call.session.as_str().into()));
        let charged: Money = costs.filter_map(|session| session.cost).map(|cost| cost.amount).sum();
        assert_eq!(balances + charged, self.deposited, "money in = money left + money charged");
        assert!(self.desk.books.accounts(None).all(|view| view.held.is_zero()), "every reservation ends");
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
