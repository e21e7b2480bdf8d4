//! One-time charging beside the worked example.

use CcRequestType::Event;
use protocol_codecs::diameter::{CcRequestType, RequestedAction};

use crate::stage::{PGW, SMS, Stage};

#[tokio::test]
async fn an_event_that_says_nothing_is_one_message() {
    let stage = Stage::set("0.10").await;
    let mut pgw = stage.client(PGW).await;
    let told = pgw.ask(&pgw.ccr("e", SMS, Event, 7)).await;
    assert_eq!((told.code(), stage.account().0.as_str()), (2001, "0.02"));
}

#[tokio::test]
async fn a_refund_needs_its_debit() {
    let stage = Stage::set("0.10").await;
    let mut pgw = stage.client(PGW).await;
    let mut refund = pgw.ccr("never", SMS, Event, 0);
    refund.requested_action = Some(RequestedAction::RefundAccount);
    let told = pgw.ask(&refund).await;
    assert_eq!((told.code(), told.failed()), (5002, Some(263)));
    assert_eq!(stage.account().0, "0.1");
}
