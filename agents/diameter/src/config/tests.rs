use super::peers::NetworkError;
use super::*;

fn config(table: &str) -> DiameterConfig {
    toml_like(table)
}

/// The configuration as JSON, which is what a TOML table becomes for serde.
fn toml_like(json: &str) -> DiameterConfig {
    serde_json::from_str(json).expect("a configuration")
}

const LEAST: &str = r#"{
    "name": "ocs", "origin_host": "ocs.example.net", "listen": ["127.0.0.1:3868"],
    "peers": [{ "host": "pgw.example.net" }], "services": [{ "context": "32251" }]
}"#;

#[test]
fn the_least_configuration_is_sound() {
    let config = config(LEAST);
    assert_eq!(config.faults(), []);
    assert_eq!((config.realm(), &*config.tenant), ("example.net", "default"));
    let written = serde_json::to_string(&config).expect("it can be written");
    assert_eq!(toml_like(&written), config);
}

#[test]
fn every_fault_names_its_key() {
    type Change = fn(&mut DiameterConfig);
    let rows: &[(&str, Change)] = &[
        ("origin_host", |config| config.origin_host = "no host".into()),
        ("realms[0]", |config| config.realms = vec!["".into()]),
        ("listen", |config| config.listen.clear()),
        ("peers", |config| config.peers.clear()),
        ("peers[0].host", |config| config.peers[0].host = "*".into()),
        ("services", |config| config.services.clear()),
        ("services[0].plmn", |config| config.services[0].plmn = Some("26a".into())),
        ("services[0].grant", |config| {
            config.services[0].grant = Some(GrantConfig { slice: 1, least: 2, most: 3 });
        }),
        ("services[0].final_unit.redirect", |config| {
            config.services[0].final_unit = Some(FinalUnitConfig::Redirect("".into()));
        }),
        ("grants.octets", |config| config.grants.octets.most = 0),
        ("grants.threshold_percent", |config| config.grants.threshold_percent = 91),
        ("limits.window", |config| config.limits.window = 0),
        ("limits.watchdog", |config| config.limits.watchdog = ConfigDuration::from_s(1)),
        ("limits.copies", |config| config.limits.copies = ConfigDuration::from_s(60)),
        ("answer_timeout", |config| config.answer_timeout = ConfigDuration::from_s(11)),
    ];
    for (key, change) in rows {
        let mut config = config(LEAST);
        change(&mut config);
        let keys: Vec<String> = config.faults().into_iter().map(|(key, _)| key).collect();
        assert_eq!(keys, [*key]);
    }
}

#[test]
fn peers_are_admitted_by_name_realm_and_address() {
    let peer = |json: &str| serde_json::from_str::<PeerConfig>(json).expect("a peer");
    let (exact, domain) = (peer(r#"{"host": "pgw.example.net"}"#), peer(r#"{"host": "*.example.net"}"#));
    let narrow = peer(r#"{"host": "*.example.net", "realm": "example.net", "addresses": ["10.1.0.0/16", "::1"]}"#);
    let rows = [
        (&exact, "PGW.example.NET", "x", "192.0.2.1", true),
        (&exact, "a.pgw.example.net", "x", "192.0.2.1", false),
        (&domain, "a.b.example.net", "x", "192.0.2.1", true),
        (&domain, ".example.net", "x", "192.0.2.1", false),
        (&domain, "example.net", "x", "192.0.2.1", false),
        (&domain, "evilexample.net", "x", "192.0.2.1", false),
        (&narrow, "a.example.net", "Example.net", "10.1.255.1", true),
        (&narrow, "a.example.net", "example.net", "::ffff:10.1.2.3", true),
        (&narrow, "a.example.net", "example.net", "::1", true),
        (&narrow, "a.example.net", "example.net", "10.2.0.1", false),
        (&narrow, "a.example.net", "example.org", "10.1.2.3", false),
    ];
    for (peer, host, realm, address, admitted) in rows {
        let address = address.parse().expect("an address");
        assert_eq!(peer.admits(host, realm, address), admitted, "{host} {realm} {address}");
    }
    for none in ["10.1.0.0/33", "10.1.0/16", "host", "::1/129", ""] {
        assert_eq!(none.parse::<Network>(), Err(NetworkError), "{none}");
    }
    let all: Network = "0.0.0.0/0".parse().expect("a network");
    assert!(all.contains([203, 0, 113, 9].into()));
}

#[test]
fn the_first_row_that_fits_counts() {
    let row = |json: &str| serde_json::from_str::<ServiceConfig>(json).expect("a row");
    let group = ServiceMatch {
        context: "ext.32251@3gpp.org",
        context_number: 32_251,
        rating_group: Some(10),
        service_identifiers: &[3, 4],
        apn: Some("internet.mnc001.mcc262.gprs"),
        plmn: Some("26201"),
        role: None,
        client_realm: "example.net",
    };
    let rows = [
        ("{}", true),
        (r#"{"context": "32251"}"#, true),
        (r#"{"context": "EXT.32251@3gpp.org"}"#, true),
        (r#"{"context": "32260"}"#, false),
        (r#"{"rating_group": 10, "service_identifier": 4}"#, true),
        (r#"{"rating_group": 11}"#, false),
        (r#"{"service_identifier": 5}"#, false),
        (r#"{"apn": "Internet"}"#, true),
        (r#"{"apn": "inter"}"#, false),
        (r#"{"plmn": "262"}"#, true),
        (r#"{"plmn": "26202"}"#, false),
        (r#"{"role": "TERMINATING"}"#, false),
        (r#"{"client_realm": "Example.NET"}"#, true),
        (r#"{"client_realm": "other.net"}"#, false),
    ];
    for (json, fits) in rows {
        assert_eq!(row(json).fits(&group), fits, "{json}");
    }
}
