//! Calls that wait on the dialplan's `socket` application instead of in park.

use agent_freeswitch::{FreeswitchConfig, SocketConfig};
use protocol_codecs::esl::{EslCodec, Frame};
use types::ConfigDuration;

use crate::recording::Json;
use crate::socket_line::Line;
use crate::stage::{Plan, Stage};
use crate::synthetic::{Call, stage};

/// The agent listens on a free port.
pub fn listening(config: &mut FreeswitchConfig) {
    let free = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let address = free.local_addr().expect("an address").to_string();
    config.switches[0].socket = Some(SocketConfig::on(&address));
}

fn short_slices(config: &mut FreeswitchConfig) {
    listening(config);
    (config.calls.slice, config.calls.margin) = (ConfigDuration::from_s(30), ConfigDuration::from_s(5));
}

/// The commands of an admission of channel `a`; the number is the first grant and a second.
fn armed(session: &str, seconds: u32) -> String {
    let stamp = session.rsplit('/').next().and_then(|of_run| of_run.split('-').next()).expect("a stamp");
    format!(
        "uuid_setvar_multi a tollkeeper_session={session};\
         api_on_answer_tollkeeper_{stamp}=sched_api +{seconds} tollkeeper/{session} uuid_kill a ALLOTTED_TIMEOUT;\
         tollkeeper_part_of={session};tollkeeper_paid_by=1001;\
         force_transfer_context=public;tollkeeper_dialled=491701234567;tollkeeper_admitted=true;\
         export_vars=tollkeeper_part_of,tollkeeper_paid_by,force_transfer_context"
    )
}

/// Until the dialplan has gone on because the agent said so.
async fn goes_on(stage: &mut Stage, line: &Line) {
    stage.until("the dialplan goes on", |_| line.is_closed()).await;
    assert_eq!((line.gate(), line.heard()), (Some("admitted"), words(&["connect", "resume", "exit"])));
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// The bell and the event of the park are of one call, whichever comes first and however the bytes are cut.
#[tokio::test(start_paused = true)]
async fn an_admitted_call_is_armed_goes_on_and_is_charged_once() {
    for write_bytes in [usize::MAX, 997, 7] {
        let (mut stage, mut call) = (stage("1.00", listening).await, Call::new("a"));
        stage.switch.state().write_bytes = write_bytes;
        let line = Line::rings(&mut stage, &mut call).await;
        call.says(&mut stage, "CHANNEL_PARK", &[("variable_current_application", "socket")]).await;
        goes_on(&mut stage, &line).await;
        assert_eq!(stage.said(), [armed(&call.session("run-1"), 101)]);
        call.says(&mut stage, "CHANNEL_PROGRESS", &[]).await;
        stage.pass(3_000).await;
        call.answers(&mut stage).await;
        call.talks_until(&mut stage, 20_000).await;
        call.hangs_up(&mut stage).await;
        stage.expect_settled("waited", &["START", "STOP Normal 20.000s cost 0.2"], "0.80").await;
        assert_eq!(stage.core.requests().len(), 2);
        stage.finish().await;
    }
}

/// MONEY.md example 2, over the socket.
#[tokio::test(start_paused = true)]
async fn its_cut_is_exact_and_before_the_backstop() {
    let (mut stage, mut call) = (stage("0.45", short_slices).await, Call::new("a"));
    let line = Line::rings(&mut stage, &mut call).await;
    goes_on(&mut stage, &line).await;
    call.answers(&mut stage).await;
    call.talks_until(&mut stage, 44_990).await;
    assert!(stage.said_of("uuid_kill").is_empty());
    call.talks_until(&mut stage, 45_010).await;
    assert_eq!(stage.said_of("uuid_kill"), ["uuid_kill a ALLOTTED_TIMEOUT"]);
    stage.until("STOP", |stage| stage.records().len() == 2).await;
    let stop = stage.records()[1].clone();
    assert!(stop.starts_with("STOP Normal CREDIT_EXHAUSTED 45.0") && stop.ends_with("cost 0.45"), "{stop}");
    let records = ["START", &*stop];
    stage.expect_settled("cut", &records, "0.00").await;
    stage.finish().await;
}

/// The agent dies when the call talks: the switch's own backstop ends it.
#[tokio::test(start_paused = true)]
async fn an_agent_that_dies_in_the_call_leaves_the_backstop() {
    let (mut stage, mut call) = (stage("0.10", listening).await, Call::new("a"));
    let line = Line::rings(&mut stage, &mut call).await;
    goes_on(&mut stage, &line).await;
    call.answers(&mut stage).await;
    stage.pass(1_000).await;
    stage.agent_dies().await;
    stage.pass(11_000).await;
    assert!(stage.switch.state().channels.is_empty(), "ended at the latest a second or two behind the grant");
    stage.agent_starts();
    stage.connected(2).await;
    stage.eventually("STOP", |stage| stage.records().iter().any(|record| record.starts_with("STOP"))).await;
    assert_eq!(stage.records().len(), 2);
    stage.finish().await;
}

/// (fields, balance, what is said, the record).
type Refusal = (&'static [(&'static str, &'static str)], &'static str, &'static str, &'static str);

const REFUSALS: &[Refusal] = &[
    (&[], "0.00", "uuid_transfer a 402 XML tollkeeper_refused", "EVENT Failed 402 CREDIT_EXHAUSTED cost 0"),
    (
        &[("variable_cgr_account", "ghost")],
        "1.00",
        "uuid_kill a OUTGOING_CALL_BARRED",
        "EVENT Failed 403 UNKNOWN_ACCOUNT cost 0",
    ),
    (
        &[("Caller-Destination-Number", "alice")],
        "1.00",
        "uuid_kill a INVALID_NUMBER_FORMAT",
        "EVENT Failed 484 INVALID_NUMBER cost 0",
    ),
];

#[tokio::test(start_paused = true)]
async fn a_refused_call_has_its_sip_status_and_does_not_go_on() {
    for (fields, balance, said, record) in REFUSALS {
        let (mut stage, mut call) = (stage(balance, listening).await, Call::new("a"));
        call.further.extend(fields.iter().map(|(field, value)| ((*field).to_owned(), (*value).into())));
        let line = Line::rings(&mut stage, &mut call).await;
        stage.until("the refusal", |stage| stage.said() == [*said]).await;
        if said.starts_with("uuid_transfer") {
            call.ends(&mut stage, &[("Hangup-Cause", "CALL_REJECTED")]).await;
        }
        stage.expect_settled(said, &[record], balance).await;
        stage.until("the end of the connection", |_| line.is_closed()).await;
        assert_eq!((line.gate(), line.heard()), (None, words(&["connect"])));
        stage.finish().await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_unreachable_core_refuses_with_503() {
    let (mut stage, mut call) = (stage("1.00", listening).await, Call::new("a"));
    stage.core.set_reachable(false);
    let line = Line::rings(&mut stage, &mut call).await;
    stage.eventually("the refusal", |stage| stage.said() == ["uuid_kill a NORMAL_TEMPORARY_FAILURE"]).await;
    stage.core.set_reachable(true);
    stage.eventually("given back", |stage| stage.core.requests().len() == 2).await;
    stage.expect_settled("no core", &["EVENT Failed 503 CHARGING_UNAVAILABLE cost 0"], "1.00").await;
    assert_eq!(line.gate(), None);
    stage.finish().await;
}

/// The application is fail-open; the dialplan behind it is not.
#[tokio::test(start_paused = true)]
async fn an_agent_killed_while_it_authorises_means_a_refusal() {
    let (mut stage, mut call) = (stage("1.00", listening).await, Call::new("a"));
    stage.core.set_reachable(false);
    let line = Line::rings(&mut stage, &mut call).await;
    stage
        .until("the question", |stage| stage.switch.state().asked.iter().any(|asked| asked == "uuid_dump a json"))
        .await;
    stage.pass(500).await;
    stage.agent_dies().await;
    stage.until("the dialplan goes on", |_| line.is_closed()).await;
    assert_eq!((line.gate(), line.heard()), (Some("refused"), words(&["connect"])));
    assert!(stage.switch.state().channels.is_empty() && stage.said().is_empty());
    stage.core.set_reachable(true);
    stage.agent_starts();
    stage.connected(2).await;
    assert_eq!(stage.balance("1001"), crate::stage::money("1.00"));
    // The next one has the port, and serves.
    let mut next = Call::new("b");
    let line = Line::rings(&mut stage, &mut next).await;
    goes_on(&mut stage, &line).await;
    stage.finish().await;
}

/// SIGTERM: what waits is left to the dialplan at once, and nobody listens any more.
#[tokio::test(start_paused = true)]
async fn a_shutdown_leaves_waiting_calls_to_the_dialplan() {
    let (mut stage, mut call) = (stage("1.00", listening).await, Call::new("a"));
    stage.core.set_reachable(false);
    let line = Line::rings(&mut stage, &mut call).await;
    stage.shutdown.cancel();
    stage.until("the dialplan goes on", |_| line.is_closed()).await;
    assert_eq!(line.gate(), Some("refused"));
    stage.agent.abort();
}

/// Rung while the connections to the switch are down: asked and answered when they stand.
#[tokio::test(start_paused = true)]
async fn a_call_that_rings_while_the_switch_is_not_connected_waits() {
    let (mut stage, mut call) = (stage("1.00", listening).await, Call::new("a"));
    stage.switch.state().reachable = false;
    stage.switch.hang_up();
    stage.pass(1_000).await;
    let line = Line::rings(&mut stage, &mut call).await;
    stage.pass(1_000).await;
    assert_eq!((line.heard(), line.is_closed()), (words(&["connect"]), false));
    stage.switch.state().reachable = true;
    stage.connected(2).await;
    goes_on(&mut stage, &line).await;
    call.answers(&mut stage).await;
    call.talks_until(&mut stage, 5_000).await;
    call.hangs_up(&mut stage).await;
    stage.expect_settled("late", &["START", "STOP Normal 5.000s cost 0.05"], "0.95").await;
    stage.finish().await;
}

/// The order to arm it is lost with the connection: it is given again, and one session pays.
#[tokio::test(start_paused = true)]
async fn a_verdict_that_was_lost_is_said_again() {
    let (mut stage, mut call) = (stage("1.00", listening).await, Call::new("a"));
    stage.switch.state().refusals = vec![("uuid_setvar_multi", "")];
    let line = Line::rings(&mut stage, &mut call).await;
    stage.switch.state().answers = false;
    stage.switch.hang_up();
    (stage.switch.state().answers, stage.switch.state().refusals) = (true, vec![]);
    stage.connected(2).await;
    stage.eventually("the dialplan goes on", |_| line.is_closed()).await;
    goes_on(&mut stage, &line).await;
    call.answers(&mut stage).await;
    call.talks_until(&mut stage, 5_000).await;
    call.hangs_up(&mut stage).await;
    stage.expect_settled("again", &["START", "STOP Normal 5.000s cost 0.05"], "0.95").await;
    assert_eq!(stage.core.requests().len(), 2);
    stage.finish().await;
}

/// The caller gives up while the core is asked.
#[tokio::test(start_paused = true)]
async fn a_caller_who_gives_up_gets_everything_back() {
    let (mut stage, mut call) = (stage("1.00", listening).await, Call::new("a"));
    stage.core.set_reachable(false);
    let line = Line::rings(&mut stage, &mut call).await;
    stage.pass(1_000).await;
    let cancel = [("Hangup-Cause", "ORIGINATOR_CANCEL"), ("variable_sip_hangup_disposition", "recv_cancel")];
    call.ends(&mut stage, &cancel).await;
    stage.until("the end of the connection", |_| line.is_closed()).await;
    stage.core.set_reachable(true);
    stage.eventually("given back", |stage| stage.core.requests().len() == 2).await;
    stage.expect_settled("cancelled", &["EVENT Cancelled cost 0"], "1.00").await;
    assert_eq!((line.gate(), stage.said()), (None, vec![]));
    stage.finish().await;
}

/// It should not wait at all; with the core gone it is let through all the same.
#[tokio::test(start_paused = true)]
async fn an_emergency_call_that_waits_is_sent_on_at_once() {
    let (mut stage, mut call) = (stage("0.00", listening).await, Call::new("a"));
    stage.core.set_reachable(false);
    call.dialled = "112";
    call.further.insert("variable_tollkeeper_never_refuse".into(), "true".into());
    let line = Line::rings(&mut stage, &mut call).await;
    stage.until("the transfer", |stage| stage.said() == ["uuid_transfer a 112 XML tollkeeper_admitted"]).await;
    stage.until("the end of the connection", |_| line.is_closed()).await;
    call.answers(&mut stage).await;
    stage.pass(20_000).await;
    call.hangs_up(&mut stage).await;
    stage.expect_settled("112", &["START", "STOP Normal 20.000s"], "0.00").await;
    stage.agent.abort();
}

/// The recorded connection `44_outbound_resume`, as FreeSWITCH 1.11.2 wrote it.
#[tokio::test(start_paused = true)]
async fn the_recorded_conversation_goes_on() {
    let folder =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../protocol-codecs/tests/captures/freeswitch");
    let bytes = std::fs::read(folder.join("44_outbound_resume.s2c.raw")).expect("recorded");
    let mut channel = channel(&bytes);
    let begin_ms = crate::recording::event_ms(&channel);
    let plan = Plan { begin_ms, balance: "1.00", change: listening };
    let mut stage = Stage::set(plan).await;
    for field in ["Caller-Destination-Number", "variable_sip_req_user"] {
        // What the laboratory dialled is no number.
        channel.insert(field.into(), crate::synthetic::GERMANY.into());
    }
    channel.insert("variable_accountcode".into(), "1001".into());
    channel.insert("variable_current_application".into(), "socket".into());
    stage.switch.state().learn(&channel);
    let unique_id = channel["Unique-ID"].as_str().expect("text").to_owned();
    let line = Line::answers(&mut stage, without_the_api_call(&bytes), Some(unique_id)).await;
    goes_on(&mut stage, &line).await;
    assert_eq!(stage.said().len(), 1, "{:?}", stage.said());
    stage.agent.abort();
}

/// The channel of the answer to `connect`.
fn channel(bytes: &[u8]) -> Json {
    let mut bytes = bytes::BytesMut::from(bytes);
    let frame = tokio_util::codec::Decoder::decode(&mut EslCodec::new(), &mut bytes).expect("frames");
    let Some(Ok(Frame::CommandReply(reply))) = frame else { panic!("no reply") };
    let fields = reply.channel().expect("a channel").fields();
    let text = |value| match value {
        protocol_codecs::esl::Value::Text(text) => Some(text.to_owned()),
        protocol_codecs::esl::Value::Array(_) => None,
    };
    fields.iter().filter_map(|(name, value)| Some((name.to_owned(), text(value)?.into()))).collect()
}

/// The answers to `connect`, `resume` and `exit`; the recording had an api call between the last two.
fn without_the_api_call(bytes: &[u8]) -> Vec<Vec<u8>> {
    let text = String::from_utf8(bytes.to_vec()).expect("text");
    let api = text.find("Content-Type: api/response").expect("recorded");
    let bye = api + text[api..].find("Content-Type: command/reply").expect("recorded");
    let resumed = text[..api].rfind("Content-Type: command/reply").expect("recorded");
    let parts = [&text[..resumed], &text[resumed..api], &text[bye..]];
    parts.into_iter().map(|part| part.as_bytes().to_vec()).collect()
}
