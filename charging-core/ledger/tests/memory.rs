//! What a million accounts take in memory, as the allocator is asked for it, and what it keeps for itself: at most 16
//! octets for each allocation.

use ledger::{AccountCreated, AccountKey, Books, Change};
use types::charging::{SubscriberId, SubscriberIdKind};
use types::{Currency, Money, Number};

const ACCOUNTS: u64 = 1_000_000;
const MIB: u64 = 1 << 20;

/// Accounts with an id, a telephone number, and a balance; nothing else, as when no keys live.
fn books(currency: Currency) -> Books {
    let mut books = Books::new();
    for number in 0..ACCOUNTS {
        let created = AccountCreated {
            key: AccountKey { tenant: "example".into(), id: format!("customer-{number:07}").into() },
            currency,
            identities: vec![SubscriberId {
                kind: SubscriberIdKind::E164,
                value: Number::new(format!("+4930{number:08}")),
            }],
            low_balance_limit: None,
            credit_limit: Money::ZERO,
        };
        let change = Change::AccountCreated(Box::new(created));
        books.apply(&change).unwrap_or_else(|error| panic!("{error}"));
    }
    books
}

#[test]
fn a_million_accounts_take_at_most_150_mib() {
    let currency: Currency = "EUR".parse().unwrap_or_else(|error| panic!("{error}"));
    let mut kept = None;
    let measured = allocation_counter::measure(|| kept = Some(books(currency)));
    let bytes = u64::try_from(measured.bytes_current).unwrap_or(u64::MAX);
    let allocations = u64::try_from(measured.count_current).unwrap_or(u64::MAX);
    let taken = bytes + 16 * allocations;
    assert!(taken <= 150 * MIB, "{} MiB in {allocations} allocations", taken / MIB);
    let key = AccountKey { tenant: "example".into(), id: "customer-0999999".into() };
    assert!(kept.is_some_and(|books| books.account_count() == 1_000_000 && books.account(&key).is_some()));
}
