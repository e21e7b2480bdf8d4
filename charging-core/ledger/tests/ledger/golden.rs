//! Bytes on disk are read for ever: a play recorded by each format, as changes and as books, still gives what it gave.
//!
//! The files of format 1 were written by the release that had it, from the play up to its block; the books of format 2 by those that
//! had it. The changes of format 2 and the books of format 3 are the present ones, and are written by
//! `LEDGER_GOLDEN=write cargo test -p ledger golden`; a change of them is a new format, or a bug. Those in `format-2-fnv` are of
//! releases that fingerprinted requests by octets.

use std::path::PathBuf;

use ledger::{Books, BooksOfFormat1, BooksOfFormat2, Change};
use types::ClientId;
use types::ReleaseCause;
use types::charging::{BalanceAmount, NotificationKind, SessionPhase};

use crate::desk::{key, update};
use crate::play::{play_of_format_1, play_of_format_2};
use crate::tariff::{currency, money};

/// What the play left behind, in figures.
fn expect_the_play_of_format_1(books: &Books) {
    books.check().unwrap_or_else(|imbalance| panic!("{imbalance}"));
    let account = |id: &str| books.account(&key(id)).unwrap_or_else(|| panic!("no account {id}"));
    let (a, b) = (account("a"), account("b"));
    assert_eq!((a.balance, a.held, a.blocked), (money("3.72"), money("1.28"), false));
    assert_eq!((b.balance, b.held, b.blocked), (money("2.500000001"), money("2"), true));
    assert_eq!((a.low_balance_limit, a.credit_limit, a.identities.len()), (Some(money("1")), money("0.5"), 2));
    assert_eq!(books.accounts(Some(&"u".into())).map(|view| view.currency).collect::<Vec<_>>(), [currency("USD")]);
    let phase = |id: &str| books.session(&id.into()).map(|session| session.phase);
    let phases = ["old", "talk", "short", "later", "unrated", "data", "cut", "message", "silent"].map(phase);
    use SessionPhase::{Closed, Denied, Expired, Open};
    let expected = [None, Some(Open), Some(Open), Some(Open), Some(Denied), Some(Open), Some(Closed), Some(Closed)];
    assert_eq!((&phases[..8], phases[8]), (&expected[..], Some(Expired)));
    let talk = books.session(&"talk".into()).unwrap_or_else(|| panic!("no session"));
    assert_eq!((talk.used_time_ms, talk.granted_time_ms, talk.client_state), (45_000, 165_000, vec![1, 2, 3]));
    let told = books.notifications(&ClientId::from("agent-1"));
    assert!(told.iter().any(|one| one.kind == NotificationKind::Abort(ReleaseCause::AccountBlocked)), "{told:?}");
    assert_eq!(books.history(&key("a")).iter().map(|line| line.amount).sum::<types::Money>(), a.balance);
    assert_eq!(books.plan_versions().collect::<Vec<_>>(), [7]);
}

fn folder(format: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/format-{format}"))
}

fn recorded(format: &str, name: &str) -> Vec<u8> {
    let path = folder(format).join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn books_of_format_2(folder: &str) -> Books {
    let read: Result<BooksOfFormat2, _> = postcard::from_bytes(&recorded(folder, "books.postcard"));
    read.unwrap_or_else(|error| panic!("{error}")).into()
}

/// What the recorded changes of a format lead to, one by one.
fn replayed(format: &str) -> Books {
    let (mut books, recorded) = (Books::new(), recorded(format, "changes.postcard"));
    let mut rest = recorded.as_slice();
    while !rest.is_empty() {
        let (change, after): (Change, _) = postcard::take_from_bytes(rest).unwrap_or_else(|error| panic!("{error}"));
        books.apply(&change).unwrap_or_else(|error| panic!("{error}"));
        rest = after;
    }
    books
}

#[test]
fn changes_of_format_1_are_read_for_ever() {
    let bytes = recorded("1", "changes.postcard");
    let changes: Vec<Change> = postcard::from_bytes(&bytes).unwrap_or_else(|error| panic!("{error}"));
    let mut books = Books::new();
    books.apply_all(&changes).unwrap_or_else(|error| panic!("{error}"));
    expect_the_play_of_format_1(&books);
}

#[test]
fn books_of_format_1_are_read_for_ever() {
    let bytes = recorded("1", "books.postcard");
    let books: BooksOfFormat1 = postcard::from_bytes(&bytes).unwrap_or_else(|error| panic!("{error}"));
    let mut books = Books::from(books);
    expect_the_play_of_format_1(&books);
    // And they go on.
    let sequence = books.notifications(&ClientId::from("agent-1")).len();
    books.apply(&Change::Blocked { account: key("b"), blocked: false }).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(books.notifications(&ClientId::from("agent-1")).len(), sequence);
}

#[test]
fn the_present_format_is_written_and_read_as_recorded() {
    let desk = play_of_format_2();
    let (mut changes, mut rest) = (Vec::new(), desk.log.as_slice());
    while let Some((change, after)) = rest.split_first() {
        changes.extend(postcard::to_stdvec(change).unwrap_or_else(|error| panic!("{error}")));
        rest = after;
    }
    let books = postcard::to_stdvec(&desk.books).unwrap_or_else(|error| panic!("{error}"));
    if std::env::var_os("LEDGER_GOLDEN").is_some_and(|wish| wish == "write") {
        for (format, name, content) in [("2", "changes.postcard", &changes), ("3", "books.postcard", &books)] {
            std::fs::create_dir_all(folder(format)).unwrap_or_else(|error| panic!("{error}"));
            std::fs::write(folder(format).join(name), content).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
    }
    assert!(recorded("2", "changes.postcard") == changes, "this release writes another log than the recorded one");
    let read: Books = postcard::from_bytes(&recorded("3", "books.postcard")).unwrap_or_else(|error| panic!("{error}"));
    assert!(read == desk.books);
    assert!(books_of_format_2("2") == read);
    assert!(replayed("2") == read);
    let minutes = read.balances(&key("a")).into_iter().map(|one| (one.value, one.held)).collect::<Vec<_>>();
    assert_eq!(minutes, [(BalanceAmount::Units(35_000), BalanceAmount::Units(35_000))]);
}

#[test]
fn this_release_decides_as_the_one_of_format_1_did() {
    let desk = play_of_format_1();
    expect_the_play_of_format_1(&desk.books);
}

/// Their keys are known by the fingerprints that were stored then.
#[test]
fn requests_that_an_earlier_release_answered_are_known_again() {
    let read = books_of_format_2("2-fnv");
    let mut desk = play_of_format_2();
    assert!(read != desk.books, "they have other fingerprints");
    (desk.books, desk.replica) = (read.clone(), read.clone());
    let copy = desk.charge(&update("talk", 1, 25_000, 30));
    assert!(copy.replayed && copy.denial.is_none(), "{copy:?}");
    let other = desk.charge(&update("talk", 1, 25_001, 30));
    assert_eq!((other.replayed, other.denial), (false, Some(ledger::Denial::KeyReused)));
    assert!(desk.books == read, "nothing changed");
    assert!(replayed("2-fnv") == read);
}
