//! The one rounding of a price, at its end, and the largest exact price that still fits an amount.
//!
//! Exact prices are counted in *ticks*: 1/`per_nano` of a nano unit, with one `per_nano` for the whole plan.

use types::Money;

/// How a destination rate rounds the total.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RoundingMethod {
    /// To the next step not below.
    Up,
    /// To the next step not above.
    Down,
    /// To the nearest step, halves away from zero.
    Middle,
}

/// What a price is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rounding {
    /// While the session goes on: never less than [`Rounding::Final`] of the same usage, never less than the exact price,
    /// and never falling as usage grows. So what is held or charged by it always suffices at the close, and the last
    /// debit can only be zero or a small refund.
    Running,
    /// At the close: the exact total, rounded once by the destination rate's method and decimals.
    Final,
}

/// A method with its decimals, ready to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Step {
    pub method: RoundingMethod,
    pub decimals: u8,
}

impl Step {
    fn nanos(self) -> i128 {
        10i128.pow(u32::from(9u8.saturating_sub(self.decimals)))
    }

    /// The final price.
    pub(crate) fn round(self, ticks: i128, per_nano: i128) -> Money {
        let step = self.nanos();
        let step_ticks = step.saturating_mul(per_nano);
        let (steps, rest) = divided(ticks, step_ticks);
        let more = match self.method {
            RoundingMethod::Up => rest > 0,
            RoundingMethod::Down => false,
            // Without doubling, which could overflow: rest >= step - rest.
            RoundingMethod::Middle => rest >= step_ticks - rest,
        };
        Money::from_nanos((steps + i128::from(more)).saturating_mul(step))
    }

    /// The running price: the final one, or the exact one rounded up to a nano unit if that is more.
    pub(crate) fn running(self, ticks: i128, per_nano: i128) -> Money {
        let (whole, rest) = divided(ticks, per_nano);
        let exact_up = whole + i128::from(rest > 0);
        self.round(ticks, per_nano).max(Money::from_nanos(exact_up))
    }

    /// The most ticks whose running price is at most `amount`.
    pub(crate) fn most_ticks(self, amount: Money, per_nano: i128) -> i128 {
        let exact = amount.nanos().saturating_mul(per_nano);
        let step = self.nanos();
        let whole_steps = amount.nanos().div_euclid(step) * step;
        match self.method {
            RoundingMethod::Up => whole_steps.saturating_mul(per_nano),
            RoundingMethod::Down => exact,
            RoundingMethod::Middle => {
                let doubled = whole_steps.saturating_mul(2).saturating_add(step).saturating_mul(per_nano);
                // 2 x ticks < doubled: a half would round up, beyond the amount.
                exact.min((doubled - 1).div_euclid(2))
            }
        }
    }
}

/// Quotient and remainder, the latter never negative. Prices of everyday fit into 64 bits, where dividing takes a fraction of the
/// time.
fn divided(ticks: i128, by: i128) -> (i128, i128) {
    match (u64::try_from(ticks), u64::try_from(by)) {
        (Ok(ticks), Ok(by @ 1..)) => (i128::from(ticks / by), i128::from(ticks % by)),
        _ => (ticks.div_euclid(by), ticks.rem_euclid(by)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const METHODS: [RoundingMethod; 3] = [RoundingMethod::Up, RoundingMethod::Down, RoundingMethod::Middle];

    #[test]
    fn rounds_once_at_the_step() {
        // ticks of a third of a nano unit
        let rows = [
            (RoundingMethod::Up, 8, 30, 10),
            (RoundingMethod::Up, 8, 31, 20),
            (RoundingMethod::Down, 8, 59, 10),
            (RoundingMethod::Middle, 8, 44, 10),
            (RoundingMethod::Middle, 8, 45, 20),
            (RoundingMethod::Up, 9, 1, 1),
            (RoundingMethod::Middle, 9, 1, 0),
            (RoundingMethod::Middle, 9, 2, 1),
            (RoundingMethod::Up, 0, 1, 1_000_000_000),
        ];
        for (method, decimals, ticks, nanos) in rows {
            let step = Step { method, decimals };
            assert_eq!(step.round(ticks, 3), Money::from_nanos(nanos), "{step:?} {ticks}");
        }
    }

    proptest! {
        #[test]
        fn most_ticks_is_the_border(method in 0usize..3, decimals in 5u8..=9, amount in 0i128..3_000_000, per_nano in 1i128..7) {
            let step = Step { method: METHODS[method], decimals };
            let amount = Money::from_nanos(amount);
            let most = step.most_ticks(amount, per_nano);
            prop_assert!(most < 0 || step.running(most, per_nano) <= amount);
            prop_assert!(step.running(most + 1, per_nano) > amount);
        }

        #[test]
        fn dividing_is_dividing(ticks in any::<i128>(), small in any::<u64>(), by in 1i128.., short in 1u64..) {
            for (ticks, by) in [(ticks, by), (small.into(), short.into()), (small.into(), by), (ticks, short.into())] {
                prop_assert_eq!(divided(ticks, by), (ticks.div_euclid(by), ticks.rem_euclid(by)));
            }
        }

        #[test]
        fn running_covers_final(method in 0usize..3, decimals in 0u8..=9, ticks in 0i128..10_000_000_000, per_nano in 1i128..7) {
            let step = Step { method: METHODS[method], decimals };
            let running = step.running(ticks, per_nano);
            prop_assert!(running >= step.round(ticks, per_nano));
            prop_assert!(running.nanos() * per_nano >= ticks);
            prop_assert!(running <= step.running(ticks + 1, per_nano));
        }
    }
}
