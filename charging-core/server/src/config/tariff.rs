//! Where prices come from, and what a plan needs besides its tables: the `[core.tariff]` table.

use std::collections::BTreeMap;
use std::path::PathBuf;

use rating::{PlanOptions, Tax, TenantOptions};
use serde::{Deserialize, Serialize};
use types::{Currency, Money};

use crate::tariffs::TariffError;

/// Where prices come from, and how the tables are read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TariffConfig {
    /// Folder with Destinations.csv, Rates.csv, DestinationRates.csv, RatingPlans.csv, RatingProfiles.csv, loaded at start
    /// when it changed; absent: what was activated by `tariff load` is in force, or nothing, and then every chargeable
    /// call is refused with 5031.
    pub folder: Option<PathBuf>,
    /// Currency of all amounts in it.
    pub currency: Box<str>,
    /// Rating profiles looked at for one number, the subject's own being the first; from 1 to 32.
    pub fallback_depth: u8,
    /// True: a number with `+` also matches prefixes without it. False: `+` is a character like any other.
    pub plus_is_optional: bool,
    /// True: a subject without a profile is shortened from the right before `*any` is tried.
    pub subject_prefix_matching: bool,
    /// Time zone of the tables' times of day, for tenants that name none.
    pub time_zone: Box<str>,
    /// Tax for tenants that name none; absent: none.
    pub tax: Option<TaxConfig>,
    /// What is different for a tenant, by its name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tenants: BTreeMap<Box<str>, TenantConfig>,
}

/// What is different for one tenant.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TenantConfig {
    /// Its time zone; absent: that of all.
    pub time_zone: Option<Box<str>>,
    /// Its tax; absent: that of all.
    pub tax: Option<TaxConfig>,
}

/// A tax on prices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaxConfig {
    /// Per cent, a decimal number with at most four decimals, such as `19` or `7.7`.
    pub percent: Box<str>,
    /// True: the tables' prices contain it. False: it is added to them.
    pub included: bool,
}

impl Default for TariffConfig {
    fn default() -> Self {
        let options = PlanOptions::default();
        Self {
            folder: None,
            currency: "EUR".into(),
            fallback_depth: options.fallback_depth,
            plus_is_optional: options.plus_is_optional,
            subject_prefix_matching: options.subject_prefix_matching,
            time_zone: options.default_tenant.time_zone.name().into(),
            tax: None,
            tenants: BTreeMap::new(),
        }
    }
}

impl TariffConfig {
    /// What a plan is made with.
    ///
    /// # Errors
    /// The first wrong value, with its key; [`TariffConfig::faults`] gives all.
    pub fn options(&self) -> Result<PlanOptions, TariffError> {
        let (options, faults) = self.read();
        match faults.into_iter().next() {
            None => Ok(options),
            Some((key, problem)) => Err(TariffError::Setting { key, problem }),
        }
    }

    /// What is wrong with the values: key path below the table, and the remedy.
    pub fn faults(&self) -> Vec<(String, String)> {
        let (_, mut faults) = self.read();
        if let Some(folder) = self.folder.as_ref().filter(|folder| !folder.is_dir()) {
            faults.push(("folder".into(), format!("{} is not a folder", folder.display())));
        }
        faults
    }

    fn read(&self) -> (PlanOptions, Vec<(String, String)>) {
        let mut faults = Vec::new();
        let currency = self.currency.parse::<Currency>().ok();
        if currency.is_none() {
            faults.push(("currency".into(), "must be three capital letters of ISO 4217, such as \"EUR\"".into()));
        }
        if !FALLBACK_DEPTHS.contains(&self.fallback_depth) {
            let text = "must be from 1 to 32; the subject's own profile is the first";
            faults.push(("fallback_depth".into(), text.into()));
        }
        let all = TenantConfig { time_zone: Some(self.time_zone.clone()), tax: self.tax.clone() };
        let default_tenant = all.read(&TenantOptions::default(), "", &mut faults);
        let tenants = self.tenants.iter().map(|(name, tenant)| {
            (name.clone(), tenant.read(&default_tenant, &format!("tenants.{name}."), &mut faults))
        });
        let tenants = tenants.collect();
        let options = PlanOptions {
            fallback_depth: self.fallback_depth,
            plus_is_optional: self.plus_is_optional,
            subject_prefix_matching: self.subject_prefix_matching,
            default_tenant,
            tenants,
            ..currency.map_or_else(PlanOptions::default, PlanOptions::from)
        };
        (options, faults)
    }
}

impl TenantConfig {
    fn read(&self, of_all: &TenantOptions, path: &str, faults: &mut Vec<(String, String)>) -> TenantOptions {
        let mut options = of_all.clone();
        if let Some(name) = &self.time_zone {
            match name.parse() {
                Ok(zone) => options.time_zone = zone,
                Err(_) => {
                    let text = format!(
                        "{name:?} is no time zone; take a name of the IANA database, such as \"Europe/Berlin\" or \"UTC\""
                    );
                    faults.push((format!("{path}time_zone"), text));
                }
            }
        }
        if let Some(tax) = &self.tax {
            match tax.read() {
                Some(tax) => options.tax = Some(tax).filter(|tax| tax.parts_per_million > 0),
                None => {
                    let text = format!(
                        "{:?} must be a number from \"0\" to \"1000\" with at most four decimals, such as \"19\" or \"7.7\"",
                        tax.percent
                    );
                    faults.push((format!("{path}tax.percent"), text));
                }
            }
        }
        options
    }
}

impl TaxConfig {
    fn read(&self) -> Option<Tax> {
        // Per cent in 10^-9 to parts of a million: 1 % are 10,000 of them.
        let percent: Money = self.percent.parse().ok()?;
        let nanos = percent.nanos();
        if percent.is_negative() || percent > Money::from_units(1000) || nanos % NANOS_PER_PART != 0 {
            return None;
        }
        let parts_per_million = u32::try_from(nanos / NANOS_PER_PART).ok()?;
        Some(Tax { parts_per_million, included: self.included })
    }
}

const FALLBACK_DEPTHS: std::ops::RangeInclusive<u8> = 1..=32;
/// Of a per cent in 10^-9: 0.0001 %.
const NANOS_PER_PART: i128 = 100_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taxes_are_read_exactly() {
        let rows = [
            ("19", Some(190_000)),
            ("7.7", Some(77_000)),
            ("8.125", Some(81_250)),
            ("0.0001", Some(1)),
            ("0", Some(0)),
            ("1000", Some(10_000_000)),
            ("0.00001", None),
            ("1000.1", None),
            ("-1", None),
            ("19%", None),
            ("", None),
        ];
        for (percent, expected) in rows {
            let tax = TaxConfig { percent: percent.into(), included: true }.read();
            assert_eq!(tax.map(|tax| tax.parts_per_million), expected, "{percent}");
        }
    }

    #[test]
    fn a_tenant_takes_over_what_it_does_not_say() {
        let tax = |percent: &str| Some(TaxConfig { percent: percent.into(), included: false });
        let berlin = TenantConfig { time_zone: Some("Europe/Berlin".into()), tax: None };
        let untaxed = TenantConfig { time_zone: None, tax: tax("0") };
        let config = TariffConfig {
            tax: tax("19"),
            tenants: [("berlin".into(), berlin), ("untaxed".into(), untaxed)].into(),
            ..TariffConfig::default()
        };
        let options = config.options().expect("good");
        let of = |tenant: &str| {
            let options = options.tenant(tenant);
            (options.time_zone.name().to_owned(), options.tax.map(|tax| tax.parts_per_million))
        };
        assert_eq!(of("berlin"), ("Europe/Berlin".to_owned(), Some(190_000)));
        assert_eq!(of("untaxed"), ("UTC".to_owned(), None));
        assert_eq!(of("anybody"), ("UTC".to_owned(), Some(190_000)));
    }

    #[test]
    fn all_faults_are_told() {
        let wrong = TenantConfig {
            time_zone: Some("Europe/Berlim".into()),
            tax: Some(TaxConfig { percent: "much".into(), included: true }),
        };
        let config = TariffConfig {
            folder: Some("/no/such".into()),
            currency: "euro".into(),
            fallback_depth: 0,
            time_zone: "Mars".into(),
            tenants: [("acme".into(), wrong)].into(),
            ..TariffConfig::default()
        };
        let keys: Vec<String> = config.faults().into_iter().map(|(key, _)| key).collect();
        let expected =
            ["currency", "fallback_depth", "time_zone", "tenants.acme.time_zone", "tenants.acme.tax.percent", "folder"];
        assert_eq!(keys, expected);
        assert!(config.options().is_err());
    }
}
