//! The base protocol's own messages: they concern one connection (RFC 6733 section 5).

use crate::diameter::address::Address;
use crate::diameter::dictionary::HOST_IP_ADDRESS;
use crate::diameter::error::{EncodeError, MessageError};
use crate::diameter::groups::{FailedAvp, VendorSpecificApplicationId};
use crate::diameter::header::application;
use crate::diameter::names::DisconnectCause;
use crate::diameter::reading::Mode;
use crate::diameter::result_code::ResultCode;
use crate::diameter::table::avp_table;
use crate::diameter::text::{Identity, Text};

use super::command::{Command, commands};

avp_table! {
    /// CER: who connects, and what it can do.
    message CapabilitiesExchangeRequest<'a> {
        /// Who.
        origin_host: Identity<'a> = ORIGIN_HOST,
        /// Of which realm.
        origin_realm: Identity<'a> = ORIGIN_REALM,
        /// Its addresses; not always that of the socket. Kamailio may send none: refused only when strict.
        host_ip_addresses: Vec<Address<'a>> = HOST_IP_ADDRESS,
        /// Who made it; 0 = unknown.
        vendor_id: u32 = VENDOR_ID,
        /// What it is.
        product_name: Text<'a> = PRODUCT_NAME,
        /// Grows with every restart that lost its sessions.
        origin_state_id: Option<u32> = ORIGIN_STATE_ID,
        /// Vendors whose AVPs it knows.
        supported_vendor_ids: Vec<u32> = SUPPORTED_VENDOR_ID,
        /// Its applications; a relay has 0xFFFFFFFF.
        auth_application_ids: Vec<u32> = AUTH_APPLICATION_ID,
        /// 0 = none, 1 = TLS after the exchange (of RFC 3588).
        inband_security_ids: Vec<u32> = INBAND_SECURITY_ID,
        /// Its accounting applications.
        acct_application_ids: Vec<u32> = ACCT_APPLICATION_ID,
        /// Its vendors' applications; some have credit control only here.
        vendor_specific_application_ids: Vec<VendorSpecificApplicationId> = VENDOR_SPECIFIC_APPLICATION_ID,
        /// Of what it is.
        firmware_revision: Option<u32> = FIRMWARE_REVISION,
    }
}

avp_table! {
    /// CEA: who answers, and what it can do.
    message CapabilitiesExchangeAnswer<'a> {
        /// 2001, or why not.
        result_code: ResultCode = RESULT_CODE,
        /// Who.
        origin_host: Identity<'a> = ORIGIN_HOST,
        /// Of which realm.
        origin_realm: Identity<'a> = ORIGIN_REALM,
        /// Its addresses; freeDiameter refuses an answer without.
        host_ip_addresses: Vec<Address<'a>> = HOST_IP_ADDRESS,
        /// Who made it; 0 = unknown.
        vendor_id: u32 = VENDOR_ID,
        /// What it is.
        product_name: Text<'a> = PRODUCT_NAME,
        /// Grows with every restart that lost its sessions; constant while it runs.
        origin_state_id: Option<u32> = ORIGIN_STATE_ID,
        /// For people.
        error_message: Option<Text<'a>> = ERROR_MESSAGE,
        /// What was wrong with the request.
        failed_avps: Vec<FailedAvp<'a>> = FAILED_AVP,
        /// Vendors whose AVPs it knows.
        supported_vendor_ids: Vec<u32> = SUPPORTED_VENDOR_ID,
        /// Its applications.
        auth_application_ids: Vec<u32> = AUTH_APPLICATION_ID,
        /// 0 = none.
        inband_security_ids: Vec<u32> = INBAND_SECURITY_ID,
        /// Its accounting applications.
        acct_application_ids: Vec<u32> = ACCT_APPLICATION_ID,
        /// Its vendors' applications.
        vendor_specific_application_ids: Vec<VendorSpecificApplicationId> = VENDOR_SPECIFIC_APPLICATION_ID,
        /// Of what it is.
        firmware_revision: Option<u32> = FIRMWARE_REVISION,
    }
}

avp_table! {
    /// DWR: are you there?
    message DeviceWatchdogRequest<'a> {
        /// Who.
        origin_host: Identity<'a> = ORIGIN_HOST,
        /// Of which realm.
        origin_realm: Identity<'a> = ORIGIN_REALM,
        /// As in the CER.
        origin_state_id: Option<u32> = ORIGIN_STATE_ID,
    }
}

avp_table! {
    /// DWA: yes.
    message DeviceWatchdogAnswer<'a> {
        /// 2001.
        result_code: ResultCode = RESULT_CODE,
        /// Who.
        origin_host: Identity<'a> = ORIGIN_HOST,
        /// Of which realm.
        origin_realm: Identity<'a> = ORIGIN_REALM,
        /// For people.
        error_message: Option<Text<'a>> = ERROR_MESSAGE,
        /// What was wrong with the request.
        failed_avps: Vec<FailedAvp<'a>> = FAILED_AVP,
        /// As in the CEA.
        origin_state_id: Option<u32> = ORIGIN_STATE_ID,
    }
}

avp_table! {
    /// DPR: I am going to close this connection.
    message DisconnectPeerRequest<'a> {
        /// Who.
        origin_host: Identity<'a> = ORIGIN_HOST,
        /// Of which realm.
        origin_realm: Identity<'a> = ORIGIN_REALM,
        /// Why, and whether to connect again.
        disconnect_cause: DisconnectCause = DISCONNECT_CAUSE,
    }
}

avp_table! {
    /// DPA: close it.
    message DisconnectPeerAnswer<'a> {
        /// 2001.
        result_code: ResultCode = RESULT_CODE,
        /// Who.
        origin_host: Identity<'a> = ORIGIN_HOST,
        /// Of which realm.
        origin_realm: Identity<'a> = ORIGIN_REALM,
        /// For people.
        error_message: Option<Text<'a>> = ERROR_MESSAGE,
        /// What was wrong with the request.
        failed_avps: Vec<FailedAvp<'a>> = FAILED_AVP,
    }
}

commands! {
    CapabilitiesExchangeRequest = "CER", CAPABILITIES_EXCHANGE, BASE, true, false, received check_cer, sent check_cer_sent;
    CapabilitiesExchangeAnswer = "CEA", CAPABILITIES_EXCHANGE, BASE, false, false, sent check_cea_sent;
    DeviceWatchdogRequest = "DWR", DEVICE_WATCHDOG, BASE, true, false;
    DeviceWatchdogAnswer = "DWA", DEVICE_WATCHDOG, BASE, false, false;
    DisconnectPeerRequest = "DPR", DISCONNECT_PEER, BASE, true, false;
    DisconnectPeerAnswer = "DPA", DISCONNECT_PEER, BASE, false, false;
}

impl CapabilitiesExchangeRequest<'_> {
    /// Whether it offers this application: by itself, as a vendor's, or as a relay.
    pub fn offers(&self, application: u32) -> bool {
        let direct = self.auth_application_ids.iter().any(|id| *id == application || *id == application::RELAY);
        let vendors = &self.vendor_specific_application_ids;
        direct || vendors.iter().any(|vendors| vendors.auth_application_id == Some(application))
    }
}

fn check_cer(cer: &CapabilitiesExchangeRequest<'_>, mode: Mode) -> Result<(), MessageError> {
    if mode == Mode::Strict && cer.host_ip_addresses.is_empty() {
        return Err(MessageError::missing(&HOST_IP_ADDRESS));
    }
    Ok(())
}

fn check_cer_sent(cer: &CapabilitiesExchangeRequest<'_>) -> Result<(), EncodeError> {
    needs_address::<CapabilitiesExchangeRequest<'_>>(&cer.host_ip_addresses)
}

fn check_cea_sent(cea: &CapabilitiesExchangeAnswer<'_>) -> Result<(), EncodeError> {
    needs_address::<CapabilitiesExchangeAnswer<'_>>(&cea.host_ip_addresses)
}

fn needs_address<'a, C: Command<'a>>(addresses: &[Address<'_>]) -> Result<(), EncodeError> {
    if addresses.is_empty() {
        return Err(EncodeError::Missing { message: C::NAME, avp: HOST_IP_ADDRESS.name });
    }
    Ok(())
}
