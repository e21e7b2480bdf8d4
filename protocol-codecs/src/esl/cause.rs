//! Why a channel ended: FreeSWITCH's own names and numbers (`CAUSE_CHART` in `switch_channel.c`), with the SIP status
//! that a caller who was not answered yet is sent (`hangup_cause_to_sip` in `mod_sofia.c`, recorded for ten of them).
//!
//! An unknown name given to FreeSWITCH becomes `NORMAL_CLEARING` without a word, so that a misspelt cause makes a call
//! that was cut look like one that ended by itself: commands take this enum only.

/// Makes the enum from its table: our name, FreeSWITCH's name, its number, the SIP status.
macro_rules! causes {
    ($($row:ident = $name:literal, $number:literal, $status:literal;)+) => {
        /// Hangup cause, by FreeSWITCH's name.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum HangupCause {
            $(#[doc = concat!("`", $name, "`, number ", $number, ", SIP status ", $status, ".")] $row,)+
        }

        impl HangupCause {
            /// Every cause.
            pub const KNOWN: &'static [Self] = &[$(Self::$row),+];

            /// FreeSWITCH's name.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$row => $name,)+
                }
            }

            /// From FreeSWITCH's name, case-sensitive; `None` for a name that FreeSWITCH would not know either.
            pub fn parse(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$row),)+
                    _ => None,
                }
            }

            /// FreeSWITCH's number: the Q.850 value up to 127, its own above.
            pub fn number(self) -> u16 {
                match self {
                    $(Self::$row => $number,)+
                }
            }

            /// The SIP status of a refusal with this cause. For another one, 402 for instance, transfer to an extension
            /// that runs `respond`.
            pub fn sip_status(self) -> u16 {
                match self {
                    $(Self::$row => $status,)+
                }
            }
        }
    };
}

impl HangupCause {
    /// Q.850 value, as `variable_hangup_cause_q850` tells it: FreeSWITCH's own causes are 16. A call cut for want of
    /// credit is told from a normal one by its name only.
    pub fn q850(self) -> u8 {
        u8::try_from(self.number()).ok().filter(|number| *number <= 127).unwrap_or(16)
    }
}

impl std::fmt::Display for HangupCause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

causes! {
    Unset = "NONE", 0, 480;
    UnallocatedNumber = "UNALLOCATED_NUMBER", 1, 404;
    NoRouteTransitNet = "NO_ROUTE_TRANSIT_NET", 2, 404;
    NoRouteDestination = "NO_ROUTE_DESTINATION", 3, 404;
    ChannelUnacceptable = "CHANNEL_UNACCEPTABLE", 6, 480;
    CallAwardedDelivered = "CALL_AWARDED_DELIVERED", 7, 480;
    NormalClearing = "NORMAL_CLEARING", 16, 480;
    UserBusy = "USER_BUSY", 17, 486;
    NoUserResponse = "NO_USER_RESPONSE", 18, 408;
    NoAnswer = "NO_ANSWER", 19, 480;
    SubscriberAbsent = "SUBSCRIBER_ABSENT", 20, 480;
    CallRejected = "CALL_REJECTED", 21, 603;
    NumberChanged = "NUMBER_CHANGED", 22, 410;
    RedirectionToNewDestination = "REDIRECTION_TO_NEW_DESTINATION", 23, 410;
    ExchangeRoutingError = "EXCHANGE_ROUTING_ERROR", 25, 483;
    DestinationOutOfOrder = "DESTINATION_OUT_OF_ORDER", 27, 502;
    InvalidNumberFormat = "INVALID_NUMBER_FORMAT", 28, 484;
    FacilityRejected = "FACILITY_REJECTED", 29, 501;
    ResponseToStatusEnquiry = "RESPONSE_TO_STATUS_ENQUIRY", 30, 480;
    NormalUnspecified = "NORMAL_UNSPECIFIED", 31, 480;
    NormalCircuitCongestion = "NORMAL_CIRCUIT_CONGESTION", 34, 503;
    NetworkOutOfOrder = "NETWORK_OUT_OF_ORDER", 38, 503;
    NormalTemporaryFailure = "NORMAL_TEMPORARY_FAILURE", 41, 503;
    SwitchCongestion = "SWITCH_CONGESTION", 42, 503;
    AccessInfoDiscarded = "ACCESS_INFO_DISCARDED", 43, 480;
    RequestedChanUnavail = "REQUESTED_CHAN_UNAVAIL", 44, 503;
    PreEmpted = "PRE_EMPTED", 45, 480;
    FacilityNotSubscribed = "FACILITY_NOT_SUBSCRIBED", 50, 480;
    OutgoingCallBarred = "OUTGOING_CALL_BARRED", 52, 403;
    IncomingCallBarred = "INCOMING_CALL_BARRED", 54, 403;
    BearercapabilityNotauth = "BEARERCAPABILITY_NOTAUTH", 57, 403;
    BearercapabilityNotavail = "BEARERCAPABILITY_NOTAVAIL", 58, 503;
    ServiceUnavailable = "SERVICE_UNAVAILABLE", 63, 480;
    BearercapabilityNotimpl = "BEARERCAPABILITY_NOTIMPL", 65, 488;
    ChanNotImplemented = "CHAN_NOT_IMPLEMENTED", 66, 480;
    FacilityNotImplemented = "FACILITY_NOT_IMPLEMENTED", 69, 501;
    ServiceNotImplemented = "SERVICE_NOT_IMPLEMENTED", 79, 501;
    InvalidCallReference = "INVALID_CALL_REFERENCE", 81, 480;
    IncompatibleDestination = "INCOMPATIBLE_DESTINATION", 88, 488;
    InvalidMsgUnspecified = "INVALID_MSG_UNSPECIFIED", 95, 480;
    MandatoryIeMissing = "MANDATORY_IE_MISSING", 96, 480;
    MessageTypeNonexist = "MESSAGE_TYPE_NONEXIST", 97, 480;
    WrongMessage = "WRONG_MESSAGE", 98, 480;
    IeNonexist = "IE_NONEXIST", 99, 480;
    InvalidIeContents = "INVALID_IE_CONTENTS", 100, 480;
    WrongCallState = "WRONG_CALL_STATE", 101, 480;
    RecoveryOnTimerExpire = "RECOVERY_ON_TIMER_EXPIRE", 102, 504;
    MandatoryIeLengthError = "MANDATORY_IE_LENGTH_ERROR", 103, 480;
    ProtocolError = "PROTOCOL_ERROR", 111, 480;
    Interworking = "INTERWORKING", 127, 480;
    Success = "SUCCESS", 142, 480;
    OriginatorCancel = "ORIGINATOR_CANCEL", 487, 487;
    Crash = "CRASH", 700, 480;
    SystemShutdown = "SYSTEM_SHUTDOWN", 701, 480;
    LoseRace = "LOSE_RACE", 702, 480;
    ManagerRequest = "MANAGER_REQUEST", 703, 480;
    BlindTransfer = "BLIND_TRANSFER", 800, 480;
    AttendedTransfer = "ATTENDED_TRANSFER", 801, 480;
    AllottedTimeout = "ALLOTTED_TIMEOUT", 802, 480;
    UserChallenge = "USER_CHALLENGE", 803, 480;
    MediaTimeout = "MEDIA_TIMEOUT", 804, 480;
    PickedOff = "PICKED_OFF", 805, 480;
    UserNotRegistered = "USER_NOT_REGISTERED", 806, 480;
    ProgressTimeout = "PROGRESS_TIMEOUT", 807, 480;
    InvalidGateway = "INVALID_GATEWAY", 808, 484;
    GatewayDown = "GATEWAY_DOWN", 809, 503;
    InvalidUrl = "INVALID_URL", 810, 484;
    InvalidProfile = "INVALID_PROFILE", 811, 502;
    NoPickup = "NO_PICKUP", 812, 480;
    SrtpReadError = "SRTP_READ_ERROR", 813, 480;
    Bowout = "BOWOUT", 814, 480;
    BusyEverywhere = "BUSY_EVERYWHERE", 815, 600;
    Decline = "DECLINE", 816, 603;
    DoesNotExistAnywhere = "DOES_NOT_EXIST_ANYWHERE", 817, 604;
    NotAcceptable = "NOT_ACCEPTABLE", 818, 606;
    Unwanted = "UNWANTED", 819, 607;
    NoIdentity = "NO_IDENTITY", 820, 428;
    BadIdentityInfo = "BAD_IDENTITY_INFO", 821, 429;
    UnsupportedCertificate = "UNSUPPORTED_CERTIFICATE", 822, 437;
    InvalidIdentity = "INVALID_IDENTITY", 823, 438;
    StaleDate = "STALE_DATE", 824, 403;
    RejectAll = "REJECT_ALL", 825, 603;
}

#[cfg(test)]
mod tests {
    use super::HangupCause;

    #[test]
    fn recorded_refusals_have_their_status() {
        for (cause, status, q850) in [
            (HangupCause::CallRejected, 603, 21),
            (HangupCause::OutgoingCallBarred, 403, 52),
            (HangupCause::BearercapabilityNotauth, 403, 57),
            (HangupCause::UserBusy, 486, 17),
            (HangupCause::NormalTemporaryFailure, 503, 41),
            (HangupCause::AllottedTimeout, 480, 16),
            (HangupCause::NormalClearing, 480, 16),
            (HangupCause::ManagerRequest, 480, 16),
            (HangupCause::OriginatorCancel, 487, 16),
            (HangupCause::Interworking, 480, 127),
        ] {
            assert_eq!((cause.sip_status(), cause.q850()), (status, q850), "{cause}");
        }
        assert_eq!(HangupCause::parse("alloted_timeout"), None, "misspelt");
        assert_eq!(HangupCause::parse("402"), None, "a number");
    }
}
