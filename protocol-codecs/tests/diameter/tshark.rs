//! What Wireshark's decoder says of what we send: no warning and no error. Skipped where tshark is not installed.

use std::path::Path;
use std::process::{Command, Stdio};

use bytes::BytesMut;
use protocol_codecs::diameter::ErrorAnswer;

use crate::answers::{origin, samples};
use crate::support::{again, all, avp, ccr_with, frame, message};

/// A capture file with one TCP segment from port 3868 to port 3868 for each message.
fn capture(messages: &[Vec<u8>]) -> Vec<u8> {
    let mut file = Vec::new();
    // Magic, version 2.4, zone, accuracy, longest, raw IPv4.
    for word in [0xA1B2_C3D4_u32, 0x0002_0004, 0, 0, 0x0004_0000, 228] {
        file.extend_from_slice(&word.to_be_bytes());
    }
    let mut sequence = 1_u32;
    for (number, message) in (0_u32..).zip(messages) {
        let length = u16::try_from(40 + message.len()).unwrap();
        for word in [number, 0, u32::from(length), u32::from(length)] {
            file.extend_from_slice(&word.to_be_bytes());
        }
        file.extend_from_slice(&[0x45, 0]);
        file.extend_from_slice(&length.to_be_bytes());
        file.extend_from_slice(&[0, 0, 0x40, 0, 64, 6, 0, 0, 127, 0, 0, 1, 127, 0, 0, 2]);
        file.extend_from_slice(&[0x0F, 0x1C, 0x0F, 0x1C]);
        file.extend_from_slice(&sequence.to_be_bytes());
        file.extend_from_slice(&[0, 0, 0, 1, 0x50, 0x18, 0xFF, 0xFF, 0, 0, 0, 0]);
        file.extend_from_slice(message);
        sequence += u32::try_from(message.len()).unwrap();
    }
    file
}

/// One line a message: its command and what the decoder has to say about it, of severity note or worse.
fn remarks(name: &str, messages: &[Vec<u8>]) -> Option<Vec<String>> {
    if Command::new("tshark").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_err() {
        eprintln!("skipped: no tshark here (scripts/install-tools.sh installs it)");
        return None;
    }
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("diameter-{name}-{}.pcap", std::process::id()));
    std::fs::write(&path, capture(messages)).unwrap();
    // Only what stands inside Diameter: TCP has its own remarks about a stream that begins in the middle.
    let output = Command::new("tshark")
        .args([
            "-r",
            path.to_str().unwrap(),
            "-n",
            "-d",
            "tcp.port==3868,diameter",
            "-o",
            "tcp.desegment_tcp_streams:FALSE",
        ])
        .args(["-T", "fields", "-e", "diameter.cmd.code", "-e", "diameter.avp.code", "-e", "_ws.expert.message"])
        .output()
        .unwrap();
    std::fs::remove_file(&path).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines: Vec<String> = String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), messages.len(), "{lines:#?}");
    Some(lines)
}

/// Without TCP's own remarks.
fn about_diameter(line: &str) -> Vec<String> {
    let remarks = line.split('\t').nth(2).unwrap_or_default();
    remarks.split(',').filter(|remark| !remark.is_empty() && !remark.contains("onnection")).map(str::to_owned).collect()
}

#[test]
fn our_answers_are_read_without_a_remark() {
    let mut sent: Vec<Vec<u8>> = samples().iter().map(|(_, message)| message.bytes().to_vec()).collect();
    for recorded in all().iter().filter(|recorded| !recorded.name.contains('R') || recorded.name == "RAR") {
        let original = recorded.frame();
        sent.extend(again(&message(&original), &original).ok().map(|written| written.to_vec()));
    }
    // Refusals: with a nested AVP, a missing one, one of a wrong length.
    let group = avp(456, 0, 0x40, &avp(432, 0, 0x40, &[0; 4]).repeat(2));
    for request in [ccr_with(&[group]), crate::support::ccr(&[]), ccr_with(&[avp(432, 0, 0x40, &[0; 2])])] {
        let request = frame(&request);
        let error = request.message(protocol_codecs::diameter::Mode::Tolerant).unwrap_err();
        let mut out = BytesMut::new();
        ErrorAnswer::about(&request, origin(), &error).encode_for(request.header(), &mut out).unwrap();
        sent.push(out.to_vec());
    }
    let Some(lines) = remarks("answers", &sent) else { return };
    for (line, bytes) in lines.iter().zip(&sent) {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let remarks = about_diameter(line);
        assert_eq!(remarks, Vec::<String>::new(), "{hex}");
        assert!(
            line.starts_with("25") || line.starts_with("27") || line.starts_with("28"),
            "{line}: is not read at all"
        );
    }
}

/// So that the test above can fail: a message with a wrong AVP length is remarked on.
#[test]
fn a_wrong_length_is_remarked_on() {
    let mut broken = ccr_with(&[avp(432, 0, 0x40, &[0; 4])]);
    let end = broken.len();
    broken[end - 5] = 200;
    let Some(lines) = remarks("broken", &[broken]) else { return };
    assert_ne!(about_diameter(&lines[0]), Vec::<String>::new(), "{lines:?}");
}
