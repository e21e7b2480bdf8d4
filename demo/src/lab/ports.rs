//! Free ports on loopback, each handed out once: the program that gets one binds it a little later, and nobody must take it
//! meanwhile. Neither another test beside it, nor the kernel for a connection that some program opens: all ports are below
//! the range that Linux takes those from (`net.ipv4.ip_local_port_range`, 32768 and up as it comes), and below those that
//! the tests' FreeSWITCH has for media.

use std::net::{TcpListener, UdpSocket};
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

const PORTS: Range<u16> = 10_000..16_400;

/// How many ports SIPp takes beginning at the one it is given for media: RTP and RTCP of sound, and of pictures.
const OF_MEDIA: u16 = 4;

static HANDED_OUT: AtomicUsize = AtomicUsize::new(0);

/// A TCP port that nobody uses now.
pub fn free_tcp_port() -> anyhow::Result<u16> {
    first_free(1, |port| TcpListener::bind(("127.0.0.1", port)).is_ok())
}

/// A UDP port that nobody uses now, nor the TCP port of the same number: SIP programs like to have both.
pub fn free_udp_port() -> anyhow::Result<u16> {
    first_free(1, is_free)
}

/// The first of the ports that SIPp binds for media (`-mp`): nobody uses any of them now.
pub fn free_media_port() -> anyhow::Result<u16> {
    first_free(OF_MEDIA, |port| (port..port + OF_MEDIA).all(is_free))
}

fn is_free(port: u16) -> bool {
    UdpSocket::bind(("127.0.0.1", port)).is_ok() && TcpListener::bind(("127.0.0.1", port)).is_ok()
}

/// The first of `count` ports one after the other that `free` likes; none of them was handed out before.
fn first_free(count: u16, free: impl Fn(u16) -> bool) -> anyhow::Result<u16> {
    let all = PORTS.len();
    // Processes that run beside each other begin in different places.
    let begin = std::process::id() as usize * 101;
    let mut tried = 0;
    while tried < all {
        tried += usize::from(count);
        let place = (begin + HANDED_OUT.fetch_add(usize::from(count), Ordering::Relaxed)) % all;
        let port = PORTS.start + u16::try_from(place)?;
        if port + count <= PORTS.end && free(port) {
            return Ok(port);
        }
    }
    anyhow::bail!("no port from {} to {} is free on 127.0.0.1", PORTS.start, PORTS.end - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn each_port_is_handed_out_once_and_media_has_its_own() {
        let mut seen = HashSet::new();
        for _ in 0..20 {
            let media = free_media_port().unwrap();
            let ports = (media..media + OF_MEDIA).chain([free_udp_port().unwrap(), free_tcp_port().unwrap()]);
            for port in ports {
                assert!(PORTS.contains(&port) && seen.insert(port), "{port} is handed out twice or of no use");
            }
        }
    }

    #[test]
    fn a_port_in_use_is_passed_over() {
        let taken = free_udp_port().unwrap();
        let holder = UdpSocket::bind(("127.0.0.1", taken)).unwrap();
        assert!(!is_free(taken));
        drop(holder);
        assert!(is_free(taken));
    }
}
