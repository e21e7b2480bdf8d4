//! The fuzz targets' bodies with a fixed corpus: recordings, and what broke or nearly broke something.

mod support;

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
