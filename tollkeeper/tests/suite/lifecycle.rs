//! Start, restart, kill, and the ordered end.

use rustix::process::Signal;

use crate::support::{Tollkeeper, binary, eventually, run};

const AGENT: &str = r#"
[[agent]]
kind = "kamailio"
name = "sbc"
switches = [{ name = "kam1", address = "127.0.0.1:1" }]
"#;

fn balance(core: &Tollkeeper, account: &str) -> String {
    let account = core.cli(&["account", "show", account, "--json"]).json().remove(0);
    account["balance"].as_str().expect("a balance").to_owned()
}

#[test]
fn sigterm_ends_it_in_order_and_a_restart_keeps_balances() {
    let mut core = Tollkeeper::start("");
    core.cli(&["account", "create", "alice", "--balance", "1.00"]).ok();
    core.cli(&["account", "topup", "alice", "0.50"]).ok();
    assert_eq!(core.terminate(), Some(0), "{}", core.log());
    core.restart();
    assert_eq!(balance(&core, "alice"), "1.5");
    core.signal(Signal::INT);
    assert_eq!(core.code(), Some(0), "{}", core.log());
}

#[test]
fn kill_9_keeps_what_was_acknowledged() {
    let mut core = Tollkeeper::start("");
    core.cli(&["account", "create", "alice"]).ok();
    for round in 1..=3 {
        for _ in 0..5 {
            core.cli(&["account", "topup", "alice", "0.01"]).ok();
        }
        core.kill();
        core.restart();
        assert_eq!(balance(&core, "alice"), format!("0.{:02}", 5 * round).trim_end_matches('0'));
    }
}

#[test]
fn an_agent_without_a_switch_starts_and_ends_in_order() {
    let directory = tempfile::TempDir::new().expect("a directory");
    let sink = directory.path().join("records.jsonl");
    let sink = format!("[[journal.sink]]\nkind = \"json-lines\"\npath = \"{}\"\n", sink.display());
    let mut tollkeeper = Tollkeeper::start(&format!("{AGENT}{sink}"));
    let records = tollkeeper.data_dir().join("journal");
    let records = ["cdr", "search", "--journal", records.to_str().expect("text")];
    assert_eq!(run(&records).ok().trim(), "no records");
    eventually("the agent's start", || tollkeeper.log().contains("agent started").then_some(()));
    assert_eq!(tollkeeper.terminate(), Some(0), "{}", tollkeeper.log());
    let log = tollkeeper.log();
    let steps = [
        "charging core started",
        "journal started",
        "shipper started",
        "listening",
        "agent started",
        "stopping",
        "agent stopped",
        "everything is shipped",
        "journal closed",
        "charging core stopped",
    ];
    let places: Vec<Option<usize>> = steps.iter().map(|step| log.find(&format!("\"{step}\""))).collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{steps:?} {places:?}\n{log}");
}

#[test]
fn a_second_process_on_the_same_data_is_refused() {
    let core = Tollkeeper::start("");
    let config = core.directory.path().join("tollkeeper.toml");
    let finished = run(&["run", "-c", config.to_str().expect("text")]);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(finished.err.contains("another process runs the core in"), "{finished:?}");
    // The first one is still there, and still says where.
    assert_eq!(core.get("/healthz").0, 200);
    core.cli(&["account", "list"]).ok();
}

#[test]
fn agents_alone_reach_a_core_elsewhere() {
    let core = Tollkeeper::start("");
    let directory = tempfile::TempDir::new().expect("a directory");
    let (data, config) = (directory.path().join("data"), directory.path().join("t.toml"));
    let text = format!(
        "data_dir = \"{}\"\n[http]\nlisten = \"127.0.0.1:0\"\n[charging]\naddresses = [\"{}\"]\n{AGENT}",
        data.display(),
        core.core()
    );
    std::fs::write(&config, text).expect("written");
    let log = std::fs::File::create(directory.path().join("log")).expect("a log");
    let mut child = binary().arg("run").arg("-c").arg(&config).stderr(log).spawn().expect("started");
    let read = || std::fs::read_to_string(directory.path().join("log")).expect("a log");
    eventually("sessions loaded over gRPC", || {
        read().contains("open sessions loaded from the charging core").then_some(())
    });
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), Signal::TERM).expect("signalled");
    let code = eventually("its end", || child.try_wait().expect("a child")).code();
    assert_eq!(code, Some(0), "{}", read());
}

#[test]
fn a_port_that_is_taken_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
    let address = taken.local_addr().expect("an address");
    let directory = tempfile::TempDir::new().expect("a directory");
    for (core, http, key) in [
        (address.to_string(), "127.0.0.1:0".to_owned(), "core.listen"),
        ("127.0.0.1:0".to_owned(), address.to_string(), "http.listen"),
    ] {
        let config = directory.path().join("t.toml");
        let text = format!(
            "data_dir = \"{}\"\n[core]\nlisten = \"{core}\"\n[http]\nlisten = \"{http}\"\n",
            directory.path().join("data").display()
        );
        std::fs::write(&config, text).expect("written");
        let finished = run(&["run", "-c", config.to_str().expect("text")]);
        assert_eq!(finished.code, Some(1), "{finished:?}");
        // Other threads may have the last word.
        let told = |line: &str| line.contains(key) && line.contains(&address.to_string());
        assert!(finished.err.lines().any(told), "{}", finished.err);
    }
}
