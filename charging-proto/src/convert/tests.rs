//! Nothing is lost on the way to the wire and back; what is not valid is refused by its field's name.

mod values;

use proptest::prelude::*;
use prost::Message;
use types::charging::*;
use types::money::MoneyError;

use super::*;
use crate::v1;
pub(super) use values::EveryWord;
use values::{answer, notification, request, session};

/// To the wire's bytes and back.
fn round_trip<D, W>(value: D) -> Result<D, ConvertError>
where
    W: From<D> + Message + Default,
    D: TryFrom<W, Error = ConvertError>,
{
    let bytes = W::from(value).encode_to_vec();
    let decoded = W::decode(bytes.as_slice()).unwrap_or_else(|error| panic!("own encoding does not decode: {error}"));
    D::try_from(decoded)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn requests_survive(value in request()) {
        prop_assert_eq!(round_trip::<_, v1::ChargingDataRequest>(value.clone()), Ok(value));
    }

    #[test]
    fn answers_survive(value in answer()) {
        prop_assert_eq!(round_trip::<_, v1::ChargingDataResponse>(value.clone()), Ok(value));
    }

    #[test]
    fn sessions_survive(value in session()) {
        prop_assert_eq!(round_trip::<_, v1::SessionSummary>(value.clone()), Ok(value));
    }

    #[test]
    fn notifications_survive(value in notification()) {
        prop_assert_eq!(round_trip::<_, v1::Notification>(value.clone()), Ok(value));
    }

    #[test]
    fn hostile_bytes_never_panic(bytes in any::<Vec<u8>>()) {
        if let Ok(wire) = v1::ChargingDataRequest::decode(bytes.as_slice()) {
            prop_assert!(ChargingRequest::try_from(wire).map_or_else(|error| !error.field().is_empty(), |_| true));
        }
    }
}

/// The smallest request that is taken.
fn valid() -> v1::ChargingDataRequest {
    v1::ChargingDataRequest {
        client_id: "agent-1".into(),
        session_id: "s".into(),
        tenant: "t".into(),
        operation: 1,
        charging_mode: 1,
        service: 1,
        ..Default::default()
    }
}

fn used_container(used_unit: Option<v1::Units>) -> Vec<v1::MultipleUnitUsage> {
    let container = v1::UsedUnitContainer { used_unit, ..Default::default() };
    vec![v1::MultipleUnitUsage { used_unit_container: vec![container], ..Default::default() }]
}

#[test]
fn what_is_not_valid_is_refused_by_its_name() {
    type Spoil = fn(&mut v1::ChargingDataRequest);
    let money = |text: &str| used_container(Some(v1::Units { money: Some(text.into()), ..Default::default() }));
    let rows: [(Spoil, ConvertError); 10] = [
        (|r| r.client_id.clear(), ConvertError::Missing { field: "client_id" }),
        (|r| r.session_id.clear(), ConvertError::Missing { field: "session_id" }),
        (
            |r| r.session_id = "x".repeat(513),
            ConvertError::TooLong { field: "session_id", length_bytes: 513, limit_bytes: 512 },
        ),
        (|r| r.tenant.clear(), ConvertError::Missing { field: "tenant" }),
        (|r| r.operation = 0, ConvertError::Missing { field: "operation" }),
        (|r| r.service = 99, ConvertError::UnknownValue { field: "service", value: 99 }),
        (|r| r.release_cause = Some(-1), ConvertError::UnknownValue { field: "release_cause", value: -1 }),
        (
            |r| r.service_information = Some(v1::ServiceInformation { rat_type: Some(256), ..Default::default() }),
            ConvertError::TooLarge { field: "service_information.rat_type", value: 256, limit: 255 },
        ),
        (
            |r| r.multiple_unit_usage = used_container(None),
            ConvertError::Missing { field: "used_unit_container.used_unit" },
        ),
        (|r| r.subscribers = vec![v1::SubscriberId::default()], ConvertError::Missing { field: "subscribers.kind" }),
    ];
    assert!(ChargingRequest::try_from(valid()).is_ok());
    for (spoil, expected) in rows {
        let mut wire = valid();
        spoil(&mut wire);
        assert_eq!(ChargingRequest::try_from(wire), Err(expected));
    }
    for (text, source) in [
        ("1,5", MoneyError::NotDecimal),
        ("", MoneyError::NotDecimal),
        ("1e3", MoneyError::NotDecimal),
        ("0.0000000001", MoneyError::TooFine { decimals: 10 }),
    ] {
        let wire = v1::ChargingDataRequest { multiple_unit_usage: money(text), ..valid() };
        assert_eq!(ChargingRequest::try_from(wire), Err(ConvertError::NotMoney { field: "units.money", source }));
    }
}

#[test]
fn an_abort_without_a_cause_is_refused() {
    let wire = v1::Notification { sequence: 1, session_id: "s".into(), kind: 2, release_cause: None };
    assert_eq!(Notification::try_from(wire), Err(ConvertError::Missing { field: "notification.release_cause" }));
}

#[test]
fn an_empty_request_for_units_is_not_the_same_as_none() {
    for requested in [None, Some(Units::default())] {
        let usage = UnitUsage { requested, ..UnitUsage::default() };
        assert_eq!(round_trip::<_, v1::MultipleUnitUsage>(usage.clone()), Ok(usage));
    }
}
