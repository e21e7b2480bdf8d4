//! An answer as it is kept for copies of its request. There are millions, and hardly one is ever asked for: each is packed into
//! a few dozen octets, without what its session says already.

use serde::{Deserialize, Serialize};
use types::charging::{ChargingAnswer, Cost, FailureHandling, Notification, ResultCode, UnitAnswer};
use types::{Money, SessionId};

use crate::fingerprint::Fingerprint;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Whole", into = "Whole")]
pub(crate) struct StoredAnswer {
    pub request_number: u32,
    pub fingerprint: Fingerprint,
    /// [`Rest`] in postcard.
    packed: Box<[u8]>,
}

/// What is packed.
#[derive(Serialize)]
struct Packing<'a> {
    result_code: ResultCode,
    failure_handling: FailureHandling,
    session_failover: bool,
    low_balance: bool,
    units: &'a [UnitAnswer],
    cost: Option<Cost>,
    remaining_balance: Option<Money>,
    notifications: &'a [Notification],
}

/// The same, unpacked.
#[derive(Deserialize)]
struct Rest {
    result_code: ResultCode,
    failure_handling: FailureHandling,
    session_failover: bool,
    low_balance: bool,
    units: Vec<UnitAnswer>,
    cost: Option<Cost>,
    remaining_balance: Option<Money>,
    notifications: Vec<Notification>,
}

/// As snapshots have it.
#[derive(Serialize, Deserialize)]
struct Whole {
    request_number: u32,
    fingerprint: Fingerprint,
    result_code: ResultCode,
    failure_handling: FailureHandling,
    session_failover: bool,
    low_balance: bool,
    units: Vec<UnitAnswer>,
    cost: Option<Cost>,
    remaining_balance: Option<Money>,
    notifications: Vec<Notification>,
}

impl Packing<'_> {
    fn pack(&self) -> Box<[u8]> {
        let mut room = [0; USUAL_OCTETS];
        if let Ok(packed) = postcard::to_slice(self, &mut room) {
            return Box::from(&*packed);
        }
        postcard::to_extend(self, Vec::new()).expect("invariant: an answer is plain data").into()
    }
}

impl StoredAnswer {
    pub fn new(fingerprint: Fingerprint, answer: &ChargingAnswer) -> Self {
        let packing = Packing {
            result_code: answer.result_code,
            failure_handling: answer.failure_handling,
            session_failover: answer.session_failover,
            low_balance: answer.low_balance,
            units: &answer.units,
            cost: answer.cost,
            remaining_balance: answer.remaining_balance,
            notifications: &answer.notifications,
        };
        Self { request_number: answer.request_number, fingerprint, packed: packing.pack() }
    }

    /// The answer as it was given.
    pub fn restore(&self, session_id: &SessionId) -> ChargingAnswer {
        let rest = self.rest();
        ChargingAnswer {
            session_id: session_id.clone(),
            request_number: self.request_number,
            result_code: rest.result_code,
            units: rest.units,
            cost: rest.cost,
            remaining_balance: rest.remaining_balance,
            low_balance: rest.low_balance,
            failure_handling: rest.failure_handling,
            session_failover: rest.session_failover,
            notifications: rest.notifications,
            release_cause: None,
            drawn: Vec::new(),
        }
    }

    fn rest(&self) -> Rest {
        postcard::from_bytes(&self.packed).expect("invariant: packed by this process")
    }
}

impl From<Whole> for StoredAnswer {
    fn from(whole: Whole) -> Self {
        let packing = Packing {
            result_code: whole.result_code,
            failure_handling: whole.failure_handling,
            session_failover: whole.session_failover,
            low_balance: whole.low_balance,
            units: &whole.units,
            cost: whole.cost,
            remaining_balance: whole.remaining_balance,
            notifications: &whole.notifications,
        };
        Self { request_number: whole.request_number, fingerprint: whole.fingerprint, packed: packing.pack() }
    }
}

impl From<StoredAnswer> for Whole {
    fn from(stored: StoredAnswer) -> Self {
        let rest = stored.rest();
        Self {
            request_number: stored.request_number,
            fingerprint: stored.fingerprint,
            result_code: rest.result_code,
            failure_handling: rest.failure_handling,
            session_failover: rest.session_failover,
            low_balance: rest.low_balance,
            units: rest.units,
            cost: rest.cost,
            remaining_balance: rest.remaining_balance,
            notifications: rest.notifications,
        }
    }
}

/// An answer for one group takes some 60.
const USUAL_OCTETS: usize = 256;

#[cfg(test)]
mod tests {
    use types::charging::{FinalUnit, FinalUnitAction, NotificationKind, Units};

    use super::*;

    #[test]
    fn answers_come_back_as_they_were_given() {
        let unit = |billable| UnitAnswer {
            rating_group: 7,
            service_identifier: Some(1),
            result_code: ResultCode::CREDIT_LIMIT_REACHED,
            granted: Some(Units { money: Some(Money::from_nanos(-1)), ..Units::time(u64::MAX) }),
            validity_time_ms: Some(1),
            quota_threshold: Some(2),
            quota_holding_time_ms: Some(3),
            tariff_time_change: None,
            final_unit: Some(FinalUnit {
                action: FinalUnitAction::Redirect,
                redirect: Some("sip:x".into()),
                filters: vec!["a".into()],
            }),
            billable,
        };
        let notification = |sequence| Notification {
            sequence,
            session_id: SessionId::from("another"),
            kind: NotificationKind::Reauthorize,
        };
        // The last one takes more than the usual room.
        for count in [0, 1, 40] {
            let answer = ChargingAnswer {
                units: (0..count).map(unit).collect(),
                notifications: (0..count).map(notification).collect(),
                remaining_balance: Some(Money::LIMIT),
                low_balance: true,
                ..ChargingAnswer::refusal(SessionId::from("s"), 9, ResultCode::SUCCESS)
            };
            let stored = StoredAnswer::new(Fingerprint::of(|_| {}), &answer);
            assert_eq!(stored.restore(&SessionId::from("s")), answer, "{count}");
            let whole = Whole::from(stored.clone());
            assert_eq!(StoredAnswer::from(whole), stored, "{count}");
        }
    }
}
