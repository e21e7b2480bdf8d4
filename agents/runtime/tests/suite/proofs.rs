//! Proofs of life over restarts, torn writes and damage.

use std::io::{Read, Seek, SeekFrom, Write};
use std::path::PathBuf;

use agent_call::SwitchEvent;
use agent_runtime::CallLog;
use types::charging::Operation;

use crate::rig::{Rig, Setup};

async fn talked_and_died(proofs: &[u64]) -> (Rig, types::SessionId) {
    let mut rig = Rig::new().await;
    rig.core.account("a", "100");
    let call = rig.talking("c").await;
    rig.settle_records().await;
    let mut now = 0;
    for proven_ms in proofs {
        rig.pass(proven_ms - now).await;
        now = *proven_ms;
        rig.alive(&call, now).await;
        rig.driver.log_proofs();
    }
    rig.pass(1_000).await;
    rig.die().await;
    (rig, call)
}

async fn gone(rig: &mut Rig, call: &types::SessionId) -> u64 {
    rig.driver.restore().await.expect("a list");
    assert!(rig.driver.event(call, SwitchEvent::Gone));
    rig.settle_records().await;
    assert!(rig.finished(call));
    let used = rig.asked(call).into_iter().filter(|(operation, _)| *operation != Operation::Initial);
    used.map(|(_, used_ms)| used_ms).sum()
}

#[tokio::test(start_paused = true)]
async fn the_last_proof_is_charged() {
    let (mut rig, call) = talked_and_died(&[10_000, 20_000]).await;
    assert_eq!(gone(&mut rig, &call).await, 20_000);
    assert!(rig.records().iter().any(|record| record.reconstructed));
}

#[tokio::test(start_paused = true)]
async fn a_second_death_before_the_core_is_back_forgets_nothing() {
    let (mut rig, call) = talked_and_died(&[10_000, 20_000]).await;
    rig.core.set_reachable(false);
    assert!(rig.driver.restore().await.is_err());
    rig.driver.log_proofs();
    rig.die().await;
    rig.driver.log_proofs();
    rig.die().await;
    rig.core.set_reachable(true);
    assert_eq!(gone(&mut rig, &call).await, 20_000);
}

fn segment(rig: &Rig) -> (PathBuf, u64) {
    let entries = std::fs::read_dir(rig.calls_folder()).expect("readable");
    let mut paths = entries.map(|entry| entry.expect("readable").path());
    let path = paths.find(|path| path.extension().is_some_and(|extension| extension == "seg")).expect("a segment");
    let bytes = std::fs::read(&path).expect("readable");
    let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    (path, u64::try_from(end).expect("short"))
}

#[tokio::test(start_paused = true)]
async fn a_torn_round_is_cut_and_a_damaged_one_leaves_the_one_before() {
    for damage_the_last in [false, true] {
        let (mut rig, call) = talked_and_died(&[10_000, 20_000]).await;
        // Nobody writes to it while it is damaged.
        let other = Rig::unrestored(Setup { maximum_calls: 1, ..Setup::default() }).driver;
        rig.driver = other;
        let (path, end) = segment(&rig);
        let mut file = std::fs::File::options().read(true).write(true).open(path).expect("a file");
        if damage_the_last {
            file.seek(SeekFrom::Start(end - 3)).expect("seek");
            let mut byte = [0];
            file.read_exact(&mut byte).expect("read");
            file.seek(SeekFrom::Start(end - 3)).expect("seek");
            file.write_all(&[byte[0] ^ 1]).expect("written");
        } else {
            file.seek(SeekFrom::Start(end)).expect("seek");
            file.write_all(&[9; 40]).expect("written");
        }
        rig.die().await;
        let expected = if damage_the_last { 10_000 } else { 20_000 };
        assert_eq!(gone(&mut rig, &call).await, expected);
    }
}

#[test]
fn a_call_log_that_is_in_use_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let (log, proven) = CallLog::open(folder.path()).expect("a call log");
    assert!(proven.is_empty());
    let error = CallLog::open(folder.path()).map(|_| ()).expect_err("in use");
    assert!(std::error::Error::source(&error).is_some_and(|source| source.to_string().contains("open elsewhere")));
    drop(log);
    assert!(CallLog::open(folder.path()).is_ok());
}
