//! Broken and hostile bytes on the agent's connection (DESIGN section 8): a typed error, that connection or message ends,
//! the process and the next good connection do not suffer.

mod e2e;

use std::time::{Duration, Instant};

use demo::lab::{Tollkeeper, eventually};
use e2e::fake_kamailio::{Connection, FakeKamailio, event, now};
use e2e::{Plan, agent_table, core_config, duration_ms, fresh_folder, talk, with_http};
use serde_json::json;

struct Stage {
    fake: FakeKamailio,
    tollkeeper: Tollkeeper,
}

fn stage(name: &str) -> anyhow::Result<Stage> {
    let (folder, fake) = (fresh_folder(name)?, FakeKamailio::new()?);
    let plan = Plan { agent: "ping_interval = \"300ms\"\nreconnect_longest = \"300ms\"", ..Plan::default() };
    let switches = format!("{{ name = \"fake\", address = \"{}\" }}", fake.address()?);
    let config = with_http(&[core_config(0), agent_table("kamailio", &switches, &plan)].concat());
    let tollkeeper = Tollkeeper::start(&folder, &config)?;
    tollkeeper.cli(&["account", "create", "anna", "--balance", "1.00"])?;
    Ok(Stage { fake, tollkeeper })
}

impl Stage {
    fn decode_errors(&self) -> u64 {
        let text = self.tollkeeper.get("/metrics").unwrap_or_default();
        let lines = text.lines().filter(|line| line.starts_with("tollkeeper_switch_decode_errors_total{"));
        lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok()).sum()
    }

    fn logged(&self, text: &str) -> anyhow::Result<()> {
        eventually(&format!("the log saying {text:?}"), Duration::from_secs(5), || {
            self.tollkeeper.process.output().contains(text).then_some(())
        })
    }

    fn resident_kib(&self) -> anyhow::Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.tollkeeper.process.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
        Ok(line.trim().trim_end_matches(" kB").parse()?)
    }

    /// A whole call over a good connection.
    fn good_call(&self, connection: &mut Connection, h_id: u32) -> anyhow::Result<()> {
        connection.say(&event("AUTH_REQUEST", h_id, json!({"tr_index": 1, "tr_label": h_id})))?;
        let reply = connection.expect("AUTH_REPLY")?;
        anyhow::ensure!(reply["allow"] == 1 && reply["tr_label"] == h_id, "{reply}");
        let answered = now();
        connection.say(&event("CALL_START", h_id, json!({"to_tag": "tt", "answer_time": answered})))?;
        talk(150);
        let end = event(
            "CALL_END",
            h_id,
            json!({
                "to_tag": "tt", "answer_time": answered, "end_time": now(), "ended_by": "caller", "cause": "BYE",
                "end_id": format!("end-{h_id}"),
            }),
        );
        connection.say(&end)?;
        connection.expect("CALL_END_ACK")?;
        // Told again, as after a lost acknowledgement: acknowledged again, and nothing else.
        connection.say(&end)?;
        connection.say(&end)?;
        connection.expect("CALL_END_ACK")?;
        connection.expect("CALL_END_ACK")?;
        let records = self.tollkeeper.records(&["--call-id", &format!("fake-{h_id}")])?;
        anyhow::ensure!(records.len() == 2 && duration_ms(&records[1]) >= 150, "{records:#?}");
        anyhow::ensure!(records[1]["cost"]["amount"] == "0.01", "{records:#?}");
        Ok(())
    }
}

#[test]
fn bytes_that_are_no_frames() -> anyhow::Result<()> {
    let mut stage = stage("hostile-frames")?;
    let mut connection = stage.fake.welcome()?;
    stage.good_call(&mut connection, 1)?;
    connection.finish()?;
    let before_kib = stage.resident_kib()?;
    let long = [b"65536:".as_slice(), &[b' '; 65_000]].concat();
    let rows: [(&str, &[u8]); 8] = [
        ("a bad length", b"x12:{},"),
        ("HTTP", b"GET / HTTP/1.1\r\n\r\n"),
        ("a leading zero", b"007:{},"),
        ("1 GiB", b"1073741824:{"),
        ("a little too long", b"65537:{"),
        ("no comma", b"2:{};2:{},"),
        ("binary", &[0xFF, 0x00, 0x16, 0x03, 0x01]),
        ("an end in mid frame", b"100:{\"event\":"),
    ];
    for (what, bytes) in rows {
        // The counter is a total: each row must move it, before HELLO_REPLY as well as after.
        for welcome in [true, false] {
            let counted = stage.decode_errors();
            let mut connection = if welcome { stage.fake.welcome()? } else { stage.fake.accept()? };
            connection.write(bytes)?;
            if what == "an end in mid frame" {
                connection.finish()?;
            } else {
                connection.closed()?;
            }
            stage.logged("the bytes are not evapi netstrings")?;
            eventually(&format!("{what} being counted (welcome: {welcome})"), Duration::from_secs(5), || {
                (stage.decode_errors() > counted).then_some(())
            })?;
        }
    }
    // A frame that never ends: nothing is heard, and the connection is given up.
    let mut connection = stage.fake.welcome()?;
    connection.write(&long)?;
    connection.closed()?;
    stage.logged("no message for")?;

    assert!(stage.tollkeeper.process.ended().is_none(), "tollkeeper is alive");
    let mut connection = stage.fake.welcome()?;
    stage.good_call(&mut connection, 2)?;
    let grown_kib = stage.resident_kib()?.saturating_sub(before_kib);
    assert!(grown_kib < 20_000, "memory grew by {grown_kib} KiB");
    println!("memory grew by {grown_kib} KiB");
    Ok(())
}

#[test]
fn frames_that_are_no_messages() -> anyhow::Result<()> {
    let mut stage = stage("hostile-messages")?;
    let mut connection = stage.fake.welcome()?;
    let deep = format!("{{\"event\":\"PONG\",\"seq\":{}{}}}", "[".repeat(30_000), "]".repeat(30_000));
    let rows: Vec<Vec<u8>> = vec![
        b"".to_vec(),
        b"[]".to_vec(),
        b"{".to_vec(),
        b"{}".to_vec(),
        b"null".to_vec(),
        b"{\"event\":7}".to_vec(),
        b"{\"event\":\"PONG\",\"seq\":\"one\"}".to_vec(),
        b"{\"event\":\"PONG\",\"seq\":4294967296}".to_vec(),
        b"{\"event\":\"PONG\",\"seq\":-1}".to_vec(),
        b"{\"event\":\"CALL_START\",\"callid\":\"\xFF\xFE\"}".to_vec(),
        deep.into_bytes(),
        event("AUTH_REQUEST", 10, json!({"tr_index": "x", "tr_label": 1})).to_string().into_bytes(),
        event("CALL_START", 10, json!({"answer_time": 17})).to_string().into_bytes(),
        event(
            "CALL_END",
            10,
            json!({"answer_time": "99999999999999999999.0", "end_time": "x", "ended_by": "caller", "cause": "BYE"}),
        )
        .to_string()
        .into_bytes(),
    ];
    let (counted, wrong) = (stage.decode_errors(), rows.len() as u64);
    for row in &rows {
        connection.write(&[format!("{}:", row.len()).as_bytes(), row, b","].concat())?;
    }
    // Unknown events, and known ones of calls that nobody knows, are no errors.
    connection.say(&json!({"event": "TEA_TIME", "sugar": 2}))?;
    connection.say(&event("CALL_RINGING", 11, json!({"status": 180})))?;
    connection.say(&json!({"event": "SET_TIMEOUT_REPLY", "status": "NOT_FOUND", "h_entry": 1, "h_id": 1}))?;
    connection.say(&json!({"event": "CALL_LIST_DONE", "list_id": "one nobody asked for", "count": 9}))?;
    connection.say(&json!({"event": "HELLO_REPLY", "status": "REFUSED", "run": "x", "protocol": 1}))?;
    // The connection is still good.
    stage.good_call(&mut connection, 12)?;
    assert_eq!(stage.decode_errors() - counted, wrong, "each broken message is counted, and only those");
    stage.logged("a message from Kamailio is skipped")?;
    let ignored = stage.tollkeeper.get("/metrics")?;
    assert!(ignored.contains("reason=\"unknown_event\""), "{ignored}");

    // A flood: a hundred thousand lies about calls; nobody is charged, and memory does not follow.
    let before_kib = stage.resident_kib()?;
    let mut flood = Vec::new();
    for h_id in 0..100_u32 {
        let text = event("CALL_RINGING", 1_000 + h_id, json!({"status": 180})).to_string();
        flood.extend(format!("{}:{text},", text.len()).into_bytes());
    }
    // The agent may keep up, or close the connection and ask again; it does not drop some and go on.
    let swallowed = (0..300).take_while(|_| connection.write(&flood).is_ok()).count();
    drop(connection);
    let mut connection = stage.fake.welcome()?;
    stage.good_call(&mut connection, 13)?;
    println!("{} lies were read", swallowed * 100);
    let grown_kib = stage.resident_kib()?.saturating_sub(before_kib);
    println!("memory grew by {grown_kib} KiB over the flood");
    assert!(grown_kib < 60_000, "memory grew by {grown_kib} KiB");
    assert!(stage.tollkeeper.process.ended().is_none());
    let balance = stage.tollkeeper.json(&["account", "show", "anna"])?;
    assert_eq!((balance["balance"].as_str(), balance["held"].as_str()), (Some("0.98"), Some("0")), "{balance}");
    Ok(())
}

#[test]
fn a_switch_that_does_not_want_us() -> anyhow::Result<()> {
    let mut stage = stage("hostile-hello")?;
    let mut refused = stage.fake.accept()?;
    refused.say(
        &json!({"event": "HELLO_REPLY", "status": "REFUSED", "run": "r", "protocol": 1, "reason": "unknown tag"}),
    )?;
    refused.closed()?;
    stage.logged("HELLO refused: unknown tag")?;
    let mut newer = stage.fake.accept()?;
    newer.say(&json!({"event": "HELLO_REPLY", "status": "OK", "run": "r", "server": "s", "protocol": 2}))?;
    newer.closed()?;
    stage.logged("speaks version 2")?;
    let mut talkative = stage.fake.accept()?;
    let begun = Instant::now();
    // Says much, but not what it was asked.
    while begun.elapsed() < Duration::from_millis(300) {
        talkative.say(&json!({"event": "PONG", "seq": 1}))?;
        talk(5);
    }
    talkative.finish()?;
    stage.logged("closed by Kamailio")?;
    let mut silent = stage.fake.accept()?;
    silent.closed()?;
    stage.logged("no answer to HELLO within 5s")?;
    let mut dozes_off = stage.fake.welcome()?;
    dozes_off.closed()?;
    stage.logged("no message for 900ms")?;
    assert!(stage.tollkeeper.process.ended().is_none());
    let mut connection = stage.fake.welcome()?;
    stage.good_call(&mut connection, 1)?;
    Ok(())
}
