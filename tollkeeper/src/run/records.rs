//! The journal and the shippers of its sinks.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use cdr_journal::{Journal, JournalSource, Shipped, Shipper, ShipperOptions};
use segment_log::{DirStorage, Storage};
use tracing::info;

use crate::config::Config;

/// What keeps and ships records.
pub(super) struct Records {
    pub(super) directory: PathBuf,
    pub(super) journal: Arc<Journal>,
    pub(super) shippers: Vec<(String, Shipper)>,
}

impl Records {
    /// Opens the journal and starts a shipper for each sink.
    pub(super) fn start(config: &Config) -> anyhow::Result<Self> {
        let directory = config.journal_dir();
        let sinks = config.sinks.iter().map(|sink| sink.name().to_owned()).collect();
        let (journal, recovered) = Journal::open(&directory, config.journal.options(sinks))
            .with_context(|| format!("journal in {}; is another process writing it?", directory.display()))?;
        info!(
            directory = %directory.display(),
            records = recovered.log.next.index().saturating_sub(recovered.log.first.index()),
            "journal started"
        );
        let mut shippers = Vec::new();
        for sink in &config.sinks {
            let what = || format!("sink {}", sink.name());
            let opened = sink.open().with_context(what)?;
            let checkpoints: Arc<dyn Storage> = Arc::new(DirStorage::create_dir(&directory).with_context(what)?);
            let source = JournalSource::of(&journal);
            let shipper = Shipper::start(source, checkpoints, opened, ShipperOptions::default()).with_context(what)?;
            info!(sink = sink.name(), kind = sink.kind(), "shipper started");
            shippers.push((sink.name().to_owned(), shipper));
        }
        Ok(Self { directory, journal: Arc::new(journal), shippers })
    }

    /// Takes no more records, and ships those that are there for at most `grace`. Blocks. Returns what was left.
    pub(super) fn close(&self, grace: Duration) -> Vec<String> {
        let mut left = Vec::new();
        if let Err(error) = self.journal.close() {
            left.push(format!("the journal in {} had stopped: {error}", self.directory.display()));
        }
        let until = std::time::Instant::now() + grace;
        for (name, shipper) in &self.shippers {
            let grace = until.saturating_duration_since(std::time::Instant::now());
            match shipper.close(grace) {
                Ok(Shipped { backlog: 0, .. }) => info!(sink = name, "everything is shipped"),
                Ok(Shipped { backlog, .. }) => {
                    left.push(format!("{backlog} records for sink {name}, which stay in the journal"))
                }
                Err(error) => left.push(format!(
                    "records for sink {name}, which stay in the journal: {:#}",
                    anyhow::Error::new(error)
                )),
            }
        }
        left
    }
}
