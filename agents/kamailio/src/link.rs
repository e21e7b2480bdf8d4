//! The connection to one Kamailio: connect, introduce ourselves, ping, reconnect for ever.
//!
//! The socket is always drained: what it brings goes into a bounded queue, and should that ever be full the connection
//! is closed and made again, which asks Kamailio for everything again. Nothing is dropped silently.

use std::sync::Arc;
use std::time::Duration;

use agent_runtime::{Backoff, names};
use futures_util::{SinkExt, StreamExt};
use metrics::{counter, gauge};
use protocol_codecs::Class;
use protocol_codecs::evapi::{AgentCodec, EvapiError, FromKamailio, HelloStatus, MessageError, ToKamailio};
use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, interval, timeout};
use tokio_util::codec::Framed;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

/// What the connection brings.
#[derive(Debug)]
pub(crate) enum LinkEvent {
    /// Connected and accepted. Everything sent before is gone.
    Up {
        /// Identity of Kamailio's run.
        run: String,
    },
    /// A message.
    Message(Box<FromKamailio>),
    /// Not connected any more.
    Down,
}

/// Where and as whom to connect.
#[derive(Debug, Clone)]
pub(crate) struct LinkSettings {
    pub(crate) switch: Arc<str>,
    pub(crate) address: Box<str>,
    pub(crate) tag: Box<str>,
    pub(crate) client_id: Box<str>,
    pub(crate) ping_interval: Duration,
    pub(crate) reconnect_longest: Duration,
    /// Messages that wait each way at most; [`QUEUED_MESSAGES`] but in tests.
    pub(crate) queued_messages: usize,
}

/// The agent's end of the connection task.
#[derive(Debug)]
pub struct Link {
    pub(crate) events: mpsc::Receiver<LinkEvent>,
    outgoing: mpsc::Sender<ToKamailio>,
    broken: Arc<Notify>,
    up: bool,
}

impl Link {
    /// Starts the task; it ends when `shutdown` is cancelled or the `Link` is dropped.
    pub(crate) fn start(settings: LinkSettings, shutdown: CancellationToken) -> (Self, tokio::task::JoinHandle<()>) {
        let (events_in, events) = mpsc::channel(settings.queued_messages);
        let (outgoing, to_send) = mpsc::channel(settings.queued_messages);
        let broken = Arc::new(Notify::new());
        let task = LinkTask { settings, events: events_in, to_send, overflow: Arc::clone(&broken), shutdown };
        (Self { events, outgoing, broken, up: false }, tokio::spawn(task.run()))
    }

    /// The next event; `None` when the task has ended.
    pub(crate) async fn next(&mut self) -> Option<LinkEvent> {
        let event = self.events.recv().await;
        match event {
            Some(LinkEvent::Up { .. }) => self.up = true,
            Some(LinkEvent::Down) | None => self.up = false,
            Some(LinkEvent::Message(_)) => {}
        }
        event
    }

    /// Sends, if connected. What cannot be sent is answered by the resync after the next connect.
    pub(crate) fn send(&mut self, message: ToKamailio) {
        if self.up && self.outgoing.try_send(message).is_err() {
            self.broken.notify_one();
        }
    }

    pub(crate) fn is_up(&self) -> bool {
        self.up
    }
}

struct LinkTask {
    settings: LinkSettings,
    events: mpsc::Sender<LinkEvent>,
    to_send: mpsc::Receiver<ToKamailio>,
    overflow: Arc<Notify>,
    shutdown: CancellationToken,
}

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
enum LinkFault {
    #[error("cannot connect")]
    Connect(#[source] std::io::Error),
    #[error("no connection within {0:?}")]
    ConnectTimeout(Duration),
    #[error("the bytes are not evapi netstrings; is netstring_format=1 set?")]
    Protocol(#[from] EvapiError),
    #[error("closed by Kamailio; is our address in agents.cfg?")]
    Closed,
    #[error("HELLO refused: {0}")]
    Refused(String),
    #[error("Kamailio speaks version {0} of the contract, we speak 1")]
    Version(u32),
    #[error("no answer to HELLO within {0:?}; is tollkeeper.cfg included?")]
    NoHello(Duration),
    #[error("no message for {0:?}")]
    Silent(Duration),
    #[error("this process stood still for {0:?}: what has come meanwhile is old, and some of it was never sent")]
    Away(Duration),
    #[error("the queue of messages is full")]
    Overflow,
    #[error("we are shutting down")]
    Shutdown,
}

type Connection = Framed<TcpStream, AgentCodec>;

impl LinkTask {
    async fn run(mut self) {
        let mut backoff = Backoff::new(Duration::from_millis(100), self.settings.reconnect_longest);
        let mut last_seen = Instant::now();
        let label = Arc::clone(&self.settings.switch);
        loop {
            let outcome = self.connect().await;
            let fault = match outcome {
                Ok((connection, run)) => {
                    backoff.reset();
                    counter!(names::SWITCH_CONNECTS, "switch" => Arc::clone(&label)).increment(1);
                    counter!(names::GAP_SECONDS, "switch" => Arc::clone(&label))
                        .increment(last_seen.elapsed().as_secs());
                    gauge!(names::SWITCH_CONNECTED, "switch" => Arc::clone(&label)).set(1);
                    info!(switch = %label, run, "connected to Kamailio");
                    while self.to_send.try_recv().is_ok() {}
                    let fault = match self.events.send(LinkEvent::Up { run }).await {
                        Ok(()) => self.serve(connection).await,
                        Err(_) => LinkFault::Shutdown,
                    };
                    last_seen = Instant::now();
                    gauge!(names::SWITCH_CONNECTED, "switch" => Arc::clone(&label)).set(0);
                    // The socket is closed by now, so waiting for room in the queue stops nobody.
                    if self.events.send(LinkEvent::Down).await.is_err() {
                        return;
                    }
                    fault
                }
                Err(fault) => fault,
            };
            if matches!(fault, LinkFault::Shutdown) || self.shutdown.is_cancelled() || self.events.is_closed() {
                return;
            }
            if let LinkFault::Protocol(EvapiError::Frame(error)) = &fault {
                self.count_error(error.class().as_str());
            }
            let wait = backoff.next_wait();
            let address = &self.settings.address;
            match fault {
                LinkFault::Refused(_) | LinkFault::Version(_) => {
                    error!(switch = %label, %address, error = &fault as &dyn std::error::Error, ?wait, "Kamailio does not take us");
                }
                _ => {
                    warn!(switch = %label, %address, error = &fault as &dyn std::error::Error, ?wait, "no connection to Kamailio")
                }
            }
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.shutdown.cancelled() => return,
                () = self.events.closed() => return,
            }
        }
    }

    async fn connect(&mut self) -> Result<(Connection, String), LinkFault> {
        let connecting = timeout(CONNECT_TIMEOUT, TcpStream::connect(&*self.settings.address));
        let stream = tokio::select! {
            stream = connecting => stream,
            () = self.shutdown.cancelled() => return Err(LinkFault::Shutdown),
        };
        let stream = stream.map_err(|_| LinkFault::ConnectTimeout(CONNECT_TIMEOUT))?.map_err(LinkFault::Connect)?;
        agent_runtime::watch_peer(&stream).map_err(LinkFault::Connect)?;
        let mut connection = Framed::new(stream, AgentCodec::default());
        let hello = ToKamailio::Hello {
            protocol: PROTOCOL,
            tag: self.settings.tag.to_string(),
            instance: instance(),
            client_id: self.settings.client_id.to_string(),
        };
        connection.send(hello).await?;
        let answered = timeout(CONNECT_TIMEOUT, self.hello_reply(&mut connection));
        let run = answered.await.map_err(|_| LinkFault::NoHello(CONNECT_TIMEOUT))??;
        Ok((connection, run))
    }

    /// Carries messages both ways until something ends it.
    async fn serve(&mut self, mut connection: Connection) -> LinkFault {
        let mut ping = interval(self.settings.ping_interval);
        ping.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let silence = self.settings.ping_interval * PINGS_MISSED;
        let (mut heard, mut seq) = (Instant::now(), 0_u32);
        let mut pulse = interval(PULSE);
        pulse.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            // Not tokio's clock, which a test may move.
            let awake = std::time::Instant::now();
            tokio::select! {
                received = connection.next() => match received {
                    _ if stood_still(awake) => return LinkFault::Away(awake.elapsed()),
                    None => return LinkFault::Closed,
                    Some(Err(error)) => return error.into(),
                    Some(Ok(item)) => {
                        heard = Instant::now();
                        acknowledge_at_once(connection.get_ref());
                        if let Err(fault) = self.take(item) {
                            return fault;
                        }
                    }
                },
                _ = pulse.tick() => if stood_still(awake) {
                    return LinkFault::Away(awake.elapsed());
                },
                Some(message) = self.to_send.recv() => {
                    if stood_still(awake) {
                        return LinkFault::Away(awake.elapsed());
                    }
                    if let Err(fault) = self.write(&mut connection, message, silence).await {
                        return fault;
                    }
                }
                _ = ping.tick() => {
                    if stood_still(awake) {
                        return LinkFault::Away(awake.elapsed());
                    }
                    if heard.elapsed() > silence {
                        return LinkFault::Silent(silence);
                    }
                    seq = seq.wrapping_add(1);
                    if let Err(fault) = self.write(&mut connection, ToKamailio::Ping { seq }, silence).await {
                        return fault;
                    }
                }
                () = self.overflow.notified() => return LinkFault::Overflow,
                () = self.shutdown.cancelled() => return self.flush(&mut connection, silence).await,
                // An agent that died must not be kept alive at Kamailio by our pings.
                () = self.events.closed() => return self.flush(&mut connection, silence).await,
            }
        }
    }

    /// What is queued is the last of it: acknowledgements of ends that were settled while we were finishing.
    async fn flush(&mut self, connection: &mut Connection, limit: Duration) -> LinkFault {
        while let Ok(message) = self.to_send.try_recv() {
            if let Err(fault) = self.write(connection, message, limit).await {
                return fault;
            }
        }
        LinkFault::Shutdown
    }

    fn take(&self, item: Result<protocol_codecs::evapi::Decoded<FromKamailio>, MessageError>) -> Result<(), LinkFault> {
        counter!(names::FRAMES_IN, "switch" => Arc::clone(&self.settings.switch)).increment(1);
        let decoded = match item {
            Ok(decoded) => decoded,
            Err(error) => {
                self.skipped(&error);
                return Ok(());
            }
        };
        debug!(switch = %self.settings.switch, message = ?decoded.message, "received");
        if matches!(decoded.message, FromKamailio::Pong { .. }) {
            return Ok(());
        }
        self.events.try_send(LinkEvent::Message(Box::new(decoded.message))).map_err(|_| LinkFault::Overflow)
    }

    async fn write(&self, connection: &mut Connection, message: ToKamailio, limit: Duration) -> Result<(), LinkFault> {
        counter!(names::FRAMES_OUT, "switch" => Arc::clone(&self.settings.switch)).increment(1);
        debug!(switch = %self.settings.switch, ?message, "sending");
        match timeout(limit, connection.send(message)).await {
            Err(_) => Err(LinkFault::Silent(limit)),
            Ok(Err(error)) if error.class() == Class::Refused => {
                // Nothing was written and the stream is in step; what a caller made unsendable the backstop ends.
                self.count_error(error.class().as_str());
                error!(switch = %self.settings.switch, error = &error as &dyn std::error::Error, "a message to Kamailio cannot be sent");
                Ok(())
            }
            Ok(sent) => Ok(sent?),
        }
    }

    async fn hello_reply(&self, connection: &mut Connection) -> Result<String, LinkFault> {
        loop {
            let item = connection.next().await.ok_or(LinkFault::Closed)??;
            let decoded = match item {
                Ok(decoded) => decoded,
                Err(error) => {
                    self.skipped(&error);
                    continue;
                }
            };
            match decoded.message {
                FromKamailio::HelloReply { status: HelloStatus::Ok, protocol: PROTOCOL, run, .. } => return Ok(run),
                FromKamailio::HelloReply { status: HelloStatus::Ok, protocol, .. } => {
                    return Err(LinkFault::Version(protocol));
                }
                FromKamailio::HelloReply { reason, .. } => {
                    return Err(LinkFault::Refused(reason.unwrap_or_else(|| "no reason given".to_owned())));
                }
                _ => {}
            }
        }
    }

    fn skipped(&self, error: &MessageError) {
        self.count_error(error.class().as_str());
        warn!(switch = %self.settings.switch, error = error as &dyn std::error::Error, "a message from Kamailio is skipped");
    }

    fn count_error(&self, class: &'static str) {
        counter!(names::DECODE_ERRORS, "switch" => Arc::clone(&self.settings.switch), "class" => class).increment(1);
    }
}

/// A frozen process, or a machine far too busy. What waits in the socket is old, and would be measured by a clock that
/// went on; and after 6 s Kamailio tells us nothing any more. A new connection brings it all, marked as told again.
fn stood_still(awake: std::time::Instant) -> bool {
    awake.elapsed() > STANDSTILL
}

/// evapi writes small messages without TCP_NODELAY: with a delayed acknowledgement the next one waits 40 ms (seen).
fn acknowledge_at_once(stream: &TcpStream) {
    // The kernel takes the option back by itself, so it is set again after each read; without it we are only slower.
    rustix::net::sockopt::set_tcp_quickack(stream, true).unwrap_or_default();
}

/// Tells two runs of an agent with the same name apart.
fn instance() -> String {
    use std::hash::{BuildHasher, Hasher, RandomState};
    format!("{}-{:016x}", std::process::id(), RandomState::new().build_hasher().finish())
}

const PROTOCOL: u32 = 1;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A second of the heaviest load that one Kamailio can make; more means that we hang.
pub(crate) const QUEUED_MESSAGES: usize = 16_384;
const PINGS_MISSED: u32 = 3;
/// How often the connection's task looks up, whatever happens.
const PULSE: Duration = Duration::from_millis(250);
/// Less than the tolerance for clocks that disagree, beyond which we would believe our own.
const STANDSTILL: Duration = Duration::from_millis(1_500);

#[cfg(test)]
mod tests;
