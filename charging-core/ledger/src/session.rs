//! A charging session as it is kept: its groups with their meters, and the answers given under its keys.

use serde::{Deserialize, Serialize};
use types::charging::{ChargingMode, Cost, Service, SessionPhase, SessionSummary, Units};
use types::{ClientId, Currency, Money, SessionId, UtcMs};

use crate::account::AccountKey;
use crate::few::Few;
use crate::pricing::RateKey;
use crate::stored_answer::{StoredAnswer, StoredAnswers};

/// Most usage of one group in one session, in its unit: 2^50 (35 000 years, a petabyte). More is refused, so that
/// prices stay far inside `i128`.
pub const MAX_USAGE: u64 = 1 << 50;

/// Where one rating group of a session stands; usage in milliseconds, octets or units.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meter {
    /// Reported as used, in all.
    pub used: u64,
    /// Charged usage, rounded up to whole increments.
    pub billable: u64,
    /// The usage at which the last grant ends.
    pub reach: u64,
    /// The request that the last grant answered.
    pub granted_by: u32,
    /// True when that grant was the last.
    pub final_grant: bool,
    /// What the usage costs.
    pub cost: Money,
    /// Taken from the account so far. Less than `cost` in the modes that debit at the end or never.
    pub charged: Money,
    /// Reserved on the account for the rest of the grant.
    pub held: Money,
    /// The rate that applied last, for one minute; absent for other units than time.
    pub per_minute_rate: Option<Money>,
}

/// One rating group of a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// The rating group; 0 for voice.
    pub rating_group: u32,
    /// Part of the key where present.
    pub service_identifier: Option<u32>,
    /// Its rate.
    pub rate: RateKey,
    /// Where it stands.
    pub meter: Meter,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Session {
    pub id: SessionId,
    pub client_id: ClientId,
    /// Absent when the payer was unknown and the session denied.
    pub account: Option<AccountKey>,
    /// Where that account is.
    #[serde(skip)]
    pub payer: Payer,
    /// The account's currency.
    pub currency: Option<Currency>,
    pub mode: ChargingMode,
    pub service: Service,
    pub phase: SessionPhase,
    /// When the ledger last decided about it.
    pub updated: UtcMs,
    /// When it expires; only while open.
    pub deadline: Option<UtcMs>,
    /// When its keys began to age; absent while open.
    pub ended: Option<UtcMs>,
    pub answer_time: Option<UtcMs>,
    pub last_request_number: u32,
    /// The request that closed it.
    pub terminated_by: Option<u32>,
    /// True when it was closed by our own cut for lack of credit.
    pub cut: bool,
    pub overrun: Money,
    /// Of voice always one.
    pub groups: Few<Group>,
    pub answers: StoredAnswers,
    #[serde(with = "crate::octets")]
    pub client_state: Box<[u8]>,
}

/// The number of a session's account, as far as it was looked up since the books were read. Never written. Says nothing that the
/// account's key does not, so all are equal.
#[derive(Debug, Clone, Copy, Default)]
pub struct Payer(pub(crate) Option<u32>);

impl PartialEq for Payer {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Payer {}

impl Session {
    /// Something of each part of it, read for the processor's cache.
    pub fn touched(&self) -> u64 {
        let times = self.updated.0 ^ self.deadline.unwrap_or_default().0 ^ self.ended.unwrap_or_default().0;
        let rest = u64::from(self.last_request_number) ^ u64::from(self.cut) ^ self.client_state.len() as u64;
        times.unsigned_abs() ^ rest ^ self.overrun.nanos() as u64
    }

    /// The same of what it has elsewhere.
    pub fn touched_groups(&self) -> u64 {
        let group = self.groups.as_slice().first().map_or(0, |group| {
            group.meter.used ^ group.meter.cost.nanos() as u64 ^ u64::from(group.rate.query.rating_group)
        });
        group ^ self.answers.touched()
    }

    /// The same of the texts of its rates.
    pub fn touched_texts(&self) -> u64 {
        self.groups.as_slice().first().map_or(0, |group| {
            let query = &group.rate.query;
            let of = |text: &str| text.as_bytes().first().copied().map_or(0, u64::from);
            of(&query.category)
                ^ of(&query.subject)
                ^ query.destination.as_ref().map_or(0, |called| of(called.expose()))
        })
    }

    pub fn answer(&self, request_number: u32) -> Option<StoredAnswer<'_>> {
        self.answers.find(request_number)
    }

    pub fn charged(&self) -> Money {
        self.groups.iter().map(|group| group.meter.charged).sum()
    }

    pub fn held(&self) -> Money {
        self.groups.iter().map(|group| group.meter.held).sum()
    }

    /// True when there is proof that charging began.
    pub fn answered(&self) -> bool {
        self.answer_time.is_some() || self.groups.iter().any(|group| group.meter.used > 0)
    }

    /// True when the last grant of some group was less than was asked for.
    pub fn short_of_credit(&self) -> bool {
        self.groups.iter().any(|group| group.meter.final_grant)
    }

    pub fn summary(&self) -> SessionSummary {
        let first = self.groups.as_slice().first().map(|group| group.meter).unwrap_or_default();
        let timed = if self.service == Service::Voice { first } else { Meter::default() };
        SessionSummary {
            session_id: self.id.clone(),
            client_id: self.client_id.clone(),
            phase: self.phase,
            last_request_number: self.last_request_number,
            used_time_ms: timed.used,
            granted_time_ms: timed.reach,
            final_grant: self.short_of_credit(),
            billable_ms: timed.billable,
            cost: self.currency.filter(|_| self.phase != SessionPhase::Denied).map(|currency| Cost {
                currency,
                amount: self.groups.iter().map(|group| group.meter.cost).sum(),
                per_minute_rate: first.per_minute_rate,
                overrun: self.overrun,
            }),
            answer_time: self.answer_time,
            updated: self.updated,
            client_state: self.client_state.to_vec(),
        }
    }
}

/// The amount of the service's own unit: milliseconds for voice, octets for data, otherwise specific units. Absent
/// when the units say nothing in it; saturates, and what exceeds [`MAX_USAGE`] is refused by the caller.
pub(crate) fn measure(service: Service, units: &Units) -> Option<u64> {
    match service {
        Service::Voice => units.time_ms,
        Service::Data => units.total_octets.or(match (units.input_octets, units.output_octets) {
            (None, None) => None,
            (input, output) => Some(input.unwrap_or(0).saturating_add(output.unwrap_or(0))),
        }),
        Service::Sms | Service::Mms | Service::Generic => units.specific_units,
    }
}

/// An amount of the service's own unit.
pub(crate) fn express(service: Service, amount: u64) -> Units {
    match service {
        Service::Voice => Units::time(amount),
        Service::Data => Units { total_octets: Some(amount), ..Units::default() },
        Service::Sms | Service::Mms | Service::Generic => Units { specific_units: Some(amount), ..Units::default() },
    }
}
