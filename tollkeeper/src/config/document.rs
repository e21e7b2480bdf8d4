//! Tables of a configuration file with their places, and reading them into types in such a way that one reading finds
//! all mistakes: what a type refuses is reported, taken out of the table, and the table is read again.

use std::ops::Range;

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::fault::{Faults, explain, line_and_column};

/// One table of the file, with its path in it.
#[derive(Debug, Clone)]
pub struct Section<'t> {
    text: &'t str,
    path: String,
    table: Spanned<DeTable<'t>>,
}

/// A step on the way to a value.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Key(String),
    Index(usize),
}

impl<'t> Section<'t> {
    /// The whole file. Faults of syntax are all reported, and nothing is read then.
    pub fn parse(text: &'t str, faults: &mut Faults) -> Option<Self> {
        let (table, errors) = DeTable::parse_recoverable(text);
        for error in &errors {
            let place = error.span().map(|span| line_and_column(text, span.start));
            faults.push(place, "", error.message().replace('\n', ", "));
        }
        errors.is_empty().then_some(Self { text, path: String::new(), table })
    }

    /// The path of a key of this table.
    pub fn key_path(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// Line and column of the value at a path below this table, such as `calls.slice` or `switches[0].name`; of the
    /// nearest table around it when it is not in the file.
    pub fn place_of(&self, path: &str) -> (usize, usize) {
        let mut offset = self.table.span().start;
        let mut steps = path.split(['.', '[']).filter(|step| !step.is_empty());
        let mut value = steps.next().and_then(|key| self.table.get_ref().get(key));
        while let Some(found) = value {
            offset = found.span().start;
            value = match (found.get_ref(), steps.next()) {
                (DeValue::Table(table), Some(key)) => table.get(key),
                (DeValue::Array(elements), Some(index)) => {
                    index.trim_end_matches(']').parse::<usize>().ok().and_then(|index| elements.get(index))
                }
                _ => None,
            };
        }
        line_and_column(self.text, offset)
    }

    /// Reports what is wrong with values below this table: path and remedy.
    pub fn report(&self, wrong: impl IntoIterator<Item = (impl AsRef<str>, String)>, faults: &mut Faults) {
        for (key, text) in wrong {
            faults.push(Some(self.place_of(key.as_ref())), self.key_path(key.as_ref()), text);
        }
    }

    /// Takes a table out of this one; absent, or reported when it is no table.
    pub fn take_table(&mut self, key: &str, faults: &mut Faults) -> Option<Self> {
        let (path, value) = (self.key_path(key), self.table.get_mut().remove(key)?);
        self.section(path, value, faults)
    }

    /// Takes a list of tables out of this one; empty when absent.
    pub fn take_tables(&mut self, key: &str, faults: &mut Faults) -> Vec<Self> {
        let Some(value) = self.table.get_mut().remove(key) else { return Vec::new() };
        let (path, span) = (self.key_path(key), value.span());
        let DeValue::Array(elements) = value.into_inner() else {
            let text = format!("must be a list of tables: write [[{path}]]");
            faults.push(Some(line_and_column(self.text, span.start)), path, text);
            return Vec::new();
        };
        let elements = elements.into_iter().enumerate();
        elements.filter_map(|(index, value)| self.section(format!("{path}[{index}]"), value, faults)).collect()
    }

    /// Takes a value of a simple type out of this table.
    pub fn take<T: DeserializeOwned>(&mut self, key: &str, faults: &mut Faults) -> Option<T> {
        let value = self.table.get_mut().remove(key)?;
        let place = line_and_column(self.text, value.span().start);
        match T::deserialize(toml::de::ValueDeserializer::from(value)) {
            Ok(value) => Some(value),
            Err(error) => {
                faults.push(Some(place), self.key_path(key), explain(error.message(), &[]));
                None
            }
        }
    }

    /// True when the key is in the table.
    pub fn has(&self, key: &str) -> bool {
        self.table.get_ref().contains_key(key)
    }

    /// True when the key is in the table and its value is a table.
    pub fn is_table(&self, key: &str) -> bool {
        self.table.get_ref().get(key).is_some_and(|value| matches!(value.get_ref(), DeValue::Table(_)))
    }

    /// Reads the table. `also` are keys that were taken before, for suggestions. None when anything was wrong.
    pub fn read<T: DeserializeOwned>(&self, also: &[&str], faults: &mut Faults) -> Option<T> {
        let mut attempt =
            Attempt { section: self, table: self.table.clone(), invented: Vec::new(), removed: Vec::new() };
        let mut sound = true;
        for _ in 0..MOST_FAULTS {
            match T::deserialize(toml::de::Deserializer::from(attempt.table.clone())) {
                Ok(value) => return sound.then_some(value),
                Err(error) => {
                    sound = false;
                    if !attempt.mend(&error, also, faults) {
                        return None;
                    }
                }
            }
        }
        None
    }

    fn section(&self, path: String, value: Spanned<DeValue<'t>>, faults: &mut Faults) -> Option<Self> {
        let span = value.span();
        match value.into_inner() {
            DeValue::Table(table) => Some(Self { text: self.text, path, table: Spanned::new(span, table) }),
            other => {
                let text = format!("must be a table, found {}", other.type_str());
                faults.push(Some(line_and_column(self.text, span.start)), path, text);
                None
            }
        }
    }
}

/// A reading under way: the table without what was refused, and with inventions for what is missing.
struct Attempt<'s, 't> {
    section: &'s Section<'t>,
    table: Spanned<DeTable<'t>>,
    /// Where something was invented, and which invention it is.
    invented: Vec<(Vec<Step>, usize)>,
    removed: Vec<Vec<Step>>,
}

impl Attempt<'_, '_> {
    /// Reports an error and changes the table so that the next one shows; false when that cannot be done.
    fn mend(&mut self, error: &toml::de::Error, also: &[&str], faults: &mut Faults) -> bool {
        let message = error.message();
        let steps = error.span().and_then(|span| locate(self.table.get_ref(), &span)).unwrap_or_default();
        if let Some(at) = self.invented.iter().position(|(path, _)| *path == steps) {
            return self.invent_another(at);
        }
        if let Some(field) = message.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`')) {
            let mut missing = steps.clone();
            missing.push(Step::Key(field.to_owned()));
            if !self.removed.contains(&missing) {
                self.report(error.span(), &missing, "is missing; add it", faults);
            }
            self.invented.push((missing, 0));
            return self.invent(self.invented.len() - 1);
        }
        let known = if steps.len() > 1 { &[] } else { also };
        self.report(error.span(), &steps, &explain(message, known), faults);
        if steps.is_empty() {
            return false;
        }
        remove(self.table.get_mut(), &steps);
        self.removed.push(steps);
        true
    }

    fn report(&self, span: Option<Range<usize>>, steps: &[Step], text: &str, faults: &mut Faults) {
        let offset = span.map_or(self.section.table.span().start, |span| span.start);
        let mut path = self.section.path.clone();
        for step in steps {
            match step {
                Step::Key(key) if path.is_empty() => path.push_str(key),
                Step::Key(key) => path.push_str(&format!(".{key}")),
                Step::Index(index) => path.push_str(&format!("[{index}]")),
            }
        }
        faults.push(Some(line_and_column(self.section.text, offset)), path, text);
    }

    fn invent_another(&mut self, at: usize) -> bool {
        if let Some((_, invention)) = self.invented.get_mut(at) {
            *invention += 1;
        }
        self.invent(at)
    }

    /// Puts a value where one is missing, so that what else is wrong can be found.
    fn invent(&mut self, at: usize) -> bool {
        let Some((steps, invention)) = self.invented.get(at) else { return false };
        let value = match invention {
            0 => DeValue::String("".into()),
            1 => DeValue::String("0s".into()),
            2 => DeValue::String("127.0.0.1:1".into()),
            3 => DeValue::Array(toml::de::DeArray::new()),
            4 => DeValue::Table(DeTable::new()),
            5 => DeValue::Boolean(false),
            _ => return false,
        };
        // Behind the text, so that an error about it cannot be mistaken for one about the file.
        let offset = self.section.text.len() + 1 + at;
        let span = offset..offset;
        insert(self.table.get_mut(), steps, span, value)
    }
}

/// The way to the value, or else the key, that has this span.
fn locate(table: &DeTable<'_>, span: &Range<usize>) -> Option<Vec<Step>> {
    for (key, value) in table {
        let step = Step::Key(key.get_ref().to_string());
        if let Some(steps) = locate_in(value, span) {
            return Some([vec![step], steps].concat());
        }
        if key.span() == *span {
            return Some(vec![step]);
        }
    }
    None
}

fn locate_in(value: &Spanned<DeValue<'_>>, span: &Range<usize>) -> Option<Vec<Step>> {
    let below = match value.get_ref() {
        DeValue::Table(table) => locate(table, span),
        DeValue::Array(elements) => elements.iter().enumerate().find_map(|(index, element)| {
            locate_in(element, span).map(|steps| [vec![Step::Index(index)], steps].concat())
        }),
        _ => None,
    };
    below.or_else(|| (value.span() == *span).then(Vec::new))
}

fn remove(table: &mut DeTable<'_>, steps: &[Step]) {
    match steps {
        [Step::Key(key)] => drop(table.remove(key.as_str())),
        [Step::Key(key), rest @ ..] => {
            if let Some(value) = table.get_mut(key.as_str()) {
                remove_in(value.get_mut(), rest);
            }
        }
        _ => {}
    }
}

fn remove_in(value: &mut DeValue<'_>, steps: &[Step]) {
    match (value, steps) {
        (DeValue::Table(table), steps) => remove(table, steps),
        (DeValue::Array(elements), [Step::Index(index)]) => {
            let kept = elements.iter().enumerate().filter(|(at, _)| at != index);
            *elements = kept.map(|(_, element)| element.clone()).collect();
        }
        (DeValue::Array(elements), [Step::Index(index), rest @ ..]) => {
            if let Some(element) = elements.get_mut(*index) {
                remove_in(element.get_mut(), rest);
            }
        }
        _ => {}
    }
}

fn insert<'t>(table: &mut DeTable<'t>, steps: &[Step], span: Range<usize>, value: DeValue<'t>) -> bool {
    match steps {
        [Step::Key(key)] => {
            let key = Spanned::new(span.clone(), key.clone().into());
            table.insert(key, Spanned::new(span, value));
            true
        }
        [Step::Key(key), rest @ ..] => {
            table.get_mut(key.as_str()).is_some_and(|below| insert_in(below.get_mut(), rest, span, value))
        }
        _ => false,
    }
}

fn insert_in<'t>(below: &mut DeValue<'t>, steps: &[Step], span: Range<usize>, value: DeValue<'t>) -> bool {
    match (below, steps) {
        (DeValue::Table(table), steps) => insert(table, steps, span, value),
        (DeValue::Array(elements), [Step::Index(index), rest @ ..]) => {
            let element = elements.get_mut(*index);
            element.is_some_and(|element| insert_in(element.get_mut(), rest, span, value))
        }
        _ => false,
    }
}

/// More would be a file of another kind.
const MOST_FAULTS: usize = 200;
