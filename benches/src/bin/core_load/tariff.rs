//! A plan with many prefixes, and numbers that it rates.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;

use ledger::{DestinationClass, DestinationRule, Policy};
use types::{Currency, Money};

pub const TENANT: &str = "example";

/// Prefixes of six digits, 100000 and up.
pub fn write(folder: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder)?;
    let table =
        |name: &str| -> anyhow::Result<BufWriter<File>> { Ok(BufWriter::new(File::create(folder.join(name))?)) };
    let mut dice = Dice::new(1);
    let mut destinations = table("Destinations.csv")?;
    for at in 0..PREFIXES {
        writeln!(destinations, "DST_{:03},{}", dice.below(DESTINATIONS), FIRST_PREFIX + at)?;
    }
    let (mut rates, mut pairs) = (table("Rates.csv")?, table("DestinationRates.csv")?);
    for at in 0..DESTINATIONS {
        writeln!(rates, "VOICE_{at:03},0.0{},0.{:03},60s,1s,0s", at % 10, 10 + at % 500)?;
        writeln!(pairs, "VOICE,DST_{at:03},VOICE_{at:03},*up,4,0,")?;
    }
    writeln!(table("RatingPlans.csv")?, "CALLS,VOICE,*any,10")?;
    writeln!(table("RatingProfiles.csv")?, "{TENANT},call,*any,,CALLS,")?;
    Ok(())
}

/// A number with one of the prefixes, but for those that the policy denies.
pub fn number(dice: &mut Dice) -> String {
    format!("+{}{:06}", FIRST_PREFIX + dice.below(PREFIXES - DENIED), dice.below(1_000_000))
}

/// Limits of every account.
pub fn policy() -> Policy {
    let class = |class: &str, prefixes: &[u64], rule| DestinationClass {
        class: class.into(),
        prefixes: prefixes.iter().map(|prefix| format!("+{prefix}").into()).collect(),
        rule,
    };
    let dear = DestinationRule::MaximumCostPerCall(Money::from_units(500));
    let last = FIRST_PREFIX + PREFIXES;
    Policy {
        maximum_sessions: Some(1000),
        maximum_new_sessions_per_minute: Some(10_000),
        maximum_cost_per_call: Some(Money::from_units(1000)),
        maximum_cost_per_hour: Some(Money::from_units(50_000)),
        maximum_cost_per_day: Some(Money::from_units(100_000)),
        destinations: vec![
            class("premium", &[last - 1, last - 2, last - 3], DestinationRule::Denied),
            class("satellite", &[FIRST_PREFIX + 7, FIRST_PREFIX + 77, FIRST_PREFIX + 777], dear),
        ],
    }
}

pub fn currency() -> Currency {
    // Written here, so it is one.
    "EUR".parse().unwrap_or_else(|error| unreachable!("{error}"))
}

/// The same numbers in every run: xorshift.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        // Zero would stay zero.
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % limit
    }
}

pub const PREFIXES: u64 = 200_000;
const FIRST_PREFIX: u64 = 100_000;
const DESTINATIONS: u64 = 1_000;
/// The last ones.
const DENIED: u64 = 10;
