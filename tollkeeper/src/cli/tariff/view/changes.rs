//! What differs between two versions, as it is shown.

use std::collections::BTreeMap;

use charging_proto::v1::{Service, TariffDifference, TariffPriceChange};
use charging_server::Changes;
use serde::Serialize;
use types::Money;

use crate::cli::show;

/// Rows, settings and prices.
#[derive(Debug, Serialize)]
pub(in crate::cli::tariff) struct ChangesView {
    settings: BTreeMap<String, String>,
    rows: Vec<RowChange>,
    row_count: u64,
    prices: Vec<PriceView>,
    price_count: u64,
    prices_compared: u64,
}

#[derive(Debug, Serialize)]
struct RowChange {
    file: String,
    key: String,
    before: Option<String>,
    after: Option<String>,
}

#[derive(Debug, Serialize)]
struct PriceView {
    tenant: String,
    category: String,
    subject: String,
    tor: &'static str,
    number: String,
    usage: u64,
    at: String,
    before: Option<String>,
    after: Option<String>,
    change: Option<String>,
    change_percent: Option<String>,
    error_before: Option<String>,
    error_after: Option<String>,
}

impl From<Changes> for ChangesView {
    fn from(changes: Changes) -> Self {
        let row =
            |TariffDifference { file_name, key, before, after }| RowChange { file: file_name, key, before, after };
        Self {
            settings: changes.settings,
            rows: changes.differences.into_iter().map(row).collect(),
            row_count: changes.difference_count,
            prices: changes.price_changes.into_iter().map(PriceView::from).collect(),
            price_count: changes.price_change_count,
            prices_compared: changes.prices_compared,
        }
    }
}

impl From<TariffPriceChange> for PriceView {
    fn from(change: TariffPriceChange) -> Self {
        let amount = |text: &Option<String>| text.as_ref().and_then(|text| text.parse::<Money>().ok());
        let percent = amount(&change.before).zip(amount(&change.change)).and_then(|(b, c)| percent(b, c));
        Self {
            tor: match change.service() {
                Service::Voice => "voice",
                Service::Data => "data",
                Service::Sms => "sms",
                Service::Mms => "mms",
                _ => "generic",
            },
            tenant: change.tenant,
            category: change.category,
            subject: change.subject,
            number: change.number,
            usage: change.usage,
            at: show::time(change.start_time),
            before: change.before,
            after: change.after,
            change: change.change,
            change_percent: percent,
            error_before: change.refusal_before,
            error_after: change.refusal_after,
        }
    }
}

impl ChangesView {
    /// In a few words.
    pub(in crate::cli::tariff) fn summary(&self, compared_with: Option<&str>) -> String {
        match compared_with {
            None => "nothing was in force before".to_owned(),
            Some(_) if self.row_count == 0 && self.settings.is_empty() && self.price_count == 0 => {
                "nothing differs".to_owned()
            }
            Some(_) => format!(
                "rows that differ: {}, sample prices that differ: {} of {}",
                self.row_count, self.price_count, self.prices_compared
            ),
        }
    }

    /// Settings, rows, prices.
    pub(in crate::cli::tariff) fn print(&self, compared_with: Option<&str>) -> anyhow::Result<()> {
        let Some(compared_with) = compared_with else { return Ok(()) };
        show::line(&format!("compared with version {compared_with}"))?;
        for (name, change) in &self.settings {
            show::line(&format!("setting {name}: {change}"))?;
        }
        if !self.rows.is_empty() {
            let rows = self.rows.iter().map(|row| {
                [
                    row.file.clone(),
                    row.key.clone(),
                    show::or_dash(row.before.as_ref()),
                    show::or_dash(row.after.as_ref()),
                ]
            });
            show::rows(["FILE", "KEY", "BEFORE", "AFTER"], rows.collect(), "")?;
            more(self.row_count, self.rows.len(), "rows")?;
        }
        if !self.prices.is_empty() {
            let header =
                ["TENANT", "CATEGORY", "SUBJECT", "NUMBER", "USAGE", "BEFORE", "AFTER", "CHANGE", "IN PER CENT"];
            show::rows(header, self.prices.iter().map(PriceView::row).collect(), "")?;
            more(self.price_count, self.prices.len(), "prices")?;
        }
        Ok(())
    }
}

impl PriceView {
    fn row(&self) -> [String; 9] {
        let price = |price: &Option<String>, error: &Option<String>| {
            price.clone().or_else(|| error.as_ref().map(|error| format!("none ({error})"))).unwrap_or_default()
        };
        let usage = match self.tor {
            "voice" => format!("{}s", Money::from_nanos(i128::from(self.usage) * 1_000_000)),
            "data" => format!("{} octets", self.usage),
            other => format!("{} {other}", self.usage),
        };
        [
            self.tenant.clone(),
            self.category.clone(),
            self.subject.clone(),
            self.number.clone(),
            usage,
            price(&self.before, &self.error_before),
            price(&self.after, &self.error_after),
            show::or_dash(self.change.as_ref()),
            show::or_dash(self.change_percent.as_ref()),
        ]
    }
}

fn more(count: u64, shown: usize, what: &str) -> anyhow::Result<()> {
    match count.saturating_sub(u64::try_from(shown).unwrap_or(u64::MAX)) {
        0 => Ok(()),
        more => show::line(&format!("and {more} more {what}")),
    }
}

/// `+8.3 %`, to the nearest tenth; absent where nothing was charged before.
fn percent(before: Money, change: Money) -> Option<String> {
    let whole = before.nanos();
    if whole <= 0 {
        return None;
    }
    let tenths =
        (change.nanos().unsigned_abs().saturating_mul(2000) + whole.unsigned_abs()) / (whole.unsigned_abs() * 2);
    let sign = if change.is_negative() { "-" } else { "+" };
    Some(format!("{sign}{}.{} %", tenths / 10, tenths % 10))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_in_per_cent() {
        let rows = [
            ("1", "0.1", Some("+10.0 %")),
            ("3", "-1", Some("-33.3 %")),
            ("3", "2", Some("+66.7 %")),
            ("0.0001", "1", Some("+1000000.0 %")),
            ("0", "1", None),
        ];
        for (before, change, expected) in rows {
            let money = |text: &str| text.parse::<Money>().expect("an amount");
            assert_eq!(percent(money(before), money(change)).as_deref(), expected, "{before} {change}");
        }
    }
}
