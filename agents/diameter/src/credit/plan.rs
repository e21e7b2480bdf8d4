//! From a CCR to the core's request: which group is charged how, and what of it the core is asked.

use std::sync::Arc;

use types::charging::{ChargingMode, ChargingRequest, Operation, RequestedAction, Service, UnitUsage, Units};
use types::{ClientId, Number, SessionId, Tenant, UtcMs};

use crate::config::{DiameterConfig, ServiceConfig, ServiceMatch, UnitGrants};

use super::ask::{Ask, Asked};
use super::facts::Facts;
use super::memory::{Memory, Terms};

/// What becomes of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The core decides.
    Charged {
        /// Its place among the core's units.
        unit: usize,
        /// The row of the table.
        service: usize,
        /// The bounds of its grants.
        grants: UnitGrants,
    },
    /// No credit control: 4011.
    Free,
    /// No row of the table is for it: 5031.
    Unmapped,
}

/// A CCR, decided as far as we can.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// What the core is asked; `None`: nothing of it is for the core.
    pub request: Option<Arc<ChargingRequest>>,
    /// One for each group of the CCR.
    pub verdicts: Vec<Verdict>,
    /// What is sold.
    pub service: Service,
}

/// Makes the plan. `number`: under which the core shall know the request. What the session learns from it goes into `memory`.
pub fn plan(ask: &Ask, memory: &mut Memory, number: u32, config: &DiameterConfig, now: UtcMs) -> Plan {
    memory.learn(&ask.facts);
    let (mut verdicts, mut units) = (Vec::with_capacity(ask.groups.len()), Vec::with_capacity(ask.groups.len()));
    for group in &ask.groups {
        verdicts.push(group_plan(ask, group, memory, config, &mut units));
    }
    if ask.groups.is_empty() && memory.terms.is_none() {
        let (_, service) = find(ask, &Asked::default(), &memory.facts, config).unzip();
        let terms = terms(service.unwrap_or(&ServiceConfig::default()), &memory.facts, config);
        memory.changing().terms = Some(terms);
    }
    standing_unit(ask, &verdicts, config, &mut units);
    let wanted = units.is_empty() && verdicts.iter().all(|verdict| *verdict == Verdict::Unmapped);
    let nothing = !ask.groups.is_empty() && wanted && matches!(ask.operation(), Operation::Initial | Operation::Event);
    let terms = memory.terms.clone().unwrap_or_else(|| terms(&ServiceConfig::default(), &memory.facts, config));
    learn_answer(ask, memory, number, terms.service);
    let service = terms.service;
    let request = (!nothing).then(|| Arc::new(request(ask, memory, terms, (number, units), (config, now))));
    Plan { request, verdicts, service }
}

fn request(
    ask: &Ask,
    memory: &Memory,
    terms: Terms,
    (number, units): (u32, Vec<UnitUsage>),
    (config, now): (&DiameterConfig, UtcMs),
) -> ChargingRequest {
    let facts = &memory.facts;
    let is_event = ask.operation() == Operation::Event;
    ChargingRequest {
        client_id: ClientId::from(&*config.name),
        session_id: SessionId::new(Arc::clone(&ask.session_id)),
        request_number: number,
        operation: ask.operation(),
        requested_action: is_event.then_some(ask.action),
        tenant: terms.tenant,
        subscribers: facts.subscribers.clone(),
        charging_mode: terms.mode,
        service: terms.service,
        category: default_category(terms.service).into(),
        subject: terms.subject,
        calling: facts.calling.clone(),
        called: facts.called.clone(),
        event_time: ask.event_time.unwrap_or(now),
        answer_time: memory.answered.filter(|(known_by, _)| number >= *known_by).map(|(_, at)| at),
        service_information: Some(Box::new(facts.information.clone())),
        units,
        release_cause: None,
        client_state: Vec::new(),
        retransmission: ask.retransmitted,
    }
}

fn group_plan(
    ask: &Ask,
    group: &Asked,
    memory: &mut Memory,
    config: &DiameterConfig,
    units: &mut Vec<UnitUsage>,
) -> Verdict {
    let Some((at, service)) = find(ask, group, &memory.facts, config) else { return Verdict::Unmapped };
    let (tenant, sold) = (tenant(service, config), sold(service, &memory.facts));
    if memory.terms.is_none() {
        let terms = terms(service, &memory.facts, config);
        memory.changing().terms = Some(terms);
    }
    let known = memory.terms.as_ref();
    if known.is_some_and(|known| (known.tenant.as_str(), known.service) != (tenant, sold)) {
        return Verdict::Unmapped;
    }
    if service.free {
        return Verdict::Free;
    }
    let key = key_of(group, &memory.keys);
    if !memory.keys.contains(&key) && memory.keys.len() < GROUPS_MAX {
        memory.changing().keys.push(key);
    }
    let grants = service.grants(config.grants.of(sold));
    let mut unit = UnitUsage {
        rating_group: key.0,
        service_identifier: key.1,
        category: service.category.as_deref().map(Into::into),
        called: service.destination.as_deref().map(Number::from),
        requested: wanted(ask, group, sold, grants),
        used: group.used.clone(),
    };
    if ask.operation() == Operation::Initial {
        // Some clients report that nothing was used yet.
        unit.used.retain(|container| amount(sold, &container.units).is_some_and(|amount| amount > 0));
    }
    let index = units.iter().position(|other: &UnitUsage| {
        (other.rating_group, other.service_identifier) == (unit.rating_group, unit.service_identifier)
    });
    let unit_index = match index {
        // A report without its service identifier beside one with it.
        Some(index) => {
            if let Some(known) = units.get_mut(index) {
                known.requested = known.requested.or(unit.requested);
                known.used.extend(unit.used);
            }
            index
        }
        None => {
            units.push(unit);
            units.len() - 1
        }
    };
    Verdict::Charged { unit: unit_index, service: at, grants }
}

/// Where credit is gone, some services are redirected or restricted instead of refused, and asked for again when it comes back. So the
/// session must stand with the core even if no group gets anything: it has a group that asks for nothing.
fn standing_unit(ask: &Ask, verdicts: &[Verdict], config: &DiameterConfig, units: &mut Vec<UnitUsage>) {
    let row = verdicts.iter().find_map(|verdict| match verdict {
        Verdict::Charged { service, .. } => config.services.get(*service).filter(|row| row.final_unit.is_some()),
        Verdict::Free | Verdict::Unmapped => None,
    });
    let (Some(row), Operation::Initial) = (row, ask.operation()) else { return };
    if !units.iter().any(|unit| unit.rating_group == STANDING) {
        units.push(UnitUsage {
            rating_group: STANDING,
            service_identifier: None,
            category: row.category.as_deref().map(Into::into),
            called: row.destination.as_deref().map(Number::from),
            requested: None,
            used: Vec::new(),
        });
    }
}

/// The first row that fits.
fn find<'c>(ask: &Ask, group: &Asked, facts: &Facts, config: &'c DiameterConfig) -> Option<(usize, &'c ServiceConfig)> {
    let information = &facts.information;
    let group = ServiceMatch {
        context: &facts.context,
        context_number: facts.context_number,
        rating_group: group.rating_group,
        service_identifiers: &group.service_identifiers,
        apn: information.apn.as_deref(),
        plmn: information.plmn.as_deref(),
        role: information.role,
        client_realm: &ask.origin_realm,
    };
    config.services.iter().enumerate().find(|(_, row)| row.fits(&group))
}

fn terms(row: &ServiceConfig, facts: &Facts, config: &DiameterConfig) -> Terms {
    Terms {
        tenant: Tenant::from(tenant(row, config)),
        service: sold(row, facts),
        subject: row.subject.as_deref().map(Into::into),
        mode: row.mode.unwrap_or(ChargingMode::Prepaid),
    }
}

fn tenant<'c>(row: &'c ServiceConfig, config: &'c DiameterConfig) -> &'c str {
    row.tenant.as_deref().unwrap_or(&config.tenant)
}

fn sold(row: &ServiceConfig, facts: &Facts) -> Service {
    row.service.unwrap_or_else(|| facts.service())
}

/// The core's key of a group: a report that leaves the service identifier out is about the one group there is.
fn key_of(group: &Asked, known: &[(u32, Option<u32>)]) -> (u32, Option<u32>) {
    let key = (group.rating_group.unwrap_or(0), group.service_identifiers.first().copied());
    if key.1.is_some() || known.contains(&key) {
        return key;
    }
    known.iter().find(|(rating_group, _)| *rating_group == key.0).copied().unwrap_or(key)
}

/// What the core is asked for: in the unit of the service, and no more than is granted at once.
fn wanted(ask: &Ask, group: &Asked, service: Service, grants: UnitGrants) -> Option<Units> {
    let asked = match ask.operation() {
        Operation::Termination => return None,
        Operation::Event => group.requested.unwrap_or_default(),
        Operation::Initial | Operation::Update => group.requested?,
    };
    let asked = amount(service, &asked).filter(|amount| *amount > 0);
    let amount = match (ask.operation(), ask.action) {
        (Operation::Event, RequestedAction::DirectDebit | RequestedAction::Refund) => asked.unwrap_or(1),
        (Operation::Event, _) => asked.unwrap_or(grants.amount.least),
        _ => asked.unwrap_or(grants.amount.slice).clamp(grants.amount.least, grants.amount.most),
    };
    Some(express(service, amount))
}

/// How much it is in the unit of the service; absent: in other units only.
pub fn amount(service: Service, units: &Units) -> Option<u64> {
    match service {
        Service::Voice => units.time_ms,
        Service::Data => match (units.total_octets, units.input_octets, units.output_octets) {
            (Some(total), _, _) => Some(total),
            (None, None, None) => None,
            (None, input, output) => Some(input.unwrap_or(0).saturating_add(output.unwrap_or(0))),
        },
        Service::Sms | Service::Mms | Service::Generic => units.specific_units,
    }
}

/// An amount in the unit of the service.
pub fn express(service: Service, amount: u64) -> Units {
    match service {
        Service::Voice => Units::time(amount),
        Service::Data => Units { total_octets: Some(amount), ..Units::default() },
        Service::Sms | Service::Mms | Service::Generic => Units { specific_units: Some(amount), ..Units::default() },
    }
}

/// The first report of used time tells when the call was answered, if it tells when it was made.
fn learn_answer(ask: &Ask, memory: &mut Memory, number: u32, service: Service) {
    let (None, Service::Voice, Some(at)) = (memory.answered, service, ask.event_time) else { return };
    let used = |group: &Asked| -> u64 {
        group.used.iter().filter_map(|container| container.units.time_ms).fold(0, u64::saturating_add)
    };
    let used_ms = ask.groups.iter().map(used).max().unwrap_or(0);
    if used_ms > 0 && used_ms <= LONGEST_CALL_MS {
        memory.changing().answered = Some((number, UtcMs(at.0.saturating_sub_unsigned(used_ms))));
    }
}

const fn default_category(service: Service) -> &'static str {
    match service {
        Service::Voice => "call",
        Service::Data => "data",
        Service::Sms => "sms",
        Service::Mms => "mms",
        Service::Generic => "generic",
    }
}

/// The group that asks for nothing; no operator's.
const STANDING: u32 = u32::MAX;
/// What one session may have; a CCR within its length limit has fewer.
const GROUPS_MAX: usize = 1_024;
/// A report of more is none (Kamailio was seen to report 828 days).
pub const LONGEST_CALL_MS: u64 = 31 * 86_400_000;
