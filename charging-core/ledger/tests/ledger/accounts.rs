//! Accounts: identities, money in and out, history, listings, snapshots.

use ledger::{Books, Command, CreateAccount, MovementKind, OpenAccount, Outcome, Refusal, Transfer};
use types::charging::{ChargingRequest, SubscriberId, SubscriberIdKind};
use types::{Money, Number};

use crate::desk::{Desk, initial, key, termination, update};
use crate::tariff::{Tariff, currency, money, r1};

fn identity(kind: SubscriberIdKind, value: &str) -> SubscriberId {
    SubscriberId { kind, value: Number::from(value) }
}

fn account(id: &str, identities: &[SubscriberId]) -> CreateAccount {
    CreateAccount {
        key: key(id),
        currency: currency("EUR"),
        identities: identities.to_vec(),
        low_balance_limit: None,
        credit_limit: None,
    }
}

fn transfer(id: &str, operation: &str, amount: &str) -> Transfer {
    Transfer { account: key(id), operation_id: operation.into(), amount: money(amount), currency: None }
}

#[test]
fn every_identity_finds_the_account_within_its_tenant() {
    let mut desk = Desk::new(Tariff::of(r1()));
    let phone = identity(SubscriberIdKind::E164, "+4930");
    desk.create(account("a", std::slice::from_ref(&phone)));
    let mut elsewhere = account("a", std::slice::from_ref(&phone));
    elsewhere.key.tenant = "u".into();
    assert!(matches!(desk.create(elsewhere), Outcome::Account(_)), "tenants do not see each other");
    for (tenant, who, found) in [
        ("t", phone.clone(), true),
        ("t", SubscriberId::account("a"), true),
        ("t", identity(SubscriberIdKind::SipUri, "+4930"), false),
        ("v", phone.clone(), false),
    ] {
        let key = desk.books.find_account(&tenant.into(), &who);
        assert_eq!(key.is_some(), found, "{tenant} {who:?}");
    }
    desk.top_up("a", "1");
    let subscribers = vec![identity(SubscriberIdKind::Imsi, "1"), phone];
    desk.answer(&ChargingRequest { subscribers, ..initial("s", 30) });
    desk.expect("a", "1", "0.30");
    assert_eq!(desk.books.accounts(None).count(), 2);
    assert_eq!(desk.books.accounts(Some(&"u".into())).map(|view| view.balance).collect::<Vec<_>>(), [Money::ZERO]);
}

#[test]
fn what_is_taken_or_senseless_is_refused() {
    let mut desk = Desk::new(Tariff::of(r1()));
    let phone = identity(SubscriberIdKind::E164, "+4930");
    let alias = SubscriberId::account("alias");
    desk.create(account("a", &[phone.clone(), alias.clone()]));
    let rows = [
        (account("a", &[]), Refusal::AccountExists),
        (account("b", &[phone]), Refusal::IdentityTaken(SubscriberIdKind::E164)),
        (account("b", &[SubscriberId::account("a")]), Refusal::IdentityTaken(SubscriberIdKind::Private)),
        (account("alias", &[]), Refusal::IdentityTaken(SubscriberIdKind::Private)),
        (account("", &[]), Refusal::InvalidAccountId),
        (account(&"x".repeat(129), &[]), Refusal::InvalidAccountId),
        (CreateAccount { credit_limit: Some(money("-1")), ..account("b", &[]) }, Refusal::InvalidAmount),
    ];
    for (create, refusal) in rows {
        assert_eq!(desk.create(create.clone()), Outcome::Refused(refusal), "{create:?}");
    }
    assert_eq!(desk.books.account_count(), 1);
}

#[test]
fn transfers_are_idempotent_and_bounded() {
    let mut desk = Desk::with(Tariff::of(r1()), "1.00");
    let first = desk.run(&Command::TopUp(transfer("a", "payment-1", "2")));
    desk.run(&Command::Debit(transfer("a", "payment-2", "0.5")));
    assert_eq!(desk.run(&Command::TopUp(transfer("a", "payment-1", "2"))), first, "the receipt of then");
    desk.expect("a", "2.50", "0");
    desk.answer(&initial("s", 30));
    let euros = currency("EUR");
    let rows = [
        (Command::TopUp(transfer("a", "payment-1", "3")), Refusal::OperationReused),
        (Command::Debit(transfer("a", "payment-1", "2")), Refusal::OperationReused),
        (Command::TopUp(transfer("a", "p", "0")), Refusal::InvalidAmount),
        (Command::TopUp(transfer("a", "p", "-1")), Refusal::InvalidAmount),
        (Command::TopUp(transfer("a", "p", "1000000000000000")), Refusal::InvalidAmount),
        (Command::TopUp(transfer("a", "", "1")), Refusal::InvalidOperationId),
        (Command::TopUp(transfer("b", "p", "1")), Refusal::UnknownAccount),
        (Command::Debit(transfer("a", "p", "2.21")), Refusal::NotEnoughCredit { available: money("2.20") }),
        (
            Command::TopUp(Transfer { currency: Some(currency("USD")), ..transfer("a", "p", "1") }),
            Refusal::CurrencyMismatch { account: euros },
        ),
        (Command::Block(key("b")), Refusal::UnknownAccount),
    ];
    for (command, refusal) in rows {
        assert_eq!(desk.run(&command), Outcome::Refused(refusal), "{command:?}");
    }
    desk.expect("a", "2.50", "0.30");
    desk.run(&Command::Debit(transfer("a", "p", "2.20")));
    desk.expect("a", "0.30", "0.30");
}

#[test]
fn operations_are_remembered_for_their_window() {
    let mut desk = Desk::with(Tariff::of(r1()), "1.00");
    desk.run(&Command::TopUp(transfer("a", "p", "2")));
    let day = 24 * 3_600_000;
    desk.at(30 * day).sweep();
    desk.run(&Command::TopUp(transfer("a", "p", "2")));
    desk.expect("a", "3", "0");
}

#[test]
fn history_has_one_growing_line_a_session_and_is_bounded() {
    let mut desk = Desk::with(Tariff::of(r1()), "1.00");
    desk.answer(&initial("s", 30));
    desk.answer(&update("s", 1, 25_000, 30));
    desk.answer(&update("s", 2, 10_000, 30));
    desk.at(600_000).sweep();
    desk.answer(&termination("s", 3, 5000));
    let lines: Vec<_> = desk.books.history(&key("a")).into_iter().map(|l| (l.kind, l.amount, l.balance)).collect();
    assert_eq!(
        lines,
        [
            (MovementKind::TopUp, money("1"), money("1")),
            (MovementKind::Charge, money("-0.65"), money("0.35")),
            (MovementKind::Refund, money("0.25"), money("0.60")),
        ]
    );
    for number in 0..40 {
        desk.run(&Command::TopUp(transfer("a", &format!("p{number}"), "1")));
    }
    let lines = desk.books.history(&key("a"));
    assert_eq!((lines.len(), lines[15].reference.as_ref()), (ledger::HISTORY_LENGTH, "p39"));
}

#[test]
fn a_snapshot_is_the_books() {
    let mut desk = Desk::with(Tariff::of(r1()), "1.00");
    desk.answer(&initial("s", 30));
    desk.answer(&update("s", 1, 25_000, 30));
    let bytes = postcard::to_stdvec(&desk.books).expect("written");
    let read: Books = postcard::from_bytes(&bytes).expect("read");
    assert!(read == desk.books);
    let mut torn = Books::new();
    assert!(torn.apply_all(desk.log.get(2..).unwrap_or_default()).is_err(), "a log without its beginning does not fit");
}

#[test]
fn an_account_is_opened_with_its_first_balance_once() {
    let mut desk = Desk::new(Tariff::of(r1()));
    let open = |id: &str, operation: &str, amount: &str| {
        let (create, operation_id) = (account(id, &[]), operation.into());
        Command::OpenAccount(Box::new(OpenAccount { create, operation_id, first_balance: money(amount) }))
    };
    let first = desk.run(&open("a", "r1", "5"));
    assert!(matches!(&first, Outcome::Account(view) if view.balance == money("5")), "{first:?}");
    desk.answer(&initial("s", 30));
    assert_eq!(desk.run(&open("a", "r1", "5")), first, "a copy gets the stored answer");
    desk.expect("a", "5", "0.30");
    let rows = [
        (open("a", "r1", "6"), Refusal::OperationReused),
        (open("a", "r2", "5"), Refusal::AccountExists),
        (open("b", "", "5"), Refusal::InvalidOperationId),
        (open("b", "r", "-1"), Refusal::InvalidAmount),
        (Command::TopUp(transfer("a", "r1", "5")), Refusal::OperationReused),
    ];
    for (command, refusal) in rows {
        assert_eq!(desk.run(&command), Outcome::Refused(refusal), "{command:?}");
    }
    desk.expect("a", "5", "0.30");
    let kinds: Vec<_> = desk.books.history(&key("a")).iter().map(|line| (line.kind, line.amount)).collect();
    assert_eq!(kinds, [(MovementKind::TopUp, money("5"))]);
    let empty = desk.run(&open("empty", "r1", "0"));
    assert_eq!(desk.run(&open("empty", "r1", "0")), empty);
    assert!(desk.books.history(&key("empty")).is_empty(), "nothing moved");
}
