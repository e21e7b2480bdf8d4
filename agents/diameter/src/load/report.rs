//! What the load client tells at its end.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde::Serialize;
use tokio::time::Instant;
use types::Money;

use super::Shared;
use super::tally::{GRANTED, TAKEN, Tally, UNKNOWN, UNREPORTED};

/// Everything that is known of a load. Durations in milliseconds, latencies in microseconds, amounts as decimal strings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LoadReport {
    /// Whom we played.
    pub profile: &'static str,
    /// Where.
    pub target: Box<str>,
    /// From the first request to the last answer.
    pub elapsed_ms: u64,
    /// Requests a second that were wanted.
    pub rate_wanted: u32,
    /// Requests a second that were answered.
    pub rate: u64,
    /// Requests, repetitions and copies apart.
    pub sent: u64,
    /// Of them answered.
    pub answered: u64,
    /// Of them never answered.
    pub lost: u64,
    /// Meant to be sent, but all sessions still waited for answers when the time was over.
    pub unsent: u64,
    /// Sent once more with the T bit, because no answer came in Tx or the connection broke.
    pub retransmitted: u64,
    /// Sent twice on purpose.
    pub copied: u64,
    /// Second answers to requests that were sent more than once: expected, one for each copy.
    pub duplicates: u64,
    /// Of them those that say something else than the first: a fault of the server.
    pub differing: u64,
    /// Answers to nothing that was asked.
    pub unmatched: u64,
    /// Connections that broke and were made again.
    pub reconnects: u64,
    /// RARs of the server, all answered.
    pub re_auth_requests: u64,
    /// ASRs of the server, all answered.
    pub abort_requests: u64,
    /// Other requests of the server, refused with 3001.
    pub other_requests: u64,
    /// From the moment a request was meant for to its answer.
    pub latencies: Latencies,
    /// Answers by Result-Code of the message; 0: unreadable.
    pub result_codes: BTreeMap<u32, u64>,
    /// Groups by their Result-Code.
    pub group_result_codes: BTreeMap<u32, u64>,
    /// What became of the sessions (or events).
    pub sessions: SessionsTold,
    /// What was used, by rating group (0: none).
    pub used: Vec<Used>,
    /// What the server said that it cost, if it did.
    pub costs: Vec<CostTold>,
}

/// Latencies by kind of request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Latencies {
    /// Of all requests.
    pub all: Latency,
    /// By kind: initial, update, termination, event.
    #[serde(flatten)]
    pub kinds: BTreeMap<&'static str, Latency>,
}

/// Percentiles in microseconds, three digits exact.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Latency {
    /// How many there were.
    pub count: u64,
    /// Half are below it.
    pub p50_us: u64,
    /// 90 of 100 are.
    pub p90_us: u64,
    /// 99 of 100 are.
    pub p99_us: u64,
    /// 999 of 1000 are.
    pub p999_us: u64,
    /// All are.
    pub max_us: u64,
}

/// What became of the sessions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct SessionsTold {
    /// First requests sent.
    pub begun: u64,
    /// Refused at once.
    pub refused: u64,
    /// Ended in order.
    pub closed: u64,
    /// Not known to the server any more, or their end was refused.
    pub failed: u64,
    /// Their last request was never answered.
    pub lost: u64,
    /// Still standing at the server, because we had to leave at once.
    pub left_open: u64,
}

/// What was used of one group, in the profile's unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Used {
    /// Which group; 0: none.
    pub rating_group: u32,
    /// What it is counted in.
    pub unit: &'static str,
    /// Granted by the server.
    pub granted: u64,
    /// Reported, and the report was taken: this is what must have been charged.
    pub charged: u64,
    /// Never reported: the server refused it, or the session was gone.
    pub unreported: u64,
    /// Reported, but the answer was lost.
    pub unknown: u64,
}

/// A sum of costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct CostTold {
    /// ISO 4217 numeric.
    pub currency_code: u32,
    /// As the server told it.
    pub amount: Money,
}

impl LoadReport {
    /// What is wrong with it: nothing, after a sound load of a sound server. Refusals by credit are not.
    pub fn faults(&self) -> Vec<String> {
        // Whenever the time is over some session has just not been answered.
        let behind = if self.unsent > u64::from(self.rate_wanted) { self.unsent } else { 0 };
        let counts = [
            (self.lost, "requests were never answered"),
            (self.differing, "copies got another answer than their original"),
            (self.unmatched, "answers belong to nothing that was asked"),
            (self.sessions.failed, "sessions were not known any more, or could not be ended"),
            (self.sessions.left_open, "sessions were left open"),
            (behind, "requests were not sent in time, more than a second's: all sessions waited"),
        ];
        counts.iter().filter(|(count, _)| *count > 0).map(|(count, text)| format!("{count} {text}")).collect()
    }
}

pub(super) fn of(tally: &Tally, shared: &Shared) -> LoadReport {
    let elapsed = Instant::now().saturating_duration_since(shared.start);
    let elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX).max(1);
    let unit = shared.plan.profile.unit();
    LoadReport {
        profile: shared.plan.profile.name(),
        target: shared.dial.target().into(),
        elapsed_ms,
        rate_wanted: shared.plan.rate,
        rate: tally.answered.saturating_mul(1_000) / elapsed_ms,
        sent: tally.sent,
        answered: tally.answered,
        lost: tally.lost,
        unsent: tally.unsent,
        retransmitted: tally.retransmitted,
        copied: tally.copied,
        duplicates: tally.duplicates,
        differing: tally.differing,
        unmatched: tally.unmatched,
        reconnects: tally.reconnects,
        re_auth_requests: tally.re_auth_requests,
        abort_requests: tally.abort_requests,
        other_requests: tally.other_requests,
        latencies: Latencies {
            all: latency(&tally.latencies(None)),
            kinds: tally.kinds().map(|kind| (kind.name(), latency(&tally.latencies(Some(kind))))).collect(),
        },
        result_codes: tally.codes.clone(),
        group_result_codes: tally.group_codes.clone(),
        sessions: SessionsTold {
            begun: tally.begun,
            refused: tally.refused,
            closed: tally.closed,
            failed: tally.failed,
            lost: tally.lost_sessions,
            left_open: tally.left_open,
        },
        used: tally
            .used
            .iter()
            .map(|(rating_group, used)| Used {
                rating_group: *rating_group,
                unit,
                granted: used[GRANTED],
                charged: used[TAKEN],
                unreported: used[UNREPORTED],
                unknown: used[UNKNOWN],
            })
            .collect(),
        costs: tally
            .costs
            .iter()
            .map(|(currency_code, amount)| CostTold { currency_code: *currency_code, amount: *amount })
            .collect(),
    }
}

fn latency(histogram: &Histogram<u64>) -> Latency {
    Latency {
        count: histogram.len(),
        p50_us: histogram.value_at_quantile(0.5),
        p90_us: histogram.value_at_quantile(0.9),
        p99_us: histogram.value_at_quantile(0.99),
        p999_us: histogram.value_at_quantile(0.999),
        max_us: histogram.max(),
    }
}
