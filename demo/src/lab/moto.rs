//! moto, which answers as many services of AWS do: here as a second Kinesis, and as S3. In memory, on loopback.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::kinesalite::tools;
use super::{Process, eventually, free_tcp_port};

/// A running moto.
#[derive(Debug)]
pub struct Moto {
    /// The process.
    pub process: Process,
    /// Where it listens.
    pub port: u16,
}

impl Moto {
    /// Starts it; waits until it answers.
    pub fn start(folder: &Path) -> anyhow::Result<Self> {
        let port = free_tcp_port()?;
        let mut command = Command::new(tools()?.join("python/bin/python"));
        command.args(["-m", "moto.server", "-H", "127.0.0.1", "-p", &port.to_string()]);
        let mut process = Process::start("moto", &mut command, &folder.join("moto.log"))?;
        let up = eventually("moto listening", Duration::from_secs(30), || {
            let dead = process.ended().is_some();
            (dead || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()).then_some(!dead)
        })?;
        anyhow::ensure!(up, "moto does not start; log: {}", folder.join("moto.log").display());
        Ok(Self { process, port })
    }

    /// The endpoint, for configuration files.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}
