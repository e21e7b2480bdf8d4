//! Who is connected and who was refused, for whoever looks: `tollkeeper diameter peers`.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use agent_runtime::Clock;
use protocol_codecs::diameter::ResultCode;
use serde::{Deserialize, Serialize};
use types::UtcMs;

use crate::peer::WatchdogState;

/// Everything there is to see of one agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeersReport {
    /// The agent, as configured.
    pub agent: String,
    /// Our Origin-Host.
    pub origin_host: String,
    /// Open connections, by host.
    pub connected: Vec<ConnectedPeer>,
    /// Refused lately, the last one first; at most 256.
    pub refused: Vec<RefusedPeer>,
}

/// A connection whose capabilities are exchanged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectedPeer {
    /// Origin-Host.
    pub host: String,
    /// Origin-Realm.
    pub realm: String,
    /// Where it connects from.
    pub address: SocketAddr,
    /// It brings requests of others.
    pub relay: bool,
    /// Over TLS.
    pub tls: bool,
    /// Since when, ISO 8601 UTC.
    pub since: String,
    /// State of the watchdog (RFC 3539): `okay`, `suspect`, `reopen`, `down`, `initial`.
    pub watchdog: String,
    /// Requests taken and not answered.
    pub in_flight: usize,
    /// Credit-control requests since it connected.
    pub requests: u64,
}

/// Somebody who wanted to connect and was not let in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedPeer {
    /// Origin-Host as it said; empty: it did not come so far.
    pub host: String,
    /// Origin-Realm as it said.
    pub realm: String,
    /// Where it connected from the last time.
    pub address: SocketAddr,
    /// Why: `unknown`, `wrong_realm_or_address`, `certificate_of_another`, `no_common_application`, `wants_tls`, `our_own_name`,
    /// `another_name`, `unreadable`, `tls`.
    pub reason: String,
    /// What its CER was answered; absent: it had none.
    pub result_code: Option<u32>,
    /// How often.
    pub count: u64,
    /// The first time, ISO 8601 UTC.
    pub first: String,
    /// The last time.
    pub last: String,
}

/// The board of one agent; clones of the `Arc` show the same.
#[derive(Debug)]
pub struct PeerBoard {
    agent: Box<str>,
    origin_host: Box<str>,
    clock: Clock,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    connected: BTreeMap<u64, Arc<PeerLine>>,
    refused: HashMap<Key, Refusals>,
}

/// Host, realm, address, reason.
type Key = (Box<str>, Box<str>, IpAddr, &'static str);

#[derive(Debug)]
struct Refusals {
    address: SocketAddr,
    code: Option<u32>,
    count: u64,
    first: UtcMs,
    last: UtcMs,
}

/// One connection; it writes, the board reads.
#[derive(Debug)]
pub(super) struct PeerLine {
    pub host: Box<str>,
    pub realm: Box<str>,
    pub address: SocketAddr,
    pub relay: bool,
    pub tls: bool,
    since: UtcMs,
    watchdog: AtomicU8,
    in_flight: AtomicUsize,
    requests: AtomicU64,
}

impl PeerLine {
    /// As it stands now.
    pub fn show(&self, watchdog: WatchdogState, in_flight: usize) {
        let at = WATCHDOGS.iter().position(|(state, _)| *state == watchdog);
        self.watchdog.store(at.and_then(|at| u8::try_from(at).ok()).unwrap_or(0), Ordering::Relaxed);
        self.in_flight.store(in_flight, Ordering::Relaxed);
    }

    /// One more request.
    pub fn requested(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }
}

/// Who wants to connect, as far as it is known.
pub(super) struct Caller<'a> {
    pub host: &'a str,
    pub realm: &'a str,
    pub address: SocketAddr,
    pub relay: bool,
    pub tls: bool,
}

impl PeerBoard {
    pub(super) fn new(agent: &str, origin_host: &str, clock: Clock) -> Self {
        Self { agent: agent.into(), origin_host: origin_host.into(), clock, state: Mutex::default() }
    }

    /// As it stands now.
    pub fn report(&self) -> PeersReport {
        let state = self.state();
        let mut connected: Vec<_> = state.connected.values().map(|line| shown(line)).collect();
        connected.sort_by(|one, other| (&one.host, one.address).cmp(&(&other.host, other.address)));
        let mut refused: Vec<_> = state.refused.iter().collect();
        refused.sort_by_key(|(_, refusals)| std::cmp::Reverse(refusals.last));
        PeersReport {
            agent: self.agent.to_string(),
            origin_host: self.origin_host.to_string(),
            connected,
            refused: refused.into_iter().map(told).collect(),
        }
    }

    pub(super) fn connected(&self, id: u64, caller: &Caller<'_>) -> Arc<PeerLine> {
        let line = Arc::new(PeerLine {
            host: caller.host.into(),
            realm: caller.realm.into(),
            address: caller.address,
            relay: caller.relay,
            tls: caller.tls,
            since: self.clock.now().utc,
            watchdog: AtomicU8::new(0),
            in_flight: AtomicUsize::new(0),
            requests: AtomicU64::new(0),
        });
        let mut state = self.state();
        // Who is let in is not refused any more.
        state.refused.retain(|(host, ..), _| !host.eq_ignore_ascii_case(caller.host) || host.is_empty());
        state.connected.insert(id, Arc::clone(&line));
        line
    }

    pub(super) fn gone(&self, id: u64) {
        self.state().connected.remove(&id);
    }

    pub(super) fn refused(&self, caller: &Caller<'_>, reason: &'static str, code: Option<ResultCode>) {
        let now = self.clock.now().utc;
        let short = |text: &str| text.chars().take(TEXT_MAX).collect::<String>().to_ascii_lowercase().into_boxed_str();
        let key = (short(caller.host), short(caller.realm), caller.address.ip(), reason);
        let mut state = self.state();
        if state.refused.len() >= REFUSED_MAX && !state.refused.contains_key(&key) {
            let oldest = state.refused.iter().min_by_key(|(_, refusals)| refusals.last).map(|(key, _)| key.clone());
            if let Some(oldest) = oldest {
                state.refused.remove(&oldest);
            }
        }
        let new = || Refusals { address: caller.address, code: None, count: 0, first: now, last: now };
        let refusals = state.refused.entry(key).or_insert_with(new);
        (refusals.address, refusals.last) = (caller.address, now);
        refusals.code = code.map(|code| code.0);
        refusals.count = refusals.count.saturating_add(1);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn shown(line: &PeerLine) -> ConnectedPeer {
    let watchdog = WATCHDOGS.get(usize::from(line.watchdog.load(Ordering::Relaxed))).map_or("", |(_, name)| name);
    ConnectedPeer {
        host: line.host.to_string(),
        realm: line.realm.to_string(),
        address: line.address,
        relay: line.relay,
        tls: line.tls,
        since: line.since.to_string(),
        watchdog: watchdog.to_owned(),
        in_flight: line.in_flight.load(Ordering::Relaxed),
        requests: line.requests.load(Ordering::Relaxed),
    }
}

fn told(((host, realm, _, reason), refusals): (&Key, &Refusals)) -> RefusedPeer {
    RefusedPeer {
        host: host.to_string(),
        realm: realm.to_string(),
        address: refusals.address,
        reason: (*reason).to_owned(),
        result_code: refusals.code,
        count: refusals.count,
        first: refusals.first.to_string(),
        last: refusals.last.to_string(),
    }
}

const WATCHDOGS: [(WatchdogState, &str); 5] = [
    (WatchdogState::Initial, "initial"),
    (WatchdogState::Okay, "okay"),
    (WatchdogState::Suspect, "suspect"),
    (WatchdogState::Reopen, "reopen"),
    (WatchdogState::Down, "down"),
];
/// Strangers must not fill the memory.
const REFUSED_MAX: usize = 256;
const TEXT_MAX: usize = 255;
