//! Kamailio's messages in our terms. Pure: the message in, the event out.

use agent_call::numbers::NumberRules;
use agent_call::{Answer, CallEnd, CallOffer};
use cdr_model::{CallDirection, Decimal, Qos, SipData};
use protocol_codecs::evapi::{CallFields, EndCause, EndedBy as KamailioEndedBy, EpochMicros, FailCause};
use serde::Deserialize;
use serde::de::value::StrDeserializer;
use types::charging::{Service, SubscriberId};
use types::{CallId, Cause, EndedBy, LegId, Number, ReleaseCause, SessionId, UtcMs};

use crate::config::KamailioConfig;

/// The call that the fields of any of its events describe.
pub(crate) fn offer(config: &KamailioConfig, switch: &str, session_id: SessionId, fields: &CallFields) -> CallOffer {
    let rules = rules_of(config, fields.trunk.as_deref());
    let dialled = fields.dest.as_ref().or(fields.ruri.as_ref()).map_or("", |dialled| dialled.expose());
    let caller = fields.caller.as_ref().map(|caller| caller.expose());
    CallOffer {
        call_id: CallId::new(fields.callid.as_str()),
        session_id,
        leg_id: LegId::new(fields.from_tag.as_str()),
        parent_leg_id: None,
        tenant: types::Tenant::new(config.tenant.clone()),
        payer: fields.payer.as_ref().map(|payer| SubscriberId::account(payer.expose())),
        charging_mode: config.calls.mode,
        service: Service::Voice,
        category: config.calls.category.as_ref().into(),
        subject: None,
        calling: caller.map(|caller| rules.normalise(caller).unwrap_or_else(|| Number::from(caller))),
        called: if fields.never_refuse { Some(Number::from(dialled)) } else { rules.normalise(dialled) },
        dialled: Number::from(dialled),
        offered: utc(fields.setup_time),
        never_refuse: fields.never_refuse,
        direction: CallDirection::MobileOriginated,
        sip: SipData {
            from_uri: fields.from_uri.as_ref().map(|uri| Number::from(uri.expose())),
            to_uri: fields.to_uri.as_ref().map(|uri| Number::from(uri.expose())),
            call_id_header: Some(fields.callid.as_str().into()),
            user_agent: fields.user_agent.as_deref().map(Into::into),
            codec: None,
            ip_address: fields.src_ip.as_deref().map(Into::into),
        },
        node: switch.into(),
        trunk: fields.trunk.as_deref().map(Into::into),
    }
}

fn rules_of<'a>(config: &'a KamailioConfig, trunk: Option<&str>) -> &'a NumberRules {
    trunk.and_then(|name| config.trunks.get(name)).map_or(&config.calls.numbers, |trunk| &trunk.numbers)
}

/// The answer, with its age by Kamailio's own clock.
pub(crate) fn answer(answer_time: EpochMicros, fields: &CallFields) -> Answer {
    let at = utc(answer_time);
    Answer { at, elapsed_ms: fields.event_time.map_or(0, |told| utc(told).since(at)) }
}

/// What a CALL_END tells.
#[derive(Debug)]
pub(crate) struct End<'a> {
    pub(crate) answer_time: EpochMicros,
    pub(crate) end_time: EpochMicros,
    pub(crate) ended_by: &'a KamailioEndedBy,
    pub(crate) cause: &'a EndCause,
    pub(crate) q850: Option<u16>,
    pub(crate) rtp_stat: Option<&'a str>,
    pub(crate) replayed: bool,
}

/// The end of an answered call.
pub(crate) fn ended(end: &End<'_>) -> CallEnd {
    let by = match end.ended_by {
        KamailioEndedBy::Caller => EndedBy::Caller,
        KamailioEndedBy::Callee => EndedBy::Callee,
        KamailioEndedBy::Proxy if is_ours(end.cause) => EndedBy::Tollkeeper,
        KamailioEndedBy::Proxy => EndedBy::Switch,
        KamailioEndedBy::Other(_) => EndedBy::Unknown,
    };
    let named = end.q850.and_then(|cause| u8::try_from(cause).ok()).filter(|cause| *cause < 128).map(Cause);
    let backstop = (*end.cause == EndCause::MaxDuration).then_some(ReleaseCause::Backstop);
    let cause = named.unwrap_or_else(|| backstop.map_or(Cause::NORMAL_CLEARING, ReleaseCause::cause));
    CallEnd {
        answered: Some(utc(end.answer_time)),
        cause,
        release_cause: backstop.or_else(|| release_cause(end)),
        replayed: end.replayed,
        qos: end.rtp_stat.and_then(quality),
        ..CallEnd::normal(utc(end.end_time), by)
    }
}

/// The word of a DISCONNECT, which a former run of ours may have sent, or of an operator at Kamailio's own console.
fn release_cause(end: &End<'_>) -> Option<ReleaseCause> {
    match (end.ended_by, end.cause) {
        (KamailioEndedBy::Proxy, EndCause::Other(word)) => {
            ReleaseCause::deserialize(StrDeserializer::<serde::de::value::Error>::new(word)).ok()
        }
        _ => None,
    }
}

/// The cause of our own DISCONNECT comes back; keepalive and backstop have words of their own.
fn is_ours(cause: &EndCause) -> bool {
    matches!(cause, EndCause::Other(word) if word != PEER_LOST)
}

/// Kamailio's keepalive found one side gone, or its ACK never came.
const PEER_LOST: &str = "PEER_LOST";

/// The end of a call that was never answered.
pub(crate) fn failed(end_time: EpochMicros, sip_status: Option<u16>, cause: &FailCause, replayed: bool) -> CallEnd {
    let at = utc(end_time);
    let ours = match cause {
        FailCause::NoAgent | FailCause::AuthTimeout => Some(ReleaseCause::ChargingUnavailable),
        _ => None,
    };
    let status = sip_status.or_else(|| ours.map(ReleaseCause::sip_status));
    let known = status.map_or_else(|| CallEnd::normal(at, EndedBy::Unknown), |status| CallEnd::unanswered(at, status));
    let cancelled = *cause == FailCause::Cancelled;
    CallEnd {
        by: if cancelled { EndedBy::Caller } else { known.by },
        cause: if status.is_none() && !cancelled { Cause::INTERWORKING } else { known.cause },
        cancelled,
        release_cause: ours,
        replayed,
        ..known
    }
}

/// `P-RTP-Stat: PS=..,PR=..,PL=lost packets,JI=jitter ms,LA=latency ms`: what many phones say at the end.
fn quality(stat: &str) -> Option<Qos> {
    let number = |name: &str| {
        let fields = stat.split([',', ';']).filter_map(|field| field.trim().split_once('='));
        fields.filter(|(key, _)| *key == name).find_map(|(_, value)| value.parse::<u32>().ok())
    };
    let scaled = |value: u32| Decimal::<3> { scaled: u64::from(value) * 1000 };
    let loss = number("PL").zip(number("PR")).filter(|(lost, received)| u64::from(*lost) + u64::from(*received) > 0);
    let percent = loss.map(|(lost, received)| {
        let (lost, all) = (u64::from(lost), u64::from(lost) + u64::from(received));
        Decimal::<2> { scaled: lost * 10_000 / all }
    });
    let quality = Qos {
        jitter: number("JI").map(scaled),
        packet_loss: percent,
        latency: number("LA").filter(|ms| *ms > 0).map(scaled),
        mos: None,
    };
    (quality != Qos::default()).then_some(quality)
}

pub(crate) fn utc(time: EpochMicros) -> UtcMs {
    UtcMs(time.as_millis())
}

#[cfg(test)]
mod tests;
