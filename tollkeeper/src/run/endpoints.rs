//! `endpoints.json` in the data directory: where this process listens, for scripts that chose port 0.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::Context as _;
use serde::Serialize;

/// The addresses in use.
#[derive(Debug, Default, Serialize)]
pub(super) struct Endpoints {
    /// Absent: no core in this process.
    pub(super) grpc: Option<SocketAddr>,
    pub(super) http: Option<SocketAddr>,
}

impl Endpoints {
    /// Replaces the file at once, so that nobody reads half of it.
    pub(super) fn write(&self, data_dir: &Path) -> anyhow::Result<()> {
        let path = data_dir.join("endpoints.json");
        let unfinished = data_dir.join("endpoints.json.unfinished");
        let mut value = serde_json::to_value(self)?;
        if let Some(object) = value.as_object_mut() {
            object.insert("pid".to_owned(), std::process::id().into());
        }
        let written = std::fs::write(&unfinished, value.to_string()).and_then(|()| std::fs::rename(&unfinished, &path));
        written.with_context(|| format!("writing {}", path.display()))
    }
}
