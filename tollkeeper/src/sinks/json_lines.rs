//! `kind = "json-lines"`: a file with one record a line.

use std::path::PathBuf;
use std::sync::Arc;

use cdr_journal::{JsonLinesSink, Sink, SinkError};
use serde::{Deserialize, Serialize};

use super::{SinkConfig, SinkKind};
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
}

fn default_name() -> Box<str> {
    NAME.into()
}

fn read(section: &Section<'_>, faults: &mut Faults) -> Option<Arc<dyn SinkConfig>> {
    let config: JsonLinesConfig = section.read(&["kind"], faults)?;
    if config.path.file_name().is_none() {
        section.report([("path", "must name a file, such as \"records.jsonl\"".to_owned())], faults);
    }
    Some(Arc::new(config))
}

impl SinkConfig for JsonLinesConfig {
    fn kind(&self) -> &'static str {
        NAME
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn to_table(&self) -> Result<toml::Table, toml::ser::Error> {
        toml::Table::try_from(self)
    }

    fn open(&self) -> Result<Box<dyn Sink>, SinkError> {
        Ok(Box::new(JsonLinesSink::open(&*self.name, &self.path)?))
    }
}

const EXAMPLE: &str = r#"[[journal.sink]]
kind = "json-lines"
path = "records.jsonl"
"#;

const COMMENTS: &[Comment] = &[
    Comment::new("kind", "The kind of sink."),
    Comment::new("name", "Names its checkpoint; a to z, 0 to 9, - and _."),
    Comment::new("path", "The file; its directory is created where missing."),
];
