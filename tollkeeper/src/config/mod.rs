//! The configuration file: one TOML file for everything a process runs. Unknown keys are refused, and one reading finds
//! all mistakes. Each crate owns its table; this module joins them.

mod comments;
mod document;
mod fault;
mod print;
mod sections;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use charging_server::CoreConfig;

pub use comments::Comment;
pub use document::Section;
pub use fault::{Fault, Faults};
pub use sections::{ChargingConfig, HttpConfig, JournalConfig, LogConfig, LogFormat, TopLevel};

use crate::agents::{self, AgentConfig};
use crate::sinks::{self, ConfiguredSink};

/// The effective configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// What stands above all tables.
    pub top: TopLevel,
    /// `[log]`
    pub log: LogConfig,
    /// `[http]`
    pub http: HttpConfig,
    /// `[core]`; absent: this process has none.
    pub core: Option<CoreConfig>,
    /// `[charging]`
    pub charging: ChargingConfig,
    /// `[journal]`
    pub journal: JournalConfig,
    /// `[[journal.sink]]`
    pub sinks: Vec<Arc<ConfiguredSink>>,
    /// `[[agent]]`
    pub agents: Vec<Arc<dyn AgentConfig>>,
}

impl Default for Config {
    /// Without a file: the core on loopback, nothing else.
    fn default() -> Self {
        Self {
            top: TopLevel::default(),
            log: LogConfig::default(),
            http: HttpConfig::default(),
            core: Some(CoreConfig::default()),
            charging: ChargingConfig::default(),
            journal: JournalConfig::default(),
            sinks: Vec::new(),
            agents: Vec::new(),
        }
    }
}

impl Config {
    /// Reads a file, or takes the defaults when there is none to read.
    ///
    /// # Errors
    /// All mistakes of the file.
    pub fn load(file: Option<&Path>) -> Result<Self, Faults> {
        let Some(file) = file else { return Ok(Self::default()) };
        let mut faults = Faults::new(file);
        match std::fs::read_to_string(file) {
            Ok(text) => Self::parse(&text, faults),
            Err(error) => {
                faults.push(None, "", format!("cannot be read: {error}; name another file with -c"));
                Err(faults)
            }
        }
    }

    /// Reads the text of a file; `faults` names the file.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn parse(text: &str, mut faults: Faults) -> Result<Self, Faults> {
        let read = Section::parse(text, &mut faults).and_then(|root| Self::read(root, &mut faults));
        match read {
            Some(config) if faults.is_empty() => Ok(config),
            _ => Err(faults.sorted()),
        }
    }

    /// The journal's directory.
    pub fn journal_dir(&self) -> PathBuf {
        self.journal.dir.clone().unwrap_or_else(|| self.top.data_dir.join("journal"))
    }

    /// Whether this process writes or ships records.
    pub fn has_journal(&self) -> bool {
        !self.agents.is_empty() || !self.sinks.is_empty()
    }

    /// The effective configuration as TOML with comments, which reads as the same again.
    ///
    /// # Errors
    /// When a value has no form in TOML.
    pub fn to_toml(&self) -> Result<String, toml::ser::Error> {
        print::commented(self)
    }

    fn read(mut root: Section<'_>, faults: &mut Faults) -> Option<Self> {
        let core = read_core(&mut root, faults);
        let log = table(&mut root, "log", |log: &LogConfig| log.faults(), faults);
        let http = table(&mut root, "http", |_: &HttpConfig| Vec::<(&str, String)>::new(), faults);
        let charging = table(&mut root, "charging", ChargingConfig::faults, faults);
        let (journal, sinks) = read_journal(&mut root, faults);
        let agents = read_agents(&mut root, faults);
        let top: Option<TopLevel> = root.read(TABLES, faults);
        if let Some(top) = &top {
            root.report(top.faults(), faults);
        }
        let config = Self {
            top: top?,
            log: log?,
            http: http?,
            core: core?,
            charging: charging?,
            journal: journal?,
            sinks: sinks?,
            agents: agents?,
        };
        config.check_whole(&root, faults);
        Some(config)
    }

    /// What only shows when the tables are seen together.
    fn check_whole(&self, root: &Section<'_>, faults: &mut Faults) {
        if self.core.is_none() && !self.has_journal() {
            let text = "there is nothing to run: add [core], [[agent]] or [[journal.sink]]";
            faults.push(None, "", text);
        }
        if self.core.is_none() && !self.agents.is_empty() && self.charging.addresses.is_empty() {
            let text = "is missing: the agents need a core; add [core], or addresses = [\"http://host:7440\"] of one elsewhere";
            root.report([("charging.addresses", text.to_owned())], faults);
        }
    }
}

/// Tables beside the keys of [`TopLevel`].
const TABLES: &[&str] = &["log", "http", "core", "charging", "journal", "agent"];

/// A table of one type, or its defaults.
fn table<T, K>(
    root: &mut Section<'_>,
    key: &str,
    wrong: impl FnOnce(&T) -> Vec<(K, String)>,
    faults: &mut Faults,
) -> Option<T>
where
    T: serde::de::DeserializeOwned + Default,
    K: AsRef<str>,
{
    if !root.has(key) {
        return Some(T::default());
    }
    let section = root.take_table(key, faults)?;
    let value: T = section.read(&[], faults)?;
    section.report(wrong(&value), faults);
    Some(value)
}

fn read_core(root: &mut Section<'_>, faults: &mut Faults) -> Option<Option<CoreConfig>> {
    if !root.has("core") {
        return Some(None);
    }
    let mut section = root.take_table("core", faults)?;
    let enabled = if section.has("enabled") { section.take("enabled", faults) } else { Some(true) };
    let core: CoreConfig = section.read(&["enabled"], faults)?;
    section.report(core.faults(), faults);
    enabled.map(|enabled: bool| enabled.then_some(core))
}

type Sinks = Vec<Arc<ConfiguredSink>>;

fn read_journal(root: &mut Section<'_>, faults: &mut Faults) -> (Option<JournalConfig>, Option<Sinks>) {
    if !root.has("journal") {
        return (Some(JournalConfig::default()), Some(Vec::new()));
    }
    let Some(mut section) = root.take_table("journal", faults) else { return (None, None) };
    let tables = section.take_tables("sink", faults);
    let (mut names, mut places) = (Vec::new(), Vec::new());
    let sinks = tables.into_iter().map(|mut table| {
        let kind = kind(&mut table, sinks::REGISTRY.iter().map(|kind| (kind.name, *kind)), faults)?;
        let sink = ConfiguredSink::read(kind, &mut table, faults)?;
        unique(&table, "name", sink.name(), &mut names, faults);
        if let Some(key) = sink.own.alone_at() {
            let place = (sink.kind(), sink.own.destination());
            if places.contains(&place) {
                let text = format!("\"{}\" is another sink's, too; they would cut each other's records", place.1);
                table.report([(key, text)], faults);
            }
            places.push(place);
        }
        Some(Arc::new(sink))
    });
    // All of them are read before any is missed.
    let sinks: Vec<_> = sinks.collect();
    let journal: Option<JournalConfig> = section.read(&["sink"], faults);
    if let Some(journal) = &journal {
        section.report(journal.faults(), faults);
    }
    (journal, sinks.into_iter().collect())
}

fn read_agents(root: &mut Section<'_>, faults: &mut Faults) -> Option<Vec<Arc<dyn AgentConfig>>> {
    let (mut names, mut switches) = (Vec::new(), Vec::new());
    let tables = root.take_tables("agent", faults);
    let agents = tables.into_iter().map(|mut table| {
        let read = kind(&mut table, agents::REGISTRY.iter().map(|kind| (kind.name, kind.read)), faults)?;
        let agent = read(&table, faults)?;
        unique(&table, "name", agent.name(), &mut names, faults);
        let of_others = switches.len();
        for (index, switch) in agent.switches().into_iter().enumerate() {
            let key = format!("switches[{index}].name");
            if switches.iter().take(of_others).any(|other: &String| other == switch) {
                table.report([(key, format!("\"{switch}\" is the name of another agent's switch, too; records and metrics need a name of its own"))], faults);
            }
            switches.push(switch.to_owned());
        }
        Some(agent)
    });
    let agents: Vec<_> = agents.collect();
    agents.into_iter().collect()
}

/// What reads a table of the kind that it says it is.
fn kind<'r, R: 'r>(
    table: &mut Section<'_>,
    registry: impl Iterator<Item = (&'r str, R)>,
    faults: &mut Faults,
) -> Option<R> {
    let mut registry: Vec<(&str, R)> = registry.collect();
    let names: Vec<&str> = registry.iter().map(|(name, _)| *name).collect();
    if !table.has("kind") {
        table.report([("kind", format!("is missing; add one of: {}", names.join(", ")))], faults);
        return None;
    }
    let place = table.place_of("kind");
    let wanted: String = table.take("kind", faults)?;
    match registry.iter().position(|(name, _)| *name == wanted) {
        Some(at) => Some(registry.swap_remove(at).1),
        None => {
            faults.push(Some(place), table.key_path("kind"), fault::unknown("kind", &wanted, &names));
            None
        }
    }
}

/// Names become directories and labels: they must be plain, and different.
fn unique(table: &Section<'_>, key: &str, name: &str, taken: &mut Vec<String>, faults: &mut Faults) {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.len() > 64 || name.starts_with('.') || !name.chars().all(plain) {
        let text = "must be 1 to 64 letters, digits, - and _".to_owned();
        table.report([(key, text)], faults);
    }
    if taken.iter().any(|other| other == name) {
        table.report([(key, format!("\"{name}\" stands twice; choose another name"))], faults);
    }
    taken.push(name.to_owned());
}
