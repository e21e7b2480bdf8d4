//! Asks a running process over its HTTP port what only it knows.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde::de::DeserializeOwned;

/// Where the process of a data directory listens, if one ran there.
pub(super) fn listening(data_dir: &Path) -> Option<SocketAddr> {
    let text = std::fs::read_to_string(data_dir.join("endpoints.json")).ok()?;
    let endpoints: serde_json::Value = serde_json::from_str(&text).ok()?;
    endpoints.get("http")?.as_str()?.parse().ok()
}

/// What the process says at this path.
pub(super) fn ask<T: DeserializeOwned>(address: SocketAddr, path: &str) -> anyhow::Result<T> {
    let what = || format!("the process at {address} does not answer; is it running?");
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).with_context(what)?;
    stream.set_read_timeout(Some(PATIENCE)).with_context(what)?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").with_context(what)?;
    let mut text = String::new();
    stream.take(MOST_BYTES).read_to_string(&mut text).with_context(what)?;
    let (head, body) = text.split_once("\r\n\r\n").with_context(what)?;
    if !head.starts_with("HTTP/1.1 200 ") {
        bail!("the process at {address} answers {}; is it tollkeeper?", head.lines().next().unwrap_or_default());
    }
    serde_json::from_str(body).with_context(|| format!("the process at {address} answers something else"))
}

const PATIENCE: Duration = Duration::from_secs(3);
/// A longer answer is none of ours.
const MOST_BYTES: u64 = 16 * 1024 * 1024;
