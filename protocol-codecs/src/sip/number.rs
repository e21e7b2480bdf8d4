//! Telephone numbers in URIs. Only reads what stands there; what a local number means is decided by the trunk's rules.

use super::limits::E164_DIGITS_MAX;
use super::uri::PartyUri;
use crate::Masked;

/// The telephone number of a URI, without visual separators.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PhoneNumber {
    /// `+` and 1 to 15 digits: E.164.
    Global(Masked),
    /// Digits, `*` and `#`, valid where `phone_context` says, or where it was dialled.
    Local {
        /// What was dialled.
        digits: Masked,
        /// A number prefix (`+49`) or a domain; absent = not said.
        phone_context: Option<Masked>,
    },
}

impl PartyUri {
    /// The number in the user part; `None` when that is a name, or more than 15 digits behind a `+`.
    pub fn phone_number(&self) -> Option<PhoneNumber> {
        let user = strip_separators(self.user.as_ref()?.expose());
        if is_global(&user) {
            return Some(PhoneNumber::Global(Masked::new(user)));
        }
        if user.is_empty() || !user.bytes().all(|byte| byte.is_ascii_digit() || b"*#".contains(&byte)) {
            return None;
        }
        let phone_context = self.phone_context.clone();
        Some(PhoneNumber::Local { digits: Masked::new(user), phone_context })
    }

    /// Numbers in E.164 form (`+` and digits) that the URI itself states, best first: a global number, or a local one
    /// behind a global `phone-context`. Empty when only the trunk's rules can tell.
    pub fn e164_candidates(&self) -> Vec<Masked> {
        let candidate = match self.phone_number() {
            Some(PhoneNumber::Global(number)) => Some(number.expose().to_owned()),
            Some(PhoneNumber::Local { digits, phone_context: Some(context) }) => {
                let context = strip_separators(context.expose());
                is_global(&context).then(|| context + digits.expose())
            }
            _ => None,
        };
        candidate.into_iter().filter(|number| is_global(number)).map(Masked::new).collect()
    }
}

/// RFC 3966 `visual-separator`.
fn strip_separators(text: &str) -> String {
    text.chars().filter(|character| !"-.()".contains(*character)).collect()
}

fn is_global(text: &str) -> bool {
    text.strip_prefix('+').is_some_and(|digits| {
        (1..=E164_DIGITS_MAX).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
    })
}
