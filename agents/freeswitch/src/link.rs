//! The two connections to one switch, made and lost together: one brings events, the other carries api calls, because an
//! api call holds up the events of its own connection.
//!
//! The event connection is always drained: a client that stops reading stops all others on that switch. What comes goes
//! into a bounded queue; should that be full both connections are closed and made again, and the switch is asked for its
//! calls. Nothing is dropped silently. Silence on either is a fault: no event for `heartbeat_timeout`, or no answer to a
//! command for `reply_timeout`.

mod commands;
mod events;
mod open;

use std::sync::Arc;
use std::time::Duration;

use agent_runtime::{Backoff, names};
use futures_util::StreamExt;
use metrics::{Counter, counter, gauge};
use protocol_codecs::Masked;
use protocol_codecs::esl::{ApiCall, ApiResponse, EslCodec, EslError, Event, Frame, MessageError};
use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;
use tokio_util::codec::Framed;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};
use types::UtcMs;

use crate::command::Purpose;

/// What the connections bring.
#[derive(Debug)]
pub(crate) enum LinkEvent {
    /// Both stand, and events are subscribed to. Everything sent before is gone.
    Up {
        /// The switch's run.
        core_uuid: String,
        /// The time that it told.
        told: Option<UtcMs>,
    },
    /// An event.
    Event(Box<Event>),
    /// The answer to an api call; `None`: the codec refused to send it.
    Reply(Purpose, Option<ApiResponse>),
    /// Not connected any more.
    Down,
}

/// Where and how to connect.
#[derive(Debug, Clone)]
pub(crate) struct LinkSettings {
    pub(crate) switch: Arc<str>,
    pub(crate) address: Box<str>,
    pub(crate) password: Masked,
    pub(crate) heartbeat_timeout: Duration,
    pub(crate) reply_timeout: Duration,
    pub(crate) reconnect_longest: Duration,
    /// Messages that wait each way at most; [`QUEUED_MESSAGES`] but in tests.
    pub(crate) queued_messages: usize,
    pub(crate) frames: Frames,
}

/// How many frames went each way; the counters are looked up once, not for each frame.
#[derive(Debug, Clone)]
pub(crate) struct Frames {
    received: Counter,
    sent: Counter,
}

impl Frames {
    pub(crate) fn of(switch: &Arc<str>) -> Self {
        Self {
            received: counter!(names::FRAMES_IN, "switch" => Arc::clone(switch)),
            sent: counter!(names::FRAMES_OUT, "switch" => Arc::clone(switch)),
        }
    }
}

/// The agent's end of the connections' task.
#[derive(Debug)]
pub(crate) struct Link {
    events: mpsc::Receiver<LinkEvent>,
    calls: mpsc::Sender<(Purpose, ApiCall)>,
    broken: Arc<Notify>,
    up: bool,
}

impl Link {
    /// Starts the task; it ends when `shutdown` is cancelled or the `Link` is dropped.
    pub(crate) fn start(settings: LinkSettings, shutdown: CancellationToken) -> (Self, tokio::task::JoinHandle<()>) {
        let (events_in, events) = mpsc::channel(settings.queued_messages);
        let (calls, to_send) = mpsc::channel(settings.queued_messages);
        let broken = Arc::new(Notify::new());
        let task = LinkTask { settings, events: events_in, to_send, broken: Arc::clone(&broken), shutdown };
        (Self { events, calls, broken, up: false }, tokio::spawn(task.run()))
    }

    /// The next event; `None` when the task has ended.
    pub(crate) async fn next(&mut self) -> Option<LinkEvent> {
        let event = self.events.recv().await;
        match &event {
            Some(event) => self.looked_at(event),
            None => self.up = false,
        }
        event
    }

    /// One that is here already.
    pub(crate) fn next_ready(&mut self) -> Option<LinkEvent> {
        let event = self.events.try_recv().ok()?;
        self.looked_at(&event);
        Some(event)
    }

    fn looked_at(&mut self, event: &LinkEvent) {
        match event {
            LinkEvent::Up { .. } => self.up = true,
            LinkEvent::Down => self.up = false,
            LinkEvent::Event(_) | LinkEvent::Reply(..) => {}
        }
    }

    /// Sends, if connected. What cannot be sent is answered by the resync after the next connect.
    pub(crate) fn send(&mut self, purpose: Purpose, call: ApiCall) {
        if self.up && self.calls.try_send((purpose, call)).is_err() {
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
    to_send: mpsc::Receiver<(Purpose, ApiCall)>,
    broken: Arc<Notify>,
    shutdown: CancellationToken,
}

/// Why the connections ended.
#[derive(Debug, thiserror::Error)]
enum LinkFault {
    #[error("cannot connect")]
    Connect(#[source] std::io::Error),
    #[error("not connected and accepted within {0:?}")]
    ConnectTimeout(Duration),
    #[error("the bytes are not FreeSWITCH's event socket; is the port right?")]
    Protocol(#[from] EslError),
    #[error("closed by the switch")]
    Closed,
    #[error("the switch does not permit our address; put it into apply-inbound-acl of event_socket.conf")]
    Rejected,
    #[error("the switch refuses the password of its event socket")]
    Password,
    #[error("the switch refuses {0}")]
    Refused(&'static str),
    #[error("the switch says good-bye: {0}")]
    Notice(String),
    #[error("no event for {0:?}, not even a heartbeat")]
    Silent(Duration),
    #[error("no answer to a command for {0:?}")]
    Unanswered(Duration),
    #[error("an answer that belongs to no command")]
    OutOfStep,
    #[error("the queue of messages is full")]
    Overflow,
    #[error("we are shutting down")]
    Shutdown,
}

type Connection = Framed<TcpStream, EslCodec>;

impl LinkTask {
    async fn run(mut self) {
        let mut backoff = Backoff::new(FIRST_WAIT, self.settings.reconnect_longest);
        let mut last_seen = Instant::now();
        let label = Arc::clone(&self.settings.switch);
        loop {
            let opened = tokio::select! {
                opened = open::both(&self.settings) => opened,
                () = self.shutdown.cancelled() => Err(LinkFault::Shutdown),
                () = self.events.closed() => Err(LinkFault::Shutdown),
            };
            let fault = match opened {
                Ok(opened) => {
                    backoff.reset();
                    counter!(names::SWITCH_CONNECTS, "switch" => Arc::clone(&label)).increment(1);
                    counter!(names::GAP_SECONDS, "switch" => Arc::clone(&label))
                        .increment(last_seen.elapsed().as_secs());
                    gauge!(names::SWITCH_CONNECTED, "switch" => Arc::clone(&label)).set(1);
                    info!(switch = %label, core_uuid = opened.core_uuid, "connected to FreeSWITCH");
                    let fault = self.serve(opened).await;
                    last_seen = Instant::now();
                    gauge!(names::SWITCH_CONNECTED, "switch" => Arc::clone(&label)).set(0);
                    // The sockets are closed by now, so waiting for room in the queue stops nobody.
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
            let wait = backoff.next_wait();
            self.report(&fault, wait);
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.shutdown.cancelled() => return,
                () = self.events.closed() => return,
            }
        }
    }

    /// Carries messages both ways until something ends it. Both halves go on side by side: while one waits for room in
    /// its socket the other reads.
    async fn serve(&mut self, opened: open::Opened) -> LinkFault {
        let Self { settings, events, to_send, broken, shutdown } = self;
        while to_send.try_recv().is_ok() {}
        let up = LinkEvent::Up { core_uuid: opened.core_uuid, told: opened.told };
        // What was put into the queue before the last break may still be there.
        if events.send(up).await.is_err() {
            return LinkFault::Shutdown;
        }
        for event in opened.early {
            if events.try_send(LinkEvent::Event(Box::new(event))).is_err() {
                return LinkFault::Overflow;
            }
        }
        tokio::select! {
            fault = events::serve(settings, events, opened.events) => fault,
            fault = commands::serve(settings, events, to_send, opened.commands, shutdown) => fault,
            () = broken.notified() => LinkFault::Overflow,
        }
    }

    fn report(&self, fault: &LinkFault, wait: Duration) {
        let LinkSettings { switch, address, .. } = &self.settings;
        if let LinkFault::Protocol(error) = fault {
            count_error(&self.settings, error.class().as_str());
        }
        let reason = fault as &dyn std::error::Error;
        match fault {
            LinkFault::Rejected | LinkFault::Password | LinkFault::Refused(_) => {
                error!(%switch, %address, error = reason, ?wait, "FreeSWITCH does not take us");
            }
            _ => warn!(%switch, %address, error = reason, ?wait, "no connection to FreeSWITCH"),
        }
    }
}

/// The next frame; a fault in one message is counted and skipped.
async fn next_frame(settings: &LinkSettings, connection: &mut Connection) -> Result<Frame, LinkFault> {
    loop {
        let item = connection.next().await.ok_or(LinkFault::Closed)??;
        settings.frames.received.increment(1);
        match item {
            Ok(frame) => return Ok(frame),
            Err(error) => skipped(settings, &error),
        }
    }
}

fn skipped(settings: &LinkSettings, error: &MessageError) {
    count_error(settings, error.class().as_str());
    warn!(switch = %settings.switch, error = error as &dyn std::error::Error, "a message from FreeSWITCH is skipped");
}

fn count_error(settings: &LinkSettings, class: &'static str) {
    counter!(names::DECODE_ERRORS, "switch" => Arc::clone(&settings.switch), "class" => class).increment(1);
}

const FIRST_WAIT: Duration = Duration::from_millis(100);
/// Seconds of the heaviest load that one switch can make; more means that we hang.
pub(crate) const QUEUED_MESSAGES: usize = 16_384;
/// For all steps of one connection together.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests;
