use super::*;

#[test]
fn addresses() {
    // text, display name, URI, tag
    let rows: &[(&str, Option<&str>, &str, Option<&str>)] = &[
        ("<sip:a@h>", None, "sip:a@h", None),
        ("sip:a@h", None, "sip:a@h", None),
        ("sip:a@h;tag=1", None, "sip:a@h", Some("1")),
        ("sip:a@h ; tag = 1 ", None, "sip:a@h", Some("1")),
        ("<sip:a@h;lr>;tag=1", None, "sip:a@h;lr", Some("1")),
        ("Alice <sip:a@h>;TAG=x.y", Some("Alice"), "sip:a@h", Some("x.y")),
        ("Alice B. Smith\t<sip:a@h>", Some("Alice B. Smith"), "sip:a@h", None),
        ("\"Alice\" <sip:a@h>", Some("Alice"), "sip:a@h", None),
        ("\"\" <sip:a@h>", None, "sip:a@h", None),
        ("\"A \\\"B\\\\\"<sip:a@h>", Some("A \"B\\"), "sip:a@h", None),
        // A quoted name may hold what looks like the address.
        ("\"<sip:victim@x>;tag=9\" <sip:a@h>;tag=1", Some("<sip:victim@x>;tag=9"), "sip:a@h", Some("1")),
        ("\u{d6}zg\u{fc}r <sip:a@h>", Some("\u{d6}zg\u{fc}r"), "sip:a@h", None),
        ("<tel:+4930;phone-context=+49>", None, "tel:+4930;phone-context=+49", None),
        ("<urn:service:sos>", None, "urn:service:sos", None),
        ("<sip:a@h>;q=0.7;+sip.instance=\"<urn:uuid:1>\";received=[::1]:5060;tag=1", None, "sip:a@h", Some("1")),
    ];
    for (text, display, uri, tag) in rows {
        let address = parse_name_addr(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(address.display_name.as_ref().map(Masked::expose), *display, "{text}");
        assert_eq!((address.uri.expose().as_str(), address.tag()), (*uri, *tag), "{text}");
    }
}

#[test]
fn lists() {
    let list = parse_name_addr_list("\"A, B\" <sip:a@h>;tag=1, tel:+4930 ,<sip:c@h>").unwrap();
    let uris: Vec<String> = list.iter().map(|address| address.uri.expose()).collect();
    assert_eq!(uris, ["sip:a@h", "tel:+4930", "sip:c@h"]);
    let many = vec!["<sip:a@h>"; ADDRESSES_MAX + 1].join(",");
    assert_eq!(parse_name_addr_list(&many), Err(SipError::TooManyAddresses { limit: ADDRESSES_MAX }));
}

#[test]
fn hostile_addresses_are_refused() {
    let long = format!("\"{}\" <sip:a@h>", "x".repeat(HEADER_BYTES_MAX));
    for (text, expected) in [
        ("", SipError::Empty { at: 0 }),
        ("  ", SipError::Empty { at: 2 }),
        ("*", SipError::Wildcard),
        (" * ", SipError::Wildcard),
        ("<>", SipError::Empty { at: 1 }),
        ("<sip:a@h", SipError::NotClosed { at: 0 }),
        ("\"Alice <sip:a@h>", SipError::NotClosed { at: 0 }),
        ("\"Alice\\\" <sip:a@h>", SipError::NotClosed { at: 0 }),
        ("\"Alice\" sip:a@h", SipError::BadCharacter { at: 8 }),
        ("\"A\"B <sip:a@h>", SipError::BadCharacter { at: 3 }),
        ("sip:v@x <sip:a@h>", SipError::BadCharacter { at: 3 }),
        ("A\r\nVia: x <sip:a@h>", SipError::BadCharacter { at: 1 }),
        ("\"A\r\n\" <sip:a@h>", SipError::BadCharacter { at: 2 }),
        ("<sip:a@h> x", SipError::BadCharacter { at: 10 }),
        ("<sip:a@h>;tag=1 <sip:b@h>", SipError::BadCharacter { at: 16 }),
        ("<sip:a@h>;tag=1;Tag=2", SipError::ParamTwice { at: 16 }),
        ("<sip:a@h>;", SipError::Empty { at: 10 }),
        ("<sip:a@h>,", SipError::TooManyAddresses { limit: 1 }),
        ("<sip:a@h>,<sip:b@h>", SipError::TooManyAddresses { limit: 1 }),
        ("Alice, Bob <sip:a@h>", SipError::NoScheme { at: 0 }),
        ("<<sip:a@h>>", SipError::UnknownScheme { at: 1 }),
        ("<sip:a@h\u{e9}>", SipError::BadHost { at: 7 }),
        (&long, SipError::TooLong { bytes: long.len(), limit: HEADER_BYTES_MAX }),
    ] {
        assert_eq!(parse_name_addr(text), Err(expected), "{text:?}");
    }
}
