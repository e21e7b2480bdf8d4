//! Diameter by hand, sharing no code with tollkeeper: a judge of what was asked and answered, and a client that keeps asking until it has
//! an answer, whatever dies meanwhile.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::Context;

/// An AVP of no vendor, or of 3GPP (10415).
pub fn avp(code: u32, value: &[u8]) -> Vec<u8> {
    let length = u32::try_from(value.len() + 8).unwrap_or(u32::MAX);
    let mut bytes = [&code.to_be_bytes()[..], &(0x4000_0000 | length).to_be_bytes(), value].concat();
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn number(code: u32, value: u32) -> Vec<u8> {
    avp(code, &value.to_be_bytes())
}

fn octets(code: u32, value: u64) -> Vec<u8> {
    avp(code, &value.to_be_bytes())
}

/// A whole message.
pub fn message(flags: u8, (command, application): (u32, u32), ids: (u32, u32), avps: &[u8]) -> Vec<u8> {
    let length = u32::try_from(avps.len() + 20).unwrap_or(u32::MAX);
    let words = [0x0100_0000 | length, u32::from(flags) << 24 | command, application, ids.0, ids.1];
    [&words.map(u32::to_be_bytes).concat()[..], avps].concat()
}

/// Code and value of each AVP; nothing of what is malformed.
pub fn avps(bytes: &[u8]) -> Vec<(u32, &[u8])> {
    let (mut rest, mut found) = (bytes, Vec::new());
    while let Some((head, _)) = rest.split_first_chunk::<8>() {
        let code = u32::from_be_bytes([head[0], head[1], head[2], head[3]]);
        let length = usize::try_from(u32::from_be_bytes([0, head[5], head[6], head[7]])).unwrap_or(usize::MAX);
        let begin = if head[4] & 0x80 == 0 { 8 } else { 12 };
        let Some(value) = rest.get(begin..length) else { break };
        found.push((code, value));
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    found
}

/// The command of a message, and whether it is a request.
pub fn command(message: &[u8]) -> (u32, bool) {
    let flags_command = message.get(4..8).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_be_bytes);
    (flags_command & 0x00FF_FFFF, flags_command & 0x8000_0000 != 0)
}

/// The first AVP of this code, in the message or in a group of it (codes from outside in).
pub fn value<'m>(message: &'m [u8], path: &[u32]) -> Option<&'m [u8]> {
    let mut bytes = message.get(20..)?;
    for code in path {
        bytes = avps(bytes).into_iter().find(|(own, _)| own == code)?.1;
    }
    Some(bytes)
}

/// The same as a number.
pub fn number_at(message: &[u8], path: &[u32]) -> Option<u32> {
    value(message, path)?.try_into().ok().map(u32::from_be_bytes)
}

/// One request of a data session on rating group 20.
pub struct Ask<'a> {
    pub session: &'a str,
    pub kind: u32,
    pub number: u32,
    pub used_mb: u64,
}

/// A packet gateway.
pub struct Client {
    host: String,
    port: u16,
    stream: Option<TcpStream>,
    next: u32,
    /// How often it had to connect.
    pub connections: u32,
    /// Origin-State-Id of its capabilities; absent: not told.
    pub state: Option<u32>,
}

impl Client {
    pub fn new(host: &str, port: u16) -> Self {
        Self { host: host.to_owned(), port, stream: None, next: 0, connections: 0, state: None }
    }

    /// Asks until there is an answer to this very request; its result code.
    pub fn ask(&mut self, ask: &Ask<'_>, limit: Duration) -> anyhow::Result<u32> {
        let (begun, mut attempts) = (Instant::now(), 0);
        self.next += 1;
        let end_to_end = self.next;
        loop {
            self.next += 1;
            let ids = (self.next, end_to_end);
            if let Ok(answer) = self.attempt(ask, ids, attempts > 0) {
                return number_at(&answer, &[268]).context("an answer with a Result-Code");
            }
            self.stream = None;
            attempts += 1;
            anyhow::ensure!(begun.elapsed() < limit, "{} has no answer to request {}", ask.session, ask.number);
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn attempt(&mut self, ask: &Ask<'_>, ids: (u32, u32), again: bool) -> anyhow::Result<Vec<u8>> {
        if self.stream.is_none() {
            self.connect()?;
        }
        let units = octets(421, ask.used_mb * super::MB);
        let asked = avp(437, &octets(421, 5 * super::MB));
        let group = [
            number(432, 20),
            if ask.used_mb > 0 { avp(446, &units) } else { Vec::new() },
            if ask.kind == 3 { Vec::new() } else { asked },
        ];
        let subscriber = [number(450, 0), avp(444, b"49170")].concat();
        let body = [
            avp(263, ask.session.as_bytes()),
            avp(264, self.host.as_bytes()),
            avp(296, b"example.net"),
            avp(283, b"example.net"),
            number(258, 4),
            avp(461, super::DATA.as_bytes()),
            number(416, ask.kind),
            number(415, ask.number),
            avp(443, &subscriber),
            avp(456, &group.concat()),
        ];
        let flags = if again { 0xD0 } else { 0xC0 };
        let bytes = message(flags, (272, 4), ids, &body.concat());
        self.write(&bytes)?;
        loop {
            let message = self.read()?;
            match command(&message) {
                (272, false) if message.get(12..16) == Some(&ids.0.to_be_bytes()) => return Ok(message),
                (280, true) => self.answer(&message, 280)?,
                (282, true) => {
                    self.answer(&message, 282)?;
                    anyhow::bail!("it leaves");
                }
                _ => {}
            }
        }
    }

    /// Connects, if it is not connected.
    pub fn meet(&mut self) -> anyhow::Result<()> {
        if self.stream.is_none() { self.connect() } else { Ok(()) }
    }

    /// Drops the connection without a word.
    pub fn vanish(&mut self) {
        self.stream = None;
    }

    fn connect(&mut self) -> anyhow::Result<()> {
        let stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        stream.set_nodelay(true)?;
        self.stream = Some(stream);
        self.connections += 1;
        let body = [
            avp(264, self.host.as_bytes()),
            avp(296, b"example.net"),
            avp(257, &[0, 1, 127, 0, 0, 1]),
            number(266, 10_415),
            avp(269, b"judge"),
            number(258, 4),
            self.state.map(|state| number(278, state)).unwrap_or_default(),
        ];
        self.write(&message(0x80, (257, 0), (1, 1), &body.concat()))?;
        let answer = self.read()?;
        anyhow::ensure!(number_at(&answer, &[268]) == Some(2001), "a CEA of 2001");
        Ok(())
    }

    fn answer(&mut self, request: &[u8], command: u32) -> anyhow::Result<()> {
        let id = |at: usize| request.get(at..at + 4).and_then(|id| id.try_into().ok()).map_or(0, u32::from_be_bytes);
        let body = [number(268, 2001), avp(264, self.host.as_bytes()), avp(296, b"example.net")];
        self.write(&message(0, (command, 0), (id(12), id(16)), &body.concat()))
    }

    fn write(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        Ok(self.stream.as_mut().context("a connection")?.write_all(bytes)?)
    }

    fn read(&mut self) -> anyhow::Result<Vec<u8>> {
        let stream = self.stream.as_mut().context("a connection")?;
        let mut bytes = vec![0; 20];
        stream.read_exact(&mut bytes)?;
        let length = usize::try_from(u32::from_be_bytes([0, bytes[1], bytes[2], bytes[3]]))?;
        bytes.resize(length.max(20), 0);
        stream.read_exact(&mut bytes[20..])?;
        Ok(bytes)
    }
}
