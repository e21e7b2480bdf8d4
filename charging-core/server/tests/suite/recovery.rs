//! What was answered is there after every end of the process; what does not check is refused with a remedy.

use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::process::{Command as Process, Stdio};

use ledger::{Command, Outcome};
use types::charging::Operation;

use crate::rig::{
    Place, TENANT, account, books, charge, copy_directory, granted, initial, is, key, money, request, termination,
    top_up, view,
};

#[tokio::test]
async fn a_restart_knows_everything() {
    let place = Place::new();
    let core = place.start();
    account(&core, "a", "1.00").await;
    let first = charge(&core, initial("a", "s", 30)).await;
    let update = request("a", "s", 1, Operation::Update, Some(25), Some(30));
    let second = charge(&core, update.clone()).await;
    let before = books(&core).await;
    core.stop();
    let core = place.start();
    assert_eq!(books(&core).await, before);
    assert_eq!(charge(&core, update).await, second, "the copy of a request gets the stored answer");
    assert_eq!(granted(&first), 30);
    assert_eq!(money(&core, "a").await, is("0.75", "0.3"));
    charge(&core, termination("a", "s", 2, 5)).await;
    assert_eq!(money(&core, "a").await, is("0.7", "0"));
    drop(core);
    let core = place.start();
    assert_eq!(
        money(&core, "a").await,
        is("0.7", "0"),
        "dropping the last handle stops the ledger and gives the lock back"
    );
}

#[tokio::test]
async fn a_copy_of_the_directory_taken_while_running_has_every_answered_command() {
    let place = Place::new();
    let core = place.start();
    account(&core, "a", "1").await;
    for round in 0..20_u32 {
        core.decide(top_up("a", &format!("op {round}"), "1")).await.expect("decided");
        let crashed = Place::new();
        copy_directory(&place.data(), &crashed.data());
        let recovered = crashed.start();
        assert_eq!(books(&recovered).await, books(&core).await, "round {round}");
    }
}

const CHILD_DATA: &str = "CORE_CHILD_DATA";

/// Not a test by itself: runs in a child process, tops up for ever, and says what was answered.
#[test]
fn child_that_tops_up() {
    let Some(data) = std::env::var_os(CHILD_DATA) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().build().expect("a runtime");
    runtime.block_on(async {
        let mut place = Place::new();
        // The parent's directory, not ours.
        place.config.snapshot_records = 40;
        let core = charging_server::Core::start(&PathBuf::from(data), &place.config).expect("a core");
        account(&core, "a", "1").await;
        let out = std::io::stdout();
        for number in 0_u64.. {
            let outcomes = (0..4).map(|part| core.decide(top_up("a", &format!("{number}/{part}"), "1")));
            for (part, outcome) in outcomes.enumerate() {
                assert!(matches!(outcome.await, Ok(Outcome::Transferred(_))));
                writeln!(out.lock(), "answered {number}/{part}").expect("a parent");
            }
        }
    });
}

#[tokio::test]
async fn kill_9_loses_nothing_that_was_answered() {
    let place = Place::new();
    for lines in [1, 7, 150, 400] {
        std::fs::remove_dir_all(place.data()).unwrap_or_default();
        let exe = std::env::current_exe().expect("this test");
        let mut child = Process::new(exe)
            .args(["--exact", "recovery::child_that_tops_up", "--nocapture"])
            .env(CHILD_DATA, place.data())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a child");
        let mut answered = Vec::new();
        let mut output = BufReader::new(child.stdout.take().expect("its output")).lines();
        while answered.len() < lines {
            let line = output.next().expect("it goes on for ever").expect("text");
            answered.extend(line.split_once("answered ").map(|(_, operation)| operation.to_owned()));
        }
        child.kill().expect("kill -9");
        child.wait().expect("its end");
        // What it said while it died counts, too.
        let rest = output.map_while(Result::ok).filter(|line| line.ends_with(|last: char| last.is_ascii_digit()));
        answered
            .extend(rest.filter_map(|line| line.split_once("answered ").map(|(_, operation)| operation.to_owned())));
        let core = place.start();
        let balance = view(&core, "a").await.balance;
        assert!(balance >= types::Money::from_units(1 + i64::try_from(answered.len()).expect("few")), "{balance}");
        for operation in &answered {
            let copy = core.decide(top_up("a", operation, "1")).await.expect("decided");
            assert!(matches!(copy, Outcome::Transferred(receipt) if receipt.balance <= balance), "{operation}");
        }
        assert_eq!(view(&core, "a").await.balance, balance, "copies add nothing: all {} were there", answered.len());
    }
}

/// The only segment's path, and where its records end.
fn segment(place: &Place) -> (PathBuf, u64) {
    let mut segments: Vec<_> = std::fs::read_dir(place.ledger())
        .expect("readable")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "seg"))
        .collect();
    let path = segments.pop().expect("a segment");
    assert!(segments.is_empty());
    let bytes = std::fs::read(&path).expect("readable");
    let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    (path, u64::try_from(end).expect("short"))
}

fn overwrite(path: &std::path::Path, offset: u64) {
    let mut file = std::fs::File::options().read(true).write(true).open(path).expect("a file");
    let mut byte = [0];
    file.seek(SeekFrom::Start(offset)).expect("seek");
    file.read_exact(&mut byte).expect("read");
    file.seek(SeekFrom::Start(offset)).expect("seek");
    file.write_all(&[byte[0] ^ 0x40]).expect("written");
}

async fn stopped_after_commands(place: &Place) {
    let core = place.start();
    account(&core, "a", "1").await;
    for number in 0..10 {
        core.decide(top_up("a", &format!("op {number}"), "1")).await.expect("decided");
    }
    core.stop();
}

#[tokio::test]
async fn a_torn_tail_is_cut() {
    let place = Place::new();
    stopped_after_commands(&place).await;
    let (path, end) = segment(&place);
    // A frame of the next batch that was being written when the power went.
    let mut file = std::fs::File::options().write(true).open(path).expect("a file");
    file.seek(SeekFrom::Start(end)).expect("seek");
    file.write_all(&[7; 33]).expect("written");
    let core = place.start();
    assert_eq!(money(&core, "a").await, is("11", "0"));
    core.decide(top_up("a", "later", "1")).await.expect("decided");
    core.stop();
    assert_eq!(money(&place.start(), "a").await, is("12", "0"), "and written over");
}

#[tokio::test]
async fn damage_in_the_middle_is_refused_with_file_and_remedy() {
    let place = Place::new();
    stopped_after_commands(&place).await;
    let (path, end) = segment(&place);
    overwrite(&path, end / 2);
    let text = place.refusal();
    assert!(text.contains(&path.display().to_string()) && text.contains("restore the file from a backup"), "{text}");
    overwrite(&path, end / 2);
    assert_eq!(money(&place.start(), "a").await, is("11", "0"), "with the file restored it starts");
}

#[tokio::test]
async fn newer_formats_are_refused() {
    let place = Place::new();
    stopped_after_commands(&place).await;
    let (path, _) = segment(&place);
    let mut bytes = std::fs::read(&path).expect("readable");
    bytes[0] = 2;
    std::fs::write(&path, bytes).expect("written");
    let text = place.refusal();
    assert!(text.contains("format version 2") && text.contains("run the release that wrote the file"), "{text}");

    // An entry of a later release in a log of this one.
    let place = Place::new();
    let (mut log, _) = segment_log::Log::open_dir(place.ledger(), segment_log::Options::default()).expect("a log");
    log.append(&[9, 1, 2, 3]).expect("room");
    log.commit().expect("durable");
    drop(log);
    let text = place.refusal();
    assert!(text.contains("format 9, this release reads 1") && text.contains("position 0"), "{text}");

    let place = Place::new();
    std::fs::create_dir_all(place.ledger()).expect("a folder");
    let storage = segment_log::DirStorage::at(place.ledger());
    segment_log::write_snapshot(&storage, "books", &[9, 0, 0]).expect("written");
    let text = place.refusal();
    assert!(text.contains("books has format 9, this release reads 1") && text.contains("restore"), "{text}");
}

#[tokio::test]
async fn entries_and_snapshots_of_the_first_format_are_read() {
    // What the first format has of an account is a beginning of what this one has.
    let created = |id: &str| {
        let Command::CreateAccount(create) = crate::rig::create(id) else { panic!("a new account") };
        let (key, currency) = (create.key, create.currency);
        let (identities, low_balance_limit, credit_limit) = (vec![], None, types::Money::ZERO);
        ledger::Change::AccountCreated(Box::new(ledger::AccountCreated {
            key,
            currency,
            identities,
            low_balance_limit,
            credit_limit,
        }))
    };
    // Position, tenants, accounts; an account is id, identities, balance, held, limits, number, tenant, currency, blocked.
    let currency: types::Currency = "EUR".parse().expect("a currency");
    let none = None::<(Option<types::Money>, types::Money)>;
    let account = ("a", Vec::<u8>::new(), 0_i128, 0_i128, none, 0_u32, 0_u32, currency, false);
    let mut content = postcard::to_extend(&(0_u64, vec![TENANT], vec![account]), vec![1]).expect("plain data");
    // Twelve empty tables and the number of the last notification.
    content.extend([0; 13]);
    let place = Place::new();
    let (mut log, _) = segment_log::Log::open_dir(place.ledger(), segment_log::Options::default()).expect("a log");
    log.append(&postcard::to_extend(&[created("b")][..], vec![1]).expect("plain data")).expect("room");
    log.commit().expect("durable");
    drop(log);
    segment_log::write_snapshot(&segment_log::DirStorage::at(place.ledger()), "books", &content).expect("written");
    let core = place.start();
    assert_eq!((money(&core, "a").await, money(&core, "b").await), (is("0", "0"), is("0", "0")));
}

#[tokio::test]
async fn a_second_core_on_the_directory_is_refused() {
    let place = Place::new();
    let core = place.start();
    let text = place.refusal();
    assert!(text.contains("open elsewhere") && text.contains("stop the other process"), "{text}");
    account(&core, "a", "1").await;
    core.stop();
    drop(place.start());
}

#[tokio::test]
async fn a_log_that_ends_before_its_snapshot_is_refused() {
    let place = Place::new();
    let early = place.folder.path().join("early");
    let core = place.start();
    account(&core, "a", "1").await;
    copy_directory(&place.ledger(), &early);
    core.stop();
    // The snapshot of a later moment beside the log of an earlier one: appending there would be lost.
    let books = ledger::Books::new();
    let content = postcard::to_extend(&(1_000_u64, &books), vec![1]).expect("plain data");
    segment_log::write_snapshot(&segment_log::DirStorage::at(&early), "books", &content).expect("written");
    std::fs::remove_dir_all(place.ledger()).expect("removed");
    copy_directory(&early, &place.ledger());
    let text = place.refusal();
    assert!(text.contains("snapshot stands at 1000") && text.contains("backup"), "{text}");
}

#[tokio::test]
async fn a_core_that_stopped_says_so() {
    let place = Place::new();
    let core = place.start();
    account(&core, "a", "1").await;
    core.stop();
    core.stop();
    let unblock = Command::Unblock(key("a"));
    assert!(matches!(core.decide(unblock).await, Err(charging_server::CoreError::Stopped)));
}
