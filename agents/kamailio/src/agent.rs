//! One Kamailio's agent: the loop that joins its connection and its calls.

use std::collections::HashMap;
use std::sync::Arc;

use agent_call::SwitchEvent;
use agent_runtime::{CallDriver, Order, UnknownEnd, names};
use metrics::counter;
use protocol_codecs::evapi::{CallFields, EndCause, FromKamailio, ReplyStatus, ToKamailio};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};
use types::{ReleaseCause, SessionId};

use crate::command;
use crate::config::{KamailioConfig, SwitchConfig};
use crate::link::{Link, LinkEvent, LinkSettings, QUEUED_MESSAGES};
use crate::native::{NativeCall, session_id};
use crate::resync::Resync;
use crate::translate::{self, End};

/// What an agent is made of.
pub struct AgentParts {
    /// The agent's configuration.
    pub config: Arc<KamailioConfig>,
    /// The Kamailio this one is for.
    pub switch: SwitchConfig,
    /// Its calls, still empty.
    pub driver: CallDriver,
    /// Cancelled when no new calls are wanted and the agent shall end.
    pub shutdown: CancellationToken,
}

/// The agent of one Kamailio. Run it with [`Agent::run`].
pub struct Agent {
    config: Arc<KamailioConfig>,
    pub(crate) switch: Arc<str>,
    pub(crate) driver: CallDriver,
    pub(crate) link: Link,
    link_task: tokio::task::JoinHandle<()>,
    link_shutdown: CancellationToken,
    shutdown: CancellationToken,
    pub(crate) calls: HashMap<SessionId, NativeCall>,
    pub(crate) run: Option<String>,
    pub(crate) resync: Resync,
}

impl Agent {
    /// Loads the open sessions from the charging core, trying for ever, then connects and serves until shutdown. Kamailio
    /// sees no agent before the core has answered, and treats new calls as its configuration says for that case.
    pub async fn run(mut parts: AgentParts) {
        if !parts.driver.restored(parts.config.reconnect_longest.std(), &parts.shutdown).await {
            return;
        }
        let (config, link_shutdown) = (&parts.config, CancellationToken::new());
        let settings = LinkSettings {
            switch: Arc::from(&*parts.switch.name),
            address: parts.switch.address.clone(),
            tag: config.tag.clone(),
            client_id: parts.driver.client_id().as_str().into(),
            ping_interval: config.ping_interval.std(),
            reconnect_longest: config.reconnect_longest.std(),
            queued_messages: QUEUED_MESSAGES,
        };
        let (link, link_task) = Link::start(settings, link_shutdown.clone());
        let agent = Self {
            switch: Arc::from(&*parts.switch.name),
            config: parts.config,
            driver: parts.driver,
            link,
            link_task,
            link_shutdown,
            shutdown: parts.shutdown,
            calls: HashMap::new(),
            run: None,
            resync: Resync::default(),
        };
        agent.serve().await;
    }

    async fn serve(mut self) {
        let mut proof = interval(self.config.calls.proof_interval.std());
        proof.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let shutdown = self.shutdown.clone();
        while !shutdown.is_cancelled() {
            tokio::select! {
                event = self.link.next() => match event {
                    Some(event) => self.linked(event),
                    None => break,
                },
                () = self.driver.step() => {}
                _ = proof.tick() => self.look_after_calls(),
                () = shutdown.cancelled() => {}
            }
            self.carry_orders();
        }
        self.finish().await;
    }

    /// No new calls; what is under way with core and journal is finished. Calls stay up: the switch has their backstop,
    /// and the next start takes them over.
    async fn finish(mut self) {
        self.driver.drain();
        info!(switch = %self.switch, unsettled = self.driver.unsettled(), "finishing");
        while self.driver.unsettled() > 0 {
            tokio::select! {
                event = self.link.next(), if self.link.is_up() => if let Some(event) = event { self.linked(event) },
                () = self.driver.step() => {}
            }
            self.carry_orders();
        }
        self.driver.log_proofs();
        self.link_shutdown.cancel();
        let Self { link, link_task, switch, driver, .. } = self;
        drop(link);
        if let Err(error) = link_task.await {
            warn!(%switch, %error, "the connection task died");
        }
        info!(%switch, calls_left_up = driver.sessions().count(), "finished");
    }

    fn linked(&mut self, event: LinkEvent) {
        match event {
            LinkEvent::Up { run } => self.connected(run),
            LinkEvent::Down => self.driver.switch_lost(),
            LinkEvent::Message(message) => self.received(*message),
        }
    }

    fn received(&mut self, message: FromKamailio) {
        match message {
            FromKamailio::AuthRequest { tr_index, tr_label, call } => {
                let session = self.learn(&call, |native| native.transaction = Some((tr_index, tr_label)));
                let offer = translate::offer(&self.config, &self.switch, session, &call);
                self.driver.offer(offer);
            }
            FromKamailio::CallRinging { call, .. } => self.ringing(&call),
            FromKamailio::CallStart { call, to_tag, answer_time, .. } => {
                let list = if self.resync.listing { self.resync.list } else { 0 };
                let session = self.learn(&call, |native| (native.to_tag, native.answered_in) = (to_tag, list));
                let answer = translate::answer(answer_time, &call);
                if !self.driver.event(&session, SwitchEvent::Answered(answer)) {
                    self.unknown_answered(session, &call, answer);
                }
            }
            FromKamailio::CallAlive { call, to_tag, answer_time, .. } => {
                let session = self.learn(&call, |native| native.to_tag = to_tag);
                self.call_seen(&session);
                let answer = translate::answer(answer_time, &call);
                if !self.driver.event(&session, SwitchEvent::Alive(answer)) {
                    self.unknown_answered(session, &call, answer);
                }
            }
            FromKamailio::CallEnd {
                call,
                end_id,
                to_tag,
                answer_time,
                end_time,
                ended_by,
                cause,
                rtp_stat,
                q850,
                ..
            } => {
                let replayed = self.resync.resending;
                let (by, stat) = (&ended_by, rtp_stat.as_deref());
                let end = End { answer_time, end_time, ended_by: by, cause: &cause, q850, rtp_stat: stat, replayed };
                if let EndCause::Other(word) = &cause {
                    debug!(switch = %self.switch, word, "ended by DISCONNECT");
                }
                self.ended(&call, end_id, to_tag, translate::ended(&end));
            }
            FromKamailio::CallFailed { call, end_id, end_time, sip_status, cause, .. } => {
                let end = translate::failed(end_time, sip_status, &cause, self.resync.resending);
                self.ended(&call, end_id, None, end);
            }
            FromKamailio::CallListDone { list_id, .. } => self.list_done(&list_id),
            FromKamailio::ResendDone { .. } => self.ends_told(),
            FromKamailio::DisconnectReply { status, h_entry, h_id } => self.disconnected(&status, h_entry, h_id),
            FromKamailio::SetTimeoutReply { status, h_entry, h_id } if status != ReplyStatus::Ok => {
                debug!(switch = %self.switch, h_entry, h_id, "the backstop was not moved: the call is over");
            }
            FromKamailio::SetTimeoutReply { .. } | FromKamailio::Pong { .. } => {}
            FromKamailio::Error { reason, .. } => {
                // The INVITE is gone already: its CALL_FAILED tells the rest.
                debug!(switch = %self.switch, reason, "Kamailio could not obey");
            }
            FromKamailio::HelloReply { .. } => self.ignored("hello_reply"),
            FromKamailio::Other { .. } => self.ignored("unknown_event"),
        }
    }

    fn ringing(&mut self, call: &CallFields) {
        let session = self.learn(call, |_| {});
        if !self.driver.event(&session, SwitchEvent::Ringing) {
            if call.never_refuse {
                self.driver.offer(translate::offer(&self.config, &self.switch, session, call));
            } else {
                self.calls.remove(&session);
                self.ignored("ringing_of_unknown_call");
            }
        }
    }

    /// An answered call that we do not know: the agent was away, or the operator lets calls through without us.
    fn unknown_answered(&mut self, session: SessionId, call: &CallFields, answer: agent_call::Answer) {
        if self.driver.finished_lately(&session) {
            self.calls.remove(&session);
            return;
        }
        let offer = translate::offer(&self.config, &self.switch, session.clone(), call);
        self.driver.adopt(offer, answer);
        if !call.never_refuse && self.config.calls.unknown_calls == agent_runtime::UnknownCalls::Release {
            self.driver.release(&session, ReleaseCause::Operator);
        }
    }

    fn ended(&mut self, call: &CallFields, end_id: String, to_tag: Option<String>, end: agent_call::CallEnd) {
        let session = session_id(&self.switch, call);
        if self.driver.finished_lately(&session) {
            self.link.send(ToKamailio::CallEndAck { end_id });
            return;
        }
        self.learn(call, |native| {
            native.end_id = Some(end_id);
            native.to_tag = to_tag.or(native.to_tag.take());
        });
        if !self.driver.knows(&session) {
            let offer = translate::offer(&self.config, &self.switch, session, call);
            self.driver.unknown_ended(UnknownEnd { offer: offer.into(), end });
        } else {
            self.driver.event(&session, SwitchEvent::Ended(end));
        }
    }

    /// Nothing to end means that it has ended: its CALL_END is on the way or was lost.
    fn disconnected(&mut self, status: &ReplyStatus, h_entry: u32, h_id: u32) {
        if *status != ReplyStatus::Ok {
            debug!(switch = %self.switch, h_entry, h_id, status = status.as_str(), "DISCONNECT without effect");
            self.ask_for_ends();
            self.ask_for_calls();
        }
    }

    fn learn(&mut self, fields: &CallFields, more: impl FnOnce(&mut NativeCall)) -> SessionId {
        let session = session_id(&self.switch, fields);
        let native = self.calls.entry(session.clone()).or_insert_with(|| NativeCall::of(fields));
        if native.callid.is_empty() {
            *native = NativeCall { missing: native.missing, ..NativeCall::of(fields) };
        }
        more(native);
        session
    }

    pub(crate) fn carry_orders(&mut self) {
        let orders: Vec<Order> = self.driver.orders().collect();
        for order in orders {
            match order {
                Order::Command(session, command) => {
                    let message = self.calls.get_mut(&session).and_then(|native| command::message(command, native));
                    if let Some(message) = message {
                        self.link.send(message);
                    }
                }
                Order::Finished(session) => {
                    if let Some(end_id) = self.calls.remove(&session).and_then(|native| native.end_id) {
                        self.link.send(ToKamailio::CallEndAck { end_id });
                    }
                }
                Order::Resync => {
                    self.ask_for_ends();
                    self.ask_for_calls();
                }
            }
        }
    }

    pub(crate) fn switch_label(&self) -> Arc<str> {
        Arc::clone(&self.switch)
    }

    fn ignored(&self, reason: &'static str) {
        counter!(names::EVENTS_IGNORED, "switch" => self.switch_label(), "reason" => reason).increment(1);
    }
}
