//! What goes wrong, and how often.

use std::ops::RangeInclusive;

use super::dice::Dice;
use super::limits::ShardLimits;

/// What a proxy does wrong. Chances are in a thousand; the outcome for a request follows from the seed and its number.
#[derive(Debug, Clone)]
pub struct FaultPlan {
    /// The seed.
    pub seed: u64,
    /// Entries beyond fail with `ProvisionedThroughputExceededException`. Absent: no limit.
    pub limits: Option<ShardLimits>,
    /// Entries that fail with `InternalFailure`.
    pub entry_failures: u32,
    /// Requests answered with 500 or 503, of which nothing was accepted.
    pub server_errors: u32,
    /// PutRecords whose connection is cut before anything was accepted.
    pub lost_requests: u32,
    /// PutRecords whose connection is cut after they were accepted: the answer is lost.
    pub lost_answers: u32,
    /// How long each request waits before anything is done, in milliseconds.
    pub latency_ms: RangeInclusive<u64>,
}

impl FaultPlan {
    /// Nothing goes wrong.
    #[must_use]
    pub const fn quiet() -> Self {
        Self {
            seed: 0,
            limits: None,
            entry_failures: 0,
            server_errors: 0,
            lost_requests: 0,
            lost_answers: 0,
            latency_ms: 0..=0,
        }
    }

    /// Everything goes wrong now and then, and the shards take less than provisioned ones: somebody else writes to the stream as
    /// well, so that a producer that keeps to the limits is throttled all the same.
    #[must_use]
    pub const fn hostile(seed: u64) -> Self {
        Self {
            seed,
            limits: Some(ShardLimits { records: 600, bytes: 700 * 1024 }),
            entry_failures: 20,
            server_errors: 40,
            lost_requests: 30,
            lost_answers: 50,
            latency_ms: 0..=15,
        }
    }

    /// What happens to the `number`th request.
    pub(super) fn fate(&self, number: u64, is_put: bool) -> Fate {
        let mut dice = Dice::of(self.seed, number);
        let (from, to) = (*self.latency_ms.start(), *self.latency_ms.end());
        let latency_ms = from.saturating_add(dice.below(to.saturating_sub(from).saturating_add(1)));
        // Thrown in this order whatever comes out, so that one chance does not shift the others.
        let [error, lost_request, lost_answer] =
            [self.server_errors, self.lost_requests, self.lost_answers].map(|chance| dice.per_mille(chance));
        let unavailable = dice.per_mille(500);
        let whole = match (error, is_put) {
            (true, _) if unavailable => Whole::Unavailable,
            (true, _) => Whole::Failure,
            (false, true) if lost_request => Whole::LostRequest,
            (false, true) if lost_answer => Whole::LostAnswer,
            _ => Whole::Answered,
        };
        Fate { latency_ms, whole, dice }
    }
}

/// What happens to a request.
pub(super) struct Fate {
    pub latency_ms: u64,
    pub whole: Whole,
    /// For its entries.
    pub dice: Dice,
}

/// What happens to a request as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whole {
    Answered,
    /// 500.
    Failure,
    /// 503.
    Unavailable,
    LostRequest,
    LostAnswer,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_says_it_all() {
        let fates = |seed| {
            let plan = FaultPlan { seed, ..FaultPlan::hostile(seed) };
            let fate = |number| (plan.fate(number, true).latency_ms, plan.fate(number, true).whole);
            (0..2000).map(fate).collect::<Vec<_>>()
        };
        assert_eq!(fates(3), fates(3));
        assert_ne!(fates(3), fates(4));
        for whole in [Whole::Failure, Whole::Unavailable, Whole::LostRequest, Whole::LostAnswer, Whole::Answered] {
            assert!(fates(3).iter().any(|(_, found)| *found == whole), "{whole:?} in 2000 requests");
        }
        assert!(fates(3).iter().all(|(latency_ms, _)| *latency_ms <= 15));
    }

    #[test]
    fn only_what_is_planned_goes_wrong() {
        let quiet = FaultPlan::quiet();
        assert!((0..2000).all(|number| quiet.fate(number, true).whole == Whole::Answered));
        let lossy = FaultPlan { lost_answers: 1000, ..FaultPlan::quiet() };
        assert_eq!((lossy.fate(1, true).whole, lossy.fate(1, false).whole), (Whole::LostAnswer, Whole::Answered));
    }
}
