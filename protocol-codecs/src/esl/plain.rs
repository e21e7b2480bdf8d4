//! Header lines with URL-encoded values: the body of `text/event-plain` and the block that answers `connect`.
//!
//! Plain loses what JSON keeps: FreeSWITCH does not encode a `%XX` that a value already had (`%41` arrives as `%41` and
//! reads as `A`), and an empty value arrives as the word `_undef_`, which is taken as absent. An array arrives as
//! `ARRAY::a|:b`, which is also how FreeSWITCH itself tells an array.

use std::borrow::Cow;

use super::error::MessageError;
use super::fields::{Fields, FieldsBuilder, Value};

/// What plain writes for an empty value.
const UNDEFINED: &str = "_undef_";
const ARRAY: &str = "ARRAY::";
const ARRAY_SEPARATOR: &str = "|:";

/// How the values of header lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Values {
    /// URL-encoded: events, and the answer to `connect`.
    Encoded,
    /// As they are: all other headers.
    Raw,
}

/// Reads a plain event: header lines, and behind a blank line its body (kept under the name `_body`, as in JSON).
pub fn event(bytes: &[u8]) -> Result<(Fields, bool), MessageError> {
    let mut builder = FieldsBuilder::for_body(bytes.len());
    let (head_end, mut lossy_utf8) = lines(bytes, Values::Encoded, &mut builder)?;
    let body = bytes.get(head_end..).unwrap_or_default();
    if body.is_empty() {
        return Ok((builder.finish(), lossy_utf8));
    }
    let text = String::from_utf8_lossy(body);
    lossy_utf8 |= matches!(text, Cow::Owned(_));
    builder.begin("_body")?;
    builder.push(&text);
    builder.end_text()?;
    let fields = builder.finish();
    check_length(&fields, body.len())?;
    Ok((fields, lossy_utf8))
}

/// Reads header lines up to a blank one or the end.
pub fn header_lines(bytes: &[u8], values: Values) -> Result<(Fields, bool), MessageError> {
    let mut builder = FieldsBuilder::for_body(bytes.len());
    let (_, lossy_utf8) = lines(bytes, values, &mut builder)?;
    Ok((builder.finish(), lossy_utf8))
}

/// One line without its end, and its name and value: the value begins behind the colon and one space.
pub fn split_line(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = line.iter().position(|byte| *byte == b':').filter(|colon| *colon > 0)?;
    let (name, rest) = line.split_at_checked(colon)?;
    let value = rest.get(1..)?;
    Some((name, value.strip_prefix(b" ").unwrap_or(value)))
}

/// The line at the front without its end (LF, or CR LF), and where the next one begins.
fn first_line(bytes: &[u8]) -> (&[u8], usize) {
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let line = bytes.get(..end).unwrap_or_default();
    (line.strip_suffix(b"\r").unwrap_or(line), end.saturating_add(1).min(bytes.len()))
}

/// Adds each line's field; returns where the block ends, its blank line included.
fn lines(bytes: &[u8], values: Values, builder: &mut FieldsBuilder) -> Result<(usize, bool), MessageError> {
    let (mut offset, mut lossy_utf8) = (0_usize, false);
    while let Some(rest) = bytes.get(offset..).filter(|rest| !rest.is_empty()) {
        let (line, next) = first_line(rest);
        if line.is_empty() {
            return Ok((offset.saturating_add(next), lossy_utf8));
        }
        let (name, value) = split_line(line).ok_or(MessageError::BadHeader { offset })?;
        let name = String::from_utf8_lossy(name);
        let value = match values {
            Values::Encoded => percent_decoded(value),
            Values::Raw => Cow::Borrowed(value),
        };
        let text = String::from_utf8_lossy(&value);
        lossy_utf8 |= matches!(name, Cow::Owned(_)) || matches!(text, Cow::Owned(_));
        add(builder, &name, &text, values)?;
        offset = offset.saturating_add(next);
    }
    Ok((offset, lossy_utf8))
}

fn add(builder: &mut FieldsBuilder, name: &str, text: &str, values: Values) -> Result<(), MessageError> {
    if values == Values::Encoded && text == UNDEFINED {
        return Ok(());
    }
    builder.begin(name)?;
    match text.strip_prefix(ARRAY) {
        Some(elements) if values == Values::Encoded => {
            for element in elements.split(ARRAY_SEPARATOR) {
                builder.begin_element()?;
                builder.push(element);
                builder.end_text()?;
            }
            Ok(())
        }
        _ => {
            builder.push(text);
            builder.end_text()
        }
    }
}

/// The event's own length is its last `Content-Length`; a `sendevent` may have brought another one in front of it.
fn check_length(fields: &Fields, actual_bytes: usize) -> Result<(), MessageError> {
    let lengths = fields.iter().filter(|(name, _)| name.eq_ignore_ascii_case("Content-Length"));
    let claimed = match lengths.last() {
        Some((_, Value::Text(text))) => text.parse().ok(),
        _ => None,
    };
    match claimed {
        Some(claimed_bytes) if claimed_bytes == actual_bytes => Ok(()),
        claimed => Err(MessageError::BodyLength { claimed_bytes: claimed.unwrap_or(0), actual_bytes }),
    }
}

/// Decodes `%XX`; a percent sign without two hex digits means itself.
fn percent_decoded(value: &[u8]) -> Cow<'_, [u8]> {
    if !value.contains(&b'%') {
        return Cow::Borrowed(value);
    }
    let mut decoded = Vec::with_capacity(value.len());
    let mut rest = value;
    while let Some((byte, after)) = rest.split_first() {
        let escaped = if *byte == b'%' { after.split_at_checked(2) } else { None };
        let code = escaped.and_then(|(digits, after)| Some((hex_byte(digits)?, after)));
        let (byte, after) = code.unwrap_or((*byte, after));
        decoded.push(byte);
        rest = after;
    }
    Cow::Owned(decoded)
}

fn hex_byte(digits: &[u8]) -> Option<u8> {
    // `from_str_radix` would also take a sign.
    let text = std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
    u8::from_str_radix(text, 16).ok()
}
