//! freeDiameterd as a relay between a packet gateway and us: it checks every AVP against its rules.

mod diameter_lab;

use std::time::Duration;

use demo::lab::{Freediameter, eventually, free_tcp_port};
use diameter_lab::{Gateway, MB, Server, Setup, certificates, empty_folder, group};
use serde_json::json;

#[test]
fn a_relay_in_front_of_us_has_no_complaint() -> anyhow::Result<()> {
    let server = Server::start("diameter_relay", "1.00")?;
    let mut relay = Freediameter::start(&server.folder, server.port, &["pgw.example.net"])?;
    server.wait_peers(1)?;
    let mut gateway = Gateway::start(&server.folder, "dra.example.net", relay.port)?;
    let ask = Some(5 * MB);
    let told = gateway.ask("data", 1, 0, &[group(10, 0, ask), group(20, 0, ask)])?;
    assert_eq!(told, (2001, json!([[10, 2001, 5 * MB, false], [20, 2001, 5 * MB, false]])));
    let told = gateway.ask("data", 2, 1, &[group(10, 5 * MB, ask)])?;
    assert_eq!(told, (2001, json!([[10, 2001, 4 * MB, true]])));
    let told = gateway.ask("data", 3, 2, &[group(10, 2 * MB, None), group(20, 3 * MB, None)])?;
    assert_eq!(told.0, 2001);
    assert_eq!(server.balance()?, ("0.27".into(), "0".into()));
    // Errors, too, are sound: unknown session, nothing that can be rated.
    assert_eq!(gateway.ask("never", 2, 1, &[group(10, MB, ask)])?.0, 5002);
    assert_eq!(gateway.ask("unmapped", 1, 0, &[group(99, 0, ask)])?.0, 5031);
    // Its watchdog, every 6 s: we answer, and are asked again.
    eventually("watchdogs of the relay", Duration::from_secs(30), || {
        let metrics = server.tollkeeper.get("/metrics").ok()?;
        let line = metrics
            .lines()
            .find(|line| line.starts_with("tollkeeper_diameter_requests_total") && line.contains("DWR"))?;
        line.rsplit(' ').next()?.parse::<u64>().ok().filter(|count| *count >= 2)
    })?;
    gateway.leave()?;
    assert_eq!(relay.complaints(), Vec::<String>::new(), "{}", relay.process.output());
    // It leaves with a DPR, which we answer.
    relay.process.terminate(Duration::from_secs(20))?;
    server.wait_peers(0)?;
    let metrics = server.tollkeeper.get("/metrics")?;
    assert!(metrics.contains("reason=\"peer_left\"}"), "{metrics}");
    Ok(())
}

/// The same over TLS: each shows a certificate that the same authority signed.
#[test]
fn a_relay_over_tls() -> anyhow::Result<()> {
    let folder = empty_folder("diameter_relay_certificates")?;
    certificates(&folder, &["ocs.example.net", "dra.example.net"])?;
    let file = |name: &str| folder.join(name);
    let port = free_tcp_port()?;
    let tls = format!(
        "tls = {{ listen = [\"127.0.0.1:{port}\"], certificate_file = {:?}, key_file = {:?}, authority_file = {:?} }}",
        file("ocs.example.net.pem"),
        file("ocs.example.net.key"),
        file("authority.pem")
    );
    let default = Setup::default();
    let setup = Setup {
        agent: format!("{}\n{tls}", default.agent),
        accounts: vec![("alice", "e164:+49170".to_owned(), "1.00")],
        ..default
    };
    let server = Server::with("diameter_relay_tls", &setup)?;
    let own = [&*file("dra.example.net.pem"), &*file("dra.example.net.key"), &*file("authority.pem")];
    let relay = Freediameter::connecting(&server.folder, &["pgw.example.net"], &format!("Port = {port};"), Some(own))?;
    server.wait_peers(1)?;
    let shown = server.tollkeeper.json(&["diameter", "peers", "-c", "tollkeeper.toml"])?;
    assert_eq!(
        (&shown["connected"][0]["host"], &shown["connected"][0]["tls"]),
        (&json!("dra.example.net"), &json!(true))
    );
    let mut gateway = Gateway::start(&server.folder, "dra.example.net", relay.port)?;
    let ask = Some(5 * MB);
    assert_eq!(gateway.ask("data", 1, 0, &[group(10, 0, ask)])?, (2001, json!([[10, 2001, 5 * MB, false]])));
    assert_eq!(gateway.ask("data", 3, 1, &[group(10, 3 * MB, None)])?.0, 2001);
    assert_eq!(server.balance()?, ("0.7".into(), "0".into()));
    gateway.leave()?;
    assert_eq!(relay.complaints(), Vec::<String>::new(), "{}", relay.process.output());
    Ok(())
}
