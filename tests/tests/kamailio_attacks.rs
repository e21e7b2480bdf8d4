//! Callers who lie (DESIGN section 8), against the configuration we ship: no free call, no call on another's account.

mod e2e;

use e2e::raw_sip::{RawSip, header, traced};
use e2e::{GERMANY, Lab, PASSWORD, Plan, Run, duration_ms, end_of, of_type, talk};
use types::Money;

/// It has a price and the gateway would answer it; nobody may ever reach it.
const PREMIUM: &str = "00491511234199";
/// Where attackers sit. The gateway is at 127.0.0.1, and callers where they are told to be.
const STRANGER: &str = "127.0.0.66";
const CALLER: &str = "127.0.0.5";

fn plan() -> Plan {
    Plan {
        // SIPp's forged-payer scenario names 1002.
        accounts: vec![("1001", "5.00"), ("1002", "5.00"), ("mallory", "0.00")],
        calls: "slice = \"5s\"\nmargin = \"2s\"\nproof_interval = \"1s\"",
        ..Plan::default()
    }
}

fn spent(lab: &Lab, account: &str) -> anyhow::Result<i128> {
    let start: Money = "5.00".parse()?;
    Ok(start.nanos() - lab.balance(account)?.nanos())
}

fn attack(lab: &Lab, scenario: &str, user: &str, target: &str) -> anyhow::Result<Run> {
    let gateway = format!("127.0.0.1:{}", lab.gateway.port);
    let caller = lab.caller(scenario, scenario).dials(user, PASSWORD, target).option(&["-key", "gateway", &gateway]);
    lab.run(scenario, caller.option(&["-key", "target", PREMIUM]))
}

#[test]
fn forged_requests_reach_nobody() -> anyhow::Result<()> {
    let lab = Lab::start("attacks", &plan())?;
    attack(&lab, "attack-preloaded-route", "1001", PREMIUM)?.passed()?;
    attack(&lab, "attack-forged-totag", "1001", PREMIUM)?.passed()?;
    attack(&lab, "attack-methods", "1001", PREMIUM)?.passed()?;
    let wrong = lab.caller("unauthenticated", "unauthenticated").dials("1001", "a-guess", PREMIUM);
    lab.run("unauthenticated", wrong)?.passed()?;
    let wildcards = lab.caller("attack-forged-totag", "wildcards").dials("1001", PASSWORD, PREMIUM);
    let gateway = format!("127.0.0.1:{}", lab.gateway.port);
    let wildcards = wildcards.option(&["-key", "gateway", &gateway, "-cid_str", "%u*.*%%@%s"]);
    lab.run("wildcards", wildcards)?.passed()?;

    let raw = RawSip::new(STRANGER, lab.kamailios[0].sip_port)?;
    let switch = format!("127.0.0.1:{}", lab.kamailios[0].sip_port);
    let (port, gateway_uri) = (raw.port(), format!("sip:{PREMIUM}@{gateway}"));
    let identity = |call_id: &str, to: &str, method: &str| {
        format!(
            "From: <sip:1001@{switch}>;tag=raw\nTo: <sip:{PREMIUM}@{switch}>{to}\nCall-ID: {call_id}\nCSeq: 1 {method}\n\
             Contact: <sip:1001@{STRANGER}:{port}>"
        )
    };
    let invite = |branch: &str, uri: &str, call_id: &str, to: &str, more: &str| {
        raw.request("INVITE", uri, branch, &format!("{}{more}", identity(call_id, to, "INVITE")))
    };
    let home = format!("sip:{PREMIUM}@{switch}");
    let route = format!("\nRoute: <sip:{switch};lr>, <sip:{gateway};lr>");
    let rows = [
        ("a foreign request URI", invite("a1", &gateway_uri, "raw-1", "", ""), Some(407)),
        ("a route and a foreign request URI", invite("a2", &gateway_uri, "raw-2", "", &route), Some(407)),
        ("an invented dialog", invite("a3", &home, "raw-3", ";tag=forged", &route), Some(481)),
        ("two To-tags", invite("a4", &home, "raw-4", ";tag=a;tag=b", ""), Some(400)),
        ("two Call-IDs", invite("a5", &home, "raw-5", "", "\nCall-ID: raw-6"), None),
        (
            "112 with a To-tag, to elsewhere",
            invite("a6", &format!("sip:112@{gateway}"), "raw-7", ";tag=x", &route),
            Some(481),
        ),
        ("BYE from nowhere", raw.request("BYE", &home, "a7", &identity("raw-8", ";tag=x", "BYE")), Some(481)),
        ("CANCEL of nothing", raw.request("CANCEL", &home, "a8", &identity("raw-9", "", "CANCEL")), Some(481)),
        ("REFER out of the blue", raw.request("REFER", &home, "a9", &identity("raw-10", "", "REFER")), Some(405)),
        (
            "a stray ACK",
            raw.request("ACK", &gateway_uri, "a10", &format!("{}{route}", identity("raw-11", ";tag=x", "ACK"))),
            None,
        ),
    ];
    for (what, message, expected) in rows {
        assert_eq!(raw.ask(&message)?, expected, "{what}");
    }
    // An emergency number with more hanging on it goes to the emergency number only.
    let bait = format!("sip:112;rn={PREMIUM};npdi@{gateway}");
    let status = raw.ask(&invite("a11", &bait, "raw-12", "", &route))?;
    assert_eq!(status, Some(200), "it is an emergency call all the same");

    let reached = lab.numbers_at_gateway();
    assert!(reached.iter().all(|number| number == "112"), "{reached:?}");
    assert_eq!((spent(&lab, "1001")?, spent(&lab, "1002")?), (0, 0));
    Ok(())
}

#[test]
fn the_payer_is_whom_kamailio_knows() -> anyhow::Result<()> {
    let lab = Lab::start("attack-payer", &plan())?;
    // 1001 pays, whatever the headers say about 1002; and no such header goes onward.
    let mut forged =
        lab.run("forged", lab.caller("forged-payer", "forged").dials("1001", PASSWORD, GERMANY).pauses(1_200))?;
    forged.passed()?;
    // A caller without credit in the name of 1002, who has some.
    let broke = lab.caller("forged-payer", "broke").dials("mallory", PASSWORD, GERMANY);
    assert!(!lab.run("broke", broke)?.ended()?, "402, not a call on 1002's account");
    // In his own paid call: re-INVITE and REFER to a dear number, and a BYE made to be refused behind us.
    attack(&lab, "attack-reinvite-route", "1001", GERMANY)?.passed()?;

    let records = lab.settled()?;
    assert_eq!(of_type(&records, &forged.id, "STOP")["callingParty"]["subscriberId"], "1001");
    assert_eq!(end_of(of_type(&records, "broke-1", "EVENT")), "CREDIT_EXHAUSTED");
    assert_eq!(of_type(&records, "attack-reinvite-route-1", "STOP")["calledParty"]["number"], "+49301234100");
    assert_eq!((spent(&lab, "1001")?, spent(&lab, "1002")?), (30_000_000, 0), "2 s and 1 s, by 1001");
    let reached = lab.numbers_at_gateway();
    // `gw` is the gateway's own Contact: his re-INVITE went to the party he talks to, wherever he sent it.
    assert!(reached.iter().all(|number| number == GERMANY || number == "gw"), "{reached:?}");
    let messages = lab.gateway.messages();
    for name in [
        "P-Asserted-Identity",
        "P-Preferred-Identity",
        "Remote-Party-ID",
        "P-Charge-Info",
        "X-Account",
        "Proxy-Authorization",
    ] {
        assert!(!messages.contains(name), "{name} went onward");
    }
    Ok(())
}

/// Captured credentials are worth nothing: not the same INVITE, not its credentials in another.
#[test]
fn captured_credentials_cannot_be_used_again() -> anyhow::Result<()> {
    let lab = Lab::start("attack-replay", &plan())?;
    let trace = lab.folder.join("victim.messages");
    let caller = lab.caller("answered", "victim").dials("1001", PASSWORD, GERMANY).pauses(900);
    let caller = caller.option(&["-trace_msg", "-message_file", &trace.display().to_string()]);
    let mut victim = lab.run("victim", caller)?;
    lab.wait_answered(&[&victim])?;
    let captured = std::fs::read_to_string(&trace)?;
    let captured =
        *traced(&captured, "INVITE sip:", "Proxy-Authorization:").first().expect("an INVITE with credentials");
    let authorization = header(captured, "Proxy-Authorization").to_owned();
    let replay = |raw: &RawSip, call_id: &str, number: &str, branch: &str| {
        let switch = format!("127.0.0.1:{}", lab.kamailios[0].sip_port);
        let headers = format!(
            "From: <sip:1001@{switch}>;tag={branch}\nTo: <sip:{number}@{switch}>\nCall-ID: {call_id}\nCSeq: 2 INVITE\n\
             Contact: <sip:1001@{STRANGER}:{}>\nProxy-Authorization: {authorization}",
            raw.port()
        );
        raw.request("INVITE", &format!("sip:{number}@{switch}"), branch, &headers)
    };
    let raw = RawSip::new(STRANGER, lab.kamailios[0].sip_port)?;
    // While the call is up, and after it; to the same number and to another; letter for letter.
    assert_eq!(raw.ask(&replay(&raw, "replay-1", GERMANY, "r1"))?, Some(407));
    assert_eq!(raw.ask(&replay(&raw, "replay-2", PREMIUM, "r2"))?, Some(407));
    victim.passed()?;
    assert_eq!(raw.ask(&replay(&raw, "victim-1", GERMANY, "r3"))?, Some(407));
    let verbatim = captured.replace("\r\n", "\n").replace('\n', "\r\n");
    let begin = verbatim.find("\r\n\r\n").map_or(verbatim.len(), |at| at + 4);
    let own_via = format!("Via: SIP/2.0/UDP {STRANGER}:{};branch=z9hG4bKr4", raw.port());
    let old_via = verbatim.lines().find(|line| line.starts_with("Via:")).expect("a Via");
    let head = verbatim[..begin].replace(old_via, &own_via);
    let head = head.lines().map(|line| if line.starts_with("Content-Length:") { "Content-Length: 0" } else { line });
    let verbatim: String = head.map(|line| format!("{line}\r\n")).collect();
    assert_eq!(raw.ask(&verbatim)?, Some(407), "{verbatim}");
    let records = lab.settled()?;
    assert_eq!(records.len(), 2, "one call, the victim's own: {records:#?}");
    assert_eq!(lab.numbers_at_gateway(), [GERMANY]);
    assert_eq!((spent(&lab, "1001")?, spent(&lab, "1002")?), (10_000_000, 0));
    Ok(())
}

/// Requests forged into a call that is up: it is neither ended nor made free, nor does anybody ride on it.
#[test]
fn forged_requests_inside_a_call() -> anyhow::Result<()> {
    let lab = Lab::start("attack-in-call", &plan())?;
    let caller = lab.caller("answered", "victim").dials("1001", PASSWORD, GERMANY).pauses(3_500);
    let mut victim = lab.run("victim", caller.option(&["-i", CALLER]))?;
    let begin = lab.wait_record(&victim.id, "START")?;
    let messages = lab.gateway.messages();
    let answer = *traced(&messages, "SIP/2.0 200", &victim.id).first().expect("an answer");
    let (from, to) = (header(answer, "From").to_owned(), header(answer, "To").to_owned());
    let raw = RawSip::new(STRANGER, lab.kamailios[0].sip_port)?;
    let switch = format!("127.0.0.1:{}", lab.kamailios[0].sip_port);
    let (home, call_id) = (format!("sip:{GERMANY}@{switch}"), &victim.id);
    let headers = |from: &str, to: &str, call_id: &str, cseq: &str| {
        format!("From: {from}\nTo: {to}\nCall-ID: {call_id}\nCSeq: {cseq}\nContact: <sip:x@{STRANGER}:{}>", raw.port())
    };
    let strange_to = format!("{};tag=forged", to.split(';').next().unwrap_or_default());
    let bare_to = to.split(';').next().unwrap_or_default();
    let wild = format!("{}*", call_id.trim_end_matches('1'));
    let reinvite = headers(&from, &to, call_id, "3 INVITE");
    let rows = [
        ("BYE in the callee's name", "BYE", headers(&to, &from, call_id, "1 BYE"), 403),
        ("BYE with an old CSeq", "BYE", headers(&from, &to, call_id, "1 BYE"), 500),
        ("BYE with another To-tag", "BYE", headers(&from, &strange_to, call_id, "9 BYE"), 481),
        ("BYE with a wildcard for a Call-ID", "BYE", headers(&from, &to, &wild, "9 BYE"), 481),
        ("BYE with a wildcard for everything", "BYE", headers("<sip:a@b>;tag=*", "<sip:c@d>;tag=*", "*", "9 BYE"), 481),
        ("CANCEL of an answered call", "CANCEL", headers(&from, bare_to, call_id, "2 CANCEL"), 481),
        ("re-INVITE from another address", "INVITE", reinvite.clone(), 403),
        (
            "REFER",
            "REFER",
            format!("{}\nRefer-To: <sip:{PREMIUM}@{switch}>", headers(&from, &to, call_id, "9 REFER")),
            403,
        ),
    ];
    for (index, (what, method, headers, expected)) in rows.into_iter().enumerate() {
        let status = raw.ask(&raw.request(method, &home, &format!("f{index}"), &headers))?;
        assert_eq!(status, Some(expected), "{what}");
    }
    // The caller himself, from a second socket: "the callee has hung up".
    let caller = RawSip::new(CALLER, lab.kamailios[0].sip_port)?;
    let bye = caller.request("BYE", &home, "self", &headers(&to, &from, call_id, "1 BYE"));
    assert_eq!(caller.ask(&bye)?, Some(403));
    // An emergency number must not carry a second INVITE into the dialog of a charged call.
    let ride =
        raw.request("INVITE", &format!("sip:112@{switch}"), "ride", &headers(&from, bare_to, call_id, "7 INVITE"));
    assert_eq!(raw.ask(&ride)?, Some(482));
    talk(200);
    assert_eq!(lab.open_sessions()?.len(), 1, "the call is up");
    victim.passed()?;
    let records = lab.settled()?;
    let stop = of_type(&records, &victim.id, "STOP");
    assert_eq!(stop["answerTime"], begin["answerTime"]);
    assert!((3_500..3_900).contains(&duration_ms(stop)) && end_of(stop) == "NORMAL", "{stop}");
    assert_eq!(records.len(), 2, "{records:#?}");
    let reached = lab.numbers_at_gateway();
    assert_eq!(reached, [GERMANY]);
    assert_eq!((spent(&lab, "1001")?, spent(&lab, "1002")?), (40_000_000, 0));
    Ok(())
}
