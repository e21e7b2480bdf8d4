//! What differs between two plans, as the API tells it: rows, settings, and prices of sample numbers. Also for those who
//! compare two folders without a core.

use std::collections::BTreeMap;

use charging_proto::v1::{TariffDifference, TariffPriceChange};
use rating::{Plan, PlanOptions, PriceChange, Sample, SampleUsage, TenantOptions};
use types::charging::Service;
use types::{Money, UtcMs};

use crate::tariffs::{RowDifference, row_differences};

/// What differs.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Changes {
    /// Rows, at most 1000; none without an older plan.
    pub differences: Vec<TariffDifference>,
    /// How many rows in all.
    pub difference_count: u64,
    /// Prices of samples that differ, at most 1000.
    pub price_changes: Vec<TariffPriceChange>,
    /// How many of them in all.
    pub price_change_count: u64,
    /// How many samples were priced with both.
    pub prices_compared: u64,
    /// Settings that differ: `before -> after` by name.
    pub settings: BTreeMap<String, String>,
}

/// Compares two plans: prices of calls that begin at `start` to `numbers`, or to one number of each destination if there
/// are none.
pub fn changes(before: &Plan, after: &Plan, numbers: &[String], start: UtcMs) -> Changes {
    let rows = row_differences(before, after);
    let mut samples = rating::samples(
        before,
        after,
        &SampleUsage { service: Service::Voice, start, usage: VOICE_MS, limit: MOST_COMPARED },
    );
    if !numbers.is_empty() {
        samples = for_numbers(&samples, numbers);
    }
    samples.iter_mut().for_each(by_category);
    let prices = rating::diff(before, after, &samples);
    Changes {
        difference_count: count(rows.len()),
        differences: rows.into_iter().take(MOST_TOLD).map(difference).collect(),
        price_changes: prices.iter().take(MOST_TOLD).map(price_change).collect(),
        price_change_count: count(prices.len()),
        prices_compared: count(samples.len()),
        settings: changed_settings(&settings(before.options()), &settings(after.options())),
    }
}

/// What a plan was made with, as a person reads it.
pub fn settings(options: &PlanOptions) -> BTreeMap<String, String> {
    let mut told = BTreeMap::from([
        ("currency".to_owned(), options.currency.to_string()),
        ("fallback depth".to_owned(), options.fallback_depth.to_string()),
        ("plus is optional".to_owned(), yes_or_no(options.plus_is_optional)),
        ("subject prefix matching".to_owned(), yes_or_no(options.subject_prefix_matching)),
    ]);
    let mut of_tenant = |whose: String, tenant: &TenantOptions| {
        told.insert(format!("time zone{whose}"), tenant.time_zone.name().to_owned());
        let tax = tenant.tax.map(|tax| {
            // A millionth is to one what 10^-4 is to a hundred.
            let percent = Money::from_nanos(i128::from(tax.parts_per_million) * 100_000);
            format!("{percent} %, {}", if tax.included { "included" } else { "added" })
        });
        told.insert(format!("tax{whose}"), tax.unwrap_or_else(|| "none".to_owned()));
    };
    of_tenant(String::new(), &options.default_tenant);
    options.tenants.iter().for_each(|(name, tenant)| of_tenant(format!(" of {name}"), tenant));
    told
}

fn changed_settings(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let names = before.keys().chain(after.keys()).filter(|name| before.get(*name) != after.get(*name));
    let told = |value: Option<&String>| value.map_or("-", String::as_str).to_owned();
    names.map(|name| (name.clone(), format!("{} -> {}", told(before.get(name)), told(after.get(name))))).collect()
}

/// The same payers, each with the numbers asked for.
fn for_numbers(samples: &[Sample], numbers: &[String]) -> Vec<Sample> {
    let mut payers: Vec<&Sample> = Vec::new();
    for sample in samples {
        // Samples of one payer follow each other.
        let same = |other: &&Sample| {
            (&other.tenant, &other.category, &other.subject) == (&sample.tenant, &sample.category, &sample.subject)
        };
        if !payers.last().is_some_and(same) {
            payers.push(sample);
        }
    }
    let of_payer = |payer: &Sample| {
        let payer = payer.clone();
        numbers.iter().map(move |number| Sample { destination: number.as_str().into(), ..payer.clone() })
    };
    payers.into_iter().flat_map(of_payer).take(MOST_COMPARED).collect()
}

/// The tables do not say what a category sells; its usual name does.
fn by_category(sample: &mut Sample) {
    let sold = CATEGORIES.iter().find(|(word, ..)| sample.category.to_ascii_lowercase().contains(word));
    if let Some((_, service, usage)) = sold {
        (sample.service, sample.usage) = (*service, *usage);
    }
}

fn difference(row: RowDifference) -> TariffDifference {
    let RowDifference { table, key, before, after } = row;
    TariffDifference { file_name: table.file_name().to_owned(), key, before, after }
}

fn price_change(change: &PriceChange) -> TariffPriceChange {
    let price = |outcome: &rating::Outcome| outcome.as_ref().ok().map(|quote| quote.price.to_string());
    let refusal = |outcome: &rating::Outcome| outcome.as_ref().err().map(|refusal| refusal.code().to_owned());
    let sample = &change.sample;
    TariffPriceChange {
        tenant: sample.tenant.to_string(),
        category: sample.category.to_string(),
        subject: sample.subject.to_string(),
        service: charging_proto::v1::Service::from(sample.service).into(),
        number: sample.destination.to_string(),
        usage: sample.usage,
        start_time: sample.start.0,
        before: price(&change.old),
        after: price(&change.new),
        change: change.difference().map(|difference| difference.to_string()),
        refusal_before: refusal(&change.old),
        refusal_after: refusal(&change.new),
    }
}

fn yes_or_no(flag: bool) -> String {
    if flag { "yes".to_owned() } else { "no".to_owned() }
}

fn count(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

const VOICE_MS: u64 = 60_000;
const CATEGORIES: [(&str, Service, u64); 4] = [
    ("data", Service::Data, 1_048_576),
    ("gprs", Service::Data, 1_048_576),
    ("mms", Service::Mms, 1),
    ("sms", Service::Sms, 1),
];
/// Entries of a list in an answer.
const MOST_TOLD: usize = 1000;
const MOST_COMPARED: usize = 100_000;
