//! The words of the contract that are values. One row = our name and the wire's word; a word that is not in the table
//! is kept as `Other`, so that a newer switch configuration never costs a message.

/// Makes an enum, its parser and its wire form from one table.
macro_rules! wire_words {
    ($(#[$meta:meta])* $name:ident { $($(#[$row_meta:meta])* $row:ident = $word:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$row_meta])* $row,)+
            /// A word this version does not know, as it came.
            Other(String),
        }

        impl $name {
            /// Every word of the table.
            pub const KNOWN: &'static [Self] = &[$(Self::$row),+];

            /// The wire's word.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$row => $word,)+
                    Self::Other(word) => word,
                }
            }

            /// From the wire's word, case-sensitive; never fails.
            pub fn parse(word: &str) -> Self {
                match word {
                    $($word => Self::$row,)+
                    other => Self::Other(other.to_owned()),
                }
            }
        }

        impl crate::evapi::fields::Value for $name {
            fn parse(value: &serde_json::Value) -> Result<Self, crate::evapi::fields::Fault> {
                value.as_str().map(Self::parse).ok_or(crate::evapi::fields::Fault::Type("a string"))
            }

            fn append(&self, field: &'static str, out: &mut crate::evapi::fields::FieldWriter) {
                out.text(field, self.as_str());
            }
        }
    };
}

wire_words! {
    /// `status` of `HELLO_REPLY`.
    HelloStatus {
        /// We hold the tag now.
        Ok = "OK",
        /// Another live agent holds it.
        Refused = "REFUSED",
    }
}

wire_words! {
    /// `status` of `SET_TIMEOUT_REPLY` and `DISCONNECT_REPLY`.
    ReplyStatus {
        /// Done.
        Ok = "OK",
        /// Kamailio has no such dialog.
        NotFound = "NOT_FOUND",
        /// The dialog is there, but the operation failed.
        Failed = "FAILED",
    }
}

wire_words! {
    /// `payer_kind`: how Kamailio knows who pays.
    PayerKind {
        /// SIP digest user.
        Digest = "digest",
        /// Source address of a trunk.
        Trunk = "trunk",
    }
}

wire_words! {
    /// `ended_by` of `CALL_END`.
    EndedBy {
        /// The caller sent BYE.
        Caller = "caller",
        /// The callee sent BYE.
        Callee = "callee",
        /// Kamailio ended it: backstop or `DISCONNECT`.
        Proxy = "proxy",
    }
}

wire_words! {
    /// `cause` of `CALL_END`. `Other` is the `cause` of the `DISCONNECT` that ended the call.
    EndCause {
        /// One side hung up.
        Bye = "BYE",
        /// The backstop ran out.
        MaxDuration = "MAX_DURATION",
    }
}

wire_words! {
    /// `cause` of `CALL_FAILED`.
    FailCause {
        /// The caller gave up.
        Cancelled = "CANCELLED",
        /// The agent said no.
        Rejected = "REJECTED",
        /// The agent did not answer in time.
        AuthTimeout = "AUTH_TIMEOUT",
        /// No agent was there to ask.
        NoAgent = "NO_AGENT",
        /// The callee's side failed it (busy, no answer, ...).
        Failed = "FAILED",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    macro_rules! every_word_comes_back {
        ($($name:ident),+) => {
            $(for word in $name::KNOWN {
                assert_eq!(&$name::parse(word.as_str()), word);
            }
            assert_eq!($name::parse("SOMETHING_NEW"), $name::Other("SOMETHING_NEW".into()));)+
        };
    }

    #[test]
    fn words_round_trip() {
        every_word_comes_back!(HelloStatus, ReplyStatus, PayerKind, EndedBy, EndCause, FailCause);
        assert_eq!(FailCause::AuthTimeout.as_str(), "AUTH_TIMEOUT");
    }
}
