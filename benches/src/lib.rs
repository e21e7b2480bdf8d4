//! What the benchmarks share. The figures come from the binaries of this crate; `make help` names them.

pub mod machine;
