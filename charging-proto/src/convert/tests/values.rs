//! Any domain value that the wire can carry.

use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;
use types::charging::*;
use types::{ClientId, Currency, Money, Number, ReleaseCause, SessionId, Tenant, UtcMs};

/// Every value of an enum, from the same rows as its conversion.
pub(in crate::convert) trait EveryWord: Sized {
    fn every_word() -> Vec<Self>;
}

fn word<T: EveryWord + Clone + std::fmt::Debug + 'static>() -> impl Strategy<Value = T> {
    select(T::every_word())
}

fn text() -> impl Strategy<Value = String> {
    "[ -~äß]{0,12}"
}

fn some_text() -> impl Strategy<Value = String> {
    "[ -~äß]{1,12}"
}

fn boxed_text() -> impl Strategy<Value = Option<Box<str>>> {
    of(text().prop_map(String::into_boxed_str))
}

fn amount() -> impl Strategy<Value = Money> {
    (-Money::LIMIT.nanos()..=Money::LIMIT.nanos()).prop_map(Money::from_nanos)
}

fn time() -> impl Strategy<Value = UtcMs> {
    any::<i64>().prop_map(UtcMs)
}

fn units() -> impl Strategy<Value = Units> {
    (of(any::<u64>()), of(any::<u64>()), of(any::<u64>()), of(any::<u64>()), of(any::<u64>()), of(amount())).prop_map(
        |(time_ms, total_octets, input_octets, output_octets, specific_units, money)| Units {
            time_ms,
            total_octets,
            input_octets,
            output_octets,
            specific_units,
            money,
        },
    )
}

fn used() -> impl Strategy<Value = UsedUnits> {
    (any::<u32>(), units(), of(time()), of(time()), of(word()), of(word())).prop_map(
        |(sequence, units, start, end, tariff_change, reason)| UsedUnits {
            sequence,
            units,
            start,
            end,
            tariff_change,
            reason,
        },
    )
}

pub(super) fn usage() -> impl Strategy<Value = UnitUsage> {
    let rated = (boxed_text(), boxed_text());
    (any::<u32>(), of(any::<u32>()), of(units()), prop::collection::vec(used(), 0..3), rated).prop_map(
        |(rating_group, service_identifier, requested, used, (category, called))| UnitUsage {
            rating_group,
            service_identifier,
            category: category.map(Into::into),
            called: called.map(types::Number::new),
            requested,
            used,
        },
    )
}

fn service_information() -> impl Strategy<Value = ServiceInformation> {
    let location = of(any::<Vec<u8>>().prop_map(Vec::into_boxed_slice));
    let first = (of(word()), boxed_text(), boxed_text(), of(any::<u8>()), boxed_text(), location);
    let second = (boxed_text(), of(any::<u64>()), boxed_text(), boxed_text(), boxed_text());
    (first, second).prop_map(
        |((role, plmn, apn, rat_type, imei, user_location), (pdp_address, charging_id, icid, trunk, node))| {
            ServiceInformation {
                role,
                plmn,
                apn,
                rat_type,
                imei,
                user_location,
                pdp_address,
                charging_id,
                icid,
                trunk,
                node,
            }
        },
    )
}

fn subscriber() -> impl Strategy<Value = SubscriberId> {
    (word(), text()).prop_map(|(kind, value)| SubscriberId { kind, value: Number::new(value) })
}

pub(super) fn request() -> impl Strategy<Value = ChargingRequest> {
    let key = (some_text(), some_text(), any::<u32>(), word(), of(word()), some_text());
    let payer = (prop::collection::vec(subscriber(), 0..3), word(), word(), text(), boxed_text());
    let parties = (of(text()), of(text()), time(), of(time()), of(service_information()));
    let rest = (prop::collection::vec(usage(), 0..3), of(word()), any::<Vec<u8>>(), any::<bool>());
    (key, payer, parties, rest).prop_map(|(key, payer, parties, rest)| ChargingRequest {
        client_id: ClientId::new(key.0),
        session_id: SessionId::new(key.1),
        request_number: key.2,
        operation: key.3,
        requested_action: key.4,
        tenant: Tenant::new(key.5),
        subscribers: payer.0,
        charging_mode: payer.1,
        service: payer.2,
        category: payer.3.into(),
        subject: payer.4.map(Into::into),
        calling: parties.0.map(Number::new),
        called: parties.1.map(Number::new),
        event_time: parties.2,
        answer_time: parties.3,
        service_information: parties.4.map(Box::new),
        units: rest.0,
        release_cause: rest.1,
        client_state: rest.2,
        retransmission: rest.3,
    })
}

fn cost() -> impl Strategy<Value = Cost> {
    let currency =
        select(vec!["EUR", "USD", "JPY"]).prop_filter_map("a currency", |text| text.parse::<Currency>().ok());
    (currency, amount(), of(amount()), amount()).prop_map(|(currency, amount, per_minute_rate, overrun)| Cost {
        currency,
        amount,
        per_minute_rate,
        overrun,
    })
}

pub(super) fn notification() -> impl Strategy<Value = Notification> {
    let kind =
        prop_oneof![Just(NotificationKind::Reauthorize), word::<ReleaseCause>().prop_map(NotificationKind::Abort),];
    (any::<u64>(), some_text(), kind).prop_map(|(sequence, session_id, kind)| Notification {
        sequence,
        session_id: SessionId::new(session_id),
        kind,
    })
}

fn result_code() -> impl Strategy<Value = ResultCode> {
    (1..=u32::MAX).prop_map(ResultCode)
}

fn final_unit() -> impl Strategy<Value = FinalUnit> {
    let filters = prop::collection::vec(text().prop_map(String::into_boxed_str), 0..3);
    (word(), boxed_text(), filters).prop_map(|(action, redirect, filters)| FinalUnit { action, redirect, filters })
}

fn unit_answer() -> impl Strategy<Value = UnitAnswer> {
    let first = (any::<u32>(), of(any::<u32>()), result_code(), of(units()), of(any::<u64>()));
    let second = (of(any::<u64>()), of(any::<u64>()), of(time()), of(final_unit()), any::<u64>());
    (first, second).prop_map(|(first, second)| UnitAnswer {
        rating_group: first.0,
        service_identifier: first.1,
        result_code: first.2,
        granted: first.3,
        validity_time_ms: first.4,
        quota_threshold: second.0,
        quota_holding_time_ms: second.1,
        tariff_time_change: second.2,
        final_unit: second.3,
        billable: second.4,
    })
}

pub(super) fn answer() -> impl Strategy<Value = ChargingAnswer> {
    let first = (some_text(), any::<u32>(), result_code(), prop::collection::vec(unit_answer(), 0..3), of(cost()));
    let second = (of(amount()), any::<bool>(), word(), any::<bool>(), prop::collection::vec(notification(), 0..3));
    let third = (of(word()), prop::collection::vec(draw(), 0..3));
    (first, second, third).prop_map(|(first, second, third)| ChargingAnswer {
        session_id: SessionId::new(first.0),
        request_number: first.1,
        result_code: first.2,
        units: first.3,
        cost: first.4,
        remaining_balance: second.0,
        low_balance: second.1,
        failure_handling: second.2,
        session_failover: second.3,
        notifications: second.4,
        release_cause: third.0,
        drawn: third.1,
    })
}

fn draw() -> impl Strategy<Value = BalanceDraw> {
    let units = any::<i64>().prop_map(BalanceAmount::Units);
    let amount = prop_oneof![amount().prop_map(BalanceAmount::Money), units];
    (some_text(), word(), amount).prop_map(|(balance_id, kind, amount)| BalanceDraw {
        balance_id: balance_id.into(),
        kind,
        amount,
    })
}

pub(super) fn session() -> impl Strategy<Value = SessionSummary> {
    let first = (some_text(), some_text(), word(), any::<u32>(), any::<u64>(), any::<u64>());
    let second = (any::<bool>(), any::<u64>(), of(cost()), of(time()), time(), any::<Vec<u8>>());
    (first, second).prop_map(|(first, second)| SessionSummary {
        session_id: SessionId::new(first.0),
        client_id: ClientId::new(first.1),
        phase: first.2,
        last_request_number: first.3,
        used_time_ms: first.4,
        granted_time_ms: first.5,
        final_grant: second.0,
        billable_ms: second.1,
        cost: second.2,
        answer_time: second.3,
        updated: second.4,
        client_state: second.5,
    })
}
