//! Replays independent rating cases when TOLLKEEPER_JUDGES names their folder, with the runner of the example `judge` of
//! the crate `tests`: every price must come out to the last digit of exact arithmetic.

#[path = "../../../tests/examples/judge/cases/mod.rs"]
mod cases;

use std::path::PathBuf;

#[test]
fn independent_cases_come_out_exactly() {
    let Some(folder) = std::env::var_os("TOLLKEEPER_JUDGES").map(PathBuf::from) else {
        println!("skipped: TOLLKEEPER_JUDGES names no folder of cases");
        return;
    };
    let mut judge = cases::Judge::new(&folder);
    for file in ["cases_public.jsonl", "oracle_public.jsonl"] {
        let text = std::fs::read_to_string(folder.join(file)).expect("the cases can be read");
        for case in text.lines().filter(|line| !line.trim().is_empty()) {
            judge.replay(case).unwrap_or_else(|error| panic!("{file}: {error}"));
        }
    }
    let skipped: Vec<_> = judge.skipped.iter().map(|(reason, steps)| (reason, steps.len())).collect();
    println!("passed {}, failed {}, skipped {skipped:?}", judge.passed, judge.failed.len());
    assert!(judge.failed.is_empty(), "\n{}", judge.failed.join("\n"));
    assert!(judge.passed > 0, "no case was replayed");
    assert!(skipped.iter().all(|(reason, _)| reason.starts_with("operation ")), "{skipped:?}");
}
