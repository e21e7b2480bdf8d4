//! Examples 14 and 15 of the money, over Diameter, to the last unit.

use CcRequestType::{Event, Initial, Termination, Update};
use cdr_model::RecordType;
use protocol_codecs::diameter::{CcRequestType, CheckBalanceResult, RequestedAction, RequestedServiceUnit};

use crate::stage::{MB, PGW, SMS, Stage};

#[tokio::test]
async fn example_14_events() {
    let stage = Stage::set("0.10").await;
    let mut pgw = stage.client(PGW).await;
    let other = stage.stranger(PGW).await;
    let event = |session, number, action| {
        let mut ccr = other.ccr(session, SMS, Event, number);
        ccr.requested_action = Some(action);
        ccr.requested_service_unit =
            Some(RequestedServiceUnit { cc_service_specific_units: Some(1), ..RequestedServiceUnit::default() });
        ccr
    };
    let (debit, again) =
        (event("a", 0, RequestedAction::DirectDebiting), event("b", 0, RequestedAction::DirectDebiting));
    let refund = event("a", 0, RequestedAction::RefundAccount);
    let price = event("c", 0, RequestedAction::PriceEnquiry);
    let balance = event("d", 0, RequestedAction::CheckBalance);

    let told = pgw.ask(&debit).await;
    assert_eq!(told.code(), 2001);
    let unit = told.cca().granted_service_unit.expect("what was debited");
    assert_eq!(unit.cc_service_specific_units, Some(1));
    assert_eq!(stage.account(), ("0.02".into(), "0".into()));

    assert_eq!(pgw.ask(&again).await.code(), 4012);
    assert_eq!(stage.account(), ("0.02".into(), "0".into()));

    let told = pgw.ask(&balance).await;
    assert_eq!((told.code(), told.cca().check_balance_result), (2001, Some(CheckBalanceResult::NoCredit)));
    let told = pgw.ask(&price).await;
    let cost = told.cca().cost_information.expect("a price");
    assert_eq!((told.code(), cost.unit_value.value_digits, cost.unit_value.exponent), (2001, 8, Some(-2)));
    assert_eq!(cost.currency_code, 978);
    assert_eq!(stage.account(), ("0.02".into(), "0".into()));

    for _ in 0..2 {
        assert_eq!(pgw.ask(&refund).await.code(), 2001);
        assert_eq!(stage.account(), ("0.1".into(), "0".into()));
    }
    let told = pgw.ask(&event("f", 0, RequestedAction::CheckBalance)).await;
    assert_eq!(told.cca().check_balance_result, Some(CheckBalanceResult::EnoughCredit));

    let one = vec![(0, 1)];
    assert_eq!(stage.told("a")[0], (RecordType::Event, 0, one.clone(), Some("0.08".into())));
    assert_eq!(stage.told("a").len(), 2, "the debit and its refund: {:?}", stage.told("a"));
    assert_eq!(stage.told("b"), [(RecordType::Event, 0, one, None)]);
    assert_eq!((stage.told("c"), stage.told("d")), (vec![], vec![]), "enquiries are not recorded");
}

#[tokio::test]
async fn example_15_data_two_rating_groups() {
    let stage = Stage::with("1.00", |config| config.interim = types::ConfigDuration::from_ms(1)).await;
    let mut pgw = stage.client(PGW).await;
    let ask = Some(5 * MB);
    let told = pgw.ask(&pgw.data("d", Initial, 0, &[(10, 0, ask), (20, 0, ask)])).await;
    assert_eq!(told.code(), 2001);
    assert_eq!(told.groups(), [(10, 2001, ask, false), (20, 2001, ask, false)]);
    assert_eq!(stage.account(), ("1".into(), "0.55".into()));

    let told = pgw.ask(&pgw.data("d", Update, 1, &[(10, 5 * MB, ask)])).await;
    assert_eq!(told.groups(), [(10, 2001, Some(4 * MB), true)]);
    assert_eq!(stage.account(), ("0.5".into(), "0.45".into()));

    let told = pgw.ask(&pgw.data("d", Termination, 2, &[(10, 2 * MB, None), (20, 3 * MB, None)])).await;
    assert_eq!((told.code(), told.groups()), (2001, vec![(10, 2001, None, false), (20, 2001, None, false)]));
    assert_eq!(stage.account(), ("0.27".into(), "0".into()));

    let recorded = [
        (RecordType::Start, 0, vec![], None),
        (RecordType::Interim, 1, vec![(10, 5 * MB)], Some("0.5".into())),
        (RecordType::Stop, 2, vec![(10, 2 * MB), (20, 3 * MB)], Some("0.73".into())),
    ];
    assert_eq!(stage.told("d"), recorded);
    assert!(stage.core.replayed_books_are_the_same());
}
