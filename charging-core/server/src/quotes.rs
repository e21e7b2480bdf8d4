//! What something costs and why, as the API tells it; also for those who price a folder without a core.

use charging_proto::v1::{Cost, ExplainResponse, PriceLine, QuoteResponse};
use rating::{Exact, Line, Plan, Query, Rated, RoundingMethod};
use types::Money;
use types::charging::{ResultCode, Service};

/// The price of `usage` (milliseconds of voice, otherwise units), or why there is none.
pub fn quoted(plan: &Plan, query: &Query<'_>, usage: u64) -> QuoteResponse {
    let refused = |code: &str| QuoteResponse {
        result_code: ResultCode::RATING_FAILED.0,
        refusal: Some(code.to_owned()),
        version: plan.version().to_string(),
        ..QuoteResponse::default()
    };
    let rated = match plan.resolve(query) {
        Ok(rated) => rated,
        Err(refusal) => return refused(refusal.code()),
    };
    let quote = match rated.quote(usage) {
        Ok(quote) => quote,
        Err(error) => return refused(error.code()),
    };
    let cost = types::charging::Cost {
        currency: quote.currency,
        amount: quote.price,
        per_minute_rate: (query.service == Service::Voice).then(|| rated.per_minute_rate(usage)),
        overrun: Money::ZERO,
    };
    QuoteResponse {
        result_code: ResultCode::SUCCESS.0,
        cost: Some(Cost::from(cost)),
        billable: quote.billable,
        destination: Some(rated.destination_id().to_owned()),
        matched_prefix: Some(rated.matched_prefix(query.destination).to_owned()).filter(|prefix| !prefix.is_empty()),
        version: plan.version().to_string(),
        net: Some(quote.net.to_string()),
        tax: Some(quote.tax.to_string()),
        refusal: None,
        rated_subject: Some(rated.subject().to_owned()),
        rating_plan: Some(rated.rating_plan_id().to_owned()),
    }
}

/// The same with its lines; none when there is no price.
pub fn explained(plan: &Plan, query: &Query<'_>, usage: u64) -> ExplainResponse {
    let quote = quoted(plan, query, usage);
    let lines = match plan.resolve(query) {
        Ok(rated) if quote.refusal.is_none() => price_lines(&rated, query.service, usage),
        _ => Vec::new(),
    };
    ExplainResponse { quote: Some(quote), lines }
}

/// The parts of a price. Their amounts are whole nano units that add up to the price: what an exact part has beyond them
/// goes to the next.
pub(crate) fn price_lines(rated: &Rated<'_>, service: Service, usage: u64) -> Vec<PriceLine> {
    let mut teller = Teller { rated, service, usage, told: Money::ZERO, exact: None, before_span: 0 };
    rated.explain(usage).iter().map(|line| teller.tell(line)).collect()
}

struct Teller<'r, 'p> {
    rated: &'r Rated<'p>,
    service: Service,
    usage: u64,
    /// The sum of the amounts told.
    told: Money,
    /// The exact sum, as far as it is known.
    exact: Option<Exact>,
    /// The exact sum before the last span.
    before_span: i128,
}

impl Teller<'_, '_> {
    fn tell(&mut self, line: &Line) -> PriceLine {
        let reason = reason(line, self.service);
        match line {
            Line::ConnectFee { rate_id, fee } => {
                // It comes first; the first span brings the denominator.
                self.told = *fee;
                PriceLine { rate: Some(rate_id.to_string()), amount: fee.to_string(), reason, ..PriceLine::default() }
            }
            Line::Span { rate_id, from, to, increment, rate, unit, cost, .. } => {
                let before = self.exact.map_or(self.told.nanos().saturating_mul(cost.denominator), |e| e.numerator);
                self.before_span = before;
                let numerator = before.saturating_add(cost.numerator);
                let amount = self.reach(Exact { numerator, denominator: cost.denominator });
                let (start, end) = (self.outer(*from), self.outer(*to));
                PriceLine {
                    start,
                    used: self.usage.min(end).saturating_sub(start),
                    billable: end.saturating_sub(start),
                    rating_plan: Some(self.rated.rating_plan_id().to_owned()),
                    rate: Some(rate_id.to_string()),
                    rate_value: Some(rate.to_string()),
                    rate_unit: Some(self.outer(*unit)),
                    increment: Some(self.outer(*increment)),
                    amount,
                    reason,
                }
            }
            Line::MaxCost { max } => {
                let denominator = self.exact.map_or(1, |exact| exact.denominator);
                let most = max.nanos().saturating_mul(denominator).max(self.before_span);
                let numerator = self.exact.map_or(most, |exact| exact.numerator.min(most));
                let amount = self.reach(Exact { numerator, denominator });
                PriceLine { amount, reason, ..PriceLine::default() }
            }
            Line::Total { rounded, .. } => {
                let amount = (*rounded - self.told).to_string();
                self.told = *rounded;
                PriceLine { amount, reason, ..PriceLine::default() }
            }
            Line::Tax { rate, tax, .. } => {
                let amount = if rate.included { Money::ZERO } else { *tax };
                self.told += amount;
                PriceLine { amount: amount.to_string(), reason, ..PriceLine::default() }
            }
            _ => PriceLine { amount: Money::ZERO.to_string(), reason, ..PriceLine::default() },
        }
    }

    /// Takes the sum to `exact`; says what was added, in whole nano units.
    fn reach(&mut self, exact: Exact) -> String {
        let sum = Money::from_nanos(exact.numerator.div_euclid(exact.denominator.max(1)));
        let amount = sum - self.told;
        self.told = sum;
        self.exact = Some(exact);
        amount.to_string()
    }

    /// Base units as the API counts: milliseconds of voice.
    fn outer(&self, base: u64) -> u64 {
        if self.service == Service::Voice { base / NANOS_PER_MS } else { base }
    }
}

/// As one reads it to a customer.
fn reason(line: &Line, service: Service) -> String {
    let length = |base: u64| length(base, service);
    match line {
        Line::ConnectFee { rate_id, .. } => format!("connect fee of rate {rate_id}"),
        Line::Span {
            destination_id,
            rate_id,
            timing_id,
            since,
            from,
            to,
            increments,
            increment,
            rate,
            unit,
            cost,
            ..
        } => {
            let timing = timing_id.as_ref().map(|timing| format!(", {timing}")).unwrap_or_default();
            // Of the wall clock's text the time of day, to the second.
            let clock = since.as_ref().and_then(|since| since.get(11..19));
            let clock = clock.map(|clock| format!(" (from {clock})")).unwrap_or_default();
            let steps = if *increments == 1 { "step" } else { "steps" };
            format!(
                "{} to {}{clock}: {increments} {steps} of {} at {rate} per {} ({destination_id}, rate {rate_id}{timing}{})",
                length(*from),
                length(*to),
                length(*increment),
                length(*unit),
                beyond(*cost)
            )
        }
        Line::MaxCost { max } => format!("maximum of {max} reached: no more is charged"),
        Line::Total { method, decimals, .. } => {
            let way = match method {
                RoundingMethod::Up => "up",
                RoundingMethod::Down => "down",
                RoundingMethod::Middle => "to the nearest",
            };
            format!("the sum is rounded {way} to {decimals} decimals")
        }
        Line::Tax { rate, tax, .. } => {
            let percent = Money::from_nanos(i128::from(rate.parts_per_million) * 100_000);
            if rate.included { format!("of it {tax} tax ({percent} %)") } else { format!("{percent} % tax") }
        }
        other => other.to_string(),
    }
}

/// What an amount has beyond whole nano units, as more decimals.
fn beyond(exact: Exact) -> String {
    let denominator = exact.denominator.max(1);
    match exact.numerator.rem_euclid(denominator) {
        0 => String::new(),
        rest => {
            let more = rest.saturating_mul(1000) / denominator;
            let nanos = Money::from_nanos(exact.numerator.div_euclid(denominator));
            format!(", exactly {nanos:.9}{more:03}...")
        }
    }
}

/// `90s`, `1048576`.
fn length(base: u64, service: Service) -> String {
    if service != Service::Voice {
        return base.to_string();
    }
    // A second is to a nanosecond what a currency unit is to its nano unit.
    format!("{}s", Money::from_nanos(i128::from(base)))
}

const NANOS_PER_MS: u64 = 1_000_000;
