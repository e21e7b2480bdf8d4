//! Making the connections: first the one for events, subscribed before anybody asks for calls, then the one for commands.
//!
//! Which run of the switch this is only events tell. So one api call is made in the background: its result is an event,
//! and shows that events come at all.

use futures_util::SinkExt;
use protocol_codecs::esl::{ApiCall, Command, EslCodec, Event, EventFormat, EventName, Frame, Outcome};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::codec::Framed;
use types::UtcMs;

use super::{CONNECT_TIMEOUT, Connection, LinkFault, LinkSettings, next_frame};
use crate::translate::utc;

/// Two connections that stand.
pub(super) struct Opened {
    pub(super) events: Connection,
    pub(super) commands: Connection,
    pub(super) core_uuid: String,
    pub(super) told: Option<UtcMs>,
    /// Events that came before everything stood.
    pub(super) early: Vec<Event>,
}

/// Connects, introduces itself, subscribes.
pub(super) async fn both(settings: &LinkSettings) -> Result<Opened, LinkFault> {
    let making = async {
        let mut events = accepted(settings).await?;
        let mut early = Vec::new();
        let job = subscribed(settings, &mut events, &mut early).await?;
        let commands = accepted(settings).await?;
        let core_uuid = job.core_uuid().ok_or(LinkFault::Refused("to name its run"))?.to_owned();
        let told = job.date_timestamp_us().ok().flatten().map(utc);
        Ok(Opened { events, commands, core_uuid, told, early })
    };
    timeout(CONNECT_TIMEOUT, making).await.map_err(|_| LinkFault::ConnectTimeout(CONNECT_TIMEOUT))?
}

async fn accepted(settings: &LinkSettings) -> Result<Connection, LinkFault> {
    let stream = TcpStream::connect(&*settings.address).await.map_err(LinkFault::Connect)?;
    agent_runtime::watch_peer(&stream).map_err(LinkFault::Connect)?;
    let mut connection = Framed::with_capacity(stream, EslCodec::new(), READ_BYTES);
    loop {
        match next_frame(settings, &mut connection).await? {
            Frame::AuthRequest => break,
            Frame::RudeRejection => return Err(LinkFault::Rejected),
            _ => {}
        }
    }
    say(settings, &mut connection, &Command::Auth { password: settings.password.clone() }).await?;
    match reply(settings, &mut connection, &mut Vec::new()).await? {
        true => Ok(connection),
        false => Err(LinkFault::Password),
    }
}

/// The event that answers the call in the background.
async fn subscribed(
    settings: &LinkSettings,
    connection: &mut Connection,
    early: &mut Vec<Event>,
) -> Result<Event, LinkFault> {
    let names = SUBSCRIBED.iter().copied().chain([EventName::BackgroundJob]).collect();
    let subscribe = Command::Event { format: EventFormat::Json, names, subclasses: vec![] };
    say(settings, connection, &subscribe).await?;
    if !reply(settings, connection, early).await? {
        return Err(LinkFault::Refused("the subscription to its events"));
    }
    say(settings, connection, &Command::BgApi { call: ApiCall::Version, job_uuid: None }).await?;
    let job_uuid = loop {
        match next_frame(settings, connection).await? {
            Frame::CommandReply(reply) => break reply.job_uuid().map(str::to_owned),
            other => take_early(settings, other, early)?,
        }
    };
    let job_uuid = job_uuid.ok_or(LinkFault::Refused("api calls in the background"))?;
    let is_job = |event: &Event| event.job_uuid() == Some(&*job_uuid);
    let job = loop {
        if let Some(found) = early.iter().position(is_job) {
            break early.remove(found);
        }
        let frame = next_frame(settings, connection).await?;
        take_early(settings, frame, early)?;
    };
    // Other clients' results are sent to everybody. The reply comes among the events.
    say(settings, connection, &Command::NixEvent { names: vec![EventName::BackgroundJob] }).await?;
    Ok(job)
}

/// Was the last command taken?
async fn reply(
    settings: &LinkSettings,
    connection: &mut Connection,
    early: &mut Vec<Event>,
) -> Result<bool, LinkFault> {
    loop {
        match next_frame(settings, connection).await? {
            Frame::CommandReply(reply) => return Ok(!matches!(reply.outcome(), Outcome::Failed(_))),
            other => take_early(settings, other, early)?,
        }
    }
}

fn take_early(settings: &LinkSettings, frame: Frame, early: &mut Vec<Event>) -> Result<(), LinkFault> {
    match frame {
        Frame::Event(event) if early.len() < settings.queued_messages => early.push(event),
        Frame::Event(_) => return Err(LinkFault::Overflow),
        Frame::DisconnectNotice(notice) => return Err(LinkFault::Notice(notice.text)),
        Frame::RudeRejection => return Err(LinkFault::Rejected),
        _ => {}
    }
    Ok(())
}

async fn say(settings: &LinkSettings, connection: &mut Connection, command: &Command) -> Result<(), LinkFault> {
    settings.frames.sent.increment(1);
    Ok(connection.send(command).await?)
}

/// What charging needs, and no more: all events are 25 frames and 110 kB a call, these are 9 for both legs.
const SUBSCRIBED: &[EventName] = &[
    EventName::ChannelPark,
    EventName::ChannelProgress,
    EventName::ChannelProgressMedia,
    EventName::ChannelAnswer,
    EventName::ChannelBridge,
    EventName::ChannelHold,
    EventName::ChannelUnhold,
    EventName::ChannelHangup,
    EventName::ChannelHangupComplete,
    EventName::Heartbeat,
    EventName::Shutdown,
];

/// Several events: the codec's advice.
const READ_BYTES: usize = 65_536;
