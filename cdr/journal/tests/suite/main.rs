//! The journal, its shippers and its readers; on the failing disk of `segment_log::fault` and on a real one.

mod archive;
mod crash;
mod crash_points;
mod golden;
mod journal;
mod json_lines;
mod read;
mod real_disk;
mod recovery;
mod replay;
mod shipping;
mod simulation;
mod space;
mod support;
mod upkeep;
mod verify;
mod view;
