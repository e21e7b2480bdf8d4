//! Units that are asked for, granted and used (RFC 8506 sections 8.17 to 8.19), and money.

use crate::diameter::names::{ReportingReason, TariffChangeUsage};
use crate::diameter::table::avp_table;
use crate::diameter::text::Text;
use crate::diameter::time::Time;

avp_table! {
    /// Digits times ten to the power of the exponent (RFC 8506 section 8.8).
    #[derive(Copy, Default)]
    group UnitValue {
        /// With its sign.
        value_digits: i64 = VALUE_DIGITS,
        /// Absent = 0.
        exponent: Option<i32> = EXPONENT,
    }
}

avp_table! {
    /// An amount (RFC 8506 section 8.22).
    #[derive(Copy, Default)]
    group CcMoney {
        /// How much.
        unit_value: UnitValue = UNIT_VALUE,
        /// ISO 4217 numeric; absent = by agreement.
        currency_code: Option<u32> = CURRENCY_CODE,
    }
}

avp_table! {
    /// What the client asks for. Empty = as much as the server sees fit.
    optional group RequestedServiceUnit {
        /// Seconds.
        cc_time: Option<u32> = CC_TIME,
        /// Money.
        cc_money: Option<Box<CcMoney>> = CC_MONEY,
        /// Both directions.
        cc_total_octets: Option<u64> = CC_TOTAL_OCTETS,
        /// From the user.
        cc_input_octets: Option<u64> = CC_INPUT_OCTETS,
        /// To the user.
        cc_output_octets: Option<u64> = CC_OUTPUT_OCTETS,
        /// Whatever the service counts.
        cc_service_specific_units: Option<u64> = CC_SERVICE_SPECIFIC_UNITS,
    }
}

avp_table! {
    /// What the client may use until it must ask again.
    optional group GrantedServiceUnit {
        /// From then on another tariff holds: usage is reported before and after.
        tariff_time_change: Option<Time> = TARIFF_TIME_CHANGE,
        /// Seconds.
        cc_time: Option<u32> = CC_TIME,
        /// Money.
        cc_money: Option<Box<CcMoney>> = CC_MONEY,
        /// Both directions.
        cc_total_octets: Option<u64> = CC_TOTAL_OCTETS,
        /// From the user.
        cc_input_octets: Option<u64> = CC_INPUT_OCTETS,
        /// To the user.
        cc_output_octets: Option<u64> = CC_OUTPUT_OCTETS,
        /// Whatever the service counts.
        cc_service_specific_units: Option<u64> = CC_SERVICE_SPECIFIC_UNITS,
    }
}

avp_table! {
    /// What was used since the last report. The whole range of a u64 can come: nothing here says it is plausible.
    optional group UsedServiceUnit {
        /// Why it is reported now; Open5GS and Magma put it here, others beside it.
        reporting_reason: Option<ReportingReason> = REPORTING_REASON,
        /// Before or after a change of tariff.
        tariff_change_usage: Option<TariffChangeUsage> = TARIFF_CHANGE_USAGE,
        /// Seconds.
        cc_time: Option<u32> = CC_TIME,
        /// Money.
        cc_money: Option<Box<CcMoney>> = CC_MONEY,
        /// Both directions; absent in Open5GS, which sends the two below.
        cc_total_octets: Option<u64> = CC_TOTAL_OCTETS,
        /// From the user.
        cc_input_octets: Option<u64> = CC_INPUT_OCTETS,
        /// To the user.
        cc_output_octets: Option<u64> = CC_OUTPUT_OCTETS,
        /// Whatever the service counts.
        cc_service_specific_units: Option<u64> = CC_SERVICE_SPECIFIC_UNITS,
        /// When the events happened that the units count.
        event_charging_timestamps: Vec<Time> = EVENT_CHARGING_TIMESTAMP,
    }
}

avp_table! {
    /// What it cost (RFC 8506 section 8.7).
    group CostInformation<'a> {
        /// How much.
        unit_value: UnitValue = UNIT_VALUE,
        /// ISO 4217 numeric.
        currency_code: u32 = CURRENCY_CODE,
        /// For people: "minute".
        cost_unit: Option<Text<'a>> = COST_UNIT,
    }
}

avp_table! {
    /// What is left (TS 32.299 section 7.2).
    #[derive(Copy, Default)]
    group RemainingBalance {
        /// How much.
        unit_value: UnitValue = UNIT_VALUE,
        /// ISO 4217 numeric.
        currency_code: Option<u32> = CURRENCY_CODE,
    }
}
