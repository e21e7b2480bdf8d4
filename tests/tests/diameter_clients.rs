//! python-diameter as a packet gateway: sessions, events, our own requests; and what tshark says of all that we sent.

mod diameter_lab;

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
    gateway.leave()?;
    server.wait_peers(0)?;
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
