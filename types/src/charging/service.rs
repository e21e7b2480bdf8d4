//! What is sold, and the details that go into records and into the choice of a rate.

use serde::{Deserialize, Serialize};

/// What is sold; decides the unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Service {
    /// Charged by time.
    #[default]
    Voice,
    /// Charged by octets.
    Data,
    /// Charged by messages.
    Sms,
    /// Charged by messages.
    Mms,
    /// Charged by service-specific units.
    Generic,
}

/// Role of the node that reports, 3GPP TS 32.299 section 7.2.158.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum PartyRole {
    /// Acts for the calling party.
    Originating,
    /// Acts for the called party.
    Terminating,
    /// Forwards.
    Forwarding,
}

/// Service information. Everything is optional and absent when the switch or gateway did not say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceInformation {
    /// Whose side is reported.
    pub role: Option<PartyRole>,
    /// Serving network, MCC and MNC digits.
    pub plmn: Option<Box<str>>,
    /// Access point name.
    pub apn: Option<Box<str>>,
    /// Radio access type, 3GPP TS 29.061 section 16.4.7.2.
    pub rat_type: Option<u8>,
    /// Equipment identity.
    pub imei: Option<Box<str>>,
    /// User location, raw as the gateway coded it.
    pub user_location: Option<Box<[u8]>>,
    /// The address of the packet session.
    pub pdp_address: Option<Box<str>>,
    /// The gateway's charging id.
    pub charging_id: Option<u64>,
    /// IMS charging identifier.
    pub icid: Option<Box<str>>,
    /// The trunk the call came in on.
    pub trunk: Option<Box<str>>,
    /// The node that reports.
    pub node: Option<Box<str>>,
}
