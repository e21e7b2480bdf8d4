//! The connection that carries api calls. Each has exactly one answer, in the order of the calls, and its own deadline.

use std::collections::VecDeque;
use std::sync::Arc;

use agent_runtime::names;
use futures_util::SinkExt;
use metrics::counter;
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
            Some((purpose, call)) = to_send.recv(), if commands.unanswered.len() < IN_FLIGHT => {
                commands.call(purpose, call).await
            }
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

    async fn call(&mut self, purpose: Purpose, call: ApiCall) -> Result<(), LinkFault> {
        let limit = self.settings.reply_timeout;
        debug!(switch = %self.settings.switch, ?purpose, call = call.name(), "calling");
        match timeout(limit, self.connection.send(Command::Api(call))).await {
            Err(_) => Err(LinkFault::Unanswered(limit)),
            Ok(Err(error)) if error.class() == Class::Refused => {
                // Nothing was written and the stream is in step: what a caller made unsendable is that call's matter.
                count_error(self.settings, error.class().as_str());
                let reason = &error as &dyn std::error::Error;
                error!(switch = %self.settings.switch, error = reason, "a command cannot be sent");
                self.tell(LinkEvent::Reply(purpose, None))
            }
            Ok(Err(error)) => Err(error.into()),
            Ok(Ok(())) => {
                counter!(names::FRAMES_OUT, "switch" => Arc::clone(&self.settings.switch)).increment(1);
                self.unanswered.push_back((Instant::now() + limit, purpose));
                Ok(())
            }
        }
    }

    /// What is queued is the last of it.
    async fn flush(&mut self, to_send: &mut mpsc::Receiver<(Purpose, ApiCall)>) -> LinkFault {
        while let Ok((purpose, call)) = to_send.try_recv() {
            if let Err(fault) = self.call(purpose, call).await {
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
