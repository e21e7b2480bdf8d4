use super::*;
use crate::sip::PhoneNumber;

#[test]
fn users_hosts_and_numbers() {
    // text, user, host, port, phone-context, E.164
    type Row =
        (&'static str, Option<&'static str>, Option<&'static str>, Option<u16>, Option<&'static str>, &'static str);
    let rows: &[Row] = &[
        ("sip:2002@127.0.0.1:5090", Some("2002"), Some("127.0.0.1"), Some(5090), None, ""),
        ("sip:alice.smith@Example.COM", Some("alice.smith"), Some("example.com"), None, None, ""),
        ("SIP:+49301234567@h;user=phone", Some("+49301234567"), Some("h"), None, None, "+49301234567"),
        ("sip:%2B49301234567@h", Some("+49301234567"), Some("h"), None, None, "+49301234567"),
        ("sip:+1.555.0100@h", Some("+1.555.0100"), Some("h"), None, None, "+15550100"),
        ("sip:0301;phone-context=+49@h", Some("0301"), Some("h"), None, Some("+49"), "+490301"),
        ("sip:0301;phone-context=example.com@h", Some("0301"), Some("h"), None, Some("example.com"), ""),
        ("sip:0301@h;phone-context=+49", Some("0301"), Some("h"), None, None, ""),
        ("sip:0301;phone-context=+@h", Some("0301"), Some("h"), None, Some("+"), ""),
        ("sip:%230301@h", Some("#0301"), Some("h"), None, None, ""),
        ("sip:#31#0301@h", Some("#31#0301"), Some("h"), None, None, ""),
        ("sip:alice;day=tuesday@h", Some("alice"), Some("h"), None, None, ""),
        ("sip:a:secret@h", Some("a"), Some("h"), None, None, ""),
        ("sip:a%40b@h", Some("a@b"), Some("h"), None, None, ""),
        ("sip:a@[2001:DB8::1]:5061", Some("a"), Some("[2001:db8::1]"), Some(5061), None, ""),
        ("sips:h", None, Some("h"), None, None, ""),
        ("sip:h:5060;transport=tcp?subject=x%20y", None, Some("h"), Some(5060), None, ""),
        ("sip:a@my_host", Some("a"), Some("my_host"), None, None, ""),
        ("tel:+49-30-(123)4567", Some("+49-30-(123)4567"), None, None, None, "+49301234567"),
        ("tel:7042;phone-context=+1-914-555", Some("7042"), None, None, Some("+1-914-555"), "+19145557042"),
        ("tel:7042;phone-context=example.com", Some("7042"), None, None, Some("example.com"), ""),
        ("tel:112", Some("112"), None, None, None, ""),
        ("sip:+1234567890123456@h", Some("+1234567890123456"), Some("h"), None, None, ""),
        ("sip:123456789;phone-context=+1234567@h", Some("123456789"), Some("h"), None, Some("+1234567"), ""),
    ];
    for (text, user, host, port, context, e164) in rows {
        let uri = parse_uri(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(uri.user.as_ref().map(Masked::expose), *user, "{text}");
        assert_eq!((uri.host.as_deref(), uri.port), (*host, *port), "{text}");
        assert_eq!(uri.phone_context.as_ref().map(Masked::expose), *context, "{text}");
        assert_eq!(uri.e164_candidates().first().map_or("", Masked::expose), *e164, "{text}");
        assert_eq!(parse_uri(&uri.expose()), Ok(uri.clone()), "{text} written again");
    }
}

#[test]
fn parameters_are_decoded_and_named_in_lower_case() {
    let uri = parse_uri("sip:a@h;Transport=UDP;lr;x=%3b").unwrap();
    assert_eq!(uri.param("transport"), Some(Some(&Masked::from("UDP"))));
    assert_eq!(uri.param("LR"), Some(None));
    assert_eq!(uri.param("x"), Some(Some(&Masked::from(";"))));
    assert_eq!(uri.param("y"), None);
}

#[test]
fn emergency_services() {
    for (text, expected) in [
        ("urn:service:sos", true),
        ("URN:Service:SOS", true),
        ("urn:service:sos.police", true),
        ("urn:service:sosoft", false),
        ("urn:service:counseling", false),
        ("urn:nena:service:sos", false),
        ("sip:service:sos@h", false),
    ] {
        assert_eq!(parse_uri(text).unwrap().is_emergency_service(), expected, "{text}");
    }
}

#[test]
fn kinds_of_numbers() {
    let local = |digits: &str, context: Option<&str>| {
        Some(PhoneNumber::Local { digits: digits.into(), phone_context: context.map(Masked::from) })
    };
    for (text, expected) in [
        ("sip:+4930@h", Some(PhoneNumber::Global("+4930".into()))),
        ("sip:(030)12-34@h", local("0301234", None)),
        ("sip:*21*100#@h", local("*21*100#", None)),
        ("tel:100;phone-context=pbx.example", local("100", Some("pbx.example"))),
        ("sip:alice@h", None),
        ("sip:+@h", None),
        ("sip:+49a@h", None),
        ("sip:-.@h", None),
        ("sip:h", None),
        ("urn:service:sos", None),
    ] {
        assert_eq!(parse_uri(text).unwrap().phone_number(), expected, "{text}");
    }
}

#[test]
fn hostile_uris_are_refused() {
    let long = format!("sip:{}@h", "1".repeat(URI_BYTES_MAX));
    let many = format!("sip:a@h{}", (0..=PARAMS_MAX).map(|index| format!(";p{index}")).collect::<String>());
    for (text, expected) in [
        ("", SipError::Empty { at: 0 }),
        ("2002", SipError::NoScheme { at: 0 }),
        (":a@h", SipError::UnknownScheme { at: 0 }),
        ("mailto:a@h", SipError::UnknownScheme { at: 0 }),
        ("sip:", SipError::BadHost { at: 4 }),
        ("sip:@", SipError::Empty { at: 4 }),
        ("sip:@h", SipError::Empty { at: 4 }),
        ("sip:;x@h", SipError::Empty { at: 4 }),
        ("sip::x@h", SipError::Empty { at: 4 }),
        ("sip:a@", SipError::BadHost { at: 6 }),
        ("sip:a@b@h", SipError::SecondAt { at: 7 }),
        ("sip:victim@a;x=attacker@h", SipError::SecondAt { at: 23 }),
        ("sip:a@h ", SipError::BadHost { at: 6 }),
        ("sip:a b@h", SipError::BadCharacter { at: 5 }),
        ("sip:a\r\nX@h", SipError::BadCharacter { at: 5 }),
        ("sip:a\0@h", SipError::BadCharacter { at: 5 }),
        ("sip:\u{e9}@h", SipError::BadCharacter { at: 4 }),
        ("sip:a%0d%0aX@h", SipError::ControlCharacter { at: 4 }),
        ("sip:a%00@h", SipError::ControlCharacter { at: 4 }),
        ("sip:a%c2%80@h", SipError::ControlCharacter { at: 4 }),
        ("sip:%ff@h", SipError::BadEscape { at: 4 }),
        ("sip:a%2@h", SipError::BadEscape { at: 5 }),
        ("sip:a%@h", SipError::BadEscape { at: 5 }),
        ("sip:a%zz@h", SipError::BadEscape { at: 5 }),
        ("sip:a@h:", SipError::BadPort { at: 8 }),
        ("sip:a@h:0", SipError::BadPort { at: 8 }),
        ("sip:a@h:65536", SipError::BadPort { at: 8 }),
        ("sip:a@h:+5060", SipError::BadPort { at: 8 }),
        ("sip:a@h:5060x", SipError::BadPort { at: 8 }),
        ("sip:a@[::1", SipError::BadHost { at: 6 }),
        ("sip:a@[h]", SipError::BadHost { at: 6 }),
        ("sip:a@[::1]x", SipError::BadCharacter { at: 11 }),
        ("sip:a@h;", SipError::Empty { at: 8 }),
        ("sip:a@h;=x", SipError::Empty { at: 8 }),
        ("sip:a@h;x=1;X=2", SipError::ParamTwice { at: 12 }),
        ("sip:1;phone-context=+1;phone-context=+2@h", SipError::ParamTwice { at: 23 }),
        ("sip:a@h;x=\"y\"", SipError::BadCharacter { at: 10 }),
        ("sip:<a@h>", SipError::BadCharacter { at: 4 }),
        ("tel:", SipError::BadNumber { at: 4 }),
        ("tel:+", SipError::BadNumber { at: 4 }),
        ("tel:1+2", SipError::BadNumber { at: 4 }),
        ("tel:alice", SipError::BadCharacter { at: 5 }),
        ("tel:112@h", SipError::BadCharacter { at: 7 }),
        ("urn:service", SipError::Empty { at: 11 }),
        ("urn:service:", SipError::Empty { at: 12 }),
        ("urn:service:sos@h", SipError::BadCharacter { at: 15 }),
        (&long, SipError::TooLong { bytes: long.len(), limit: URI_BYTES_MAX }),
        (&many, SipError::TooManyParams { limit: PARAMS_MAX }),
    ] {
        assert_eq!(parse_uri(text), Err(expected), "{text:?}");
        assert!(!format!("{expected} {expected:?}").contains("attacker"));
    }
}

#[test]
fn no_log_shows_the_subscriber() {
    let uri = parse_uri("sip:+49301234567;phone-context=+49301234567@h;x=+49301234567").unwrap();
    assert!(!format!("{uri:?} {:?}", uri.phone_number()).contains("30123"));
}
