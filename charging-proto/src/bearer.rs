//! The token that a client shows with every request. See the server's `core.token`.

use std::fmt;

use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Request, Status};

/// A connection whose requests show a token, if there is one.
pub type TokenChannel = InterceptedService<Channel, Bearer>;

/// A token, or none. Its text is never shown.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Bearer(Option<MetadataValue<Ascii>>);

impl Bearer {
    /// From a token's text, such as the content of its file; white space around it is left out. `None` for what cannot be
    /// one: empty, or not printable ASCII.
    pub fn new(token: &str) -> Option<Self> {
        let token = token.trim();
        if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return None;
        }
        let mut value: MetadataValue<Ascii> = format!("Bearer {token}").parse().ok()?;
        value.set_sensitive(true);
        Some(Self(Some(value)))
    }

    /// Requests over `channel` show it.
    pub fn over(self, channel: Channel) -> TokenChannel {
        InterceptedService::new(channel, self)
    }
}

impl fmt::Debug for Bearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Bearer(***)" } else { "Bearer(none)" })
    }
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(value) = &self.0 {
            request.metadata_mut().insert("authorization", value.clone());
        }
        Ok(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_shown_to_the_server_and_to_nobody_else() {
        let mut bearer = Bearer::new(" s3cret-s3cret-s3cret\n").expect("a token");
        assert_eq!(format!("{bearer:?}"), "Bearer(***)");
        let request = bearer.call(Request::new(())).expect("a request");
        let value = request.metadata().get("authorization").expect("shown");
        assert_eq!(value, "Bearer s3cret-s3cret-s3cret");
        assert!(!format!("{:?}", request.metadata()).contains("s3cret"), "marked as sensitive");
        for wrong in ["", " \n", "two words", "ü"] {
            assert_eq!(Bearer::new(wrong), None, "{wrong:?}");
        }
        let none = Bearer::default().call(Request::new(())).expect("a request");
        assert!(none.metadata().is_empty());
    }
}
