//! IMS-Information: a call or SIP event (TS 32.299 section 7.2).

use crate::diameter::address::Address;
use crate::diameter::names::{Enumerated, RoleOfNode};
use crate::diameter::table::avp_table;
use crate::diameter::text::{MaskedText, Octets, Text};
use crate::diameter::time::Time;

avp_table! {
    /// A call or SIP event.
    optional group ImsInformation<'a> in service information {
        /// Which request it was.
        event_type: Option<EventType<'a>> = EVENT_TYPE,
        /// Whom the node serves.
        role_of_node: Option<RoleOfNode> = ROLE_OF_NODE,
        /// 0 S-CSCF, 1 P-CSCF, 6 AS, ...
        node_functionality: Option<Enumerated> = NODE_FUNCTIONALITY,
        /// The SIP Call-ID.
        user_session_id: Option<Text<'a>> = USER_SESSION_ID,
        /// Priority service.
        session_priority: Option<Enumerated> = SESSION_PRIORITY,
        /// P-Asserted-Identity or From: `sip:` and `tel:` URIs.
        calling_party_addresses: Vec<MaskedText<'a>> = CALLING_PARTY_ADDRESS,
        /// Where it goes, after translation.
        called_party_address: Option<MaskedText<'a>> = CALLED_PARTY_ADDRESS,
        /// Who was reached.
        called_asserted_identities: Vec<MaskedText<'a>> = CALLED_ASSERTED_IDENTITY,
        /// What was dialled, before translation.
        requested_party_addresses: Vec<MaskedText<'a>> = REQUESTED_PARTY_ADDRESS,
        /// Who pays instead.
        alternate_charged_party_address: Option<MaskedText<'a>> = ALTERNATE_CHARGED_PARTY_ADDRESS,
        /// Other names of the user.
        associated_uris: Vec<MaskedText<'a>> = ASSOCIATED_URI,
        /// When the request and its answer came.
        time_stamps: Option<TimeStamps> = TIME_STAMPS,
        /// Servers that took part.
        application_server_information: Vec<ApplicationServerInformation<'a>> = APPLICATION_SERVER_INFORMATION,
        /// The operators on both sides.
        inter_operator_identifiers: Vec<InterOperatorIdentifier<'a>> = INTER_OPERATOR_IDENTIFIER,
        /// ICID: one call, whatever the node.
        ims_charging_identifier: Option<Text<'a>> = IMS_CHARGING_IDENTIFIER,
        /// Of the user.
        served_party_ip_address: Option<Address<'a>> = SERVED_PARTY_IP_ADDRESS,
        /// To and from other networks.
        trunk_group_id: Option<TrunkGroupId<'a>> = TRUNK_GROUP_ID,
        /// Circuit-switched service.
        bearer_service: Option<Octets<'a>> = BEARER_SERVICE,
        /// Name of the service.
        service_id: Option<Text<'a>> = SERVICE_ID,
        /// Why it ended: 0 or less = well; a SIP status = that failure.
        cause_code: Option<i32> = CAUSE_CODE,
        /// Where the user is.
        access_network_information: Vec<Octets<'a>> = ACCESS_NETWORK_INFORMATION,
        /// Communication service.
        ims_communication_service_identifier: Option<Text<'a>> = IMS_COMMUNICATION_SERVICE_IDENTIFIER,
        /// After number portability.
        number_portability_routing_information: Option<Text<'a>> = NUMBER_PORTABILITY_ROUTING_INFORMATION,
        /// The chosen carrier.
        carrier_select_routing_information: Option<Text<'a>> = CARRIER_SELECT_ROUTING_INFORMATION,
        /// Network the user visits.
        ims_visited_network_identifier: Option<Text<'a>> = IMS_VISITED_NETWORK_IDENTIFIER,
    }
}

avp_table! {
    /// Which SIP request.
    optional group EventType<'a> in service information {
        /// `INVITE`.
        sip_method: Option<Text<'a>> = SIP_METHOD,
        /// Its Event header.
        event: Option<Text<'a>> = EVENT,
        /// Its Expires header; Kamailio sends 4294967295 for none.
        expires: Option<u32> = EXPIRES,
    }
}

avp_table! {
    /// When.
    #[derive(Copy)]
    optional group TimeStamps {
        /// The request.
        sip_request_timestamp: Option<Time> = SIP_REQUEST_TIMESTAMP,
        /// Its answer.
        sip_response_timestamp: Option<Time> = SIP_RESPONSE_TIMESTAMP,
        /// Milliseconds of the request.
        sip_request_timestamp_fraction: Option<u32> = SIP_REQUEST_TIMESTAMP_FRACTION,
        /// Milliseconds of the answer.
        sip_response_timestamp_fraction: Option<u32> = SIP_RESPONSE_TIMESTAMP_FRACTION,
    }
}

avp_table! {
    /// A server that took part.
    optional group ApplicationServerInformation<'a> in service information {
        /// Its URI.
        application_server: Option<Text<'a>> = APPLICATION_SERVER,
        /// Where it sent the call.
        application_provided_called_party_addresses: Vec<MaskedText<'a>> = APPLICATION_PROVIDED_CALLED_PARTY_ADDRESS,
    }
}

avp_table! {
    /// The operators on both sides.
    optional group InterOperatorIdentifier<'a> in service information {
        /// The caller's.
        originating_ioi: Option<Text<'a>> = ORIGINATING_IOI,
        /// The callee's.
        terminating_ioi: Option<Text<'a>> = TERMINATING_IOI,
    }
}

avp_table! {
    /// To and from other networks.
    optional group TrunkGroupId<'a> in service information {
        /// It came by that one.
        incoming_trunk_group_id: Option<Text<'a>> = INCOMING_TRUNK_GROUP_ID,
        /// It goes by that one.
        outgoing_trunk_group_id: Option<Text<'a>> = OUTGOING_TRUNK_GROUP_ID,
    }
}
