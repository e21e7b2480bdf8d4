use super::*;

fn fields(pairs: &[(&str, &[&str])]) -> Fields {
    let mut builder = FieldsBuilder::default();
    for (name, values) in pairs {
        builder.begin(name).unwrap();
        if let [value] = values {
            builder.push(value);
            builder.end_text().unwrap();
            continue;
        }
        for value in *values {
            builder.begin_element().unwrap();
            builder.push(value);
            builder.end_text().unwrap();
        }
    }
    builder.finish()
}

#[test]
fn lookups_take_the_first_and_ignore_case() {
    let fields = fields(&[
        ("Event-Name", &["CHANNEL_PARK"]),
        ("Hangup-Cause", &["USER_BUSY"]),
        ("hangup-cause", &["NORMAL_CLEARING"]),
        ("variable_a", &["short"]),
        ("variable_DP_MATCH", &["tone1", "", "1"]),
        ("variable_empty", &[""]),
    ]);
    let rows: &[(&str, Option<&str>)] = &[
        ("Event-Name", Some("CHANNEL_PARK")),
        ("EVENT-NAME", Some("CHANNEL_PARK")),
        ("Hangup-Cause", Some("USER_BUSY")),
        ("variable_a", Some("short")),
        ("VARIABLE_A", Some("short")),
        ("variable_empty", Some("")),
        ("variable_DP_MATCH", None),
        ("Event-Nam", None),
        ("vent-Name", None),
        ("", None),
    ];
    for (name, expected) in rows {
        assert_eq!(fields.text(name), *expected, "{name}");
        // A prefix given apart changes nothing, wherever the name is cut.
        for cut in 0..=name.len() {
            let (prefix, rest) = name.split_at(cut);
            assert_eq!(fields.value(prefix, rest), fields.value("", name), "{prefix}|{rest}");
        }
    }
    let Some(Value::Array(elements)) = fields.value("variable_", "dp_match") else { panic!("an array") };
    assert_eq!(elements.iter().collect::<Vec<_>>(), ["tone1", "", "1"]);
    assert_eq!((elements.count(), fields.count()), (3, 6));
}

#[test]
fn a_field_is_found_wherever_it_stands() {
    let names: Vec<String> = (0..3 * ROW + 5).map(|number| format!("variable_number_{number}")).collect();
    let mut builder = FieldsBuilder::default();
    for name in &names {
        builder.begin(name).unwrap();
        builder.push(name);
        builder.end_text().unwrap();
    }
    let fields = builder.finish();
    for name in &names {
        assert_eq!(fields.text(name), Some(&**name));
    }
    assert_eq!(fields.text("variable_number_99"), None);
}

#[test]
fn what_is_dropped_leaves_nothing() {
    let mut builder = FieldsBuilder::default();
    builder.begin("kept").unwrap();
    builder.push("1");
    builder.end_text().unwrap();
    builder.begin("absent").unwrap();
    builder.push("_undef_");
    builder.drop_last();
    builder.begin("next").unwrap();
    builder.push("2");
    builder.end_text().unwrap();
    let fields = builder.finish();
    assert_eq!(fields.iter().collect::<Vec<_>>(), [("kept", Value::Text("1")), ("next", Value::Text("2"))]);
    assert_eq!(fields.text, "kept1next2");
}

#[test]
fn the_number_of_fields_is_bounded() {
    let mut builder = FieldsBuilder::default();
    for _ in 0..FIELDS_MAX {
        builder.begin("n").unwrap();
    }
    assert_eq!(builder.begin("n"), Err(MessageError::TooManyFields { limit: FIELDS_MAX }));
    assert_eq!(builder.begin_element(), Err(MessageError::TooManyFields { limit: FIELDS_MAX }));
}

#[test]
fn nothing_of_a_subscriber_is_in_debug() {
    let fields = fields(&[("Caller-Caller-ID-Number", &["4930123456"]), ("variable_x", &["secret1", "secret2"])]);
    let shown = format!("{fields:?} {:?}", fields.value("variable_", "x"));
    assert!(!shown.contains("4930123456") && !shown.contains("secret"), "{shown}");
}
