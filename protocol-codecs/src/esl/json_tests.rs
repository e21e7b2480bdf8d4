//! The quick reader beside the general one: whatever it takes, it takes as that does.

use proptest::prelude::*;

use super::super::fields::Value;
use super::*;

fn both(body: &str) -> (Option<Fields>, Result<Fields, MessageError>) {
    (super::super::flat::fields(body), any_json(body))
}

#[test]
fn what_freeswitch_writes_is_read_without_the_general_parser() {
    type Pairs = &'static [(&'static str, &'static [&'static str])];
    let rows: &[(&str, Pairs)] = &[
        ("{}", &[]),
        (" {\t}\r\n", &[]),
        (r#"{"a":"1"}"#, &[("a", &["1"])]),
        ("{ \"a\" : \"1\" ,\n\"b\":[ \"x\" , \"\" ] } ", &[("a", &["1"]), ("b", &["x", ""])]),
        (r#"{"sdp":"v=0\r\n\"\\\/\b\f\t","c":""}"#, &[("sdp", &["v=0\r\n\"\\/\u{8}\u{c}\t"]), ("c", &[""])]),
        (r#"{"na\"me":"x\\"}"#, &[("na\"me", &["x\\"])]),
        ("{\"ü\":\"Grüße aus Köln\u{7f}\"}", &[("ü", &["Grüße aus Köln\u{7f}"])]),
        (
            r#"{"long":"a text of more than eight bytes, and \\ more"}"#,
            &[("long", &["a text of more than eight bytes, and \\ more"])],
        ),
    ];
    for (body, expected) in rows {
        let (Some(flat), Ok(general)) = both(body) else { panic!("{body}") };
        assert_eq!(flat, general, "{body}");
        let read = flat.iter().map(|(name, value)| match value {
            Value::Text(text) => (name, vec![text]),
            Value::Array(elements) => (name, elements.iter().collect()),
        });
        let expected: Vec<_> = expected.iter().map(|(name, values)| (*name, values.to_vec())).collect();
        assert_eq!(read.collect::<Vec<_>>(), expected, "{body}");
    }
}

#[test]
fn no_recorded_event_needs_the_general_parser() {
    let recordings = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/captures/freeswitch");
    let mut events = 0;
    for file in std::fs::read_dir(recordings).expect("recordings") {
        let bytes = std::fs::read(file.expect("a file").path()).expect("readable");
        for body in bytes.split(|byte| *byte == b'\n').filter(|line| line.starts_with(b"{\"Event-Name")) {
            let end = body.iter().rposition(|byte| *byte == b'}').map_or(0, |end| end + 1);
            let (body, _) = body.split_at(end);
            let text = String::from_utf8_lossy(body);
            let Ok(general) = any_json(&text) else { continue };
            assert_eq!(super::super::flat::fields(&text).as_ref(), Some(&general), "{text}");
            events += 1;
        }
    }
    assert!(events > 20, "{events} events");
}

#[test]
fn everything_else_is_left() {
    let (control, long) = ("{\"a\":\"\u{1f}\"}", "{\"a\":\"a tab \t in the middle of a text\"}");
    for body in [
        control,
        long,
        "",
        "{",
        "[]",
        "{\"a\"",
        "{\"a\":",
        "{\"a\":\"",
        "{\"a\":\"b",
        "{\"a\":\"b\"",
        "{\"a\":\"b\",}",
        "{\"a\":\"b\"}x",
        "{\"a\" \"b\"}",
        "{\"a\":1}",
        "{\"a\":true}",
        "{\"a\":null}",
        "{\"a\":{}}",
        "{\"a\":[]}",
        "{\"a\":[\"b\",]}",
        "{\"a\":[\"b\"",
        "{\"a\":[1]}",
        "{,}",
        "{\"a\":\"b\\\"}",
        r#"{"a":"\u0041"}"#,
        r#"{"a":"\x"}"#,
    ] {
        assert_eq!(super::super::flat::fields(body), None, "{body}");
    }
}

#[test]
fn too_many_fields_are_told_by_the_general_reader() {
    use super::super::limits::FIELDS_MAX;
    let body = |fields: usize| format!("{{{}}}", vec![r#""a":"b""#; fields].join(","));
    assert_eq!(fields(body(FIELDS_MAX).as_bytes()).map(|(fields, _)| fields.count()), Ok(FIELDS_MAX));
    assert_eq!(fields(body(FIELDS_MAX + 1).as_bytes()), Err(MessageError::TooManyFields { limit: FIELDS_MAX }));
}

proptest! {
    /// Made of what the format is made of, so that most of it is nearly right.
    #[test]
    fn both_readers_agree(parts in proptest::collection::vec(prop_oneof![
        Just("{"), Just("}"), Just("["), Just("]"), Just(":"), Just(","), Just("\""), Just("\\"), Just("\"a\":\"b\""), Just("\"abcdefgh"), Just("ü"),
        Just("\\n"), Just("\\u00e4"), Just(" "), Just("\n"), Just("1"), Just("null"), Just("\"name\":["), Just("\"x\","),
    ], 0..24)) {
        for body in [parts.concat(), format!("{{{}}}", parts.concat())] {
            let (flat, general) = both(&body);
            if let Some(flat) = flat {
                prop_assert_eq!(Ok(flat), general, "{}", body);
            }
        }
    }

    #[test]
    fn every_text_comes_back(texts in proptest::collection::vec(("\\PC*", ".*"), 0..8)) {
        let pairs: Vec<String> = texts.iter().map(|(name, value)| format!("{}:{}", serde_json::json!(name), serde_json::json!(value))).collect();
        let body = format!("{{{}}}", pairs.join(","));
        let (read, lossy) = fields(body.as_bytes()).unwrap();
        let read: Vec<_> = read.iter().collect();
        let expected: Vec<_> = texts.iter().map(|(name, value)| (&**name, Value::Text(value))).collect();
        prop_assert!(!lossy);
        prop_assert_eq!(read, expected);
    }
}
