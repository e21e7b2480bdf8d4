//! Recorded connections: whatever the boundaries of the reads, the frames are the same.

mod support;

use protocol_codecs::evapi::{FrameReader, Framing};
use support::{direction, recordings};

/// All frames, when the bytes come in these pieces.
fn frames<'a>(framing: Framing, pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Vec<u8>> {
    let mut reader = FrameReader::new(framing);
    let mut frames = Vec::new();
    for piece in pieces {
        reader.push(piece).unwrap();
        while let Some(frame) = reader.next_frame().unwrap() {
            frames.push(frame.to_vec());
        }
    }
    reader.finish().unwrap();
    frames
}

/// What came from Kamailio on one connection.
struct Stream {
    name: String,
    framing: Framing,
    whole: Vec<u8>,
    reads: Vec<Vec<u8>>,
}

fn streams() -> Vec<Stream> {
    let folders = [
        ("kamailio", Framing::Netstring),
        ("kamailio-lab/ns1", Framing::Netstring),
        ("kamailio-lab/ns0", Framing::BareJson),
    ];
    folders
        .into_iter()
        .flat_map(|(folder, framing)| recordings(folder).into_iter().map(move |path| (path, framing)))
        .map(|(path, framing)| {
            let reads = direction(&path, true);
            Stream { name: path.display().to_string(), framing, whole: reads.concat(), reads }
        })
        .collect()
}

#[test]
fn frames_do_not_depend_on_where_reads_end() {
    for Stream { name, framing, whole, reads } in streams() {
        let expected = frames(framing, [whole.as_slice()]);
        assert!(!expected.is_empty(), "{name}");
        assert!(expected.iter().all(|frame| serde_json::from_slice::<serde_json::Value>(frame).is_ok()), "{name}");
        assert_eq!(frames(framing, reads.iter().map(Vec::as_slice)), expected, "{name} as read");
        assert_eq!(frames(framing, whole.chunks(1)), expected, "{name} byte by byte");
        for split in 0..=whole.len() {
            let (left, right) = whole.split_at(split);
            assert_eq!(frames(framing, [left, right]), expected, "{name} split at {split}");
        }
    }
}

#[test]
fn joined_streams_give_the_frames_of_each() {
    for framing in [Framing::Netstring, Framing::BareJson] {
        let streams: Vec<_> = streams().into_iter().filter(|stream| stream.framing == framing).collect();
        let joined: Vec<u8> = streams.iter().flat_map(|stream| stream.whole.clone()).collect();
        let separate: Vec<Vec<u8>> =
            streams.iter().flat_map(|stream| frames(framing, [stream.whole.as_slice()])).collect();
        assert_eq!(frames(framing, [joined.as_slice()]), separate);
        assert!(separate.len() > 10);
    }
}

#[test]
fn bare_and_netstring_recordings_hold_the_same_kinds_of_messages() {
    let kinds = |folder: &str, name: &str, framing| -> Vec<String> {
        let path = recordings(folder).into_iter().find(|path| path.ends_with(name)).unwrap();
        let whole = direction(&path, true).concat();
        let texts = frames(framing, [whole.as_slice()]);
        texts
            .iter()
            .map(|text| {
                serde_json::from_slice::<serde_json::Value>(text).unwrap()["event"].as_str().unwrap().to_owned()
            })
            .collect()
    };
    let answered = ["AUTH_REQUEST", "CALL_START", "CALL_END"];
    assert_eq!(kinds("kamailio-lab/ns1", "answered.jsonl", Framing::Netstring), answered);
    assert_eq!(kinds("kamailio-lab/ns0", "answered.jsonl", Framing::BareJson), answered);
    // Kamailio wrote the last two into one segment.
    let cut = ["AUTH_REQUEST", "CALL_START", "CALL_END", "DISCONNECT_REPLY"];
    assert_eq!(kinds("kamailio-lab/ns0", "agent_disconnect.jsonl", Framing::BareJson), cut);
}
