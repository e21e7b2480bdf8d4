//! --help of every command, and completions.

use crate::support::run;

const COMMANDS: &[&[&str]] = &[
    &[],
    &["run"],
    &["check-config"],
    &["print-config"],
    &["account"],
    &["account", "create"],
    &["account", "topup"],
    &["account", "debit"],
    &["account", "show"],
    &["account", "list"],
    &["account", "block"],
    &["account", "unblock"],
    &["account", "history"],
    &["account", "balance"],
    &["account", "balance", "put"],
    &["account", "balance", "take"],
    &["account", "limits"],
    &["session"],
    &["session", "list"],
    &["session", "show"],
    &["session", "release"],
    &["cdr"],
    &["cdr", "tail"],
    &["cdr", "search"],
    &["cdr", "ship-status"],
    &["cdr", "schema"],
    &["journal"],
    &["journal", "verify"],
    &["journal", "export"],
    &["journal", "replay"],
    &["ledger"],
    &["ledger", "verify"],
    &["ledger", "backup"],
    &["ledger", "restore"],
    &["diameter"],
    &["diameter", "peers"],
    &["tariff"],
    &["tariff", "check"],
    &["tariff", "load"],
    &["tariff", "diff"],
    &["tariff", "show"],
    &["tariff", "list"],
    &["tariff", "history"],
    &["tariff", "activate"],
    &["quote"],
    &["diameter-load"],
    &["completions"],
];

#[test]
fn every_command_has_an_example() {
    for command in COMMANDS {
        let text = run(&[command, ["--help"].as_slice()].concat()).ok();
        let example = format!("  tollkeeper {}", command.join(" "));
        let examples = text.split("Examples:").nth(1).unwrap_or_default();
        assert!(examples.lines().any(|line| line.starts_with(example.trim_end())), "{command:?}\n{text}");
    }
}

#[test]
fn every_command_is_tested_here() {
    for command in COMMANDS {
        let text = run(&[command, ["--help"].as_slice()].concat()).ok();
        let listed = text.split("Commands:\n").nth(1).and_then(|rest| rest.split("\n\n").next()).unwrap_or_default();
        for name in listed.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   ")) {
            let name = name.split_whitespace().next().unwrap_or_default();
            let whole = [command, [name].as_slice()].concat();
            assert!(name == "help" || COMMANDS.contains(&whole.as_slice()), "{whole:?} is not in the list");
        }
    }
}

#[test]
fn completions_name_the_commands() {
    for shell in ["bash", "zsh", "fish"] {
        assert!(run(&["completions", shell]).ok().contains("check-config"), "{shell}");
    }
    assert_eq!(run(&["completions", "dos"]).code, Some(64));
    assert_eq!(run(&["acount"]).code, Some(64));
}
