//! A Kamailio that says what it likes: a listener that tollkeeper's agent connects to.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use anyhow::Context;
use serde_json::{Value, json};

pub struct FakeKamailio {
    listener: TcpListener,
}

/// One connection of the agent.
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl FakeKamailio {
    pub fn new() -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        listener.set_nonblocking(true)?;
        Ok(Self { listener })
    }

    pub fn address(&self) -> anyhow::Result<String> {
        Ok(self.listener.local_addr()?.to_string())
    }

    /// The next connection, with its HELLO read.
    pub fn accept(&self) -> anyhow::Result<Connection> {
        let stream = demo::lab::eventually("the agent connecting", Duration::from_secs(15), || {
            self.listener.accept().ok().map(|(stream, _)| stream)
        })?;
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(Some(Duration::from_millis(50)))?;
        stream.set_write_timeout(Some(Duration::from_secs(5)))?;
        let mut connection = Connection { stream, buffer: Vec::new() };
        let hello = connection.expect("HELLO")?;
        anyhow::ensure!(hello["protocol"] == 1 && hello["client_id"] == "e2e/fake", "{hello}");
        Ok(connection)
    }

    /// The same, and the agent is welcome.
    pub fn welcome(&self) -> anyhow::Result<Connection> {
        let mut connection = self.accept()?;
        connection
            .say(&json!({"event": "HELLO_REPLY", "status": "OK", "run": RUN, "server": "fake", "protocol": 1}))?;
        Ok(connection)
    }
}

impl Connection {
    pub fn say(&mut self, message: &Value) -> anyhow::Result<()> {
        let text = message.to_string();
        self.write(format!("{}:{text},", text.len()).as_bytes())
    }

    pub fn write(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        Ok(self.stream.write_all(bytes)?)
    }

    /// The next message that is this one; PING is answered meanwhile, other messages are passed by.
    pub fn expect(&mut self, event: &str) -> anyhow::Result<Value> {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(10) {
            while let Some(message) = self.take()? {
                if message["event"] == "PING" {
                    self.say(&json!({"event": "PONG", "seq": message["seq"]}))?;
                }
                if message["event"] == event {
                    return Ok(message);
                }
            }
            anyhow::ensure!(self.fill(), "the agent closed the connection; {event} was expected");
        }
        anyhow::bail!("the agent did not say {event}")
    }

    /// Waits until the agent has closed the connection; nothing is answered any more.
    pub fn closed(&mut self) -> anyhow::Result<()> {
        let begun = Instant::now();
        while self.fill() {
            self.buffer.clear();
            anyhow::ensure!(begun.elapsed() < Duration::from_secs(12), "the agent keeps the connection");
        }
        Ok(())
    }

    /// Ends it in order: says that nothing more comes, and reads on until the agent has closed as well. Dropping it with
    /// bytes unread would be a reset, which is another way for a connection to end.
    pub fn finish(mut self) -> anyhow::Result<()> {
        self.stream.shutdown(Shutdown::Write)?;
        self.closed()
    }

    /// False: the other side has closed it.
    fn fill(&mut self) -> bool {
        let mut bytes = [0_u8; 4096];
        match self.stream.read(&mut bytes) {
            Ok(0) => false,
            Ok(length) => {
                self.buffer.extend_from_slice(&bytes[..length]);
                true
            }
            Err(error) => matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut),
        }
    }

    fn take(&mut self) -> anyhow::Result<Option<Value>> {
        let Some(colon) = self.buffer.iter().position(|byte| *byte == b':') else { return Ok(None) };
        let length: usize = std::str::from_utf8(&self.buffer[..colon])?.parse().context("a netstring's length")?;
        let end = colon + 1 + length;
        if self.buffer.len() <= end {
            return Ok(None);
        }
        let message = serde_json::from_slice(&self.buffer[colon + 1..end])?;
        self.buffer.drain(..=end);
        Ok(Some(message))
    }
}

pub const RUN: &str = "1700000000.000001-1";

/// A call's event with the fields that all of them have.
pub fn event(name: &str, h_id: u32, more: Value) -> Value {
    let now = now();
    let mut event = json!({
        "event": name, "run": RUN, "callid": format!("fake-{h_id}"), "from_tag": "ft", "h_entry": 7, "h_id": h_id,
        "payer": "anna", "payer_kind": "digest", "dest": super::GERMANY, "ruri": "sip:0049301234100@127.0.0.1",
        "from_uri": "sip:anna@127.0.0.1", "to_uri": "sip:0049301234100@127.0.0.1", "caller": "anna",
        "src_ip": "127.0.0.1", "setup_time": now, "event_time": now,
    });
    if let (Some(event), Value::Object(more)) = (event.as_object_mut(), more) {
        event.extend(more);
    }
    event
}

/// As `$TV(Sn)` prints it.
pub fn now() -> String {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    format!("{}.{:06}", since.as_secs(), since.subsec_micros())
}
