//! A CCR in our words: what it asks and reports, free of the bytes it came in.

use std::sync::Arc;

use agent_call::numbers::NumberRules;
use protocol_codecs::diameter::{
    CcRequestType, CreditControlRequest, Frame, ReportingReason as WireReason, RequestedAction as WireAction,
    RequestedServiceUnit, TariffChangeUsage, UsedServiceUnit,
};
use types::UtcMs;
use types::charging::{Operation, ReportingReason, RequestedAction, TariffChange, Units, UsedUnits};

use super::facts::Facts;
use super::money;

/// One CCR.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// Session-Id.
    pub session_id: Arc<str>,
    /// The client; its sessions are its own.
    pub origin_host: Box<str>,
    /// Where RAR and ASR go.
    pub origin_realm: Box<str>,
    /// Begins, goes on, ends, or one event.
    pub request_type: CcRequestType,
    /// CC-Request-Number.
    pub number: u32,
    /// What an event asks for; direct debit if it does not say.
    pub action: RequestedAction,
    /// Event-Timestamp; absent: not told.
    pub event_time: Option<UtcMs>,
    /// Origin-State-Id.
    pub origin_state_id: Option<u32>,
    /// CC-Sub-Session-Id: comes back in the answer.
    pub sub_session_id: Option<u64>,
    /// Who and what.
    pub facts: Facts,
    /// The groups, each of them once.
    pub groups: Vec<Asked>,
    /// True: the units came in groups; false: beside them, and the answer's do, too.
    pub grouped: bool,
    /// The T bit.
    pub retransmitted: bool,
    /// Tells a copy from another request with the same number.
    pub content: u64,
}

/// One group: what is wanted and what was used.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asked {
    /// Rating-Group as sent.
    pub rating_group: Option<u32>,
    /// Service-Identifiers as sent.
    pub service_identifiers: Vec<u32>,
    /// Wanted; empty: as we see fit; absent: nothing.
    pub requested: Option<Units>,
    /// Used since the last report.
    pub used: Vec<UsedUnits>,
}

impl Asked {
    fn is_same(&self, other: &Self) -> bool {
        self.rating_group == other.rating_group && self.service_identifiers.first() == other.service_identifiers.first()
    }
}

impl Ask {
    /// Reads a request. `frame` is what it came in.
    pub fn of(frame: &Frame, ccr: &CreditControlRequest<'_>, numbers: &NumberRules, emergency: &[Box<str>]) -> Self {
        let mut ask = Self {
            session_id: Arc::from(&*ccr.session_id),
            origin_host: Box::from(&*ccr.origin_host),
            origin_realm: Box::from(&*ccr.origin_realm),
            request_type: ccr.cc_request_type,
            number: ccr.cc_request_number,
            action: match ccr.requested_action {
                Some(WireAction::RefundAccount) => RequestedAction::Refund,
                Some(WireAction::CheckBalance) => RequestedAction::CheckBalance,
                Some(WireAction::PriceEnquiry) => RequestedAction::PriceEnquiry,
                Some(WireAction::DirectDebiting | WireAction::Other(_)) | None => RequestedAction::DirectDebit,
            },
            event_time: ccr.event_timestamp.map(|time| UtcMs(time.epoch_ms())),
            origin_state_id: ccr.origin_state_id,
            sub_session_id: ccr.cc_sub_session_id,
            facts: Facts::of(ccr, numbers, emergency),
            groups: Vec::with_capacity(ccr.multiple_services_credit_control.len()),
            grouped: !ccr.multiple_services_credit_control.is_empty(),
            retransmitted: frame.header().flags.is_retransmitted(),
            content: content(frame),
        };
        ask.read_groups(ccr);
        ask.number_containers();
        ask
    }

    /// What the core is asked.
    pub fn operation(&self) -> Operation {
        match self.request_type {
            CcRequestType::Initial => Operation::Initial,
            CcRequestType::Update => Operation::Update,
            CcRequestType::Termination => Operation::Termination,
            CcRequestType::Event => Operation::Event,
        }
    }

    /// An event that takes or gives back money; other events ask questions.
    pub fn moves_money(&self) -> bool {
        self.request_type == CcRequestType::Event
            && matches!(self.action, RequestedAction::DirectDebit | RequestedAction::Refund)
    }

    fn read_groups(&mut self, ccr: &CreditControlRequest<'_>) {
        for group in &ccr.multiple_services_credit_control {
            let change = group.tariff_change_usage;
            let reason = group.reporting_reasons.first().copied();
            let asked = Asked {
                rating_group: group.rating_group,
                service_identifiers: group.service_identifiers.clone(),
                requested: group.requested_service_unit.as_ref().map(wanted),
                used: group.used_service_units.iter().map(|unit| used(unit, change, reason)).collect(),
            };
            // A report and a new request for one group may come apart.
            match self.groups.iter_mut().find(|known| known.is_same(&asked)) {
                Some(known) => {
                    known.requested = known.requested.or(asked.requested);
                    known.used.extend(asked.used);
                }
                None => self.groups.push(asked),
            }
        }
        let beside = ccr.requested_service_unit.is_some() || !ccr.used_service_units.is_empty();
        let is_event = self.request_type == CcRequestType::Event;
        if self.groups.is_empty() && (beside || is_event) {
            self.groups.push(Asked {
                rating_group: None,
                service_identifiers: ccr.service_identifier.into_iter().collect(),
                requested: ccr.requested_service_unit.as_ref().map(wanted),
                used: ccr.used_service_units.iter().map(|unit| used(unit, None, None)).collect(),
            });
        }
    }

    /// The same for a copy, whatever we remember.
    fn number_containers(&mut self) {
        let containers = self.groups.iter_mut().flat_map(|group| &mut group.used);
        for (sequence, container) in (0_u32..).zip(containers) {
            container.sequence = sequence;
        }
    }
}

fn wanted(unit: &RequestedServiceUnit) -> Units {
    Units {
        time_ms: unit.cc_time.map(|seconds| u64::from(seconds) * 1_000),
        total_octets: unit.cc_total_octets,
        input_octets: unit.cc_input_octets,
        output_octets: unit.cc_output_octets,
        specific_units: unit.cc_service_specific_units,
        money: unit.cc_money.as_deref().and_then(|amount| money::amount(&amount.unit_value)),
    }
}

fn used(unit: &UsedServiceUnit, change: Option<TariffChangeUsage>, reason: Option<WireReason>) -> UsedUnits {
    UsedUnits {
        sequence: 0,
        units: Units {
            time_ms: unit.cc_time.map(|seconds| u64::from(seconds) * 1_000),
            total_octets: unit.cc_total_octets,
            input_octets: unit.cc_input_octets,
            output_octets: unit.cc_output_octets,
            specific_units: unit.cc_service_specific_units,
            money: None,
        },
        start: None,
        end: None,
        tariff_change: unit.tariff_change_usage.or(change).and_then(|usage| match usage {
            TariffChangeUsage::BeforeTariffChange => Some(TariffChange::Before),
            TariffChangeUsage::AfterTariffChange => Some(TariffChange::After),
            TariffChangeUsage::Indeterminate => Some(TariffChange::Indeterminate),
            TariffChangeUsage::Other(_) => None,
        }),
        reason: unit.reporting_reason.or(reason).and_then(why),
    }
}

fn why(reason: WireReason) -> Option<ReportingReason> {
    Some(match reason {
        WireReason::Threshold => ReportingReason::Threshold,
        WireReason::Qht | WireReason::UnusedQuotaTimer => ReportingReason::QuotaHoldingTime,
        WireReason::Final => ReportingReason::Final,
        WireReason::QuotaExhausted => ReportingReason::QuotaExhausted,
        WireReason::ValidityTime => ReportingReason::ValidityTime,
        WireReason::OtherQuotaType => ReportingReason::OtherQuotaType,
        WireReason::RatingConditionChange => ReportingReason::RatingConditionChange,
        WireReason::ForcedReauthorisation => ReportingReason::ForcedReauthorisation,
        WireReason::PoolExhausted => ReportingReason::PoolExhausted,
        WireReason::Other(_) => return None,
    })
}

/// A hash of the AVPs that tell units and action. Relays change others of a copy (Route-Record, Proxy-Info), not these.
fn content(frame: &Frame) -> u64 {
    let (mut hash, mut avps) = (SEED, frame.avps());
    while let Ok(Some(avp)) = avps.next_avp() {
        if avp.vendor == 0 && CHARGEABLE.contains(&avp.code) {
            let (words, rest) = avp.raw.as_chunks::<8>();
            hash = words.iter().fold(hash, |hash, word| mixed(hash, u64::from_be_bytes(*word)));
            // Its own length goes before each AVP, so a shorter rest is not a longer one with zeros.
            hash = mixed(hash, rest.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)));
        }
    }
    hash
}

/// One word more. Each step can be undone, so requests that differ in one word never share a hash.
fn mixed(hash: u64, word: u64) -> u64 {
    (hash ^ word).wrapping_mul(SEED).rotate_left(29)
}

/// The golden ratio in 64 bits: odd, and without a pattern.
const SEED: u64 = 0x9E37_79B9_7F4A_7C15;

/// CC-Request-Type, Requested-Action, Requested- and Used-Service-Unit, Multiple-Services-Credit-Control.
const CHARGEABLE: [u32; 5] = [416, 436, 437, 446, 456];
