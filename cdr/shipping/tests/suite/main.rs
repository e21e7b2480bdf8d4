//! The Kinesis sink before a server of this process that speaks AWS JSON 1.1 and fails as it is told, and on a disk that crashes.

mod crash;
mod double;
mod faults;
mod form;
mod journal;
mod real;
