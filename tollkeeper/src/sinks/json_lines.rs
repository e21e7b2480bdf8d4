//! `kind = "json-lines"`: files with one record a line.

use std::path::PathBuf;
use std::sync::Arc;

use cdr_journal::{JsonLinesSink, Rotation, Sink, SinkError};
use serde::{Deserialize, Serialize};
use types::ConfigDuration;

use super::{SinkConfig, SinkKind, shared};
use crate::config::{Comment, Faults, Section};

/// The kind.
pub static KIND: SinkKind = SinkKind { name: NAME, read, comments: COMMENTS, example: EXAMPLE };

const NAME: &str = "json-lines";

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonLinesConfig {
    #[serde(default = "default_name")]
    name: Box<str>,
    path: PathBuf,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_bytes: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_age: Option<ConfigDuration>,
    #[serde(default)]
    gzip: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    keep_files: Option<usize>,
}

fn default_name() -> Box<str> {
    NAME.into()
}

fn read(section: &mut Section<'_>, faults: &mut Faults) -> Option<Arc<dyn SinkConfig>> {
    let config: JsonLinesConfig = section.read(shared::KEYS, faults)?;
    let mut wrong = Vec::new();
    if config.path.file_name().and_then(|name| name.to_str()).is_none() {
        wrong.push(("path", "must name a file, such as \"records.jsonl\"".to_owned()));
    }
    if config.max_bytes.is_some_and(|bytes| bytes < LEAST_BYTES) {
        wrong.push(("max_bytes", format!("must be at least {LEAST_BYTES}")));
    }
    if config.max_age.is_some_and(|age| age.ms() < 1000) {
        wrong.push(("max_age", "must be at least 1s".to_owned()));
    }
    if config.keep_files == Some(0) {
        wrong.push(("keep_files", "must be at least 1; without it all files stay".to_owned()));
    }
    if (config.gzip || config.keep_files.is_some()) && !config.rotation().is_on() {
        let key = if config.gzip { "gzip" } else { "keep_files" };
        wrong.push((key, "needs max_bytes or max_age: without them no file is ever closed".to_owned()));
    }
    section.report(wrong, faults);
    Some(Arc::new(config))
}

impl JsonLinesConfig {
    fn rotation(&self) -> Rotation {
        let Self { max_bytes, max_age, gzip, keep_files, .. } = self;
        Rotation { max_bytes: *max_bytes, max_age: *max_age, gzip: *gzip, keep_files: *keep_files }
    }
}

impl SinkConfig for JsonLinesConfig {
    fn kind(&self) -> &'static str {
        NAME
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn destination(&self) -> String {
        self.path.display().to_string()
    }

    fn alone_at(&self) -> Option<&'static str> {
        Some("path")
    }

    fn to_table(&self) -> Result<toml::Table, toml::ser::Error> {
        toml::Table::try_from(self)
    }

    fn open(&self) -> Result<Box<dyn Sink>, SinkError> {
        Ok(Box::new(JsonLinesSink::open(&*self.name, &self.path)?.rotating(self.rotation())))
    }
}

/// A file of a few records makes more files than anybody wants.
const LEAST_BYTES: u64 = 64 * 1024;

const EXAMPLE: &str = r#"[[journal.sink]]
kind = "json-lines"
path = "records.jsonl"
"#;

const COMMENTS: &[Comment] = &[
    Comment::new("kind", "The kind of sink."),
    Comment::new("name", "Names its checkpoint; a to z, 0 to 9, - and _."),
    Comment::new("path", "The file; its directory is created where missing."),
    Comment::optional(
        "max_bytes",
        "The file is closed before it becomes longer than this, in octets, and gets the time and its first position into its name. Absent: no limit.",
        "104857600",
    ),
    Comment::optional(
        "max_age",
        "The file is closed when a record comes and it was begun so long ago. Absent: never.",
        "\"1h\"",
    ),
    Comment::new("gzip", "Closed files are compressed."),
    Comment::optional("keep_files", "So many closed files stay, the latest. Absent: all.", "168"),
];
