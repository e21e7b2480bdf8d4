//! Who we are, and the messages of the base protocol that say so, whoever made the connection (RFC 6733 section 5).

use std::net::IpAddr;

use bytes::Bytes;
use protocol_codecs::diameter::{
    Address, CapabilitiesExchangeRequest, Command, DeviceWatchdogAnswer, DeviceWatchdogRequest, DisconnectCause,
    DisconnectPeerAnswer, DisconnectPeerRequest, EncodeError, ErrorAnswer, Exchange, Frame, Identity, ResultCode,
    VendorSpecificApplicationId, application, vendor,
};

/// A Diameter node with the credit-control application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Our DiameterIdentity.
    pub origin_host: Box<str>,
    /// Our realm.
    pub origin_realm: Box<str>,
    /// What we are, for the peer's log.
    pub product_name: Box<str>,
    /// Greater with every start that lost its sessions.
    pub origin_state_id: u32,
}

impl Node {
    /// Origin-Host and Origin-Realm.
    pub fn origin(&self) -> (Identity<'_>, Identity<'_>) {
        (Identity::from(&*self.origin_host), Identity::from(&*self.origin_realm))
    }

    /// Refuses a request of the peer.
    ///
    /// # Errors
    /// Our own names cannot be sent.
    pub fn refusal(&self, request: &Frame, code: ResultCode) -> Result<Bytes, EncodeError> {
        let answer = ErrorAnswer::to(request, self.origin(), code);
        Ok(answer.encoded_for(request.header())?.bytes().clone())
    }

    /// The CER of a connection from this address.
    ///
    /// # Errors
    /// Our own names cannot be sent.
    pub fn cer(&self, local: IpAddr, exchange: Exchange) -> Result<Bytes, EncodeError> {
        let (origin_host, origin_realm) = self.origin();
        let request = CapabilitiesExchangeRequest {
            origin_host,
            origin_realm,
            host_ip_addresses: vec![Address::from(local)],
            vendor_id: 0,
            product_name: (&*self.product_name).into(),
            origin_state_id: Some(self.origin_state_id),
            supported_vendor_ids: vec![vendor::TGPP],
            auth_application_ids: vec![application::CREDIT_CONTROL],
            inband_security_ids: Vec::new(),
            acct_application_ids: Vec::new(),
            vendor_specific_application_ids: vec![VendorSpecificApplicationId {
                vendor_id: Some(vendor::TGPP),
                auth_application_id: Some(application::CREDIT_CONTROL),
                acct_application_id: None,
            }],
            firmware_revision: None,
        };
        Ok(request.encoded(exchange)?.bytes().clone())
    }

    pub(crate) fn dwr(&self, exchange: Exchange) -> Result<Bytes, EncodeError> {
        let (origin_host, origin_realm) = self.origin();
        let origin_state_id = Some(self.origin_state_id);
        let request = DeviceWatchdogRequest { origin_host, origin_realm, origin_state_id };
        Ok(request.encoded(exchange)?.bytes().clone())
    }

    pub(crate) fn dwa(&self, request: &Frame) -> Result<Bytes, EncodeError> {
        let (origin_host, origin_realm) = self.origin();
        let answer = DeviceWatchdogAnswer {
            result_code: ResultCode::SUCCESS,
            origin_host,
            origin_realm,
            error_message: None,
            failed_avps: Vec::new(),
            origin_state_id: Some(self.origin_state_id),
        };
        Ok(answer.encoded(request.header().exchange())?.bytes().clone())
    }

    pub(crate) fn dpr(&self, disconnect_cause: DisconnectCause, exchange: Exchange) -> Result<Bytes, EncodeError> {
        let (origin_host, origin_realm) = self.origin();
        let request = DisconnectPeerRequest { origin_host, origin_realm, disconnect_cause };
        Ok(request.encoded(exchange)?.bytes().clone())
    }

    pub(crate) fn dpa(&self, request: &Frame) -> Result<Bytes, EncodeError> {
        let (origin_host, origin_realm) = self.origin();
        let answer = DisconnectPeerAnswer {
            result_code: ResultCode::SUCCESS,
            origin_host,
            origin_realm,
            error_message: None,
            failed_avps: Vec::new(),
        };
        Ok(answer.encoded(request.header().exchange())?.bytes().clone())
    }
}
