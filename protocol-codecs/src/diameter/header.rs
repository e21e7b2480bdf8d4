//! The twenty bytes in front of every message (RFC 6733 section 3).

use nom::number::complete::{be_u8, be_u24, be_u32};
use nom::{IResult, Parser};

/// The only version there is.
pub const VERSION: u8 = 1;

/// Command codes of the messages this codec knows (RFC 6733 section 3.1, RFC 8506 section 3).
pub mod command {
    /// CER, CEA.
    pub const CAPABILITIES_EXCHANGE: u32 = 257;
    /// RAR, RAA.
    pub const RE_AUTH: u32 = 258;
    /// CCR, CCA.
    pub const CREDIT_CONTROL: u32 = 272;
    /// ASR, ASA.
    pub const ABORT_SESSION: u32 = 274;
    /// DWR, DWA.
    pub const DEVICE_WATCHDOG: u32 = 280;
    /// DPR, DPA.
    pub const DISCONNECT_PEER: u32 = 282;

    /// All of the above.
    pub const KNOWN: &[u32] =
        &[CAPABILITIES_EXCHANGE, RE_AUTH, CREDIT_CONTROL, ABORT_SESSION, DEVICE_WATCHDOG, DISCONNECT_PEER];
}

/// Application ids (RFC 6733 section 2.4, RFC 8506 section 2).
pub mod application {
    /// CER, DWR, DPR and their answers.
    pub const BASE: u32 = 0;
    /// CCR, RAR, ASR and their answers.
    pub const CREDIT_CONTROL: u32 = 4;
    /// What a relay advertises: everything.
    pub const RELAY: u32 = 0xFFFF_FFFF;
}

/// IANA enterprise numbers of the vendors whose AVPs are in the dictionary.
pub mod vendor {
    /// No vendor: IETF.
    pub const BASE: u32 = 0;
    /// 3GPP.
    pub const TGPP: u32 = 10_415;
}

/// The flags of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct CommandFlags(pub u8);

impl CommandFlags {
    /// R.
    pub const REQUEST: u8 = 0x80;
    /// P.
    pub const PROXIABLE: u8 = 0x40;
    /// E.
    pub const ERROR: u8 = 0x20;
    /// T.
    pub const RETRANSMITTED: u8 = 0x10;

    /// R: a request; otherwise an answer.
    pub fn is_request(self) -> bool {
        self.0 & Self::REQUEST != 0
    }

    /// P: may be proxied, relayed or redirected.
    pub fn is_proxiable(self) -> bool {
        self.0 & Self::PROXIABLE != 0
    }

    /// E: an answer that tells a protocol error.
    pub fn is_error(self) -> bool {
        self.0 & Self::ERROR != 0
    }

    /// T: perhaps sent before, over another connection.
    pub fn is_retransmitted(self) -> bool {
        self.0 & Self::RETRANSMITTED != 0
    }

    /// The four bits without a meaning.
    pub fn reserved(self) -> u8 {
        self.0 & 0x0F
    }
}

/// A message's header as it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Header {
    /// 1, or the message is answered with 5011.
    pub version: u8,
    /// Bytes of the whole message, header included; a multiple of 4.
    pub message_bytes: u32,
    /// R, P, E, T.
    pub flags: CommandFlags,
    /// Command code; see [`command`].
    pub command: u32,
    /// Application id; see [`application`].
    pub application: u32,
    /// Matches answers with requests on one connection.
    pub hop_by_hop_id: u32,
    /// With Origin-Host, finds copies; not unique for ever, clients reuse it after a restart.
    pub end_to_end_id: u32,
}

impl Header {
    /// Reads the first twenty bytes; `None` if there are fewer.
    pub(super) fn parse(input: &[u8]) -> Option<Self> {
        fields(input).ok().map(|(_, header)| header)
    }

    /// What the answer to this request takes over: both identifiers and the P bit (RFC 6733 section 6.2).
    pub fn exchange(&self) -> Exchange {
        Exchange {
            hop_by_hop_id: self.hop_by_hop_id,
            end_to_end_id: self.end_to_end_id,
            proxiable: self.flags.is_proxiable(),
            retransmitted: false,
        }
    }
}

fn fields(input: &[u8]) -> IResult<&[u8], Header> {
    let (rest, (version, message_bytes, flags, command, application, hop_by_hop_id, end_to_end_id)) =
        (be_u8, be_u24, be_u8, be_u24, be_u32, be_u32, be_u32).parse(input)?;
    let flags = CommandFlags(flags);
    Ok((rest, Header { version, message_bytes, flags, command, application, hop_by_hop_id, end_to_end_id }))
}

/// What tells one request and its answer from all others; goes into the header of what we send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Exchange {
    /// Unique among the requests in flight on this connection.
    pub hop_by_hop_id: u32,
    /// Unique for this Origin-Host for at least four minutes.
    pub end_to_end_id: u32,
    /// Answers: the P bit of the request. Requests have what their command demands.
    pub proxiable: bool,
    /// Requests: the T bit. Answers never have it.
    pub retransmitted: bool,
}

impl Exchange {
    /// For a request that is sent for the first time.
    pub fn new(hop_by_hop_id: u32, end_to_end_id: u32) -> Self {
        Self { hop_by_hop_id, end_to_end_id, proxiable: true, retransmitted: false }
    }
}
