//! The simulation on as many seeds as a gate has time for; `make sim SEEDS=5000` runs more.

use std::sync::atomic::{AtomicU64, Ordering};

use tests::sim;

/// What this test takes: a few seconds on one processor.
const SEEDS: u64 = 200;

#[test]
fn money_is_right_after_every_step() {
    let folder = tempfile::tempdir().expect("a folder");
    let pricing = sim::pricing(folder.path()).expect("a tariff");
    let next = AtomicU64::new(0);
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= SEEDS {
                        return;
                    }
                    if let Err(violation) = sim::run(seed, u64::MAX, &pricing, 0) {
                        panic!("{violation}");
                    }
                }
            });
        }
    });
}

#[test]
fn a_seed_is_the_same_run_every_time() {
    let folder = tempfile::tempdir().expect("a folder");
    let pricing = sim::pricing(folder.path()).expect("a tariff");
    for seed in [3, 4] {
        let run = || format!("{:?}", sim::run(seed, u64::MAX, &pricing, 0));
        assert_eq!(run(), run(), "seed {seed}");
    }
}
