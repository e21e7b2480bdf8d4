//! python-diameter as a packet gateway: sessions, events, our own requests; and what tshark says of all that we sent.

mod diameter_lab;

use std::time::Duration;

use demo::lab::eventually;
use diameter_lab::raw::{Ask, Client};
use diameter_lab::{Gateway, MB, SMS, Server, Tee, group, tshark};
use serde_json::json;

#[test]
fn a_packet_gateway_of_another_make() -> anyhow::Result<()> {
    let server = Server::start("diameter_clients", "1.08")?;
    let tee = Tee::start(server.port)?;
    let mut gateway = Gateway::start(&server.folder, "ocs.example.net", tee.port)?;
    server.wait_peers(1)?;

    // Example 14: one message, and its refund.
    let event = |number: u32, action: u32| json!({"session": "sms", "type": 4, "number": number, "context": SMS, "msisdn": "49170", "action": action, "units": 1});
    gateway.send(&event(0, 0))?;
    assert_eq!(gateway.answer()?.0, 2001);
    assert_eq!(server.balance()?.0, "1");
    gateway.send(&event(1, 1))?;
    assert_eq!(gateway.answer()?.0, 2001);
    assert_eq!(server.balance()?.0, "1.08");
    let mut second = event(2, 0);
    second["session"] = "sms2".into();
    gateway.send(&second)?;
    assert_eq!(gateway.answer()?.0, 2001);

    // Example 15, with a top-up before its end.
    let ask = Some(5 * MB);
    let told = gateway.ask("data", 1, 0, &[group(10, 0, ask), group(20, 0, ask), group(99, 0, ask)])?;
    let granted = json!([[10, 2001, 5 * MB, false], [20, 2001, 5 * MB, false], [99, 5031, null, false]]);
    assert_eq!(told, (2001, granted));
    assert_eq!(server.balance()?, ("1".into(), "0.55".into()));
    let told = gateway.ask("data", 2, 1, &[group(10, 5 * MB, ask)])?;
    assert_eq!(told, (2001, json!([[10, 2001, 4 * MB, true]])));
    assert_eq!(server.balance()?, ("0.5".into(), "0.45".into()));
    server.tollkeeper.cli(&["account", "topup", "alice", "1.00"])?;
    assert_eq!(gateway.next()?, json!({"request": "RAR"}));
    let told = gateway.ask("data", 2, 2, &[group(10, MB, Some(2 * MB))])?;
    assert_eq!(told, (2001, json!([[10, 2001, 2 * MB, false]])));
    server.tollkeeper.cli(&["session", "release", "data"])?;
    assert_eq!(gateway.next()?, json!({"request": "ASR"}));
    let told = gateway.ask("data", 3, 3, &[group(10, MB, None), group(20, 3 * MB, None)])?;
    assert_eq!(told.0, 2001);
    assert_eq!(server.balance()?, ("1.27".into(), "0".into()));
    let row = |kind: &str, sequence, cost: &str| (kind.to_owned(), sequence, cost.to_owned());
    let expected = [row("START", 0, ""), row("INTERIM", 1, "0.5"), row("INTERIM", 2, "0.6"), row("STOP", 3, "0.73")];
    assert_eq!(server.records("data")?, expected);

    assert_eq!(gateway.ask("never", 2, 1, &[group(10, MB, ask)])?.0, 5002);

    // A new tariff: whose session another one rates is asked to ask again.
    let told = gateway.ask("dearer", 1, 0, &[group(20, 0, ask)])?;
    assert_eq!(told, (2001, json!([[20, 2001, 5 * MB, false]])));
    let rates = server.folder.join("tariff/Rates.csv");
    let dearer = std::fs::read_to_string(&rates)?.replace("MB1,0,0.01", "MB1,0,0.02");
    std::fs::write(&rates, dearer)?;
    server.tollkeeper.cli(&["tariff", "load", "tariff"])?;
    assert_eq!(gateway.next()?, json!({"request": "RAR"}));
    let told = gateway.ask("dearer", 3, 1, &[group(20, MB, None)])?;
    assert_eq!(told.0, 2001);

    // Who is there, as an operator sees it.
    let shown = server.tollkeeper.json(&["diameter", "peers", "-c", "tollkeeper.toml"])?;
    assert_eq!(
        (&shown["connected"][0]["host"], &shown["connected"][0]["watchdog"]),
        (&"pgw.example.net".into(), &"okay".into())
    );
    gateway.leave()?;
    server.wait_peers(0)?;
    let shown = server.tollkeeper.cli(&["diameter", "peers", "-c", "tollkeeper.toml"])?;
    assert!(shown.contains("nobody is connected"), "{shown}");
    let sent = tee.messages();
    let remarks = tshark(&server.folder, &sent)?;
    let commands: Vec<&str> = remarks.iter().map(|(command, _)| command.as_str()).collect();
    for command in ["257", "272", "258", "274", "282"] {
        assert!(commands.contains(&command), "{command} in {commands:?}");
    }
    let remarks: Vec<_> = remarks.iter().filter(|(_, remarks)| !remarks.is_empty()).collect();
    assert_eq!(remarks, Vec::<&(String, String)>::new());
    Ok(())
}

#[test]
fn after_kill_9_sessions_go_on() -> anyhow::Result<()> {
    let mut server = Server::start("diameter_clients_kill", "1.00")?;
    let ask = Some(2 * MB);
    let mut gateway = Gateway::start(&server.folder, "ocs.example.net", server.port)?;
    gateway.ask("data", 1, 0, &[group(10, 0, ask), group(20, 0, ask)])?;
    gateway.ask("data", 2, 1, &[group(10, 2 * MB, ask)])?;
    drop(gateway);
    server.tollkeeper.process.kill()?;
    server.tollkeeper.restart()?;
    let mut gateway = Gateway::start(&server.folder, "ocs.example.net", server.port)?;
    // What was answered before the end, again; then on.
    let told = gateway.ask("data", 2, 1, &[group(10, 2 * MB, ask)])?;
    assert_eq!(told, (2001, json!([[10, 2001, 2 * MB, false]])));
    assert_eq!(server.balance()?, ("0.8".into(), "0.22".into()));
    assert_eq!(gateway.ask("data", 3, 2, &[group(10, MB, None), group(20, MB, None)])?.0, 2001);
    assert_eq!(server.balance()?, ("0.69".into(), "0".into()));
    let kinds: Vec<String> = server.records("data")?.into_iter().map(|row| row.0).collect();
    assert_eq!(kinds, ["START", "INTERIM", "STOP"]);
    gateway.leave()
}

/// A higher Origin-State-Id: the client has forgotten its sessions, also those that we know only from the core.
#[test]
fn sessions_of_a_client_that_restarted_are_closed() -> anyhow::Result<()> {
    let mut server = Server::start("diameter_clients_restart", "1.00")?;
    let mut client = Client::new("pgw.example.net", server.port);
    client.state = Some(5);
    let limit = Duration::from_secs(20);
    let ask = |session, kind, number, used_mb| Ask { session, kind, number, used_mb };
    assert_eq!(client.ask(&ask("lost", 1, 0, 0), limit)?, 2001);
    assert_eq!(client.ask(&ask("lost", 2, 1, 3), limit)?, 2001);
    client.vanish();
    server.tollkeeper.process.kill()?;
    server.tollkeeper.restart()?;
    eventually("the port", limit, || client.meet().ok())?;
    assert_eq!(server.balance()?, ("0.97".into(), "0.05".into()));
    client.vanish();
    // Nobody restarts more often than that: numbers that change all the time mean nothing.
    std::thread::sleep(Duration::from_millis(10_500));
    client.state = Some(6);
    assert_eq!(client.ask(&ask("new", 1, 0, 0), limit)?, 2001);
    eventually("the lost session's end", limit, || {
        let records = server.records("lost").ok()?;
        records.iter().any(|(kind, _, cost)| kind == "STOP" && cost == "0.03").then_some(())
    })?;
    assert_eq!(server.balance()?, ("0.97".into(), "0.05".into()), "held for the new one alone");
    assert_eq!(client.ask(&ask("lost", 2, 2, 1), limit)?, 5002);
    Ok(())
}
