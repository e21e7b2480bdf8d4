//! What the owner of a connection must do about an error.

/// The one question a driver asks of an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// The stream has lost its place or cannot be used: close the connection.
    Fatal,
    /// This one message is lost; the stream is still in step.
    Skip,
    /// We were asked to send what must not be sent; nothing was written.
    Refused,
}

impl Class {
    /// The metric label: `fatal`, `skip` or `refused`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fatal => "fatal",
            Self::Skip => "skip",
            Self::Refused => "refused",
        }
    }
}
