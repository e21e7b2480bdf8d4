//! Callers who lie to a real FreeSWITCH with the configuration we ship: no free call, no call on another's account.

mod e2e;

use std::time::Duration;

use demo::lab::eventually;
use e2e::raw_sip::{Forger, Forgery, header, traced};
use e2e::{GERMANY, Lab, PASSWORD, Plan, SLOW, duration_ms, end_of, of_type, talk};
use types::Money;

/// It has a price and the gateway would answer it; nobody may ever reach it.
const PREMIUM: &str = "00491511234199";
const STRANGER: &str = "127.0.0.66";

fn plan() -> Plan {
    Plan {
        accounts: vec![("1001", "5.00"), ("1002", "5.00"), ("mallory", "0.00")],
        calls: "slice = \"6s\"\nmargin = \"1500ms\"\nproof_interval = \"1s\"",
        environment: vec![("TK_PARK_TIMEOUT", "5")],
        ..Plan::default()
    }
}

fn spent(lab: &Lab, account: &str) -> anyhow::Result<i128> {
    let start: Money = "5.00".parse()?;
    Ok(start.nanos() - lab.balance(account)?.nanos())
}

/// What is asked, and what must come of it.
struct Row<'a>(&'a str, Forgery<'a>, Option<u16>);

#[test]
fn forged_requests_reach_nobody() -> anyhow::Result<()> {
    let Some(lab) = Lab::on_freeswitch("attacks", &plan())? else { return Ok(()) };
    let forger = Forger::new(STRANGER, lab.sip_port(0))?;
    let premium = Forgery { number: PREMIUM, from: "1001", ..Forgery::default() };
    let with = |digest, number, uri_params, headers| Forgery { digest, number, uri_params, headers, ..premium.clone() };
    let good = Some(("1001", PASSWORD));
    let broke = Some(("mallory", PASSWORD));
    let all_headers = "P-Asserted-Identity: <sip:1002@127.0.0.1>\nP-Charge-Info: <sip:1002@127.0.0.1>\n\
                       Remote-Party-ID: <sip:1002@127.0.0.1>\nX-Account: 1002\nX-Tollkeeper-Account: 1002\n\
                       X-sip_auth_username: 1002\nX-tollkeeper_mode: none\nX-FS-Support: update_display\n";
    let spaced = "00491511234199%20XML%20tollkeeper_admitted";
    let rows = [
        Row("no credentials", premium.clone(), Some(407)),
        Row("the name of a gateway", with(None, PREMIUM, ";gw=carrier", ""), Some(407)),
        Row("a gateway for a user", with(None, "gw+carrier", "", ""), Some(407)),
        Row("another context behind blanks", with(good, spaced, "", ""), Some(484)),
        Row("the same without credentials", with(None, spaced, "", ""), Some(407)),
        Row("112 and more behind blanks", with(None, "112%20XML%20tollkeeper_admitted", "", ""), Some(407)),
        Row("a wrong password", with(Some(("1001", "a-guess")), PREMIUM, "", ""), Some(403)),
        Row("an unknown user", with(Some(("1003", PASSWORD)), PREMIUM, "", ""), Some(403)),
        Row("nobody", with(Some(("", "")), PREMIUM, "", ""), Some(403)),
        Row("no credit, all headers name another", with(broke, PREMIUM, "", all_headers), Some(402)),
        Row(
            "no credit, and a name for the channel",
            with(broke, PREMIUM, "", "X-FS-Channel-Name: loopback/a\n"),
            Some(403),
        ),
        Row(
            "broken credentials",
            with(None, PREMIUM, "", "Proxy-Authorization: Digest username=\"1001\"\n"),
            Some(407),
        ),
    ];
    for Row(what, forgery, expected) in rows {
        assert_eq!(forger.calls(&forgery)?, expected, "{what}");
    }
    // Credentials that were seen once are worth nothing again, for this number or another.
    let credentials = forger.fresh_credentials("mallory", PASSWORD)?;
    let replay = |number| Forgery { number, headers: &credentials, from: "mallory", ..Forgery::default() };
    assert_eq!(forger.calls(&replay(GERMANY))?, Some(402), "the first time they are good");
    assert_eq!(forger.calls(&replay(GERMANY))?, Some(407));
    assert_eq!(forger.calls(&replay(PREMIUM))?, Some(407));
    // An emergency number with more hanging on it goes to the emergency number only.
    let bait = format!("112;rn={PREMIUM};npdi");
    assert_eq!(forger.calls(&with(None, &bait, "", ""))?, Some(200));
    let reached = lab.numbers_at_gateway();
    assert_eq!(reached, ["112"]);
    assert_eq!((spent(&lab, "1001")?, spent(&lab, "1002")?), (0, 0));
    Ok(())
}

#[test]
fn the_payer_is_whom_freeswitch_knows() -> anyhow::Result<()> {
    let Some(lab) = Lab::on_freeswitch("attack-payer", &plan())? else { return Ok(()) };
    let caller = lab.caller("forged-payer", "forged").dials("1001", PASSWORD, GERMANY).pauses(1_200);
    let mut forged = lab.run("forged", caller)?;
    forged.passed()?;
    let broke = lab.caller("forged-payer", "broke").dials("mallory", PASSWORD, GERMANY);
    assert!(!lab.run("broke", broke)?.ended()?, "402, not a call on 1002's account");
    let records = lab.settled()?;
    assert_eq!(of_type(&records, &forged.id, "STOP")["callingParty"]["subscriberId"], "1001");
    assert_eq!(end_of(of_type(&records, "broke-1", "EVENT")), "CREDIT_EXHAUSTED");
    assert_eq!((spent(&lab, "1001")?, spent(&lab, "1002")?), (20_000_000, 0));
    let messages = lab.gateway.messages();
    for name in ["P-Preferred-Identity", "P-Charge-Info", "X-Account", "Proxy-Authorization"] {
        assert!(!messages.contains(name), "{name} went onward");
    }
    Ok(())
}

/// Who knows a Call-ID takes over no call, joins none, and rides on none: mod_sofia would let him, without asking for a digest.
#[test]
fn nobody_takes_over_a_call() -> anyhow::Result<()> {
    let Some(lab) = Lab::on_freeswitch("attack-replaces", &plan())? else { return Ok(()) };
    let forger = Forger::new(STRANGER, lab.sip_port(0))?;
    let victim =
        |id: &str, number: &str| lab.run(id, lab.caller("answered", id).dials("1001", PASSWORD, number).pauses(3_000));
    let mut runs = Vec::new();
    let (join, a_leg) = ("Call-Info: <sip:x>;appearance-index=1\n", ";a-leg=true");
    for (id, param, more) in
        [("taken", "", ""), ("taken-a", a_leg, ""), ("joined", "", join), ("joined-a", a_leg, join)]
    {
        let run = victim(id, GERMANY)?;
        lab.wait_answered(&[&run])?;
        let headers = format!("Replaces: {};to-tag=x;from-tag=y{param}\n{more}", run.id);
        let forgery = Forgery { number: PREMIUM, from: "mallory", headers: &headers, ..Forgery::default() };
        // It may be answered, and is hung up at once.
        forger.calls(&forgery)?;
        runs.push(run);
    }
    // A call that only rings: the application that rings must not be run for him.
    let ringing = victim("ringing", SLOW)?;
    lab.wait_admitted(5)?;
    eventually("the callee rings", Duration::from_secs(10), || (lab.numbers_at_gateway().len() == 5).then_some(()))?;
    let headers = format!("Replaces: {};to-tag=x;from-tag=y\n", ringing.id);
    forger.calls(&Forgery { number: PREMIUM, from: "mallory", headers: &headers, ..Forgery::default() })?;
    for run in &mut runs {
        run.passed()?;
    }
    let records = lab.settled()?;
    for run in &runs {
        let stop = of_type(&records, &run.id, "STOP");
        assert_eq!((end_of(stop), stop["cost"]["amount"].as_str()), ("NORMAL", Some("0.04")), "{stop}");
    }
    // The callee that still rings may answer yet, two seconds after its call was taken over, and is ended then.
    eventually("no stranger talks on, and no callee alone", Duration::from_secs(10), || {
        lab.channels_up().ok().filter(|up| *up == 0).map(|_| ())
    })?;
    let messages = lab.gateway.messages();
    assert!(!lab.numbers_at_gateway().iter().any(|number| number == PREMIUM), "{messages}");
    assert_eq!(lab.numbers_at_gateway().len(), 5, "no call but the victims' own");
    Ok(())
}

/// In a paid call: REFER to a dear number or in another name, INFO and MESSAGE with headers that name a payer.
#[test]
fn nothing_is_won_inside_a_call() -> anyhow::Result<()> {
    let Some(lab) = Lab::on_freeswitch("attack-in-call", &plan())? else { return Ok(()) };
    let trace = lab.folder.join("victim.messages");
    // The callee ends it after 3 s.
    let caller = lab.caller("answered-until-cut", "own").dials("1001", PASSWORD, "0049301234703");
    let mut own = lab.run("own", caller.option(&["-trace_msg", "-message_file", &trace.display().to_string()]))?;
    lab.wait_answered(&[&own])?;
    talk(300);
    let text = std::fs::read_to_string(&trace)?;
    let answer = *traced(&text, "SIP/2.0 200", "INVITE").first().expect("an answer");
    let (from, to, contact) = (header(answer, "From"), header(answer, "To"), header(answer, "Contact"));
    let target = contact.trim_start_matches('<').split('>').next().unwrap_or_default();
    let forger = Forger::new(STRANGER, lab.sip_port(0))?;
    let rows = [
        ("REFER", format!("Refer-To: <sip:{PREMIUM}@127.0.0.1>"), Some(405)),
        (
            "REFER",
            format!("Refer-To: <sip:{PREMIUM}@127.0.0.1?X-Account=1002>\nReferred-By: <sip:1002@127.0.0.1>"),
            Some(405),
        ),
        ("INFO", "X-Account: 1002".to_owned(), Some(200)),
        ("MESSAGE", "X-Account: 1002".to_owned(), Some(407)),
    ];
    for (index, (method, more, expected)) in rows.into_iter().enumerate() {
        let headers = format!(
            "From: {from}\nTo: {to}\nCall-ID: {}\nCSeq: {} {method}\nContact: <sip:x@{STRANGER}:{}>\n{more}",
            own.id,
            10 + index,
            forger.sip.port()
        );
        let said = forger.sip.ask(&forger.sip.request(method, target, &format!("in{index}"), &headers))?;
        assert_eq!(said, expected, "{method}");
    }
    own.passed()?;
    let records = lab.settled()?;
    let stop = of_type(&records, &own.id, "STOP");
    assert_eq!((end_of(stop), stop["callingParty"]["subscriberId"].as_str()), ("NORMAL", Some("1001")), "{stop}");
    let price = i128::from(duration_ms(stop).div_ceil(1_000)) * 10_000_000;
    assert_eq!((spent(&lab, "1001")?, spent(&lab, "1002")?), (price, 0));
    assert_eq!(lab.numbers_at_gateway(), ["0049301234703"]);
    Ok(())
}
