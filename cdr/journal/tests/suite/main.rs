//! The journal, its shippers and its readers; on the failing disk of `segment_log::fault` and on a real one.

mod crash;
mod journal;
mod read;
mod shipping;
mod space;
mod support;
