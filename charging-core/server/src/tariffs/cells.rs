//! The cells of a canonical row: separated by commas, quoted after RFC 4180 where need be.

use std::borrow::Cow;

/// The cells of one row.
pub(super) fn cells(line: &str) -> Vec<Cow<'_, str>> {
    let mut cells = Vec::new();
    let mut rest = line;
    loop {
        let (cell, tail) = match rest.strip_prefix('"') {
            Some(quoted) => in_quotes(quoted),
            None => match rest.split_once(',') {
                Some((cell, tail)) => (Cow::Borrowed(cell), Some(tail)),
                None => (Cow::Borrowed(rest), None),
            },
        };
        cells.push(cell);
        match tail {
            Some(tail) => rest = tail,
            None => return cells,
        }
    }
}

/// A quoted cell behind its first quote, and what follows its comma.
fn in_quotes(text: &str) -> (Cow<'_, str>, Option<&str>) {
    let mut cell = String::new();
    let mut rest = text;
    loop {
        let Some((part, tail)) = rest.split_once('"') else {
            cell.push_str(rest);
            return (Cow::Owned(cell), None);
        };
        cell.push_str(part);
        match tail.strip_prefix('"') {
            Some(tail) => {
                cell.push('"');
                rest = tail;
            }
            None => return (Cow::Owned(cell), tail.strip_prefix(',')),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_taken_apart() {
        let rows: [(&str, &[&str]); 6] = [
            ("a,b,", &["a", "b", ""]),
            ("\"a,b\",c", &["a,b", "c"]),
            ("\"say \"\"hi\"\"\",x", &["say \"hi\"", "x"]),
            ("", &[""]),
            ("\"open", &["open"]),
            ("a,\"b\"", &["a", "b"]),
        ];
        for (line, expected) in rows {
            assert_eq!(cells(line), expected, "{line}");
        }
    }
}
