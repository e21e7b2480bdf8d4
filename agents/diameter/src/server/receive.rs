//! From a frame to what it means for its connection: routing, who may speak for whom, and refusals that need no core.

use std::net::IpAddr;

use bytes::Bytes;
use protocol_codecs::diameter::{
    Address, Answer, CapabilitiesExchangeAnswer, CapabilitiesExchangeRequest, CcRequestType, Command,
    CreditControlRequest, EncodeError, Envelope, ErrorAnswer, FailedAvp, Frame, Identity, Message, MessageError, Mode,
    Request, RequestedAction, ResultCode, VendorSpecificApplicationId, application, command, vendor,
};
use rustls::pki_types::CertificateDer;
use types::ids::MAX_SESSION_ID_BYTES;

use crate::config::{DiameterConfig, PeerConfig};
use crate::credit::{Ask, LONGEST_CALL_MS, Reply};
use crate::node::Node;

/// What a frame means.
#[derive(Debug)]
pub(super) enum Received {
    /// CER: the verdict, and who it is.
    Cer(Verdict),
    /// CEA.
    Cea(ResultCode),
    /// DWR.
    Dwr,
    /// DWA.
    Dwa,
    /// DPR.
    Dpr,
    /// DPA.
    Dpa,
    /// A CCR that the desk shall decide.
    Ask(Box<Ask>, Reply),
    /// A request that is refused at once, with this answer.
    Refuse(Bytes),
    /// An answer to a request of ours.
    Answer { hop_by_hop_id: u32, code: ResultCode },
    /// Nothing to us, by the reason.
    Ignore(&'static str),
}

/// Who connects, and what it is told.
#[derive(Debug, Clone)]
pub(super) struct Verdict {
    pub code: ResultCode,
    pub host: Box<str>,
    pub realm: Box<str>,
    pub origin_state_id: Option<u32>,
    pub relay: bool,
    /// For the log; empty when accepted.
    pub reason: &'static str,
}

/// Who is at the other end.
#[derive(Debug, Clone)]
pub(super) struct Remote {
    pub address: IpAddr,
    pub secure: bool,
    /// What it showed, if its names count.
    pub certificate: Option<CertificateDer<'static>>,
    /// Its name, once it is known, and whether it speaks for others.
    pub peer: Option<(Box<str>, bool)>,
}

pub(super) fn mode(config: &DiameterConfig) -> Mode {
    if config.strict { Mode::Strict } else { Mode::Tolerant }
}

fn origin(config: &DiameterConfig) -> (Identity<'_>, Identity<'_>) {
    (Identity::from(&*config.origin_host), Identity::from(config.realm()))
}

/// What this frame means.
pub(super) fn receive(frame: &Frame, remote: &Remote, config: &DiameterConfig) -> Received {
    let header = frame.header();
    if header.command == command::CREDIT_CONTROL && header.flags.is_request() {
        // Nearly all that comes: read where it stays.
        return match CreditControlRequest::decode(frame, mode(config)) {
            Ok(decoded) => asked(frame, &decoded.message, remote, config),
            Err(error) => unreadable(frame, remote, &error, config),
        };
    }
    let decoded = match frame.message(mode(config)) {
        Ok(decoded) => decoded,
        Err(error) if frame.header().flags.is_request() => return unreadable(frame, remote, &error, config),
        Err(_) => return Received::Ignore("unreadable_answer"),
    };
    match decoded.message {
        Message::Request(Request::CapabilitiesExchange(cer)) => Received::Cer(verdict(&cer, remote, config)),
        Message::Request(Request::DeviceWatchdog(_)) => Received::Dwr,
        Message::Request(Request::DisconnectPeer(_)) => Received::Dpr,
        Message::Request(Request::CreditControl(ccr)) => asked(frame, &ccr, remote, config),
        Message::Request(Request::ReAuth(_) | Request::AbortSession(_)) => {
            refuse(frame, ResultCode::COMMAND_UNSUPPORTED, None, config)
        }
        Message::Answer(answer) => answered(frame, &answer),
    }
}

fn asked(frame: &Frame, ccr: &CreditControlRequest<'_>, remote: &Remote, config: &DiameterConfig) -> Received {
    let ask = Box::new(Ask::of(frame, ccr, &config.numbers, &config.emergency_numbers));
    let odd = || implausible(&ask).or_else(|| unnamed_action(ccr));
    match misplaced(ccr, remote, config).or_else(odd) {
        Some((code, failed)) => refuse(frame, code, failed.as_deref(), config),
        None => Received::Ask(ask, Reply::to(frame, !ccr.proxy_infos.is_empty())),
    }
}

/// What cannot be read is answered all the same, if anybody may hear it.
fn unreadable(frame: &Frame, remote: &Remote, error: &MessageError, config: &DiameterConfig) -> Received {
    if frame.header().command == command::CAPABILITIES_EXCHANGE {
        let envelope = Envelope::of(frame);
        return Received::Cer(Verdict {
            code: error.result_code(),
            host: envelope.origin_host.unwrap_or_default().into(),
            realm: envelope.origin_realm.unwrap_or_default().into(),
            origin_state_id: None,
            relay: false,
            reason: "unreadable",
        });
    }
    if remote.peer.is_none() {
        return Received::Refuse(Bytes::new());
    }
    let answer = ErrorAnswer::about(frame, origin(config), error);
    encoded(frame, answer)
}

/// Nobody is left without an answer: what makes it too long is left out.
fn encoded(frame: &Frame, mut answer: ErrorAnswer<'_>) -> Received {
    let encode = |answer: &ErrorAnswer<'_>| answer.encoded_for(frame.header()).map(|message| message.bytes().clone());
    let mut bytes = encode(&answer);
    if bytes.is_err() {
        answer.session_id = None;
        bytes = encode(&answer);
    }
    if bytes.is_err() {
        (answer.error_message, answer.failed_avps, answer.proxy_infos) = (None, Vec::new(), Vec::new());
        bytes = encode(&answer);
    }
    match bytes {
        Ok(bytes) => Received::Refuse(bytes),
        Err(error) => {
            tracing::error!(error = &error as &dyn std::error::Error, "a refusal cannot be sent");
            Received::Ignore("unanswerable")
        }
    }
}

/// An answer without the core.
pub(super) fn refuse(frame: &Frame, code: ResultCode, failed: Option<&[u8]>, config: &DiameterConfig) -> Received {
    let mut answer = ErrorAnswer::to(frame, origin(config), code);
    answer.failed_avps.extend(failed.map(FailedAvp::holding));
    encoded(frame, answer)
}

type Refusal = (ResultCode, Option<Vec<u8>>);

/// Requests for others, in a circle, or by others than who they say.
fn misplaced(ccr: &CreditControlRequest<'_>, remote: &Remote, config: &DiameterConfig) -> Option<Refusal> {
    let is_host = |name: &str| {
        name.eq_ignore_ascii_case(&config.origin_host) || config.hosts.iter().any(|own| own.eq_ignore_ascii_case(name))
    };
    let is_realm = |name: &str| {
        name.eq_ignore_ascii_case(config.realm()) || config.realms.iter().any(|own| own.eq_ignore_ascii_case(name))
    };
    if ccr.route_records.iter().any(|record| record.is(&config.origin_host)) {
        return Some((ResultCode::LOOP_DETECTED, None));
    }
    if !is_realm(&ccr.destination_realm) {
        return Some((ResultCode::REALM_NOT_SERVED, None));
    }
    if ccr.destination_host.as_ref().is_some_and(|host| !is_host(host)) {
        return Some((ResultCode::UNABLE_TO_DELIVER, None));
    }
    let own_name = |(peer, relay): &(Box<str>, bool)| *relay || ccr.origin_host.is(peer);
    if !remote.peer.as_ref().is_some_and(own_name) {
        return Some((ResultCode::AUTHORIZATION_REJECTED, Some(shown(264, ccr.origin_host.as_bytes()))));
    }
    None
}

/// What no client means.
fn implausible(ask: &Ask) -> Option<Refusal> {
    if ask.session_id.is_empty() || ask.session_id.len() > MAX_SESSION_ID_BYTES {
        return Some((ResultCode::INVALID_AVP_VALUE, Some(shown(263, &[]))));
    }
    let mut times = ask.groups.iter().flat_map(|group| &group.used).filter_map(|used| used.units.time_ms);
    times.any(|time_ms| time_ms > LONGEST_CALL_MS).then(|| (ResultCode::INVALID_AVP_VALUE, Some(shown(446, &[]))))
}

/// An event must say in words we know what is to be done with the money.
fn unnamed_action(ccr: &CreditControlRequest<'_>) -> Option<Refusal> {
    match (ccr.cc_request_type, ccr.requested_action) {
        (CcRequestType::Event, Some(RequestedAction::Other(number))) => {
            Some((ResultCode::INVALID_AVP_VALUE, Some(shown(436, &number.to_be_bytes()))))
        }
        _ => None,
    }
}

/// An AVP of no vendor for a Failed-AVP.
fn shown(code: u32, value: &[u8]) -> Vec<u8> {
    crate::credit::plain_avp(code, value)
}

fn verdict(cer: &CapabilitiesExchangeRequest<'_>, remote: &Remote, config: &DiameterConfig) -> Verdict {
    let (host, realm) = (&*cer.origin_host, &*cer.origin_realm);
    let admitted: Option<&PeerConfig> = config.peers.iter().find(|peer| peer.admits(host, realm, remote.address));
    let renamed = remote.peer.as_ref().is_some_and(|(known, _)| !known.eq_ignore_ascii_case(host));
    let (code, reason) = if renamed {
        (ResultCode::UNABLE_TO_COMPLY, "another_name")
    } else if host.eq_ignore_ascii_case(&config.origin_host) {
        (ResultCode::UNKNOWN_PEER, "our_own_name")
    } else if admitted.is_none() {
        let named = config.peers.iter().any(|peer| peer.is_named(host));
        (ResultCode::UNKNOWN_PEER, if named { "wrong_realm_or_address" } else { "unknown" })
    } else if remote.certificate.as_ref().is_some_and(|certificate| !super::tls::is_of(certificate, host)) {
        (ResultCode::UNKNOWN_PEER, "certificate_of_another")
    } else if !cer.offers(application::CREDIT_CONTROL) {
        (ResultCode::NO_COMMON_APPLICATION, "no_common_application")
    } else if !remote.secure && !cer.inband_security_ids.is_empty() && !cer.inband_security_ids.contains(&0) {
        (ResultCode::NO_COMMON_SECURITY, "wants_tls")
    } else {
        (ResultCode::SUCCESS, "")
    };
    Verdict {
        code,
        host: host.into(),
        realm: realm.into(),
        origin_state_id: cer.origin_state_id,
        relay: admitted.is_some_and(|peer| peer.relay),
        reason,
    }
}

/// The CEA with this code.
pub(super) fn cea(
    frame: &Frame,
    code: ResultCode,
    local: IpAddr,
    node: &Node,
    config: &DiameterConfig,
) -> Result<Bytes, EncodeError> {
    let (origin_host, origin_realm) = node.origin();
    let failed = match frame.message(mode(config)) {
        Err(error) if !code.is_success() => error.failed_avp().map(<[u8]>::to_vec),
        _ => None,
    };
    let mut cea = CapabilitiesExchangeAnswer {
        result_code: code,
        origin_host,
        origin_realm,
        host_ip_addresses: vec![Address::from(local)],
        vendor_id: 0,
        product_name: (&*node.product_name).into(),
        origin_state_id: Some(node.origin_state_id),
        error_message: None,
        failed_avps: failed.as_deref().map(FailedAvp::holding).into_iter().collect(),
        supported_vendor_ids: Vec::new(),
        auth_application_ids: Vec::new(),
        inband_security_ids: Vec::new(),
        acct_application_ids: Vec::new(),
        vendor_specific_application_ids: Vec::new(),
        firmware_revision: None,
    };
    if code.is_success() {
        cea.supported_vendor_ids.push(vendor::TGPP);
        cea.auth_application_ids.push(application::CREDIT_CONTROL);
        cea.vendor_specific_application_ids.push(VendorSpecificApplicationId {
            vendor_id: Some(vendor::TGPP),
            auth_application_id: Some(application::CREDIT_CONTROL),
            acct_application_id: None,
        });
    }
    let mut bytes = cea.encoded(frame.header().exchange())?.bytes().to_vec();
    if let (true, Some(flags)) = (code.is_protocol_error(), bytes.get_mut(4)) {
        *flags |= protocol_codecs::diameter::CommandFlags::ERROR;
    }
    Ok(bytes.into())
}

fn answered(frame: &Frame, answer: &Answer<'_>) -> Received {
    let hop_by_hop_id = frame.header().hop_by_hop_id;
    match answer {
        Answer::CapabilitiesExchange(cea) => Received::Cea(cea.result_code),
        Answer::DeviceWatchdog(_) => Received::Dwa,
        Answer::DisconnectPeer(_) => Received::Dpa,
        Answer::ReAuth(raa) => Received::Answer { hop_by_hop_id, code: raa.result_code },
        Answer::AbortSession(asa) => Received::Answer { hop_by_hop_id, code: asa.result_code },
        Answer::CreditControl(_) => Received::Ignore("unsolicited_answer"),
        Answer::Error(error) => match frame.header().command {
            command::DEVICE_WATCHDOG => Received::Dwa,
            command::DISCONNECT_PEER => Received::Dpa,
            command::CAPABILITIES_EXCHANGE => Received::Cea(error.result_code),
            command::RE_AUTH | command::ABORT_SESSION => Received::Answer { hop_by_hop_id, code: error.result_code },
            _ => Received::Ignore("unsolicited_answer"),
        },
    }
}
