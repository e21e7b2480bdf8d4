//! What the connections tell the desk, and the desk the connections.

use std::sync::Arc;

use bytes::Bytes;
use protocol_codecs::diameter::ResultCode;
use tokio::sync::mpsc;

use crate::credit::{Ask, Rendered, Reply};

/// One connection, for as long as the process lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct ConnectionId(pub u64);

/// To the desk.
#[derive(Debug)]
pub(super) enum ToDesk {
    /// A peer's capabilities are exchanged.
    Opened {
        id: ConnectionId,
        peer: Arc<str>,
        /// Its Origin-State-Id.
        origin_state_id: Option<u32>,
        outbox: mpsc::Sender<ToPeer>,
    },
    /// A CCR.
    Asked { id: ConnectionId, ask: Box<Ask>, reply: Reply },
    /// An answer to a request of ours.
    Answered { hop_by_hop_id: u32, code: ResultCode },
    /// The peer leaves, or cannot be trusted to hear us: no further requests of ours.
    Withdrawn { id: ConnectionId },
    /// The connection is over.
    Closed { id: ConnectionId },
}

/// To a connection.
#[derive(Debug)]
pub(super) enum ToPeer {
    /// The answer to a request that it brought, and that request's way.
    Answer(Rendered, Reply),
    /// A request of ours.
    Request(Bytes),
    /// The same peer came again: this connection is old.
    Replaced,
}
