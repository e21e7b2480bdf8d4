//! The six texts a plan is made of, and the version that names their content.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// One table of a tariff plan; each is one CSV file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// When a price applies.
    Timings,
    /// Prefixes.
    Destinations,
    /// Prices.
    Rates,
    /// Price of a destination, with its rounding and maximum.
    DestinationRates,
    /// Which destination rates apply when.
    RatingPlans,
    /// Who has which plan since when.
    RatingProfiles,
}

impl Table {
    /// All tables, in the order in which they are read.
    pub const ALL: [Self; 6] = [
        Self::Timings,
        Self::Destinations,
        Self::Rates,
        Self::DestinationRates,
        Self::RatingPlans,
        Self::RatingProfiles,
    ];

    /// The file's name in a plan's folder.
    pub const fn file_name(self) -> &'static str {
        match self {
            Self::Timings => "Timings.csv",
            Self::Destinations => "Destinations.csv",
            Self::Rates => "Rates.csv",
            Self::DestinationRates => "DestinationRates.csv",
            Self::RatingPlans => "RatingPlans.csv",
            Self::RatingProfiles => "RatingProfiles.csv",
        }
    }

    /// Column names by position; columns are positional, these names only speak to people.
    pub const fn columns(self) -> &'static [&'static str] {
        match self {
            Self::Timings => &["Tag", "Years", "Months", "MonthDays", "WeekDays", "Time"],
            Self::Destinations => &["Id", "Prefix"],
            Self::Rates => &["Id", "ConnectFee", "Rate", "RateUnit", "RateIncrement", "GroupIntervalStart"],
            Self::DestinationRates => {
                &["Id", "DestinationId", "RatesTag", "RoundingMethod", "RoundingDecimals", "MaxCost", "MaxCostStrategy"]
            }
            Self::RatingPlans => &["Id", "DestinationRatesId", "TimingTag", "Weight"],
            Self::RatingProfiles => {
                &["Tenant", "Category", "Subject", "ActivationTime", "RatingPlanId", "FallbackSubject"]
            }
        }
    }
}

/// The texts of a plan's tables. An empty text is an empty table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tables {
    /// Timings.csv.
    pub timings: String,
    /// Destinations.csv.
    pub destinations: String,
    /// Rates.csv.
    pub rates: String,
    /// DestinationRates.csv.
    pub destination_rates: String,
    /// RatingPlans.csv.
    pub rating_plans: String,
    /// RatingProfiles.csv.
    pub rating_profiles: String,
}

impl Tables {
    /// The text of one table.
    pub fn text(&self, table: Table) -> &str {
        match table {
            Table::Timings => &self.timings,
            Table::Destinations => &self.destinations,
            Table::Rates => &self.rates,
            Table::DestinationRates => &self.destination_rates,
            Table::RatingPlans => &self.rating_plans,
            Table::RatingProfiles => &self.rating_profiles,
        }
    }

    /// The text of one table, to be filled.
    pub fn text_mut(&mut self, table: Table) -> &mut String {
        match table {
            Table::Timings => &mut self.timings,
            Table::Destinations => &mut self.destinations,
            Table::Rates => &mut self.rates,
            Table::DestinationRates => &mut self.destination_rates,
            Table::RatingPlans => &mut self.rating_plans,
            Table::RatingProfiles => &mut self.rating_profiles,
        }
    }
}

/// Names the content of a plan: equal for plans that price alike by text (comments, blank lines, spaces round cells
/// and the old Direction column do not count). 32 hexadecimal digits as text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PlanVersion(u128);

impl PlanVersion {
    /// FNV-1a, 128 bits: names versions, protects against nothing.
    pub(crate) fn of<'t>(parts: impl IntoIterator<Item = &'t str>) -> Self {
        let mut hash = FNV_OFFSET;
        for part in parts {
            for byte in part.bytes().chain([0xff]) {
                hash = (hash ^ u128::from(byte)).wrapping_mul(FNV_PRIME);
            }
        }
        Self(hash)
    }

    /// From its number.
    pub const fn from_bits(bits: u128) -> Self {
        Self(bits)
    }

    /// The number.
    pub const fn bits(self) -> u128 {
        self.0
    }
}

impl fmt::Display for PlanVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for PlanVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Takes 1 to 32 hexadecimal digits.
impl FromStr for PlanVersion {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u128::from_str_radix(text, 16).map(Self)
    }
}

const FNV_OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
const FNV_PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
