//! What goes into Failed-AVP of a refusal that the codec did not make: a copy of the AVP that could not be served, or an empty one.

use protocol_codecs::diameter::ResultCode;

use super::ask::Ask;

/// The encoded AVP for this code; `None` = no AVP is at fault.
pub fn failed_avp(ask: &Ask, code: ResultCode) -> Option<Vec<u8>> {
    let rating_group = ask.groups.iter().find_map(|group| group.rating_group);
    Some(match code {
        ResultCode::UNKNOWN_SESSION_ID => avp(SESSION_ID, ask.session_id.as_bytes()),
        ResultCode::AUTHORIZATION_REJECTED => avp(ORIGIN_HOST, ask.origin_host.as_bytes()),
        ResultCode::INVALID_AVP_VALUE => avp(CC_REQUEST_NUMBER, &ask.number.to_be_bytes()),
        ResultCode::USER_UNKNOWN => match ask.facts.subscribers.first() {
            Some(id) => {
                let kind = id.kind as u32;
                let parts = [
                    avp(SUBSCRIPTION_ID_TYPE, &kind.to_be_bytes()),
                    avp(SUBSCRIPTION_ID_DATA, id.value.expose().as_bytes()),
                ];
                avp(SUBSCRIPTION_ID, &parts.concat())
            }
            None => avp(SUBSCRIPTION_ID, &[]),
        },
        ResultCode::RATING_FAILED => match rating_group {
            Some(rating_group) => avp(RATING_GROUP, &rating_group.to_be_bytes()),
            None => avp(SERVICE_CONTEXT_ID, ask.facts.context.as_bytes()),
        },
        _ => return None,
    })
}

/// An AVP of no vendor, with the M bit, padded.
pub fn avp(code: u32, value: &[u8]) -> Vec<u8> {
    let [.., high, middle, low] = value.len().saturating_add(8).to_be_bytes();
    let mut bytes = [&code.to_be_bytes()[..], &[0x40, high, middle, low], value].concat();
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

const SESSION_ID: u32 = 263;
const ORIGIN_HOST: u32 = 264;
const CC_REQUEST_NUMBER: u32 = 415;
const RATING_GROUP: u32 = 432;
const SUBSCRIPTION_ID: u32 = 443;
const SUBSCRIPTION_ID_DATA: u32 = 444;
const SUBSCRIPTION_ID_TYPE: u32 = 450;
const SERVICE_CONTEXT_ID: u32 = 461;
