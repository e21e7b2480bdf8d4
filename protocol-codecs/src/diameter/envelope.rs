//! What routing, duplicates and refusals need of a request, whatever else is wrong with it: read without judgement, up
//! to the first AVP that is broken.

use super::avp::Avp;
use super::dictionary::keys;
use super::frame::Frame;
use super::groups::ProxyInfo;
use super::limits::IDENTITY_BYTES_MAX;

/// Most of each kind that are kept; a request that came through more proxies is a loop.
const HOPS_MAX: usize = 64;

/// The outside of a request. A text that is not UTF-8 is as good as absent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Envelope<'a> {
    /// Session-Id.
    pub session_id: Option<&'a str>,
    /// Origin-Host; the first one counts.
    pub origin_host: Option<&'a str>,
    /// Origin-Realm; the first one counts.
    pub origin_realm: Option<&'a str>,
    /// Destination-Host.
    pub destination_host: Option<&'a str>,
    /// Destination-Realm.
    pub destination_realm: Option<&'a str>,
    /// CC-Request-Type, any number.
    pub cc_request_type: Option<i32>,
    /// CC-Request-Number.
    pub cc_request_number: Option<u32>,
    /// Proxy-Info, in order.
    pub proxy_infos: Vec<ProxyInfo<'a>>,
    /// Route-Record, in order.
    pub route_records: Vec<&'a str>,
}

impl<'a> Envelope<'a> {
    /// Of this message.
    pub fn of(frame: &'a Frame) -> Self {
        let (mut envelope, mut avps) = (Self::default(), frame.avps());
        while let Ok(Some(avp)) = avps.next_avp() {
            match avp.key() {
                keys::SESSION_ID => first(&mut envelope.session_id, text(&avp)),
                keys::ORIGIN_HOST => first(&mut envelope.origin_host, identity(&avp)),
                keys::ORIGIN_REALM => first(&mut envelope.origin_realm, identity(&avp)),
                keys::DESTINATION_HOST => first(&mut envelope.destination_host, identity(&avp)),
                keys::DESTINATION_REALM => first(&mut envelope.destination_realm, identity(&avp)),
                keys::CC_REQUEST_TYPE => first(&mut envelope.cc_request_type, four(&avp).map(i32::from_be_bytes)),
                keys::CC_REQUEST_NUMBER => first(&mut envelope.cc_request_number, four(&avp).map(u32::from_be_bytes)),
                keys::PROXY_INFO if envelope.proxy_infos.len() < HOPS_MAX => {
                    envelope.proxy_infos.push(ProxyInfo::kept(avp.value));
                }
                keys::ROUTE_RECORD if envelope.route_records.len() < HOPS_MAX => {
                    envelope.route_records.extend(identity(&avp));
                }
                _ => {}
            }
        }
        envelope
    }

    /// Whether the request has been through this host before: a loop, answered with 3005.
    pub fn came_through(&self, host: &str) -> bool {
        self.route_records.iter().any(|record| record.eq_ignore_ascii_case(host))
    }
}

fn first<T>(place: &mut Option<T>, found: Option<T>) {
    if place.is_none() {
        *place = found;
    }
}

fn text<'a>(avp: &Avp<'a>) -> Option<&'a str> {
    std::str::from_utf8(avp.value).ok()
}

fn identity<'a>(avp: &Avp<'a>) -> Option<&'a str> {
    text(avp).filter(|text| (1..=IDENTITY_BYTES_MAX).contains(&text.len()))
}

fn four(avp: &Avp<'_>) -> Option<[u8; 4]> {
    avp.value.try_into().ok()
}
