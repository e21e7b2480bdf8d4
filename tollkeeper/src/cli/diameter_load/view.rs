//! The load's report for people.

use agent_diameter::load::{Latency, LoadReport};

use crate::cli::show;

pub(super) fn show(report: &LoadReport) -> anyhow::Result<()> {
    show::fields(&[
        ("profile", format!("{} at {}", report.profile, report.target)),
        ("time", format!("{} s", thousandths(report.elapsed_ms))),
        ("requests", format!("{} sent, {} answered, {} lost", report.sent, report.answered, report.lost)),
        ("rate", format!("{} a second, {} wanted", report.rate, report.rate_wanted)),
        ("not sent in time", report.unsent.to_string()),
        ("sent again", format!("{} without an answer in time, {} on purpose", report.retransmitted, report.copied)),
        ("duplicates", format!("{} second answers, {} unlike the first", report.duplicates, report.differing)),
        ("strange answers", report.unmatched.to_string()),
        ("reconnects", report.reconnects.to_string()),
        ("from the server", format!("{} RAR, {} ASR", report.re_auth_requests, report.abort_requests)),
        ("sessions", sessions(report)),
    ])?;
    show::line("")?;
    let kinds = report.latencies.kinds.iter().map(|(kind, latency)| row(kind, latency));
    let rows = kinds.chain([row("all", &report.latencies.all)]).collect();
    show::rows(["latency (ms)", "count", "p50", "p90", "p99", "p99.9", "max"], rows, "no answers")?;
    show::line("")?;
    let of_messages = report
        .result_codes
        .iter()
        .map(|(code, count)| ["message", &code.to_string(), &count.to_string()].map(str::to_owned));
    let of_groups = report
        .group_result_codes
        .iter()
        .map(|(code, count)| ["group", &code.to_string(), &count.to_string()].map(str::to_owned));
    show::rows(["level", "result code", "count"], of_messages.chain(of_groups).collect(), "no result codes")?;
    show::line("")?;
    let used = report.used.iter().map(|used| {
        let group = if used.rating_group == 0 { "-".to_owned() } else { used.rating_group.to_string() };
        let amounts = [used.granted, used.charged, used.unreported, used.unknown].map(|amount| amount.to_string());
        let [granted, charged, unreported, unknown] = amounts;
        [group, used.unit.to_owned(), granted, charged, unreported, unknown]
    });
    let header = ["rating group", "unit", "granted", "charged", "never reported", "answer lost"];
    show::rows(header, used.collect(), "nothing was used")?;
    for cost in &report.costs {
        show::line(&format!("cost told by the server: {} (currency {})", cost.amount, cost.currency_code))?;
    }
    Ok(())
}

fn sessions(report: &LoadReport) -> String {
    let told = &report.sessions;
    let rows = [
        (told.begun, "begun"),
        (told.closed, "ended"),
        (told.refused, "refused"),
        (told.failed, "failed"),
        (told.lost, "lost"),
        (told.left_open, "left open"),
    ];
    let said = rows.iter().enumerate().filter(|(at, (count, _))| *at < 2 || *count > 0);
    said.map(|(_, (count, what))| format!("{count} {what}")).collect::<Vec<_>>().join(", ")
}

fn row(what: &str, latency: &Latency) -> [String; 7] {
    let times = [latency.p50_us, latency.p90_us, latency.p99_us, latency.p999_us, latency.max_us].map(thousandths);
    let [p50, p90, p99, p999, max] = times;
    [what.to_owned(), latency.count.to_string(), p50, p90, p99, p999, max]
}

/// `1234` as `1.234`.
fn thousandths(amount: u64) -> String {
    format!("{}.{:03}", amount / 1_000, amount % 1_000)
}
