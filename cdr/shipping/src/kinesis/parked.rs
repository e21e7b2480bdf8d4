//! Records that the stream can never take: kept as lines in a file beside the checkpoint, for people to look at.

use std::io;
use std::sync::Arc;

use cdr_journal::{Operation, SinkError, Storage, StorageFile};
use types::ErrorClass;

#[derive(Debug)]
pub(super) struct Parked {
    storage: Option<Arc<dyn Storage>>,
    file_name: String,
}

/// There is a record that the stream cannot take, and no directory to keep it in.
#[derive(Debug, thiserror::Error)]
#[error("record is too large for the stream and there is no directory to park it in")]
struct NoDirectory;

impl Parked {
    pub fn new(sink: &str) -> Self {
        Self { storage: None, file_name: format!("{sink}.parked.jsonl") }
    }

    pub fn keep_in(&mut self, storage: Arc<dyn Storage>) {
        self.storage = Some(storage);
    }

    pub fn file_name(&self) -> &str {
        &self.file_name
    }

    /// Appends a record, durably. After a crash it may be there twice; a line that a crash cut short stands alone.
    pub fn keep(&self, json: &[u8]) -> Result<(), SinkError> {
        let Some(storage) = &self.storage else {
            return Err(SinkError::Destination { class: ErrorClass::Refused, source: Box::new(NoDirectory) });
        };
        let failed = |operation| {
            let file = storage.path(&self.file_name);
            move |source| SinkError::Io { operation, file, source }
        };
        let file = match storage.open(&self.file_name, true) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let file = storage.create(&self.file_name).map_err(failed(Operation::Create))?;
                storage.sync_dir().map_err(failed(Operation::SyncDir))?;
                file
            }
            other => other.map_err(failed(Operation::Open))?,
        };
        let length = file.length().map_err(failed(Operation::Read))?;
        let mut line = Vec::with_capacity(json.len() + 2);
        if !ends_well(file.as_ref(), length).map_err(failed(Operation::Read))? {
            line.push(b'\n');
        }
        line.extend_from_slice(json);
        line.push(b'\n');
        file.write_at(&line, length).map_err(failed(Operation::Write))?;
        file.sync_data().map_err(failed(Operation::Sync))
    }
}

fn ends_well(file: &dyn StorageFile, length: u64) -> io::Result<bool> {
    let mut last = [b'\n'];
    if let Some(before) = length.checked_sub(1) {
        file.read_at(&mut last, before)?;
    }
    Ok(last == [b'\n'])
}

#[cfg(test)]
mod tests {
    use segment_log::fault::{Failure, FaultStorage};

    use super::*;

    #[test]
    fn lines_stand_alone_and_a_failure_is_told() {
        let disk = FaultStorage::new();
        let mut parked = Parked::new("k");
        assert_eq!(parked.keep(b"{}").unwrap_err().class(), ErrorClass::Refused, "nowhere to keep it");
        parked.keep_in(Arc::new(disk.clone()));
        parked.keep(b"{1}").unwrap();
        parked.keep(b"{2}").unwrap();
        disk.fail_nth(Operation::Write, 1, Failure::NoSpace);
        assert_eq!(parked.keep(b"{three}").unwrap_err().class(), ErrorClass::Retry);
        parked.keep(b"{4}").unwrap();
        assert_eq!(disk.content("k.parked.jsonl").unwrap(), b"{1}\n{2}\n{thr\n{4}\n");
    }
}
