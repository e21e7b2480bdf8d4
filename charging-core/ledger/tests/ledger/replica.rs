//! Snapshots made from snapshots: books that are only read to be written again lead to the same books, wherever the log is cut.

use ledger::{Books, Change, Replica, pack};

use crate::play::play_of_format_2;

fn applied(changes: &[Change]) -> Books {
    let mut books = Books::new();
    books.apply_all(changes).unwrap_or_else(|error| panic!("{error}"));
    books
}

fn packed(books: &impl serde::Serialize) -> Vec<u8> {
    let mut octets = Vec::new();
    pack(books, &mut octets).unwrap_or_else(|error| panic!("{error}"));
    octets
}

#[test]
fn sessions_that_are_over_are_as_good_copied_as_unpacked() {
    let desk = play_of_format_2();
    let mut dropped = 0;
    for cut in 0..=desk.log.len() {
        let (before, behind) = desk.log.split_at(cut);
        let earlier = applied(before);
        let snapshot = packed(&earlier);
        let read: Books = postcard::from_bytes(&snapshot).unwrap_or_else(|error| panic!("{cut}: {error}"));
        assert!(read == earlier, "{cut}");
        let mut replica: Replica<'_> = postcard::from_bytes(&snapshot).unwrap_or_else(|error| panic!("{cut}: {error}"));
        for change in behind {
            replica.announce(std::slice::from_ref(change)).unwrap_or_else(|error| panic!("{cut}: {error}"));
            replica.books_mut().apply(change).unwrap_or_else(|error| panic!("{cut}: {error}"));
            dropped += u32::from(matches!(change, Change::KeysDropped { .. }));
        }
        let whole = packed(&replica);
        assert!(replica.parts().flat_map(|part| packed(&part)).eq(whole.iter().copied()), "{cut}");
        let read: Books = postcard::from_bytes(&whole).unwrap_or_else(|error| panic!("{cut}: {error}"));
        assert!(read == desk.books, "{cut}");
        read.check().unwrap_or_else(|imbalance| panic!("{cut}: {imbalance}"));
    }
    assert!(dropped > 0);
}

/// Octets that are no session are an error and no panic, whenever they are met.
#[test]
fn a_session_that_does_not_unpack_is_an_error() {
    let desk = play_of_format_2();
    let snapshot = packed(&desk.books);
    let mut refused = 0;
    for at in 0..snapshot.len() {
        let mut other = snapshot.clone();
        other[at] ^= 0xFF;
        refused += u32::from(postcard::from_bytes::<Books>(&other).is_err());
        if let Ok(mut replica) = postcard::from_bytes::<Replica<'_>>(&other) {
            let all =
                Change::KeysDropped { sessions_before: types::UtcMs(i64::MAX), operations_before: types::UtcMs(0) };
            refused += u32::from(replica.announce(&[all]).is_err());
        }
    }
    assert!(refused > 100, "{refused}");
}
