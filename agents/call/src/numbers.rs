//! Telephone numbers as dialled to E.164, by the rules of the trunk they came in on. Done once, before INITIAL: rating,
//! fraud rules and the record use the same result. What fits no rule is not a number, and the call is refused with 484.

use serde::{Deserialize, Serialize};
use types::Number;

/// How one trunk writes numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NumberRules {
    /// Country code for national numbers, digits only; empty: national numbers are refused.
    pub country_code: Box<str>,
    /// Area code put before local numbers; empty: local numbers are refused.
    pub area_code: Box<str>,
    /// What is dialled before a country code.
    pub international_prefixes: Vec<Box<str>>,
    /// What is dialled before an area code; empty: numbers without an international prefix are national already.
    pub national_prefix: Box<str>,
    /// Prefixes that choose a route and are not part of the number; the longest that fits is cut off first.
    pub technical_prefixes: Vec<Box<str>>,
    /// Numbers that are taken as they are: short codes, service numbers.
    pub short_codes: Vec<Box<str>>,
    /// True: digits without any prefix are a country code and number, as many trunks send them.
    pub bare_is_international: bool,
}

impl Default for NumberRules {
    fn default() -> Self {
        Self {
            country_code: "".into(),
            area_code: "".into(),
            international_prefixes: vec!["00".into(), "011".into()],
            national_prefix: "0".into(),
            technical_prefixes: Vec::new(),
            short_codes: Vec::new(),
            bare_is_international: false,
        }
    }
}

impl NumberRules {
    /// The number in E.164 with `+`, or a listed short code as it is; `None` when no rule makes one of it.
    ///
    /// `dialled` is the user part of a SIP URI or a `tel` subscriber, its parameters may follow after `;`. A
    /// `phone-context` that is a global number prefix counts before the trunk's own rules (RFC 3966 section 5.1.5).
    pub fn normalise(&self, dialled: &str) -> Option<Number> {
        let mut parts = dialled.split(';');
        let digits = without_separators(parts.next()?)?;
        let context = parts.find_map(|parameter| parameter.strip_prefix("phone-context="));
        let number = longest_prefix(&self.technical_prefixes, &digits).map_or(digits.as_str(), |rest| rest);
        if self.short_codes.iter().any(|code| **code == *number) {
            return Some(Number::from(number));
        }
        if let Some(international) = number.strip_prefix('+') {
            return e164(&[international]);
        }
        if let Some(prefix) = context.and_then(|context| context.strip_prefix('+')) {
            return e164(&[&without_separators(prefix)?, number]);
        }
        if let Some(international) = longest_prefix(&self.international_prefixes, number) {
            return e164(&[international]);
        }
        if self.bare_is_international {
            return e164(&[number]);
        }
        self.national(number)
    }

    fn national(&self, number: &str) -> Option<Number> {
        if self.country_code.is_empty() {
            return None;
        }
        match number.strip_prefix(&*self.national_prefix) {
            Some(national) => e164(&[&self.country_code, national]),
            None if !self.area_code.is_empty() => e164(&[&self.country_code, &self.area_code, number]),
            None => None,
        }
    }
}

fn longest_prefix<'a>(prefixes: &[Box<str>], number: &'a str) -> Option<&'a str> {
    prefixes.iter().filter_map(|prefix| number.strip_prefix(&**prefix)).min_by_key(|rest| rest.len())
}

/// Visual separators of RFC 3966 section 5.1.1 are dropped; anything else that is not a digit, `*`, `#` or a leading
/// `+` is no number.
fn without_separators(text: &str) -> Option<String> {
    let mut digits = String::with_capacity(text.len());
    for (index, character) in text.chars().enumerate() {
        match character {
            '0'..='9' | '*' | '#' => digits.push(character),
            '+' if index == 0 => digits.push(character),
            '-' | '.' | '(' | ')' | ' ' => {}
            _ => return None,
        }
    }
    (!digits.is_empty() && digits.len() <= MAX_DIALLED_DIGITS).then_some(digits)
}

/// Joins the parts to `+digits` when that is 5 to 15 digits and does not begin with 0 (no country code does).
fn e164(parts: &[&str]) -> Option<Number> {
    let digits: String = parts.concat();
    let plausible = (MIN_E164_DIGITS..=MAX_E164_DIGITS).contains(&digits.len())
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && !digits.starts_with('0');
    plausible.then(|| Number::new(format!("+{digits}")))
}

/// ITU-T E.164 section 6.
const MAX_E164_DIGITS: usize = 15;
/// The shortest numbers with a country code in service.
const MIN_E164_DIGITS: usize = 5;
/// Longer input is an attack; prefixes and separators fit easily.
const MAX_DIALLED_DIGITS: usize = 40;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dialled_to_e164() {
        let berlin = NumberRules {
            country_code: "49".into(),
            area_code: "30".into(),
            technical_prefixes: vec!["99#".into(), "9".into()],
            short_codes: vec!["116117".into()],
            ..NumberRules::default()
        };
        let rows = [
            ("+4930123456", Some("+4930123456")),
            ("+49 (30) 123-456", Some("+4930123456")),
            ("004930123456", Some("+4930123456")),
            ("0114930123456", Some("+4930123456")),
            ("030123456", Some("+4930123456")),
            ("123456", Some("+4930123456")),
            ("99#030123456", Some("+4930123456")),
            ("116117", Some("116117")),
            ("123456;phone-context=+4989", Some("+4989123456")),
            ("123456;phone-context=example.com", Some("+4930123456")),
            ("", None),
            ("+", None),
            ("alice", None),
            ("*21#", None),
            ("00", None),
            ("+0123456", None),
            ("+1234567890123456", None),
            ("+49\u{664}123456", None),
            ("+49+30123456", None),
            ("12345678901234567890123456789012345678901", None),
        ];
        for (dialled, expected) in rows {
            let number = berlin.normalise(dialled);
            assert_eq!(number.as_ref().map(Number::expose), expected, "{dialled}");
        }
    }

    #[test]
    fn without_rules_only_international_numbers_are_numbers() {
        let rules = NumberRules::default();
        for (dialled, expected) in
            [("+442071234567", true), ("00442071234567", true), ("02071234567", false), ("442071234567", false)]
        {
            assert_eq!(rules.normalise(dialled).is_some(), expected, "{dialled}");
        }
        let trunk = NumberRules { bare_is_international: true, ..rules };
        assert_eq!(trunk.normalise("442071234567").as_ref().map(Number::expose), Some("+442071234567"));
    }
}
