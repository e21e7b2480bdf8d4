//! Real programs on loopback: tollkeeper, Kamailio, FreeSWITCH, freeDiameter, SIPp, Kinesis-compatible servers.
//!
//! Everything started here is ended when its value is dropped, and only that. Logs stay in the lab's folder.

mod aws_json;
mod freediameter;
mod freeswitch;
mod kamailio;
mod kinesalite;
mod moto;
mod ports;
mod process;
mod sipp;
mod tollkeeper;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

pub use aws_json::{LAB_CREDENTIALS, LAB_REGION, kinesis};
pub use freediameter::Freediameter;
pub use freeswitch::{FREESWITCH_VARIABLE, Freeswitch, FreeswitchPlan};
pub use kamailio::{Kamailio, KamailioPlan};
pub use kinesalite::{Kinesalite, read_stream, tools};
pub use moto::Moto;
pub use ports::{free_media_port, free_tcp_port, free_udp_port};
pub use process::Process;
pub use sipp::{Caller, Gateway, Outcome};
pub use tollkeeper::{Tollkeeper, binary};

/// The repository, where the shipped configuration and scenarios are.
pub fn repository() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// Asks until there is an answer or the deadline is over.
pub fn eventually<T>(what: &str, limit: Duration, mut ask: impl FnMut() -> Option<T>) -> anyhow::Result<T> {
    let begun = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return Ok(answer);
        }
        anyhow::ensure!(begun.elapsed() < limit, "{what}: not within {limit:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
