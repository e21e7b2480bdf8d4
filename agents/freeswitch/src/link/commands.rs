//! The connection that carries api calls. Each has exactly one answer, in the order of the calls, and its own deadline.

use std::collections::VecDeque;

use futures_util::SinkExt;
use protocol_codecs::Class;
use protocol_codecs::esl::{ApiCall, Command, Frame};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error};

use super::{Connection, LinkEvent, LinkFault, LinkSettings, count_error, next_frame};
use crate::command::Purpose;

/// Carries calls and answers until something ends it.
pub(super) async fn serve(
    settings: &LinkSettings,
    queue: &mpsc::Sender<LinkEvent>,
    to_send: &mut mpsc::Receiver<(Purpose, ApiCall)>,
    connection: Connection,
    shutdown: &CancellationToken,
) -> LinkFault {
    let mut commands = Commands { settings, queue, connection, unanswered: VecDeque::new() };
    loop {
        let due = commands.unanswered.front().map(|(due, _)| *due);
        let outcome = tokio::select! {
            frame = next_frame(settings, &mut commands.connection) => match frame {
                Ok(frame) => commands.take(frame),
                Err(fault) => Err(fault),
            },
            Some(first) = to_send.recv(), if commands.has_room() => commands.call(first, to_send).await,
            () = deadline(due) => Err(LinkFault::Unanswered(settings.reply_timeout)),
            () = shutdown.cancelled() => return commands.flush(to_send).await,
            // An agent that died has said its last word, too.
            () = queue.closed() => return commands.flush(to_send).await,
        };
        if let Err(fault) = outcome {
            return fault;
        }
    }
}

struct Commands<'a> {
    settings: &'a LinkSettings,
    queue: &'a mpsc::Sender<LinkEvent>,
    connection: Connection,
    unanswered: VecDeque<(Instant, Purpose)>,
}

impl Commands<'_> {
    fn take(&mut self, frame: Frame) -> Result<(), LinkFault> {
        match frame {
            Frame::ApiResponse(response) => {
                let (_, purpose) = self.unanswered.pop_front().ok_or(LinkFault::OutOfStep)?;
                debug!(switch = %self.settings.switch, ?purpose, ?response, "answered");
                self.tell(LinkEvent::Reply(purpose, Some(response)))
            }
            // Only api calls are made here, and each is answered as one.
            Frame::CommandReply(_) | Frame::AuthRequest => Err(LinkFault::OutOfStep),
            Frame::DisconnectNotice(notice) => Err(LinkFault::Notice(notice.text)),
            Frame::RudeRejection => Err(LinkFault::Rejected),
            other => {
                debug!(switch = %self.settings.switch, frame = ?other, "no answer");
                Ok(())
            }
        }
    }

    fn has_room(&self) -> bool {
        self.unanswered.len() < IN_FLIGHT
    }

    /// This one and those that wait behind it, in one write.
    async fn call(
        &mut self,
        first: (Purpose, ApiCall),
        to_send: &mut mpsc::Receiver<(Purpose, ApiCall)>,
    ) -> Result<(), LinkFault> {
        let limit = self.settings.reply_timeout;
        let writing = async {
            let mut next = Some(first);
            while let Some((purpose, call)) = next {
                self.add(purpose, call).await?;
                next = if self.has_room() { to_send.try_recv().ok() } else { None };
            }
            Ok(SinkExt::<Command>::flush(&mut self.connection).await?)
        };
        timeout(limit, writing).await.unwrap_or(Err(LinkFault::Unanswered(limit)))
    }

    /// Written with the next flush.
    async fn add(&mut self, purpose: Purpose, call: ApiCall) -> Result<(), LinkFault> {
        debug!(switch = %self.settings.switch, ?purpose, call = call.name(), "calling");
        match self.connection.feed(Command::Api(call)).await {
            Err(error) if error.class() == Class::Refused => {
                // Nothing was written and the stream is in step: what a caller made unsendable is that call's matter.
                count_error(self.settings, error.class().as_str());
                let reason = &error as &dyn std::error::Error;
                error!(switch = %self.settings.switch, error = reason, "a command cannot be sent");
                self.tell(LinkEvent::Reply(purpose, None))
            }
            Err(error) => Err(error.into()),
            Ok(()) => {
                self.settings.frames.sent.increment(1);
                self.unanswered.push_back((Instant::now() + self.settings.reply_timeout, purpose));
                Ok(())
            }
        }
    }

    /// What is queued is the last of it.
    async fn flush(&mut self, to_send: &mut mpsc::Receiver<(Purpose, ApiCall)>) -> LinkFault {
        while let Ok(first) = to_send.try_recv() {
            if let Err(fault) = self.call(first, to_send).await {
                return fault;
            }
        }
        LinkFault::Shutdown
    }

    fn tell(&self, event: LinkEvent) -> Result<(), LinkFault> {
        self.queue.try_send(event).map_err(|_| LinkFault::Overflow)
    }
}

async fn deadline(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// Unanswered calls at most. They are small enough to fit into the switch's socket buffers all together, so that neither
/// side ever waits for the other to read.
const IN_FLIGHT: usize = 128;
