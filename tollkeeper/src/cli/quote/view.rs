//! A price as it is shown; the JSON form is stable.

use charging_proto::v1::{ExplainResponse, PriceLine, QuoteResponse};
use serde::Serialize;
use types::charging::Service;
use types::{Money, UtcMs};

use super::Asked;
use crate::cli::show;

#[derive(Debug, Serialize)]
struct QuoteView<'a> {
    tor: &'static str,
    tenant: &'a str,
    category: &'a str,
    subject: &'a str,
    destination: &'a str,
    at: String,
    /// Milliseconds of voice, or units.
    usage: u64,
    cost: Option<&'a str>,
    currency: Option<&'a str>,
    net: Option<&'a str>,
    tax: Option<&'a str>,
    per_minute_rate: Option<&'a str>,
    billable: Option<u64>,
    destination_id: Option<&'a str>,
    matched_prefix: Option<&'a str>,
    rating_plan: Option<&'a str>,
    rated_subject: Option<&'a str>,
    error: Option<&'a str>,
    version: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    lines: Option<Vec<LineView<'a>>>,
}

/// One part of a price.
#[derive(Debug, Serialize)]
struct LineView<'a> {
    amount: &'a str,
    reason: &'a str,
    start: u64,
    used: u64,
    billable: u64,
    rating_plan: Option<&'a str>,
    rate: Option<&'a str>,
    rate_value: Option<&'a str>,
    rate_unit: Option<u64>,
    increment: Option<u64>,
}

impl<'a> From<&'a PriceLine> for LineView<'a> {
    fn from(line: &'a PriceLine) -> Self {
        Self {
            amount: &line.amount,
            reason: &line.reason,
            start: line.start,
            used: line.used,
            billable: line.billable,
            rating_plan: line.rating_plan.as_deref(),
            rate: line.rate.as_deref(),
            rate_value: line.rate_value.as_deref(),
            rate_unit: line.rate_unit,
            increment: line.increment,
        }
    }
}

/// Prints a price; a refusal is one, too: there is none, and why.
pub(super) fn print(
    asked: &Asked<'_>,
    explained: &ExplainResponse,
    explain: bool,
    format: show::Format,
) -> anyhow::Result<()> {
    let quote = explained.quote.clone().unwrap_or_default();
    if format.json {
        return show::json(&view(asked, &quote, explain.then_some(&explained.lines)));
    }
    let Some(cost) = &quote.cost else {
        let why = match quote.refusal.as_deref() {
            Some("RATING_PLAN_NOT_FOUND") => "no rating profile fits tenant, category and subject at that time",
            Some("UNAUTHORIZED_DESTINATION") => "no rate covers the destination at that time",
            Some("INCOMPLETE_RATE") => "the rate has no group that starts at 0; tariff check names its line",
            Some("PRICE_TOO_LARGE") => "the price is beyond 10^15",
            _ => "the core has no price",
        };
        return show::line(&format!("no price: {why} ({})", quote.refusal.as_deref().unwrap_or("RATING_FAILED")));
    };
    if explain {
        show::line(&format!(
            "{} to {} at {}: {} used, {} paid for, tariff of {}, rating plan {}",
            what(asked.service),
            asked.destination,
            asked.start,
            amount_of(asked.service, asked.usage),
            amount_of(asked.service, quote.billable),
            show::or_dash(quote.rated_subject.as_ref()),
            show::or_dash(quote.rating_plan.as_ref()),
        ))?;
        print_lines(&explained.lines, &cost.amount, &cost.currency)?;
        return Ok(());
    }
    let mut fields = vec![
        ("price", format!("{} {}", cost.amount, cost.currency)),
        ("paid for", amount_of(asked.service, quote.billable)),
        ("destination", show::or_dash(quote.destination.as_ref())),
        ("prefix", show::or_dash(quote.matched_prefix.as_ref())),
        ("rating plan", show::or_dash(quote.rating_plan.as_ref())),
        ("tariff of", show::or_dash(quote.rated_subject.as_ref())),
        ("version", quote.version.clone()),
    ];
    if let Some(rate) = &cost.per_minute_rate {
        fields.insert(2, ("rate a minute", rate.clone()));
    }
    if let Some(tax) = quote.tax.as_ref().filter(|tax| *tax != "0") {
        fields.insert(1, ("tax in it", tax.clone()));
    }
    show::fields(&fields)
}

#[derive(Debug, Serialize)]
struct SessionView<'a> {
    session_id: &'a str,
    cost: Option<&'a str>,
    currency: Option<&'a str>,
    destination_id: Option<&'a str>,
    rating_plan: Option<&'a str>,
    rated_subject: Option<&'a str>,
    version: &'a str,
    lines: Vec<LineView<'a>>,
}

/// Prints why a session was charged what it was.
pub(super) fn print_session(session_id: &str, explained: &ExplainResponse, format: show::Format) -> anyhow::Result<()> {
    let quote = explained.quote.clone().unwrap_or_default();
    let cost = quote.cost.as_ref();
    if format.json {
        return show::json(&SessionView {
            session_id,
            cost: cost.map(|cost| cost.amount.as_str()),
            currency: cost.map(|cost| cost.currency.as_str()),
            destination_id: quote.destination.as_deref(),
            rating_plan: quote.rating_plan.as_deref(),
            rated_subject: quote.rated_subject.as_deref(),
            version: &quote.version,
            lines: explained.lines.iter().map(LineView::from).collect(),
        });
    }
    let subject = show::or_dash(quote.rated_subject.as_ref());
    let plan = show::or_dash(quote.rating_plan.as_ref());
    show::line(&format!("session {session_id}: tariff of {subject}, rating plan {plan}, version {}", quote.version))?;
    match cost {
        Some(cost) => print_lines(&explained.lines, &cost.amount, &cost.currency),
        None => show::line("no price"),
    }
}

/// The parts of a price, amounts under each other, and the price below.
fn print_lines(lines: &[PriceLine], amount: &str, currency: &str) -> anyhow::Result<()> {
    let decimals = |text: &str| text.split_once('.').map_or(0, |(_, decimals)| decimals.len());
    let amounts = lines.iter().map(|line| line.amount.as_str()).chain([amount]);
    let most = amounts.clone().map(decimals).max().unwrap_or(0);
    let padded =
        |text: &str| text.parse::<Money>().map_or_else(|_| text.to_owned(), |amount| format!("{amount:.most$}"));
    let width = amounts.map(|text| padded(text).len()).max().unwrap_or(0);
    for line in lines {
        // What only says something has no amount.
        let amount = if line.rate.is_none() && line.amount == "0" { String::new() } else { padded(&line.amount) };
        show::line(&format!("  {amount:>width$}  {}", line.reason))?;
    }
    show::line(&format!("  {:>width$}  {currency}: the price", padded(amount)))
}

fn view<'a>(asked: &Asked<'a>, quote: &'a QuoteResponse, lines: Option<&'a Vec<PriceLine>>) -> QuoteView<'a> {
    let cost = quote.cost.as_ref();
    QuoteView {
        tor: what(asked.service),
        tenant: asked.tenant,
        category: asked.category,
        subject: asked.subject,
        destination: asked.destination,
        at: UtcMs::to_string(&asked.start),
        usage: asked.usage,
        cost: cost.map(|cost| cost.amount.as_str()),
        currency: cost.map(|cost| cost.currency.as_str()),
        net: quote.net.as_deref(),
        tax: quote.tax.as_deref(),
        per_minute_rate: cost.and_then(|cost| cost.per_minute_rate.as_deref()),
        billable: cost.map(|_| quote.billable),
        destination_id: quote.destination.as_deref(),
        matched_prefix: quote.matched_prefix.as_deref(),
        rating_plan: quote.rating_plan.as_deref(),
        rated_subject: quote.rated_subject.as_deref(),
        error: quote.refusal.as_deref(),
        version: &quote.version,
        lines: lines.map(|lines| lines.iter().map(LineView::from).collect()),
    }
}

fn what(service: Service) -> &'static str {
    match service {
        Service::Voice => "voice",
        Service::Data => "data",
        Service::Sms => "sms",
        Service::Mms => "mms",
        Service::Generic => "generic",
    }
}

/// `90s`, `1048576 octets`.
fn amount_of(service: Service, usage: u64) -> String {
    match service {
        // A second is to a millisecond what 1000 is to one: exact, without floats.
        Service::Voice => format!("{}s", Money::from_nanos(i128::from(usage) * 1_000_000)),
        Service::Data => format!("{usage} octets"),
        _ => usage.to_string(),
    }
}
