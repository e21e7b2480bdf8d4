//! One switch's agent: the loop that joins its connections and its calls.

mod calls;
mod empty_balance;
mod legs;
mod park;
mod replies;
mod socket;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use agent_call::{CallEnd, SwitchEvent};
use agent_runtime::{CallDriver, Order, names};
use metrics::counter;
use protocol_codecs::Masked;
use protocol_codecs::esl::{ApiCall, Event};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use types::{MonoMs, SessionId, UtcMs};

use crate::command::{self, Purpose};
use crate::config::{FreeswitchConfig, SwitchConfig};
use crate::lag::Lag;
use crate::link::{Frames, Link, LinkEvent, LinkSettings, QUEUED_MESSAGES};
use crate::native::NativeCall;
use crate::resync::Resync;
use crate::socket::{SocketServer, SocketSettings};
use crate::translate::{self, Told, TranslateError};
use calls::ChannelNews;
pub(crate) use legs::{Legs, remaining_ms};

/// What an agent is made of.
pub struct AgentParts {
    /// The agent's configuration.
    pub config: Arc<FreeswitchConfig>,
    /// The switch this one is for.
    pub switch: SwitchConfig,
    /// The password of its event socket ([`SwitchConfig::password`]).
    pub password: Masked,
    /// Its calls, still empty.
    pub driver: CallDriver,
    /// Cancelled when no new calls are wanted and the agent shall end.
    pub shutdown: CancellationToken,
}

/// The agent of one switch. Run it with [`Agent::run`].
pub struct Agent {
    pub(crate) config: Arc<FreeswitchConfig>,
    pub(crate) switch: Arc<str>,
    pub(crate) driver: CallDriver,
    pub(crate) link: Link,
    link_task: tokio::task::JoinHandle<()>,
    link_shutdown: CancellationToken,
    shutdown: CancellationToken,
    pub(crate) calls: HashMap<SessionId, NativeCall>,
    pub(crate) resync: Resync,
    pub(crate) lag: Lag,
    /// The newest event of this connection, by the switch's clock.
    pub(crate) newest_event: UtcMs,
    pub(crate) legs: Legs,
    begun: Instant,
    /// Calls that were hung up, oldest first; their final numbers are awaited until then.
    hung_up: VecDeque<(Instant, SessionId, CallEnd)>,
    /// Where the dialplan's `socket` application connects.
    socket: SocketServer,
    outbound: socket::Outbound,
    /// Calls that were told to leave their conversation, and when they are asked whether they have.
    leaving: VecDeque<(Instant, SessionId)>,
}

impl Agent {
    /// Loads the open sessions from the charging core, trying for ever, then connects and serves until shutdown. Calls
    /// that park meanwhile wait, or end by the dialplan's `park_timeout`.
    pub async fn run(mut parts: AgentParts) {
        if !parts.driver.restored(parts.config.reconnect_longest.std(), &parts.shutdown).await {
            return;
        }
        let (config, link_shutdown) = (&parts.config, CancellationToken::new());
        let switch: Arc<str> = Arc::from(&*parts.switch.name);
        let settings = LinkSettings {
            frames: Frames::of(&switch),
            switch: Arc::clone(&switch),
            address: parts.switch.address.clone(),
            password: parts.password,
            heartbeat_timeout: config.heartbeat_timeout.std(),
            reply_timeout: config.reply_timeout.std(),
            reconnect_longest: config.reconnect_longest.std(),
            queued_messages: QUEUED_MESSAGES,
        };
        let (link, link_task) = Link::start(settings, link_shutdown.clone());
        let socket = SocketServer::start(SocketSettings::of(config, &parts.switch), parts.shutdown.clone());
        let agent = Self {
            switch,
            config: parts.config,
            driver: parts.driver,
            link,
            link_task,
            link_shutdown,
            shutdown: parts.shutdown,
            calls: HashMap::new(),
            resync: Resync::default(),
            lag: Lag::default(),
            newest_event: UtcMs(0),
            legs: Legs::default(),
            begun: Instant::now(),
            hung_up: VecDeque::new(),
            socket,
            outbound: socket::Outbound::new(),
            leaving: VecDeque::new(),
        };
        agent.serve().await;
    }

    async fn serve(mut self) {
        let mut proof = interval(self.config.calls.proof_interval.std());
        proof.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let shutdown = self.shutdown.clone();
        while !shutdown.is_cancelled() {
            let due = self.next_due();
            tokio::select! {
                event = self.link.next() => match event {
                    Some(event) => self.take_turn(event),
                    None => break,
                },
                waiting = self.socket.next() => self.asked_for_a_verdict(waiting),
                () = self.driver.step() => {}
                _ = proof.tick() => self.look_after_calls(),
                () = sleep_until(due) => self.waited(),
                () = shutdown.cancelled() => {}
            }
            self.carry_orders();
        }
        self.finish().await;
    }

    /// This one and those that are here already: what came together costs one turn of the loop.
    fn take_turn(&mut self, first: LinkEvent) {
        self.linked(first);
        for _ in 1..A_TURN {
            self.carry_orders();
            let Some(event) = self.link.next_ready() else { return };
            self.linked(event);
        }
    }

    /// No new calls; what is under way with core and journal is finished. Calls stay up: the switch has their backstop,
    /// and the next start takes them over.
    async fn finish(mut self) {
        self.driver.drain();
        self.end_what_hung_up(None);
        self.carry_orders();
        info!(switch = %self.switch, unsettled = self.driver.unsettled(), "finishing");
        while self.driver.unsettled() > 0 {
            tokio::select! {
                event = self.link.next(), if self.link.is_up() => if let Some(event) = event { self.linked(event) },
                () = self.driver.step() => {}
            }
            self.end_what_hung_up(None);
            self.carry_orders();
        }
        self.driver.log_proofs();
        self.link_shutdown.cancel();
        let Self { link, link_task, switch, driver, socket, outbound, .. } = self;
        drop((link, outbound));
        socket.finish(&switch).await;
        if let Err(error) = link_task.await {
            warn!(%switch, %error, "the connections' task died");
        }
        info!(%switch, calls_left_up = driver.sessions().count(), "finished");
    }

    fn linked(&mut self, event: LinkEvent) {
        match event {
            LinkEvent::Up { core_uuid, told } => self.connected(&core_uuid, told),
            LinkEvent::Down => self.disconnected(),
            LinkEvent::Event(event) => self.received(&event),
            LinkEvent::Reply(purpose, reply) => self.replied(purpose, reply.as_ref()),
        }
    }

    fn received(&mut self, event: &Event) {
        let told = event.date_timestamp_us().ok().flatten().map(translate::utc);
        self.newest_event = self.newest_event.max(told.unwrap_or(UtcMs(0)));
        let late_ms = told.map_or(0, |told| self.lag.of(self.now(), told));
        let done = match translate::translate(&self.switch, event) {
            Ok(Told::Ignored(reason)) => {
                self.ignored(reason);
                Ok(())
            }
            Ok(Told::Call { session, other, at, news }) => {
                self.news(ChannelNews { session, other, at, late_ms, news }, event)
            }
            Err(error) => Err(error),
        };
        if let Err(error) = done {
            self.broken(&error);
        }
    }

    /// No channel, no end can be told by this connection any more.
    fn disconnected(&mut self) {
        self.end_what_hung_up(None);
        self.resync.forget();
        self.leaving.clear();
        self.legs.forget();
        for call in self.calls.values_mut() {
            // Whether the last transfer was carried out nobody knows: the channel will tell.
            (call.seen, call.missing, call.admitted) = (false, false, call.answered.is_some());
        }
        self.driver.switch_lost();
    }

    pub(crate) fn carry_orders(&mut self) {
        let orders: Vec<Order> = self.driver.orders().collect();
        for order in orders {
            self.forget_connection(&order);
            match order {
                Order::Command(session, command) => {
                    let call = self.calls.entry(session.clone()).or_default();
                    call.was_told(command, Instant::now());
                    for (purpose, api_call) in command::calls(&self.config, &session, call, command) {
                        self.link.send(purpose, api_call);
                    }
                }
                Order::Finished(session) => self.finished(&session),
                Order::Resync => self.ask_for_calls(),
            }
        }
    }

    /// When something that is waited for has been waited for long enough.
    fn next_due(&self) -> Option<Instant> {
        let hung_up = self.hung_up.front().map(|(due, _, _)| *due);
        let leaving = self.leaving.front().map(|(due, _)| *due);
        [hung_up, leaving, self.legs.next_due(), self.resync.next_due()].into_iter().flatten().min()
    }

    fn waited(&mut self) {
        self.end_what_hung_up(Some(Instant::now()));
        self.look_at_waiting(Some(Instant::now()));
        self.close_missing(Instant::now());
        self.judge_strays(Instant::now());
        self.ask_who_left(Instant::now());
    }

    /// Those whose final numbers do not come: all, or those that are due.
    fn end_what_hung_up(&mut self, due: Option<Instant>) {
        while self.hung_up.front().is_some_and(|(at, _, _)| due.is_none_or(|due| *at <= due)) {
            if let Some((_, session, end)) = self.hung_up.pop_front() {
                self.driver.event(&session, SwitchEvent::Ended(end));
            }
        }
    }

    pub(crate) fn send(&mut self, (purpose, call): (Purpose, ApiCall)) {
        self.link.send(purpose, call);
    }

    /// Our steady clock.
    pub(crate) fn now(&self) -> MonoMs {
        MonoMs(u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    pub(crate) fn switch_label(&self) -> Arc<str> {
        Arc::clone(&self.switch)
    }

    pub(crate) fn ignored(&self, reason: &'static str) {
        counter!(names::EVENTS_IGNORED, "switch" => self.switch_label(), "reason" => reason).increment(1);
    }

    pub(crate) fn broken(&self, error: &TranslateError) {
        let class = error.class().as_str();
        counter!(names::DECODE_ERRORS, "switch" => self.switch_label(), "class" => class).increment(1);
        warn!(switch = %self.switch, error = error as &dyn std::error::Error, "an event from FreeSWITCH is skipped");
    }
}

/// Messages carried out before timers and answers of the core have their turn.
const A_TURN: usize = 64;

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}
