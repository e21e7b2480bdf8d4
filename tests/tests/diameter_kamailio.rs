//! Kamailio's ims_charging, a Ro client of another make, with real SIP calls: charged to the second it reports, refused without credit,
//! ended when the credit is gone. Configuration: docker/kamailio-ro.

mod diameter_lab;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use demo::lab::{Caller, Gateway, Outcome, Process, eventually, free_tcp_port, free_udp_port, repository};
use diameter_lab::raw::{avps, command, number_at, value};
use diameter_lab::{Server, Setup, Tee, tshark};

const NUMBER: &str = "+4930123456";

/// Kamailio with the shipped configuration, asking the charging server at `ocs`; its SIP port.
fn kamailio(folder: &Path, sip: u16, gateway: u16, ocs: u16) -> anyhow::Result<Process> {
    let place = folder.join("kamailio");
    std::fs::create_dir_all(&place)?;
    let shipped = repository().join("docker/kamailio-ro");
    let peers = std::fs::read_to_string(shipped.join("cdp.xml"))?;
    let peers = peers.replace("port=\"3868\"", &format!("port=\"{ocs}\""));
    let peers = peers.replace("port=\"3869\"", &format!("port=\"{}\"", free_tcp_port()?));
    std::fs::write(place.join("cdp.xml"), peers)?;
    let mut kamailio = Command::new("kamailio");
    kamailio.arg("-f").arg(shipped.join("kamailio.cfg")).args(["-DD", "-E", "-m", "128", "-M", "16"]);
    kamailio.arg("-w").arg(&place).arg("-Y").arg(&place).arg("-P").arg(place.join("pid"));
    kamailio.args(["-A", &format!("SIP_ADDR=udp:127.0.0.1:{sip}")]);
    kamailio.args(["-A", &format!("NEXT_HOP=\"sip:127.0.0.1:{gateway}\"")]);
    kamailio.args(["-A", &format!("CDP_FILE=\"{}\"", place.join("cdp.xml").display())]);
    Process::start("kamailio", &mut kamailio, &folder.join("kamailio.log"))
}

/// Of the credit-control requests of a session: types in order, and the seconds they report.
fn reported(tee: &Tee, session: &str) -> (Vec<u32>, u64) {
    let requests: Vec<_> = tee.asked().into_iter().filter(|message| command(message) == (272, true)).collect();
    let of_session = requests.iter().filter(|message| value(message, &[263]) == Some(session.as_bytes()));
    let kinds = of_session.clone().filter_map(|message| number_at(message, &[416])).collect();
    let used = of_session.flat_map(|message| {
        let groups = avps(message.get(20..).unwrap_or_default()).into_iter().filter(|(code, _)| *code == 456);
        let units = groups.flat_map(|(_, group)| avps(group)).filter(|(code, _)| *code == 446);
        units.flat_map(|(_, unit)| avps(unit)).filter(|(code, _)| *code == 420).collect::<Vec<_>>()
    });
    let seconds = used.filter_map(|(_, time)| time.try_into().ok().map(u32::from_be_bytes)).map(u64::from).sum();
    (kinds, seconds)
}

/// Hundredths of money as text.
fn money(hundredths: i64) -> String {
    let sign = if hundredths < 0 { "-" } else { "" };
    let text = format!("{sign}{}.{:02}", hundredths.abs() / 100, hundredths.abs() % 100);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[test]
fn calls_of_a_call_server() -> anyhow::Result<()> {
    let sip = free_udp_port()?;
    let payer = |user: &str| format!("sip_uri:sip:{user}@127.0.0.1:{sip}");
    let setup = Setup {
        origin_host: "localhost",
        agent: "peers = [{ host = \"kamailio.example.net\", realm = \"example.net\" }]".to_owned(),
        accounts: vec![
            ("anna", payer("anna"), "1.00"),
            ("poor", payer("poor"), "0.07"),
            ("empty", payer("empty"), "0"),
        ],
    };
    let server = Server::with("diameter_kamailio", &setup)?;
    let tee = Tee::start(server.port)?;
    let gateway = Gateway::start(&server.folder)?;
    let kamailio = kamailio(&server.folder, sip, gateway.port, tee.port)?;
    server.wait_peers(1)?;
    let call = |scenario: &str, user: &str| Caller::new(&server.folder, scenario, sip, user).dials(user, "", NUMBER);
    let limit = Duration::from_secs(60);

    // Talks longer than a grant: asks for more in mid call, and hangs up.
    assert_eq!(call("trunk", "anna").pauses(8_000).run(limit)?, Outcome::Passed, "{}", kamailio.output());
    // Enough for seven seconds: the last grant is shorter, and Kamailio hangs up at its end.
    assert_eq!(call("trunk-until-cut", "poor").run(limit)?, Outcome::Passed, "{}", kamailio.output());
    // No credit: 402, and the gateway hears nothing of it.
    assert_ne!(call("trunk", "empty").pauses(1_000).run(limit)?, Outcome::Passed);
    let errors = std::fs::read_to_string(server.folder.join("trunk.xml.errors"))?;
    assert!(errors.contains("402 Payment Required"), "{errors}");
    assert_eq!(gateway.messages().matches("INVITE sip:").count(), 2, "calls that reached the gateway");

    let records = eventually("the records", Duration::from_secs(20), || {
        let records = server.tollkeeper.records(&[]).ok()?;
        (records.iter().filter(|record| record["recordType"] == "STOP").count() == 2).then_some(records)
    })?;
    for (user, balance, least_s) in [("anna", 100, 7), ("poor", 7, 5)] {
        let is_stop = |record: &&serde_json::Value| {
            let payer = format!("sip:{user}@127.0.0.1:{sip}");
            record["recordType"] == "STOP" && record["callingParty"]["subscriberId"].as_str() == Some(&*payer)
        };
        let stop = records.iter().find(is_stop).unwrap_or_else(|| panic!("no STOP of {user}: {records:?}"));
        let (kinds, seconds) = reported(&tee, stop["sessionId"].as_str().unwrap_or_default());
        let updates = kinds.len().saturating_sub(2);
        assert!(updates >= 1 && kinds[0] == 1 && kinds[1..=updates].iter().all(|kind| *kind == 2), "{kinds:?}");
        assert_eq!(kinds.last(), Some(&3), "{kinds:?}");
        assert!((least_s..=least_s + 5).contains(&seconds), "{user} talked {seconds} s");
        let cost = i64::try_from(seconds)?;
        assert_eq!(server.account(user)?, (money(balance - cost), "0".to_owned()), "{user}");
        assert_eq!(stop["cost"]["amount"], money(cost), "{stop}");
        assert_eq!(stop["usage"][0]["total"]["timeMs"], seconds * 1_000, "{stop}");
        assert_eq!(stop["calledParty"]["number"], NUMBER);
    }
    assert_eq!(server.account("empty")?, ("0".to_owned(), "0".to_owned()));
    let refused = records.iter().filter(|record| record["recordType"] == "EVENT").count();
    assert_eq!(refused, 1, "{records:?}");

    // Of all that we sent it tshark has no complaint.
    let remarks = tshark(&server.folder, &tee.messages())?;
    let remarks: Vec<_> = remarks.iter().filter(|(_, remarks)| !remarks.is_empty()).collect();
    assert_eq!(remarks, Vec::<&(String, String)>::new());
    Ok(())
}
