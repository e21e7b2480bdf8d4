//! Two plans side by side, and what taxes make of a price.

use rating::{
    NoPrice, Plan, PlanOptions, Query, Refusal, Rounding, SampleUsage, Tables, Tax, TenantOptions, diff, samples,
};
use types::charging::Service;
use types::{Currency, Money, UtcMs};

fn tables() -> Tables {
    Tables {
        destinations: "DE,49\nDE_MOBILE,4915\nUK,44\n".into(),
        rates: "R,0,0.01,1s,1s,0s\nM,0.05,0.02,1s,1s,0s\n".into(),
        destination_rates: "D,DE,R,*up,4,,\nD,DE_MOBILE,M,*up,4,,\nD,UK,M,*up,4,,\n".into(),
        rating_plans: "P,D,*any,10\n".into(),
        rating_profiles: "t,call,*any,,P,\nt,call,anna,,P,\n".into(),
        ..Tables::default()
    }
}

fn currency(text: &str) -> Currency {
    text.parse().expect("a currency")
}

fn plan(tables: &Tables) -> Plan {
    Plan::from_tables(tables, currency("EUR")).unwrap_or_else(|errors| panic!("{errors}"))
}

fn asked(limit: usize) -> SampleUsage {
    SampleUsage { service: Service::Voice, start: UtcMs(1_795_309_601_612), usage: 60_000, limit }
}

fn money(text: &str) -> Money {
    text.parse().expect("an amount")
}

#[test]
fn samples_are_one_number_for_each_subject_and_zone() {
    let plan = plan(&tables());
    let found = samples(&plan, &plan, &asked(100));
    let names: Vec<(&str, &str)> = found.iter().map(|sample| (&*sample.subject, &*sample.destination)).collect();
    let numbers = ["*any", "44", "49", "4915"];
    let expected: Vec<(&str, &str)> =
        ["*any", "anna"].iter().flat_map(|one| numbers.map(|number| (*one, number))).collect();
    assert_eq!(names, expected);
    assert_eq!(samples(&plan, &plan, &asked(3)), found[..3]);
    assert_eq!(diff(&plan, &plan, &found), []);
}

#[test]
fn a_changed_price_is_told_with_its_difference() {
    let mut changed = tables();
    changed.rates = changed.rates.replace("M,0.05,0.02", "M,0,0.021");
    // a prefix changes hands, a destination is not sold any more
    changed.destinations = changed.destinations.replace("UK,44", "DE_MOBILE,4916");
    let (old, new) = (plan(&tables()), plan(&changed));
    let changes = diff(&old, &new, &samples(&old, &new, &asked(100)));
    let of_any: Vec<(&str, Option<String>)> = changes
        .iter()
        .filter(|change| &*change.sample.subject == "*any")
        .map(|change| (&*change.sample.destination, change.difference().map(|difference| difference.to_string())))
        .collect();
    let expected = [("44", None), ("4915", Some("0.01".to_owned())), ("4916", Some("0.66".to_owned()))];
    assert_eq!(of_any, expected);
    let gone = changes.iter().find(|change| &*change.sample.destination == "44").expect("a change");
    assert_eq!(gone.old.map(|quote| quote.price), Ok(money("1.25")));
    assert_eq!(gone.new, Err(NoPrice::Refused(Refusal::UnauthorizedDestination)));
    assert_eq!(gone.new.map_err(|reason| reason.code()), Err("UNAUTHORIZED_DESTINATION"));
}

#[test]
fn another_currency_changes_every_price_and_is_never_subtracted() {
    let old = plan(&tables());
    let new = Plan::from_tables(&tables(), currency("USD")).expect("a plan");
    let found = samples(&old, &new, &asked(100));
    let changes = diff(&old, &new, &found);
    // `*any` has no price in either
    assert_eq!(changes.len(), found.iter().filter(|sample| &*sample.destination != "*any").count());
    assert!(changes.iter().all(|change| change.difference().is_none()));
}

#[test]
fn taxes_are_included_or_added() {
    let priced = |tax: Tax| {
        let tenant = TenantOptions { tax: Some(tax), ..TenantOptions::default() };
        let options = PlanOptions { tenants: [("t".into(), tenant)].into(), ..currency("EUR").into() };
        Plan::from_tables(&tables(), options).expect("a plan")
    };
    let query = Query {
        service: Service::Voice,
        tenant: "t",
        category: "call",
        subject: "anna",
        destination: "4915",
        start: UtcMs(1_795_309_601_612),
    };
    let added = priced(Tax { parts_per_million: 190_000, included: false });
    let rated = added.resolve(&query).expect("a price");
    // 0.05 + 60 x 0.02 = 1.25, and 19 % of it
    let quote = rated.quote(60_000).expect("a price");
    assert_eq!((quote.net, quote.tax, quote.price), (money("1.25"), money("0.2375"), money("1.4875")));
    assert_eq!(rated.price(60_000, Rounding::Running), money("1.4875"));
    assert_eq!(rated.max_usage(0, 90_000, money("1.4875")), 60_000);
    assert_eq!(rated.max_usage(0, 90_000, money("1.487499999")), 59_000);
    let last = rated.explain(60_000).last().map(ToString::to_string);
    assert_eq!(last.as_deref(), Some("tax 19 %, added: 0.2375; charged: 1.4875"));
    let included = priced(Tax { parts_per_million: 190_000, included: true });
    let rated = included.resolve(&query).expect("a price");
    let quote = rated.quote(60_000).expect("a price");
    assert_eq!((quote.net, quote.tax, quote.price), (money("1.050420168"), money("0.199579832"), money("1.25")));
    assert_eq!(rated.max_usage(0, 90_000, money("1.25")), 60_000);
    let untaxed = plan(&tables());
    assert_ne!(added.version(), included.version());
    assert_ne!(added.version(), untaxed.version());
}
