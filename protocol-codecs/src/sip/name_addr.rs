//! `"Display" <uri>;param` and `uri;param`: one address, or a list with commas.

use super::error::SipError;
use super::limits::{ADDRESSES_MAX, HEADER_BYTES_MAX};
use super::piece::{Piece, is_param, is_token};
use super::uri::{Param, PartyUri, find, push_param, uri};
use crate::Masked;

/// One address of a header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameAddr {
    /// Without quotes and backslashes; absent when there is none or an empty one. Says nothing about who pays.
    pub display_name: Option<Masked>,
    /// The address.
    pub uri: PartyUri,
    /// Parameters of the header. Without angle brackets every parameter is one of these (RFC 3261 section 20).
    pub params: Vec<Param>,
}

impl NameAddr {
    /// The `tag` parameter of From and To.
    pub fn tag(&self) -> Option<&str> {
        find(&self.params, "tag").flatten().map(Masked::expose)
    }
}

/// Reads a header value that is exactly one address.
///
/// # Errors
/// Every [`SipError`] is about this value only; a second address is [`SipError::TooManyAddresses`].
pub fn parse_name_addr(text: &str) -> Result<NameAddr, SipError> {
    let mut list = name_addrs(text, 1)?;
    list.pop().ok_or(SipError::Empty { at: 0 })
}

/// Reads a header value with one or more addresses, at most [`ADDRESSES_MAX`].
///
/// # Errors
/// Every [`SipError`] is about this value only.
pub fn parse_name_addr_list(text: &str) -> Result<Vec<NameAddr>, SipError> {
    name_addrs(text, ADDRESSES_MAX)
}

fn name_addrs(text: &str, limit: usize) -> Result<Vec<NameAddr>, SipError> {
    if text.len() > HEADER_BYTES_MAX {
        return Err(SipError::TooLong { bytes: text.len(), limit: HEADER_BYTES_MAX });
    }
    if text.trim_matches(BLANKS) == "*" {
        return Err(SipError::Wildcard);
    }
    let mut cursor = Cursor { text, at: 0 };
    let mut list = Vec::new();
    loop {
        if list.len() == limit {
            return Err(SipError::TooManyAddresses { limit });
        }
        list.push(name_addr(&mut cursor)?);
        cursor.skip_blanks();
        if cursor.rest().is_empty() {
            return Ok(list);
        }
        cursor.expect(',')?;
    }
}

fn name_addr(cursor: &mut Cursor<'_>) -> Result<NameAddr, SipError> {
    cursor.skip_blanks();
    let display_name = if cursor.rest().starts_with('"') {
        let name = cursor.quoted()?;
        cursor.skip_blanks();
        cursor.expect('<')?;
        Some(name)
    } else {
        let before = cursor.peek_until(&['<', ';', ',', '"']);
        let behind = cursor.rest().get(before.text.len()..).unwrap_or_default();
        if !behind.starts_with('<') {
            let spec = Piece { text: before.text.trim_end_matches(BLANKS), at: before.at };
            cursor.at += before.text.len();
            let uri = uri(spec)?;
            return Ok(NameAddr { display_name: None, uri, params: header_params(cursor)? });
        }
        // Without quotes only tokens; `a@b <c@d>` must not be taken for the one by us and for the other by the switch.
        let allowed = |c: char| match u8::try_from(c) {
            Ok(byte) if byte.is_ascii() => is_token(byte) || BLANKS.contains(&c),
            _ => !c.is_control(),
        };
        if let Some((offset, _)) = before.text.char_indices().find(|(_, c)| !allowed(*c)) {
            return Err(SipError::BadCharacter { at: before.at + offset });
        }
        cursor.at += before.text.len() + 1;
        Some(before.text.trim_matches(BLANKS).to_owned())
    };
    let address = cursor.peek_until(&['>']);
    cursor.at += address.text.len();
    if !cursor.rest().starts_with('>') {
        return Err(SipError::NotClosed { at: address.at.saturating_sub(1) });
    }
    cursor.at += 1;
    let uri = uri(address)?;
    let display_name = display_name.filter(|name| !name.is_empty()).map(Masked::new);
    Ok(NameAddr { display_name, uri, params: header_params(cursor)? })
}

fn header_params(cursor: &mut Cursor<'_>) -> Result<Vec<Param>, SipError> {
    let mut params = Vec::new();
    loop {
        cursor.skip_blanks();
        if !cursor.rest().starts_with(';') {
            return Ok(params);
        }
        cursor.at += 1;
        cursor.skip_blanks();
        let at = cursor.at;
        let name = cursor.run(is_token).to_owned();
        cursor.skip_blanks();
        let mut value = None;
        if cursor.rest().starts_with('=') {
            cursor.at += 1;
            cursor.skip_blanks();
            value = Some(Masked::new(if cursor.rest().starts_with('"') {
                cursor.quoted()?
            } else {
                // Tokens, and hosts with brackets and colons.
                cursor.run(|byte| is_token(byte) || is_param(byte)).to_owned()
            }));
        }
        push_param(&mut params, Param { name, value }, at)?;
    }
}

/// Space and tab. Line ends are not among them: a value that still has them was not unfolded.
const BLANKS: &[char] = &[' ', '\t'];

struct Cursor<'a> {
    text: &'a str,
    /// Always on a character's first byte.
    at: usize,
}

impl<'a> Cursor<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn skip_blanks(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start_matches(BLANKS).len();
    }

    fn expect(&mut self, character: char) -> Result<(), SipError> {
        if !self.rest().starts_with(character) {
            return Err(SipError::BadCharacter { at: self.at });
        }
        self.at += character.len_utf8();
        Ok(())
    }

    /// What stands in front of the first of `ends`, or all of the rest; does not move.
    fn peek_until(&self, ends: &[char]) -> Piece<'a> {
        let rest = self.rest();
        let text = rest.find(ends).and_then(|end| rest.get(..end)).unwrap_or(rest);
        Piece { text, at: self.at }
    }

    fn run(&mut self, allowed: fn(u8) -> bool) -> &'a str {
        let rest = self.rest();
        let end = rest.bytes().position(|byte| !allowed(byte)).unwrap_or(rest.len());
        self.at += end;
        rest.get(..end).unwrap_or_default()
    }

    /// A quoted string from its opening quote; without quotes and backslashes.
    fn quoted(&mut self) -> Result<String, SipError> {
        let opened = self.at;
        let mut text = String::new();
        let mut escaped = false;
        for (offset, character) in self.rest().char_indices().skip(1) {
            if character.is_control() && character != '\t' {
                return Err(SipError::BadCharacter { at: opened + offset });
            }
            match character {
                _ if escaped => {
                    text.push(character);
                    escaped = false;
                }
                '\\' => escaped = true,
                '"' => {
                    self.at = opened + offset + 1;
                    return Ok(text);
                }
                _ => text.push(character),
            }
        }
        Err(SipError::NotClosed { at: opened })
    }
}

#[cfg(test)]
#[path = "name_addr_tests.rs"]
mod tests;
