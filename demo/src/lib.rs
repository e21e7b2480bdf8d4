//! The demos, and the laboratory they share with the end-to-end tests: real programs on loopback, each in its own
//! folder and on its own free ports, and stopped again whatever happens.

pub mod lab;
pub mod play;
