//! What is charged how: an ordered table from what a request says of a rating group to tenant, category, subject and destination.

use serde::{Deserialize, Serialize};
use types::ConfigDuration;
use types::charging::{ChargingMode, PartyRole, Service};

use super::grants::{GrantConfig, UnitGrants};

/// One row: what it is for, and how that is charged. The first row that fits counts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceConfig {
    /// Service-Context-Id: the number of the specification (32251 data, 32260 voice, 32274 messages, 32270 multimedia messages) or the
    /// whole text; absent: any.
    #[serde(default)]
    pub context: Option<Box<str>>,
    /// Rating-Group; absent: any, and none.
    #[serde(default)]
    pub rating_group: Option<u32>,
    /// Service-Identifier; absent: any, and none.
    #[serde(default)]
    pub service_identifier: Option<u32>,
    /// Access point name, without the operator's part; absent: any.
    #[serde(default)]
    pub apn: Option<Box<str>>,
    /// Serving network, MCC and MNC digits or the first of them; absent: any.
    #[serde(default)]
    pub plmn: Option<Box<str>>,
    /// `ORIGINATING`, `TERMINATING` or `FORWARDING`; absent: any.
    #[serde(default)]
    pub role: Option<PartyRole>,
    /// Realm of the client; absent: any.
    #[serde(default)]
    pub client_realm: Option<Box<str>>,
    /// Whose customers; absent: the agent's tenant.
    #[serde(default)]
    pub tenant: Option<Box<str>>,
    /// What is sold; absent: by the context. All groups of a session must have the same.
    #[serde(default)]
    pub service: Option<Service>,
    /// The rating category; absent: `call`, `data`, `sms`, `mms` or `generic`.
    #[serde(default)]
    pub category: Option<Box<str>>,
    /// The rating subject; absent: the account's id.
    #[serde(default)]
    pub subject: Option<Box<str>>,
    /// What is rated as the destination; absent: the called party, normalised.
    #[serde(default)]
    pub destination: Option<Box<str>>,
    /// How money is treated; absent: `prepaid`.
    #[serde(default)]
    pub mode: Option<ChargingMode>,
    /// True: no credit control for it (4011).
    #[serde(default)]
    pub free: bool,
    /// What happens at the end of the last grant; absent: `terminate`.
    #[serde(default)]
    pub final_unit: Option<FinalUnitConfig>,
    /// How much is granted; absent: as in `grants`.
    #[serde(default)]
    pub grant: Option<GrantConfig>,
    /// How long a grant may be kept; absent: as in `grants`.
    #[serde(default)]
    pub validity: Option<ConfigDuration>,
    /// Give the grant back after so long without use; absent: as in `grants`.
    #[serde(default)]
    pub holding: Option<ConfigDuration>,
}

/// What happens at the end of the last grant, and instead of 4012.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum FinalUnitConfig {
    /// The user is sent there: a URL, `sip:` URI or IP address.
    Redirect(Box<str>),
    /// Only that stays allowed: IPFilterRules, or names of filters the client has.
    Restrict(Vec<Box<str>>),
}

/// What a row is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServiceMatch<'a> {
    /// The whole Service-Context-Id.
    pub context: &'a str,
    /// The number in its suffix; 0 = none.
    pub context_number: u32,
    /// Of the group.
    pub rating_group: Option<u32>,
    /// Of the group.
    pub service_identifiers: &'a [u32],
    /// Of the session.
    pub apn: Option<&'a str>,
    /// Of the session.
    pub plmn: Option<&'a str>,
    /// Of the session.
    pub role: Option<PartyRole>,
    /// Origin-Realm of the client.
    pub client_realm: &'a str,
}

impl ServiceConfig {
    /// Whether the row is for this group.
    pub fn fits(&self, group: &ServiceMatch<'_>) -> bool {
        let context = |own: &str| match own.parse::<u32>() {
            Ok(number) => number == group.context_number,
            Err(_) => own.eq_ignore_ascii_case(group.context),
        };
        self.context.as_deref().is_none_or(context)
            && self.rating_group.is_none_or(|own| group.rating_group == Some(own))
            && self.service_identifier.is_none_or(|own| group.service_identifiers.contains(&own))
            && self.apn.as_deref().is_none_or(|own| group.apn.is_some_and(|apn| is_access_point(own, apn)))
            && self.plmn.as_deref().is_none_or(|own| group.plmn.is_some_and(|plmn| plmn.starts_with(own)))
            && self.role.is_none_or(|own| group.role == Some(own))
            && self.client_realm.as_deref().is_none_or(|own| own.eq_ignore_ascii_case(group.client_realm))
    }

    /// The bounds of its grants.
    pub fn grants(&self, general: UnitGrants) -> UnitGrants {
        let seconds = |time: ConfigDuration| u32::try_from(time.ms() / 1_000).ok().filter(|seconds| *seconds > 0);
        UnitGrants {
            amount: self.grant.unwrap_or(general.amount),
            validity_s: self.validity.map_or(general.validity_s, seconds),
            holding_s: self.holding.map_or(general.holding_s, seconds),
            ..general
        }
    }

    pub(super) fn faults(&self) -> Vec<(&'static str, String)> {
        let mut faults = Vec::new();
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if self.plmn.as_deref().is_some_and(|plmn| plmn.is_empty() || plmn.len() > 6 || !digits(plmn)) {
            faults.push(("plmn", "must be 1 to 6 digits: MCC, then MNC".to_owned()));
        }
        if self.grant.is_some_and(|grant| grant.least == 0 || grant.slice < grant.least || grant.most < grant.slice) {
            faults.push(("grant", "must be 1 <= least <= slice <= most".to_owned()));
        }
        match &self.final_unit {
            Some(FinalUnitConfig::Redirect(address)) if address.is_empty() => {
                faults.push(("final_unit.redirect", "must be where the user is sent".to_owned()));
            }
            Some(FinalUnitConfig::Restrict(filters)) if filters.is_empty() => {
                faults.push(("final_unit.restrict", "must name what stays allowed".to_owned()));
            }
            _ => {}
        }
        faults
    }
}

/// The network identifier of an APN, without `.mncXXX.mccXXX.gprs` (3GPP TS 23.003 section 9.1).
fn is_access_point(own: &str, apn: &str) -> bool {
    let head = apn.get(..own.len());
    let tail = apn.get(own.len()..).unwrap_or_default();
    head.is_some_and(|head| head.eq_ignore_ascii_case(own))
        && (tail.is_empty() || tail.get(..4).is_some_and(|begin| begin.eq_ignore_ascii_case(".mnc")))
}
