//! The kinds of sinks for call records. A further one is one file here and one line in [`REGISTRY`]; what all of them have
//! (what they may see, when somebody must look) is read in `shared`.

mod json_lines;
mod kinesis;
mod report;
mod s3;
mod shared;

use std::fmt::Debug;
use std::sync::Arc;

use cdr_journal::{Sink, SinkError};

use crate::config::{Comment, Faults, Section};
pub use report::{Alarm, Counts, SinkReport, SinksAnswer, TroubleReport};
pub use shared::{COMMENTS, Shared};

/// Every kind of sink this binary has.
pub const REGISTRY: &[&SinkKind] = &[&json_lines::KIND, &kinesis::KIND, &s3::KIND];

/// One kind of sink.
pub struct SinkKind {
    /// As in `kind = "..."`.
    pub name: &'static str,
    /// Reads what is the kind's own in a table; what is wrong with it is reported.
    pub read: fn(&mut Section<'_>, &mut Faults) -> Option<Arc<dyn SinkConfig>>,
    /// What its keys mean, paths below the table.
    pub comments: &'static [Comment],
    /// A small table of this kind.
    pub example: &'static str,
}

/// What is a kind's own in a configured sink.
pub trait SinkConfig: Debug + Send + Sync {
    /// Its kind.
    fn kind(&self) -> &'static str;
    /// Its name, unique in the file; it names the checkpoint.
    fn name(&self) -> &str;
    /// Where the records go, for people.
    fn destination(&self) -> String;
    /// The key whose value no other sink may have: they would destroy each other's records.
    fn alone_at(&self) -> Option<&'static str> {
        None
    }
    /// The effective configuration.
    fn to_table(&self) -> Result<toml::Table, toml::ser::Error>;
    /// Opens it; must not need the network.
    fn open(&self) -> Result<Box<dyn Sink>, SinkError>;
}

/// A configured sink.
#[derive(Debug)]
pub struct ConfiguredSink {
    /// The kind's own.
    pub own: Arc<dyn SinkConfig>,
    /// What all have.
    pub shared: Shared,
}

impl ConfiguredSink {
    /// Reads a table whose `kind` was taken out; what is wrong is reported.
    pub fn read(kind: &SinkKind, section: &mut Section<'_>, faults: &mut Faults) -> Option<Self> {
        let shared = Shared::take(section, faults);
        let own = (kind.read)(section, faults)?;
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
        if own.name().is_empty() || own.name().len() > 64 || !own.name().chars().all(plain) {
            section.report([("name", "must be 1 to 64 of a-z, 0-9, - and _: it names a file".to_owned())], faults);
        }
        Some(Self { own, shared: shared? })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.own.name()
    }

    /// Its kind.
    pub fn kind(&self) -> &'static str {
        self.own.kind()
    }

    /// The effective configuration.
    ///
    /// # Errors
    /// When a value has no form in TOML.
    pub fn to_table(&self) -> Result<toml::Table, toml::ser::Error> {
        let mut table = self.own.to_table()?;
        table.extend(self.shared.to_table()?);
        Ok(table)
    }
}

/// A table of a crate's own type, without the name, which is ours.
fn named<T: serde::de::DeserializeOwned>(
    section: &mut Section<'_>,
    default: &str,
    faults: &mut Faults,
) -> Option<(Box<str>, T)> {
    // The table keeps its name, so that mistakes about it can be placed.
    let mut rest = section.clone();
    let name = if rest.has("name") { rest.take("name", faults) } else { Some(default.into()) };
    let value = rest.read(shared::KEYS, faults);
    Some((name?, value?))
}

/// With the name in front.
fn to_named_table(name: &str, value: &impl serde::Serialize) -> Result<toml::Table, toml::ser::Error> {
    let mut table = toml::Table::new();
    table.insert("name".to_owned(), name.into());
    table.extend(toml::Table::try_from(value)?);
    Ok(table)
}
