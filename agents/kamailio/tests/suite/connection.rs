//! The connection itself: silence, refusal, a second agent.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use crate::double::Greeting;
use crate::recording::Recording;
use crate::stage::{Plan, Stage};
use crate::synthetic::{Call, stage};

/// Takes the log of one thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_kamailio_is_left_and_found_again() {
    let (mut stage, mut call) = (stage("10.00", |_| {}).await, Call::new(1));
    call.connects(&mut stage).await;
    stage.kamailio.state().pongs = false;
    stage.kamailio.state().lists = false;
    stage.pass(5_000).await;
    assert_eq!(stage.kamailio.state().connections, 1, "three pings may be missed");
    stage.eventually("a new connection", |stage| stage.kamailio.state().connections == 2).await;
    stage.kamailio.state().pongs = true;
    stage.kamailio.state().lists = true;
    // The list of the silent time was never answered: it is not waited for for ever.
    stage.connected().await;
    call.hangs_up(&mut stage).await;
    assert!(stage.kamailio.state().acks.iter().all(|(_, settled)| *settled));
    assert_eq!(stage.records().len(), 2);
    let hellos = stage.kamailio.state().hellos.clone();
    assert!(hellos.iter().all(|(client_id, _)| client_id == "agent/k1"), "{hellos:?}");
    stage.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_second_agent_is_refused_alarms_and_goes_on_trying() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    let guard = tracing::subscriber::set_default(subscriber);
    let recording = Recording::load("hello_refused");
    let refusal = crate::recording::frame(&recording.message("HELLO_REPLY"));
    let mut stage = Stage::set(Plan::of(&recording)).await;
    stage.kamailio.state().greeting = Greeting::Played;
    for tries in 1..=4 {
        stage.eventually("HELLO", |stage| stage.kamailio.state().hellos.len() == tries).await;
        stage.kamailio.play(&refusal);
        stage.until("the agent hanging up", |stage| !stage.kamailio.is_connected()).await;
        let alarm = |line: &&str| line.contains("ERROR") && line.contains("does not take us");
        assert_eq!(log.text().lines().filter(alarm).count(), tries, "{}", log.text());
    }
    assert!(stage.elapsed_ms() > 350, "it waits longer each time");
    assert!(log.text().contains("another live agent holds the tag"), "{}", log.text());
    drop(guard);
    stage.agent.abort();
}

#[tokio::test(start_paused = true)]
async fn another_version_of_the_contract_is_not_spoken() {
    let mut stage = Stage::set(Plan::of(&Recording::load("answered"))).await;
    stage.kamailio.state().greeting = Greeting::Played;
    stage.eventually("HELLO", |stage| !stage.kamailio.state().hellos.is_empty()).await;
    let reply = serde_json::json!({"event": "HELLO_REPLY", "status": "OK", "run": "r", "protocol": 2});
    stage.kamailio.play(&crate::recording::frame_text(&reply.to_string()));
    stage.eventually("the agent hanging up", |stage| !stage.kamailio.is_connected()).await;
    assert!(
        stage.kamailio.state().said.iter().all(|said| matches!(said, protocol_codecs::evapi::ToKamailio::Hello { .. }))
    );
    stage.agent.abort();
}

#[tokio::test(start_paused = true)]
async fn bytes_that_are_no_netstrings_end_the_connection_and_the_next_one_is_good() {
    for nonsense in ["hello", "99999999:", "5:{\"a\"}", "INVITE sip:a SIP/2.0\r\n"] {
        let (mut stage, mut call) = (stage("10.00", |_| {}).await, Call::new(1));
        call.connects(&mut stage).await;
        stage.kamailio.play(nonsense.as_bytes());
        stage.eventually("a new connection", |stage| stage.kamailio.state().connections == 2).await;
        stage.connected().await;
        call.hangs_up(&mut stage).await;
        assert_eq!(stage.records().len(), 2, "{nonsense}");
        stage.finish().await;
    }
}

/// While the charging core was never reached, Kamailio sees no agent and treats calls as its configuration says.
#[tokio::test(start_paused = true)]
async fn no_connection_before_the_core_has_listed_the_sessions() {
    let mut stage = stage("10.00", |_| {}).await;
    stage.agent_dies().await;
    stage.core.set_reachable(false);
    let before = stage.kamailio.state().connections;
    stage.agent_starts();
    stage.pass(20_000).await;
    assert_eq!(stage.kamailio.state().connections, before);
    stage.core.set_reachable(true);
    stage.connected().await;
    stage.finish().await;
}
