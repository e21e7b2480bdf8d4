//! An answer as bytes, without what belongs to one way of its request: identifiers and proxies' state. Kept for copies, which may
//! come another way.

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
    /// To this request.
    pub fn to(frame: &Frame) -> Self {
        let (header, mut proxies) = (frame.header(), BytesMut::new());
        let mut avps = frame.avps();
        while let Ok(Some(avp)) = avps.next_avp() {
            let is_proxy = (avp.code, avp.vendor) == (dictionary::PROXY_INFO.code, dictionary::PROXY_INFO.vendor);
            if is_proxy && proxies.len() + avp.raw.len() <= PROXIES_BYTES_MAX {
                proxies.extend_from_slice(avp.raw);
                proxies.resize(proxies.len().next_multiple_of(4), 0);
            }
        }
        Self {
            hop_by_hop_id: header.hop_by_hop_id,
            end_to_end_id: header.end_to_end_id,
            proxiable: header.flags.is_proxiable(),
            proxies: proxies.freeze(),
        }
    }
}

/// See the module's documentation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered(Bytes);

impl Rendered {
    /// Of this answer.
    ///
    /// # Errors
    /// A value that may not be sent.
    pub fn of(cca: &CreditControlAnswer<'_>) -> Result<Self, EncodeError> {
        let mut bytes = BytesMut::new();
        cca.encode(Exchange { proxiable: false, ..Exchange::new(0, 0) }, &mut bytes)?;
        if let (true, Some(flags)) = (cca.result_code.is_protocol_error(), bytes.get_mut(FLAGS)) {
            *flags |= CommandFlags::ERROR;
        }
        Ok(Self(bytes.freeze()))
    }

    /// The answer to a request that came this way.
    pub fn for_request(&self, reply: &Reply) -> Bytes {
        let length = self.0.len().saturating_add(reply.proxies.len());
        let mut bytes = BytesMut::with_capacity(length);
        bytes.extend_from_slice(&self.0);
        bytes.extend_from_slice(&reply.proxies);
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
        bytes.freeze()
    }

    /// What it says.
    pub fn result_code(&self) -> Option<ResultCode> {
        let frame = Frame::new(self.0.clone())?;
        let mut avps = frame.avps();
        while let Ok(Some(avp)) = avps.next_avp() {
            if (avp.code, avp.vendor) == (dictionary::RESULT_CODE.code, dictionary::RESULT_CODE.vendor) {
                return Some(ResultCode(u32::from_be_bytes(avp.value.try_into().ok()?)));
            }
        }
        None
    }
}

const FLAGS: usize = 4;
/// More proxies' state than that is an attack: the answer would not be taken anyhow.
const PROXIES_BYTES_MAX: usize = 32_768;
