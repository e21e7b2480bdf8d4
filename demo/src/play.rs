//! How a demo is played: stopped by signals, and told by its exit code.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Plays a demo, which looks at the flag and stops what it started when it is set (SIGINT, SIGTERM). Exit code 0: everything was
/// right; 1: it was not, or could not be played, and the terminal says why; 130: interrupted.
pub fn play(demo: impl FnOnce(&AtomicBool) -> anyhow::Result<bool>) -> ExitCode {
    let interrupted = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        if let Err(error) = signal_hook::flag::register(signal, Arc::clone(&interrupted)) {
            eprintln!("cannot catch signals: {error}");
            return ExitCode::FAILURE;
        }
    }
    match demo(&interrupted) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) if interrupted.load(Ordering::Relaxed) => {
            eprintln!("interrupted, everything is stopped ({error:#})");
            ExitCode::from(130)
        }
        Err(error) => {
            eprintln!("the demo could not be played: {error:#}");
            ExitCode::FAILURE
        }
    }
}
