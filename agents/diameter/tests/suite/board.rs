//! What `tollkeeper diameter peers` shows.

use CcRequestType::Initial;
use protocol_codecs::diameter::{CcRequestType, Command, Exchange};

use crate::stage::{MB, PGW, Stage, Told};

#[tokio::test]
async fn who_is_connected_and_who_was_refused() {
    let stage = Stage::set("1.00").await;
    let mut pgw = stage.client(PGW).await;
    for (host, times) in [("evil.example.org", 2), ("ocs.example.net", 1)] {
        for _ in 0..times {
            let mut stranger = stage.stranger(host).await;
            let cer = stranger.cer().encoded(Exchange::new(1, 1)).expect("a CER").bytes().clone();
            stranger.send(cer).await;
            assert_eq!(Told::of(stranger.receive().await).code(), 3010);
            assert!(stranger.next().await.is_none());
        }
    }
    stage.core.set_reachable(false);
    let ccr = pgw.data("s", Initial, 0, &[(10, 0, Some(MB))]);
    pgw.send(ccr.encoded(Exchange::new(5, 5)).expect("a CCR").bytes().clone()).await;
    stage.until("the request to be in flight", |stage| stage.board.report().connected[0].in_flight == 1).await;
    let report = stage.board.report();
    assert_eq!((&*report.agent, &*report.origin_host), ("gy", "ocs.example.net"));
    let [peer] = &report.connected[..] else { panic!("{report:?}") };
    assert_eq!((&*peer.host, &*peer.realm, &*peer.watchdog), (PGW, "example.net", "okay"));
    assert_eq!((peer.requests, peer.relay, peer.tls), (1, false, false));
    let refused: Vec<_> =
        report.refused.iter().map(|one| (&*one.host, &*one.reason, one.result_code, one.count)).collect();
    let expected = [("evil.example.org", "unknown", Some(3010), 2), ("ocs.example.net", "our_own_name", Some(3010), 1)];
    assert!(refused.len() == 2 && refused.iter().all(|row| expected.contains(row)), "{refused:?}");
    stage.core.set_reachable(true);
    assert_eq!(Told::of(pgw.receive().await).code(), 2001);
    drop(pgw);
    stage.until("it to be gone", |stage| stage.board.report().connected.is_empty()).await;
}

#[tokio::test]
async fn strangers_do_not_fill_the_board() {
    let stage = Stage::set("1.00").await;
    for number in 0..300 {
        let mut stranger = stage.stranger(&format!("h{number}.example.org")).await;
        let cer = stranger.cer().encoded(Exchange::new(1, 1)).expect("a CER").bytes().clone();
        stranger.send(cer).await;
        assert_eq!(Told::of(stranger.receive().await).code(), 3010);
    }
    let refused = stage.board.report().refused;
    assert_eq!(refused.len(), 256);
    assert!(refused.iter().any(|one| one.host == "h299.example.org"), "the latest are kept");
}
