//! What a plan needs besides its tables: the settings that the CSV layout has no place for.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use types::{Currency, Money};

use crate::zone::TimeZone;

/// Settings of a plan. A currency alone will do: `PlanOptions::from(currency)`. Part of the plan's version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanOptions {
    /// The currency of all amounts.
    pub currency: Currency,
    /// Rating profiles looked at for one number, the subject's own being the first; 3 unless told otherwise, from 1
    /// to 32 (what is outside counts as the nearest).
    #[serde(default = "fallback_depth")]
    pub fallback_depth: u8,
    /// True unless told otherwise: a number with `+` also matches prefixes without it, and the prefix with most digits
    /// wins. False: `+` is a character like any other, as the plan format itself has it.
    #[serde(default = "plus_is_optional")]
    pub plus_is_optional: bool,
    /// False unless told otherwise. True: a subject without a profile is shortened from the right until one is found,
    /// before `*any` is looked for.
    #[serde(default)]
    pub subject_prefix_matching: bool,
    /// Settings of tenants that are not listed: UTC and no tax unless told otherwise.
    #[serde(default)]
    pub default_tenant: TenantOptions,
    /// Settings by tenant.
    #[serde(default)]
    pub tenants: BTreeMap<Box<str>, TenantOptions>,
}

/// Settings of one tenant's prices.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TenantOptions {
    /// Where the times of its tariffs are read off the wall.
    #[serde(default)]
    pub time_zone: TimeZone,
    /// Absent means that prices know no tax.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tax: Option<Tax>,
}

/// A tax on every price of a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tax {
    /// The rate in parts per million of the net price: 190000 is 19 %.
    pub parts_per_million: u32,
    /// True if the plan's prices include it. False if it is added to them: then what is charged is more than the plan
    /// says; connect fees and maximum costs are before tax too.
    pub included: bool,
}

impl Tax {
    /// The tax within `price`, which is what is charged; to the nearest nano unit, halves up.
    pub fn part_of(self, price: Money) -> Money {
        let (rate, whole) = (i128::from(self.parts_per_million), self.whole());
        let nanos = price.nanos().clamp(-Money::LIMIT.nanos(), Money::LIMIT.nanos());
        Money::from_nanos((nanos * rate * 2 + whole).div_euclid(whole * 2))
    }

    /// What is charged for a net price: rounded to the nearest nano unit, halves up.
    pub(crate) fn added_to(self, net: Money) -> Money {
        self.charged(net, MILLION / 2)
    }

    /// The same, rounded up: never below [`Tax::added_to`], and never falling as the net price grows.
    pub(crate) fn added_up_to(self, net: Money) -> Money {
        self.charged(net, MILLION - 1)
    }

    fn charged(self, net: Money, rounding: i128) -> Money {
        if self.included {
            return net;
        }
        let whole = net.nanos().saturating_mul(self.whole());
        Money::from_nanos(whole.saturating_add(rounding).div_euclid(MILLION))
    }

    /// The most net that [`Tax::added_up_to`] keeps within `charged`.
    pub(crate) fn most_net(self, charged: Money) -> Money {
        if self.included {
            return charged;
        }
        let nanos = charged.nanos().clamp(-Money::LIMIT.nanos(), Money::LIMIT.nanos());
        Money::from_nanos((nanos * MILLION).div_euclid(self.whole()))
    }

    fn whole(self) -> i128 {
        MILLION + i128::from(self.parts_per_million)
    }
}

impl PlanOptions {
    /// The settings of a tenant.
    pub fn tenant(&self, tenant: &str) -> &TenantOptions {
        self.tenants.get(tenant).unwrap_or(&self.default_tenant)
    }

    /// Two texts that differ if any price may: what was there from the beginning, and the rest, empty if it says
    /// nothing, so that plans without it keep the version they always had.
    pub(crate) fn fingerprint(&self) -> [String; 2] {
        let search = format!("{} {}", self.fallback_depth, self.plus_is_optional);
        let of_tenant = |options: &TenantOptions| {
            let tax = options.tax.map_or(String::new(), |tax| format!("{} {}", tax.parts_per_million, tax.included));
            format!("{}\0{tax}", options.time_zone)
        };
        let mut rest = String::new();
        if self.subject_prefix_matching {
            rest += "subject prefixes\0";
        }
        if self.default_tenant != TenantOptions::default() {
            rest += &format!("default\0{}\0", of_tenant(&self.default_tenant));
        }
        for (tenant, options) in &self.tenants {
            rest += &format!("tenant {tenant}\0{}\0", of_tenant(options));
        }
        [search, rest]
    }
}

impl From<Currency> for PlanOptions {
    fn from(currency: Currency) -> Self {
        Self {
            currency,
            fallback_depth: fallback_depth(),
            plus_is_optional: plus_is_optional(),
            subject_prefix_matching: false,
            default_tenant: TenantOptions::default(),
            tenants: BTreeMap::new(),
        }
    }
}

impl From<&Self> for PlanOptions {
    fn from(options: &Self) -> Self {
        options.clone()
    }
}

/// Without a currency (`XXX`), which fits no account.
impl Default for PlanOptions {
    fn default() -> Self {
        "XXX".parse::<Currency>().map(Self::from).expect("invariant: XXX is three capital letters")
    }
}

fn fallback_depth() -> u8 {
    3
}

fn plus_is_optional() -> bool {
    true
}

const MILLION: i128 = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn taxes_to_the_nano_unit() {
        let rows = [
            // rate, included, net, charged, tax
            (190_000, false, "1", "1.19", "0.19"),
            (190_000, true, "1.19", "1.19", "0.19"),
            (190_000, true, "1", "1", "0.159663866"),
            (0, false, "1", "1", "0"),
            (81_000, false, "0.000000005", "0.000000005", "0"),
            (100_000, false, "0.000000005", "0.000000006", "0.000000001"),
        ];
        for (parts_per_million, included, net, charged, part) in rows {
            let tax = Tax { parts_per_million, included };
            let money = |text: &str| text.parse::<Money>().expect("an amount");
            assert_eq!(tax.added_to(money(net)), money(charged), "{net}");
            assert_eq!(tax.part_of(money(charged)), money(part), "{net}");
        }
    }

    #[test]
    fn settings_are_read_as_text_and_default_to_nothing_unusual() {
        let text = r#"{"currency":"EUR","tenants":{"t":{"time_zone":"Europe/Berlin","tax":{"parts_per_million":190000,"included":true}}}}"#;
        let options: PlanOptions = serde_json::from_str(text).expect("options");
        assert_eq!(options.tenant("t").time_zone.name(), "Europe/Berlin");
        assert_eq!(options.tenant("other"), &TenantOptions::default());
        let again = serde_json::to_string(&options).expect("text");
        assert_eq!(serde_json::from_str::<PlanOptions>(&again).expect("options"), options);
        let eur = PlanOptions::from("EUR".parse::<Currency>().expect("a currency"));
        assert_eq!(serde_json::from_str::<PlanOptions>(r#"{"currency":"EUR"}"#).expect("options"), eur);
        assert_eq!(PlanOptions { currency: eur.currency, ..PlanOptions::default() }, eur);
        for wrong in
            [r#"{"currency":"EUR","timezone":"UTC"}"#, r#"{"currency":"EUR","default_tenant":{"time_zone":"X"}}"#]
        {
            assert!(serde_json::from_str::<PlanOptions>(wrong).is_err(), "{wrong}");
        }
        assert_eq!(eur.fingerprint()[1], "");
    }

    proptest! {
        #[test]
        fn an_added_tax_can_be_told_from_what_is_charged(
            parts_per_million in 0u32..4_000_000, nanos in 0i128..1_000_000_000_000_000, included: bool,
        ) {
            let (tax, net) = (Tax { parts_per_million, included }, Money::from_nanos(nanos));
            let charged = tax.added_to(net);
            if !included {
                prop_assert_eq!(charged - tax.part_of(charged), net);
            }
            prop_assert!(charged <= tax.added_up_to(net));
            let most = tax.most_net(charged);
            prop_assert!(tax.added_up_to(most) <= charged);
            prop_assert!(tax.added_up_to(Money::from_nanos(most.nanos() + 1)) > charged);
        }
    }
}
