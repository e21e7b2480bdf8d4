//! Tariff versions over restarts.

use charging_server::{TariffPricing, TenantConfig};
use ledger::Pricing;

use crate::rig::{Place, account, chain, charge, initial, is, money, termination, write_tariff};

fn tariff(place: &Place) -> std::path::PathBuf {
    place.config.tariff.folder.clone().expect("configured")
}

#[tokio::test]
async fn an_old_session_keeps_its_price() {
    let place = Place::new();
    let core = place.start();
    account(&core, "a", "10").await;
    charge(&core, initial("a", "old", 30)).await;
    core.stop();
    write_tariff(&tariff(&place), "0.05");
    let core = place.start();
    charge(&core, initial("a", "new", 10)).await;
    assert_eq!(money(&core, "a").await, is("10", "0.8"), "0.30 at the old price, 0.50 at the new");
    charge(&core, termination("a", "old", 1, 100)).await;
    assert_eq!(money(&core, "a").await, is("9", "0.5"));
    charge(&core, termination("a", "new", 1, 100)).await;
    assert_eq!(money(&core, "a").await, is("4", "0"));
}

#[tokio::test]
async fn a_missing_version_of_a_session_is_refused_by_name() {
    let place = Place::new();
    let core = place.start();
    account(&core, "a", "10").await;
    charge(&core, initial("a", "old", 30)).await;
    core.stop();
    let kept: Vec<_> = std::fs::read_dir(place.data().join("tariffs"))
        .expect("readable")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.is_dir())
        .collect();
    let [version] = &kept[..] else { panic!("one version expected: {kept:?}") };
    let moved = place.folder.path().join("moved");
    std::fs::rename(version, &moved).expect("moved");
    write_tariff(&tariff(&place), "0.05");
    let text = place.refusal();
    let name = version.file_name().and_then(|name| name.to_str()).expect("text");
    assert!(text.contains(name) && text.contains("tariffs") && text.contains("backup"), "{text}");
    std::fs::rename(&moved, version).expect("moved back");
    let rates = version.join("Rates.csv");
    let good = std::fs::read_to_string(&rates).expect("readable");
    std::fs::write(&rates, good.replace("0.01", "0.02")).expect("written");
    let text = place.refusal();
    assert!(text.contains(name) && text.contains("damaged") && text.contains("backup"), "{text}");
    std::fs::write(&rates, good).expect("written");
    let core = place.start();
    charge(&core, termination("a", "old", 1, 100)).await;
    assert_eq!(money(&core, "a").await, is("9", "0"));
}

#[tokio::test]
async fn a_faulty_folder_is_refused_and_half_a_version_ignored() {
    let place = Place::new();
    std::fs::create_dir_all(place.data().join("tariffs").join("0123.unfinished")).expect("a folder");
    drop(place.start());
    write_tariff(&tariff(&place), "nothing");
    let error = place.try_start().map(|_| ()).expect_err("a faulty tariff");
    let text = chain(&error);
    assert!(text.contains("Rates.csv") && text.contains("nothing"), "{text}");
}

#[tokio::test]
async fn days_of_limits_are_the_tenants() {
    let mut place = Place::new();
    let berlin = TenantConfig { time_zone: Some("Europe/Berlin".into()), tax: None };
    place.config.tariff.tenants.insert("berlin".into(), berlin);
    let core = place.start();
    let pricing = TariffPricing::new(std::sync::Arc::clone(core.tariffs()));
    let day = |tenant: &str, at: &str| pricing.day_of(&tenant.into(), at.parse().expect("a time"));
    for (tenant, at, begun) in [
        ("berlin", "2026-07-09T21:59:59Z", 0),
        ("berlin", "2026-07-09T22:00:00Z", 1),
        ("other", "2026-07-09T23:59:59Z", 0),
        ("other", "2026-07-10T00:00:00Z", 1),
    ] {
        assert_eq!(day(tenant, at), day("other", "2026-07-09T12:00:00Z") + begun, "{tenant} {at}");
    }
}
