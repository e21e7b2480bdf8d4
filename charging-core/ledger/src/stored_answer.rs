//! The answers of a session as they are kept for copies of its requests. There are millions, and hardly one is ever asked for: they
//! are packed into one piece of memory, some 70 octets each, without what their session says already.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use types::charging::{ChargingAnswer, Cost, FailureHandling, Notification, ResultCode, UnitAnswer};
use types::{Money, SessionId};

use crate::fingerprint::Fingerprint;
use crate::packed::pack;

/// By request number, one behind the other: the number, the fingerprint, the length of the rest, and the rest.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct StoredAnswers(Box<[u8]>);

/// One of them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StoredAnswer<'s> {
    pub request_number: u32,
    pub fingerprint: Fingerprint,
    /// [`Rest`] in postcard.
    packed: &'s [u8],
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

/// As snapshots of the first two formats have it.
#[derive(Deserialize)]
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

impl StoredAnswers {
    /// Something of them, read for the processor's cache.
    pub fn touched(&self) -> u64 {
        u64::from(self.0.first().copied().unwrap_or(0)) ^ u64::from(self.0.last().copied().unwrap_or(0))
    }

    /// The one to a request.
    pub fn find(&self, request_number: u32) -> Option<StoredAnswer<'_>> {
        self.iter().find(|stored| stored.request_number == request_number)
    }

    /// Keeps an answer, if there is none under its number.
    pub fn keep(&mut self, fingerprint: Fingerprint, answer: &ChargingAnswer, scratch: &mut Scratch) {
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
        self.pack(answer.request_number, fingerprint, &packing, scratch);
    }

    fn pack(&mut self, request_number: u32, fingerprint: Fingerprint, packing: &Packing<'_>, scratch: &mut Scratch) {
        let before = self.iter().take_while(|stored| stored.request_number < request_number);
        let place: usize = before.map(|stored| stored.octets()).sum();
        let (before, after) = self.0.split_at_checked(place).unwrap_or((&self.0, &[]));
        if split(after).is_some_and(|(stored, _)| stored.request_number == request_number) {
            return;
        }
        let Scratch(packed) = scratch;
        packed.clear();
        pack(packing, packed).expect("invariant: an answer is plain data");
        let length = u32::try_from(packed.len()).expect("invariant: an answer fits into a log record");
        // There are millions of them: no room for more than is needed.
        let mut all = Vec::with_capacity(self.0.len() + HEAD_OCTETS + packed.len());
        all.extend_from_slice(before);
        all.extend_from_slice(&request_number.to_le_bytes());
        all.extend_from_slice(&fingerprint.to_octets());
        all.extend_from_slice(&length.to_le_bytes());
        all.extend_from_slice(packed);
        all.extend_from_slice(after);
        self.0 = all.into();
    }

    fn iter(&self) -> impl Iterator<Item = StoredAnswer<'_>> {
        let mut rest = &*self.0;
        std::iter::from_fn(move || {
            let (stored, after) = split(rest)?;
            rest = after;
            Some(stored)
        })
    }
}

/// The first one and the others.
fn split(octets: &[u8]) -> Option<(StoredAnswer<'_>, &[u8])> {
    let (number, rest) = octets.split_first_chunk::<4>()?;
    let (fingerprint, rest) = rest.split_first_chunk::<16>()?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let (packed, rest) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
    let fingerprint = Fingerprint::from_octets(*fingerprint);
    Some((StoredAnswer { request_number: u32::from_le_bytes(*number), fingerprint, packed }, rest))
}

impl StoredAnswer<'_> {
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

    const fn octets(&self) -> usize {
        HEAD_OCTETS + self.packed.len()
    }

    fn rest(&self) -> Rest {
        postcard::from_bytes(self.packed).expect("invariant: it was packed here, or unpacked when it was read")
    }
}

impl std::fmt::Debug for StoredAnswers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// As they are, since format 3.
impl Serialize for StoredAnswers {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for StoredAnswers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let all = Self(crate::octets::deserialize(deserializer)?);
        let mut rest = &*all.0;
        while !rest.is_empty() {
            let (stored, after) = split(rest).ok_or_else(|| D::Error::custom("a stored answer is cut off"))?;
            postcard::from_bytes::<Rest>(stored.packed).map_err(D::Error::custom)?;
            rest = after;
        }
        Ok(all)
    }
}

/// Answers as the first two formats have them.
#[derive(Debug, Clone)]
pub(crate) struct ListedAnswers(pub StoredAnswers);

impl<'de> Deserialize<'de> for ListedAnswers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (mut all, mut scratch) = (StoredAnswers::default(), Scratch::default());
        for whole in Vec::<Whole>::deserialize(deserializer)? {
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
            all.pack(whole.request_number, whole.fingerprint, &packing, &mut scratch);
        }
        Ok(Self(all))
    }
}

/// Where answers are packed before it is known how much room they need. Says nothing, so all are equal.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scratch(Vec<u8>);

impl PartialEq for Scratch {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Scratch {}

/// Number, fingerprint and length.
const HEAD_OCTETS: usize = 24;

#[cfg(test)]
mod tests {
    use types::charging::{FinalUnit, FinalUnitAction, NotificationKind, Units};

    use super::*;
    use crate::fingerprint::Hash as _;

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
        let fingerprint = |number: u32| Fingerprint::of(|hash| hash.number(number.into()));
        let answer = |number, count| ChargingAnswer {
            units: (0..count).map(unit).collect(),
            notifications: (0..count).map(notification).collect(),
            remaining_balance: Some(Money::LIMIT),
            low_balance: true,
            ..ChargingAnswer::refusal(SessionId::from("s"), number, ResultCode::SUCCESS)
        };
        // In no order; the last one takes more than the usual room.
        let given = [(9, 0), (3, 1), (u32::MAX, 1), (0, 1), (5, 40)];
        let (mut all, mut scratch) = (StoredAnswers::default(), Scratch::default());
        for (number, count) in given {
            assert!(all.find(number).is_none());
            all.keep(fingerprint(number), &answer(number, count), &mut scratch);
            all.keep(fingerprint(7), &answer(number, 2), &mut scratch);
        }
        let written = postcard::to_extend(&all, Vec::new()).expect("written");
        let read: StoredAnswers = postcard::from_bytes(&written).expect("read");
        assert_eq!(read, all);
        for (number, count) in given {
            let stored = read.find(number).expect("kept");
            assert_eq!(stored.fingerprint, fingerprint(number), "the first one stays");
            assert_eq!(stored.restore(&SessionId::from("s")), answer(number, count), "{number}");
        }
        let mut numbers: Vec<u32> = given.iter().map(|(number, _)| *number).collect();
        numbers.sort_unstable();
        assert_eq!(read.iter().map(|stored| stored.request_number).collect::<Vec<_>>(), numbers);
    }
}
