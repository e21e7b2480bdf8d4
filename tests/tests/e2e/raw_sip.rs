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

/// A caller who writes his own digest.
pub struct Forger {
    pub sip: RawSip,
    calls: std::cell::Cell<u32>,
}

/// An INVITE that a [`Forger`] sends.
#[derive(Clone, Default)]
pub struct Forgery<'a> {
    /// `sip:` is put before it, and `@` and the switch behind it.
    pub number: &'a str,
    /// Behind the switch's address in the request URI: `;gw=carrier`.
    pub uri_params: &'a str,
    /// User in From.
    pub from: &'a str,
    /// Digest user and password; none: no credentials are sent.
    pub digest: Option<(&'a str, &'a str)>,
    /// Header lines.
    pub headers: &'a str,
}

impl Forger {
    pub fn new(address: &'static str, switch_port: u16) -> anyhow::Result<Self> {
        Ok(Self { sip: RawSip::new(address, switch_port)?, calls: std::cell::Cell::new(0) })
    }

    /// The final answer to it; with credentials, the answer to the second INVITE.
    pub fn calls(&self, forgery: &Forgery) -> anyhow::Result<Option<u16>> {
        let call_id = self.next_call_id();
        let Some((user, password)) = forgery.digest else {
            return Ok(self.exchange(&self.invite(forgery, &call_id, 1, ""))?.and_then(|answer| status(&answer)));
        };
        let challenge = self.exchange(&self.invite(forgery, &call_id, 1, ""))?.unwrap_or_default();
        let credentials = self.credentials(&challenge, user, password, forgery);
        let invite = self.invite(forgery, &call_id, 2, &credentials);
        Ok(self.exchange(&invite)?.and_then(|answer| status(&answer)))
    }

    /// Credentials for a challenge that is asked for now: not sent yet.
    pub fn fresh_credentials(&self, user: &str, password: &str) -> anyhow::Result<String> {
        let number = Forgery { number: "0049301234100", from: user, ..Forgery::default() };
        let challenge = self.exchange(&self.invite(&number, &self.next_call_id(), 1, ""))?.unwrap_or_default();
        Ok(self.credentials(&challenge, user, password, &number))
    }

    fn next_call_id(&self) -> String {
        self.calls.set(self.calls.get() + 1);
        format!("forged-{}-{}", self.sip.port(), self.calls.get())
    }

    fn uri(&self, forgery: &Forgery) -> String {
        format!("sip:{}@127.0.0.1:{}{}", forgery.number, self.sip.switch_port, forgery.uri_params)
    }

    fn invite(&self, forgery: &Forgery, call_id: &str, cseq: u32, more: &str) -> String {
        let (uri, from, address, port) = (self.uri(forgery), forgery.from, self.sip.address, self.sip.port());
        let headers = format!(
            "From: <sip:{from}@127.0.0.1>;tag=f{cseq}\nTo: <{uri}>\nCall-ID: {call_id}\nCSeq: {cseq} INVITE\n\
             Contact: <sip:{from}@{address}:{port}>\n{more}{}",
            forgery.headers
        );
        let body = format!(
            "v=0\r\no=f 1 1 IN IP4 {address}\r\ns=-\r\nc=IN IP4 {address}\r\nt=0 0\r\nm=audio 6200 RTP/AVP 8\r\n\
             a=rtpmap:8 PCMA/8000\r\n"
        );
        let head = self.sip.request("INVITE", &uri, &format!("{call_id}-{cseq}"), &headers);
        let length = format!("Content-Type: application/sdp\r\nContent-Length: {}\r\n", body.len());
        head.replace("Content-Length: 0\r\n", &length) + &body
    }

    fn credentials(&self, challenge: &str, user: &str, password: &str, forgery: &Forgery) -> String {
        let value = |name: &str| {
            let begin = challenge.split(&format!("{name}=\"")).nth(1).unwrap_or_default();
            begin.split('"').next().unwrap_or_default().to_owned()
        };
        let (realm, nonce, uri) = (value("realm"), value("nonce"), self.uri(forgery));
        let secret = md5(&format!("{user}:{realm}:{password}"));
        let response = md5(&format!("{secret}:{nonce}:00000001:c:auth:{}", md5(&format!("INVITE:{uri}"))));
        format!(
            "Proxy-Authorization: Digest username=\"{user}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", \
             response=\"{response}\", algorithm=MD5, qop=auth, nc=00000001, cnonce=\"c\"\n"
        )
    }

    /// The final answer to this very message, acknowledged; answers to others are passed by.
    fn exchange(&self, message: &str) -> anyhow::Result<Option<String>> {
        self.sip.send(message)?;
        let branch = header(message, "Via").split("branch=").nth(1).unwrap_or_default().to_owned();
        let begun = Instant::now();
        let mut buffer = [0_u8; 8192];
        while begun.elapsed() < Duration::from_secs(8) {
            let Ok(length) = self.sip.socket.recv(&mut buffer) else { continue };
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if status(&text).is_some_and(|status| status >= 200) && header(&text, "Via").contains(&branch) {
                let cseq = header(&text, "CSeq").replace("INVITE", "ACK");
                let names = ["Via", "From", "To", "Call-ID"].map(|name| format!("{name}: {}\r\n", header(&text, name)));
                let uri = message.split(' ').nth(1).unwrap_or_default();
                let head = names.concat();
                self.sip.send(&format!("ACK {uri} SIP/2.0\r\n{head}CSeq: {cseq}\r\nContent-Length: 0\r\n\r\n"))?;
                return Ok(Some(text));
            }
        }
        Ok(None)
    }
}

fn status(message: &str) -> Option<u16> {
    message.strip_prefix("SIP/2.0 ")?.get(..3)?.parse().ok()
}

fn md5(text: &str) -> String {
    use md5::Digest;
    let digest = md5::Md5::digest(text.as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
