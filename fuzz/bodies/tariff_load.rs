//! Any text as a tariff plan: faults that name their place, or a plan that prices whatever its profiles are asked, without
//! a panic, without a price that falls, and the same again from its canonical texts. Called by the fuzz target and by a
//! plain test.

use rating::{Plan, PlanOptions, Query, Rated, Rounding, Table, Tables, Tax};
use types::charging::Service;
use types::{Currency, Money, UtcMs};

/// First byte: settings. Then the six tables, in the order of [`Table::ALL`], with form feeds between them.
pub fn run(input: &[u8]) {
    let Some((&settings, rest)) = input.split_first() else { return };
    let text = String::from_utf8_lossy(rest);
    let mut tables = Tables::default();
    for (table, text) in Table::ALL.into_iter().zip(text.split('\u{c}')) {
        *tables.text_mut(table) = text.to_owned();
    }
    match Plan::from_tables(&tables, options(settings)) {
        Ok(plan) => look_at(&plan, settings),
        Err(errors) => {
            assert!(!errors.faults().is_empty());
            for fault in errors.faults() {
                let lines = tables.text(fault.table).split(['\n', '\r']).count();
                assert!(fault.line > 0 && usize::try_from(fault.line).is_ok_and(|line| line <= lines), "{fault}");
                assert!(fault.column.is_none() || fault.column_name().is_some(), "{fault}");
            }
        }
    }
}

fn options(settings: u8) -> PlanOptions {
    let currency: Currency = "EUR".parse().expect("a currency");
    let mut options = PlanOptions::from(currency);
    options.plus_is_optional = settings & 1 == 0;
    options.subject_prefix_matching = settings & 2 != 0;
    options.fallback_depth = if settings & 4 == 0 { 3 } else { 255 };
    let tenant = &mut options.default_tenant;
    tenant.tax = Some(Tax { parts_per_million: 190_001, included: settings & 8 != 0 }).filter(|_| settings & 16 != 0);
    if settings & 32 != 0 {
        tenant.time_zone = "Europe/Berlin".parse().expect("a time zone");
    }
    options
}

fn look_at(plan: &Plan, settings: u8) {
    let again = Plan::from_tables(plan.to_tables(), plan.options()).expect("what was loaded loads again");
    assert_eq!((again.version(), again.to_tables()), (plan.version(), plan.to_tables()));
    let profiles = plan.to_tables().rating_profiles.lines().take(4).map(|row| row.split(',').collect::<Vec<_>>());
    let numbers: Vec<&str> =
        plan.to_tables().destinations.lines().filter_map(|row| row.split(',').nth(1)).take(3).collect();
    let mut first = true;
    for profile in profiles {
        let [tenant, category, subject, ..] = profile.as_slice() else { continue };
        for number in numbers.iter().copied().chain(["", "+4915112345"]) {
            for service in [Service::Voice, Service::Data] {
                // Just before the clocks of Berlin change, and a common day.
                for start in [UtcMs(1_774_745_999_000), UtcMs(1_795_309_601_612)] {
                    let query = Query { service, tenant, category, subject, destination: number, start };
                    if let Ok(rated) = plan.resolve(&query) {
                        // A year of talking has a thousand borders: once is enough.
                        look_at_price(&rated, number, settings, if std::mem::take(&mut first) { 7 } else { 5 });
                        let window = plan.resolve_window(&query, start, start.plus(2_000)).expect("it has a price");
                        assert!(window.price(90_000, Rounding::Running) >= rated.price(90_000, Rounding::Running));
                    }
                }
            }
        }
    }
}

fn look_at_price(rated: &Rated<'_>, number: &str, settings: u8, usages: usize) {
    let usages = &[0, 1, 999, 60_000, 3_601_000, 1 << 40, u64::MAX][..usages];
    let prices: Vec<Money> = usages.iter().map(|usage| rated.price(*usage, Rounding::Running)).collect();
    assert!(prices.is_sorted(), "{prices:?}");
    assert!(number.contains(rated.matched_prefix(number)));
    for (usage, running) in usages.iter().copied().zip(prices) {
        let last = rated.price(usage, Rounding::Final);
        assert!(!last.is_negative() && last <= running && running <= Money::LIMIT);
        match rated.quote(usage) {
            Ok(quote) => assert_eq!((quote.price, quote.net + quote.tax), (last, last)),
            Err(_) => assert_eq!(last, Money::LIMIT),
        }
        if usage <= 3_601_000 {
            assert_eq!(rated.explain(usage).is_empty(), usage == 0);
        }
        let amount = Money::from_nanos(i128::from(settings) * 1_000_000_007);
        let most = rated.max_usage(0, usage, amount);
        assert!(rated.price(most, Rounding::Running) <= amount && most <= rated.billable(usage));
    }
}
