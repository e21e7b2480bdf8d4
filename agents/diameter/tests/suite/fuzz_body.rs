//! The body of the fuzz target over a fixed corpus.

#[path = "../../../../fuzz/bodies/diameter_peer.rs"]
mod diameter_peer;

#[test]
fn any_sequence_of_events() {
    let mut state = 1_u64;
    for length in 0..20_000 {
        let byte = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state.to_be_bytes()[0]
        };
        let input: Vec<u8> = std::iter::repeat_with(byte).take(length % 120).collect();
        diameter_peer::run(&input);
    }
}
