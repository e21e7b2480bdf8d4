//! Netstrings of JSON over a socket that never blocks.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;

use serde_json::Value;

/// One agent's connection.
pub(super) struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
    to_send: Vec<u8>,
    /// Its HELLO was taken.
    pub(super) welcome: bool,
}

impl Connection {
    pub(super) fn new(stream: TcpStream) -> std::io::Result<Self> {
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, received: Vec::new(), to_send: Vec::new(), welcome: false })
    }

    /// What has come; `None`: nobody is there any more.
    pub(super) fn read(&mut self) -> Option<Vec<Value>> {
        let mut bytes = [0_u8; 16_384];
        loop {
            match self.stream.read(&mut bytes) {
                Ok(0) => return None,
                Ok(length) => self.received.extend_from_slice(&bytes[..length]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => return None,
            }
        }
        let mut messages = Vec::new();
        while let Some(message) = self.take() {
            messages.push(message);
        }
        Some(messages)
    }

    fn take(&mut self) -> Option<Value> {
        let colon = self.received.iter().position(|byte| *byte == b':')?;
        let length: usize = std::str::from_utf8(&self.received[..colon]).ok()?.parse().ok()?;
        let end = colon + 1 + length;
        if self.received.len() <= end {
            return None;
        }
        let message = serde_json::from_slice(&self.received[colon + 1..end]).expect("the agent sends JSON");
        self.received.drain(..=end);
        Some(message)
    }

    pub(super) fn say(&mut self, messages: &[Value]) {
        for message in messages {
            let text = message.to_string();
            self.to_send.extend_from_slice(format!("{}:{text},", text.len()).as_bytes());
        }
    }

    /// False: nobody is there any more.
    pub(super) fn flush(&mut self) -> bool {
        while !self.to_send.is_empty() {
            match self.stream.write(&self.to_send) {
                Ok(written) => drop(self.to_send.drain(..written)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => return false,
            }
        }
        true
    }
}
