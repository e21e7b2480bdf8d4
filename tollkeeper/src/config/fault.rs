//! What is wrong with a configuration, where, and what to do about it.

use std::fmt;
use std::path::{Path, PathBuf};

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Line and column from 1; absent when the file itself is the matter.
    pub place: Option<(usize, usize)>,
    /// Path of the key, such as `agent[0].calls.slice`; empty for the whole file.
    pub key: String,
    /// What is wrong, and the remedy.
    pub text: String,
}

/// All mistakes found in one reading of a file, in the order of their places. Displays one a line, as
/// `file:line:column: key: what is wrong; remedy`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faults {
    file: PathBuf,
    found: Vec<Fault>,
}

impl Faults {
    /// None yet.
    pub fn new(file: &Path) -> Self {
        Self { file: file.to_path_buf(), found: Vec::new() }
    }

    /// One more.
    pub fn push(&mut self, place: Option<(usize, usize)>, key: impl Into<String>, text: impl Into<String>) {
        self.found.push(Fault { place, key: key.into(), text: text.into() });
    }

    /// True while nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.found.len()
    }

    /// In the order of their places in the file.
    pub fn sorted(mut self) -> Self {
        self.found.sort_by_key(|fault| fault.place);
        self
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.found.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{}:", self.file.display())?;
            if let Some((line, column)) = fault.place {
                write!(f, "{line}:{column}:")?;
            }
            if !fault.key.is_empty() {
                write!(f, " {}:", fault.key)?;
            }
            write!(f, " {}", fault.text)?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}

/// Line and column, from 1, of an offset in a text; columns count characters.
pub fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before: Vec<char> = text.char_indices().take_while(|(at, _)| *at < offset).map(|(_, c)| c).collect();
    let line = before.iter().filter(|c| **c == '\n').count() + 1;
    let column = before.iter().rev().take_while(|c| **c != '\n').count() + 1;
    (line, column)
}

/// The name nearest to a mistyped one, if any is near.
pub fn nearest<'a>(wrong: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let far = (wrong.chars().count() / 3).max(2);
    let distances = names.into_iter().map(|name| (strsim::damerau_levenshtein(wrong, name), name));
    distances.filter(|(distance, _)| *distance <= far).min_by_key(|(distance, _)| *distance).map(|(_, name)| name)
}

/// `unknown <what>; did you mean "x"?` or `unknown <what>; known here: x, y`.
pub fn unknown(what: &str, wrong: &str, known: &[&str]) -> String {
    match nearest(wrong, known.iter().copied()) {
        Some(near) => format!("unknown {what}; did you mean \"{near}\"?"),
        None if known.is_empty() => format!("unknown {what}; remove it"),
        None => format!("unknown {what}; known here: {}", known.join(", ")),
    }
}

/// A deserialiser's message in the operator's words. `also` are keys of the same table that are read elsewhere.
pub fn explain(message: &str, also: &[&str]) -> String {
    if let Some(rest) = message.strip_prefix("unknown field ") {
        let mut names = quoted(rest);
        let wrong = if names.is_empty() { "" } else { names.remove(0) };
        names.extend_from_slice(also);
        return unknown("key", wrong, &names);
    }
    if let Some(rest) = message.strip_prefix("unknown variant ") {
        let mut names = quoted(rest);
        let wrong = if names.is_empty() { "" } else { names.remove(0) };
        let near = nearest(wrong, names.iter().copied());
        let near = near.map(|near| format!("; did you mean \"{near}\"?")).unwrap_or_default();
        return format!("is \"{wrong}\", must be one of {}{near}", names.join(", "));
    }
    if let Some((found, expected)) =
        message.strip_prefix("invalid type: ").and_then(|rest| rest.split_once(", expected "))
    {
        return format!("must be {}, found {found}", wanted(expected));
    }
    if let Some((found, expected)) =
        message.strip_prefix("invalid value: ").and_then(|rest| rest.split_once(", expected "))
    {
        return format!("must be {}, found {found}", wanted(expected));
    }
    match message {
        "invalid socket address syntax" => "must be address:port, such as \"127.0.0.1:7440\"".to_owned(),
        _ => message.to_owned(),
    }
}

/// What stands between backquotes.
fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// A type as the deserialiser calls it, in words.
fn wanted(expected: &str) -> &str {
    match expected {
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number, not negative",
        "a string" | "str" | "a borrowed string" => "a text in quotes (a duration too: \"30s\")",
        "path string" => "a path in quotes",
        "socket address" => "address:port in quotes, such as \"127.0.0.1:7440\"",
        "a boolean" => "true or false",
        "a sequence" => "a list [ ... ]",
        "a map" => "a table",
        other if other.starts_with("struct ") => "a table",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_explained() {
        let rows = [
            ("unknown field `slicee`, expected one of `slice`, `margin`", "unknown key; did you mean \"slice\"?"),
            ("unknown field `zzz`, expected `slice`", "unknown key; known here: slice, also"),
            ("unknown field `zzz`, there are no fields", "unknown key; known here: also"),
            (
                "unknown variant `jsn`, expected one of `json`, `text`",
                "is \"jsn\", must be one of json, text; did you mean \"json\"?",
            ),
            (
                "invalid type: string \"many\", expected usize",
                "must be a whole number, not negative, found string \"many\"",
            ),
            ("invalid type: integer `5`, expected struct CoreConfig", "must be a table, found integer `5`"),
            ("something else", "something else"),
        ];
        for (message, expected) in rows {
            assert_eq!(explain(message, &["also"]), expected);
        }
    }

    #[test]
    fn places_count_from_one() {
        let text = "a\nbé = 1\n";
        for (offset, expected) in [(0, (1, 1)), (2, (2, 1)), (5, (2, 3)), (1000, (3, 1))] {
            assert_eq!(line_and_column(text, offset), expected, "{offset}");
        }
    }
}
