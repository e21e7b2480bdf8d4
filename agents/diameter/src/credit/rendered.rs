//! An answer as bytes, without what belongs to one way of its request: identifiers and proxies' state. Kept for copies, which may
//! come another way.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use protocol_codecs::diameter::{
    Command, CommandFlags, CreditControlAnswer, EncodeError, Exchange, Frame, ResultCode, dictionary,
};

/// The way back to whoever sent a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Of the request.
    pub hop_by_hop_id: u32,
    /// Of the request.
    pub end_to_end_id: u32,
    /// The P bit of the request.
    pub proxiable: bool,
    /// Its Proxy-Info AVPs as they came, in order.
    pub proxies: Bytes,
}

impl Reply {
    /// To this request. `through_proxies`: it has Proxy-Info AVPs.
    pub fn to(frame: &Frame, through_proxies: bool) -> Self {
        let header = frame.header();
        Self {
            hop_by_hop_id: header.hop_by_hop_id,
            end_to_end_id: header.end_to_end_id,
            proxiable: header.flags.is_proxiable(),
            proxies: if through_proxies { proxies(frame) } else { Bytes::new() },
        }
    }
}

fn proxies(frame: &Frame) -> Bytes {
    let (mut proxies, mut avps) = (BytesMut::new(), frame.avps());
    while let Ok(Some(avp)) = avps.next_avp() {
        let is_proxy = (avp.code, avp.vendor) == (dictionary::PROXY_INFO.code, dictionary::PROXY_INFO.vendor);
        if is_proxy && proxies.len() + avp.raw.len() <= PROXIES_BYTES_MAX {
            proxies.extend_from_slice(avp.raw);
            proxies.resize(proxies.len().next_multiple_of(4), 0);
        }
    }
    proxies.freeze()
}

/// See the module's documentation. Clones share the bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    bytes: Arc<[u8]>,
    result_code: ResultCode,
}

impl Rendered {
    /// Of this answer. `scratch` is overwritten.
    ///
    /// # Errors
    /// A value that may not be sent.
    pub fn of(cca: &CreditControlAnswer<'_>, scratch: &mut BytesMut) -> Result<Self, EncodeError> {
        scratch.clear();
        cca.encode(Exchange { proxiable: false, ..Exchange::new(0, 0) }, scratch)?;
        if let (true, Some(flags)) = (cca.result_code.is_protocol_error(), scratch.get_mut(FLAGS)) {
            *flags |= CommandFlags::ERROR;
        }
        // No more than it takes: it is kept for minutes.
        Ok(Self { bytes: Arc::from(&scratch[..]), result_code: cca.result_code })
    }

    /// Appends the answer to a request that came this way.
    pub fn write(&self, reply: &Reply, out: &mut BytesMut) {
        let (begin, length) = (out.len(), self.bytes.len().saturating_add(reply.proxies.len()));
        out.extend_from_slice(&self.bytes);
        out.extend_from_slice(&reply.proxies);
        let Some(bytes) = out.get_mut(begin..) else { return };
        let [.., high, middle, low] = length.to_be_bytes();
        if let Some(field) = bytes.get_mut(1..4) {
            field.copy_from_slice(&[high, middle, low]);
        }
        if let (true, Some(flags)) = (reply.proxiable, bytes.get_mut(FLAGS)) {
            *flags |= CommandFlags::PROXIABLE;
        }
        if let Some(field) = bytes.get_mut(12..16) {
            field.copy_from_slice(&reply.hop_by_hop_id.to_be_bytes());
        }
        if let Some(field) = bytes.get_mut(16..20) {
            field.copy_from_slice(&reply.end_to_end_id.to_be_bytes());
        }
    }

    /// What it says.
    pub fn result_code(&self) -> ResultCode {
        self.result_code
    }
}

const FLAGS: usize = 4;
/// More proxies' state than that is an attack: the answer would not be taken anyhow.
const PROXIES_BYTES_MAX: usize = 32_768;
