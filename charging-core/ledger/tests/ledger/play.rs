//! A play that leaves something of everything in log and books; `golden` keeps its bytes.

use ledger::{AccountLimits, BalanceTerms, ChangeBalance, Command, CreateAccount, Limit, OpenAccount, Transfer};
use types::charging::{
    BalanceAmount, BalanceKind, ChargingMode, ChargingRequest, Operation, RequestedAction, Service, SubscriberId,
    SubscriberIdKind, UnitUsage, Units, UsedUnits,
};
use types::{Number, ReleaseCause};

use crate::desk::{Desk, cut, initial, key, request, termination, update, used};
use crate::tariff::{Rate, Tariff, currency, money, r1};

const HOUR: u64 = 3_600_000;

/// Every kind of change of the first format, and something of everything left in the books.
pub fn play_of_format_1() -> Desk {
    let rates = vec![(0, r1()), (10, Rate { increment: 1000, ..r1() }), (20, r1())];
    let mut desk = Desk::new(Tariff { rates, unrated: "+888", east_ms: 0 });
    opened(&mut desk);
    // Long ago: dropped with its keys.
    desk.answer(&initial("old", 30));
    desk.at(20_000).answer(&termination("old", 1, 12_000));
    desk.at(60 * HOUR).sweep();
    let now = desk.now;
    let fresh = |request: ChargingRequest| ChargingRequest { event_time: now, ..request };
    let of_b = |request: ChargingRequest| ChargingRequest { subscribers: vec![SubscriberId::account("b")], ..request };
    desk.answer(&fresh(ChargingRequest { client_state: vec![1, 2, 3], ..initial("talk", 30) }));
    desk.answer(&fresh(update("talk", 1, 25_000, 30)));
    desk.answer(&fresh(of_b(initial("short", 600))));
    desk.run(&Command::TopUp(transfer("b", "later", "0.50")));
    desk.run(&Command::Debit(transfer("a", "fee", "0.25")));
    desk.answer(&fresh(of_b(ChargingRequest { charging_mode: ChargingMode::Postpaid, ..initial("later", 30) })));
    desk.answer(&fresh(ChargingRequest { called: Some(Number::from("+8881")), ..initial("unrated", 30) }));
    desk.answer(&fresh(ChargingRequest { subscribers: vec![], ..initial("nobody", 30) }));
    desk.answer(&fresh(data(0, Operation::Initial, &[(10, 0), (20, 0)])));
    desk.answer(&fresh(data(1, Operation::Update, &[(10, 5000)])));
    desk.answer(&fresh(initial("cut", 10)));
    desk.answer(&fresh(cut("cut", 1, 10_080)));
    desk.answer(&fresh(event("message", 0, RequestedAction::DirectDebit)));
    desk.answer(&fresh(event("message", 1, RequestedAction::Refund)));
    desk.run(&Command::Block(key("b")));
    desk.run(&Command::ConfirmNotifications { client_id: "agent-1".into(), through: 1 });
    desk.run(&Command::Release { session_id: "talk".into(), cause: ReleaseCause::Operator });
    desk.answer(&fresh(initial("silent", 30)));
    desk.answer(&fresh(update("silent", 1, 1000, 30)));
    desk.at(60 * HOUR + 100_000).answer(&fresh(update("talk", 2, 20_000, 120)));
    desk.sweep();
    desk
}

fn opened(desk: &mut Desk) {
    let identities = vec![
        SubscriberId { kind: SubscriberIdKind::E164, value: Number::from("+49301") },
        SubscriberId { kind: SubscriberIdKind::SipUri, value: Number::from("sip:a@example.org") },
    ];
    let a = CreateAccount {
        key: key("a"),
        currency: currency("EUR"),
        identities,
        low_balance_limit: Some(money("1")),
        credit_limit: Some(money("0.5")),
    };
    let open = OpenAccount { create: a.clone(), operation_id: "first".into(), first_balance: money("5") };
    desk.run(&Command::OpenAccount(Box::new(open)));
    desk.create(CreateAccount {
        key: key("b"),
        identities: vec![],
        low_balance_limit: None,
        credit_limit: None,
        ..a.clone()
    });
    desk.top_up("b", "2.000000001");
    let mut elsewhere = CreateAccount { identities: vec![], credit_limit: None, ..a };
    elsewhere.key.tenant = "u".into();
    elsewhere.currency = currency("USD");
    desk.create(elsewhere);
}

fn transfer(id: &str, operation: &str, amount: &str) -> Transfer {
    Transfer { account: key(id), operation_id: operation.into(), amount: money(amount), currency: None }
}

fn data(number: u32, operation: Operation, groups: &[(u32, u64)]) -> ChargingRequest {
    let octets = |amount| Units { total_octets: Some(amount), ..Units::default() };
    let unit = |&(rating_group, amount): &(u32, u64)| UnitUsage {
        rating_group,
        service_identifier: Some(7),
        requested: Some(octets(4000)),
        used: if amount == 0 { vec![] } else { vec![UsedUnits { units: octets(amount), ..used(number, 0) }] },
        ..UnitUsage::default()
    };
    let units = groups.iter().map(unit).collect();
    ChargingRequest { service: Service::Data, called: None, units, ..request("data", number, operation) }
}

fn event(session: &str, number: u32, action: RequestedAction) -> ChargingRequest {
    let one = Units { specific_units: Some(1000), ..Units::default() };
    let units = vec![UnitUsage { requested: Some(one), ..UnitUsage::default() }];
    let requested_action = Some(action);
    ChargingRequest { requested_action, service: Service::Sms, units, ..request(session, number, Operation::Event) }
}

/// The same, then every kind of change that the second format added.
pub fn play_of_format_2() -> Desk {
    let mut desk = play_of_format_1();
    let minutes = ChangeBalance {
        account: key("a"),
        operation_id: "bundle".into(),
        balance_id: "minutes".into(),
        kind: Some(BalanceKind::Voice),
        credit: true,
        amount: BalanceAmount::Units(60_000),
        currency: None,
        terms: Some(BalanceTerms { weight: 10, destinations: vec!["+49".into()], ..BalanceTerms::default() }),
        valid_until: None,
    };
    desk.run(&Command::ChangeBalance(Box::new(minutes)));
    let limits = AccountLimits {
        maximum_sessions: Limit::Is(4),
        maximum_cost_per_day: Limit::Is(money("100")),
        maximum_new_sessions_per_minute: Limit::Unlimited,
        ..AccountLimits::default()
    };
    desk.run(&Command::SetLimits { account: key("a"), limits: Box::new(limits) });
    let now = desk.now;
    let fresh = |request: ChargingRequest| ChargingRequest { event_time: now, ..request };
    desk.answer(&fresh(initial("bundled", 30)));
    desk.answer(&fresh(update("bundled", 1, 25_000, 30)));
    desk.answer(&fresh(initial("third", 10)));
    desk.answer(&fresh(initial("too many", 10)));
    desk.run(&Command::BlockFor { account: key("b"), cause: ReleaseCause::Fraud });
    desk
}
