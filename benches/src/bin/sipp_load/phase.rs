//! One measurement: everything started fresh, calls for some seconds, everything stopped.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use demo::lab::{Caller, Gateway, Kamailio, KamailioPlan, Tollkeeper, eventually, repository};
use serde::Serialize;

use benches::machine::{Spread, cpu_ms, load_average, parse_seconds};

/// What is measured.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    pub calls_per_second: u32,
    pub seconds: u32,
    pub talk_ms: u32,
    /// With tollkeeper; else calls go through without it.
    pub charged: bool,
}

/// What came out.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    pub calls_per_second: u32,
    pub charged: bool,
    /// Calls that SIPp made.
    pub calls: u64,
    /// Calls that did not go as they should, by SIPp; goal 0.
    pub failed: u64,
    /// SIP messages that were sent again.
    pub retransmissions: u64,
    /// STOP records; equals `calls` when charged.
    pub stops: u64,
    /// From the INVITE with credentials to the first 180 or 200.
    pub post_dial_delay: Spread,
    /// CPU of tollkeeper (core, agent and records in one process) per call.
    pub tollkeeper_cpu_us_per_call: u64,
    /// CPU of all processes of Kamailio per call.
    pub kamailio_cpu_us_per_call: u64,
    /// The kernel's three load averages right after the calls.
    pub load_average: String,
}

/// Measures in `folder`, which must be new.
pub fn run(folder: &Path, plan: &Plan) -> anyhow::Result<Outcome> {
    let mut gateway = Gateway::start(folder)?;
    let users = (0..USERS).map(|user| (user_name(user), PASSWORD.to_owned())).collect();
    let defines = if plan.charged { vec![] } else { vec!["TK_NO_AGENT_ALLOW".to_owned()] };
    let kamailio_plan = KamailioPlan { users, defines, ..KamailioPlan::default() };
    let mut kamailio = Kamailio::start(folder, gateway.port, &kamailio_plan)?;
    let mut tollkeeper = if plan.charged { Some(charging(folder, kamailio.evapi_port)?) } else { None };

    let group = |tollkeeper: &Option<Tollkeeper>| tollkeeper.as_ref().map(|it| it.process.id());
    let cpu = |group: Option<u32>| group.map_or(Ok(0), cpu_ms);
    let before = (cpu(group(&tollkeeper))?, cpu_ms(kamailio.process.id())?);
    let sipp = make_calls(folder, kamailio.sip_port, plan)?;
    let load_average = load_average()?;
    let stops = tollkeeper.as_ref().map_or(Ok(0), |tollkeeper| count_stops(tollkeeper, sipp.calls))?;
    let after = (cpu(group(&tollkeeper))?, cpu_ms(kamailio.process.id())?);

    if let Some(tollkeeper) = &mut tollkeeper {
        tollkeeper.process.terminate(Duration::from_secs(30))?;
    }
    kamailio.process.terminate(Duration::from_secs(30))?;
    gateway.process.kill()?;
    let per_call = |before_ms: u64, after_ms: u64| after_ms.saturating_sub(before_ms) * 1000 / sipp.calls.max(1);
    Ok(Outcome {
        calls_per_second: plan.calls_per_second,
        charged: plan.charged,
        calls: sipp.calls,
        failed: sipp.failed,
        retransmissions: sipp.retransmissions,
        stops,
        post_dial_delay: sipp.delay,
        tollkeeper_cpu_us_per_call: per_call(before.0, after.0),
        kamailio_cpu_us_per_call: per_call(before.1, after.1),
        load_average,
    })
}

fn charging(folder: &Path, evapi_port: u16) -> anyhow::Result<Tollkeeper> {
    let tariff = repository().join("demo/tariff");
    let config = format!(
        r#"data_dir = "data"

[core]
listen = "127.0.0.1:0"
tariff = {{ folder = "{}", currency = "EUR" }}

[http]
listen = "127.0.0.1:0"

[[agent]]
kind = "kamailio"
name = "load"
switches = [{{ name = "kamailio", address = "127.0.0.1:{evapi_port}" }}]

[agent.calls]
numbers = {{ country_code = "49" }}
"#,
        tariff.display()
    );
    let tollkeeper = Tollkeeper::start(folder, &config)?;
    for user in 0..USERS {
        tollkeeper.cli(&["account", "create", &user_name(user), "--currency", "EUR", "--balance", "100000"])?;
    }
    tollkeeper.wait_connected()?;
    Ok(tollkeeper)
}

/// What SIPp counted.
struct Counted {
    calls: u64,
    failed: u64,
    retransmissions: u64,
    delay: Spread,
}

fn make_calls(folder: &Path, sip_port: u16, plan: &Plan) -> anyhow::Result<Counted> {
    let (statistics, messages) = (folder.join("statistics.csv"), folder.join("messages.csv"));
    let calls = u64::from(plan.calls_per_second) * u64::from(plan.seconds);
    let path = |path: &Path| path.display().to_string();
    let mut caller = Caller::new(folder, "answered", sip_port, "load").pauses(u64::from(plan.talk_ms));
    for user in 0..USERS {
        caller = caller.dials(&user_name(user), PASSWORD, NUMBER);
    }
    let caller = caller
        .option(&["-r", &plan.calls_per_second.to_string(), "-m", &calls.to_string(), "-l", "100000"])
        .option(&["-trace_shortmsg", "-shortmessage_file", &path(&messages)])
        .option(&["-trace_stat", "-fd", "1", "-stf", &path(&statistics)]);
    let limit = Duration::from_secs(u64::from(plan.seconds) + 120);
    // How many failed is in the statistics.
    caller.run(limit)?;
    let statistics = fs::read_to_string(&statistics).context("SIPp's statistics")?;
    let column = |name: &str| last_of_column(&statistics, name).with_context(|| format!("SIPp's {name}"));
    let made = column("TotalCallCreated")?;
    // What was not even begun failed too.
    let failed = column("FailedCall(C)")? + calls.saturating_sub(made);
    Ok(Counted {
        calls,
        failed,
        retransmissions: column("Retransmissions(C)")?,
        delay: delays(&fs::read_to_string(&messages)?)?,
    })
}

/// From SIPp's list of messages: tab-separated date, time, seconds since the epoch, S or R, Call-ID, CSeq, first line.
/// Its own response times go by a clock with ticks of 4 ms, which is longer than what is measured here.
fn delays(messages: &str) -> anyhow::Result<Spread> {
    let (mut asked, mut delays_us) = (HashMap::new(), Vec::new());
    for line in messages.lines() {
        let columns: Vec<&str> = line.split('\t').collect();
        let &[_, _, at, direction, call_id, "CSeq:2 INVITE", first_line] = columns.as_slice() else { continue };
        let at_us = parse_seconds(at)?;
        if direction == "S" && first_line.starts_with("INVITE ") {
            asked.entry(call_id).or_insert(at_us);
        } else if first_line.starts_with("SIP/2.0 180") || first_line.starts_with("SIP/2.0 200") {
            // Only the first of a call.
            delays_us.extend(asked.remove(call_id).map(|asked_us| at_us.saturating_sub(asked_us)));
        }
    }
    anyhow::ensure!(!delays_us.is_empty(), "SIPp listed no answered INVITE");
    Ok(Spread::of(delays_us))
}

fn last_of_column(statistics: &str, name: &str) -> Option<u64> {
    let mut lines = statistics.lines();
    let column = lines.next()?.split(';').position(|column| column == name)?;
    lines.next_back()?.split(';').nth(column)?.parse().ok()
}

/// Waits for the records of all calls, and counts them.
fn count_stops(tollkeeper: &Tollkeeper, wanted: u64) -> anyhow::Result<u64> {
    let count = || {
        let records = tollkeeper.records(&["--type", "STOP"]).ok()?;
        u64::try_from(records.len()).ok()
    };
    let complete = eventually("all STOP records", Duration::from_secs(20), || count().filter(|stops| *stops >= wanted));
    Ok(complete.ok().or_else(count).unwrap_or_default())
}

fn user_name(user: u32) -> String {
    format!("load{user:02}")
}

const USERS: u32 = 50;
const PASSWORD: &str = "load-password";
/// The gateway rings, answers after 50 ms and waits for BYE.
const NUMBER: &str = "01701234567";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delay_is_from_the_invite_with_credentials_to_the_first_sign() {
        let line = |at: &str, direction: &str, call: &str, cseq: &str, first: &str| {
            format!("2026-11-22\t03:34:48\t{at}\t{direction}\t{call}\tCSeq:{cseq}\t{first}\n")
        };
        let messages = [
            line("10.000000", "S", "a", "1 INVITE", "INVITE sip:1@h SIP/2.0"),
            line("10.001000", "R", "a", "1 INVITE", "SIP/2.0 407 Proxy Authentication Required"),
            line("10.002000", "S", "a", "2 INVITE", "INVITE sip:1@h SIP/2.0"),
            line("10.002500", "R", "a", "2 INVITE", "SIP/2.0 100 trying"),
            line("10.005000", "R", "a", "2 INVITE", "SIP/2.0 180 Ringing"),
            line("10.060000", "R", "a", "2 INVITE", "SIP/2.0 200 OK"),
            line("11.000000", "S", "b", "2 INVITE", "INVITE sip:1@h SIP/2.0"),
            line("11.500000", "S", "b", "2 INVITE", "INVITE sip:1@h SIP/2.0"),
            line("11.600000", "R", "b", "2 INVITE", "SIP/2.0 200 OK"),
        ];
        let spread = delays(&messages.concat()).expect("delays");
        assert_eq!((spread.p50_us, spread.p99_us, spread.count), (3_000, 600_000, 2));
        assert!(delays("").is_err());
    }

    #[test]
    fn the_last_line_of_statistics_counts() {
        let statistics = "StartTime;FailedCall(P);FailedCall(C)\nx;1;1\nx;0;3\n";
        assert_eq!(last_of_column(statistics, "FailedCall(C)"), Some(3));
        assert_eq!(last_of_column(statistics, "other"), None);
    }
}
