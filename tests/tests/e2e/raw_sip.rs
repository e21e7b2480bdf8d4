//! SIP by hand, for what SIPp cannot send.

use std::net::UdpSocket;
use std::time::{Duration, Instant};

/// A socket that says whatever it is told.
pub struct RawSip {
    address: &'static str,
    socket: UdpSocket,
    switch_port: u16,
}

impl RawSip {
    /// `address`: a loopback address of its own, such as 127.0.0.66.
    pub fn new(address: &'static str, switch_port: u16) -> anyhow::Result<Self> {
        let socket = UdpSocket::bind((address, 0))?;
        socket.set_read_timeout(Some(Duration::from_millis(50)))?;
        Ok(Self { address, socket, switch_port })
    }

    pub fn port(&self) -> u16 {
        self.socket.local_addr().map(|address| address.port()).unwrap_or(0)
    }

    /// Sends it as it is.
    pub fn send(&self, message: &str) -> anyhow::Result<()> {
        self.socket.send_to(message.as_bytes(), ("127.0.0.1", self.switch_port))?;
        Ok(())
    }

    /// Sends it and returns the first final status; `None`: no answer within 1 s.
    pub fn ask(&self, message: &str) -> anyhow::Result<Option<u16>> {
        self.send(message)?;
        let begun = Instant::now();
        let mut buffer = [0_u8; 8192];
        while begun.elapsed() < Duration::from_secs(1) {
            let Ok(length) = self.socket.recv(&mut buffer) else { continue };
            let text = String::from_utf8_lossy(&buffer[..length]);
            let status =
                text.strip_prefix("SIP/2.0 ").and_then(|rest| rest.get(..3)).and_then(|status| status.parse().ok());
            if let Some(status) = status.filter(|status| *status >= 200) {
                return Ok(Some(status));
            }
        }
        Ok(None)
    }

    /// A request with the given header lines; Via, Max-Forwards and Content-Length are put around them.
    pub fn request(&self, method: &str, uri: &str, branch: &str, headers: &str) -> String {
        let (address, port, headers) = (self.address, self.port(), headers.trim().replace('\n', "\r\n"));
        format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {address}:{port};branch=z9hG4bK{branch}\r\nMax-Forwards: 70\r\n\
             {headers}\r\nContent-Length: 0\r\n\r\n"
        )
    }
}

/// The value of a header in a message, without surrounding blanks.
pub fn header<'a>(message: &'a str, name: &str) -> &'a str {
    let lines = message.lines().filter_map(|line| line.split_once(':'));
    lines.into_iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map_or("", |(_, value)| value.trim())
}

/// The messages in a SIPp trace whose first line begins with `start` and that have `text` in them.
pub fn traced<'a>(trace: &'a str, start: &str, text: &str) -> Vec<&'a str> {
    let messages = trace.split("-----------------------------------------------");
    let bodies = messages.filter_map(|part| part.find(start).map(|at| &part[at..]));
    bodies.filter(|message| message.contains(text)).collect()
}
