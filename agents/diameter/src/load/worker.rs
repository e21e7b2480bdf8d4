//! One connection of the load client and the sessions that live on it.
//!
//! Bounds: one request of a session is on the way at a time, so never more than there are sessions; while more than
//! [`HIGH_WATER_BYTES`] wait to be written nothing is sent.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use protocol_codecs::diameter::{Command, DisconnectCause, Exchange, Frame};
use tokio::time::Instant;

use crate::client::{Link, LinkEnd, Node, Transport};
use crate::peer::PeerTimes;

use super::flight::{Flight, Flights, Landed, Overdue};
use super::pace::Pace;
use super::profile::{Names, request};
use super::session::{Ended, Session};
use super::tally::Tally;
use super::told::Told;
use super::{LoadError, Shared};

mod obey;

/// One place for sessions, one after the other.
#[derive(Debug)]
struct Slot {
    session: Session,
    names: Names,
    /// Where it waits, if it waits: older notes in the queues do not count.
    ticket: u64,
    on_the_way: bool,
    /// Its next request is not in the plan: it goes at once.
    urgent: bool,
}

/// See the module's documentation.
pub(super) struct Worker {
    shared: Arc<Shared>,
    node: Arc<Node>,
    connection: u32,
    slots: Vec<Option<Slot>>,
    by_id: HashMap<Box<str>, usize>,
    /// Slots whose next request may go, by ticket; an empty slot has ticket 0.
    ready: VecDeque<(usize, u64)>,
    urgent: VecDeque<(usize, u64, Instant)>,
    flights: Flights,
    pace: Pace,
    tally: Tally,
    next_ticket: u64,
    next_end_to_end: u32,
    sessions_made: u64,
    /// No new sessions from here on.
    finishing: Option<Instant>,
    /// Everything was answered by then, but for copies.
    done: Option<Instant>,
}

impl Worker {
    pub fn new(shared: Arc<Shared>, connection: u32) -> Self {
        let plan = &shared.plan;
        let seconds = u32::try_from(shared.clock.now().utc.0.div_euclid(1_000).rem_euclid(1 << 32)).unwrap_or(1);
        let node = Arc::new(Node {
            origin_host: plan.host_of(connection),
            origin_realm: plan.origin_realm.clone(),
            product_name: "tollkeeper-load".into(),
            origin_state_id: seconds.max(1),
        });
        let count = usize::try_from(plan.sessions_of(connection)).unwrap_or(0);
        Self {
            node,
            connection,
            slots: (0..count).map(|_| None).collect(),
            by_id: HashMap::new(),
            ready: (0..count).map(|slot| (slot, 0)).collect(),
            urgent: VecDeque::new(),
            flights: Flights::default(),
            pace: Pace::new(shared.start, plan.rate, (connection, plan.connections)),
            tally: Tally::default(),
            next_ticket: 0,
            // RFC 6733 section 3: the time above, a counter below.
            next_end_to_end: seconds << 20,
            sessions_made: 0,
            finishing: None,
            done: None,
            shared,
        }
    }

    /// To the end of the plan.
    pub async fn run(mut self) -> Result<Tally, LoadError> {
        let mut link = self.link().await?;
        let (mut has_opened, mut pause) = (false, PAUSE_FIRST);
        loop {
            let mut opened = false;
            let end = self.drive(&mut link, &mut opened).await;
            link.close().await;
            has_opened |= opened;
            if opened {
                pause = PAUSE_FIRST;
            }
            let Err(end) = end else { break };
            if self.is_done() || self.shared.stop.abandon.is_cancelled() {
                break;
            }
            if !has_opened || end.class() != types::ErrorClass::Retry {
                let (host, target) = (self.node.origin_host.clone(), self.shared.dial.target().into());
                return Err(LoadError::Link { host, target, source: end });
            }
            match self.link_again(&mut pause).await? {
                Some(again) => link = again,
                None => break,
            }
        }
        for flight in self.flights.drain() {
            self.tally.lost(&flight.step);
        }
        let open = self.slots.iter().flatten().filter(|slot| slot.session.stands() || slot.on_the_way);
        self.tally.left_open += u64::try_from(open.count()).unwrap_or(0);
        Ok(self.tally)
    }

    /// The next connection, later and later; `None`: time is over.
    async fn link_again(&mut self, pause: &mut Duration) -> Result<Option<Link<Transport>>, LoadError> {
        let abandon = self.shared.stop.abandon.clone();
        loop {
            tokio::select! {
                () = tokio::time::sleep(*pause) => {}
                () = abandon.cancelled() => return Ok(None),
            }
            *pause = (*pause * 2).min(PAUSE_MOST);
            self.look_ahead(Instant::now());
            if self.is_out_of_time() {
                return Ok(None);
            }
            match self.link().await {
                Ok(link) => {
                    self.tally.reconnects += 1;
                    return Ok(Some(link));
                }
                Err(error) if error.class() == types::ErrorClass::Retry => {}
                Err(error) => return Err(error),
            }
        }
    }

    async fn link(&mut self) -> Result<Link<Transport>, LoadError> {
        let transport = self.shared.dial.connect().await?;
        let times = PeerTimes { capabilities_ms: CAPABILITIES_MS, watchdog_ms: WATCHDOG_MS, leave_ms: LEAVE_MS };
        let seed = self.next_end_to_end.rotate_left(7).wrapping_add(self.connection.wrapping_mul(HOPS_APART));
        let local = transport.local();
        Ok(Link::new(transport, local, Arc::clone(&self.node), times, (self.shared.clock, seed))?)
    }

    /// Until everything is done and the peer was told, or the connection ends.
    async fn drive(&mut self, link: &mut Link<Transport>, opened: &mut bool) -> Result<(), LinkEnd> {
        let (mut frames, mut left) = (Vec::new(), false);
        let shared = Arc::clone(&self.shared);
        loop {
            let now = Instant::now();
            if link.is_open() && !*opened {
                *opened = true;
                self.send_again(link);
            }
            if *opened {
                self.look_ahead(now);
                self.send_due(link, now)?;
            }
            let is_over = self.has_lingered(now) || self.is_out_of_time() || shared.stop.abandon.is_cancelled();
            if is_over && !left {
                left = true;
                // Answers that are still on the way would keep it open.
                link.set_waiting(0);
                link.leave(DisconnectCause::DoNotWantToTalkToYou)?;
            } else if !left {
                link.set_waiting(self.flights.len());
            }
            let until = self.wakes(now, link.is_open());
            let (finishing, abandoned) = (self.finishing.is_some(), shared.stop.abandon.is_cancelled());
            let turned = tokio::select! {
                turned = link.turn(until, &mut frames) => turned,
                () = shared.stop.finish.cancelled(), if !finishing => Ok(()),
                () = shared.stop.abandon.cancelled(), if !abandoned => Ok(()),
            };
            for frame in frames.drain(..) {
                self.heard(&frame, link)?;
            }
            match turned {
                Err(LinkEnd::Closed(crate::peer::CloseReason::Left)) if left => return Ok(()),
                other => other?,
            }
        }
    }

    /// What became due by now.
    fn look_ahead(&mut self, now: Instant) {
        let over = self.shared.start + self.shared.plan.duration;
        if self.finishing.is_none() && (now >= over || self.shared.stop.finish.is_cancelled()) {
            self.finish(now);
        }
        // Sessions that are ended have one request each; before that all that is meant to be sent waits for its turn.
        let wanted = if self.none_begins() { self.by_id.len() } else { usize::MAX };
        self.pace.advance(now, wanted);
    }

    fn finish(&mut self, now: Instant) {
        let waited = self.pace.clear();
        if !self.none_begins() {
            self.tally.unsent += u64::try_from(waited).unwrap_or(0);
        }
        self.finishing = Some(now);
        for slot in self.slots.iter_mut().flatten() {
            slot.session.end();
        }
    }

    fn send_due(&mut self, link: &mut Link<Transport>, now: Instant) -> Result<(), LinkEnd> {
        let (tx, attempts) = (self.shared.plan.tx, self.shared.plan.attempts);
        while let Some(overdue) = self.flights.overdue(now, now + tx, attempts) {
            match overdue {
                Overdue::Again(id) => self.repeat(link, id),
                Overdue::Lost(flight) => self.lost(&flight, now),
            }
        }
        while link.is_open() && link.unwritten() < HIGH_WATER_BYTES {
            if let Some((slot, ticket, since)) = self.urgent.pop_front() {
                if self.waits(slot, ticket) {
                    self.send(link, slot, (since, now))?;
                }
                continue;
            }
            if self.pace.waiting() == 0 {
                break;
            }
            let Some(slot) = self.next_ready() else { break };
            let Some(meant) = self.pace.take() else { break };
            self.send(link, slot, (meant, now))?;
        }
        Ok(())
    }

    fn waits(&self, slot: usize, ticket: u64) -> bool {
        match self.slots.get(slot) {
            Some(Some(held)) => held.ticket == ticket && !held.on_the_way,
            Some(None) => ticket == 0,
            None => false,
        }
    }

    /// A slot whose next request may go; an empty one gets a new session.
    fn next_ready(&mut self) -> Option<usize> {
        loop {
            let (slot, ticket) = self.ready.pop_front()?;
            if !self.waits(slot, ticket) {
                continue;
            }
            if self.slots.get(slot)?.is_some() {
                return Some(slot);
            }
            if self.finishing.is_some() || !self.shared.may_begin() {
                continue;
            }
            self.begin(slot);
            return Some(slot);
        }
    }

    fn begin(&mut self, slot: usize) {
        let (shared, plan) = (Arc::clone(&self.shared), &self.shared.plan);
        self.sessions_made += 1;
        // Connections begin at different subscribers.
        let each = u64::from(plan.subscribers / plan.connections.max(1));
        let subscriber = (self.sessions_made - 1).wrapping_add(each.wrapping_mul(u64::from(self.connection)));
        let names = Names::new(plan, &self.node, (self.sessions_made, subscriber), shared.clock.now().utc);
        let session = Session::new(plan.groups(), plan.updates, plan.units, plan.profile.is_event());
        self.by_id.insert(names.session_id.clone(), slot);
        if let Some(place) = self.slots.get_mut(slot) {
            *place = Some(Slot { session, names, ticket: 0, on_the_way: false, urgent: false });
        }
        self.tally.begun += 1;
        shared.progress.begun.fetch_add(1, Ordering::Relaxed);
    }

    fn send(
        &mut self,
        link: &mut Link<Transport>,
        slot: usize,
        (meant, now): (Instant, Instant),
    ) -> Result<(), LinkEnd> {
        let Some(Some(held)) = self.slots.get_mut(slot) else { return Ok(()) };
        let step = held.session.step();
        let utc = self.shared.clock.now().utc;
        let ccr = request(&self.shared.plan, &self.node, &held.names, &step, utc);
        self.next_end_to_end = self.next_end_to_end.wrapping_add(1);
        let (id, hop) = (self.next_end_to_end, link.exchange().hop_by_hop_id);
        let message = ccr.encoded(Exchange::new(hop, id))?;
        link.put(message.bytes());
        held.on_the_way = true;
        held.urgent = false;
        self.flights.start(id, Flight::new(slot, step, message, meant), (hop, now + self.shared.plan.tx));
        self.tally.sent += 1;
        self.shared.progress.sent.fetch_add(1, Ordering::Relaxed);
        let every = u64::from(self.shared.plan.copies);
        if every > 0 && self.tally.sent.is_multiple_of(every) {
            self.tally.copied += 1;
            let hop = link.exchange().hop_by_hop_id;
            if let Some(copy) = self.flights.again(id, hop) {
                link.put(copy.bytes());
            }
        }
        Ok(())
    }

    fn repeat(&mut self, link: &mut Link<Transport>, id: u32) {
        if !link.is_open() {
            return;
        }
        let hop = link.exchange().hop_by_hop_id;
        if let Some(message) = self.flights.again(id, hop) {
            self.tally.retransmitted += 1;
            link.put(message.bytes());
        }
    }

    /// On a new connection: what was on the way on the old one.
    fn send_again(&mut self, link: &mut Link<Transport>) {
        for id in self.flights.all() {
            self.repeat(link, id);
        }
    }

    fn lost(&mut self, flight: &Flight, now: Instant) {
        self.tally.lost(&flight.step);
        self.shared.progress.lost.fetch_add(1, Ordering::Relaxed);
        let Some(Some(held)) = self.slots.get_mut(flight.slot) else { return };
        let ended = held.session.lost(&flight.step);
        self.after(flight.slot, ended, now);
    }

    fn heard(&mut self, frame: &Frame, link: &mut Link<Transport>) -> Result<(), LinkEnd> {
        if frame.header().flags.is_request() {
            let answer = self.asked(frame)?;
            link.put(&answer);
            return Ok(());
        }
        let now = Instant::now();
        match self.flights.land(frame) {
            Landed::Answer(flight) => {
                let told = Told::of(frame);
                self.tally.answer(&flight.step, &told, now.saturating_duration_since(flight.meant));
                self.shared.progress.answered.fetch_add(1, Ordering::Relaxed);
                let Some(Some(held)) = self.slots.get_mut(flight.slot) else { return Ok(()) };
                let ended = held.session.answered(&flight.step, &told);
                self.after(flight.slot, ended, now);
            }
            Landed::Duplicate { is_same } => {
                self.tally.duplicates += 1;
                self.tally.differing += u64::from(!is_same);
            }
            Landed::Unmatched => self.tally.unmatched += 1,
        }
        Ok(())
    }

    /// A slot's request is done with: its next one may go, or the next session.
    fn after(&mut self, slot: usize, ended: Option<Ended>, now: Instant) {
        let Some(place) = self.slots.get_mut(slot) else { return };
        if let Some(ended) = ended {
            let Some(held) = place.take() else { return };
            self.by_id.remove(&held.names.session_id);
            self.tally.ended(ended, held.session.unreported());
            self.shared.progress.ended.fetch_add(1, Ordering::Relaxed);
            self.ready.push_back((slot, 0));
            return;
        }
        let Some(held) = place else { return };
        held.on_the_way = false;
        if self.finishing.is_some() {
            held.session.end();
        }
        let urgent = held.urgent;
        self.wait(slot, urgent.then_some(now));
    }

    /// Puts a slot into its queue; `urgent`: its request goes at once, and counts from then.
    fn wait(&mut self, slot: usize, urgent: Option<Instant>) {
        self.next_ticket += 1;
        let ticket = self.next_ticket;
        if let Some(Some(held)) = self.slots.get_mut(slot) {
            held.ticket = ticket;
        }
        match urgent {
            Some(since) => self.urgent.push_back((slot, ticket, since)),
            None => self.ready.push_back((slot, ticket)),
        }
    }

    /// Nothing is on the way, no session stands, and none will begin.
    fn is_done(&self) -> bool {
        self.none_begins() && self.by_id.is_empty() && self.flights.len() == 0
    }

    /// Done, and the answers to copies are here, or do not come.
    fn has_lingered(&mut self, now: Instant) -> bool {
        if !self.is_done() {
            return false;
        }
        let since = *self.done.get_or_insert(now);
        self.flights.outstanding() == 0 || now.saturating_duration_since(since) > LINGER
    }

    fn none_begins(&self) -> bool {
        self.finishing.is_some() || self.shared.quota.load(Ordering::Relaxed) == 0
    }

    /// The sessions should have ended by now.
    fn is_out_of_time(&self) -> bool {
        let plan = &self.shared.plan;
        let pace = Duration::from_secs(u64::from(plan.sessions) / u64::from(plan.rate.max(1)));
        let patience = plan.tx.saturating_mul(plan.attempts.saturating_add(1)) + pace * 2 + PATIENCE;
        self.finishing.is_some_and(|since| Instant::now() > since + patience)
    }

    /// When there is something to do next.
    fn wakes(&self, now: Instant, is_open: bool) -> Instant {
        let over = (self.finishing.is_none()).then(|| self.shared.start + self.shared.plan.duration);
        let waits = self.pace.waiting() == 0 && !self.ready.is_empty();
        let pace = (is_open && waits).then(|| self.pace.next());
        let overdue = self.flights.due();
        [pace, overdue, over].into_iter().flatten().fold(now + LONGEST_NAP, Instant::min)
    }
}

/// More waits to be written: nothing more is sent.
const HIGH_WATER_BYTES: usize = 1_048_576;
const CAPABILITIES_MS: u64 = 10_000;
/// Tw of RFC 3539.
const WATCHDOG_MS: u64 = 30_000;
const LEAVE_MS: u64 = 5_000;
/// Hop-by-Hop ids of connections begin far from each other.
const HOPS_APART: u32 = 0x0100_0000;
const PAUSE_FIRST: Duration = Duration::from_millis(100);
const PAUSE_MOST: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(10);
const LONGEST_NAP: Duration = Duration::from_millis(250);
const LINGER: Duration = Duration::from_secs(1);
