//! One service of several in a session (RFC 8506 section 8.16), and what happens at the end of its credit.

use crate::diameter::names::{
    CcUnitType, Enumerated, FinalUnitAction, RedirectAddressType, ReportingReason, TariffChangeUsage,
};
use crate::diameter::result_code::ResultCode;
use crate::diameter::table::avp_table;
use crate::diameter::text::Text;

use super::units::{GrantedServiceUnit, RequestedServiceUnit, UnitValue, UsedServiceUnit};

avp_table! {
    /// Multiple-Services-Credit-Control: one rating group (or service) in a request or an answer.
    optional group MultipleServicesCreditControl<'a> {
        /// Answers: what may be used. Absent where nothing is granted.
        granted_service_unit: Option<Box<GrantedServiceUnit>> = GRANTED_SERVICE_UNIT,
        /// Requests: what is asked for. Absent in an update = a report only, nothing more is wanted.
        requested_service_unit: Option<RequestedServiceUnit> = REQUESTED_SERVICE_UNIT,
        /// Requests: what was used, in pieces.
        used_service_units: Vec<UsedServiceUnit> = USED_SERVICE_UNIT,
        /// Of the usage as a whole.
        tariff_change_usage: Option<TariffChangeUsage> = TARIFF_CHANGE_USAGE,
        /// Together with the rating group they name the service; usually none or one.
        service_identifiers: Vec<u32> = SERVICE_IDENTIFIER,
        /// Absent in Open5GS: by the service context, then.
        rating_group: Option<u32> = RATING_GROUP,
        /// Credit shared with other groups.
        gsu_pool_references: Vec<GsuPoolReference> = G_S_U_POOL_REFERENCE,
        /// Answers: seconds until the client must ask again; never 0.
        validity_time: Option<u32> = VALIDITY_TIME,
        /// Answers: of this group; always sent.
        result_code: Option<ResultCode> = RESULT_CODE,
        /// Answers: these are the last units.
        final_unit_indication: Option<Box<FinalUnitIndication<'a>>> = FINAL_UNIT_INDICATION,
        /// Answers: ask again when that many seconds are left.
        time_quota_threshold: Option<u32> = TIME_QUOTA_THRESHOLD,
        /// Answers: ask again when that many octets are left.
        volume_quota_threshold: Option<u32> = VOLUME_QUOTA_THRESHOLD,
        /// Answers: ask again when that many units are left.
        unit_quota_threshold: Option<u32> = UNIT_QUOTA_THRESHOLD,
        /// Answers: seconds without use after which the units are given back.
        quota_holding_time: Option<u32> = QUOTA_HOLDING_TIME,
        /// Answers: seconds without use after which time is no longer counted.
        quota_consumption_time: Option<u32> = QUOTA_CONSUMPTION_TIME,
        /// Requests: why it is reported now.
        reporting_reasons: Vec<ReportingReason> = REPORTING_REASON,
        /// What makes the client ask again.
        trigger: Option<Box<Trigger>> = TRIGGER,
    }
}

avp_table! {
    /// Credit of several groups in one pool (RFC 8506 section 8.30).
    group GsuPoolReference {
        /// Which pool.
        gsu_pool_identifier: u32 = G_S_U_POOL_IDENTIFIER,
        /// Of what.
        cc_unit_type: CcUnitType = CC_UNIT_TYPE,
        /// How much of the pool one unit is.
        unit_value: UnitValue = UNIT_VALUE,
    }
}

avp_table! {
    /// What makes the client ask again (TS 32.299 section 7.2).
    optional group Trigger {
        /// None = nothing but the quota.
        trigger_types: Vec<Enumerated> = TRIGGER_TYPE,
    }
}

avp_table! {
    /// What to do when the last units are used (RFC 8506 section 8.34).
    group FinalUnitIndication<'a> {
        /// What to do.
        final_unit_action: FinalUnitAction = FINAL_UNIT_ACTION,
        /// Packets still permitted: IPFilterRules.
        restriction_filter_rules: Vec<Text<'a>> = RESTRICTION_FILTER_RULE,
        /// Names of filters the client has.
        filter_ids: Vec<Text<'a>> = FILTER_ID,
        /// Where the user is sent.
        redirect_server: Option<RedirectServer<'a>> = REDIRECT_SERVER,
    }
}

avp_table! {
    /// Where the user is sent (RFC 8506 section 8.37).
    group RedirectServer<'a> {
        /// What kind of address.
        redirect_address_type: RedirectAddressType = REDIRECT_ADDRESS_TYPE,
        /// The address.
        redirect_server_address: Text<'a> = REDIRECT_SERVER_ADDRESS,
    }
}
