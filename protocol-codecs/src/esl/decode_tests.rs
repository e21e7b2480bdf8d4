use super::*;

/// Head and body of every frame, and the fault that ended it; given whole and byte by byte, both must agree.
fn frames(bytes: &[u8]) -> (Vec<(String, String)>, Option<FrameError>) {
    let whole = frames_of(bytes, usize::MAX);
    assert_eq!(frames_of(bytes, 1), whole, "byte by byte");
    whole
}

fn frames_of(bytes: &[u8], step: usize) -> (Vec<(String, String)>, Option<FrameError>) {
    let (mut scanner, mut frames) = (FrameScanner::default(), Vec::new());
    let (mut start, mut end) = (0, step.min(bytes.len()));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    loop {
        let input = &bytes[start..end];
        match scanner.scan(input) {
            Err(fault) => return (frames, Some(fault)),
            Ok(Some(span)) => {
                frames.push((text(&input[span.head]), text(&input[span.body])));
                start += span.consumed;
            }
            Ok(None) if end == bytes.len() => return (frames, scanner.finish(input).err()),
            Ok(None) => end = end.saturating_add(step).min(bytes.len()),
        }
    }
}

/// Stream, head and body of its frames, how it ended.
type Row = (&'static str, &'static [(&'static str, &'static str)], Option<FrameError>);

#[test]
fn framing() {
    let left = |offset, held_bytes| Some(FrameError::EndInFrame { offset, held_bytes });
    let no_length = |offset| Some(FrameError::BadLength { offset });
    let rows: &[Row] = &[
        ("A: b\n\n", &[("A: b\n", "")], None),
        ("A: b\nContent-Length: 2\n\nxyC: d\n\n", &[("A: b\nContent-Length: 2\n", "xy"), ("C: d\n", "")], None),
        ("content-length: 3\n\n\n\n\nC: d\n\n", &[("content-length: 3\n", "\n\n\n"), ("C: d\n", "")], None),
        ("A: b\nContent-Length: 0\n\nC: d\n\n", &[("A: b\nContent-Length: 0\n", ""), ("C: d\n", "")], None),
        ("A: b\r\nContent-Length: 1\r\n\r\nx", &[("A: b\r\nContent-Length: 1\r\n", "x")], None),
        ("\n\r\n\nA: b\n\n\n", &[("A: b\n", "")], None),
        ("A:\n\n", &[("A:\n", "")], None),
        ("A: b: c\n\n", &[("A: b: c\n", "")], None),
        ("", &[], None),
        ("\n\n", &[], None),
        ("A: b\n", &[], left(0, 5)),
        ("A: b\n\nC", &[("A: b\n", "")], left(6, 1)),
        ("Content-Length: 2\n\nx", &[], left(0, 20)),
        // A missing blank line: the body is read as headers, and the next frame's length is a second one.
        ("Content-Length: 9\nx\n\n", &[], Some(FrameError::BadHeader { offset: 18 })),
        ("Content-Length: 9\n{\"a\":\"b\"}Content-Length: 9\n\n", &[], left(0, 46)),
        ("nonsense\n\n", &[], Some(FrameError::BadHeader { offset: 0 })),
        (": b\n\n", &[], Some(FrameError::BadHeader { offset: 0 })),
        ("A: b\n\nC: d\nx\n\n", &[("A: b\n", "")], Some(FrameError::BadHeader { offset: 11 })),
        ("Content-Length: -1\n\n", &[], no_length(0)),
        ("Content-Length: +1\n\n", &[], no_length(0)),
        ("Content-Length: \n\n", &[], no_length(0)),
        ("Content-Length: 1 2\n\n", &[], no_length(0)),
        ("Content-Length: 0x10\n\n", &[], no_length(0)),
        ("Content-Length: 000000001\n\n", &[], no_length(0)),
        ("Content-Length: 18446744073709551617\n\n", &[], no_length(0)),
        ("A: b\nContent-Length: 1\nContent-Length: 1\n\n", &[], no_length(23)),
        ("Content-Length: 1\ncontent-length: 2\n\n", &[], no_length(18)),
        ("Content-Length: 16777216\n\n", &[], left(0, 26)),
        (
            "Content-Length: 16777217\n\n",
            &[],
            Some(FrameError::BodyTooLong { offset: 0, body_bytes: 16_777_217, limit_bytes: BODY_BYTES_MAX }),
        ),
    ];
    for (input, expected, fault) in rows {
        let expected: Vec<_> = expected.iter().map(|(head, body)| ((*head).to_owned(), (*body).to_owned())).collect();
        assert_eq!(frames(input.as_bytes()), (expected, *fault), "{input:?}");
    }
}

#[test]
fn a_reply_cut_by_the_switch_is_seen_wherever_it_was_cut() {
    let whole = "Content-Type: command/reply\nReply-Text: +OK accepted\nAllowed-API: show status\n\n";
    let event = "Content-Length: 2\nContent-Type: text/event-json\n\n{}";
    let reply = "Content-Type: command/reply\nReply-Text: +OK\n\n";
    let answer = "Content-Type: api/response\nContent-Length: 2\n\nok";
    for next in [event, reply, answer] {
        let (good, none) = frames(format!("{whole}{next}").as_bytes());
        assert_eq!((good.len(), none), (2, None));
        // FreeSWITCH's buffer can end anywhere behind the first line, which another buffer holds.
        for cut in "Content-Type: command/reply\n".len()..whole.len() {
            let glued = format!("{}{next}", &whole[..cut]);
            let (frames, fault) = frames(glued.as_bytes());
            let blank_line_is_whole = cut >= whole.len();
            assert!(blank_line_is_whole || frames.is_empty(), "{glued}");
            assert!(matches!(fault, Some(FrameError::CutReply { .. })), "{fault:?}: {glued}");
        }
    }
}

#[test]
fn what_a_caller_writes_is_no_cut_reply() {
    for head in [
        // The answer to `connect` holds a caller's headers as variables, and is never cut.
        "Event-Name: CHANNEL_DATA\nvariable_sip_h_X-Content-Type: Content-Type:%20x\nContent-Type: command/reply\n",
        "Content-Type: text/disconnect-notice\nChannel-Name: sofia/Content-Type:@host\n",
    ] {
        let (frames, fault) = frames(format!("{head}\n").as_bytes());
        assert_eq!((frames.len(), fault), (1, None), "{head}");
    }
}

#[test]
fn headers_are_bounded() {
    let line = |bytes: usize| [b"A: ", vec![b'x'; bytes - 4].as_slice(), b"\n"].concat();
    let longest = line(HEADER_LINE_BYTES_MAX);
    assert_eq!(longest.len(), HEADER_LINE_BYTES_MAX);
    let of = |bytes: &[u8]| frames_of(bytes, 4_096);
    assert_eq!(of(&[longest.as_slice(), b"\n"].concat()).0.len(), 1);
    let too_long = FrameError::LineTooLong { offset: 0, limit_bytes: HEADER_LINE_BYTES_MAX };
    assert_eq!(of(&line(HEADER_LINE_BYTES_MAX + 1)).1, Some(too_long));
    assert_eq!(of(&vec![b'x'; HEADER_LINE_BYTES_MAX + 1]).1, Some(too_long), "without an end");
    let many = line(1_000).repeat(HEADER_BLOCK_BYTES_MAX / 1_000 + 1);
    let fault = FrameError::HeadersTooLong { offset: 0, limit_bytes: HEADER_BLOCK_BYTES_MAX };
    assert_eq!(of(&many).1, Some(fault));
    assert_eq!(of(&vec![b'\n'; HEADER_BLOCK_BYTES_MAX + 1]).1, Some(fault), "nothing but blank lines");
}

#[test]
fn a_fault_is_final() {
    let mut scanner = FrameScanner::default();
    let span = scanner.scan(b"A: b\n\nx\n\n").unwrap().unwrap();
    let fault = FrameError::BadHeader { offset: 6 };
    assert_eq!(span.consumed, 6);
    assert_eq!(scanner.scan(b"x\n\n"), Err(fault));
    assert_eq!(scanner.scan(b"A: b\n\n"), Err(fault));
}

#[test]
fn no_byte_is_looked_at_twice() {
    // Headers in single bytes, then a body of the greatest length in single bytes: what has been looked at stays.
    let head = format!("A: {}\nContent-Length: {BODY_BYTES_MAX}\n\n", "x".repeat(1_000));
    let mut input = head.clone().into_bytes();
    input.resize(head.len() + BODY_BYTES_MAX, b'\n');
    let mut scanner = FrameScanner::default();
    for end in 1..=head.len() {
        assert_eq!(scanner.scan(&input[..end]), Ok(None));
        assert_eq!(scanner.scan.scanned, end);
    }
    for end in head.len()..input.len() {
        assert_eq!(scanner.scan(&input[..end]), Ok(None));
    }
    assert_eq!(scanner.scan.scanned, head.len(), "a body is not looked at");
    assert_eq!(scanner.scan(&input).unwrap().unwrap().body.len(), BODY_BYTES_MAX);
}
