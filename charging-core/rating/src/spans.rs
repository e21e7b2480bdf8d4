//! A session's time line: segments with one destination rate each, cut into spans by rate group.
//!
//! Voice is cut where the tariff's times or the subject's plan change; other services keep the rate of their start.
//! Positions are base units: nanoseconds of voice, plain units of anything else.

use std::ops::ControlFlow;

use types::UtcMs;

use crate::calendar::{DAY_MS, Timing};
use crate::rated::Rated;
use crate::search::Found;
use crate::tariff::{DestinationRate, Group, Rate, row};

/// A stretch at one destination rate, under one timing of one plan.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Segment<'p> {
    pub from: u64,
    /// `u64::MAX` for the last.
    pub to: u64,
    pub found: Found<'p>,
}

/// A stretch at one rate group. Its last increment may reach into the following spans.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span<'p> {
    pub to: u64,
    pub found: Found<'p>,
    pub destination_rate: &'p DestinationRate,
    pub rate: &'p Rate,
    pub group: &'p Group,
}

/// Walks the segments of a session from its start.
#[derive(Clone)]
pub(crate) struct Segments<'p> {
    rated: Rated<'p>,
    /// Where the next segment begins; absent behind the last.
    from: Option<u64>,
    /// The instant up to which the rate is known.
    at: UtcMs,
    /// What changes at this instant or later is of no interest.
    end: UtcMs,
}

impl<'p> Segments<'p> {
    /// The segments that begin before `limit` base units; the last of them is given as if it never ended.
    pub(crate) fn of(rated: &Rated<'p>, limit: u64) -> Self {
        let length_ms = if rated.voice { limit.div_ceil(NANOS_PER_MS).min(HORIZON_MS) } else { 0 };
        Self { rated: *rated, from: Some(0), at: rated.start, end: rated.start.plus(length_ms) }
    }

    /// False when one rate applies up to the end, whatever the clock says.
    pub(crate) fn has_border(&self) -> bool {
        let rated = &self.rated;
        self.at < self.end && (rated.follows_clock() || rated.plan_changes.is_some_and(|change| change < self.end))
    }

    /// The next instant at which another rate may apply; absent if there is none before the end.
    fn border(&self) -> Option<UtcMs> {
        if !self.has_border() {
            return None;
        }
        let rated = &self.rated;
        let by_clock = if rated.follows_clock() { self.next_time_of_day() } else { None };
        let first = by_clock.into_iter().chain(rated.plan_changes).min();
        first.filter(|border| *border < self.end)
    }

    /// The next start or end of a timing of this day, or its midnight.
    fn next_time_of_day(&self) -> Option<UtcMs> {
        let rated = &self.rated;
        let clock = &rated.search.tenant().options.time_zone;
        let shown = clock.latest_shown(self.at);
        let (midnight, ms_of_day) = (shown - shown.rem_euclid(DAY_MS), shown.rem_euclid(DAY_MS));
        let timings = rated.found.bindings.iter().filter_map(|binding| row(&rated.plan.timings, binding.timing?));
        let borders = timings.flat_map(|timing: &Timing| [timing.start_ms, timing.end_ms]);
        let next = borders.filter(|border| *border > ms_of_day).min().unwrap_or(DAY_MS);
        Some(clock.first_shown(self.at, midnight.saturating_add(next)))
    }

    /// Goes to `border` and takes the rate in force there. Where none is, the one before stays: a call that was
    /// admitted is not ended by its tariff.
    fn cross(&mut self, border: UtcMs) {
        let rated = &mut self.rated;
        self.at = border;
        if rated.plan_changes.is_some_and(|change| change <= border) {
            let (found, change) = rated.search.at(border);
            rated.plan_changes = change;
            if let Ok(found) = found {
                rated.found = found;
                return;
            }
        }
        if let Some(binding) = rated.search.in_force(rated.found.bindings, border) {
            rated.found.binding = binding;
        }
    }
}

impl<'p> Iterator for Segments<'p> {
    type Item = Segment<'p>;

    fn next(&mut self) -> Option<Segment<'p>> {
        let from = self.from?;
        let found = self.rated.found;
        while let Some(border) = self.border() {
            self.cross(border);
            if !self.rated.found.is_like(&found) {
                let to = border.since(self.rated.start).saturating_mul(NANOS_PER_MS);
                self.from = Some(to);
                return Some(Segment { from, to, found });
            }
        }
        self.from = None;
        Some(Segment { from, to: u64::MAX, found })
    }
}

/// The spans of a session that begin before `limit` base units, in order; the last one never ends.
pub(crate) fn spans<'p>(rated: &Rated<'p>, limit: u64) -> impl Iterator<Item = Span<'p>> + use<'p> {
    let plan = rated.plan;
    Segments::of(rated, limit).flat_map(move |segment| {
        let found = segment.found;
        plan.rate_of(found.binding).into_iter().flat_map(move |(destination_rate, rate)| {
            let groups = rate.groups.iter().filter(move |group| group.end > segment.from && group.start < segment.to);
            groups.map(move |group| Span { to: group.end.min(segment.to), found, destination_rate, rate, group })
        })
    })
}

/// Shows the same to `look` until that breaks off. Most sessions meet one destination rate only, and need no walk through time.
pub(crate) fn for_each_span<'p>(rated: &Rated<'p>, limit: u64, mut look: impl FnMut(&Span<'p>) -> ControlFlow<()>) {
    if Segments::of(rated, limit).has_border() {
        for span in spans(rated, limit) {
            if look(&span).is_break() {
                return;
            }
        }
        return;
    }
    let found = rated.found;
    let Some((destination_rate, rate)) = rated.plan.rate_of(found.binding) else { return };
    for group in &rate.groups {
        if look(&Span { to: group.end, found, destination_rate, rate, group }).is_break() {
            return;
        }
    }
}

/// Nanoseconds of a millisecond of voice.
pub(crate) const NANOS_PER_MS: u64 = 1_000_000;

/// The times of a tariff are followed for a year of talking; the rate then in force stays. Bounds the work that one
/// absurd usage can cause.
const HORIZON_MS: u64 = 366 * 86_400_000;
