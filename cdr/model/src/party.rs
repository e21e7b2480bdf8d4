//! The two parties of a call. What the numbering plan says of a number (`number_type`, `location`, `international`) is
//! filled by [`crate::numbering`]; what it does not say is absent.

use serde::{Deserialize, Serialize};
use types::Number;

#[cfg(test)]
use crate::schema;
use crate::{Degrees, lenient};

/// The calling party.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct CallingParty {
    /// E.164 with `+`, or as claimed when it could not be normalised.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<schema::Text>"))]
    pub number: Option<Number>,
    /// What kind of number it is; absent when the numbering plan does not tell.
    #[serde(deserialize_with = "lenient::word", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<schema::NewerWord<NumberType>>"))]
    pub number_type: Option<NumberType>,
    /// The paying account, as authenticated; absent when nobody was.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<schema::Text>"))]
    pub subscriber_id: Option<Number>,
    /// Where the number belongs to, by the numbering plan, not where the phone is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<Location>,
}

/// The called party.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct CalledParty {
    /// E.164 with `+`; a listed short code or an emergency number as it is; absent when it could not be normalised.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<schema::Text>"))]
    pub number: Option<Number>,
    /// As dialled; absent where nothing is dialled (packet data) or a masking profile removed it.
    #[serde(skip_serializing_if = "is_empty")]
    #[cfg_attr(test, schemars(with = "schema::Text"))]
    pub dialled_number: Number,
    /// What kind of number it is; absent when the numbering plan does not tell.
    #[serde(deserialize_with = "lenient::word", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<schema::NewerWord<NumberType>>"))]
    pub number_type: Option<NumberType>,
    /// True when the number belongs to another country than the caller's, or to none (satellites, +800); absent when
    /// either side's country is not known. Beside the type, because a foreign mobile number is both.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub international: Option<bool>,
    /// Where the number belongs to, by the numbering plan, not where the phone is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<Location>,
    /// The tariff's destination; absent while the core has not named one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destination: Option<Box<str>>,
}

fn is_empty(number: &Number) -> bool {
    number.expose().is_empty()
}

/// Kind of a telephone number. A number that can be fixed or mobile (the North American plan) has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum NumberType {
    /// Mobile.
    Mobile,
    /// Fixed line, geographic.
    Landline,
    /// VoIP, not tied to a place.
    Voip,
    /// Free for the caller.
    TollFree,
    /// Premium rate: dearer than a call, the surplus goes to the called party.
    PremiumRate,
    /// Shared cost: between free and premium.
    SharedCost,
    /// A number that follows its owner.
    Personal,
    /// A pager.
    Pager,
    /// A company-wide access number (UAN).
    UniversalAccess,
    /// A mailbox access number.
    Voicemail,
}

/// Where a number belongs to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", default)]
pub struct Location {
    /// ISO 3166-1 alpha-2, such as `DE`; absent for numbers that belong to no country.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country: Option<Box<str>>,
    /// E.164 country code without `+`, such as `49`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calling_code: Option<u16>,
    /// City or area; absent unless a source named it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub city: Option<Box<str>>,
    /// Position; absent unless the network reported it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coordinates: Option<Coordinates>,
}

/// A position on the WGS 84 ellipsoid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Coordinates {
    /// North positive, -90 to 90 degrees.
    pub latitude: Degrees,
    /// East positive, -180 to 180 degrees.
    pub longitude: Degrees,
}
