//! A parsed URI back to text.

use super::piece::{is_param, is_unreserved, is_user};
use super::uri::{Param, PartyUri, Scheme};

impl PartyUri {
    /// The URI as text that parses to the same value: escapes where they are needed, names in lower case. Not a
    /// `Display`: it shows the subscriber.
    pub fn expose(&self) -> String {
        let mut out = String::from(match self.scheme {
            Scheme::Sip => "sip:",
            Scheme::Sips => "sips:",
            Scheme::Tel => "tel:",
            Scheme::Urn => "urn:",
        });
        if let Some(user) = &self.user {
            if self.scheme == Scheme::Tel {
                out.push_str(user.expose());
            } else {
                // The RFC has no raw `#`, though we take one.
                escape(user.expose(), |byte| is_user(byte) && byte != b'#', &mut out);
                write_params(&self.user_params, &mut out);
                out.push('@');
            }
        }
        out.push_str(self.host.as_deref().unwrap_or_default());
        if let Some(port) = self.port {
            out.push(':');
            out.push_str(&port.to_string());
        }
        write_params(&self.params, &mut out);
        out
    }
}

fn write_params(params: &[Param], out: &mut String) {
    for param in params {
        out.push(';');
        escape(&param.name, is_unreserved, out);
        if let Some(value) = &param.value {
            out.push('=');
            escape(value.expose(), is_param, out);
        }
    }
}

fn escape(text: &str, allowed: fn(u8) -> bool, out: &mut String) {
    for byte in text.bytes() {
        if allowed(byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
}
