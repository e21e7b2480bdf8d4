//! CCR and CCA (RFC 8506 sections 3.1 and 3.2, with what TS 32.299 section 6.4 adds).

use crate::diameter::dictionary::{
    AUTH_APPLICATION_ID, GRANTED_SERVICE_UNIT, REQUESTED_ACTION, RESULT_CODE, VALIDITY_TIME,
};
use crate::diameter::error::{EncodeError, Fault, MessageError};
use crate::diameter::groups::{
    CostInformation, FailedAvp, FinalUnitIndication, GrantedServiceUnit, MultipleServicesCreditControl, ProxyInfo,
    RemainingBalance, RequestedServiceUnit, ServiceInformation, ServiceParameterInfo, SubscriptionId, UsedServiceUnit,
    UserEquipmentInfo, VendorSpecificApplicationId,
};
use crate::diameter::header::application;
use crate::diameter::names::{
    AocRequestType, CcRequestType, CcSessionFailover, CheckBalanceResult, CreditControlFailureHandling,
    DirectDebitingFailureHandling, LowBalanceIndication, MultipleServicesIndicator, RedirectHostUsage, RequestedAction,
    TerminationCause,
};
use crate::diameter::reading::Mode;
use crate::diameter::result_code::ResultCode;
use crate::diameter::table::avp_table;
use crate::diameter::text::{Identity, MaskedText, Octets, Text};
use crate::diameter::time::Time;

use super::command::{Command, commands};

avp_table! {
    /// CCR: may it begin, go on; what was used; or one event.
    message CreditControlRequest<'a> {
        /// Which session.
        session_id: Text<'a> = SESSION_ID,
        /// From whom; Kamailio sends it twice, the first one counts.
        origin_host: Identity<'a> = ORIGIN_HOST,
        /// Of which realm.
        origin_realm: Identity<'a> = ORIGIN_REALM,
        /// To which realm.
        destination_realm: Identity<'a> = DESTINATION_REALM,
        /// 4. Absent in Kamailio; demanded only when strict.
        auth_application_id: Option<u32> = AUTH_APPLICATION_ID,
        /// Which rules of which service: `32251@3gpp.org`, sometimes with something in front.
        service_context_id: Text<'a> = SERVICE_CONTEXT_ID,
        /// Begins, goes on, ends, or one event.
        cc_request_type: CcRequestType = CC_REQUEST_TYPE,
        /// Grows within the session, not always from 0 and not always by 1.
        cc_request_number: u32 = CC_REQUEST_NUMBER,
        /// To whom.
        destination_host: Option<Identity<'a>> = DESTINATION_HOST,
        /// Another name of who pays.
        user_name: Option<MaskedText<'a>> = USER_NAME,
        /// One part of a session.
        cc_sub_session_id: Option<u64> = CC_SUB_SESSION_ID,
        /// Several sessions of one thing.
        acct_multi_session_id: Option<Text<'a>> = ACCT_MULTI_SESSION_ID,
        /// Grows with every restart of the client that lost its sessions.
        origin_state_id: Option<u32> = ORIGIN_STATE_ID,
        /// When it happened.
        event_timestamp: Option<Time> = EVENT_TIMESTAMP,
        /// Who pays, in several ways to say it, in any order.
        subscription_ids: Vec<SubscriptionId<'a>> = SUBSCRIPTION_ID,
        /// Of a request without groups.
        service_identifier: Option<u32> = SERVICE_IDENTIFIER,
        /// Why it ends; CGRateS' tests send it in the first request, too.
        termination_cause: Option<TerminationCause> = TERMINATION_CAUSE,
        /// Of a request without groups.
        requested_service_unit: Option<RequestedServiceUnit> = REQUESTED_SERVICE_UNIT,
        /// Counts in events only.
        requested_action: Option<RequestedAction> = REQUESTED_ACTION,
        /// Of a request without groups.
        used_service_units: Vec<UsedServiceUnit> = USED_SERVICE_UNIT,
        /// Says little: Open5GS says no and sends groups.
        multiple_services_indicator: Option<MultipleServicesIndicator> = MULTIPLE_SERVICES_INDICATOR,
        /// The groups; none = see above, or only: may it begin?
        multiple_services_credit_control: Vec<MultipleServicesCreditControl<'a>> = MULTIPLE_SERVICES_CREDIT_CONTROL,
        /// By agreement.
        service_parameter_info: Vec<ServiceParameterInfo<'a>> = SERVICE_PARAMETER_INFO,
        /// Several requests for one thing.
        cc_correlation_id: Option<Octets<'a>> = CC_CORRELATION_ID,
        /// With what.
        user_equipment_info: Option<UserEquipmentInfo<'a>> = USER_EQUIPMENT_INFO,
        /// Kamailio's way to say 4.
        vendor_specific_application_id: Option<VendorSpecificApplicationId> = VENDOR_SPECIFIC_APPLICATION_ID,
        /// Advice of charge, asked for.
        aoc_request_type: Option<AocRequestType> = AOC_REQUEST_TYPE,
        /// What the service tells of itself.
        service_information: Option<ServiceInformation<'a>> = SERVICE_INFORMATION,
        /// Proxies' state: goes into the answer, unchanged and in order.
        proxy_infos: Vec<ProxyInfo<'a>> = PROXY_INFO,
        /// Through whom it came; does not go into the answer.
        route_records: Vec<Identity<'a>> = ROUTE_RECORD,
    }
}

avp_table! {
    /// CCA. The fields from `session_id` to `cc_request_number` are what a client must find.
    message CreditControlAnswer<'a> {
        /// Which session; first, because Open5GS takes its next Destination-Host from what comes last of it and Origin-Host.
        session_id: Text<'a> = SESSION_ID,
        /// Of the request as a whole: one group without credit leaves it at 2001.
        result_code: ResultCode = RESULT_CODE,
        /// From whom.
        origin_host: Identity<'a> = ORIGIN_HOST,
        /// Of which realm.
        origin_realm: Identity<'a> = ORIGIN_REALM,
        /// 4; some servers leave it out.
        auth_application_id: Option<u32> = AUTH_APPLICATION_ID,
        /// As asked.
        cc_request_type: CcRequestType = CC_REQUEST_TYPE,
        /// As asked.
        cc_request_number: u32 = CC_REQUEST_NUMBER,
        /// Another name of who pays.
        user_name: Option<MaskedText<'a>> = USER_NAME,
        /// May another server be asked?
        cc_session_failover: Option<CcSessionFailover> = CC_SESSION_FAILOVER,
        /// One part of a session.
        cc_sub_session_id: Option<u64> = CC_SUB_SESSION_ID,
        /// Several sessions of one thing.
        acct_multi_session_id: Option<Text<'a>> = ACCT_MULTI_SESSION_ID,
        /// As in the CEA.
        origin_state_id: Option<u32> = ORIGIN_STATE_ID,
        /// When it happened.
        event_timestamp: Option<Time> = EVENT_TIMESTAMP,
        /// Of an answer without groups.
        granted_service_unit: Option<GrantedServiceUnit> = GRANTED_SERVICE_UNIT,
        /// The groups.
        multiple_services_credit_control: Vec<MultipleServicesCreditControl<'a>> = MULTIPLE_SERVICES_CREDIT_CONTROL,
        /// What it cost.
        cost_information: Option<CostInformation<'a>> = COST_INFORMATION,
        /// Little is left.
        low_balance_indication: Option<LowBalanceIndication> = LOW_BALANCE_INDICATION,
        /// What is left.
        remaining_balance: Option<RemainingBalance> = REMAINING_BALANCE,
        /// Of an answer without groups.
        final_unit_indication: Option<Box<FinalUnitIndication<'a>>> = FINAL_UNIT_INDICATION,
        /// To CHECK_BALANCE.
        check_balance_result: Option<CheckBalanceResult> = CHECK_BALANCE_RESULT,
        /// What to do without a server.
        credit_control_failure_handling: Option<CreditControlFailureHandling> = CREDIT_CONTROL_FAILURE_HANDLING,
        /// What to do without a server, with an event.
        direct_debiting_failure_handling: Option<DirectDebitingFailureHandling> = DIRECT_DEBITING_FAILURE_HANDLING,
        /// Of an answer without groups: seconds, never 0.
        validity_time: Option<u32> = VALIDITY_TIME,
        /// Ask them instead.
        redirect_hosts: Vec<Text<'a>> = REDIRECT_HOST,
        /// For what.
        redirect_host_usage: Option<RedirectHostUsage> = REDIRECT_HOST_USAGE,
        /// For how many seconds.
        redirect_max_cache_time: Option<u32> = REDIRECT_MAX_CACHE_TIME,
        /// What the service is told.
        service_information: Option<ServiceInformation<'a>> = SERVICE_INFORMATION,
        /// For people.
        error_message: Option<Text<'a>> = ERROR_MESSAGE,
        /// Who says so, if not the origin.
        error_reporting_host: Option<Identity<'a>> = ERROR_REPORTING_HOST,
        /// What was wrong with the request.
        failed_avps: Vec<FailedAvp<'a>> = FAILED_AVP,
        /// Proxies' state, as it came.
        proxy_infos: Vec<ProxyInfo<'a>> = PROXY_INFO,
        /// freeDiameter as a relay puts it into answers, too; we do not.
        route_records: Vec<Identity<'a>> = ROUTE_RECORD,
    }
}

commands! {
    CreditControlRequest = "CCR", CREDIT_CONTROL, CREDIT_CONTROL, true, true, received check_ccr;
    CreditControlAnswer = "CCA", CREDIT_CONTROL, CREDIT_CONTROL, false, true, sent check_cca_sent;
}

impl<'a> CreditControlRequest<'a> {
    /// A request with only what each must have.
    pub fn new(
        session_id: Text<'a>,
        (origin_host, origin_realm): (Identity<'a>, Identity<'a>),
        destination_realm: Identity<'a>,
        service_context_id: Text<'a>,
        (cc_request_type, cc_request_number): (CcRequestType, u32),
    ) -> Self {
        Self {
            session_id,
            origin_host,
            origin_realm,
            destination_realm,
            auth_application_id: Some(application::CREDIT_CONTROL),
            service_context_id,
            cc_request_type,
            cc_request_number,
            destination_host: None,
            user_name: None,
            cc_sub_session_id: None,
            acct_multi_session_id: None,
            origin_state_id: None,
            event_timestamp: None,
            subscription_ids: Vec::new(),
            service_identifier: None,
            termination_cause: None,
            requested_service_unit: None,
            requested_action: None,
            used_service_units: Vec::new(),
            multiple_services_indicator: None,
            multiple_services_credit_control: Vec::new(),
            service_parameter_info: Vec::new(),
            cc_correlation_id: None,
            user_equipment_info: None,
            vendor_specific_application_id: None,
            aoc_request_type: None,
            service_information: None,
            proxy_infos: Vec::new(),
            route_records: Vec::new(),
        }
    }
}

impl<'a> CreditControlAnswer<'a> {
    /// The answer to this request with only what each must have: session, type and number, and the proxies' state as
    /// they came.
    pub fn to(
        request: &'a CreditControlRequest<'_>,
        origin: (Identity<'a>, Identity<'a>),
        result_code: ResultCode,
    ) -> Self {
        let kind = (request.cc_request_type, request.cc_request_number);
        Self {
            cc_sub_session_id: request.cc_sub_session_id,
            proxy_infos: request.proxy_infos.iter().map(ProxyInfo::borrowed).collect(),
            ..Self::new(request.session_id.borrowed(), kind, origin, result_code)
        }
    }

    /// An answer with only what each must have.
    pub fn new(
        session_id: Text<'a>,
        (cc_request_type, cc_request_number): (CcRequestType, u32),
        (origin_host, origin_realm): (Identity<'a>, Identity<'a>),
        result_code: ResultCode,
    ) -> Self {
        Self {
            session_id,
            result_code,
            origin_host,
            origin_realm,
            auth_application_id: Some(application::CREDIT_CONTROL),
            cc_request_type,
            cc_request_number,
            user_name: None,
            cc_session_failover: None,
            cc_sub_session_id: None,
            acct_multi_session_id: None,
            origin_state_id: None,
            event_timestamp: None,
            granted_service_unit: None,
            multiple_services_credit_control: Vec::new(),
            cost_information: None,
            low_balance_indication: None,
            remaining_balance: None,
            final_unit_indication: None,
            check_balance_result: None,
            credit_control_failure_handling: None,
            direct_debiting_failure_handling: None,
            validity_time: None,
            redirect_hosts: Vec::new(),
            redirect_host_usage: None,
            redirect_max_cache_time: None,
            service_information: None,
            error_message: None,
            error_reporting_host: None,
            failed_avps: Vec::new(),
            proxy_infos: Vec::new(),
            route_records: Vec::new(),
        }
    }
}

fn check_ccr(ccr: &CreditControlRequest<'_>, mode: Mode) -> Result<(), MessageError> {
    if mode == Mode::Tolerant {
        return Ok(());
    }
    match ccr.auth_application_id {
        Some(application::CREDIT_CONTROL) => {}
        Some(_) => return Err(MessageError::shown(Fault::Contradicting, &AUTH_APPLICATION_ID)),
        None => return Err(MessageError::missing(&AUTH_APPLICATION_ID)),
    }
    match (ccr.cc_request_type, ccr.requested_action) {
        (CcRequestType::Event, None) => Err(MessageError::missing(&REQUESTED_ACTION)),
        (CcRequestType::Event, Some(_)) | (_, None) => Ok(()),
        // RFC 8506 section 8.41: it is for events alone.
        (_, Some(_)) => Err(MessageError::shown(Fault::NotAllowed, &REQUESTED_ACTION)),
    }
}

/// What clients are known to fail at.
fn check_cca_sent(cca: &CreditControlAnswer<'_>) -> Result<(), EncodeError> {
    let groups = &cca.multiple_services_credit_control;
    if groups.iter().any(|group| group.result_code.is_none()) {
        // Kamailio took a group without it for refused.
        return Err(EncodeError::Missing { message: CreditControlAnswer::NAME, avp: RESULT_CODE.name });
    }
    let mut validity_times = groups.iter().map(|group| group.validity_time).chain([cca.validity_time]);
    if validity_times.any(|time| time == Some(0)) {
        let reason = "0 makes clients ask without end";
        return Err(EncodeError::NotAllowed { avp: VALIDITY_TIME.name, reason });
    }
    let grants = groups.iter().any(|group| group.granted_service_unit.is_some()) || cca.granted_service_unit.is_some();
    if cca.cc_request_type == CcRequestType::Termination && grants {
        return Err(EncodeError::NotAllowed { avp: GRANTED_SERVICE_UNIT.name, reason: "the session has ended" });
    }
    Ok(())
}
