//! The enums: one row a value, from which both directions are made. A new value is one row here and one in the
//! `.proto`; the compiler finds a row that is missing on the domain's side.

use types::charging as domain;

use super::ConvertError;
use crate::v1;

/// A domain enum that has a wire number.
pub(super) trait WireWord: Sized {
    /// The wire number, never 0.
    fn to_wire(self) -> i32;
    /// From the wire number; `field` is named in the error.
    fn from_wire(field: &'static str, value: i32) -> Result<Self, ConvertError>;

    /// From an optional wire number.
    fn from_optional(field: &'static str, value: Option<i32>) -> Result<Option<Self>, ConvertError> {
        value.map(|value| Self::from_wire(field, value)).transpose()
    }
}

macro_rules! wire_words {
    ($($domain:ty = $wire:ty { $($word:ident = $wire_word:ident),+ $(,)? })+) => { $(
        impl WireWord for $domain {
            fn to_wire(self) -> i32 {
                match self {
                    $(Self::$word => <$wire>::$wire_word.into(),)+
                }
            }

            fn from_wire(field: &'static str, value: i32) -> Result<Self, ConvertError> {
                match <$wire>::try_from(value) {
                    $(Ok(<$wire>::$wire_word) => Ok(Self::$word),)+
                    Ok(<$wire>::Unspecified) => Err(ConvertError::Missing { field }),
                    Err(_) => Err(ConvertError::UnknownValue { field, value }),
                }
            }
        }

        impl From<$domain> for $wire {
            fn from(word: $domain) -> Self {
                match word {
                    $(<$domain>::$word => Self::$wire_word,)+
                }
            }
        }

        #[cfg(test)]
        impl super::tests::EveryWord for $domain {
            fn every_word() -> Vec<Self> {
                vec![$(Self::$word),+]
            }
        }
    )+ };
}

wire_words! {
    domain::Operation = v1::Operation {
        Initial = Initial,
        Update = Update,
        Termination = Termination,
        Event = Event,
    }
    domain::RequestedAction = v1::RequestedAction {
        DirectDebit = DirectDebit,
        Refund = Refund,
        CheckBalance = CheckBalance,
        PriceEnquiry = PriceEnquiry,
    }
    domain::ChargingMode = v1::ChargingMode {
        Prepaid = Prepaid,
        Pseudoprepaid = Pseudoprepaid,
        Postpaid = Postpaid,
        Rated = Rated,
    }
    domain::SubscriberIdKind = v1::SubscriberIdKind {
        E164 = E164,
        Imsi = Imsi,
        SipUri = SipUri,
        Nai = Nai,
        Private = Private,
    }
    domain::Service = v1::Service {
        Voice = Voice,
        Data = Data,
        Sms = Sms,
        Mms = Mms,
        Generic = Generic,
    }
    domain::PartyRole = v1::PartyRole {
        Originating = Originating,
        Terminating = Terminating,
        Forwarding = Forwarding,
    }
    domain::TariffChange = v1::TariffChange {
        Before = Before,
        After = After,
        Indeterminate = Indeterminate,
    }
    domain::ReportingReason = v1::ReportingReason {
        Threshold = Threshold,
        QuotaHoldingTime = QuotaHoldingTime,
        Final = Final,
        QuotaExhausted = QuotaExhausted,
        ValidityTime = ValidityTime,
        OtherQuotaType = OtherQuotaType,
        RatingConditionChange = RatingConditionChange,
        ForcedReauthorisation = ForcedReauthorisation,
        PoolExhausted = PoolExhausted,
    }
    domain::FailureHandling = v1::FailureHandling {
        Terminate = Terminate,
        Continue = Continue,
        RetryAndTerminate = RetryAndTerminate,
    }
    domain::FinalUnitAction = v1::FinalUnitAction {
        Terminate = Terminate,
        Redirect = Redirect,
        Restrict = RestrictAccess,
    }
    domain::SessionPhase = v1::SessionPhase {
        Open = Open,
        Expired = Expired,
        Closed = Closed,
        Denied = Denied,
    }
    domain::BalanceKind = v1::BalanceKind {
        Money = Money,
        Voice = Voice,
        Data = Data,
        Sms = Sms,
        Generic = Generic,
    }
    types::ReleaseCause = v1::ReleaseCause {
        CreditExhausted = CreditExhausted,
        UnknownAccount = UnknownAccount,
        AccountBlocked = AccountBlocked,
        UnratedDestination = UnratedDestination,
        InvalidNumber = InvalidNumber,
        UnknownPayer = UnknownPayer,
        Policy = Policy,
        Fraud = Fraud,
        Operator = Operator,
        ChargingUnavailable = ChargingUnavailable,
        MaximumDuration = MaximumDuration,
        Backstop = Backstop,
        Shutdown = Shutdown,
    }
}

/// The domain word of a wire number, for services whose messages are not converted whole; `field` is named in the
/// error.
pub fn release_cause(field: &'static str, value: i32) -> Result<types::ReleaseCause, ConvertError> {
    WireWord::from_wire(field, value)
}

/// As [`release_cause`].
pub fn service(field: &'static str, value: i32) -> Result<domain::Service, ConvertError> {
    WireWord::from_wire(field, value)
}

/// As [`release_cause`].
pub fn session_phase(field: &'static str, value: i32) -> Result<domain::SessionPhase, ConvertError> {
    WireWord::from_wire(field, value)
}

/// As [`release_cause`].
pub fn balance_kind(field: &'static str, value: i32) -> Result<domain::BalanceKind, ConvertError> {
    WireWord::from_wire(field, value)
}
