//! The binary; everything is in the library, so that its parts can be tested.

use std::process::ExitCode;

/// A switch's events are large and short-lived: with the C library's allocator an eighth of what a call costs its agent went there.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    tollkeeper::main()
}
