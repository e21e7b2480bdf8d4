use super::*;

fn event(fields: &str) -> Event {
    Event::from_json(format!("{{\"Event-Name\":\"HEARTBEAT\",{fields}}}").as_bytes()).unwrap()
}

#[test]
fn numbers_are_exact_and_nothing_else_is_a_number() {
    for (text, micros, count, thousandth) in [
        ("1795308120186911", Some(Some(1_795_308_120_186_911)), Some(1_795_308_120_186_911), None::<Option<i64>>),
        ("0", Some(None), Some(0), Some(Some(0))),
        ("4.50", None, None, Some(Some(4_500))),
        ("84.95", None, None, Some(Some(84_950))),
        ("100.00", None, None, Some(Some(100_000))),
        ("-0.25", None, None, Some(Some(-250))),
        ("0.0009", None, None, Some(Some(0))),
        ("7.1239", None, None, Some(Some(7_123))),
        ("999999999999999999", Some(Some(999_999_999_999_999_999)), Some(999_999_999_999_999_999), None),
        ("1000000000000000000", None, None, None),
        ("99999999999999999999999", None, None, None),
        ("-1", None, None, Some(Some(-1_000))),
        ("+1", None, None, None),
        (" 1", None, None, None),
        ("1e3", None, None, None),
        ("1.", None, None, None),
        (".5", None, None, None),
        ("1.2.3", None, None, None),
        ("nan", None, None, None),
        ("inf", None, None, None),
        ("\u{664}", None, None, None),
    ] {
        let event = event(&format!("\"x\":\"{text}\""));
        assert_eq!(event.micros("x").ok(), micros, "{text}");
        assert_eq!(event.count("x").ok().flatten(), count, "{text}");
        if thousandth.is_some() || count.is_none() {
            assert_eq!(event.thousandths("x").ok(), thousandth, "{text}");
        }
    }
    for absent in ["\"y\":\"1\"", "\"x\":\"\"", "\"x\":\"_undef_\"", "\"x\":null", "\"x\":[\"1\",\"2\"]"] {
        let event = event(absent);
        assert_eq!(event.micros("x"), Ok(None), "{absent}");
        assert_eq!(event.count("x"), Ok(None), "{absent}");
        assert_eq!(event.thousandths("x"), Ok(None), "{absent}");
    }
}

#[test]
fn json_events() {
    let no_name = Err(MessageError::NoEventName);
    let bad = |column| Err(MessageError::BadJson { line: 1, column });
    let rows: &[(&str, Said)] = &[
        (r#"{"Event-Name":"X","f":"v"}"#, Ok(Some("v"))),
        (r#"{"Event-Name":"X","f":""}"#, Ok(Some(""))),
        (r#"{"Event-Name":"X","f":"a\r\n\"\\\/\u0001é\ud83d\ude00"}"#, Ok(Some("a\r\n\"\\/\u{1}é😀"))),
        (r#"{"Event-Name":"X","f":"first","f":"second"}"#, Ok(Some("first"))),
        (r#"{"Event-Name":"X","F":"upper"}"#, Ok(Some("upper"))),
        (r#" {"Event-Name" : "X" , "f" : 17 } "#, Ok(Some("17"))),
        (r#"{"Event-Name":"X","f":true}"#, Ok(Some("true"))),
        (r#"{"Event-Name":"X","f":-3}"#, Ok(Some("-3"))),
        (r#"{"Event-Name":"X","f":1.5}"#, Ok(None)),
        (r#"{"Event-Name":"X","f":null}"#, Ok(None)),
        (r#"{"Event-Name":"X","f":[]}"#, Ok(None)),
        (r#"{"Event-Name":"X","f":["a"]}"#, Ok(None)),
        (r#"{"Event-Name":"X","f":{"g":[1,{}]},"h":"1"}"#, Ok(None)),
        (r#"{"f":"v"}"#, no_name),
        (r#"{"Event-Name":["X"]}"#, no_name),
        ("{}", no_name),
        ("[]", bad(0)),
        ("", bad(0)),
        (r#"{"Event-Name":"X""#, bad(17)),
        (r#"{"Event-Name":"X"}x"#, bad(19)),
        (r#"{"Event-Name":"X","f":["a",1]}"#, bad(28)),
        (r#"{"Event-Name":"X","f":"\ud83d"}"#, bad(30)),
    ];
    for (json, expected) in rows {
        let found = Event::from_json(json.as_bytes());
        let text = found.as_ref().map(|event| event.text("f").map(str::to_owned)).map_err(|error| *error);
        assert_eq!(text, expected.map(|text| text.map(str::to_owned)), "{json}");
    }
    // As deep as somebody likes: the parser has its own limit.
    let deep = format!("{{\"Event-Name\":\"X\",\"f\":{}", "[".repeat(100_000));
    assert!(matches!(Event::from_json(deep.as_bytes()), Err(MessageError::BadJson { .. })));
}

/// What the field `f` says.
type Said = Result<Option<&'static str>, MessageError>;

#[test]
fn plain_events() {
    let rows: &[(&[u8], Said)] = &[
        (b"Event-Name: X\nf: v\n\n", Ok(Some("v"))),
        (b"Event-Name: X\nf: a%20b%3A%25\n\n", Ok(Some("a b:%"))),
        (b"Event-Name: X\nf: J%FCrgen\n\n", Ok(Some("J\u{fffd}rgen"))),
        (b"Event-Name: X\nf: J\xfcrgen\n\n", Ok(Some("J\u{fffd}rgen"))),
        (b"Event-Name: X\nf: J%C3%BCrgen\n\n", Ok(Some("Jürgen"))),
        // FreeSWITCH leaves a `%XX` of the value as it is: these are what is left of `%41` and `100%2541`.
        (b"Event-Name: X\nf: %41\n\n", Ok(Some("A"))),
        (b"Event-Name: X\nf: 100%2541\n\n", Ok(Some("100%41"))),
        (b"Event-Name: X\nf: 5%\n\n", Ok(Some("5%"))),
        (b"Event-Name: X\nf: 5%2\n\n", Ok(Some("5%2"))),
        (b"Event-Name: X\nf: 5%+2\n\n", Ok(Some("5%+2"))),
        (b"Event-Name: X\nf: _undef_\n\n", Ok(None)),
        (b"Event-Name: X\nf: ARRAY%3A%3Aa%7C%3Ab\n\n", Ok(None)),
        (b"Event-Name: X\r\nf: v\r\n\r\n", Ok(Some("v"))),
        (b"Event-Name: X\nf: v", Ok(Some("v"))),
        (b"Event-Name: X\nf:v\n", Ok(Some("v"))),
        (b"Event-Name: X\nf:  v \n", Ok(Some(" v "))),
        (b"Event-Name: X\nf: v\nContent-Length: 2\n\nok", Ok(Some("v"))),
        (b"Event-Name: X\nf: v\ncontent-length: 99\nContent-Length: 2\n\nok", Ok(Some("v"))),
        (b"Event-Name: X\nf: v\nContent-Length: 99\n\n", Ok(Some("v"))),
        (
            b"Event-Name: X\nContent-Length: 3\n\nok",
            Err(MessageError::BodyLength { claimed_bytes: 3, actual_bytes: 2 }),
        ),
        (b"Event-Name: X\n\nok", Err(MessageError::BodyLength { claimed_bytes: 0, actual_bytes: 2 })),
        (b"Event-Name: X\nf\n", Err(MessageError::BadHeader { offset: 14 })),
        (b"Event-Name: X\n: v\n", Err(MessageError::BadHeader { offset: 14 })),
        (b"f: v\n\n", Err(MessageError::NoEventName)),
        (b"", Err(MessageError::NoEventName)),
    ];
    for (plain, expected) in rows {
        let shown = String::from_utf8_lossy(plain);
        let found = Event::from_plain(plain);
        let text = found.as_ref().map(|event| event.text("f").map(str::to_owned)).map_err(|error| *error);
        assert_eq!(text, expected.map(|text| text.map(str::to_owned)), "{shown}");
    }
    let body = Event::from_plain(b"Event-Name: X\nContent-Length: 9\n\nraw %41\n\n").unwrap();
    assert_eq!(body.body(), Some("raw %41\n\n"), "a body is not encoded");
    let array = Event::from_plain(b"Event-Name: X\nvariable_a: ARRAY%3A%3Ax%7C%3A%7C%3Ay\n\n").unwrap();
    assert_eq!(array.elements("variable_a").unwrap().iter().collect::<Vec<_>>(), ["x", "", "y"]);
}

#[test]
fn a_caller_who_writes_an_array_gives_no_text() {
    // A SIP header of `ARRAY::` becomes an array inside FreeSWITCH: nobody may take its first element for an account.
    let event = event("\"variable_sip_h_X-Account\":[\"1001\",\"1002\"]");
    assert_eq!(event.variable("sip_h_X-Account"), None);
}

#[test]
fn nothing_of_a_subscriber_is_in_debug() {
    let event = event("\"Unique-ID\":\"u-1\",\"Caller-Caller-ID-Number\":\"4930123456\"");
    assert_eq!(
        format!("{event:?}"),
        "Event { name: \"HEARTBEAT\", unique_id: Some(\"u-1\"), fields: Fields(3 fields), .. }"
    );
}
