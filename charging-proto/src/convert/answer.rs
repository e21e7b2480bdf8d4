//! `ChargingDataResponse`, `Notification` and what they are made of.

use types::UtcMs;
use types::charging::{
    BalanceDraw, ChargingAnswer, Cost, FinalUnit, Notification, NotificationKind, ResultCode, UnitAnswer, Units,
};

use super::words::WireWord;
use super::{ConvertError, currency, money, session_id};
use crate::v1;

impl From<ChargingAnswer> for v1::ChargingDataResponse {
    fn from(answer: ChargingAnswer) -> Self {
        Self {
            session_id: answer.session_id.as_str().to_owned(),
            request_number: answer.request_number,
            result_code: answer.result_code.0,
            multiple_unit_information: answer.units.into_iter().map(Into::into).collect(),
            cost: answer.cost.map(Into::into),
            remaining_balance: answer.remaining_balance.map(|amount| amount.to_string()),
            low_balance: answer.low_balance,
            failure_handling: answer.failure_handling.to_wire(),
            session_failover: answer.session_failover,
            notifications: answer.notifications.into_iter().map(Into::into).collect(),
            release_cause: answer.release_cause.map(WireWord::to_wire),
            drawn: answer.drawn.into_iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<v1::ChargingDataResponse> for ChargingAnswer {
    type Error = ConvertError;

    fn try_from(wire: v1::ChargingDataResponse) -> Result<Self, ConvertError> {
        Ok(Self {
            session_id: session_id("session_id", wire.session_id)?,
            request_number: wire.request_number,
            result_code: result_code("result_code", wire.result_code)?,
            units: wire.multiple_unit_information.into_iter().map(UnitAnswer::try_from).collect::<Result<_, _>>()?,
            cost: wire.cost.map(Cost::try_from).transpose()?,
            remaining_balance: wire.remaining_balance.map(|text| money("remaining_balance", &text)).transpose()?,
            low_balance: wire.low_balance,
            failure_handling: WireWord::from_wire("failure_handling", wire.failure_handling)?,
            session_failover: wire.session_failover,
            notifications: wire.notifications.into_iter().map(Notification::try_from).collect::<Result<_, _>>()?,
            release_cause: WireWord::from_optional("release_cause", wire.release_cause)?,
            drawn: wire.drawn.into_iter().map(BalanceDraw::try_from).collect::<Result<_, _>>()?,
        })
    }
}

/// 0 stands for absent on the wire, and no result has that number.
fn result_code(field: &'static str, value: u32) -> Result<ResultCode, ConvertError> {
    if value == 0 { Err(ConvertError::Missing { field }) } else { Ok(ResultCode(value)) }
}

impl From<UnitAnswer> for v1::MultipleUnitInformation {
    fn from(unit: UnitAnswer) -> Self {
        Self {
            rating_group: unit.rating_group,
            service_identifier: unit.service_identifier,
            result_code: unit.result_code.0,
            granted_unit: unit.granted.map(Into::into),
            validity_time_ms: unit.validity_time_ms,
            quota_threshold: unit.quota_threshold,
            quota_holding_time_ms: unit.quota_holding_time_ms,
            tariff_time_change: unit.tariff_time_change.map(|time| time.0),
            final_unit_indication: unit.final_unit.map(Into::into),
            billable: unit.billable,
        }
    }
}

impl TryFrom<v1::MultipleUnitInformation> for UnitAnswer {
    type Error = ConvertError;

    fn try_from(wire: v1::MultipleUnitInformation) -> Result<Self, ConvertError> {
        Ok(Self {
            rating_group: wire.rating_group,
            service_identifier: wire.service_identifier,
            result_code: result_code("multiple_unit_information.result_code", wire.result_code)?,
            granted: wire.granted_unit.map(Units::try_from).transpose()?,
            validity_time_ms: wire.validity_time_ms,
            quota_threshold: wire.quota_threshold,
            quota_holding_time_ms: wire.quota_holding_time_ms,
            tariff_time_change: wire.tariff_time_change.map(UtcMs),
            final_unit: wire.final_unit_indication.map(FinalUnit::try_from).transpose()?,
            billable: wire.billable,
        })
    }
}

impl From<FinalUnit> for v1::FinalUnitIndication {
    fn from(unit: FinalUnit) -> Self {
        Self {
            action: unit.action.to_wire(),
            redirect_server: unit.redirect.map(Into::into),
            filters: unit.filters.into_iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<v1::FinalUnitIndication> for FinalUnit {
    type Error = ConvertError;

    fn try_from(wire: v1::FinalUnitIndication) -> Result<Self, ConvertError> {
        Ok(Self {
            action: WireWord::from_wire("final_unit_indication.action", wire.action)?,
            redirect: wire.redirect_server.map(Into::into),
            filters: wire.filters.into_iter().map(Into::into).collect(),
        })
    }
}

impl From<Cost> for v1::Cost {
    fn from(cost: Cost) -> Self {
        Self {
            currency: cost.currency.to_string(),
            amount: cost.amount.to_string(),
            per_minute_rate: cost.per_minute_rate.map(|amount| amount.to_string()),
            overrun: cost.overrun.to_string(),
        }
    }
}

impl TryFrom<v1::Cost> for Cost {
    type Error = ConvertError;

    fn try_from(wire: v1::Cost) -> Result<Self, ConvertError> {
        Ok(Self {
            currency: currency("cost.currency", &wire.currency)?,
            amount: money("cost.amount", &wire.amount)?,
            per_minute_rate: wire.per_minute_rate.map(|text| money("cost.per_minute_rate", &text)).transpose()?,
            overrun: money("cost.overrun", &wire.overrun)?,
        })
    }
}

impl From<Notification> for v1::Notification {
    fn from(notification: Notification) -> Self {
        let (kind, release_cause) = match notification.kind {
            NotificationKind::Reauthorize => (v1::NotificationKind::Reauthorize, None),
            NotificationKind::Abort(cause) => (v1::NotificationKind::Abort, Some(cause.to_wire())),
        };
        Self {
            sequence: notification.sequence,
            session_id: notification.session_id.as_str().to_owned(),
            kind: kind.into(),
            release_cause,
        }
    }
}

impl TryFrom<v1::Notification> for Notification {
    type Error = ConvertError;

    fn try_from(wire: v1::Notification) -> Result<Self, ConvertError> {
        let kind = match v1::NotificationKind::try_from(wire.kind) {
            Ok(v1::NotificationKind::Reauthorize) => NotificationKind::Reauthorize,
            Ok(v1::NotificationKind::Abort) => {
                let field = "notification.release_cause";
                let cause = wire.release_cause.ok_or(ConvertError::Missing { field })?;
                NotificationKind::Abort(WireWord::from_wire(field, cause)?)
            }
            Ok(v1::NotificationKind::Unspecified) => return Err(ConvertError::Missing { field: "notification.kind" }),
            Err(_) => return Err(ConvertError::UnknownValue { field: "notification.kind", value: wire.kind }),
        };
        Ok(Self { sequence: wire.sequence, session_id: session_id("notification.session_id", wire.session_id)?, kind })
    }
}
