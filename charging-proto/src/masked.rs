//! `Debug` of the messages that carry subscriber numbers: numbers are masked as `types::Number` masks them, so that no
//! log shows one by habit. `build.rs` leaves out the derived `Debug` of exactly these messages.

use std::fmt;

use types::Number;

use crate::v1;

fn masked(text: &Option<String>) -> Option<Number> {
    text.as_deref().map(Number::from)
}

impl fmt::Debug for v1::SubscriberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SubscriberId")
            .field("kind", &self.kind())
            .field("value", &Number::from(self.value.as_str()))
            .finish()
    }
}

impl fmt::Debug for v1::ChargingDataRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChargingDataRequest")
            .field("client_id", &self.client_id)
            .field("session_id", &self.session_id)
            .field("request_number", &self.request_number)
            .field("operation", &self.operation())
            .field("requested_action", &self.requested_action)
            .field("tenant", &self.tenant)
            .field("subscribers", &self.subscribers)
            .field("charging_mode", &self.charging_mode())
            .field("service", &self.service())
            .field("category", &self.category)
            .field("calling", &masked(&self.calling))
            .field("called", &masked(&self.called))
            .field("event_time", &self.event_time)
            .field("answer_time", &self.answer_time)
            .field("service_information", &self.service_information)
            .field("multiple_unit_usage", &self.multiple_unit_usage)
            .field("release_cause", &self.release_cause)
            .field("client_state_bytes", &self.client_state.len())
            .field("retransmission", &self.retransmission)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for v1::MultipleUnitUsage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MultipleUnitUsage")
            .field("rating_group", &self.rating_group)
            .field("service_identifier", &self.service_identifier)
            .field("category", &self.category)
            .field("called", &masked(&self.called))
            .field("requested_unit", &self.requested_unit)
            .field("used_unit_container", &self.used_unit_container)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for v1::ServiceInformation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceInformation")
            .field("role", &self.role)
            .field("plmn", &self.plmn)
            .field("apn", &self.apn)
            .field("rat_type", &self.rat_type)
            .field("imei", &masked(&self.imei))
            .field("charging_id", &self.charging_id)
            .field("icid", &self.icid)
            .field("trunk", &self.trunk)
            .field("node", &self.node)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for v1::Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account")
            .field("tenant", &self.tenant)
            .field("account_id", &Number::from(self.account_id.as_str()))
            .field("currency", &self.currency)
            .field("subscribers", &self.subscribers)
            .field("balances", &self.balances)
            .field("blocked", &self.blocked)
            .field("available", &self.available)
            .field("open_sessions", &self.open_sessions)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for v1::CreateAccountRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreateAccountRequest")
            .field("request_id", &self.request_id)
            .field("account", &self.account)
            .finish()
    }
}

impl fmt::Debug for v1::QuoteRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QuoteRequest")
            .field("tenant", &self.tenant)
            .field("service", &self.service())
            .field("category", &self.category)
            .field("called", &masked(&self.called))
            .field("start_time", &self.start_time)
            .field("units", &self.units)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

/// Sample numbers, masked.
fn all_masked(texts: &[String]) -> Vec<Number> {
    texts.iter().map(|text| Number::from(text.as_str())).collect()
}

impl fmt::Debug for v1::LoadTariffStart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoadTariffStart")
            .field("dry_run", &self.dry_run)
            .field("version", &self.version)
            .field("loaded_by", &self.loaded_by)
            .field("comment", &self.comment)
            .field("sample_numbers", &all_masked(&self.sample_numbers))
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for v1::CompareTariffsRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CompareTariffsRequest")
            .field("before", &self.before)
            .field("after", &self.after)
            .field("sample_numbers", &all_masked(&self.sample_numbers))
            .finish()
    }
}

impl fmt::Debug for v1::ShowTariffRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShowTariffRequest")
            .field("version", &self.version)
            .field("number", &masked(&self.number))
            .field("destination", &self.destination)
            .finish()
    }
}

impl fmt::Debug for v1::TariffPriceChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TariffPriceChange")
            .field("tenant", &self.tenant)
            .field("category", &self.category)
            .field("subject", &Number::from(self.subject.as_str()))
            .field("number", &Number::from(self.number.as_str()))
            .field("usage", &self.usage)
            .field("before", &self.before)
            .field("after", &self.after)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use crate::v1;

    #[test]
    fn no_debug_text_shows_a_number() {
        let subscriber = v1::SubscriberId { kind: 1, value: "+49301234567".into() };
        let request = v1::ChargingDataRequest {
            calling: Some("+49301234567".into()),
            called: Some("+49301234567".into()),
            subscribers: vec![subscriber.clone()],
            service_information: Some(v1::ServiceInformation {
                imei: Some("+49301234567".into()),
                ..Default::default()
            }),
            ..Default::default()
        };
        let account =
            v1::Account { account_id: "+49301234567".into(), subscribers: vec![subscriber], ..Default::default() };
        let quote = v1::QuoteRequest { called: Some("+49301234567".into()), ..Default::default() };
        let explain = v1::ExplainRequest { subject: Some(v1::explain_request::Subject::Quote(quote.clone())) };
        let numbers = || vec!["+49301234567".to_owned()];
        let load = v1::LoadTariffStart { sample_numbers: numbers(), ..Default::default() };
        let compare = v1::CompareTariffsRequest { sample_numbers: numbers(), ..Default::default() };
        let show = v1::ShowTariffRequest { number: Some("+49301234567".into()), ..Default::default() };
        let change = v1::TariffPriceChange { number: "+49301234567".into(), ..Default::default() };
        let create = v1::CreateAccountRequest { account: Some(account.clone()), ..Default::default() };
        for shown in [
            format!("{request:?}"),
            format!("{account:?}"),
            format!("{quote:?}"),
            format!("{explain:?}"),
            format!("{create:?}"),
            format!("{load:?}"),
            format!("{compare:?}"),
            format!("{show:?}"),
            format!("{change:?}"),
        ] {
            assert!(!shown.contains("301234"), "{shown}");
            assert!(shown.contains("+493******67"), "{shown}");
        }
    }
}
