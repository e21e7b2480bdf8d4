//! The fuzz targets' bodies with a fixed corpus: recordings, and what broke or nearly broke something.

mod support;

#[path = "../../fuzz/bodies/diameter_decode.rs"]
mod diameter_decode;
#[path = "../../fuzz/bodies/evapi_decode.rs"]
mod evapi_decode;
#[path = "../../fuzz/bodies/sip_uri.rs"]
mod sip_uri;

use support::{direction, recordings};

#[test]
fn evapi_decode() {
    for (folder, framing) in [("kamailio", 0_u8), ("kamailio-lab/ns1", 0), ("kamailio-lab/ns0", 1)] {
        for path in recordings(folder) {
            for from_kamailio in [true, false] {
                let stream = direction(&path, from_kamailio).concat();
                for lengths in [&[][..], &[1, 2, 3, 255, 100], &[7; 100]] {
                    let pieces = u8::try_from(lengths.len()).unwrap();
                    evapi_decode::run(&[&[framing | pieces << 1], lengths, &stream].concat());
                }
            }
        }
    }
    let corpus: &[&[u8]] = &[
        b"",
        b"\0",
        b"\x000:,0:,",
        b"\x0018:{\"event\":\"<null>\"},",
        b"\x0235:{\"event\":\"ERROR\",\"reason\":\"\\u0000x\"},",
        b"\x0022:{\"event\":\"\\ud83d\\ude00\"},",
        b"\x0016:{\"event\":\"\\ud83d\"},",
        b"\x0013:{\"event\":\"\xff\"},",
        b"\x021073741824:{",
        b"\x01{\"event\":\"PONG\",\"seq\":\"007\"}{\"event\":\"RESEND\"}",
        b"\x01{{{{{{{{{{{{}}}}}}}}}}}}",
        b"\x01{]\"}\"",
    ];
    corpus.iter().for_each(|input| evapi_decode::run(input));
}

/// Recorded messages, whole and with each byte in turn changed; and what broke or nearly broke something.
#[test]
fn diameter_decode() {
    for name in ["python_diameter", "kamailio_ro", "crafted_python_diameter"] {
        let path = format!("{}/tests/captures/diameter/{name}.hex", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(path).unwrap();
        for line in text.lines() {
            let hex = line.rsplit(' ').next().unwrap();
            let byte = |index| u8::from_str_radix(&hex[index..index + 2], 16).unwrap();
            let message: Vec<u8> = (0..hex.len()).step_by(2).map(byte).collect();
            diameter_decode::run(&[&[1], message.as_slice()].concat());
            diameter_decode::run(&[&[6, 1, 2, 3], message.as_slice()].concat());
            for index in 0..message.len() {
                let mut changed = message.clone();
                changed[index] ^= [0x01, 0x80, 0xFF, 0x40, 0x10][index % 5];
                diameter_decode::run(&[&[1], changed.as_slice()].concat());
            }
        }
    }
    let corpus: &[&[u8]] =
        &[b"", b"\0", b"\0\x01", b"\0\x01\0\0\0", b"\x01GET / HTTP/1.1\r\n", b"\0\x02\0\0\x14\x80\0\x01\x18"];
    corpus.iter().for_each(|input| diameter_decode::run(input));
}

#[test]
fn sip_uri() {
    let corpus: &[&str] = &[
        "",
        "sip:",
        "sip:a@h",
        "sip:%40%3b%23@h;%3d=%26",
        "sip:%2B49;phone-context=%2b1@[::ffff:1.2.3.4]:1;lr?x=y",
        "tel:%2b49.(30)-1;isub=12;phone-context=+49",
        "tel:a;phone-context=+1",
        "URN:SERVICE:SOS.x",
        "sip:\u{e9}@h",
        "\"\u{1f600}\\\u{1f600}\" <sip:a@h>,<tel:1>;a=\"\\\"\";b=[::1]",
        "a\u{ff}\u{80}<sip:a@h>",
        "sip:a@h,sip:b@h;c=d , tel:1",
        "\"",
        "<",
        ";;;;,,,,",
    ];
    corpus.iter().for_each(|input| sip_uri::run(input.as_bytes()));
}
