//! Any bytes in any pieces: the same frames, the same fault, bounded memory; and what a message said survives being
//! written and read again. Called by the fuzz target and by a plain test with a fixed corpus.

use protocol_codecs::evapi::{
    EncodeError, FrameError, FrameReader, Framing, FromKamailio, Message, ToKamailio, limits,
};

/// First byte: bit 0 = framing, the rest = how many of the next bytes are lengths of pieces. Then the stream.
pub fn run(input: &[u8]) {
    let Some((&first, rest)) = input.split_first() else {
        return;
    };
    let framing = if first & 1 == 0 { Framing::Netstring } else { Framing::BareJson };
    let (lengths, stream) = rest.split_at(usize::from(first >> 1).min(rest.len()));
    if stream.len() > limits::READ_BYTES_MAX {
        return;
    }
    let whole = frames(framing, &[stream]);
    let mut pieces = Vec::new();
    let mut left = stream;
    for length in lengths {
        let (piece, rest) = left.split_at(usize::from(*length).min(left.len()));
        pieces.push(piece);
        left = rest;
    }
    pieces.push(left);
    assert_eq!(frames(framing, &pieces), whole);
    for frame in whole.0 {
        again::<FromKamailio>(&frame);
        again::<ToKamailio>(&frame);
    }
}

fn frames(framing: Framing, pieces: &[&[u8]]) -> (Vec<Vec<u8>>, Option<FrameError>) {
    let mut reader = FrameReader::new(framing);
    let mut frames = Vec::new();
    for piece in pieces {
        reader.push(piece).expect("invariant: drained, and at most one read in all");
        assert!(reader.capacity_bytes() <= limits::BUFFER_BYTES_MAX);
        loop {
            match reader.next_frame() {
                Ok(Some(frame)) => frames.push(frame.to_vec()),
                Ok(None) => break,
                Err(fault) => return (frames, Some(fault)),
            }
        }
    }
    (frames, reader.finish().err())
}

fn again<M: Message + PartialEq + std::fmt::Debug>(frame: &[u8]) {
    let Ok(decoded) = M::decode(frame) else {
        return;
    };
    match decoded.message.encode() {
        Ok(json) => {
            let second = M::decode(json.as_bytes()).expect("what we wrote can be read");
            assert_eq!(second.message, decoded.message);
            assert!(!second.lossy_utf8);
        }
        // `Blank` only for an unknown event that is called `<null>`.
        Err(EncodeError::ControlCharacter { .. } | EncodeError::Blank { .. }) => {}
        Err(error) => panic!("{error}"),
    }
}
