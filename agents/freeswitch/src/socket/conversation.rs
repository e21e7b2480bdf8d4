//! One connection of the `socket` application: `connect`, the channel, a verdict, `resume` and `exit`.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use protocol_codecs::esl::{Command, CommandReply, EslCodec, EslError, Frame, Outcome};
use tokio::io::{AsyncReadExt, Take};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tokio_util::codec::{FramedRead, FramedWrite};

use super::{SocketSettings, Waiting};
use crate::native;

/// How a connection ended well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// The call went on because we said so.
    WentOn,
    /// The channel left: refused, transferred, or the caller gave up.
    Left,
}

/// How it ended otherwise; what becomes of the call is up to the dialplan.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error("the connection cannot be used")]
    Io(#[from] std::io::Error),
    #[error("the bytes are not FreeSWITCH's socket application")]
    Protocol(#[from] EslError),
    #[error("no call named within {0:?}")]
    Handshake(Duration),
    #[error("closed before it named a call")]
    Closed,
    #[error("the channel has no id, core or time of creation")]
    Nameless,
    #[error("the application runs without async; write \"async full\" behind its address")]
    NotAsync,
    #[error("the agent's queue of waiting calls is full")]
    Overflow,
    #[error("no verdict within {0:?}")]
    Verdict(Duration),
    #[error("the agent did not let it go on")]
    NotAdmitted,
    #[error("the switch did not let it go on")]
    NotResumed,
    #[error("we are shutting down")]
    Shutdown,
}

impl Ending {
    /// The metric label.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::WentOn => "went_on",
            Self::Left => "left",
        }
    }
}

impl Fault {
    /// The metric label.
    pub(super) fn as_str(&self) -> &'static str {
        match self {
            Self::Io(_) | Self::Closed => "closed",
            Self::Protocol(_) | Self::Nameless | Self::NotAsync => "unusable",
            Self::Handshake(_) => "silent",
            Self::Overflow => "too_many",
            Self::Verdict(_) => "no_verdict",
            Self::NotAdmitted => "not_admitted",
            Self::NotResumed => "not_resumed",
            Self::Shutdown => "shutdown",
        }
    }
}

struct Conversation {
    /// Not more than [`CONNECTION_BYTES`] in all.
    reading: FramedRead<Take<OwnedReadHalf>, EslCodec>,
    writing: FramedWrite<OwnedWriteHalf, EslCodec>,
}

/// From the first word to the last.
pub(super) async fn hold(
    settings: &SocketSettings,
    stream: TcpStream,
    calls: &mpsc::Sender<Waiting>,
) -> Result<Ending, Fault> {
    agent_runtime::watch_peer(&stream)?;
    let (reading, writing) = stream.into_split();
    let mut conversation = Conversation {
        reading: FramedRead::with_capacity(reading.take(CONNECTION_BYTES), EslCodec::new(), READ_BYTES),
        writing: FramedWrite::new(writing, EslCodec::new()),
    };
    let limit = settings.handshake_timeout;
    let reply = timeout(limit, conversation.say(Command::Connect)).await.map_err(|_| Fault::Handshake(limit))??;
    let reply = reply.ok_or(Fault::Closed)?;
    let channel = reply.channel().ok_or(Fault::Nameless)?;
    if reply.fields().text("Socket-Mode") != Some("async") {
        return Err(Fault::NotAsync);
    }
    let session = native::session_id(&settings.switch, channel).ok_or(Fault::Nameless)?;
    let (go_on, verdict) = oneshot::channel();
    calls.try_send(Waiting { session, go_on }).map_err(|_| Fault::Overflow)?;
    if !conversation.wait(settings.verdict_timeout, verdict).await? {
        return Ok(Ending::Left);
    }
    timeout(limit, conversation.resume()).await.map_err(|_| Fault::NotResumed)?
}

impl Conversation {
    /// Says it and waits for its answer; `None`: the connection ended instead.
    async fn say(&mut self, command: Command) -> Result<Option<CommandReply>, Fault> {
        self.writing.send(command).await?;
        while let Some(frame) = self.next().await? {
            if let Frame::CommandReply(reply) = frame {
                return Ok(Some(reply));
            }
        }
        Ok(None)
    }

    /// The next frame; `None` at the end. Broken messages say nothing that we need.
    async fn next(&mut self) -> Result<Option<Frame>, Fault> {
        while let Some(item) = self.reading.next().await {
            match item? {
                Ok(Frame::DisconnectNotice(notice)) if !notice.lingers => return Ok(None),
                Ok(frame) => return Ok(Some(frame)),
                Err(_) => {}
            }
        }
        Ok(None)
    }

    /// False: the channel is gone from here.
    async fn wait(&mut self, limit: Duration, mut verdict: oneshot::Receiver<()>) -> Result<bool, Fault> {
        let waiting = async {
            loop {
                tokio::select! {
                    biased;
                    verdict = &mut verdict => return verdict.map(|()| true).map_err(|_| Fault::NotAdmitted),
                    frame = self.next() => if frame?.is_none() {
                        return Ok(false);
                    },
                }
            }
        };
        timeout(limit, waiting).await.map_err(|_| Fault::Verdict(limit))?
    }

    /// The dialplan goes on when the connection ends, and the switch ends it.
    async fn resume(&mut self) -> Result<Ending, Fault> {
        let resumed = self.say(Command::Resume).await?.ok_or(Fault::NotResumed)?;
        if matches!(resumed.outcome(), Outcome::Failed(_)) {
            return Err(Fault::NotResumed);
        }
        self.say(Command::Exit).await?;
        while self.next().await?.is_some() {}
        Ok(Ending::WentOn)
    }
}

/// The answer to `connect` is 6 kB as recorded. A SIP message of 64 KiB, all of it in variables and encoded, is three
/// times that.
const CONNECTION_BYTES: u64 = 262_144;
/// More than the answer to `connect` usually is.
const READ_BYTES: usize = 8_192;
