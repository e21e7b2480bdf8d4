//! A session's time line: segments with one destination rate each, cut into spans by rate group.
//!
//! Voice is cut where the tariff's times or the subject's plan change; other services keep the rate of their start.
//! Positions are base units: nanoseconds of voice, plain units of anything else.

use types::UtcMs;

use crate::calendar::DAY_MS;
use crate::rated::Rated;
use crate::tariff::{Binding, DestinationRate, Group, Rate, active};

/// A stretch at one destination rate.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Segment<'p> {
    pub from: u64,
    /// `u64::MAX` for the last.
    pub to: u64,
    pub binding: &'p Binding,
}

/// A stretch at one rate group. Its last increment may reach into the following spans.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span<'p> {
    pub to: u64,
    pub destination_rate: &'p DestinationRate,
    pub rate: &'p Rate,
    pub group: &'p Group,
}

/// Walks the segments of a session from its start.
#[derive(Debug, Clone)]
pub(crate) struct Segments<'p> {
    rated: Rated<'p>,
    /// Where the next segment begins; absent behind the last.
    from: Option<u64>,
    /// The instant up to which the rate is known.
    at: UtcMs,
}

impl<'p> Segments<'p> {
    pub(crate) fn of(rated: &Rated<'p>) -> Self {
        Self { rated: *rated, from: Some(0), at: rated.start }
    }

    /// The next instant at which another rate may apply; absent if there is none.
    fn border(&self) -> Option<UtcMs> {
        let rated = &self.rated;
        let later = rated.profile.get(rated.activation + 1).map(|activation| activation.from);
        if rated.bindings.first().is_none_or(|winner| winner.timing.is_none()) {
            return later;
        }
        let (midnight, ms_of_day) = (self.at.0 - self.at.0.rem_euclid(DAY_MS), self.at.0.rem_euclid(DAY_MS));
        let starts = rated.bindings.iter().filter_map(|binding| binding.timing);
        let starts = starts.filter_map(|timing| rated.plan.timings.get(timing)).map(|timing| timing.start_ms);
        let next = starts.filter(|start| *start > ms_of_day).min().unwrap_or(DAY_MS);
        let next = UtcMs(midnight + next);
        Some(later.map_or(next, |later| later.min(next)))
    }

    /// Goes to `border` and takes the rate in force there. Where none is, the one before stays: a call that was
    /// admitted is not ended by its tariff.
    fn cross(&mut self, border: UtcMs) {
        let rated = &mut self.rated;
        self.at = border;
        let later = rated.profile.get(rated.activation + 1).filter(|activation| activation.from <= border);
        if let Some(activation) = later {
            rated.activation += 1;
            let plan = rated.plan.rating_plans.get(activation.rating_plan);
            if let Some(bindings) = plan.and_then(|plan| rated.plan.bindings(plan, rated.number)) {
                rated.bindings = bindings;
            }
        }
        let binding = active(rated.bindings, &rated.plan.timings, border);
        if let Some(binding) = binding.filter(|binding| rated.plan.is_complete(binding)) {
            rated.binding = binding;
        }
    }
}

impl<'p> Iterator for Segments<'p> {
    type Item = Segment<'p>;

    fn next(&mut self) -> Option<Segment<'p>> {
        let from = self.from?;
        let binding = self.rated.binding;
        loop {
            let border =
                self.border().filter(|border| self.rated.voice && border.since(self.rated.start) <= HORIZON_MS);
            let Some(border) = border else {
                self.from = None;
                return Some(Segment { from, to: u64::MAX, binding });
            };
            self.cross(border);
            if self.rated.binding.destination_rate != binding.destination_rate {
                let to = border.since(self.rated.start).saturating_mul(NANOS_PER_MS);
                self.from = Some(to);
                return Some(Segment { from, to, binding });
            }
        }
    }
}

/// The spans of a session, in order; the last one never ends.
pub(crate) fn spans<'p>(rated: &Rated<'p>) -> impl Iterator<Item = Span<'p>> + use<'p> {
    let plan = rated.plan;
    Segments::of(rated).flat_map(move |segment| {
        let destination_rate = plan.destination_rates.get(segment.binding.destination_rate);
        let rate = destination_rate.and_then(|found| plan.rates.get(found.rate));
        destination_rate.zip(rate).into_iter().flat_map(move |(destination_rate, rate)| {
            let groups = rate.groups.iter().filter(move |group| group.end > segment.from && group.start < segment.to);
            groups.map(move |group| Span { to: group.end.min(segment.to), destination_rate, rate, group })
        })
    })
}

/// Nanoseconds of a millisecond of voice.
pub(crate) const NANOS_PER_MS: u64 = 1_000_000;

/// The times of a tariff are followed for a year of talking; the rate then in force stays. Bounds the work that one
/// absurd usage can cause.
const HORIZON_MS: u64 = 366 * 86_400_000;
