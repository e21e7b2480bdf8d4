//! The kinds of sinks for call records. A further one is one file here and one line in [`REGISTRY`].

mod json_lines;

use std::fmt::Debug;
use std::sync::Arc;

use cdr_journal::{Sink, SinkError};

use crate::config::{Comment, Faults, Section};

/// Every kind of sink this binary has.
pub const REGISTRY: &[&SinkKind] = &[&json_lines::KIND];

/// One kind of sink.
pub struct SinkKind {
    /// As in `kind = "..."`.
    pub name: &'static str,
    /// Reads a table of this kind; what is wrong with it is reported.
    pub read: fn(&Section<'_>, &mut Faults) -> Option<Arc<dyn SinkConfig>>,
    /// What its keys mean, paths below the table.
    pub comments: &'static [Comment],
    /// A small table of this kind.
    pub example: &'static str,
}

/// A configured sink.
pub trait SinkConfig: Debug + Send + Sync {
    /// Its kind.
    fn kind(&self) -> &'static str;
    /// Its name, unique in the file; it names the checkpoint.
    fn name(&self) -> &str;
    /// The effective configuration.
    fn to_table(&self) -> Result<toml::Table, toml::ser::Error>;
    /// Opens it.
    fn open(&self) -> Result<Box<dyn Sink>, SinkError>;
}
