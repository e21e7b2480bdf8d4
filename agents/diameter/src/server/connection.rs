//! One connection: its socket, its peer machine, the way to the desk and back.
//!
//! Bounds: reading stops while more than [`HIGH_WATER_BYTES`] wait to be written, so a peer that does not read is not read from
//! either; one that reads nothing for `write_timeout` is dropped. More than `window` CCRs in work are answered 3004.

mod said;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};
use metrics::{counter, gauge};
use protocol_codecs::diameter::{DiameterCodec, DisconnectCause, Frame, ResultCode};
use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::{Instant, sleep_until};
use tokio_util::codec::Decoder;
use tracing::{debug, info, warn};
use types::MonoMs;

use crate::metric;
use crate::peer::{Action, CloseReason, Event, Opening, PeerMachine, PeerTimes, State};

use super::board::{Caller, PeerLine};
use super::inbox::{ConnectionId, ToDesk, ToPeer};
use super::listen::Peers;
use super::receive::{self, Received, Remote, Verdict};

pub(super) struct Connection<S> {
    peers: Arc<Peers>,
    stream: S,
    id: ConnectionId,
    local: IpAddr,
    address: SocketAddr,
    remote: Remote,
    machine: PeerMachine,
    codec: DiameterCodec,
    input: BytesMut,
    /// How much is read at once: what comes at once.
    read_bytes: usize,
    output: BytesMut,
    unflushed: bool,
    /// Since when nothing of the output went out.
    stuck_since: Option<Instant>,
    /// Since when an unfinished message is held.
    partial_since: Option<Instant>,
    /// CCRs that the desk has and that are not answered.
    in_flight: usize,
    inbox: Option<mpsc::Receiver<ToPeer>>,
    /// The CER that is being answered.
    cer: Option<(Frame, Verdict)>,
    stranger: Option<OwnedSemaphorePermit>,
    /// What the board shows of it.
    line: Option<Arc<PeerLine>>,
    next_own_id: u32,
    stopping: bool,
    /// When this turn began: what is done in one turn happens at one time.
    now: MonoMs,
    /// What the machine wants done; empty between events.
    actions: Vec<Action>,
}

/// Why a connection ended.
enum End {
    Machine(CloseReason),
    Named(&'static str),
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    pub fn new(
        peers: Arc<Peers>,
        stream: S,
        (local, address): (IpAddr, SocketAddr),
        secure: bool,
        stranger: OwnedSemaphorePermit,
    ) -> Self {
        let (limits, id) = (&peers.config.limits, peers.next_id());
        let times = PeerTimes {
            capabilities_ms: limits.capabilities_timeout.ms(),
            watchdog_ms: limits.watchdog.ms(),
            leave_ms: limits.leave_timeout.ms(),
        };
        let seed = u32::try_from(id.0 & 0xFFFF_FFFF).unwrap_or(0);
        let now = peers.clock.now().mono;
        let machine = PeerMachine::new(Opening::Accepted, times, false, seed, now);
        Self {
            stream,
            id,
            local,
            address,
            remote: Remote { address: address.ip(), secure, certificate: None, peer: None },
            machine,
            codec: DiameterCodec::before_capabilities(),
            input: BytesMut::new(),
            read_bytes: READ_BYTES_MIN,
            output: BytesMut::new(),
            unflushed: false,
            stuck_since: None,
            partial_since: None,
            in_flight: 0,
            inbox: None,
            cer: None,
            stranger: Some(stranger),
            line: None,
            next_own_id: seed.rotate_left(16),
            stopping: false,
            now,
            actions: Vec::new(),
            peers,
        }
    }

    /// The peer showed this certificate, and must have one of its names.
    pub fn showing(mut self, certificate: Option<CertificateDer<'static>>) -> Self {
        self.remote.certificate = certificate;
        self
    }

    /// To its end.
    pub async fn run(mut self) {
        let end = loop {
            if let Some(end) = self.turn().await {
                break end;
            }
            if let Some(line) = &self.line {
                line.show(self.machine.watchdog_state(), self.in_flight);
            }
        };
        if self.line.take().is_some() {
            self.peers.board.gone(self.id.0);
        }
        self.say_goodbye(&end).await;
        let reason = match end {
            End::Machine(reason) => reason.as_str(),
            End::Named(reason) => reason,
        };
        counter!(metric::CLOSED, "switch" => self.peers.label.to_string(), "reason" => reason).increment(1);
        let peer = self.remote.peer.as_ref().map(|(host, _)| host.as_ref());
        if let Some(host) = peer {
            if self.machine.is_down() {
                self.peers.is_down(host);
            }
            gauge!(metric::CONNECTIONS, "switch" => self.peers.label.to_string()).decrement(1.0);
            info!(agent = %self.peers.label, peer = host, address = %self.address, reason, "peer disconnected");
        } else if self.peers.may_complain() {
            info!(agent = %self.peers.label, address = %self.address, reason, "connection closed before its capabilities");
        }
        if self.inbox.is_some() {
            // The desk ends later than its connections, or with the process.
            drop(self.peers.desk.send(ToDesk::Closed { id: self.id }).await);
        }
    }

    /// Waits for one thing and does what follows from it.
    async fn turn(&mut self) -> Option<End> {
        let due = self.peers.clock.instant(self.machine.due().min(FAR));
        let deadline = [self.write_deadline(), self.partial_deadline()].into_iter().flatten().fold(due, Instant::min);
        let has_output = !self.output.is_empty() || self.unflushed;
        let may_read = self.output.len() < HIGH_WATER_BYTES;
        self.input.reserve(self.read_bytes);
        let (mut reader, mut writer) = tokio::io::split(&mut self.stream);
        tokio::select! {
            read = reader.read_buf(&mut self.input), if may_read => match read {
                Ok(0) => Some(End::Named("closed_by_peer")),
                Ok(read_bytes) => {
                    self.read_bytes = more_or_less(self.read_bytes, read_bytes);
                    self.received()
                }
                Err(_) => Some(End::Named("connection_lost")),
            },
            written = write(&mut writer, &mut self.output, &mut self.unflushed), if has_output => match written {
                Ok(()) => {
                    self.stuck_since = (!self.output.is_empty()).then(Instant::now);
                    None
                }
                Err(_) => Some(End::Named("connection_lost")),
            },
            message = next(&mut self.inbox), if may_read => match message {
                Some(message) => self.outgoing_all(message),
                None => Some(End::Named("desk_ended")),
            },
            () = sleep_until(deadline) => self.time_over(),
            () = self.peers.shutdown.cancelled(), if !self.stopping => {
                self.stopping = true;
                self.begin_turn();
                self.happened(Event::Stop(DisconnectCause::Rebooting))
            }
        }
    }

    fn begin_turn(&mut self) {
        self.now = self.peers.clock.now().mono;
    }

    fn write_deadline(&self) -> Option<Instant> {
        self.stuck_since.map(|since| since + self.peers.config.limits.write_timeout.std())
    }

    fn partial_deadline(&self) -> Option<Instant> {
        self.partial_since.map(|since| since + self.peers.config.limits.capabilities_timeout.std())
    }

    fn time_over(&mut self) -> Option<End> {
        let now = Instant::now();
        if self.write_deadline().is_some_and(|deadline| deadline <= now) {
            return Some(End::Named("does_not_read"));
        }
        if self.partial_deadline().is_some_and(|deadline| deadline <= now) {
            return Some(End::Named("unfinished_message"));
        }
        self.begin_turn();
        self.machine.tick(self.now, &mut self.actions);
        self.act(None)
    }

    fn received(&mut self) -> Option<End> {
        self.begin_turn();
        loop {
            match self.codec.decode(&mut self.input) {
                Ok(Some(frame)) => {
                    self.partial_since = None;
                    if let Some(end) = self.frame(frame) {
                        return Some(end);
                    }
                }
                Ok(None) => {
                    if self.input.is_empty() {
                        self.partial_since = None;
                        // Not to keep the room of the largest message for ever.
                        if self.input.capacity() > READ_BYTES_MAX {
                            self.input = BytesMut::new();
                        }
                    } else {
                        self.partial_since.get_or_insert_with(Instant::now);
                    }
                    return None;
                }
                Err(error) => {
                    if self.peers.may_complain() {
                        warn!(agent = %self.peers.label, address = %self.address, error = &error as &dyn std::error::Error, "no diameter message");
                    }
                    return Some(End::Named("framing"));
                }
            }
        }
    }

    fn frame(&mut self, frame: Frame) -> Option<End> {
        match receive::receive(&frame, &self.remote, &self.peers.config) {
            Received::Cer(verdict) => {
                let code = verdict.code;
                if self.machine.state() == State::WaitCer && code.is_success() && self.peers.was_down(&verdict.host) {
                    self.machine.peer_was_down();
                }
                self.cer = Some((frame, verdict));
                self.count_request("CER");
                self.happened(Event::Cer(code))
            }
            Received::Cea(code) => self.happened(Event::Cea(code)),
            Received::Dwr => {
                self.count_request("DWR");
                self.answering(Event::Dwr, frame)
            }
            Received::Dwa => self.happened(Event::Dwa),
            Received::Dpr => {
                self.count_request("DPR");
                self.answering(Event::Dpr, frame)
            }
            Received::Dpa => self.happened(Event::Dpa),
            received => self.message(frame, received),
        }
    }

    /// A message that is not about the connection itself.
    fn message(&mut self, frame: Frame, received: Received) -> Option<End> {
        let is_request = frame.header().flags.is_request();
        let event = if is_request { Event::Request } else { Event::Answer };
        self.machine.accept(event, self.in_flight, self.now, &mut self.actions);
        if is_request {
            self.peers.ccrs.increment(1);
        }
        let is_mine = |action: &Action| matches!(action, Action::Deliver | Action::TurnAway);
        let mine = self.actions.iter().position(is_mine).map(|at| self.actions.remove(at));
        match mine {
            Some(Action::Deliver) => self.deliver(&frame, received),
            Some(_) => self.too_busy(&frame),
            None => {}
        }
        self.act(None)
    }

    fn deliver(&mut self, frame: &Frame, received: Received) {
        match received {
            Received::Ask(ask, reply) => {
                let window = usize::try_from(self.peers.config.limits.window).unwrap_or(usize::MAX);
                let asked = ToDesk::Asked { id: self.id, ask, reply };
                if self.in_flight >= window || self.peers.desk.try_send(asked).is_err() {
                    self.too_busy(frame);
                } else {
                    self.in_flight += 1;
                    if let Some(line) = &self.line {
                        line.requested();
                    }
                }
            }
            Received::Refuse(bytes) => self.put(&bytes),
            Received::Answer { hop_by_hop_id, code } => {
                let answered = ToDesk::Answered { hop_by_hop_id, code };
                if self.peers.desk.try_send(answered).is_err() {
                    // The request is repeated, and answered again.
                    debug!(agent = %self.peers.label, "an answer found no room");
                }
            }
            Received::Ignore(reason) => {
                counter!(metric::IGNORED, "switch" => self.peers.label.to_string(), "reason" => reason).increment(1);
            }
            Received::Cer(_) | Received::Cea(_) | Received::Dwr | Received::Dwa | Received::Dpr | Received::Dpa => {}
        }
    }

    fn too_busy(&mut self, frame: &Frame) {
        if let Received::Refuse(bytes) = receive::refuse(frame, ResultCode::TOO_BUSY, None, &self.peers.config) {
            self.put(&bytes);
        }
    }

    /// This message and all others that wait: they go out with one write.
    fn outgoing_all(&mut self, first: ToPeer) -> Option<End> {
        self.begin_turn();
        let mut next = Some(first);
        while let Some(message) = next {
            if let Some(end) = self.outgoing(message) {
                return Some(end);
            }
            let may_write = self.output.len() < HIGH_WATER_BYTES;
            next = self.inbox.as_mut().filter(|_| may_write).and_then(|inbox| inbox.try_recv().ok());
        }
        None
    }

    fn outgoing(&mut self, message: ToPeer) -> Option<End> {
        match message {
            ToPeer::Answer(rendered, reply) => {
                rendered.write(&reply, &mut self.output);
                self.stuck_since.get_or_insert_with(Instant::now);
                self.in_flight = self.in_flight.saturating_sub(1);
                if self.in_flight == 0 { self.happened(Event::Idle) } else { None }
            }
            ToPeer::Request(bytes) => {
                if self.machine.state() == State::Open {
                    self.put(&bytes);
                }
                None
            }
            ToPeer::Replaced => Some(End::Named("replaced")),
        }
    }

    fn happened(&mut self, event: Event) -> Option<End> {
        self.machine.accept(event, self.in_flight, self.now, &mut self.actions);
        self.act(None)
    }

    fn answering(&mut self, event: Event, frame: Frame) -> Option<End> {
        self.machine.accept(event, self.in_flight, self.now, &mut self.actions);
        self.act(Some(&frame))
    }

    /// Does what the machine wants, in its order.
    fn act(&mut self, request: Option<&Frame>) -> Option<End> {
        let mut actions = std::mem::take(&mut self.actions);
        let end = actions.drain(..).find_map(|action| self.act_on(action, request));
        // Its room is used again.
        self.actions = actions;
        end
    }

    fn act_on(&mut self, action: Action, request: Option<&Frame>) -> Option<End> {
        let sent = match action {
            Action::SendCea(code) => self.send_cea(code),
            Action::SendDwr => self.send_dwr(),
            Action::SendDwa => self.send_dwa(request),
            Action::SendDpr(cause) => self.send_dpr(cause),
            Action::SendDpa => self.send_dpa(request),
            Action::Opened => {
                self.opened();
                Ok(())
            }
            Action::Withdraw => {
                if self.peers.desk.try_send(ToDesk::Withdrawn { id: self.id }).is_err() {
                    debug!(agent = %self.peers.label, "a withdrawal found no room");
                }
                Ok(())
            }
            Action::Deliver | Action::TurnAway => Ok(()),
            Action::Close(reason) => return Some(End::Machine(reason)),
        };
        let error = sent.err()?;
        warn!(agent = %self.peers.label, error = &error as &dyn std::error::Error, "a message of the base protocol cannot be sent");
        Some(End::Named("unsendable"))
    }

    fn opened(&mut self) {
        let Some((_, verdict)) = self.cer.take() else { return };
        self.stranger = None;
        self.codec.capabilities_exchanged();
        self.remote.peer = Some((verdict.host.clone(), verdict.relay));
        self.line = Some(self.peers.board.connected(self.id.0, &self.caller(&verdict)));
        let (outbox, inbox) = mpsc::channel(OUTBOX);
        self.inbox = Some(inbox);
        gauge!(metric::CONNECTIONS, "switch" => self.peers.label.to_string()).increment(1.0);
        info!(agent = %self.peers.label, peer = %verdict.host, realm = %verdict.realm, address = %self.address, relay = verdict.relay, tls = self.remote.secure, "peer connected");
        let origin_state_id = verdict.origin_state_id;
        let opened = ToDesk::Opened { id: self.id, peer: Arc::from(&*verdict.host), origin_state_id, outbox };
        if self.peers.desk.try_send(opened).is_err() {
            // Without the desk there are no answers: the peer comes again.
            self.inbox = Some(mpsc::channel(1).1);
        }
    }

    fn caller<'v>(&self, verdict: &'v Verdict) -> Caller<'v> {
        let (host, realm, relay) = (&*verdict.host, &*verdict.realm, verdict.relay);
        Caller { host, realm, address: self.address, relay, tls: self.remote.secure }
    }

    fn put(&mut self, bytes: &Bytes) {
        self.output.extend_from_slice(bytes);
        self.stuck_since.get_or_insert_with(Instant::now);
    }

    fn count_request(&self, command: &'static str) {
        counter!(metric::REQUESTS, "switch" => self.peers.label.to_string(), "command" => command).increment(1);
    }

    /// What is written already goes out, if the peer takes it.
    async fn say_goodbye(&mut self, end: &End) {
        if matches!(end, End::Named("connection_lost" | "does_not_read")) {
            return;
        }
        let (stream, output) = (&mut self.stream, &mut self.output);
        let goodbye = async {
            stream.write_all_buf(output).await?;
            stream.flush().await?;
            stream.shutdown().await
        };
        if tokio::time::timeout(GOODBYE, goodbye).await.is_err() {
            debug!(agent = %self.peers.label, address = %self.address, "the peer did not take our last words");
        }
    }
}

async fn write<W: AsyncWrite + Unpin>(writer: &mut W, output: &mut BytesMut, unflushed: &mut bool) -> io::Result<()> {
    if output.has_remaining() {
        *unflushed = true;
        if writer.write_buf(output).await? == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
    }
    if !output.has_remaining() {
        writer.flush().await?;
        *unflushed = false;
        // Not to keep the room of the largest burst for ever.
        if output.capacity() > HIGH_WATER_BYTES {
            *output = BytesMut::new();
        }
    }
    Ok(())
}

/// How much to read at once from now on: twice as much when there was more than was read, half when it was far less.
fn more_or_less(room: usize, read: usize) -> usize {
    if read >= room {
        room.saturating_mul(2).min(READ_BYTES_MAX)
    } else if read < room / 4 {
        (room / 2).max(READ_BYTES_MIN)
    } else {
        room
    }
}

async fn next(inbox: &mut Option<mpsc::Receiver<ToPeer>>) -> Option<ToPeer> {
    match inbox {
        Some(inbox) => inbox.recv().await,
        None => std::future::pending().await,
    }
}

/// More waits to be written: no more is read.
const HIGH_WATER_BYTES: usize = 262_144;
/// A few messages, for each of many connections that are silent; and a burst.
const READ_BYTES_MIN: usize = 4_096;
const READ_BYTES_MAX: usize = 65_536;
/// Messages from the desk; the window of requests is smaller, so that they fit.
const OUTBOX: usize = 65_536;
const GOODBYE: std::time::Duration = std::time::Duration::from_secs(1);
/// A year: as far as a timer goes.
const FAR: MonoMs = MonoMs(31_536_000_000);
