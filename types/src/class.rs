//! What the caller of a failed operation may do. Drivers decide by class alone, and the class is the metric label.

/// Answer to "what now?" for every public error of tollkeeper.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorClass {
    /// The connection (or the process, for storage) cannot go on.
    Fatal,
    /// Only this message is lost; the next one may be good.
    Skip,
    /// The same request may succeed later.
    Retry,
    /// The other side understood and said no; repeating is useless.
    Refused,
}

impl ErrorClass {
    /// The metric label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fatal => "fatal",
            Self::Skip => "skip",
            Self::Retry => "retry",
            Self::Refused => "refused",
        }
    }
}
