//! Exit codes, and the one place where a failure becomes a line for the operator.

use std::io::Write as _;
use std::process::ExitCode;

/// Done, nothing is wrong.
pub const OK: u8 = 0;
/// It did not work: core away, request refused, file unreadable.
pub const FAILED: u8 = 1;
/// A shutdown did not finish in time.
pub const UNFINISHED: u8 = 3;
/// Wrong usage or configuration (EX_USAGE of sysexits).
pub const USAGE: u8 = 64;

/// A failure that is the user's to mend, by another command line or configuration: exit 64 instead of 1.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct UsageError(pub String);

/// Prints a failure as `error: what: why: why`, once, and chooses the code.
pub fn failed(error: &anyhow::Error) -> ExitCode {
    if is_broken_pipe(error) {
        // Whoever read our output has enough.
        return ExitCode::from(OK);
    }
    let usage = error.is::<UsageError>() || error.is::<crate::config::Faults>();
    if error.is::<crate::config::Faults>() {
        complain(&error.to_string());
    } else {
        complain(&format!("error: {error:#}"));
    }
    ExitCode::from(if usage { USAGE } else { FAILED })
}

/// A line on standard error, if there is one.
pub fn complain(line: &str) {
    // Nobody can be told that nobody can be told.
    writeln!(std::io::stderr(), "{line}").unwrap_or_default();
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}
