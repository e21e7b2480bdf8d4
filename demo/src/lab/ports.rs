//! Free ports on loopback.

use std::net::{TcpListener, UdpSocket};

/// A TCP port that nobody uses now.
pub fn free_tcp_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// A UDP port that nobody uses now, nor the TCP port of the same number: SIP programs like to have both.
pub fn free_udp_port() -> anyhow::Result<u16> {
    for _ in 0..100 {
        let port = UdpSocket::bind(("127.0.0.1", 0))?.local_addr()?.port();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    anyhow::bail!("no port is free for both UDP and TCP on 127.0.0.1")
}
