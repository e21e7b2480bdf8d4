//! What must hold for any rate, any call: the closed form equals a walk over all increments, prices never fall, credit
//! buys exactly what it pays for, and slicing changes nothing; with and without tax, whatever the clock on the wall.
//!
//! Exempt, because the rules themselves say otherwise: the *final* price may fall where rounding or the maximum cost
//! differ between the spans of a call (the running price never does, and it is what is held and charged meanwhile: see
//! `a_finer_rounding_after_a_border_takes_nothing_back_while_the_call_runs`); a maximum that disconnects ends the usage
//! that credit buys before the credit ends; what is no voice is rated as at its start, so two sessions that meet at a
//! border may cost other than one. Here one rounding and one maximum hold for the whole call.

use proptest::prelude::*;
use rating::{Plan, PlanOptions, Query, Rounding, Tables, Tax, TenantOptions};
use types::charging::Service;
use types::{Currency, Money, UtcMs};

/// A rate group in seconds, and the price in nano units of `unit` seconds.
#[derive(Debug, Clone)]
struct Group {
    start: u64,
    increment: u64,
    unit: u64,
    nanos: i128,
}

#[derive(Debug, Clone)]
struct Tariff {
    fee: i128,
    day: Vec<Group>,
    night: Vec<Group>,
    rounding: (&'static str, u8),
    free_above: Option<i128>,
    start: UtcMs,
    tax: Option<Tax>,
    /// What the wall clock is ahead of UTC, all the time around the start.
    ahead_ms: i64,
}

/// Day is 08:00 to 20:00.
const DAY: [i64; 2] = [8 * 3_600_000, 20 * 3_600_000];
const UNITS: [u64; 5] = [1, 7, 60, 90, 3600];

fn groups() -> impl Strategy<Value = Vec<Group>> {
    let group = (1u64..90, 1u64..75, 0usize..5, 0i128..900_000_000);
    proptest::collection::vec(group, 1..4).prop_map(|groups| {
        let mut start = 0;
        let mut next = |length: u64| (start, start += length).0;
        let group =
            |(length, increment, unit, nanos)| Group { start: next(length), increment, unit: UNITS[unit], nanos };
        groups.into_iter().map(group).collect()
    })
}

fn tariffs() -> impl Strategy<Value = Tariff> {
    let rounding = (prop_oneof![Just("*up"), Just("*down"), Just("*middle")], 0u8..=9);
    // Around a border between day and night, so that many calls cross one.
    let start = prop_oneof![Just(DAY[0]), Just(DAY[1])].prop_flat_map(|border| (border - 200_000)..(border + 20_000));
    let free_above = proptest::option::weighted(0.2, 0i128..3_000_000_000);
    let tax = (0u32..400_000, any::<bool>());
    let tax = tax.prop_map(|(parts_per_million, included)| Tax { parts_per_million, included });
    let ahead_ms = prop_oneof![Just(0), Just(3_600_000)];
    (0i128..2_000_000_000, groups(), groups(), rounding, free_above, start, proptest::option::of(tax), ahead_ms)
        .prop_map(|(fee, day, night, rounding, free_above, start, tax, ahead_ms)| {
            let start = UtcMs(1_795_132_800_000 + start - ahead_ms);
            Tariff { fee, day, night, rounding, free_above, start, tax, ahead_ms }
        })
}

impl Tariff {
    fn plan(&self) -> Plan {
        let mut rates = String::new();
        for (id, groups) in [("DAY", &self.day), ("NIGHT", &self.night)] {
            for group in groups {
                let (fee, rate) = (Money::from_nanos(self.fee), Money::from_nanos(group.nanos));
                let (unit, increment, start) = (group.unit, group.increment, group.start);
                rates += &format!("{id},{fee},{rate},{unit}s,{increment}s,{start}s\n");
            }
        }
        let (method, decimals) = self.rounding;
        let max = self.free_above.map(|max| format!("{},*free", Money::from_nanos(max))).unwrap_or(",".into());
        let tables = Tables {
            timings: "T8,*any,*any,*any,*any,08:00:00\nT20,*any,*any,*any,*any,20:00:00\n".into(),
            destinations: "D,49\n".into(),
            rates,
            destination_rates: format!("D,D,DAY,{method},{decimals},{max}\nN,D,NIGHT,{method},{decimals},{max}\n"),
            rating_plans: "P,N,*any,10\nP,D,T8,10\nP,N,T20,10\n".into(),
            rating_profiles: "t,call,*any,,P,\n".into(),
        };
        let eur: Currency = "EUR".parse().expect("a currency");
        let zone = if self.ahead_ms == 0 { "UTC" } else { "Europe/Berlin" };
        let time_zone = zone.parse().expect("a time zone");
        let options = PlanOptions { default_tenant: TenantOptions { time_zone, tax: self.tax }, ..eur.into() };
        Plan::from_tables(&tables, options).unwrap_or_else(|errors| panic!("{errors}\n{tables:?}"))
    }

    fn query(&self) -> Query<'static> {
        let service = Service::Voice;
        Query { service, tenant: "t", category: "call", subject: "anna", destination: "4930", start: self.start }
    }

    /// Walks all increments: exact price in 1/25200 nano units (a multiple of all rate units), and the usage paid in ms.
    fn walk(&self, usage_ms: u64) -> (i128, u64) {
        const PARTS: i128 = 25_200;
        let groups_at = |ms: u64| {
            let of_day = (self.start.0 + self.ahead_ms + ms as i64).rem_euclid(86_400_000);
            if of_day >= DAY[0] && of_day < DAY[1] { &self.day } else { &self.night }
        };
        let cap = |price: i128, before: i128| match self.free_above {
            Some(max) => price.min((max * PARTS).max(before)),
            None => price,
        };
        let (mut price, mut paid) = (if usage_ms > 0 { cap(self.fee * PARTS, 0) } else { 0 }, 0);
        while paid < usage_ms {
            let group = groups_at(paid).iter().rfind(|group| group.start * 1000 <= paid).expect("groups begin at 0");
            let cost = group.nanos * i128::from(group.increment) * (PARTS / i128::from(group.unit));
            price = cap(price + cost, price);
            paid += group.increment * 1000;
        }
        (price, paid)
    }

    fn rounded(&self, usage_ms: u64) -> Money {
        let (method, decimals) = self.rounding;
        let step = 10i128.pow(9 - u32::from(decimals)) * 25_200;
        let (price, _) = self.walk(usage_ms);
        let steps = match method {
            "*up" => (price + step - 1) / step,
            "*down" => price / step,
            _ => (2 * price + step) / (2 * step),
        };
        self.taxed(steps * step / 25_200, 500_000)
    }

    /// What is charged for a net price: the added tax in millionths, plus `rounding` of them.
    fn taxed(&self, net: i128, rounding: i128) -> Money {
        let added = self.tax.filter(|tax| !tax.included).map_or(0, |tax| i128::from(tax.parts_per_million));
        Money::from_nanos((net * (1_000_000 + added) + rounding) / 1_000_000)
    }

    /// The dearer of the exact price and the final one, each before tax, then taxed and rounded up.
    fn running(&self, usage_ms: u64) -> Money {
        let net = Self { tax: None, ..self.clone() }.rounded(usage_ms).nanos();
        self.taxed(net.max((self.walk(usage_ms).0 + 25_199) / 25_200), 999_999)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn the_closed_form_equals_a_walk(tariff in tariffs(), usage in 0u64..400_000) {
        let plan = tariff.plan();
        let rated = plan.resolve(&tariff.query()).expect("a price");
        prop_assert_eq!(rated.price(usage, Rounding::Final), tariff.rounded(usage));
        prop_assert_eq!(rated.billable(usage), tariff.walk(usage).1);
        prop_assert_eq!(rated.price(usage, Rounding::Running), tariff.running(usage));
        let quote = rated.quote(usage).expect("a small price");
        prop_assert_eq!((quote.price, quote.net + quote.tax), (tariff.rounded(usage), tariff.rounded(usage)));
    }

    #[test]
    fn prices_never_fall(tariff in tariffs(), usage in 0u64..400_000, more in 0u64..100_000) {
        let plan = tariff.plan();
        let rated = plan.resolve(&tariff.query()).expect("a price");
        for rounding in [Rounding::Running, Rounding::Final] {
            prop_assert!(rated.price(usage, rounding) <= rated.price(usage + more, rounding));
        }
        prop_assert!(rated.price(usage, Rounding::Final) <= rated.price(usage, Rounding::Running));
        prop_assert_eq!(rated.price(usage, Rounding::Running), rated.price(rated.billable(usage), Rounding::Running));
    }

    #[test]
    fn credit_buys_exactly_what_it_pays_for(
        tariff in tariffs(), already in 0u64..200_000, more in 0u64..200_000, amount in 0i128..40_000_000_000,
    ) {
        let plan = tariff.plan();
        let rated = plan.resolve(&tariff.query()).expect("a price");
        let (limit, amount) = (already + more, Money::from_nanos(amount));
        let most = rated.max_usage(already, limit, amount);
        let price = |usage| rated.price(usage, Rounding::Running);
        prop_assert!(most >= already && most <= rated.billable(limit));
        if price(already) <= amount {
            prop_assert!(price(most) <= amount);
            prop_assert_eq!(rated.billable(most), most);
        } else {
            prop_assert_eq!(most, already);
        }
        if most < rated.billable(limit) {
            prop_assert!(price(most + 1) > amount);
        }
    }

    #[test]
    fn slicing_changes_nothing(tariff in tariffs(), slices in proptest::collection::vec(0u64..70_000, 1..9)) {
        let plan = tariff.plan();
        let rated = plan.resolve(&tariff.query()).expect("a price");
        let (mut charged, mut used) = (Money::ZERO, 0);
        for slice in &slices {
            used += slice;
            let debit = rated.price(used, Rounding::Running) - charged;
            prop_assert!(!debit.is_negative());
            charged += debit;
        }
        charged += rated.price(used, Rounding::Final) - charged;
        prop_assert_eq!(charged, tariff.rounded(used));
    }

    #[test]
    fn no_start_in_a_window_is_dearer(mut tariff in tariffs(), usage in 1u64..200_000, late in 0u64..=180_000) {
        // One group each and the same steps: here the dearest start is found exactly.
        tariff.day.truncate(1);
        tariff.night = tariff.night.first().map(|night| Group { increment: tariff.day[0].increment, ..night.clone() })
            .into_iter().collect();
        let plan = tariff.plan();
        let window = plan.resolve_window(&tariff.query(), tariff.start, tariff.start.plus(180_000)).expect("a price");
        let start = tariff.start.plus(late);
        let rated = plan.resolve(&Query { start, ..tariff.query() }).expect("a price");
        prop_assert!(window.price(usage, Rounding::Running) >= rated.price(usage, Rounding::Running));
        let amount = window.price(usage, Rounding::Running);
        prop_assert!(rated.price(window.max_usage(usage, amount), Rounding::Running) <= amount);
    }
}

#[test]
fn absurd_usage_ends_in_bounded_time_and_never_gets_cheaper() {
    let group = Group { start: 0, increment: 1, unit: 1, nanos: 900_000_000_000_000_000 };
    let day = vec![Group { nanos: 10_000_000, ..group.clone() }];
    let tariff = Tariff {
        fee: 0,
        day,
        night: vec![group],
        rounding: ("*up", 4),
        free_above: None,
        start: UtcMs(0),
        tax: None,
        ahead_ms: 0,
    };
    let plan = tariff.plan();
    let rated = plan.resolve(&tariff.query()).expect("a price");
    let usages = [0, 1, 1 << 31, 1 << 40, 1 << 50, 1 << 60, u64::MAX - 1, u64::MAX];
    let prices: Vec<Money> = usages.iter().map(|usage| rated.price(*usage, Rounding::Running)).collect();
    assert!(prices.is_sorted(), "{prices:?}");
    assert!(rated.billable(u64::MAX) >= u64::MAX / 1_000_000);
}
