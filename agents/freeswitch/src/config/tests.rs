use super::*;

fn config() -> FreeswitchConfig {
    let switch = |name: &str| SwitchConfig {
        name: name.into(),
        address: "127.0.0.1:8021".into(),
        password_file: None,
        password_env: None,
        socket: None,
    };
    FreeswitchConfig {
        name: "pbx".into(),
        tenant: default_tenant(),
        switches: vec![switch("fs1"), switch("fs2")],
        admitted_context: default_admitted_context(),
        refuse_context: default_refuse_context(),
        transfers_paid_by: TransferPayer::default(),
        parked_contexts: vec![],
        domains: std::collections::BTreeMap::new(),
        low_balance_file: "".into(),
        empty_balance_file: "".into(),
        empty_balance_context: "".into(),
        empty_balance_limit: default_empty_balance_limit(),
        heartbeat_timeout: default_heartbeat_timeout(),
        reply_timeout: default_reply_timeout(),
        reconnect_longest: default_reconnect(),
        calls: CallConfig::default(),
        trunks: BTreeMap::new(),
    }
}

fn socket(config: &mut FreeswitchConfig, change: fn(&mut SocketConfig)) {
    let mut socket = SocketConfig::on("127.0.0.1:8084");
    change(&mut socket);
    config.switches[0].socket = Some(socket);
}

type Change = fn(&mut FreeswitchConfig);

#[test]
fn every_fault_names_its_key() {
    let rows: &[(Change, &str)] = &[
        (|config| config.switches.clear(), "switches"),
        (|config| config.switches[1].name = "fs1".into(), "switches[1].name"),
        (|config| config.switches[0].name = "a/b".into(), "switches[0].name"),
        (|config| config.switches[0].name = "a;b=c".into(), "switches[0].name"),
        (|config| config.switches[0].address = "localhost".into(), "switches[0].address"),
        (|config| config.admitted_context = "".into(), "admitted_context"),
        (|config| config.refuse_context = "a b".into(), "refuse_context"),
        (|config| config.parked_contexts = vec!["tollkeeper_admitted".into()], "parked_contexts"),
        (|config| config.low_balance_file = "a file.wav".into(), "low_balance_file"),
        (|config| config.empty_balance_file = "a,b.wav".into(), "empty_balance_file"),
        (|config| config.empty_balance_context = "a b".into(), "empty_balance_context"),
        (|config| config.empty_balance_context = "tollkeeper_admitted".into(), "empty_balance_context"),
        (|config| config.empty_balance_limit = ConfigDuration::from_ms(1), "empty_balance_limit"),
        (
            |config| {
                (config.empty_balance_file, config.empty_balance_context) = ("/e.wav".into(), "top_up".into());
            },
            "empty_balance_file",
        ),
        (
            |config| {
                config.parked_contexts = vec!["public".into()];
                config.empty_balance_context = "public".into();
            },
            "empty_balance_context",
        ),
        (|config| config.switches[0].socket = Some(SocketConfig::on("8084")), "switches[0].socket.listen"),
        (|config| socket(config, |socket| socket.allow.clear()), "switches[0].socket.allow"),
        (|config| socket(config, |socket| socket.maximum_connections = 0), "switches[0].socket.maximum_connections"),
        (
            |config| socket(config, |socket| socket.handshake_timeout = ConfigDuration::from_s(26)),
            "switches[0].socket.handshake_timeout",
        ),
        (
            |config| config.switches.iter_mut().for_each(|switch| switch.socket = Some(SocketConfig::on("[::1]:8084"))),
            "switches[1].socket.listen",
        ),
        (|config| config.heartbeat_timeout = ConfigDuration::from_ms(10), "heartbeat_timeout"),
        (|config| config.reply_timeout = ConfigDuration::from_ms(10), "reply_timeout"),
        (|config| config.calls.maximum_calls = 0, "calls.maximum_calls"),
    ];
    assert_eq!(config().faults(), []);
    for (change, key) in rows {
        let mut config = config();
        change(&mut config);
        let keys: Vec<String> = config.faults().into_iter().map(|(key, _)| key).collect();
        assert_eq!(keys, [*key]);
    }
    let mut without = config();
    without.refuse_context = "".into();
    assert_eq!(without.faults(), [], "402 may be left to 403");
}

#[test]
fn the_password_is_of_one_place_and_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("password");
    let mut switch = config().switches.remove(0);
    switch.password_file = Some(path.clone());
    assert!(switch.password().unwrap_err().contains("cannot be read"));
    std::fs::write(&path, "ClueCon\n").unwrap();
    let password = switch.password().unwrap();
    assert_eq!(password.expose(), "ClueCon");
    assert!(!format!("{password:?}").contains("ClueCon"));
    for text in ["", "\n", "two\nlines\n"] {
        std::fs::write(&path, text).unwrap();
        assert!(switch.password().is_err(), "{text:?}");
    }
    switch.password_env = Some("PATH".into());
    assert!(switch.password().unwrap_err().contains("keep one of them"));
    switch.password_file = None;
    assert!(switch.password().is_ok());
    switch.password_env = Some("TOLLKEEPER_NO_SUCH_VARIABLE".into());
    assert!(switch.password().unwrap_err().contains("TOLLKEEPER_NO_SUCH_VARIABLE"));
}

#[test]
fn a_trunk_is_found_by_its_name_before_its_address() {
    let mut config = config();
    let trunk = |address: [u8; 4]| TrunkConfig { addresses: vec![address.into()], ..TrunkConfig::default() };
    config.trunks = [("one".into(), trunk([192, 0, 2, 1])), ("two".into(), trunk([192, 0, 2, 2]))].into();
    let address = |last: u8| Some(IpAddr::from([192, 0, 2, last]));
    for (name, from, expected) in [
        (None, address(2), Some("two")),
        (Some("one"), address(2), Some("one")),
        (Some("three"), address(2), None),
        (None, address(3), None),
        (None, None, None),
    ] {
        assert_eq!(config.trunk(name, from).map(|(name, _)| name), expected, "{name:?} {from:?}");
    }
}

/// An operator who comes from CGRateS finds the names again; the port of the socket is closed unless it is wanted.
#[test]
fn the_names_of_cgrates_are_taken_and_nothing_listens_by_itself() {
    let text = "name = \"a\"\nswitches = [{ name = \"fs1\", address = \"h:1\" }, { name = \"fs2\", address = \"h:2\", socket = { listen = \"h:3\" } }]\nlow_balance_ann_file = \"/l.wav\"\nempty_balance_ann_file = \"/e.wav\"";
    let config: FreeswitchConfig = toml::from_str(text).unwrap();
    assert_eq!((&*config.low_balance_file, &*config.empty_balance_file), ("/l.wav", "/e.wav"));
    assert_eq!(config.switches[0].socket, None);
    let socket = config.switches[1].socket.as_ref().unwrap();
    assert!(!socket.allow.is_empty() && socket.allow.iter().all(IpAddr::is_loopback), "{:?}", socket.allow);
}
