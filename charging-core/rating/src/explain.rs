//! A price line by line, for whoever must answer a customer's question.

use std::fmt;

use types::Money;

use crate::meter::Meter;
use crate::options::Tax;
use crate::rated::Rated;
use crate::rounding::RoundingMethod;
use crate::search::Found;
use crate::spans::{NANOS_PER_MS, spans};
use crate::tariff::row;

/// One line of an explanation; [`fmt::Display`] gives it as text.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Line {
    /// What applies from here on; the first line of all, and repeated where another plan takes over.
    Plan {
        /// The subject whose profile has the rate.
        subject: Box<str>,
        /// Tag in RatingPlans.
        rating_plan_id: Box<str>,
        /// How much of the number its rate was found for, in characters; 0 for `*any`.
        prefix_len: u16,
        /// Since when, as the tenant's wall clock shows it.
        since: Box<str>,
    },
    /// The connect fee.
    ConnectFee {
        /// Tag in Rates.
        rate_id: Box<str>,
        /// Its amount.
        fee: Money,
    },
    /// Increments at one rate.
    Span {
        /// Destination and rate tags.
        destination_id: Box<str>,
        /// Tag in Rates.
        rate_id: Box<str>,
        /// Tag in Timings; absent if the rate does not depend on the time.
        timing_id: Option<Box<str>>,
        /// When the first increment begins, as the tenant's wall clock shows it; absent for anything but voice.
        since: Option<Box<str>>,
        /// Total usage paid before, in base units: nanoseconds of voice, or plain units.
        from: u64,
        /// Total usage paid after.
        to: u64,
        /// How many increments were paid.
        increments: u64,
        /// Base units of one increment.
        increment: u64,
        /// The rate as written, per `unit`.
        rate: Money,
        /// Base units that `rate` pays.
        unit: u64,
        /// Exact price of these increments, before a maximum.
        cost: Exact,
        /// True for voice.
        voice: bool,
    },
    /// A maximum cost ended the growth.
    MaxCost {
        /// The maximum.
        max: Money,
    },
    /// The sum and its one rounding.
    Total {
        /// Before.
        exact: Exact,
        /// How.
        method: RoundingMethod,
        /// To how many decimals.
        decimals: u8,
        /// After.
        rounded: Money,
    },
    /// The tax within or on top of the total.
    Tax {
        /// Its rate, and whether prices include it.
        rate: Tax,
        /// Its amount.
        tax: Money,
        /// What is charged.
        charged: Money,
    },
}

/// An exact amount: `numerator / denominator` nano units, not reduced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exact {
    /// Parts of a nano unit.
    pub numerator: i128,
    /// Parts in one nano unit; above 0.
    pub denominator: i128,
}

/// The decimal amount, and behind it the fraction of a nano unit that it leaves out.
impl fmt::Display for Exact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = Money::from_nanos(self.numerator.div_euclid(self.denominator));
        write!(f, "{whole}")?;
        match self.numerator.rem_euclid(self.denominator) {
            0 => Ok(()),
            rest => write!(f, " + {rest}/{} nano", self.denominator),
        }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ConnectFee { rate_id, fee } => write!(f, "connect fee of {rate_id}: {fee}"),
            Self::Plan { subject, rating_plan_id, prefix_len, since } => {
                write!(f, "from {since}: tariff of {subject}, rating plan {rating_plan_id}, ")?;
                match prefix_len {
                    0 => f.write_str("for any number"),
                    length => write!(f, "for the first {length} characters of the number"),
                }
            }
            Self::Span {
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
                voice,
            } => {
                let length = |units: u64| Length { units, voice: *voice };
                write!(f, "{destination_id}, {rate_id}")?;
                if let (Some(timing), Some(since)) = (timing_id, since) {
                    write!(f, ", {timing} from {since}")?;
                }
                write!(f, ": {} to {}: ", length(*from), length(*to))?;
                let (increment, unit) = (length(*increment), length(*unit));
                write!(f, "{increments} x {increment} at {rate} per {unit} = {cost}")
            }
            Self::MaxCost { max } => write!(f, "maximum cost reached, no more than {max}"),
            Self::Total { exact, method, decimals, rounded } => {
                let way = match method {
                    RoundingMethod::Up => "up",
                    RoundingMethod::Down => "down",
                    RoundingMethod::Middle => "to the nearest",
                };
                write!(f, "total {exact}, rounded {way} to {decimals} decimals: {rounded}")
            }
            Self::Tax { rate, tax, charged } => {
                let percent = Money::from_nanos(i128::from(rate.parts_per_million) * 100_000);
                let way = if rate.included { "included" } else { "added" };
                write!(f, "tax {percent} %, {way}: {tax}; charged: {charged}")
            }
        }
    }
}

impl Rated<'_> {
    /// How the final price of `usage` comes about, in order. Empty for no usage.
    pub fn explain(&self, usage: u64) -> Vec<Line> {
        let denominator = self.plan.per_nano;
        let exact = |numerator| Exact { numerator, denominator };
        let limit = self.base(usage);
        let mut meter = Meter::new(denominator);
        let mut lines = Vec::new();
        let mut plan = None;
        for span in spans(self, limit) {
            if meter.position >= limit {
                break;
            }
            let increments = meter.increments(&span, limit);
            if increments == 0 {
                continue;
            }
            let first = lines.is_empty();
            let since = self.shown(meter.position);
            let applies = (span.found.subject, &*span.found.rating_plan.id, span.found.matched);
            if plan.replace(applies) != Some(applies) {
                lines.push(plan_line(&span.found, &since));
            }
            meter.enter(&span);
            if first && !span.rate.connect_fee.is_zero() {
                lines.push(Line::ConnectFee { rate_id: span.rate.id.clone(), fee: span.rate.connect_fee });
            }
            let (from, before) = (meter.position, meter.ticks);
            meter.pay(&span, increments);
            let cost = i128::from(increments).saturating_mul(span.group.ticks);
            let timing = span.found.binding.timing.and_then(|timing| row(&self.plan.timing_tags, timing));
            lines.push(Line::Span {
                destination_id: span.destination_rate.destination.clone(),
                rate_id: span.rate.id.clone(),
                timing_id: timing.cloned(),
                since: Some(since).filter(|_| self.voice),
                from,
                to: meter.position,
                increments,
                increment: span.group.increment,
                rate: span.group.rate,
                unit: span.group.unit,
                cost: exact(cost),
                voice: self.voice,
            });
            if let Some((max, _)) = span.destination_rate.max_cost.filter(|_| meter.ticks - before < cost) {
                lines.push(Line::MaxCost { max });
            }
        }
        if !lines.is_empty() {
            lines.extend(self.total(&meter, exact(meter.ticks)));
        }
        lines
    }

    fn total(&self, meter: &Meter, exact: Exact) -> impl Iterator<Item = Line> {
        let rounded = meter.rounded();
        let (method, decimals) = (meter.step.method, meter.step.decimals);
        let total = Line::Total { exact, method, decimals, rounded };
        let tax = self.tax().map(|rate| {
            let charged = rate.added_to(rounded).min(Money::LIMIT);
            Line::Tax { rate, tax: rate.part_of(charged), charged }
        });
        std::iter::once(total).chain(tax)
    }

    /// What the tenant's wall clock shows when usage has come to `position`.
    fn shown(&self, position: u64) -> Box<str> {
        let talked_ms = if self.voice { position / NANOS_PER_MS } else { 0 };
        self.search.tenant().options.time_zone.local(self.start.plus(talked_ms)).into()
    }
}

fn plan_line(found: &Found<'_>, since: &str) -> Line {
    Line::Plan {
        subject: found.subject.into(),
        rating_plan_id: found.rating_plan.id.clone(),
        prefix_len: found.matched.length,
        since: since.into(),
    }
}

/// Base units as people read them.
struct Length {
    units: u64,
    voice: bool,
}

impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.voice {
            return write!(f, "{}", self.units);
        }
        // A second is to a nanosecond what a currency unit is to its nano unit.
        write!(f, "{}s", Money::from_nanos(i128::from(self.units)))
    }
}
