//! Which records may be removed: those that every sink has shipped, but for the latest ones, whose ids must be known again after a
//! restart.

use std::collections::BTreeMap;

use segment_log::Position;

pub(crate) struct Retention {
    /// So many of the latest records stay.
    keep: u64,
    /// What each sink has shipped; absent until it has reported. Empty: nobody knows which sinks are still to come.
    shipped: BTreeMap<String, Option<Position>>,
}

impl Retention {
    pub fn new(recent_ids: usize, sinks: &[String]) -> Self {
        let keep = u64::try_from(recent_ids).unwrap_or(u64::MAX);
        Self { keep, shipped: sinks.iter().map(|name| (name.clone(), None)).collect() }
    }

    /// A sink has shipped everything below `position`. One that is not in the configured list is not waited for.
    pub fn shipped(&mut self, name: &str, position: Position) {
        if let Some(shipped) = self.shipped.get_mut(name) {
            *shipped = Some(position);
        }
    }

    /// Up to where records may be removed when the journal ends at `durable`; `None`: nothing may.
    pub fn removable(&self, durable: Position) -> Option<Position> {
        let mut lowest = None;
        for shipped in self.shipped.values() {
            let shipped = (*shipped)?;
            lowest = Some(lowest.map_or(shipped, |lowest: Position| lowest.min(shipped)));
        }
        let kept_from = Position::new(durable.index().saturating_sub(self.keep));
        lowest.map(|lowest| lowest.min(kept_from)).filter(|below| *below > Position::ZERO)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_all_sinks_have_shipped_may_go() {
        let sinks = ["a".to_owned(), "b".to_owned()];
        let mut retention = Retention::new(1000, &sinks);
        let rows = [
            ("a", 5000, None),
            ("b", 1200, Some(1200)),
            ("stranger", 3, Some(1200)),
            ("b", 9000, Some(5000)),
            ("a", 9500, Some(9000)),
        ];
        for (name, position, removable) in rows {
            retention.shipped(name, Position::new(position));
            assert_eq!(retention.removable(Position::new(10_000)), removable.map(Position::new), "{name} {position}");
        }
        assert_eq!(retention.removable(Position::new(9500)), Some(Position::new(8500)), "the latest stay");
        let mut without = Retention::new(0, &[]);
        without.shipped("a", Position::new(5000));
        assert_eq!(without.removable(Position::new(9500)), None, "without a list nothing may go");
    }
}
