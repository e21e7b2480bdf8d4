//! The price of a session whose start is only known to lie between two instants (a call that is still ringing).
//!
//! Every question is answered for the dearest start. Without a change of rate within reach all starts are alike and one
//! is looked at. Near a change, the price depends on which side of it each increment begins; it is highest where an
//! increment begins right at a change or at an end of the window, so those starts are tried.

use types::{Money, UtcMs};

use crate::plan::{Plan, Query, Refusal};
use crate::rated::Rated;
use crate::rounding::Rounding;
use crate::spans::{NANOS_PER_MS, Segments};

/// What applies to a session that starts within a window: found by [`Plan::resolve_window`].
#[derive(Debug, Clone, Copy)]
pub struct Window<'p, 'q> {
    query: Query<'q>,
    latest: UtcMs,
    earliest: Rated<'p>,
}

impl<'p, 'q> Window<'p, 'q> {
    pub(crate) fn new(plan: &'p Plan, query: &Query<'q>, earliest: UtcMs, latest: UtcMs) -> Result<Self, Refusal> {
        let query = Query { start: earliest, ..*query };
        Ok(Self::from(plan.resolve(&query)?, &query, latest))
    }

    /// From what applies to the earliest start.
    pub(crate) fn from(earliest: Rated<'p>, query: &Query<'q>, latest: UtcMs) -> Self {
        let query = Query { start: earliest.start(), ..*query };
        Self { query, latest: latest.max(query.start), earliest }
    }

    /// What applies to a start at the window's earliest instant.
    pub const fn earliest(&self) -> Rated<'p> {
        self.earliest
    }

    /// The highest price of `usage` among the starts.
    pub fn price(&self, usage: u64, rounding: Rounding) -> Money {
        let mut dearest = self.earliest.price(usage, rounding);
        self.for_each_later_start(usage, |rated| dearest = dearest.max(rated.price(usage, rounding)));
        dearest
    }

    /// The largest usage up to `limit`, rounded up to whole increments, whose running price is at most `amount`
    /// whatever the start. With increments that differ between rates it may end within an increment.
    pub fn max_usage(&self, limit: u64, amount: Money) -> u64 {
        let mut least = self.earliest.max_usage(0, limit, amount);
        self.for_each_later_start(limit, |rated| least = least.min(rated.max_usage(0, limit, amount)));
        least
    }

    /// Calls `look` with the starts after the earliest that may be dearer for usage up to `usage`.
    fn for_each_later_start(&self, usage: u64, mut look: impl FnMut(Rated<'p>)) {
        if !self.earliest.follows_clock() && self.earliest.plan_changes.is_none() {
            return;
        }
        let plan = self.earliest.plan();
        let (first, last) = (self.query.start, self.latest);
        // Other services than voice are priced by their start alone, so changes behind the window do not matter.
        let reach = if self.earliest.voice { self.earliest.billable(usage) } else { 0 };
        let end = last.plus(reach);
        let mut try_start = |start: UtcMs| {
            if start > first
                && start <= last
                && let Ok(rated) = plan.resolve(&Query { start, ..self.query })
            {
                look(rated);
            }
        };
        let voice = Rated { voice: true, ..self.earliest };
        let mut changes = false;
        let limit = end.since(first).saturating_add(1).saturating_mul(NANOS_PER_MS);
        let mut segments = Segments::of(&voice, limit).peekable();
        while let Some(segment) = segments.next() {
            let change = first.plus(segment.to / NANOS_PER_MS);
            let Some(next) = segments.peek() else { break };
            if change > end {
                break;
            }
            changes = true;
            try_start(change);
            for binding in [segment.found.binding, next.found.binding] {
                for group in plan.rate_of(binding).into_iter().flat_map(|(_, rate)| rate.groups.iter()) {
                    starts_before(change, group.start, group.increment, first, last).for_each(&mut try_start);
                }
            }
        }
        if changes {
            try_start(last);
        }
    }
}

/// Starts within the window from which an increment of a group begins at `change`.
fn starts_before(
    change: UtcMs,
    group_start: u64,
    increment: u64,
    first: UtcMs,
    last: UtcMs,
) -> impl Iterator<Item = UtcMs> {
    let step_ms = (increment / NANOS_PER_MS).max(last.since(first) / MAX_STARTS).max(1);
    let offset_ms = group_start / NANOS_PER_MS;
    // The first multiple of the step that leads into the window.
    let skipped = change.since(last.plus(offset_ms)).div_ceil(step_ms);
    let latest = UtcMs(change.0.saturating_sub_unsigned(offset_ms.saturating_add(skipped.saturating_mul(step_ms))));
    let within = (0..=MAX_STARTS).map(move |k| UtcMs(latest.0.saturating_sub_unsigned(k.saturating_mul(step_ms))));
    within.take_while(move |start| *start > first)
}

/// Starts tried for one change and group: a ring of 180 s in steps of a second. Shorter increments are tried in
/// steps of the window's 256th part.
const MAX_STARTS: u64 = 256;
