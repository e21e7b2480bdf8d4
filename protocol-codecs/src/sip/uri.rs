//! `sip:`, `sips:`, `tel:` and `urn:` URIs.

use std::net::Ipv6Addr;

use super::error::SipError;
use super::limits::{PARAMS_MAX, URI_BYTES_MAX};
use super::piece::{Piece, is_param, is_unreserved, is_user};
use crate::Masked;

/// What kind of URI it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// RFC 3261.
    Sip,
    /// RFC 3261, over TLS.
    Sips,
    /// RFC 3966.
    Tel,
    /// RFC 8141; here `urn:service:...` (RFC 5031).
    Urn,
}

/// `;name=value` or `;name`, decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Param {
    /// In lower case.
    pub name: String,
    /// Absent without `=`.
    pub value: Option<Masked>,
}

/// Someone's address, decoded. Header fields in the URI (`?name=value`) and a password are checked and dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartyUri {
    /// Kind.
    pub scheme: Scheme,
    /// `sip`, `sips`: the user without its parameters; absent when there is none. `tel`: the number as written.
    /// `urn`: absent.
    pub user: Option<Masked>,
    /// `sip`, `sips`: parameters inside the user part (`sip:123;phone-context=+49@host`).
    pub user_params: Vec<Param>,
    /// `sip`, `sips`: name or address in lower case, IPv6 in brackets. `urn`: what follows `urn:`, in lower case.
    /// `tel`: absent.
    pub host: Option<String>,
    /// 1 to 65535; absent = the scheme's own.
    pub port: Option<u16>,
    /// Parameters of the URI.
    pub params: Vec<Param>,
    /// Where a local number is valid (RFC 3966), from the user part of a `sip` URI or from a `tel` URI.
    pub phone_context: Option<Masked>,
}

/// Reads one URI, and nothing but that.
///
/// # Errors
/// Every [`SipError`] is about this value only.
pub fn parse_uri(text: &str) -> Result<PartyUri, SipError> {
    uri(Piece { text, at: 0 })
}

pub(super) fn uri(whole: Piece<'_>) -> Result<PartyUri, SipError> {
    let (bytes, limit) = (whole.text.len(), URI_BYTES_MAX);
    if bytes > limit {
        return Err(SipError::TooLong { bytes, limit });
    }
    if bytes == 0 {
        return Err(SipError::Empty { at: whole.at });
    }
    let (scheme, rest) = whole.split_once(':').ok_or(SipError::NoScheme { at: whole.at })?;
    match scheme.text.to_ascii_lowercase().as_str() {
        "sip" => sip(Scheme::Sip, rest),
        "sips" => sip(Scheme::Sips, rest),
        "tel" => tel(rest),
        "urn" => urn(rest),
        _ => Err(SipError::UnknownScheme { at: whole.at }),
    }
}

impl PartyUri {
    /// Decoded value of a parameter of the URI; `None` when it is not there, `Some(None)` when it has no value.
    pub fn param(&self, name: &str) -> Option<Option<&Masked>> {
        find(&self.params, name)
    }

    /// True for `urn:service:sos` and everything below it (RFC 5031).
    pub fn is_emergency_service(&self) -> bool {
        let name = self.host.as_deref().unwrap_or_default();
        self.scheme == Scheme::Urn && (name == "service:sos" || name.starts_with("service:sos."))
    }

    fn empty(scheme: Scheme) -> Self {
        Self {
            scheme,
            user: None,
            user_params: Vec::new(),
            host: None,
            port: None,
            params: Vec::new(),
            phone_context: None,
        }
    }
}

pub(super) fn find<'a>(params: &'a [Param], name: &str) -> Option<Option<&'a Masked>> {
    params.iter().find(|param| param.name.eq_ignore_ascii_case(name)).map(|param| param.value.as_ref())
}

fn sip(scheme: Scheme, rest: Piece<'_>) -> Result<PartyUri, SipError> {
    let mut party = PartyUri::empty(scheme);
    let mut address = rest;
    if let Some((user_part, behind)) = rest.split_once('@') {
        if let Some((before, _)) = behind.split_once('@') {
            return Err(SipError::SecondAt { at: behind.at + before.text.len() });
        }
        let (user_part, password) = user_part.split_first(':');
        if let Some(password) = password {
            password.unescape(is_user)?;
        }
        let (user, params) = user_part.split_first(';');
        if user.text.is_empty() {
            return Err(SipError::Empty { at: user.at });
        }
        party.user = Some(Masked::new(user.unescape(is_user)?));
        party.user_params = uri_params(params)?;
        party.phone_context = find(&party.user_params, "phone-context").flatten().cloned();
        address = behind;
    }
    let (address, headers) = address.split_first('?');
    if let Some(headers) = headers {
        headers.unescape(|byte| is_param(byte) || b"=?".contains(&byte))?;
    }
    let (host_port, params) = address.split_first(';');
    (party.host, party.port) = host_and_port(host_port)?;
    party.params = uri_params(params)?;
    Ok(party)
}

fn tel(rest: Piece<'_>) -> Result<PartyUri, SipError> {
    let mut party = PartyUri::empty(Scheme::Tel);
    let (number, params) = rest.split_first(';');
    let digits = number.unescape(|byte| b"+-.()*#".contains(&byte) || byte.is_ascii_hexdigit())?;
    let local = digits.strip_prefix('+').unwrap_or(&digits);
    let dialable = |byte: u8| byte.is_ascii_hexdigit() || b"*#".contains(&byte);
    if !local.bytes().any(dialable) || !local.bytes().all(|byte| dialable(byte) || b"-.()".contains(&byte)) {
        return Err(SipError::BadNumber { at: number.at });
    }
    party.user = Some(Masked::new(digits));
    party.params = uri_params(params)?;
    party.phone_context = find(&party.params, "phone-context").flatten().cloned();
    Ok(party)
}

fn urn(rest: Piece<'_>) -> Result<PartyUri, SipError> {
    if let Some(offset) = rest.text.bytes().position(|byte| !is_unreserved(byte) && byte != b':') {
        return Err(SipError::BadCharacter { at: rest.at + offset });
    }
    // A namespace and something in it.
    let (space, name) = rest.split_once(':').ok_or(SipError::Empty { at: rest.at + rest.text.len() })?;
    if let Some(part) = [space, name].iter().find(|part| part.text.is_empty()) {
        return Err(SipError::Empty { at: part.at });
    }
    let mut party = PartyUri::empty(Scheme::Urn);
    party.host = Some(rest.text.to_ascii_lowercase());
    Ok(party)
}

fn host_and_port(piece: Piece<'_>) -> Result<(Option<String>, Option<u16>), SipError> {
    let bad_host = SipError::BadHost { at: piece.at };
    let (host, port) = if let Some(inner) = piece.text.strip_prefix('[') {
        let (address, behind) = inner.split_once(']').ok_or(bad_host)?;
        let parsed: Ipv6Addr = address.parse().map_err(|_| bad_host)?;
        let behind = Piece { text: behind, at: piece.at + address.len() + 2 };
        let port = match behind.split_once(':') {
            Some((Piece { text: "", .. }, port)) => Some(port),
            None if behind.text.is_empty() => None,
            _ => return Err(SipError::BadCharacter { at: behind.at }),
        };
        (format!("[{parsed}]"), port)
    } else {
        let (host, port) = piece.split_first(':');
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
        if host.text.is_empty() || !host.text.bytes().all(allowed) {
            return Err(bad_host);
        }
        (host.text.to_ascii_lowercase(), port)
    };
    Ok((Some(host), port.map(port_number).transpose()?))
}

/// Digits only: the standard parser would take a plus sign.
fn port_number(piece: Piece<'_>) -> Result<u16, SipError> {
    let digits = piece.text.bytes().all(|byte| byte.is_ascii_digit());
    match piece.text.parse() {
        Ok(port) if digits && port > 0 => Ok(port),
        _ => Err(SipError::BadPort { at: piece.at }),
    }
}

fn uri_params(list: Option<Piece<'_>>) -> Result<Vec<Param>, SipError> {
    let mut params = Vec::new();
    let mut rest = list;
    while let Some(piece) = rest {
        let (param, behind) = piece.split_first(';');
        rest = behind;
        let (name, value) = param.split_first('=');
        let name = Param { name: name.unescape(is_param)?, value: None };
        let value = value.map(|value| value.unescape(is_param)).transpose()?.map(Masked::new);
        push_param(&mut params, Param { value, ..name }, param.at)?;
    }
    Ok(params)
}

/// Adds a parameter, with its name in lower case, unless it is there already.
pub(super) fn push_param(params: &mut Vec<Param>, mut param: Param, at: usize) -> Result<(), SipError> {
    param.name.make_ascii_lowercase();
    if param.name.is_empty() {
        return Err(SipError::Empty { at });
    }
    if find(params, &param.name).is_some() {
        return Err(SipError::ParamTwice { at });
    }
    if params.len() == PARAMS_MAX {
        return Err(SipError::TooManyParams { limit: PARAMS_MAX });
    }
    params.push(param);
    Ok(())
}

#[cfg(test)]
#[path = "uri_tests.rs"]
mod tests;
