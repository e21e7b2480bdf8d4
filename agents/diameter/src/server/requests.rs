//! Our own requests, RAR and ASR: sent where the session's client was heard last, repeated until they are answered, given up with an
//! alarm.

use std::collections::HashMap;

use bytes::Bytes;
use metrics::counter;
use protocol_codecs::diameter::{
    AbortSessionRequest, Command, EncodedMessage, Exchange, Identity, ReAuthRequest, ReAuthRequestType, ResultCode,
    application,
};
use tracing::{error, info, warn};
use types::MonoMs;
use types::charging::NotificationKind;

use crate::credit::Memory;
use crate::metric;

use super::desk::Desk;
use super::inbox::{ConnectionId, ToPeer};

/// Requests on their way.
#[derive(Debug)]
pub(super) struct OwnRequests {
    waiting: HashMap<u32, OwnRequest>,
    next_id: u32,
}

#[derive(Debug)]
struct OwnRequest {
    session_id: Box<str>,
    via: Box<str>,
    message: EncodedMessage,
    kind: &'static str,
    sequence: u64,
    attempts: u32,
    due: MonoMs,
}

impl OwnRequests {
    /// `seed` keeps the End-to-End ids apart from those before a restart.
    pub fn new(seed: u32) -> Self {
        Self { waiting: HashMap::new(), next_id: seed << 12 }
    }

    fn next_id(&mut self) -> u32 {
        self.next_id = self.next_id.wrapping_add(1);
        // The lower half belongs to the connections' own requests.
        self.next_id | 0x8000_0000
    }
}

impl Desk {
    /// Tells the session's client, over the connection it lives on. Always takes note of the sequence.
    pub(super) fn request(&mut self, session_id: &str, memory: &Memory, kind: NotificationKind, sequence: u64) {
        let id = self.own.next_id();
        let exchange = Exchange::new(id, id);
        let origin = (Identity::from(&*self.config.origin_host), Identity::from(self.config.realm()));
        let client = (Identity::from(&*memory.origin_host), Identity::from(&*memory.origin_realm));
        let (name, encoded) = match kind {
            NotificationKind::Reauthorize => {
                ("RAR", reauthorize(session_id, origin, client, self.origin_state_id, exchange))
            }
            NotificationKind::Abort(_) => ("ASR", abort(session_id, origin, client, self.origin_state_id, exchange)),
        };
        let message = match encoded {
            Ok(message) => message,
            Err(error) => {
                error!(agent = %self.config.name, session_id, error = &error as &dyn std::error::Error, "a request cannot be sent");
                return self.notices.done(sequence);
            }
        };
        let (via, due) = (memory.via.clone(), self.now());
        let session_id = session_id.into();
        self.own.waiting.insert(id, OwnRequest { session_id, via, message, kind: name, sequence, attempts: 0, due });
        self.repeat_own_requests(due);
    }

    /// Sends what is due, and gives up what was sent often enough.
    pub(super) fn repeat_own_requests(&mut self, now: MonoMs) {
        let due: Vec<u32> = self.own.waiting.iter().filter(|(_, own)| own.due <= now).map(|(id, _)| *id).collect();
        for id in due {
            let Some(own) = self.own.waiting.get(&id) else { continue };
            if own.attempts >= self.config.limits.request_attempts {
                self.give_up(id);
                continue;
            }
            let way = self.way_to(&own.session_id, &own.via);
            let Some(own) = self.own.waiting.get_mut(&id) else { continue };
            let bytes = if own.attempts == 0 { own.message.clone() } else { own.message.retransmitted(id) };
            own.attempts += 1;
            own.due = now.plus(self.config.limits.request_timeout.ms());
            let bytes: Bytes = bytes.bytes().clone();
            if let Some(way) = way {
                self.send(way, ToPeer::Request(bytes));
            }
        }
    }

    fn way_to(&self, session_id: &str, via: &str) -> Option<ConnectionId> {
        let usable = |id: &ConnectionId| self.lines.get(id).is_some_and(|line| line.usable);
        let last = self.sessions.get(session_id).and_then(|session| session.connection).filter(usable);
        last.or_else(|| self.by_name.get(&*via.to_ascii_lowercase()).copied().filter(usable))
    }

    fn give_up(&mut self, id: u32) {
        let Some(own) = self.own.waiting.remove(&id) else { return };
        counter!(metric::OWN, "switch" => self.label(), "command" => own.kind, "outcome" => "unanswered").increment(1);
        error!(agent = %self.config.name, session_id = %own.session_id, command = own.kind, attempts = own.attempts, via = %own.via, "alarm: a peer does not answer; its session goes on to the end of its grant");
        self.notices.done(own.sequence);
    }

    /// A peer answered a request of ours.
    pub(super) fn own_answered(&mut self, hop_by_hop_id: u32, code: ResultCode) {
        let Some(own) = self.own.waiting.get_mut(&hop_by_hop_id) else {
            counter!(metric::IGNORED, "switch" => self.label(), "reason" => "unmatched_answer").increment(1);
            return;
        };
        if code == ResultCode::TOO_BUSY || code == ResultCode::UNABLE_TO_DELIVER {
            // Again when it is due.
            return;
        }
        let (kind, sequence) = (own.kind, own.sequence);
        let outcome = if code.is_success() { "accepted" } else { "refused" };
        counter!(metric::OWN, "switch" => self.label(), "command" => kind, "outcome" => outcome).increment(1);
        if let Some(own) = self.own.waiting.remove(&hop_by_hop_id) {
            if code.is_success() {
                info!(agent = %self.config.name, session_id = %own.session_id, command = kind, "the peer obeys");
            } else {
                warn!(agent = %self.config.name, session_id = %own.session_id, command = kind, result_code = code.0, "the peer refused our request");
            }
        }
        self.notices.done(sequence);
    }
}

type Names<'a> = (Identity<'a>, Identity<'a>);
type Encoded = Result<EncodedMessage, protocol_codecs::diameter::EncodeError>;

fn reauthorize(session_id: &str, origin: Names<'_>, client: Names<'_>, state: u32, exchange: Exchange) -> Encoded {
    let request = ReAuthRequest {
        session_id: session_id.into(),
        origin_host: origin.0,
        origin_realm: origin.1,
        destination_realm: client.1,
        destination_host: client.0,
        auth_application_id: application::CREDIT_CONTROL,
        re_auth_request_type: ReAuthRequestType::AuthorizeOnly,
        user_name: None,
        origin_state_id: Some(state),
        cc_sub_session_id: None,
        gsu_pool_identifier: None,
        service_identifier: None,
        rating_group: None,
        proxy_infos: Vec::new(),
        route_records: Vec::new(),
    };
    request.encoded(exchange)
}

fn abort(session_id: &str, origin: Names<'_>, client: Names<'_>, state: u32, exchange: Exchange) -> Encoded {
    let request = AbortSessionRequest {
        session_id: session_id.into(),
        origin_host: origin.0,
        origin_realm: origin.1,
        destination_realm: client.1,
        destination_host: client.0,
        auth_application_id: application::CREDIT_CONTROL,
        user_name: None,
        origin_state_id: Some(state),
        proxy_infos: Vec::new(),
        route_records: Vec::new(),
    };
    request.encoded(exchange)
}
