//! Result codes (RFC 6733 section 7.1, RFC 8506 section 9).

use std::fmt;

/// The value of a Result-Code AVP; any number, the names below are those that matter here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ResultCode(pub u32);

macro_rules! result_codes {
    ($($(#[$meta:meta])* $name:ident = $code:literal, $wire:literal;)+) => {
        impl ResultCode {
            $($(#[$meta])* pub const $name: Self = Self($code);)+

            /// Every code with a name.
            pub const KNOWN: &'static [Self] = &[$(Self::$name),+];

            /// The RFC's name without `DIAMETER_`; `None` for a code this version has no name for.
            pub fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($code => Some($wire),)+
                    _ => None,
                }
            }
        }
    };
}

result_codes! {
    /// Done.
    SUCCESS = 2001, "SUCCESS";
    /// Done, but not all of it.
    LIMITED_SUCCESS = 2002, "LIMITED_SUCCESS";
    /// No such command.
    COMMAND_UNSUPPORTED = 3001, "COMMAND_UNSUPPORTED";
    /// The destination cannot be reached.
    UNABLE_TO_DELIVER = 3002, "UNABLE_TO_DELIVER";
    /// The realm is not one of ours.
    REALM_NOT_SERVED = 3003, "REALM_NOT_SERVED";
    /// Try another peer.
    TOO_BUSY = 3004, "TOO_BUSY";
    /// Our own name is among the Route-Records.
    LOOP_DETECTED = 3005, "LOOP_DETECTED";
    /// Ask whom the answer names.
    REDIRECT_INDICATION = 3006, "REDIRECT_INDICATION";
    /// No such application.
    APPLICATION_UNSUPPORTED = 3007, "APPLICATION_UNSUPPORTED";
    /// Header bits that contradict each other or the command.
    INVALID_HDR_BITS = 3008, "INVALID_HDR_BITS";
    /// AVP bits against the AVP's definition.
    INVALID_AVP_BITS = 3009, "INVALID_AVP_BITS";
    /// The peer is not one of ours.
    UNKNOWN_PEER = 3010, "UNKNOWN_PEER";
    /// Could not be authenticated.
    AUTHENTICATION_REJECTED = 4001, "AUTHENTICATION_REJECTED";
    /// The election of RFC 6733 section 5.6.4 was lost.
    ELECTION_LOST = 4003, "ELECTION_LOST";
    /// The service is denied, for credit or other reasons.
    END_USER_SERVICE_DENIED = 4010, "END_USER_SERVICE_DENIED";
    /// Free of charge: no more credit control for it.
    CREDIT_CONTROL_NOT_APPLICABLE = 4011, "CREDIT_CONTROL_NOT_APPLICABLE";
    /// Not enough credit.
    CREDIT_LIMIT_REACHED = 4012, "CREDIT_LIMIT_REACHED";
    /// A mandatory AVP that is not known.
    AVP_UNSUPPORTED = 5001, "AVP_UNSUPPORTED";
    /// No such session.
    UNKNOWN_SESSION_ID = 5002, "UNKNOWN_SESSION_ID";
    /// Not permitted.
    AUTHORIZATION_REJECTED = 5003, "AUTHORIZATION_REJECTED";
    /// A value out of range.
    INVALID_AVP_VALUE = 5004, "INVALID_AVP_VALUE";
    /// A required AVP is not there.
    MISSING_AVP = 5005, "MISSING_AVP";
    /// More than there is.
    RESOURCES_EXCEEDED = 5006, "RESOURCES_EXCEEDED";
    /// Two AVPs that contradict each other.
    CONTRADICTING_AVPS = 5007, "CONTRADICTING_AVPS";
    /// An AVP that may not stand there.
    AVP_NOT_ALLOWED = 5008, "AVP_NOT_ALLOWED";
    /// An AVP more often than permitted.
    AVP_OCCURS_TOO_MANY_TIMES = 5009, "AVP_OCCURS_TOO_MANY_TIMES";
    /// Nothing in common in the capabilities exchange.
    NO_COMMON_APPLICATION = 5010, "NO_COMMON_APPLICATION";
    /// Not version 1.
    UNSUPPORTED_VERSION = 5011, "UNSUPPORTED_VERSION";
    /// For no other reason that has a code.
    UNABLE_TO_COMPLY = 5012, "UNABLE_TO_COMPLY";
    /// A reserved bit of the header is set.
    INVALID_BIT_IN_HEADER = 5013, "INVALID_BIT_IN_HEADER";
    /// An AVP's length cannot be right.
    INVALID_AVP_LENGTH = 5014, "INVALID_AVP_LENGTH";
    /// The message's length does not fit its AVPs.
    INVALID_MESSAGE_LENGTH = 5015, "INVALID_MESSAGE_LENGTH";
    /// No security mechanism in common.
    NO_COMMON_SECURITY = 5017, "NO_COMMON_SECURITY";
    /// No such user.
    USER_UNKNOWN = 5030, "USER_UNKNOWN";
    /// No price for what was asked.
    RATING_FAILED = 5031, "RATING_FAILED";
}

impl ResultCode {
    /// 2xxx.
    pub fn is_success(self) -> bool {
        self.0 / 1000 == 2
    }

    /// 3xxx: a protocol error, whose answer has the E bit (RFC 6733 section 7.1.3).
    pub fn is_protocol_error(self) -> bool {
        self.0 / 1000 == 3
    }

    /// 4xxx: the same request may succeed later.
    pub fn is_transient(self) -> bool {
        self.0 / 1000 == 4
    }

    /// 5xxx: the same request will fail again.
    pub fn is_permanent(self) -> bool {
        self.0 / 1000 == 5
    }
}

impl fmt::Display for ResultCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "{} {name}", self.0),
            None => self.0.fmt(f),
        }
    }
}
