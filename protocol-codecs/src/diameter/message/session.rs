//! What the server says of its own accord: ask again (RAR), end it (ASR); and the answers (RFC 6733 sections 8.3, 8.5).

use crate::diameter::groups::{FailedAvp, ProxyInfo};
use crate::diameter::names::{ReAuthRequestType, TerminationCause};
use crate::diameter::result_code::ResultCode;
use crate::diameter::table::avp_table;
use crate::diameter::text::{Identity, MaskedText, Text};

use super::command::commands;

avp_table! {
    /// RAR: ask again, for the whole session or one group.
    message ReAuthRequest<'a> {
        /// Which session.
        session_id: Text<'a> = SESSION_ID,
        /// From whom.
        origin_host: Identity<'a> = ORIGIN_HOST,
        /// Of which realm.
        origin_realm: Identity<'a> = ORIGIN_REALM,
        /// To which realm.
        destination_realm: Identity<'a> = DESTINATION_REALM,
        /// To whom: the Origin-Host of the CCR.
        destination_host: Identity<'a> = DESTINATION_HOST,
        /// 4.
        auth_application_id: u32 = AUTH_APPLICATION_ID,
        /// AUTHORIZE_ONLY.
        re_auth_request_type: ReAuthRequestType = RE_AUTH_REQUEST_TYPE,
        /// Whose session.
        user_name: Option<MaskedText<'a>> = USER_NAME,
        /// As in the CEA.
        origin_state_id: Option<u32> = ORIGIN_STATE_ID,
        /// One part of a session.
        cc_sub_session_id: Option<u64> = CC_SUB_SESSION_ID,
        /// Only the groups of this pool.
        gsu_pool_identifier: Option<u32> = G_S_U_POOL_IDENTIFIER,
        /// Only this service.
        service_identifier: Option<u32> = SERVICE_IDENTIFIER,
        /// Only this group.
        rating_group: Option<u32> = RATING_GROUP,
        /// Proxies' state.
        proxy_infos: Vec<ProxyInfo<'a>> = PROXY_INFO,
        /// Through whom it came.
        route_records: Vec<Identity<'a>> = ROUTE_RECORD,
    }
}

avp_table! {
    /// RAA: 2001 or 2002 = it will ask again (Open5GS says 2001 and does nothing), 5002 = no such session.
    message ReAuthAnswer<'a> {
        /// Which session.
        session_id: Text<'a> = SESSION_ID,
        /// What became of it.
        result_code: ResultCode = RESULT_CODE,
        /// From whom.
        origin_host: Identity<'a> = ORIGIN_HOST,
        /// Of which realm.
        origin_realm: Identity<'a> = ORIGIN_REALM,
        /// Whose session.
        user_name: Option<MaskedText<'a>> = USER_NAME,
        /// As in the CER.
        origin_state_id: Option<u32> = ORIGIN_STATE_ID,
        /// For people.
        error_message: Option<Text<'a>> = ERROR_MESSAGE,
        /// Who says so, if not the origin.
        error_reporting_host: Option<Identity<'a>> = ERROR_REPORTING_HOST,
        /// What was wrong with the request.
        failed_avps: Vec<FailedAvp<'a>> = FAILED_AVP,
        /// Proxies' state.
        proxy_infos: Vec<ProxyInfo<'a>> = PROXY_INFO,
    }
}

avp_table! {
    /// ASR: end the session.
    message AbortSessionRequest<'a> {
        /// Which session.
        session_id: Text<'a> = SESSION_ID,
        /// From whom.
        origin_host: Identity<'a> = ORIGIN_HOST,
        /// Of which realm.
        origin_realm: Identity<'a> = ORIGIN_REALM,
        /// To which realm.
        destination_realm: Identity<'a> = DESTINATION_REALM,
        /// To whom: the Origin-Host of the CCR.
        destination_host: Identity<'a> = DESTINATION_HOST,
        /// 4.
        auth_application_id: u32 = AUTH_APPLICATION_ID,
        /// Whose session.
        user_name: Option<MaskedText<'a>> = USER_NAME,
        /// As in the CEA.
        origin_state_id: Option<u32> = ORIGIN_STATE_ID,
        /// Proxies' state.
        proxy_infos: Vec<ProxyInfo<'a>> = PROXY_INFO,
        /// Through whom it came.
        route_records: Vec<Identity<'a>> = ROUTE_RECORD,
    }
}

avp_table! {
    /// ASA: 2001 = it will end it, 5002 = no such session.
    message AbortSessionAnswer<'a> {
        /// Which session.
        session_id: Text<'a> = SESSION_ID,
        /// What became of it.
        result_code: ResultCode = RESULT_CODE,
        /// From whom.
        origin_host: Identity<'a> = ORIGIN_HOST,
        /// Of which realm.
        origin_realm: Identity<'a> = ORIGIN_REALM,
        /// Whose session.
        user_name: Option<MaskedText<'a>> = USER_NAME,
        /// As in the CER.
        origin_state_id: Option<u32> = ORIGIN_STATE_ID,
        /// Not in the RFC's answer, but sent by some.
        termination_cause: Option<TerminationCause> = TERMINATION_CAUSE,
        /// For people.
        error_message: Option<Text<'a>> = ERROR_MESSAGE,
        /// Who says so, if not the origin.
        error_reporting_host: Option<Identity<'a>> = ERROR_REPORTING_HOST,
        /// What was wrong with the request.
        failed_avps: Vec<FailedAvp<'a>> = FAILED_AVP,
        /// Proxies' state.
        proxy_infos: Vec<ProxyInfo<'a>> = PROXY_INFO,
    }
}

commands! {
    ReAuthRequest = "RAR", RE_AUTH, CREDIT_CONTROL, true, true;
    ReAuthAnswer = "RAA", RE_AUTH, CREDIT_CONTROL, false, true;
    AbortSessionRequest = "ASR", ABORT_SESSION, CREDIT_CONTROL, true, true;
    AbortSessionAnswer = "ASA", ABORT_SESSION, CREDIT_CONTROL, false, true;
}
