//! A checked price with all that belongs on an offer or an invoice; and the texts in which usage is asked for.

use types::charging::Service;
use types::{Currency, ErrorClass, Money};

use crate::fault::Problem;
use crate::fields;
use crate::options::Tax;
use crate::rated::Rated;
use crate::spans::NANOS_PER_MS;

/// The final price of some usage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quote {
    /// What is charged, tax included.
    pub price: Money,
    /// The price before tax.
    pub net: Money,
    /// The tax; `net` and `tax` are `price`.
    pub tax: Money,
    /// Its rate; absent if the tenant's prices know no tax.
    pub tax_rate: Option<Tax>,
    /// Usage that is paid for: whole increments; milliseconds of voice, or units.
    pub billable: u64,
    /// Of all amounts.
    pub currency: Currency,
}

/// Why a price that was found cannot be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum PriceError {
    /// Beyond [`Money::LIMIT`].
    #[error("the price is more than 10^15 currency units; check the rate and the usage")]
    TooLarge,
}

impl PriceError {
    /// The name under which it is told to programs.
    pub const fn code(self) -> &'static str {
        match self {
            Self::TooLarge => "PRICE_TOO_LARGE",
        }
    }

    /// Repeating is useless under this plan.
    pub const fn class(self) -> ErrorClass {
        ErrorClass::Refused
    }
}

impl Rated<'_> {
    /// The final price of `usage` (milliseconds of voice, or units), and what it is made of.
    ///
    /// # Errors
    /// [`PriceError`], if the price is beyond the amounts that are handled.
    pub fn quote(&self, usage: u64) -> Result<Quote, PriceError> {
        let meter = self.run(self.base(usage));
        let rounded = if usage == 0 { Money::ZERO } else { meter.rounded() };
        let tax_rate = self.tax();
        let price = tax_rate.map_or(rounded, |tax| tax.added_to(rounded));
        if price > Money::LIMIT {
            return Err(PriceError::TooLarge);
        }
        let tax = tax_rate.map_or(Money::ZERO, |tax| tax.part_of(price));
        let billable = self.outer(meter.position);
        Ok(Quote { price, net: price - tax, tax, tax_rate, billable, currency: self.plan.currency() })
    }
}

/// Reads usage as the plan format writes it: `90s`, `1m30s`, or a bare number of units, which for voice is nanoseconds.
/// Gives what [`Rated::price`] takes: milliseconds of voice (a started one counts), or units.
///
/// # Errors
/// [`Problem::Duration`], if it is neither, or above 2^63.
pub fn parse_usage(text: &str, service: Service) -> Result<u64, Problem> {
    if text.is_empty() {
        return Err(Problem::Duration);
    }
    let units = fields::units(text)?;
    Ok(if service == Service::Voice { units.div_ceil(NANOS_PER_MS) } else { units })
}

/// Reads a service as the plan format writes it: `*voice`, `*data`, `*sms`, `*mms`, `*generic`, with the star or without.
pub fn parse_service(text: &str) -> Option<Service> {
    Some(match text.strip_prefix('*').unwrap_or(text) {
        "voice" => Service::Voice,
        "data" => Service::Data,
        "sms" => Service::Sms,
        "mms" => Service::Mms,
        "generic" => Service::Generic,
        _ => return None,
    })
}
