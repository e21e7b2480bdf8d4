//! Any text: never a panic, and what was understood survives being written and read again. Called by the fuzz target
//! and by a plain test with a fixed corpus.

use protocol_codecs::sip::{PartyUri, parse_name_addr, parse_name_addr_list, parse_uri};

/// The text as a URI, as one address and as a list.
pub fn run(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    if let Ok(uri) = parse_uri(text) {
        again(&uri);
        // An accepted URI names its user without a doubt: it has at most one `@`.
        assert!(text.matches('@').count() <= 1);
        // Alone it is an address, too, unless its own characters mean something there.
        if !text.contains([',', ';', '?']) {
            assert_eq!(parse_name_addr(text).map(|address| address.uri), Ok(uri));
        }
    }
    match (parse_name_addr(text), parse_name_addr_list(text)) {
        (Ok(one), Ok(list)) => assert_eq!([one].as_slice(), list),
        (Ok(_), Err(error)) => panic!("an address, but no list: {error}"),
        (Err(_), Ok(list)) => list.iter().for_each(|address| again(&address.uri)),
        (Err(_), Err(_)) => {}
    }
}

fn again(uri: &PartyUri) {
    let text = uri.expose();
    // Escapes make a URI longer, possibly too long; nothing else may go wrong.
    if text.len() <= protocol_codecs::sip::limits::URI_BYTES_MAX {
        assert_eq!(parse_uri(&text).as_ref(), Ok(uri));
    }
    assert!(uri.user.is_some() || uri.phone_number().is_none());
    for number in uri.e164_candidates() {
        let digits = number.expose().strip_prefix('+').expect("E.164 begins with +");
        assert!((1..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit()));
    }
}
