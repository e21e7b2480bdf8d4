//! Free ports on loopback, each handed out once: the program that gets one binds it a little later, and tests that run
//! beside each other must not be given the same.

use std::collections::HashSet;
use std::net::{TcpListener, UdpSocket};
use std::sync::{Mutex, PoisonError};

static HANDED_OUT: Mutex<Option<HashSet<u16>>> = Mutex::new(None);

/// A TCP port that nobody uses now.
pub fn free_tcp_port() -> anyhow::Result<u16> {
    first_fresh(|| Ok(Some(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())))
}

/// A UDP port that nobody uses now, nor the TCP port of the same number: SIP programs like to have both.
pub fn free_udp_port() -> anyhow::Result<u16> {
    first_fresh(|| {
        let port = UdpSocket::bind(("127.0.0.1", 0))?.local_addr()?.port();
        Ok(TcpListener::bind(("127.0.0.1", port)).is_ok().then_some(port))
    })
}

fn first_fresh(mut candidate: impl FnMut() -> anyhow::Result<Option<u16>>) -> anyhow::Result<u16> {
    for _ in 0..1000 {
        let Some(port) = candidate()? else { continue };
        let mut handed_out = HANDED_OUT.lock().unwrap_or_else(PoisonError::into_inner);
        if handed_out.get_or_insert_default().insert(port) {
            return Ok(port);
        }
    }
    anyhow::bail!("no port is free on 127.0.0.1")
}
