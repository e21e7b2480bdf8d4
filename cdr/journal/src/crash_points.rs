//! Every place where a stopped process leaves files behind, by name. Each row is two points: before the operation and right after it.
//! The tests stop the process at all of them; one test proves that nothing the journal does to its files is missing here, and that no
//! row is idle.

use segment_log::Operation;

/// A change that the journal makes to its directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CrashPoint {
    /// What is being done.
    pub name: &'static str,
    /// To a file.
    pub operation: Operation,
    /// The file's name, or `*` and its end; empty for the directory.
    pub file: &'static str,
}

impl CrashPoint {
    /// Whether this is that operation on that file.
    #[must_use]
    pub fn is(&self, operation: Operation, file: &str) -> bool {
        let fits = match self.file.strip_prefix('*') {
            Some(end) => file.ends_with(end),
            None => file == self.file,
        };
        self.operation == operation && fits
    }
}

const fn row(name: &'static str, operation: Operation, file: &'static str) -> CrashPoint {
    CrashPoint { name, operation, file }
}

/// All of them. Files of sinks are not the journal's.
pub const CRASH_POINTS: &[CrashPoint] = &[
    row("segment begun", Operation::Create, "*.seg.tmp"),
    row("segment's space reserved", Operation::Allocate, "*.seg.tmp"),
    row("segment's header written", Operation::Write, "*.seg.tmp"),
    row("segment's header synced", Operation::Sync, "*.seg.tmp"),
    row("segment named", Operation::Rename, "*.seg"),
    row("segment that found no space removed", Operation::Remove, "*.seg.tmp"),
    row("more space reserved", Operation::Allocate, "*.seg"),
    row("batch written", Operation::Write, "*.seg"),
    row("batch synced, or segment ended", Operation::Sync, "*.seg"),
    row("segment cut to its records", Operation::SetLen, "*.seg"),
    row("shipped segment removed", Operation::Remove, "*.seg"),
    row("mark made", Operation::Create, "MARK"),
    row("mark moved", Operation::Write, "MARK"),
    row("mark synced at opening", Operation::Sync, "MARK"),
    row("names synced", Operation::SyncDir, ""),
    row("archive begun", Operation::Create, "*.jsonl.gz.tmp"),
    row("archive's member written", Operation::Write, "*.jsonl.gz.tmp"),
    row("archive synced", Operation::Sync, "*.jsonl.gz.tmp"),
    row("archive named", Operation::Rename, "*.jsonl.gz"),
    row("archive that failed removed", Operation::Remove, "*.jsonl.gz.tmp"),
    row("old archive removed", Operation::Remove, "*.jsonl.gz"),
    row("checkpoint begun", Operation::Create, "*.checkpoint.tmp"),
    row("checkpoint written", Operation::Write, "*.checkpoint.tmp"),
    row("checkpoint synced", Operation::Sync, "*.checkpoint.tmp"),
    row("checkpoint replaced", Operation::Rename, "*.checkpoint"),
    row("space probed", Operation::Create, "space.probe"),
    row("probe's space reserved", Operation::Allocate, "space.probe"),
    row("probe removed", Operation::Remove, "space.probe"),
];
