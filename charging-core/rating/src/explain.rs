//! A price line by line, for whoever must answer a customer's question.

use std::fmt;

use types::Money;

use crate::rated::{Meter, Rated};
use crate::rounding::RoundingMethod;
use crate::spans::spans;

/// One line of an explanation; [`fmt::Display`] gives it as text.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Line {
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
            Self::Span { destination_id, rate_id, from, to, increments, increment, rate, unit, cost, voice } => {
                let length = |units: u64| Length { units, voice: *voice };
                write!(f, "{destination_id}, {rate_id}: {} to {}: ", length(*from), length(*to))?;
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
        for span in spans(self) {
            if meter.position >= limit {
                break;
            }
            let increments = meter.increments(&span, limit);
            if increments == 0 {
                continue;
            }
            let first = lines.is_empty();
            meter.enter(&span);
            if first && !span.rate.connect_fee.is_zero() {
                lines.push(Line::ConnectFee { rate_id: span.rate.id.clone(), fee: span.rate.connect_fee });
            }
            let (from, before) = (meter.position, meter.ticks);
            meter.pay(&span, increments);
            let cost = i128::from(increments).saturating_mul(span.group.ticks);
            lines.push(Line::Span {
                destination_id: span.destination_rate.destination.clone(),
                rate_id: span.rate.id.clone(),
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
            let rounded = meter.step.round(meter.ticks, denominator);
            let (method, decimals) = (meter.step.method, meter.step.decimals);
            lines.push(Line::Total { exact: exact(meter.ticks), method, decimals, rounded });
        }
        lines
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
