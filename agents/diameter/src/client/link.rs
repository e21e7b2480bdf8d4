//! One connection that we made: its bytes, its peer machine. See the module's documentation for who calls it how.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use agent_runtime::Clock;
use bytes::{Buf, BytesMut};
use protocol_codecs::diameter::{
    Answer, DiameterCodec, DiameterError, DisconnectCause, EncodeError, Exchange, Frame, Message, Mode, Request,
    ResultCode, command,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, sleep_until};
use tokio_util::codec::Decoder;
use types::MonoMs;

use crate::node::Node;
use crate::peer::{Action, CloseReason, Event, Opening, PeerMachine, PeerTimes, State};

/// How a connection ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LinkEnd {
    /// By the rules: refused, left, or silent.
    #[error("{}", closed(*.0))]
    Closed(CloseReason),
    /// The peer closed it without a word.
    #[error("the peer closed the connection")]
    ClosedByPeer,
    /// It broke.
    #[error("the connection broke")]
    Lost(#[source] io::Error),
    /// What came is no Diameter.
    #[error("what the peer sends is no Diameter")]
    Framing(#[source] DiameterError),
    /// A message of our own cannot be sent: our name is none.
    #[error("a message of the base protocol cannot be sent")]
    Unsendable(#[from] EncodeError),
}

impl LinkEnd {
    /// Whether to try again: not where the peer said no.
    pub const fn class(&self) -> types::ErrorClass {
        match self {
            Self::Closed(CloseReason::RefusedByPeer(_)) => types::ErrorClass::Refused,
            Self::Unsendable(_) => types::ErrorClass::Fatal,
            _ => types::ErrorClass::Retry,
        }
    }
}

fn closed(reason: CloseReason) -> String {
    match reason {
        CloseReason::RefusedByPeer(code) => {
            let name = code.name().unwrap_or("no code of the RFC");
            format!("the peer refused our capabilities with {} ({name}); its list of peers must name us", code.0)
        }
        CloseReason::NoCapabilities => "the peer did not answer our capabilities".to_owned(),
        CloseReason::OutOfTurn => "the peer said something else than its capabilities".to_owned(),
        CloseReason::Silent => "the peer fell silent".to_owned(),
        CloseReason::PeerLeft => "the peer said that it leaves".to_owned(),
        CloseReason::ElectionLost => "the peer's own connection to us was kept instead".to_owned(),
        CloseReason::Left | CloseReason::Refused(_) => "we left".to_owned(),
    }
}

/// See the module's documentation.
#[derive(Debug)]
pub struct Link<S> {
    stream: S,
    node: Arc<Node>,
    machine: PeerMachine,
    clock: Clock,
    codec: DiameterCodec,
    input: BytesMut,
    output: BytesMut,
    unflushed: bool,
    /// Requests of the owner that are not answered.
    waiting: usize,
    peer_leaves: Option<DisconnectCause>,
    actions: Vec<Action>,
    next_id: u32,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Link<S> {
    /// On this transport; the CER goes out with the first turn.
    ///
    /// # Errors
    /// The node's names cannot be sent.
    pub fn new(
        stream: S,
        local: IpAddr,
        node: Arc<Node>,
        times: PeerTimes,
        (clock, seed): (Clock, u32),
    ) -> Result<Self, EncodeError> {
        let machine = PeerMachine::new(Opening::Made, times, false, seed, clock.now().mono);
        let mut link = Self {
            stream,
            node,
            machine,
            clock,
            codec: DiameterCodec::before_capabilities(),
            input: BytesMut::with_capacity(ROOM_BYTES),
            output: BytesMut::with_capacity(ROOM_BYTES),
            unflushed: false,
            waiting: 0,
            peer_leaves: None,
            actions: Vec::new(),
            next_id: seed,
        };
        let exchange = link.exchange();
        let cer = link.node.cer(local, exchange)?;
        link.put(&cer);
        Ok(link)
    }

    /// Whether the capabilities are exchanged and nobody leaves: requests may go.
    pub fn is_open(&self) -> bool {
        self.machine.state() == State::Open
    }

    /// Why the peer said that it leaves, if it did.
    pub fn peer_leaves(&self) -> Option<DisconnectCause> {
        self.peer_leaves
    }

    /// Bytes that wait to be written: whoever sends without end looks at it.
    pub fn unwritten(&self) -> usize {
        self.output.len()
    }

    /// Identifiers for a request of the connection itself, or of the owner.
    pub fn exchange(&mut self) -> Exchange {
        self.next_id = self.next_id.wrapping_add(1);
        Exchange::new(self.next_id, self.next_id)
    }

    /// Sends this message with the next turn.
    pub fn put(&mut self, message: &[u8]) {
        self.output.extend_from_slice(message);
    }

    /// How many requests of the owner are not answered: while there are any, a connection that ends is kept open for a while.
    pub fn set_waiting(&mut self, waiting: usize) {
        self.waiting = waiting;
    }

    /// Says DPR. The link ends when the peer agrees and nothing is waited for.
    ///
    /// # Errors
    /// The node's names cannot be sent.
    pub fn leave(&mut self, cause: DisconnectCause) -> Result<(), LinkEnd> {
        self.happened(Event::Stop(cause), None).map(drop)
    }

    /// Reads, writes and keeps time until messages came, the state changed, or `until` is over. Messages for the owner are put into
    /// `frames`: all answers and requests that are not about the connection itself.
    ///
    /// # Errors
    /// The connection is over; messages in `frames` came before that.
    pub async fn turn(&mut self, until: Instant, frames: &mut Vec<Frame>) -> Result<(), LinkEnd> {
        if self.waiting == 0 && self.machine.state() == State::Closing {
            self.happened(Event::Idle, None)?;
        }
        let due = self.clock.instant(self.machine.due().min(FAR)).min(until);
        let has_output = !self.output.is_empty() || self.unflushed;
        let (mut reader, mut writer) = tokio::io::split(&mut self.stream);
        let read = tokio::select! {
            biased;
            written = write(&mut writer, &mut self.output, &mut self.unflushed), if has_output => {
                return written.map_err(LinkEnd::Lost);
            }
            read = reader.read_buf(&mut self.input) => read.map_err(LinkEnd::Lost)?,
            () = sleep_until(due) => {
                let (now, mut actions) = (self.clock.now().mono, std::mem::take(&mut self.actions));
                self.machine.tick(now, &mut actions);
                return self.act(actions, None).map(drop);
            }
        };
        if read == 0 {
            return Err(LinkEnd::ClosedByPeer);
        }
        while let Some(frame) = self.codec.decode(&mut self.input).map_err(LinkEnd::Framing)? {
            self.received(frame, frames)?;
        }
        Ok(())
    }

    fn received(&mut self, frame: Frame, frames: &mut Vec<Frame>) -> Result<(), LinkEnd> {
        let header = *frame.header();
        let is_base = matches!(
            header.command,
            command::CAPABILITIES_EXCHANGE | command::DEVICE_WATCHDOG | command::DISCONNECT_PEER
        );
        let delivered = if is_base {
            let Some(event) = self.base_event(&frame) else { return Ok(()) };
            self.happened(event, Some(&frame))?
        } else {
            let event = if header.flags.is_request() { Event::Request } else { Event::Answer };
            self.happened(event, Some(&frame))?
        };
        if delivered {
            frames.push(frame);
        }
        Ok(())
    }

    /// What a message about the connection means; `None`: nothing that can be read.
    fn base_event(&mut self, frame: &Frame) -> Option<Event> {
        let decoded = frame.message(Mode::Tolerant).ok()?;
        Some(match decoded.message {
            Message::Request(Request::CapabilitiesExchange(_)) => Event::Cer(ResultCode::UNABLE_TO_COMPLY),
            Message::Request(Request::DeviceWatchdog(_)) => Event::Dwr,
            Message::Request(Request::DisconnectPeer(dpr)) => {
                self.peer_leaves = Some(dpr.disconnect_cause);
                Event::Dpr
            }
            Message::Answer(Answer::CapabilitiesExchange(cea)) => Event::Cea(cea.result_code),
            Message::Answer(Answer::DeviceWatchdog(_)) => Event::Dwa,
            Message::Answer(Answer::DisconnectPeer(_)) => Event::Dpa,
            Message::Answer(Answer::Error(error)) => match frame.header().command {
                command::CAPABILITIES_EXCHANGE => Event::Cea(error.result_code),
                command::DEVICE_WATCHDOG => Event::Dwa,
                _ => Event::Dpa,
            },
            Message::Request(_) | Message::Answer(_) => return None,
        })
    }

    /// True: the message is the owner's.
    fn happened(&mut self, event: Event, frame: Option<&Frame>) -> Result<bool, LinkEnd> {
        let (now, mut actions) = (self.clock.now().mono, std::mem::take(&mut self.actions));
        self.machine.accept(event, self.waiting, now, &mut actions);
        self.act(actions, frame)
    }

    fn act(&mut self, mut actions: Vec<Action>, frame: Option<&Frame>) -> Result<bool, LinkEnd> {
        let mut delivered = false;
        for action in actions.drain(..) {
            let bytes = match (action, frame) {
                (Action::SendDwr, _) => {
                    let exchange = self.exchange();
                    self.node.dwr(exchange)?
                }
                (Action::SendDpr(cause), _) => {
                    let exchange = self.exchange();
                    self.node.dpr(cause, exchange)?
                }
                (Action::SendDwa, Some(frame)) => self.node.dwa(frame)?,
                (Action::SendDpa, Some(frame)) => self.node.dpa(frame)?,
                (Action::TurnAway, Some(frame)) => self.node.refusal(frame, ResultCode::TOO_BUSY)?,
                // A second exchange of capabilities, by the other end: nobody does that.
                (Action::SendCea(code), Some(frame)) => self.node.refusal(frame, code)?,
                (Action::Opened, _) => {
                    self.codec.capabilities_exchanged();
                    continue;
                }
                (Action::Deliver, _) => {
                    delivered = true;
                    continue;
                }
                (Action::Close(reason), _) => return Err(LinkEnd::Closed(reason)),
                (Action::Withdraw, _) | (_, None) => continue,
            };
            self.put(&bytes);
        }
        self.actions = actions;
        Ok(delivered)
    }

    /// The last words go out, if the peer takes them.
    pub async fn close(mut self) {
        let goodbye = async {
            self.stream.write_all_buf(&mut self.output).await?;
            self.stream.flush().await?;
            self.stream.shutdown().await
        };
        // Whether it took them makes no difference any more.
        drop(tokio::time::timeout(GOODBYE, goodbye).await);
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
    }
    Ok(())
}

const ROOM_BYTES: usize = 65_536;
const GOODBYE: std::time::Duration = std::time::Duration::from_secs(1);
/// A year: as far as a timer goes.
const FAR: MonoMs = MonoMs(31_536_000_000);
