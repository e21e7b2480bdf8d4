//! Who is charged and for what: subscriptions, equipment, Service-Information and PS-Information (TS 32.299 section 7.2).

use crate::diameter::address::Address;
use crate::diameter::few::Few;
use crate::diameter::names::{Enumerated, SubscriptionIdType, UserEquipmentInfoType};
use crate::diameter::table::avp_table;
use crate::diameter::text::{MaskedText, Octets, Text};
use crate::diameter::time::Time;

use super::ims::ImsInformation;
use super::messaging::{MmsInformation, SmsInformation};

avp_table! {
    /// Who pays, in one of several ways to say it (RFC 8506 section 8.46).
    group SubscriptionId<'a> {
        /// What kind of name.
        subscription_id_type: SubscriptionIdType = SUBSCRIPTION_ID_TYPE,
        /// The name; may be empty.
        subscription_id_data: MaskedText<'a> = SUBSCRIPTION_ID_DATA,
    }
}

avp_table! {
    /// With what (RFC 8506 section 8.49).
    group UserEquipmentInfo<'a> {
        /// What kind of number.
        user_equipment_info_type: UserEquipmentInfoType = USER_EQUIPMENT_INFO_TYPE,
        /// Digits as text or as BCD; Kamailio's MAC is text.
        user_equipment_info_value: Octets<'a> = USER_EQUIPMENT_INFO_VALUE,
    }
}

avp_table! {
    /// A parameter of the service, by agreement (RFC 8506 section 8.43).
    group ServiceParameterInfo<'a> {
        /// Which.
        service_parameter_type: u32 = SERVICE_PARAMETER_TYPE,
        /// Its value.
        service_parameter_value: Octets<'a> = SERVICE_PARAMETER_VALUE,
    }
}

avp_table! {
    /// What 3GPP services tell about themselves. Unknown AVPs in it are passed over, also mandatory ones (Huawei's).
    optional group ServiceInformation<'a> in service information {
        /// Kamailio repeats them here.
        subscription_ids: Vec<SubscriptionId<'a>> = SUBSCRIPTION_ID,
        /// Data.
        ps_information: Option<Box<PsInformation<'a>>> = PS_INFORMATION,
        /// Voice over IMS.
        ims_information: Option<Box<ImsInformation<'a>>> = IMS_INFORMATION,
        /// Multimedia messages.
        mms_information: Option<Box<MmsInformation<'a>>> = MMS_INFORMATION,
        /// Short messages.
        sms_information: Option<Box<SmsInformation<'a>>> = SMS_INFORMATION,
    }
}

avp_table! {
    /// A data session.
    optional group PsInformation<'a> in service information {
        /// A number for Open5GS, four octets for others: the same bytes ([`Octets::as_u32`]).
        tgpp_charging_id: Option<Octets<'a>> = TGPP_CHARGING_ID,
        /// Of the whole connection.
        pdn_connection_charging_id: Option<u32> = PDN_CONNECTION_CHARGING_ID,
        /// Name of the node.
        node_id: Option<Text<'a>> = NODE_ID,
        /// 0 IPv4, 2 IPv6, 3 both, ...
        tgpp_pdp_type: Option<Enumerated> = TGPP_PDP_TYPE,
        /// Of the user: one of each family at most.
        pdp_addresses: Few<Address<'a>> = PDP_ADDRESS,
        /// Of an IPv6 prefix.
        pdp_address_prefix_length: Option<u32> = PDP_ADDRESS_PREFIX_LENGTH,
        /// 1 = dynamic.
        dynamic_address_flag: Option<Enumerated> = DYNAMIC_ADDRESS_FLAG,
        /// Of the quality negotiated before LTE.
        tgpp_gprs_negotiated_qos_profile: Option<Text<'a>> = TGPP_GPRS_NEGOTIATED_QOS_PROFILE,
        /// The serving nodes.
        sgsn_addresses: Few<Address<'a>> = SGSN_ADDRESS,
        /// The gateway.
        ggsn_addresses: Few<Address<'a>> = GGSN_ADDRESS,
        /// The charging gateway.
        cg_address: Option<Address<'a>> = CG_ADDRESS,
        /// 0 SGSN, 2 SGW, ...
        serving_node_types: Vec<Enumerated> = SERVING_NODE_TYPE,
        /// Home network of the subscriber.
        tgpp_imsi_mcc_mnc: Option<Text<'a>> = TGPP_IMSI_MCC_MNC,
        /// Network of the gateway.
        tgpp_ggsn_mcc_mnc: Option<Text<'a>> = TGPP_GGSN_MCC_MNC,
        /// A raw byte (5) or a digit ("5").
        tgpp_nsapi: Option<Octets<'a>> = TGPP_NSAPI,
        /// Access point name.
        called_station_id: Option<Text<'a>> = CALLED_STATION_ID,
        /// The last bearer has gone.
        tgpp_session_stop_indicator: Option<Octets<'a>> = TGPP_SESSION_STOP_INDICATOR,
        /// Who chose the access point.
        tgpp_selection_mode: Option<Text<'a>> = TGPP_SELECTION_MODE,
        /// Four hexadecimal digits.
        tgpp_charging_characteristics: Option<Text<'a>> = TGPP_CHARGING_CHARACTERISTICS,
        /// Serving network.
        tgpp_sgsn_mcc_mnc: Option<Text<'a>> = TGPP_SGSN_MCC_MNC,
        /// Zone and daylight saving.
        tgpp_ms_timezone: Option<Octets<'a>> = TGPP_MS_TIMEZONE,
        /// Name of predefined rules.
        charging_rule_base_name: Option<Text<'a>> = CHARGING_RULE_BASE_NAME,
        /// Where the user is.
        tgpp_user_location_info: Option<Octets<'a>> = TGPP_USER_LOCATION_INFO,
        /// Radio access: one octet.
        tgpp_rat_type: Option<Octets<'a>> = TGPP_RAT_TYPE,
        /// Open5GS puts it here, others beside Service-Information.
        user_equipment_info: Option<UserEquipmentInfo<'a>> = USER_EQUIPMENT_INFO,
        /// When the first octet went.
        time_first_usage: Option<Time> = TIME_FIRST_USAGE,
        /// When the last one did.
        time_last_usage: Option<Time> = TIME_LAST_USAGE,
    }
}
