//! A connection whose other end has vanished without a word (power cut, firewall that forgot it) must end: the kernel
//! asks for a sign of life, and does not wait for ever for what it sent to be confirmed.
//!
//! The agents' own heartbeats find a switch that hangs; this finds a host that is gone, also while nothing is said and
//! while something is being sent. Called for every connection to or from a switch.

use std::io;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;

/// Sends at once what is written, asks a silent peer for a sign of life after 10 s, and gives the connection up when it
/// has shown none for 20 s, whether it was asked or something was sent to it.
///
/// # Errors
/// What the kernel says to such options.
pub fn watch_peer(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(ASKED_AFTER).with_interval(ASKED_EVERY))?;
    // Only there does the kernel have it; elsewhere its retransmissions end after minutes.
    #[cfg(any(target_os = "android", target_os = "linux"))]
    socket.set_tcp_user_timeout(Some(GIVEN_UP_AFTER))?;
    Ok(())
}

/// A call's proof of life is due as often.
const ASKED_AFTER: Duration = Duration::from_secs(10);
const ASKED_EVERY: Duration = Duration::from_secs(5);
/// An outage of that length drops no call; see DESIGN section 3.
#[cfg(any(target_os = "android", target_os = "linux"))]
const GIVEN_UP_AFTER: Duration = Duration::from_secs(20);

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn the_kernel_watches_both_ends() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (ours, theirs) = tokio::join!(TcpStream::connect(address), listener.accept());
        for stream in [ours.expect("connects"), theirs.expect("accepts").0] {
            watch_peer(&stream).expect("options");
            let socket = SockRef::from(&stream);
            assert!(socket.keepalive().expect("read") && stream.nodelay().expect("read"));
            assert_eq!(socket.tcp_keepalive_time().expect("read"), ASKED_AFTER);
            assert_eq!(socket.tcp_keepalive_interval().expect("read"), ASKED_EVERY);
            #[cfg(target_os = "linux")]
            assert_eq!(socket.tcp_user_timeout().expect("read"), Some(GIVEN_UP_AFTER));
        }
    }
}
