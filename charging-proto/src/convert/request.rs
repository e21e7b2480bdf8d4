//! `ChargingDataRequest` and what it is made of.

use types::charging::{ChargingRequest, ServiceInformation, SubscriberId, UnitUsage, Units, UsedUnits};
use types::{Number, UtcMs};

use super::words::WireWord;
use super::{ConvertError, money, required, session_id};
use crate::v1;

impl From<ChargingRequest> for v1::ChargingDataRequest {
    fn from(request: ChargingRequest) -> Self {
        Self::from(&request)
    }
}

impl From<&ChargingRequest> for v1::ChargingDataRequest {
    fn from(request: &ChargingRequest) -> Self {
        Self {
            client_id: request.client_id.as_str().to_owned(),
            session_id: request.session_id.as_str().to_owned(),
            request_number: request.request_number,
            operation: request.operation.to_wire(),
            requested_action: request.requested_action.map(WireWord::to_wire),
            tenant: request.tenant.as_str().to_owned(),
            subscribers: request.subscribers.iter().cloned().map(Into::into).collect(),
            charging_mode: request.charging_mode.to_wire(),
            service: request.service.to_wire(),
            category: request.category.clone().into(),
            subject: request.subject.clone().map(Into::into),
            calling: request.calling.as_ref().map(|number| number.expose().to_owned()),
            called: request.called.as_ref().map(|number| number.expose().to_owned()),
            event_time: request.event_time.0,
            answer_time: request.answer_time.map(|time| time.0),
            service_information: request.service_information.clone().map(|details| (*details).into()),
            multiple_unit_usage: request.units.iter().cloned().map(Into::into).collect(),
            release_cause: request.release_cause.map(WireWord::to_wire),
            client_state: request.client_state.clone(),
            retransmission: request.retransmission,
        }
    }
}

impl TryFrom<v1::ChargingDataRequest> for ChargingRequest {
    type Error = ConvertError;

    fn try_from(wire: v1::ChargingDataRequest) -> Result<Self, ConvertError> {
        Ok(Self {
            client_id: required("client_id", wire.client_id)?,
            session_id: session_id("session_id", wire.session_id)?,
            request_number: wire.request_number,
            operation: WireWord::from_wire("operation", wire.operation)?,
            requested_action: WireWord::from_optional("requested_action", wire.requested_action)?,
            tenant: required("tenant", wire.tenant)?,
            subscribers: wire.subscribers.into_iter().map(SubscriberId::try_from).collect::<Result<_, _>>()?,
            charging_mode: WireWord::from_wire("charging_mode", wire.charging_mode)?,
            service: WireWord::from_wire("service", wire.service)?,
            category: wire.category.into(),
            subject: wire.subject.map(Into::into),
            calling: wire.calling.map(Number::new),
            called: wire.called.map(Number::new),
            event_time: UtcMs(wire.event_time),
            answer_time: wire.answer_time.map(UtcMs),
            service_information: wire
                .service_information
                .map(|details| ServiceInformation::try_from(details).map(Box::new))
                .transpose()?,
            units: wire.multiple_unit_usage.into_iter().map(UnitUsage::try_from).collect::<Result<_, _>>()?,
            release_cause: WireWord::from_optional("release_cause", wire.release_cause)?,
            client_state: wire.client_state,
            retransmission: wire.retransmission,
        })
    }
}

impl From<SubscriberId> for v1::SubscriberId {
    fn from(subscriber: SubscriberId) -> Self {
        Self { kind: subscriber.kind.to_wire(), value: subscriber.value.expose().to_owned() }
    }
}

impl TryFrom<v1::SubscriberId> for SubscriberId {
    type Error = ConvertError;

    fn try_from(wire: v1::SubscriberId) -> Result<Self, ConvertError> {
        Ok(Self { kind: WireWord::from_wire("subscribers.kind", wire.kind)?, value: Number::new(wire.value) })
    }
}

impl From<ServiceInformation> for v1::ServiceInformation {
    fn from(details: ServiceInformation) -> Self {
        Self {
            role: details.role.map(WireWord::to_wire),
            plmn: details.plmn.map(Into::into),
            apn: details.apn.map(Into::into),
            rat_type: details.rat_type.map(u32::from),
            imei: details.imei.map(Into::into),
            user_location: details.user_location.map(Into::into),
            pdp_address: details.pdp_address.map(Into::into),
            charging_id: details.charging_id,
            icid: details.icid.map(Into::into),
            trunk: details.trunk.map(Into::into),
            node: details.node.map(Into::into),
        }
    }
}

impl TryFrom<v1::ServiceInformation> for ServiceInformation {
    type Error = ConvertError;

    fn try_from(wire: v1::ServiceInformation) -> Result<Self, ConvertError> {
        Ok(Self {
            role: WireWord::from_optional("service_information.role", wire.role)?,
            plmn: wire.plmn.map(Into::into),
            apn: wire.apn.map(Into::into),
            rat_type: wire.rat_type.map(rat_type).transpose()?,
            imei: wire.imei.map(Into::into),
            user_location: wire.user_location.map(Into::into),
            pdp_address: wire.pdp_address.map(Into::into),
            charging_id: wire.charging_id,
            icid: wire.icid.map(Into::into),
            trunk: wire.trunk.map(Into::into),
            node: wire.node.map(Into::into),
        })
    }
}

fn rat_type(value: u32) -> Result<u8, ConvertError> {
    u8::try_from(value).map_err(|_| ConvertError::TooLarge {
        field: "service_information.rat_type",
        value: value.into(),
        limit: u8::MAX.into(),
    })
}

impl From<UnitUsage> for v1::MultipleUnitUsage {
    fn from(usage: UnitUsage) -> Self {
        Self {
            rating_group: usage.rating_group,
            service_identifier: usage.service_identifier,
            requested_unit: usage.requested.map(Into::into),
            used_unit_container: usage.used.into_iter().map(Into::into).collect(),
            category: usage.category.map(Into::into),
            called: usage.called.map(|number| number.expose().to_owned()),
        }
    }
}

impl TryFrom<v1::MultipleUnitUsage> for UnitUsage {
    type Error = ConvertError;

    fn try_from(wire: v1::MultipleUnitUsage) -> Result<Self, ConvertError> {
        Ok(Self {
            rating_group: wire.rating_group,
            service_identifier: wire.service_identifier,
            category: wire.category.map(Into::into),
            called: wire.called.map(Number::new),
            requested: wire.requested_unit.map(Units::try_from).transpose()?,
            used: wire.used_unit_container.into_iter().map(UsedUnits::try_from).collect::<Result<_, _>>()?,
        })
    }
}

impl From<Units> for v1::Units {
    fn from(units: Units) -> Self {
        Self {
            time_ms: units.time_ms,
            total_octets: units.total_octets,
            input_octets: units.input_octets,
            output_octets: units.output_octets,
            specific_units: units.specific_units,
            money: units.money.map(|amount| amount.to_string()),
        }
    }
}

impl TryFrom<v1::Units> for Units {
    type Error = ConvertError;

    fn try_from(wire: v1::Units) -> Result<Self, ConvertError> {
        Ok(Self {
            time_ms: wire.time_ms,
            total_octets: wire.total_octets,
            input_octets: wire.input_octets,
            output_octets: wire.output_octets,
            specific_units: wire.specific_units,
            money: wire.money.map(|text| money("units.money", &text)).transpose()?,
        })
    }
}

impl From<UsedUnits> for v1::UsedUnitContainer {
    fn from(used: UsedUnits) -> Self {
        Self {
            sequence: used.sequence,
            used_unit: Some(used.units.into()),
            start_time: used.start.map(|time| time.0),
            end_time: used.end.map(|time| time.0),
            tariff_change_usage: used.tariff_change.map(WireWord::to_wire),
            reporting_reason: used.reason.map(WireWord::to_wire),
        }
    }
}

impl TryFrom<v1::UsedUnitContainer> for UsedUnits {
    type Error = ConvertError;

    fn try_from(wire: v1::UsedUnitContainer) -> Result<Self, ConvertError> {
        let units = wire.used_unit.ok_or(ConvertError::Missing { field: "used_unit_container.used_unit" })?;
        Ok(Self {
            sequence: wire.sequence,
            units: units.try_into()?,
            start: wire.start_time.map(UtcMs),
            end: wire.end_time.map(UtcMs),
            tariff_change: WireWord::from_optional(
                "used_unit_container.tariff_change_usage",
                wire.tariff_change_usage,
            )?,
            reason: WireWord::from_optional("used_unit_container.reporting_reason", wire.reporting_reason)?,
        })
    }
}
