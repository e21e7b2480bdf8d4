//! When the next snapshot is due: never before so many log records, and not before the log since the last one takes a stated
//! share of what that one takes. So a snapshot costs no more than the log that it replaces, however large the books are, and a
//! start reads little more than twice the snapshot.

use segment_log::Position;

/// What the ledger's thread knows of snapshots. Octets count once they are durable.
#[derive(Debug, Clone, Copy)]
pub(super) struct Schedule {
    /// Fewest records between two snapshots.
    pub(super) records: u64,
    /// What the log must take, in hundredths of the last snapshot. Zero: the records alone count.
    pub(super) percent: u64,
    /// Where the last snapshot stands, or was tried.
    pub(super) at: Position,
    /// Of the log since then.
    pub(super) log_octets: u64,
}

impl Schedule {
    /// True when a snapshot may be made at `durable`, after one of `snapshot_octets`.
    pub(super) fn is_due(&self, durable: Position, snapshot_octets: u64) -> bool {
        self.has(1, durable, snapshot_octets)
    }

    /// What to do about snapshots at `durable`, after one of `snapshot_octets` and while one `is_made` or not.
    pub(super) fn wants(&self, durable: Position, snapshot_octets: u64, is_made: bool) -> Wanted {
        // So much that one must be made soon: there was much else to do.
        let late = self.has(LATE, durable, snapshot_octets);
        match is_made {
            true if late => Wanted::Hurry,
            false if late => Wanted::Urgent,
            false if self.is_due(durable, snapshot_octets) => Wanted::Snapshot,
            _ => Wanted::Nothing,
        }
    }

    /// One is made at `durable`. Should it fail, the next one is due after as much again.
    pub(super) fn begin(&mut self, durable: Position) {
        self.at = durable;
        self.log_octets = 0;
    }

    /// Log records that a start would read behind a snapshot, at `durable`.
    pub(super) fn records_since(&self, durable: Position) -> u64 {
        durable.index().saturating_sub(self.at.index())
    }

    fn has(&self, times: u64, durable: Position, snapshot_octets: u64) -> bool {
        let octets = snapshot_octets / 100 * self.percent;
        self.records_since(durable) >= self.records.saturating_mul(times)
            && self.log_octets >= octets.saturating_mul(times)
    }
}

/// What is to be done about snapshots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    Nothing,
    /// One that stands back behind everything else.
    Snapshot,
    /// One that does not.
    Urgent,
    /// The one in the making stands back no longer.
    Hurry,
}

/// Times what makes a snapshot due.
const LATE: u64 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distance_grows_with_the_snapshot_and_never_falls_below_the_records() {
        let rows = [
            // records, octets of the log; percent, octets of the snapshot; wanted, and while one is made
            (99, 1_000_000, 100, 0, Wanted::Nothing, Wanted::Nothing),
            (100, 0, 100, 0, Wanted::Snapshot, Wanted::Nothing),
            (200, 0, 100, 0, Wanted::Urgent, Wanted::Hurry),
            (100, 9_999, 100, 10_000, Wanted::Nothing, Wanted::Nothing),
            (1_000, 10_000, 100, 10_000, Wanted::Snapshot, Wanted::Nothing),
            (199, 20_000, 100, 10_000, Wanted::Snapshot, Wanted::Nothing),
            (200, 20_000, 100, 10_000, Wanted::Urgent, Wanted::Hurry),
            (1_000, 20_000, 300, 10_000, Wanted::Nothing, Wanted::Nothing),
            (1_000, 30_000, 300, 10_000, Wanted::Snapshot, Wanted::Nothing),
            (1_000, 0, 0, 10_000, Wanted::Urgent, Wanted::Hurry),
        ];
        for (records, log_octets, percent, snapshot_octets, wanted, meanwhile) in rows {
            let schedule = Schedule { records: 100, percent, at: Position::new(7), log_octets };
            let durable = Position::new(7 + records);
            let found = [false, true].map(|is_made| schedule.wants(durable, snapshot_octets, is_made));
            assert_eq!(found, [wanted, meanwhile], "{records} {log_octets} {percent} {snapshot_octets}");
            assert_eq!(schedule.is_due(durable, snapshot_octets), wanted != Wanted::Nothing);
        }
        let mut schedule = Schedule { records: 100, percent: 100, at: Position::ZERO, log_octets: 5_000 };
        schedule.begin(Position::new(300));
        assert!(!schedule.is_due(Position::new(399), 0) && schedule.is_due(Position::new(400), 0));
        assert!(!schedule.is_due(Position::new(400), 5_000), "what was before does not count again");
    }
}
