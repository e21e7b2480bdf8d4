//! A part of the input that knows where it stands, so that errors can say so; and the characters that may stand in it.

use super::error::SipError;

/// A part of the input.
#[derive(Clone, Copy)]
pub struct Piece<'a> {
    /// The part.
    pub text: &'a str,
    /// Its offset in the whole input, in bytes.
    pub at: usize,
}

impl<'a> Piece<'a> {
    /// Splits at the first `separator`, which must be ASCII.
    pub fn split_once(self, separator: char) -> Option<(Self, Self)> {
        let (left, right) = self.text.split_once(separator)?;
        Some((Self { text: left, at: self.at }, Self { text: right, at: self.at + left.len() + 1 }))
    }

    /// As `split_once`, but without a separator all of it is the left part.
    pub fn split_first(self, separator: char) -> (Self, Option<Self>) {
        self.split_once(separator).map_or((self, None), |(left, right)| (left, Some(right)))
    }

    /// Decodes `%HH` and refuses raw characters that are not `allowed`.
    pub fn unescape(self, allowed: fn(u8) -> bool) -> Result<String, SipError> {
        let mut decoded = Vec::with_capacity(self.text.len());
        let mut bytes = self.text.bytes().enumerate();
        while let Some((offset, byte)) = bytes.next() {
            let at = self.at + offset;
            if byte == b'%' {
                let high = bytes.next().and_then(|(_, digit)| hex(digit));
                let low = bytes.next().and_then(|(_, digit)| hex(digit));
                let (Some(high), Some(low)) = (high, low) else {
                    return Err(SipError::BadEscape { at });
                };
                decoded.push(high << 4 | low);
            } else if allowed(byte) {
                decoded.push(byte);
            } else {
                return Err(SipError::BadCharacter { at });
            }
        }
        let text = String::from_utf8(decoded).map_err(|_| SipError::BadEscape { at: self.at })?;
        if text.contains(char::is_control) {
            return Err(SipError::ControlCharacter { at: self.at });
        }
        Ok(text)
    }
}

/// RFC 3261 `unreserved`.
pub fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.!~*'()".contains(&byte)
}

/// RFC 3261 `unreserved` and `user-unreserved`, without the `;` at which we split, and with the `#` that phones send.
pub fn is_user(byte: u8) -> bool {
    is_unreserved(byte) || b"&=+$,?/#".contains(&byte)
}

/// RFC 3261 `paramchar`.
pub fn is_param(byte: u8) -> bool {
    is_unreserved(byte) || b"[]/:&+$".contains(&byte)
}

/// RFC 3261 `token`.
pub fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&byte)
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}
