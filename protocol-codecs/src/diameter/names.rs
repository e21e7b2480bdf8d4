//! Numbers that have names: the Enumerated AVPs, one row a value.

use super::avp::Avp;
use super::dictionary::{Definition, Kind};
use super::error::{EncodeError, Fault, MessageError};
use super::reading::Reading;
use super::value::Value;
use super::writer::Writer;

/// Makes an enum from its rows. A `closed` one has no other values: one that is not in the table is refused with 5004.
/// An `open` one keeps it as `Other`; strict reading refuses it, and it is never sent.
macro_rules! enumerated {
    (closed $(#[$meta:meta])* $name:ident { $($(#[$row_meta:meta])* $row:ident = $number:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$row_meta])* $row,)+
        }

        impl $name {
            /// Every value of the table.
            pub const KNOWN: &'static [Self] = &[$(Self::$row),+];

            /// The wire's number.
            pub fn number(self) -> i32 {
                match self { $(Self::$row => $number,)+ }
            }

            /// From the wire's number; `None` for one that is not in the table.
            pub fn from_number(number: i32) -> Option<Self> {
                match number { $($number => Some(Self::$row),)+ _ => None }
            }
        }

        impl<'a> Value<'a> for $name {
            const KINDS: &'static [Kind] = &[Kind::Enumerated];
            type Owned = Self;

            #[inline]
            fn decode(avp: &Avp<'a>, reading: &mut Reading) -> Result<Self, MessageError> {
                Self::from_number(number(avp, reading)?).ok_or_else(|| MessageError::about(Fault::AvpValue, avp))
            }

            #[inline]
            fn encode(&self, definition: &'static Definition, out: &mut Writer<'_>) {
                out.four(definition, self.number().to_be_bytes());
            }

            fn into_owned(self) -> Self { self }
        }
    };
    (open $(#[$meta:meta])* $name:ident { $($(#[$row_meta:meta])* $row:ident = $number:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$row_meta])* $row,)+
            /// A number this version has no name for.
            Other(i32),
        }

        impl $name {
            /// Every value of the table.
            pub const KNOWN: &'static [Self] = &[$(Self::$row),+];

            /// The wire's number.
            pub fn number(self) -> i32 {
                match self { $(Self::$row => $number,)+ Self::Other(number) => number }
            }

            /// From the wire's number; never fails.
            pub fn from_number(number: i32) -> Self {
                match number { $($number => Self::$row,)+ other => Self::Other(other) }
            }
        }

        impl<'a> Value<'a> for $name {
            const KINDS: &'static [Kind] = &[Kind::Enumerated];
            type Owned = Self;

            #[inline]
            fn decode(avp: &Avp<'a>, reading: &mut Reading) -> Result<Self, MessageError> {
                match Self::from_number(number(avp, reading)?) {
                    Self::Other(_) if reading.is_strict() => Err(MessageError::about(Fault::AvpValue, avp)),
                    value => Ok(value),
                }
            }

            #[inline]
            fn encode(&self, definition: &'static Definition, out: &mut Writer<'_>) {
                // By its number: `Other(1)` is not another way to say what 1 means.
                if let Self::Other(_) = Self::from_number(self.number()) {
                    return out.fail(EncodeError::BadValue { avp: definition.name });
                }
                out.four(definition, self.number().to_be_bytes());
            }

            fn into_owned(self) -> Self { self }
        }
    };
}

#[inline]
fn number(avp: &Avp<'_>, reading: &mut Reading) -> Result<i32, MessageError> {
    i32::decode(avp, reading)
}

enumerated! { closed
    /// CC-Request-Type (RFC 8506 section 8.3).
    CcRequestType {
        /// A session begins.
        Initial = 1,
        /// A session goes on.
        Update = 2,
        /// A session ends.
        Termination = 3,
        /// One event, no session.
        Event = 4,
    }
}

enumerated! { open
    /// Requested-Action (RFC 8506 section 8.41): means something in events only; Open5GS sends it always.
    RequestedAction {
        /// Take the units now.
        DirectDebiting = 0,
        /// Give them back.
        RefundAccount = 1,
        /// Would the units be granted?
        CheckBalance = 2,
        /// What would they cost?
        PriceEnquiry = 3,
    }
}

enumerated! { open
    /// Subscription-Id-Type (RFC 8506 section 8.47).
    SubscriptionIdType {
        /// International number, perhaps with a plus sign.
        EndUserE164 = 0,
        /// IMSI.
        EndUserImsi = 1,
        /// `sip:` URI.
        EndUserSipUri = 2,
        /// Network access identifier.
        EndUserNai = 3,
        /// By agreement.
        EndUserPrivate = 4,
    }
}

enumerated! { open
    /// Multiple-Services-Indicator (RFC 8506 section 8.40). Open5GS says no and sends several all the same: look at
    /// the groups, not at this.
    MultipleServicesIndicator {
        /// No.
        NotSupported = 0,
        /// Yes.
        Supported = 1,
    }
}

enumerated! { open
    /// Tariff-Change-Usage (RFC 8506 section 8.27).
    TariffChangeUsage {
        /// Used before the change.
        BeforeTariffChange = 0,
        /// Used after it.
        AfterTariffChange = 1,
        /// The client cannot tell.
        Indeterminate = 2,
    }
}

enumerated! { open
    /// Reporting-Reason (TS 32.299 section 7.2.175).
    ReportingReason {
        /// The threshold was reached.
        Threshold = 0,
        /// The quota holding time is over.
        Qht = 1,
        /// The service ends.
        Final = 2,
        /// Nothing is left.
        QuotaExhausted = 3,
        /// The validity time is over.
        ValidityTime = 4,
        /// Another kind of quota ended it.
        OtherQuotaType = 5,
        /// What it is rated by has changed.
        RatingConditionChange = 6,
        /// We asked for it (RAR).
        ForcedReauthorisation = 7,
        /// The pool is used up.
        PoolExhausted = 8,
        /// Too long unused.
        UnusedQuotaTimer = 9,
    }
}

enumerated! { open
    /// Final-Unit-Action (RFC 8506 section 8.35).
    FinalUnitAction {
        /// End it.
        Terminate = 0,
        /// Send the user to the Redirect-Server.
        Redirect = 1,
        /// Permit only what the filters name.
        RestrictAccess = 2,
    }
}

enumerated! { open
    /// Redirect-Address-Type (RFC 8506 section 8.38).
    RedirectAddressType {
        /// IPv4.
        Ipv4Address = 0,
        /// IPv6.
        Ipv6Address = 1,
        /// `http:` and the like.
        Url = 2,
        /// `sip:`, `sips:`, `tel:`.
        SipUri = 3,
    }
}

enumerated! { open
    /// CC-Session-Failover (RFC 8506 section 8.4).
    CcSessionFailover {
        /// Stay with this server.
        NotSupported = 0,
        /// Another server may be asked.
        Supported = 1,
    }
}

enumerated! { open
    /// Credit-Control-Failure-Handling (RFC 8506 section 8.14).
    CreditControlFailureHandling {
        /// End the service.
        Terminate = 0,
        /// Go on without credit control.
        Continue = 1,
        /// Ask another server, then end it.
        RetryAndTerminate = 2,
    }
}

enumerated! { open
    /// Direct-Debiting-Failure-Handling (RFC 8506 section 8.15).
    DirectDebitingFailureHandling {
        /// Refuse the service, or buffer.
        TerminateOrBuffer = 0,
        /// Give it.
        Continue = 1,
    }
}

enumerated! { open
    /// Check-Balance-Result (RFC 8506 section 8.6).
    CheckBalanceResult {
        /// There is enough.
        EnoughCredit = 0,
        /// There is not.
        NoCredit = 1,
    }
}

enumerated! { open
    /// CC-Unit-Type (RFC 8506 section 8.32).
    CcUnitType {
        /// Seconds.
        Time = 0,
        /// Money.
        Money = 1,
        /// Octets both ways.
        TotalOctets = 2,
        /// Octets to the user's side.
        InputOctets = 3,
        /// Octets from the user's side.
        OutputOctets = 4,
        /// Anything that is counted.
        ServiceSpecificUnits = 5,
    }
}

enumerated! { open
    /// Low-Balance-Indication (TS 32.299 section 7.2).
    LowBalanceIndication {
        /// Not low.
        NotApplicable = 0,
        /// Low.
        Yes = 1,
    }
}

enumerated! { open
    /// AoC-Request-Type (TS 32.299 section 7.2). Open5GS always asks for everything.
    AocRequestType {
        /// Nothing.
        NotRequested = 0,
        /// Everything.
        Full = 1,
        /// Cost only.
        CostOnly = 2,
        /// Tariff only.
        TariffOnly = 3,
    }
}

enumerated! { open
    /// User-Equipment-Info-Type (RFC 8506 section 8.50).
    UserEquipmentInfoType {
        /// IMEI and software version.
        Imeisv = 0,
        /// MAC address; Kamailio writes it as text.
        Mac = 1,
        /// EUI-64.
        Eui64 = 2,
        /// Modified EUI-64.
        ModifiedEui64 = 3,
    }
}

enumerated! { open
    /// Termination-Cause (RFC 6733 section 8.15).
    TerminationCause {
        /// The user ended it.
        Logout = 1,
        /// It was asked for and not given.
        ServiceNotProvided = 2,
        /// The answer was not what was wanted.
        BadAnswer = 3,
        /// The administrator.
        Administrative = 4,
        /// The link was lost.
        LinkBroken = 5,
        /// The authorisation is over.
        AuthExpired = 6,
        /// The user is elsewhere now.
        UserMoved = 7,
        /// Time is over.
        SessionTimeout = 8,
    }
}

enumerated! { open
    /// Disconnect-Cause (RFC 6733 section 5.4.3).
    DisconnectCause {
        /// Comes back.
        Rebooting = 0,
        /// Too much to do.
        Busy = 1,
        /// No interest in a connection.
        DoNotWantToTalkToYou = 2,
    }
}

enumerated! { open
    /// Re-Auth-Request-Type (RFC 6733 section 8.12).
    ReAuthRequestType {
        /// Ask again.
        AuthorizeOnly = 0,
        /// Ask again and prove who it is.
        AuthorizeAuthenticate = 1,
    }
}

enumerated! { open
    /// Redirect-Host-Usage (RFC 6733 section 6.13).
    RedirectHostUsage {
        /// Only this request.
        DontCache = 0,
        /// This session.
        AllSession = 1,
        /// This realm.
        AllRealm = 2,
        /// This realm and application.
        RealmAndApplication = 3,
        /// This application.
        AllApplication = 4,
        /// This host.
        AllHost = 5,
        /// This user.
        AllUser = 6,
    }
}

enumerated! { open
    /// Role-Of-Node (TS 32.299 section 7.2).
    RoleOfNode {
        /// Serves the caller.
        Originating = 0,
        /// Serves the callee.
        Terminating = 1,
        /// Serves who forwards the call.
        Forwarding = 2,
        /// Back to back (before release 12).
        B2bua = 3,
    }
}

enumerated! { open
    /// SM-Message-Type (TS 32.299 section 7.2).
    SmMessageType {
        /// A message is handed in.
        Submission = 0,
        /// What became of it.
        DeliveryReport = 1,
        /// A service request.
        SmServiceRequest = 2,
        /// A device trigger.
        TriggerDevice = 3,
    }
}

enumerated! { open
    /// Address-Type (TS 32.299 section 7.2).
    AddressType {
        /// Mail.
        EMail = 0,
        /// Number.
        Msisdn = 1,
        /// IPv4.
        Ipv4 = 2,
        /// IPv6.
        Ipv6 = 3,
        /// Short code.
        NumericShortcode = 4,
        /// Short code of letters.
        AlphanumericShortcode = 5,
        /// Something else.
        Unspecified = 6,
        /// IMSI.
        Imsi = 7,
    }
}

enumerated! { open
    /// Addressee-Type (TS 32.299 section 7.2).
    AddresseeType {
        /// To.
        To = 0,
        /// Copy.
        Cc = 1,
        /// Blind copy.
        Bcc = 2,
    }
}

/// An Enumerated AVP that is kept as its number because nothing depends on it (PDP type, node functionality, ...).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Enumerated(pub i32);

impl<'a> Value<'a> for Enumerated {
    const KINDS: &'static [Kind] = &[Kind::Enumerated];
    type Owned = Self;

    #[inline]
    fn decode(avp: &Avp<'a>, reading: &mut Reading) -> Result<Self, MessageError> {
        number(avp, reading).map(Self)
    }

    #[inline]
    fn encode(&self, definition: &'static Definition, out: &mut Writer<'_>) {
        out.four(definition, self.0.to_be_bytes());
    }

    fn into_owned(self) -> Self {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    macro_rules! every_number_comes_back {
        ($($name:ident),+) => {
            $(for value in $name::KNOWN {
                assert_eq!($name::from_number(value.number()), *value);
            }
            assert_eq!($name::from_number(4711), $name::Other(4711));)+
        };
    }

    #[test]
    fn numbers_round_trip() {
        every_number_comes_back!(
            RequestedAction,
            SubscriptionIdType,
            MultipleServicesIndicator,
            TariffChangeUsage,
            ReportingReason,
            FinalUnitAction,
            RedirectAddressType,
            CcSessionFailover,
            CreditControlFailureHandling,
            DirectDebitingFailureHandling,
            CheckBalanceResult,
            CcUnitType,
            LowBalanceIndication,
            AocRequestType,
            UserEquipmentInfoType,
            TerminationCause,
            DisconnectCause,
            ReAuthRequestType,
            RedirectHostUsage,
            RoleOfNode,
            SmMessageType,
            AddressType,
            AddresseeType
        );
        for value in CcRequestType::KNOWN {
            assert_eq!(CcRequestType::from_number(value.number()), Some(*value));
        }
        assert_eq!(CcRequestType::from_number(99), None);
    }
}
