//! The effective configuration as TOML that a person can read and the reader reads again.

use toml::{Table, Value};

use super::Config;
use super::comments::{COMMENTS, Comment};
use crate::{agents, sinks};

/// See [`Config::to_toml`].
pub(super) fn commented(config: &Config) -> Result<String, toml::ser::Error> {
    let mut printer = Printer { text: String::new(), comments: COMMENTS.to_vec() };
    printer.table("", "", &Table::try_from(&config.top)?);
    printer.header("log", "log", &Table::try_from(&config.log)?);
    printer.header("http", "http", &Table::try_from(&config.http)?);
    printer.core(config)?;
    printer.header("charging", "charging", &Table::try_from(&config.charging)?);
    printer.header("journal", "journal", &Table::try_from(&config.journal)?);
    for sink in &config.sinks {
        let kind = sinks::REGISTRY.iter().find(|kind| kind.name == sink.kind());
        let own = kind.map_or(&[][..], |kind| kind.comments);
        printer.element("journal.sink", sink.kind(), sink.to_table()?, [own, sinks::COMMENTS].concat());
    }
    if config.sinks.is_empty() {
        printer.examples("journal.sink", sinks::REGISTRY.iter().map(|kind| kind.example));
    }
    for agent in &config.agents {
        let kind = agents::REGISTRY.iter().find(|kind| kind.name == agent.kind());
        let own = kind.map_or(&[][..], |kind| kind.comments);
        printer.element("agent", agent.kind(), agent.to_table()?, [own, agents::COMMENTS].concat());
    }
    if config.agents.is_empty() {
        printer.examples("agent", agents::REGISTRY.iter().map(|kind| kind.example));
    }
    Ok(printer.text)
}

struct Printer {
    text: String,
    comments: Vec<Comment>,
}

impl Printer {
    fn core(&mut self, config: &Config) -> Result<(), toml::ser::Error> {
        let defaults = charging_server::CoreConfig::default();
        let mut table = Table::new();
        table.insert("enabled".to_owned(), Value::Boolean(config.core.is_some()));
        table.extend(Table::try_from(config.core.as_ref().unwrap_or(&defaults))?);
        self.header("core", "core", &table);
        Ok(())
    }

    /// An element of a list of tables of a kind, with the comments of that kind.
    fn element(&mut self, path: &str, kind: &str, rest: Table, comments: Vec<Comment>) {
        let mut table = Table::new();
        table.insert("kind".to_owned(), Value::String(kind.to_owned()));
        table.extend(rest);
        self.text.push('\n');
        self.comment(path);
        self.line(&format!("[[{path}]]"));
        let outer = std::mem::replace(&mut self.comments, comments);
        self.table(path, "", &table);
        self.comments = outer;
    }

    fn examples(&mut self, path: &str, examples: impl Iterator<Item = &'static str>) {
        for example in examples {
            self.text.push('\n');
            self.comment(path);
            for line in example.lines() {
                self.line(&format!("#{line}"));
            }
        }
    }

    /// `[path]` and what is in it. `meaning` is the path in the comments.
    fn header(&mut self, path: &str, meaning: &str, table: &Table) {
        self.text.push('\n');
        self.comment(meaning);
        self.line(&format!("[{path}]"));
        self.table(path, meaning, table);
    }

    /// Simple values first, then what is absent, then the tables below.
    fn table(&mut self, path: &str, meaning: &str, table: &Table) {
        // A dot within a name is no step of the path.
        let below = |key: &str| {
            let key = key.replace('.', "_");
            if meaning.is_empty() { key } else { format!("{meaning}.{key}") }
        };
        for (name, value) in table.iter().filter(|(_, value)| !is_table(value)) {
            self.comment(&below(name));
            self.line(&format!("{} = {value}", key(name)));
        }
        self.absent(meaning, table);
        for (name, value) in table {
            let deeper = if path.is_empty() { key(name) } else { format!("{path}.{}", key(name)) };
            match value {
                Value::Table(inner) if !inner.is_empty() => self.header(&deeper, &below(name), inner),
                Value::Array(elements) if is_table(value) => {
                    for element in elements.iter().filter_map(Value::as_table) {
                        self.text.push('\n');
                        self.comment(&below(name));
                        self.line(&format!("[[{deeper}]]"));
                        self.table(&deeper, &below(name), element);
                    }
                }
                _ => {}
            }
        }
    }

    fn absent(&mut self, meaning: &str, table: &Table) {
        let prefix = if meaning.is_empty() { String::new() } else { format!("{meaning}.") };
        for comment in self.comments.clone() {
            let name = comment.key.strip_prefix(&*prefix).filter(|name| !name.contains('.'));
            if let (Some(name), Some(example)) = (name, comment.example)
                && !table.contains_key(name)
            {
                self.comment(comment.key);
                self.line(&format!("#{name} = {example}"));
            }
        }
    }

    fn comment(&mut self, meaning: &str) {
        let fitting = self.comments.iter().find(|comment| fits(comment.key, meaning));
        if let Some(text) = fitting.map(|comment| comment.text) {
            self.line(&format!("# {text}"));
        }
    }

    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }
}

fn is_table(value: &Value) -> bool {
    match value {
        Value::Table(_) => true,
        Value::Array(elements) => !elements.is_empty() && elements.iter().all(Value::is_table),
        _ => false,
    }
}

/// Whether a comment's path, with its `*`, is this one.
fn fits(pattern: &str, path: &str) -> bool {
    let (mut wanted, mut found) = (pattern.split('.'), path.split('.'));
    loop {
        match (wanted.next(), found.next()) {
            (None, None) => return true,
            (Some(wanted), Some(found)) if wanted == "*" || wanted == found => {}
            _ => return false,
        }
    }
}

/// A key as TOML writes it.
fn key(name: &str) -> String {
    let bare = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
    if bare { name.to_owned() } else { Value::String(name.to_owned()).to_string() }
}
