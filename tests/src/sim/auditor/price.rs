//! The auditor's own prices: integers, closed form, nothing of the rating crate. The same tariff is written as files for the core by
//! `super::super::tariff`.

use types::charging::Service;

/// One rate: `fee` for the first use, `price` for each begun `step` of usage, rounded up to whole `coin`s once for all usage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rate {
    pub fee: i128,
    pub price: i128,
    pub step: u64,
    pub coin: i128,
}

/// 0.01 a second.
pub(crate) const SECONDS: Rate = Rate { fee: 0, price: 10_000_000, step: 1_000, coin: TENTH_OF_MILLE };
/// 0.60 a minute in minutes, and 0.05 for the connection.
pub(crate) const MINUTES: Rate = Rate { fee: 50_000_000, price: 600_000_000, step: 60_000, coin: TENTH_OF_MILLE };
/// 0.0007 a second, rounded up to 0.01.
pub(crate) const FINE: Rate = Rate { fee: 0, price: 700_000, step: 1_000, coin: 10_000_000 };
/// 0.10 a megabyte.
pub(crate) const DEAR_DATA: Rate = Rate { fee: 0, price: 100_000_000, step: 1_000_000, coin: TENTH_OF_MILLE };
/// 0.01 a megabyte.
pub(crate) const CHEAP_DATA: Rate = Rate { fee: 0, price: 10_000_000, step: 1_000_000, coin: TENTH_OF_MILLE };
/// 0.08 a message.
pub(crate) const MESSAGE: Rate = Rate { fee: 0, price: 80_000_000, step: 1, coin: TENTH_OF_MILLE };

const TENTH_OF_MILLE: i128 = 100_000;

impl Rate {
    /// By what the request says; absent: no such rate.
    pub fn of(service: Service, rating_group: u32, called: Option<&str>) -> Option<Self> {
        match (service, rating_group, called) {
            (Service::Voice, _, Some(called)) if called.starts_with("+49") => Some(SECONDS),
            (Service::Voice, _, Some(called)) if called.starts_with("+44") => Some(MINUTES),
            (Service::Voice, _, Some(called)) if called.starts_with("+33") => Some(FINE),
            (Service::Data, 10, _) => Some(DEAR_DATA),
            (Service::Data, 20, _) => Some(CHEAP_DATA),
            (Service::Sms, _, _) => Some(MESSAGE),
            _ => None,
        }
    }

    /// Whole steps.
    pub fn billable(self, usage: u64) -> u64 {
        usage.div_ceil(self.step) * self.step
    }

    /// What usage costs. Rounded up is never below the exact price, so it is the same while the session goes on and at its end.
    pub fn cost(self, usage: u64) -> i128 {
        let steps = i128::from(usage.div_ceil(self.step));
        let exact = if usage == 0 { 0 } else { self.fee + self.price * steps };
        (exact + self.coin - 1).div_euclid(self.coin) * self.coin
    }
}
