//! From the core's answer to the CCA: a function of the request, its plan and that answer, so that a copy of the request gets the
//! same again.
//!
//! | core says of a group | group in the CCA |
//! |---|---|
//! | granted | 2001 and the units, with validity, holding time and threshold; the final unit if it is the last |
//! | granted less than `least` | as 4012 |
//! | nothing was asked for | 2001 |
//! | 4012, and the service redirects or restricts | 2001, that final unit at once, no units |
//! | any other code | that code |
//! | (not asked: free) | 4011 |
//! | (not asked: no row in the table) | 5031 |
//!
//! The message has the code of the core's whole answer: 2001 as long as the session stands, whatever became of single groups.

use protocol_codecs::diameter::{
    CcMoney, CcRequestType, CcSessionFailover, CheckBalanceResult, CostInformation, CreditControlAnswer,
    CreditControlFailureHandling, DirectDebitingFailureHandling, FailedAvp, FinalUnitAction, FinalUnitIndication,
    GrantedServiceUnit, Identity, LowBalanceIndication, MultipleServicesCreditControl, RedirectAddressType,
    RedirectServer, RemainingBalance, ResultCode as WireCode, Time,
};
use types::charging::{
    ChargingAnswer, FailureHandling, FinalUnit, FinalUnitAction as CoreAction, Operation, RequestedAction, ResultCode,
    Service, UnitAnswer, Units,
};

use crate::config::{DiameterConfig, FinalUnitConfig, UnitGrants};

use super::ask::{Ask, Asked};
use super::money;
use super::plan::{Plan, Verdict, amount};

/// Everything an answer depends on.
#[derive(Debug, Clone, Copy)]
pub struct Answering<'a> {
    /// The request.
    pub ask: &'a Ask,
    /// What was asked of the core for it.
    pub plan: &'a Plan,
    /// How we answer.
    pub config: &'a DiameterConfig,
    /// Our Origin-State-Id.
    pub origin_state_id: u32,
}

impl<'a> Answering<'a> {
    /// The CCA. `failed`: what [`super::failed::failed_avp`] says of its code.
    pub fn answer(&self, charged: &'a ChargingAnswer, failed: Option<&'a [u8]>) -> CreditControlAnswer<'a> {
        let (ask, code) = (self.ask, self.message_code(charged));
        let origin = (Identity::from(&*self.config.origin_host), Identity::from(self.config.realm()));
        let kind = (ask.request_type, ask.number);
        let mut cca = CreditControlAnswer::new((&*ask.session_id).into(), kind, origin, WireCode(code.0));
        cca.cc_sub_session_id = ask.sub_session_id;
        cca.origin_state_id = Some(self.origin_state_id);
        cca.failed_avps.extend(failed.map(FailedAvp::holding));
        let groups = self.ask.groups.iter().zip(&self.plan.verdicts);
        let mut groups: Vec<_> = groups.map(|(asked, verdict)| self.group(asked, verdict, charged)).collect();
        if self.ask.grouped {
            cca.multiple_services_credit_control = groups;
        } else if let (Some(group), true) = (groups.pop(), code.is_success()) {
            if let Some(own) = group.result_code.filter(|own| !own.is_success()) {
                cca.result_code = own;
            }
            cca.granted_service_unit = group.granted_service_unit.map(|unit| *unit);
            cca.validity_time = group.validity_time;
            cca.final_unit_indication = group.final_unit_indication;
        }
        self.handling(&mut cca, charged);
        self.money(&mut cca, charged);
        cca
    }

    fn message_code(&self, charged: &ChargingAnswer) -> ResultCode {
        let enquiry = self.ask.request_type == CcRequestType::Event && self.ask.action == RequestedAction::CheckBalance;
        match charged.result_code {
            code if enquiry => self.enquired(code),
            // Ours alone; to the peer the session is gone.
            ResultCode::EXPIRED => ResultCode::UNKNOWN_SESSION,
            ResultCode::SUCCESS if self.nothing_is_granted(charged) => ResultCode::CREDIT_LIMIT_REACHED,
            code => code,
        }
    }

    /// A session in which no group gets the least that is granted has not begun.
    pub fn nothing_is_granted(&self, charged: &ChargingAnswer) -> bool {
        let too_little = |asked: &Asked, verdict: &Verdict| match verdict {
            Verdict::Charged { unit, grants, service } if asked.requested.is_some() => {
                let answer = charged.units.get(*unit);
                let ends = self.final_unit(*service).is_none();
                ends && answer
                    .is_none_or(|answer| !answer.result_code.is_success() || self.granted(answer, grants).is_none())
            }
            Verdict::Charged { .. } | Verdict::Free => false,
            Verdict::Unmapped => true,
        };
        let mut groups = self.ask.groups.iter().zip(&self.plan.verdicts);
        self.ask.request_type == CcRequestType::Initial
            && charged.result_code.is_success()
            && !self.ask.groups.is_empty()
            && groups.all(|(asked, verdict)| too_little(asked, verdict))
    }

    fn group(
        &self,
        asked: &Asked,
        verdict: &Verdict,
        charged: &'a ChargingAnswer,
    ) -> MultipleServicesCreditControl<'a> {
        let mut group = MultipleServicesCreditControl {
            rating_group: asked.rating_group,
            service_identifiers: asked.service_identifiers.clone(),
            ..MultipleServicesCreditControl::default()
        };
        let code = match verdict {
            Verdict::Free => ResultCode::CREDIT_CONTROL_NOT_APPLICABLE,
            Verdict::Unmapped => ResultCode::RATING_FAILED,
            Verdict::Charged { unit, service, grants } => match charged.units.get(*unit) {
                Some(answer) => self.charged_group(asked, answer, (*service, grants), &mut group),
                None => charged.result_code,
            },
        };
        group.result_code = Some(WireCode(code.0));
        group
    }

    fn charged_group(
        &self,
        asked: &Asked,
        answer: &'a UnitAnswer,
        (service, grants): (usize, &UnitGrants),
        group: &mut MultipleServicesCreditControl<'a>,
    ) -> ResultCode {
        let is_session = matches!(self.ask.request_type, CcRequestType::Initial | CcRequestType::Update);
        let wants = asked.requested.is_some() && is_session;
        let too_little = answer.result_code.is_success() && wants && self.granted(answer, grants).is_none();
        let code = if too_little { ResultCode::CREDIT_LIMIT_REACHED } else { answer.result_code };
        if self.ask.request_type == CcRequestType::Event {
            return self.event_group(asked, answer, group);
        }
        if code == ResultCode::CREDIT_LIMIT_REACHED && wants && self.final_unit(service).is_some() {
            group.final_unit_indication = Some(Box::new(self.final_unit_indication(None, service)));
            group.validity_time = grants.validity_s;
            return ResultCode::SUCCESS;
        }
        let Some(units) = self.granted(answer, grants).filter(|_| code.is_success() && wants) else { return code };
        group.granted_service_unit = Some(Box::new(express(&units, answer.tariff_time_change.map(|at| at.0))));
        let core_validity = answer.validity_time_ms.and_then(|ms| u32::try_from(ms / 1_000).ok());
        group.validity_time = core_validity.or(grants.validity_s).filter(|seconds| *seconds > 0);
        let core_holding = answer.quota_holding_time_ms.and_then(|ms| u32::try_from(ms / 1_000).ok());
        group.quota_holding_time = core_holding.or(grants.holding_s);
        match &answer.final_unit {
            Some(last) => group.final_unit_indication = Some(Box::new(self.final_unit_indication(Some(last), service))),
            None => self.threshold(group, &units, answer, grants),
        }
        code
    }

    fn event_group(
        &self,
        asked: &Asked,
        answer: &UnitAnswer,
        group: &mut MultipleServicesCreditControl<'_>,
    ) -> ResultCode {
        match (self.ask.action, answer.result_code) {
            (RequestedAction::DirectDebit, code) if code.is_success() => {
                let debited = answer.granted.or(asked.requested);
                group.granted_service_unit = debited.map(|units| Box::new(express(&units, None)));
                code
            }
            (RequestedAction::CheckBalance, code) => self.enquired(code),
            (_, code) => code,
        }
    }

    /// The question was answered: Check-Balance-Result tells how.
    fn enquired(&self, code: ResultCode) -> ResultCode {
        match code {
            ResultCode::CREDIT_LIMIT_REACHED | ResultCode::END_USER_SERVICE_DENIED => ResultCode::SUCCESS,
            code => code,
        }
    }

    /// What of the core's grant can be told; `None` = less than the least.
    fn granted(&self, answer: &UnitAnswer, grants: &UnitGrants) -> Option<Units> {
        let units = answer.granted?;
        let granted = amount(self.plan.service, &units)?;
        // Whole seconds, rounded down.
        let told = if self.plan.service == Service::Voice { granted / 1_000 * 1_000 } else { granted };
        (told >= grants.amount.least.max(1)).then_some(units)
    }

    fn threshold(
        &self,
        group: &mut MultipleServicesCreditControl<'_>,
        units: &Units,
        answer: &UnitAnswer,
        grants: &UnitGrants,
    ) {
        let Some(granted) = amount(self.plan.service, units) else { return };
        let share = u128::from(granted) * u128::from(grants.threshold_percent) / 100;
        let left = answer.quota_threshold.or_else(|| u64::try_from(share).ok()).filter(|left| *left < granted);
        let Some(left) = left.filter(|left| *left > 0) else { return };
        let narrow = |left: u64| u32::try_from(left).ok().filter(|left| *left > 0);
        match self.plan.service {
            Service::Voice => group.time_quota_threshold = narrow(left / 1_000),
            Service::Data => group.volume_quota_threshold = narrow(left),
            Service::Sms | Service::Mms | Service::Generic => group.unit_quota_threshold = narrow(left),
        }
    }

    fn final_unit(&self, service: usize) -> Option<&'a FinalUnitConfig> {
        self.config.services.get(service).and_then(|row| row.final_unit.as_ref())
    }

    /// The service's own way to end goes before the core's.
    fn final_unit_indication(&self, core: Option<&'a FinalUnit>, service: usize) -> FinalUnitIndication<'a> {
        let mut indication = FinalUnitIndication {
            final_unit_action: FinalUnitAction::Terminate,
            restriction_filter_rules: Vec::new(),
            filter_ids: Vec::new(),
            redirect_server: None,
        };
        let core_filters = core.map(|last| last.filters.as_slice()).unwrap_or_default();
        let (redirect, filters) = match self.final_unit(service) {
            Some(FinalUnitConfig::Redirect(address)) => (Some(&**address), &[][..]),
            Some(FinalUnitConfig::Restrict(filters)) => (None, filters.as_slice()),
            None => match core.map(|last| last.action) {
                Some(CoreAction::Redirect) => (core.and_then(|last| last.redirect.as_deref()), &[][..]),
                Some(CoreAction::Restrict) => (None, core_filters),
                Some(CoreAction::Terminate) | None => (None, &[][..]),
            },
        };
        if let Some(address) = redirect {
            indication.final_unit_action = FinalUnitAction::Redirect;
            indication.redirect_server = Some(redirect_server(address));
        } else if !filters.is_empty() {
            indication.final_unit_action = FinalUnitAction::RestrictAccess;
            for filter in filters {
                let is_rule = filter.starts_with("permit") || filter.starts_with("deny");
                let texts = if is_rule { &mut indication.restriction_filter_rules } else { &mut indication.filter_ids };
                texts.push((&**filter).into());
            }
        }
        indication
    }

    fn handling(&self, cca: &mut CreditControlAnswer<'_>, charged: &ChargingAnswer) {
        let handling = self.config.failure_handling.unwrap_or(charged.failure_handling);
        let failover = self.config.session_failover.unwrap_or(charged.session_failover);
        match self.ask.operation() {
            Operation::Initial => {
                let supported = if failover { CcSessionFailover::Supported } else { CcSessionFailover::NotSupported };
                cca.cc_session_failover = Some(supported);
                cca.credit_control_failure_handling = Some(match handling {
                    FailureHandling::Terminate => CreditControlFailureHandling::Terminate,
                    FailureHandling::Continue => CreditControlFailureHandling::Continue,
                    FailureHandling::RetryAndTerminate => CreditControlFailureHandling::RetryAndTerminate,
                });
            }
            Operation::Event if self.ask.action == RequestedAction::DirectDebit => {
                cca.direct_debiting_failure_handling = Some(match handling {
                    FailureHandling::Continue => DirectDebitingFailureHandling::Continue,
                    FailureHandling::Terminate | FailureHandling::RetryAndTerminate => {
                        DirectDebitingFailureHandling::TerminateOrBuffer
                    }
                });
            }
            Operation::Update | Operation::Termination | Operation::Event => {}
        }
    }

    fn money(&self, cca: &mut CreditControlAnswer<'_>, charged: &ChargingAnswer) {
        let is_event = self.ask.operation() == Operation::Event;
        let (asks_price, asks_balance) = (
            is_event && self.ask.action == RequestedAction::PriceEnquiry,
            is_event && self.ask.action == RequestedAction::CheckBalance,
        );
        let ends = is_event || self.ask.operation() == Operation::Termination;
        if asks_price || (self.config.tell_cost && ends) {
            cca.cost_information = charged.cost.and_then(|cost| {
                let unit_value = money::unit_value(cost.amount)?;
                let currency_code = money::currency_code(cost.currency)?;
                Some(CostInformation { unit_value, currency_code, cost_unit: None })
            });
        }
        if asks_balance {
            let enough = charged.result_code.is_success();
            cca.check_balance_result =
                Some(if enough { CheckBalanceResult::EnoughCredit } else { CheckBalanceResult::NoCredit });
        }
        if self.config.tell_cost {
            let currency_code = charged.cost.and_then(|cost| money::currency_code(cost.currency));
            let left = charged.remaining_balance.and_then(money::unit_value);
            cca.remaining_balance = left.map(|unit_value| RemainingBalance { unit_value, currency_code });
            cca.low_balance_indication = charged.low_balance.then_some(LowBalanceIndication::Yes);
        }
    }
}

fn express(units: &Units, tariff_change_ms: Option<i64>) -> GrantedServiceUnit {
    GrantedServiceUnit {
        tariff_time_change: tariff_change_ms.and_then(Time::from_epoch_ms),
        cc_time: units.time_ms.and_then(|ms| u32::try_from(ms / 1_000).ok()),
        cc_money: units
            .money
            .and_then(money::unit_value)
            .map(|unit_value| Box::new(CcMoney { unit_value, currency_code: None })),
        cc_total_octets: units.total_octets,
        cc_input_octets: units.input_octets,
        cc_output_octets: units.output_octets,
        cc_service_specific_units: units.specific_units,
    }
}

/// The kind of address by its look.
fn redirect_server(address: &str) -> RedirectServer<'_> {
    let begins = |scheme: &str| address.get(..scheme.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(scheme));
    let kind = if ["sip:", "sips:", "tel:"].into_iter().any(begins) {
        RedirectAddressType::SipUri
    } else if address.parse::<std::net::Ipv4Addr>().is_ok() {
        RedirectAddressType::Ipv4Address
    } else if address.parse::<std::net::Ipv6Addr>().is_ok() {
        RedirectAddressType::Ipv6Address
    } else {
        RedirectAddressType::Url
    };
    RedirectServer { redirect_address_type: kind, redirect_server_address: address.into() }
}
