//! Which records may be removed: those that every sink has shipped, but for the latest ones.

use std::collections::BTreeMap;

use segment_log::Position;

/// Removing asks the writer to end its batch, so it is not asked for each record.
const STEP_RECORDS: u64 = 256;

pub(crate) struct Retention {
    /// Absent: everything stays.
    keep: Option<u64>,
    /// What each sink has shipped; absent until it has reported.
    shipped: BTreeMap<String, Option<Position>>,
    asked: u64,
}

impl Retention {
    pub fn new(keep: Option<u64>, recent_ids: usize, sinks: &[String]) -> Self {
        let recent_ids = u64::try_from(recent_ids).unwrap_or(u64::MAX);
        // Without a list nobody knows which sinks are still to come.
        let keep = keep.filter(|_| !sinks.is_empty()).map(|keep| keep.max(recent_ids));
        Self { keep, shipped: sinks.iter().map(|name| (name.clone(), None)).collect(), asked: 0 }
    }

    /// A sink has shipped everything below `position`; returns up to where records may be removed, when that is worth asking.
    pub fn shipped(&mut self, name: &str, position: Position) -> Option<Position> {
        self.shipped.insert(name.to_owned(), Some(position));
        let mut lowest = None;
        for shipped in self.shipped.values() {
            let shipped = (*shipped)?;
            lowest = Some(lowest.map_or(shipped, |lowest: Position| lowest.min(shipped)));
        }
        let below = lowest?.index().saturating_sub(self.keep?);
        if below < self.asked.saturating_add(STEP_RECORDS) {
            return None;
        }
        self.asked = below;
        Some(Position::new(below))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_all_sinks_have_shipped_may_go() {
        let sinks = ["a".to_owned(), "b".to_owned()];
        let mut retention = Retention::new(Some(1000), 10, &sinks);
        let rows =
            [("a", 5000, None), ("b", 1200, None), ("b", 1256, Some(256)), ("b", 9000, Some(4000)), ("a", 5100, None)];
        for (name, position, removable) in rows {
            assert_eq!(
                retention.shipped(name, Position::new(position)),
                removable.map(Position::new),
                "{name} {position}"
            );
        }
        for (keep, recent_ids, sinks, removable) in [
            (None, 10, &sinks[..1], None),
            (Some(0), 10, &[][..], None),
            (Some(0), 400, &sinks[..1], Some(Position::new(600))),
            (Some(0), 400, &sinks[..], None),
        ] {
            let mut retention = Retention::new(keep, recent_ids, sinks);
            assert_eq!(retention.shipped("a", Position::new(1000)), removable, "{keep:?} {sinks:?}");
        }
    }
}
