use super::*;
use crate::evapi::limits::FRAME_WIRE_BYTES_MAX;

/// First frame of the bytes, given whole and byte by byte: both must agree.
fn first(framing: Framing, bytes: &[u8]) -> Result<Option<Vec<u8>>, FrameError> {
    let whole = first_of(framing, [bytes].into_iter());
    assert_eq!(first_of(framing, bytes.chunks(1)), whole, "byte by byte");
    whole
}

fn first_of<'a>(framing: Framing, pieces: impl Iterator<Item = &'a [u8]>) -> Result<Option<Vec<u8>>, FrameError> {
    let mut reader = FrameReader::new(framing);
    let mut found = None;
    for piece in pieces {
        reader.push(piece)?;
        found = reader.next_frame()?.map(<[u8]>::to_vec);
        if found.is_some() {
            break;
        }
    }
    assert!(reader.capacity_bytes() <= BUFFER_BYTES_MAX);
    Ok(found)
}

#[test]
fn netstrings() {
    let too_long = |frame_bytes| FrameError::FrameTooLong { offset: 0, frame_bytes, limit_bytes: FRAME_BYTES_MAX };
    let rows: &[(&str, Result<Option<&str>, FrameError>)] = &[
        ("2:{},", Ok(Some("{}"))),
        ("0:,", Ok(Some(""))),
        ("3:{},,", Ok(Some("{},"))),
        ("2:{},2:", Ok(Some("{}"))),
        ("", Ok(None)),
        ("1", Ok(None)),
        ("2:", Ok(None)),
        ("2:{}", Ok(None)),
        ("65536:", Ok(None)),
        (":{},", Err(FrameError::BadLength { offset: 0 })),
        ("-1:", Err(FrameError::BadLength { offset: 0 })),
        ("+2:{},", Err(FrameError::BadLength { offset: 0 })),
        (" 2:{},", Err(FrameError::BadLength { offset: 0 })),
        ("2 :{},", Err(FrameError::BadLength { offset: 1 })),
        ("{\"event\":\"PING\"}", Err(FrameError::BadLength { offset: 0 })),
        ("02:{},", Err(FrameError::LeadingZero { offset: 0 })),
        ("00:,", Err(FrameError::LeadingZero { offset: 0 })),
        ("65537:", Err(too_long(65_537))),
        ("99999:", Err(too_long(99_999))),
        ("100000", Err(FrameError::LengthDigits { offset: 0, limit: 5 })),
        ("1073741824:", Err(FrameError::LengthDigits { offset: 0, limit: 5 })),
        ("18446744073709551618:{},", Err(FrameError::LengthDigits { offset: 0, limit: 5 })),
        ("2:{};", Err(FrameError::MissingComma { offset: 4 })),
        ("1:{},", Err(FrameError::MissingComma { offset: 3 })),
        ("2:{}\n", Err(FrameError::MissingComma { offset: 4 })),
    ];
    for (input, expected) in rows {
        let expected = expected.map(|frame| frame.map(|text| text.as_bytes().to_vec()));
        assert_eq!(first(Framing::Netstring, input.as_bytes()), expected, "{input:?}");
    }
}

#[test]
fn bare_json() {
    let rows: &[(&str, Result<Option<&str>, FrameError>)] = &[
        ("{}", Ok(Some("{}"))),
        ("{}{}", Ok(Some("{}"))),
        (" \r\n\t{} ", Ok(Some("{}"))),
        (r#"{"a":"}"}x"#, Ok(Some(r#"{"a":"}"}"#))),
        (r#"{"a":"\"}"}x"#, Ok(Some(r#"{"a":"\"}"}"#))),
        (r#"{"a":"\\"}}"#, Ok(Some(r#"{"a":"\\"}"#))),
        (r#"{"a":[{"b":"]["}]}{"#, Ok(Some(r#"{"a":[{"b":"]["}]}"#))),
        ("{]", Ok(Some("{]"))),
        ("", Ok(None)),
        ("   ", Ok(None)),
        ("{\"a\":\"", Ok(None)),
        ("[]", Err(FrameError::NotAnObject { offset: 0 })),
        (" null", Err(FrameError::NotAnObject { offset: 1 })),
        ("2:{},", Err(FrameError::NotAnObject { offset: 0 })),
    ];
    for (input, expected) in rows {
        let expected = expected.map(|frame| frame.map(|text| text.as_bytes().to_vec()));
        assert_eq!(first(Framing::BareJson, input.as_bytes()), expected, "{input:?}");
    }
}

#[test]
fn the_longest_frame_fits_and_one_byte_more_does_not() {
    let text = |bytes: usize| format!("{{\"a\":\"{}\"}}", "x".repeat(bytes - 8));
    for (framing, bytes, fits) in [
        (Framing::BareJson, FRAME_BYTES_MAX, true),
        (Framing::BareJson, FRAME_BYTES_MAX + 1, false),
        (Framing::Netstring, FRAME_BYTES_MAX, true),
        (Framing::Netstring, FRAME_BYTES_MAX + 1, false),
    ] {
        let json = text(bytes);
        assert_eq!(json.len(), bytes);
        let wire = if framing == Framing::Netstring { format!("{bytes}:{json},") } else { json.clone() };
        let mut reader = FrameReader::new(framing);
        let mut outcome = Ok(None);
        for piece in wire.as_bytes().chunks(1000) {
            reader.push(piece).unwrap();
            outcome = reader.next_frame().map(|frame| frame.map(<[u8]>::to_vec));
        }
        match outcome {
            Ok(frame) => assert!(fits && frame == Some(json.into_bytes())),
            Err(fault) => assert!(!fits && matches!(fault, FrameError::FrameTooLong { .. })),
        }
    }
}

#[test]
fn a_fault_is_final_and_tells_where() {
    let mut reader = FrameReader::new(Framing::Netstring);
    reader.push(b"2:{},2:{}x").unwrap();
    assert_eq!(reader.next_frame(), Ok(Some(b"{}".as_slice())));
    let fault = FrameError::MissingComma { offset: 9 };
    assert_eq!(reader.next_frame(), Err(fault));
    reader.push(b"2:{},").unwrap();
    assert_eq!(reader.next_frame(), Err(fault));

    let mut reader = FrameReader::new(Framing::BareJson);
    reader.push(b"{}x{}").unwrap();
    assert_eq!(reader.next_frame(), Ok(Some(b"{}".as_slice())));
    let fault = FrameError::NotAnObject { offset: 2 };
    assert_eq!(reader.next_frame(), Err(fault));
    assert_eq!(reader.next_frame(), Err(fault));
}

#[test]
fn an_end_in_mid_frame_is_seen() {
    for (framing, input, clean) in [
        (Framing::Netstring, "2:{},", true),
        (Framing::Netstring, "2:{},2", false),
        (Framing::BareJson, "{} \n", true),
        (Framing::BareJson, "{}{", false),
    ] {
        let mut reader = FrameReader::new(framing);
        reader.push(input.as_bytes()).unwrap();
        while reader.next_frame().unwrap().is_some() {}
        assert_eq!(reader.finish().is_ok(), clean, "{input}");
    }
}

#[test]
fn memory_stays_bounded_whatever_the_caller_pushes() {
    let mut reader = FrameReader::new(Framing::Netstring);
    assert!(matches!(reader.push(&[b'x'; READ_BYTES_MAX + 1]), Err(FrameError::NotDrained { .. })));
    // The worst peer: the longest frame without its comma, then a full read on top, many times.
    let mut wire = b"65536:".to_vec();
    wire.resize(FRAME_WIRE_BYTES_MAX - 1, b' ');
    for piece in wire.chunks(777) {
        reader.push(piece).unwrap();
        assert_eq!(reader.next_frame(), Ok(None));
    }
    reader.push(&[b','; READ_BYTES_MAX]).unwrap();
    assert!(reader.capacity_bytes() <= BUFFER_BYTES_MAX);
    assert!(matches!(reader.push(&[b','; READ_BYTES_MAX]), Err(FrameError::NotDrained { .. })));
    assert_eq!(reader.next_frame().unwrap().unwrap().len(), FRAME_BYTES_MAX);
    assert!(reader.capacity_bytes() <= BUFFER_BYTES_MAX);
}
