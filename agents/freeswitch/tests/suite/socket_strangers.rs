//! Whoever else reaches the port of the `socket` application, and FreeSWITCH where it says something else.

use std::sync::{Arc, Mutex};

use agent_freeswitch::FreeswitchConfig;

use crate::socket::listening;
use crate::socket_line::{Line, stranger};
use crate::stage::Stage;
use crate::synthetic::{Call, stage};

fn is(closed: &Arc<Mutex<bool>>) -> bool {
    *closed.lock().expect("not poisoned")
}

/// One call over the socket is admitted, talks and is charged.
async fn is_served(stage: &mut Stage, name: &str) {
    let (before, mut call) = (stage.records().len(), Call::new(name));
    let line = Line::rings(stage, &mut call).await;
    stage.until("the dialplan goes on", |_| line.is_closed()).await;
    assert_eq!(line.gate(), Some("admitted"));
    call.answers(stage).await;
    call.talks_until(stage, 1_000).await;
    call.hangs_up(stage).await;
    stage.until("STOP", |stage| stage.records().len() == before + 2).await;
}

/// Half open, in every way: a connection that says nothing, half a frame, or nonsense holds up nobody and is closed.
#[tokio::test(start_paused = true)]
async fn connections_that_name_no_call_hold_up_nobody() {
    let mut stage = stage("1.00", listening).await;
    let silent: &[&[u8]] =
        &[b"", b"Event-Name: CHANNEL_DATA\n", b"Content-Type: command/reply\nReply-Text: +OK\nContent-Length: 9\n\nx"];
    let mut held = vec![];
    for bytes in silent {
        held.push(stranger(&stage, bytes).await);
    }
    is_served(&mut stage, "a").await;
    assert!(!held.iter().any(is), "they have their time");
    stage.pass(2_000).await;
    stage.until("their end", |_| held.iter().all(is)).await;
    let nonsense: &[&[u8]] = &[
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b": no name\n\n",
        b"Content-Length: 99999999999\n\n",
        b"Content-Type: auth/request\n\nContent-Type: command/reply\nReply-Text: +OK\n\n",
        b"Event-Name: CHANNEL_DATA\nContent-Type: command/reply\nSocket-Mode: async\nReply-Text: %2BOK%0A\n\n",
    ];
    for bytes in nonsense {
        let closed = stranger(&stage, bytes).await;
        stage.until("its end, at once", |_| is(&closed)).await;
    }
    is_served(&mut stage, "b").await;
    stage.finish().await;
}

/// 400 kB of header lines are not read, though the codec would.
#[tokio::test(start_paused = true)]
async fn a_connection_is_read_no_further_than_a_channel_is_long() {
    let mut stage = stage("1.00", listening).await;
    let line: &[u8] = b"variable_x: 0123456789012345678901234567890123456789012345678901234567890123456789\n";
    let bytes: &'static [u8] = Box::leak(line.repeat(5_000).into_boxed_slice());
    let closed = stranger(&stage, bytes).await;
    stage.until("its end, before its time", |_| is(&closed)).await;
    is_served(&mut stage, "a").await;
    stage.finish().await;
}

fn two_at_once(config: &mut FreeswitchConfig) {
    listening(config);
    config.switches[0].socket.as_mut().expect("set").maximum_connections = 2;
}

#[tokio::test(start_paused = true)]
async fn more_calls_than_permitted_are_left_to_the_dialplan() {
    let mut stage = stage("1.00", two_at_once).await;
    stage.core.set_reachable(false);
    let mut calls = ["a", "b", "c"].map(Call::new);
    let mut lines = vec![];
    for call in &mut calls {
        lines.push(Line::rings(&mut stage, call).await);
    }
    stage.until("the third's end", |_| lines[2].is_closed()).await;
    assert_eq!((lines[2].gate(), lines[2].heard()), (Some("refused"), vec![]));
    assert!(!lines[0].is_closed() && !lines[1].is_closed());
    stage.agent.abort();
}

fn for_somebody_else(config: &mut FreeswitchConfig) {
    listening(config);
    config.switches[0].socket.as_mut().expect("set").allow = vec![[192, 0, 2, 1].into()];
}

#[tokio::test(start_paused = true)]
async fn an_address_that_is_not_permitted_is_closed_at_once() {
    let (mut stage, mut call) = (stage("1.00", for_somebody_else).await, Call::new("a"));
    let line = Line::rings(&mut stage, &mut call).await;
    stage.until("its end", |_| line.is_closed()).await;
    assert_eq!((line.gate(), line.heard(), stage.said()), (Some("refused"), vec![], vec![]));
    stage.finish().await;
}

/// Without `async` the channel is not parked and hears no other order.
#[tokio::test(start_paused = true)]
async fn the_application_without_async_is_not_served() {
    let (mut stage, mut call) = (stage("1.00", listening).await, Call::new("a"));
    call.created_ms = stage.now();
    let event = call.event(&stage, "CHANNEL_PARK");
    let line = Line::names(&mut stage, &event, "static").await;
    stage.until("its end", |_| line.is_closed()).await;
    assert!(stage.core.requests().is_empty() && stage.said().is_empty());
    stage.finish().await;
}

/// What a connection claims is asked of the switch itself: a channel that does not wait there is not touched.
#[tokio::test(start_paused = true)]
async fn a_forged_connection_moves_nothing() {
    let (mut stage, mut call) = (stage("1.00", listening).await, Call::new("a"));
    call.connects(&mut stage).await;
    let said = stage.said().len();
    // It talks already; another life of the switch; nobody's.
    let talking = call.event(&stage, "CHANNEL_ANSWER");
    let mut other_run = talking.clone();
    other_run.insert("Core-UUID".into(), "run-0".into());
    let mut ghost = call.event(&stage, "CHANNEL_PARK");
    ghost.insert("Unique-ID".into(), "ghost".into());
    // It rings, and never asked anybody.
    let mut unasked = Call::new("unasked");
    unasked.created_ms = stage.now();
    let unasked = unasked.event(&stage, "CHANNEL_PROGRESS");
    stage.switch.state().learn(&unasked);
    for event in [talking, other_run, ghost, unasked] {
        let line = Line::claims(&mut stage, &event).await;
        stage.until("its end", |_| line.is_closed()).await;
        assert_eq!(line.heard(), ["connect"]);
    }
    assert_eq!((stage.said().len(), stage.core.requests().len()), (said, 1));
    call.talks_until(&mut stage, 4_000).await;
    call.hangs_up(&mut stage).await;
    stage.expect_settled("untouched", &["START", "STOP Normal 4.000s cost 0.04"], "0.96").await;
    stage.finish().await;
}

/// A second connection for a call that waits gets nothing, and the first one its verdict.
#[tokio::test(start_paused = true)]
async fn a_second_connection_for_a_call_is_closed() {
    let (mut stage, mut call) = (stage("1.00", listening).await, Call::new("a"));
    stage.core.set_reachable(false);
    let first = Line::rings(&mut stage, &mut call).await;
    let event = call.event(&stage, "CHANNEL_PARK");
    let second = Line::claims(&mut stage, &event).await;
    stage.until("its end", |_| second.is_closed()).await;
    assert_eq!((second.heard().len(), first.is_closed()), (1, false));
    stage.core.set_reachable(true);
    stage.eventually("the dialplan goes on", |_| first.is_closed()).await;
    assert_eq!(first.gate(), Some("admitted"));
    stage.agent.abort();
}

/// The dialplan's park of another application's socket is not ours; nor is a call that is answered, or that nobody pays.
#[tokio::test(start_paused = true)]
async fn what_waits_for_others_is_left_alone() {
    let (mut stage, mut call) = (stage("1.00", |_| {}).await, Call::new("a"));
    call.created_ms = stage.now();
    call.says(&mut stage, "CHANNEL_PARK", &[("variable_current_application", "socket")]).await;
    stage.pass(11_000).await;
    assert!(stage.core.requests().is_empty() && stage.said().is_empty());
    stage.finish().await;
    for (field, value) in [("variable_cgr_reqtype", "*none"), ("Caller-Channel-Answered-Time", "1795300000000000")] {
        let (mut stage, mut call) = (crate::synthetic::stage("1.00", listening).await, Call::new("a"));
        call.further.insert(field.into(), value.into());
        let line = Line::rings(&mut stage, &mut call).await;
        stage.until("its end", |_| line.is_closed()).await;
        assert_eq!((line.gate(), stage.said()), (Some("refused"), vec![]), "{field}");
        stage.agent.abort();
    }
}
