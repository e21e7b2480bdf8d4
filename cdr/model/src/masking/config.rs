//! What a profile says: for each field an action.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Masking as configured: a profile, and fields that differ from it.
///
/// ```toml
/// profile = "personal"
/// fields = { "callingParty.number" = "prefix:4", "sipData.ipAddress" = "remove" }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MaskingConfig {
    /// Where to start from.
    pub profile: Profile,
    /// Fields and their own actions.
    pub fields: BTreeMap<Field, Action>,
}

impl MaskingConfig {
    /// What becomes of a field.
    pub fn action(&self, field: Field) -> Action {
        let own = self.fields.get(&field).copied();
        own.unwrap_or(match self.profile {
            Profile::Personal => field.personal(),
            Profile::None => Action::Keep,
        })
    }
}

/// A set of actions with a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// Everything that identifies a person or a device is hashed or removed.
    #[default]
    Personal,
    /// Everything is kept.
    None,
}

/// What happens to a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// `keep`: as it is.
    Keep,
    /// `remove`: the field is absent.
    Remove,
    /// `hmac`: a keyed hash stands for it, the same for the same value everywhere.
    Hmac,
    /// `prefix:N`: the first N digits of a number stay, for statistics; never its last four.
    Prefix {
        /// N, 1 to 15.
        digits: u8,
    },
}

impl Action {
    /// True when it cannot be done without a key.
    pub const fn needs_key(self) -> bool {
        matches!(self, Self::Hmac)
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Keep => f.write_str("keep"),
            Self::Remove => f.write_str("remove"),
            Self::Hmac => f.write_str("hmac"),
            Self::Prefix { digits } => write!(f, "prefix:{digits}"),
        }
    }
}

/// A text that is no action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an action is keep, remove, hmac or prefix:N with N digits, 1 to {LONGEST_PREFIX}")]
pub struct ActionError;

impl FromStr for Action {
    type Err = ActionError;

    fn from_str(text: &str) -> Result<Self, ActionError> {
        match text {
            "keep" => Ok(Self::Keep),
            "remove" => Ok(Self::Remove),
            "hmac" => Ok(Self::Hmac),
            _ => {
                let digits = text.strip_prefix("prefix:").and_then(|digits| digits.parse().ok());
                let digits = digits.filter(|digits| (1..=LONGEST_PREFIX).contains(digits)).ok_or(ActionError)?;
                Ok(Self::Prefix { digits })
            }
        }
    }
}

/// All digits of the longest E.164 number.
const LONGEST_PREFIX: u8 = 15;

impl Serialize for Action {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Action {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// What can be done to a field, besides keeping it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A telephone number or account.
    Number,
    /// Other text that may be absent.
    Text,
    /// An identifier that consumers need.
    Id,
    /// Not text: there or not.
    Part,
}

macro_rules! fields {
    ($($(#[$doc:meta])* $field:ident $name:literal $kind:ident $personal:ident;)*) => {
        /// A field that a profile can name. A name unknown here is refused with the names that are known.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Field {
            $($(#[$doc])* #[serde(rename = $name)] $field,)*
        }

        impl Field {
            /// All of them, in the order of the record.
            pub const ALL: [Self; [$($name),*].len()] = [$(Self::$field),*];

            /// As it is written in a configuration: its path in the record.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$field => $name,)* }
            }

            const fn kind(self) -> Kind {
                match self { $(Self::$field => Kind::$kind,)* }
            }

            /// What the profile `personal` does.
            const fn personal(self) -> Action {
                match self { $(Self::$field => Action::$personal,)* }
            }
        }
    };
}

fields! {
    /// The conversation; in many networks the SIP Call-ID, which names the caller's host.
    CallId "callId" Id Hmac;
    /// The charging session. `recordId` and `adjustsRecordId` begin with it and follow it.
    SessionId "sessionId" Id Hmac;
    /// The charged leg.
    LegId "legId" Id Hmac;
    /// The leg it came from.
    ParentLegId "parentLegId" Text Hmac;
    /// The operator's customer.
    Tenant "tenant" Id Keep;
    /// Who called.
    CallingNumber "callingParty.number" Number Hmac;
    /// Who pays.
    SubscriberId "callingParty.subscriberId" Number Hmac;
    /// All of the caller's location, the country included.
    CallingLocation "callingParty.location" Part Keep;
    /// The caller's city.
    CallingCity "callingParty.location.city" Text Remove;
    /// The caller's position.
    CallingCoordinates "callingParty.location.coordinates" Part Remove;
    /// Who was called.
    CalledNumber "calledParty.number" Number Hmac;
    /// As dialled.
    DialledNumber "calledParty.dialledNumber" Number Hmac;
    /// All of the called party's location, the country included.
    CalledLocation "calledParty.location" Part Keep;
    /// The called party's city.
    CalledCity "calledParty.location.city" Text Remove;
    /// The called party's position.
    CalledCoordinates "calledParty.location.coordinates" Part Remove;
    /// The tariff's destination.
    Destination "calledParty.destination" Text Keep;
    /// From.
    FromUri "sipData.fromUri" Number Hmac;
    /// To.
    ToUri "sipData.toUri" Number Hmac;
    /// SIP Call-ID.
    CallIdHeader "sipData.callIdHeader" Text Hmac;
    /// The caller's user agent: often tells a device, sometimes its MAC address.
    UserAgent "sipData.userAgent" Text Remove;
    /// The caller's address.
    IpAddress "sipData.ipAddress" Text Hmac;
    /// The IMSI of data usage.
    Imsi "usage.imsi" Number Hmac;
    /// The access point of data usage.
    Apn "usage.apn" Text Keep;
    /// The serving network of data usage.
    Plmn "usage.plmn" Text Keep;
    /// The switch.
    ServerNode "metadata.serverNode" Id Keep;
    /// The recording: its name often has the number in it.
    RecordingId "metadata.recordingId" Text Hmac;
    /// What stands behind the colon of a tag: `TRANSFERRED:leg`.
    Tags "metadata.tags" Text Hmac;
}

impl Field {
    /// Whether the action makes sense: an identifier is not removed, and digits are counted in numbers only.
    pub const fn accepts(self, action: Action) -> bool {
        match action {
            Action::Keep => true,
            Action::Remove => !matches!(self.kind(), Kind::Id),
            Action::Hmac => !matches!(self.kind(), Kind::Part),
            Action::Prefix { .. } => matches!(self.kind(), Kind::Number),
        }
    }

    /// The actions that it takes, for messages.
    pub(super) const fn takes(self) -> &'static str {
        match self.kind() {
            Kind::Number => "keep, remove, hmac, prefix:N",
            Kind::Text => "keep, remove, hmac",
            Kind::Id => "keep, hmac",
            Kind::Part => "keep, remove",
        }
    }
}
