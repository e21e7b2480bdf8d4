//! What stands for a value: its keyed hash, or its first digits.

use std::borrow::Cow;
use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// How every hashed value begins, so that nobody takes it for the value.
pub const PSEUDONYM_PREFIX: &str = "hmac:";

/// The secret of a masking profile; kept until joins with older data are no longer wanted. Never shown.
#[derive(Clone)]
pub struct MaskingKey(Hmac<Sha256>);

impl MaskingKey {
    /// As many as the hash has.
    pub const LEAST_BYTES: usize = 32;

    /// From at least [`Self::LEAST_BYTES`] random bytes. Whoever reads it from a file or the environment strips the
    /// line's end first; the key is used as it is.
    pub fn new(bytes: &[u8]) -> Result<Self, super::MaskingError> {
        let too_short = super::MaskingError::KeyTooShort { bytes: bytes.len() };
        if bytes.len() < Self::LEAST_BYTES {
            return Err(too_short);
        }
        Hmac::new_from_slice(bytes).map(Self).map_err(|_| too_short)
    }
}

impl fmt::Debug for MaskingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MaskingKey(secret)")
    }
}

/// Hashes values by one key.
#[derive(Debug, Clone)]
pub(super) struct Pseudonyms(MaskingKey);

impl Pseudonyms {
    pub(super) fn new(key: &MaskingKey) -> Self {
        Self(key.clone())
    }

    /// The prefix and 160 bits in base 32 (RFC 4648, small letters): 37 characters.
    pub(super) fn of(&self, value: &str) -> String {
        let mut hash = self.0.0.clone();
        hash.update(value.as_bytes());
        let digest = hash.finalize().into_bytes();
        let mut text = String::with_capacity(PSEUDONYM_PREFIX.len() + KEPT_BYTES / 5 * 8);
        text.push_str(PSEUDONYM_PREFIX);
        for group in digest.chunks_exact(5).take(KEPT_BYTES / 5) {
            let bits = group.iter().fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
            for shift in (0..8).rev() {
                let [symbol, ..] = (bits >> (shift * 5) & 31).to_le_bytes();
                text.push(char::from(if symbol < 26 { b'a' + symbol } else { b'2' + symbol - 26 }));
            }
        }
        text
    }
}

/// Of the hash; a multiple of 5, so that base 32 needs no padding.
const KEPT_BYTES: usize = 20;

/// What is hashed for a number, an account or a SIP address: E.164 with its `+`, so that all writings of a number
/// agree; of a SIP or tel URI with a number in it that number.
pub(super) fn canonical(value: &str) -> Cow<'_, str> {
    let number = number_in(value);
    match e164_digits(number) {
        Some(digits) if number == digits && !digits.starts_with('0') => Cow::Owned(format!("+{digits}")),
        _ => Cow::Borrowed(number),
    }
}

/// The first digits of a number, never its last four, then `*`. Nothing of what is no number.
pub(super) fn first_digits(value: &str, digits: u8) -> String {
    let number = number_in(value);
    let all = e164_digits(number).unwrap_or("");
    let kept = usize::from(digits).min(all.len().saturating_sub(HIDDEN_DIGITS));
    let plus = if number.starts_with('+') && kept > 0 { "+" } else { "" };
    format!("{plus}{}*", all.get(..kept).unwrap_or(""))
}

/// The number in the user part of a SIP or tel URI, or the text as it is.
fn number_in(value: &str) -> &str {
    let rest = ["sips:", "sip:", "tel:"].iter().find_map(|scheme| strip_prefix_no_case(value, scheme));
    let user = rest.map(|rest| rest.split_once('@').map_or(rest, |(user, _)| user));
    let number = user.and_then(|user| user.split([';', ':', '?']).next());
    number.filter(|number| e164_digits(number).is_some()).unwrap_or(value)
}

/// The digits of a text that is 5 to 15 of them, after a `+` that may be there.
fn e164_digits(text: &str) -> Option<&str> {
    let digits = text.strip_prefix('+').unwrap_or(text);
    let plausible = (5..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    plausible.then_some(digits)
}

fn strip_prefix_no_case<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let (head, rest) = text.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then_some(rest)
}

/// The part of a number that tells its owner.
const HIDDEN_DIGITS: usize = 4;
