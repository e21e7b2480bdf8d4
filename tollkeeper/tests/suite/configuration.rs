//! `check-config` and `print-config`.

use std::path::Path;

use tempfile::TempDir;

use crate::support::run;

/// Checks a text; its messages without the directory of the file.
fn check(text: &str) -> (Option<i32>, Vec<String>) {
    let directory = TempDir::new().expect("a directory");
    let path = directory.path().join("t.toml");
    std::fs::write(&path, text).expect("written");
    let finished = run(&["check-config", "-c", path.to_str().expect("text")]);
    let prefix = format!("{}/", directory.path().display());
    (finished.code, finished.err.lines().map(|line| line.replace(&prefix, "")).collect())
}

#[test]
fn each_mistake_is_told_with_place_and_remedy() {
    const AGENT: &str = "[core]\n[[agent]]\nkind = \"kamailio\"\nname = \"sbc\"\n";
    let rows: &[(&str, &str)] = &[
        ("[core]\nlistn = \"127.0.0.1:1\"", "t.toml:2:1: core.listn: unknown key; did you mean \"listen\"?"),
        ("[cor]\n", "t.toml:1:2: cor: unknown key; did you mean \"core\"?"),
        (
            "[core]\nqueue = \"many\"",
            "t.toml:2:9: core.queue: must be a whole number, not negative, found string \"many\"",
        ),
        (
            "[core]\nmaximum_ring = \"30 sec\"",
            "t.toml:2:16: core.maximum_ring: a duration is a number with a unit, such as 500ms, 30s, 3m, 4h, 1m30s, at most 366d",
        ),
        ("[core]\nlisten = \"here\"", "t.toml:2:10: core.listen: must be address:port, such as \"127.0.0.1:7440\""),
        ("core = 5", "t.toml:1:8: core: must be a table, found integer"),
        ("[core]\n[core.tariff]\nfolder = \"/no/such\"", "t.toml:3:10: core.tariff.folder: /no/such is not a folder"),
        (
            "[core]\n[log]\nlevel = \"a=b=c\"",
            "t.toml:3:9: log.level: must be error, warn, info, debug, trace, or a filter such as \"info,agent_kamailio=debug\"",
        ),
        ("[core]\nenabled = 1", "t.toml:2:11: core.enabled: must be true or false, found integer `1`"),
        (
            "[core]\n[[agent]]\nname = \"sbc\"",
            "t.toml:2:1: agent[0].kind: is missing; add one of: diameter, freeswitch, kamailio",
        ),
        (
            "[core]\n[[agent]]\nkind = \"kamalio\"",
            "t.toml:3:8: agent[0].kind: unknown kind; did you mean \"kamailio\"?",
        ),
        (AGENT, "t.toml:2:1: agent[0].switches: is missing; add it"),
        (
            &format!("{AGENT}switches = []"),
            "t.toml:5:12: agent[0].switches: needs at least one { name = \"...\", address = \"host:port\" }",
        ),
        (
            &format!("{AGENT}switches = [{{ name = \"a\", address = \"h\" }}]"),
            "t.toml:5:37: agent[0].switches[0].address: must be host:port, such as 127.0.0.1:8448",
        ),
        (
            &format!("{AGENT}switches = [{{ name = \"a\", address = \"h:1\" }}]\ncalls.slice = \"10s\""),
            "t.toml:6:1: agent[0].calls.margin: must be shorter than slice (10s), or every answer asks again at once",
        ),
        (
            &format!("{AGENT}switches = [{{ name = \"a\", address = \"h:1\" }}]\ncalls = {{ slicee = \"10s\" }}"),
            "t.toml:6:11: agent[0].calls.slicee: unknown key; did you mean \"slice\"?",
        ),
        (
            &format!("{AGENT}switches = [{{ name = \"a\", adress = \"h:1\" }}]"),
            "t.toml:5:27: agent[0].switches[0].adress: unknown key; did you mean \"address\"?",
        ),
        ("[charging]\n", "t.toml: there is nothing to run: add [core], [[agent]] or [[journal.sink]]"),
        (
            "[core]\n[charging]\naddresses = [\"http://a:1\", \"b:2\"]",
            "t.toml:3:28: charging.addresses[1]: must be http://host:port, such as \"http://127.0.0.1:7440\", or https://host:port",
        ),
        (
            "[core]\nlisten = \"0.0.0.0:7440\"",
            "t.toml:2:10: core.listen: is not loopback: add [core.tls] and [[core.token]], or insecure = true if the network protects it",
        ),
        (
            "[core]\n[charging]\naddresses = [\"https://a:1\"]",
            "t.toml:3:14: charging.addresses[0]: https and ca, the file with the certificate of the core's authority, go together",
        ),
        ("[journal]\nsink = 3", "t.toml:2:8: journal.sink: must be a list of tables: write [[journal.sink]]"),
        ("agent_threads = 0\n[core]\n", "t.toml:1:17: agent_threads: is 0, must be between 1 and 256"),
        (
            "[core]\n[journal]\nsync_interval = \"2s\"",
            "t.toml:3:17: journal.sync_interval: is 2s, must be at most 1s: a process that is killed loses what is newer",
        ),
        ("[core\n", "t.toml:1:6: unclosed table, expected `]`"),
    ];
    for (text, expected) in rows {
        let (code, messages) = check(text);
        assert!(messages.iter().any(|message| message == expected), "{text}\nwanted {expected}\ngot    {messages:#?}");
        assert_eq!(code, Some(64), "{text}");
    }
}

#[test]
fn one_run_finds_all_mistakes() {
    let text = r#"
shutdown_deadlin = "5s"
[core]
queue = "many"
expiry_grace = "30 sec"
[core.tariff]
folder = 5
[[agent]]
kind = "kamailio"
switches = [{ name = "kam1" }]
calls.slicee = "30s"
calls.margin = 30
[http]
listen = "127.0.0.1:99999"
"#;
    let (code, messages) = check(text);
    let keys: Vec<&str> = messages.iter().filter_map(|message| message.split(": ").nth(1)).collect();
    let expected = [
        "shutdown_deadlin",
        "core.queue",
        "core.expiry_grace",
        "core.tariff.folder",
        "agent[0].name",
        "agent[0].switches[0].address",
        "agent[0].calls.slicee",
        "agent[0].calls.margin",
        "http.listen",
    ];
    assert_eq!((code, keys.as_slice()), (Some(64), expected.as_slice()), "{messages:#?}");
}

#[test]
fn names_stand_once() {
    let agent = |name: &str, switch: &str| {
        format!(
            "[[agent]]\nkind = \"kamailio\"\nname = \"{name}\"\nswitches = [{{ name = \"{switch}\", address = \"h:1\" }}]\n"
        )
    };
    let rows = [
        (["a", "s"], ["a", "t"], "t.toml:8:8: agent[1].name: \"a\" stands twice; choose another name"),
        (
            ["a", "s"],
            ["b", "s"],
            "t.toml:9:22: agent[1].switches[0].name: \"s\" is the name of another agent's switch, too; records and metrics need a name of its own",
        ),
        (["a", "s"], ["../b", "t"], "t.toml:8:8: agent[1].name: must be 1 to 64 letters, digits, - and _"),
    ];
    for (one, other, expected) in rows {
        let text = format!("[core]\n{}{}", agent(one[0], one[1]), agent(other[0], other[1]));
        assert_eq!(check(&text), (Some(64), vec![expected.to_owned()]), "{text}");
    }
}

#[test]
fn a_missing_file_is_told() {
    for command in ["check-config", "print-config", "run"] {
        let finished = run(&[command, "-c", "/no/such/file.toml"]);
        assert_eq!(finished.code, Some(64), "{finished:?}");
        assert!(finished.err.starts_with("/no/such/file.toml: cannot be read: No such file"), "{finished:?}");
    }
}

#[test]
fn agents_need_a_core() {
    let agent = "[[agent]]\nkind = \"kamailio\"\nname = \"sbc\"\nswitches = [{ name = \"a\", address = \"h:1\" }]\n";
    let wanted = "charging.addresses: is missing: the agents need a core";
    for (head, code) in [
        ("", 64),
        ("[core]\nenabled = false\n", 64),
        ("[core]\n", 0),
        ("[charging]\naddresses = [\"http://127.0.0.1:7440\"]\n", 0),
    ] {
        let (found, messages) = check(&format!("{head}{agent}"));
        assert_eq!(found, Some(code), "{messages:?}");
        assert_eq!(messages.iter().any(|message| message.contains(wanted)), code == 64, "{messages:?}");
    }
}

#[test]
fn a_tariff_that_does_not_load_is_told() {
    let tariff = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tariff");
    let directory = TempDir::new().expect("a directory");
    for entry in std::fs::read_dir(&tariff).expect("a folder") {
        let path = entry.expect("an entry").path();
        std::fs::copy(&path, directory.path().join(path.file_name().expect("a name"))).expect("copied");
    }
    let text = format!("[core.tariff]\nfolder = \"{}\"\n", directory.path().display());
    assert_eq!(check(&text).0, Some(0));
    std::fs::write(directory.path().join("Rates.csv"), "R1,0,free,1s,1s,0s\n").expect("written");
    let (code, messages) = check(&text);
    assert_eq!(code, Some(64));
    assert!(messages.iter().any(|message| message.contains("Rates.csv")), "{messages:?}");
}

#[test]
fn what_is_printed_reads_as_the_same() {
    let directory = TempDir::new().expect("a directory");
    let file = |name: &str| directory.path().join(name).to_str().expect("text").to_owned();
    let whole = r#"
data_dir = "elsewhere"
[log]
level = "debug"
[core]
enabled = false
[charging]
addresses = ["http://10.0.0.1:7440"]
retry_longest = "1m30s"
[journal]
dir = "spool"
keep_days = 5
[[journal.sink]]
kind = "json-lines"
path = "records \"quoted\".jsonl"
[[agent]]
kind = "kamailio"
name = "sbc"
switches = [{ name = "a", address = "h:1" }, { name = "b", address = "h:2" }]
calls.numbers.country_code = "49"
trunks."carrier.x" = { numbers = { country_code = "44" } }
"#;
    for text in ["[core]\n", whole] {
        std::fs::write(file("given.toml"), text).expect("written");
        let once = run(&["print-config", "-c", &file("given.toml")]).ok();
        std::fs::write(file("once.toml"), &once).expect("written");
        let twice = run(&["print-config", "-c", &file("once.toml")]).ok();
        assert_eq!(once, twice);
    }
    let printed = std::fs::read_to_string(file("once.toml")).expect("read");
    for line in ["retry_longest = \"90s\"", "slice = \"2m\"", "enabled = false", "[agent.trunks.\"carrier.x\".numbers]"]
    {
        assert!(printed.lines().any(|found| found == line), "{line}\n{printed}");
    }
}

#[test]
fn every_key_is_explained() {
    let directory = TempDir::new().expect("a directory");
    let path = directory.path().join("given.toml");
    let text = "[core]\n[[journal.sink]]\nkind = \"json-lines\"\npath = \"r\"\n[[agent]]\nkind = \"kamailio\"\nname = \"sbc\"\nswitches = [{ name = \"a\", address = \"h:1\" }]\n";
    std::fs::write(&path, text).expect("written");
    let printed = run(&["print-config", "-c", path.to_str().expect("text")]).ok();
    let mut before = "";
    for line in printed.lines() {
        if line.contains(" = ") && !line.starts_with("# ") || line.starts_with('[') {
            assert!(before.starts_with("# "), "no comment above: {line}\n{printed}");
        }
        before = line;
    }
}

#[test]
fn a_good_file_is_summed_up() {
    let directory = TempDir::new().expect("a directory");
    let path = directory.path().join("given.toml");
    std::fs::write(&path, "[core]\n").expect("written");
    let path = path.to_str().expect("text");
    assert!(run(&["check-config", "-c", path]).ok().starts_with("ok\n"));
    let summary = run(&["check-config", "-c", path, "--json"]).json();
    assert_eq!(summary[0]["ok"], true);
    assert_eq!(summary[0]["grpc"], "127.0.0.1:7440");
    // Without a file: the same, and nothing is opened.
    assert_eq!(run(&["check-config", "--json"]).json(), summary);
}
