#![no_main]

#[path = "../bodies/sip_uri.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|input: &[u8]| body::run(input));
