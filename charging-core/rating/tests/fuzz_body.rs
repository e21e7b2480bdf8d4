//! The fuzz target's body with a fixed corpus: its seeds, cut short, and what broke or nearly broke something.

#[path = "../../../fuzz/bodies/tariff_load.rs"]
mod tariff_load;

use std::path::Path;

#[test]
fn seeds_and_their_beginnings() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds/tariff_load");
    let mut seeds = 0;
    for entry in std::fs::read_dir(folder).expect("seeds") {
        let seed = std::fs::read(entry.expect("a file").path()).expect("readable");
        (0..seed.len()).step_by(7).chain([seed.len()]).for_each(|length| tariff_load::run(&seed[..length]));
        seeds += 1;
    }
    assert!(seeds > 0);
    let corpus: &[&[u8]] = &[
        b"",
        b"\0",
        b"\0\x0c\x0c\x0c\x0c\x0c\x0c\x0c",
        b"\0\"\x0c\"\x0c\"",
        b"\0\xff\xfe,,,,,\n",
        b"\0\xef\xbb\xbf*any,*any,*any,*any,*any,00:00:00\n",
        b"\0#\r\r\n\n#\x0c\r\nA,1\r\n\r\n#x\r\nA,\r\n",
        b"\0T,;;,,,,\n\x0cA,1\n\x0cR,0,1,1,1,0\n\x0cD,A,R,*up,4,,\n\x0cP,D,T,1\n\x0ct,c,s,,P,\n",
    ];
    corpus.iter().for_each(|input| tariff_load::run(input));
}
