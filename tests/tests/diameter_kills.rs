//! kill -9 of the agent and of the charging core under load, in turn. Packet gateways that keep asking are the load, and the judge: what
//! they reported and were told to be taken is what was debited and recorded, once; sessions go on over every death.
//! `KILLS=20` makes a long run, `TOLLKEEPER_SEED` repeats one.

mod diameter_lab;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::Context;
use demo::lab::{Tollkeeper, eventually, free_tcp_port};
use diameter_lab::raw::{Ask, Client};
use diameter_lab::{Setup, agent, empty_folder, write_tariff};
use serde_json::Value;

const GATEWAYS: u32 = 8;
const PATIENCE: Duration = Duration::from_secs(90);

/// A session as its gateway saw it.
#[derive(Debug, Clone)]
struct Seen {
    session: String,
    /// Reported, and answered with 2001.
    megabytes: u64,
    /// Deaths that it lived through.
    survived: u32,
}

/// What all gateways share.
#[derive(Default)]
struct Load {
    stop: AtomicBool,
    kills: AtomicU32,
    seen: Mutex<Vec<Seen>>,
    refused: AtomicU32,
    connections: AtomicU32,
}

/// Small numbers that look like chance; the same for the same seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

#[test]
fn kill_9_of_agent_and_core_under_load() -> anyhow::Result<()> {
    let kills: u32 = std::env::var("KILLS").ok().map_or(Ok(2), |text| text.parse())?;
    let seed: u64 = std::env::var("TOLLKEEPER_SEED").ok().map_or(Ok(0x5EED), |text| text.parse())?;
    eprintln!("{kills} kills, TOLLKEEPER_SEED={seed}");
    let folder = empty_folder("diameter_kills")?;
    let (mut core, mut server, port) = start(&folder)?;
    core.cli(&["account", "create", "alice", "--balance", "100000", "--identity", "e164:+49170"])?;
    let load = Arc::new(Load::default());
    let gateways: Vec<_> = (0..GATEWAYS)
        .map(|number| {
            let load = Arc::clone(&load);
            std::thread::spawn(move || play(&load, number, port, Dice(seed ^ u64::from(number))))
        })
        .collect();
    let mut dice = Dice(seed);
    for kill in 0..kills {
        std::thread::sleep(Duration::from_millis(700 + dice.below(800)));
        let victim = if kill % 2 == 0 { &mut server } else { &mut core };
        victim.process.kill()?;
        load.kills.fetch_add(1, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(dice.below(1_500)));
        victim.restart()?;
    }
    std::thread::sleep(Duration::from_secs(1));
    load.stop.store(true, Ordering::SeqCst);
    for gateway in gateways {
        gateway.join().map_err(|_| anyhow::anyhow!("a gateway panicked"))??;
    }
    judge(&load, &core, &server, kills)
}

fn start(folder: &Path) -> anyhow::Result<(Tollkeeper, Tollkeeper, u16)> {
    let (port, core_port) = (free_tcp_port()?, free_tcp_port()?);
    let (core_folder, agent_folder) = (folder.join("core"), folder.join("agent"));
    write_tariff(&core_folder.join("tariff"))?;
    std::fs::create_dir_all(&agent_folder)?;
    let http = "data_dir = \"data\"\n[http]\nlisten = \"127.0.0.1:0\"\n";
    let tariff = "tariff = { folder = \"tariff\", currency = \"EUR\" }";
    let core =
        Tollkeeper::start(&core_folder, &format!("{http}[core]\nlisten = \"127.0.0.1:{core_port}\"\n{tariff}\n"))?;
    let setup = Setup {
        agent: "peers = [{ host = \"*.core.example.net\" }]\nanswer_timeout = \"1s\"\n\
                on_core_failure = \"retry_and_terminate\"\n"
            .to_owned(),
        ..Setup::default()
    };
    let config = format!(
        "{http}[charging]\naddresses = [\"http://127.0.0.1:{core_port}\"]\n\
         [[journal.sink]]\nkind = \"json-lines\"\npath = \"records.jsonl\"\n{}",
        agent(&setup, port)
    );
    let server = Tollkeeper::start_agent(&agent_folder, &config, &format!("127.0.0.1:{core_port}"))?;
    Ok((core, server, port))
}

/// One gateway: session after session until it is told to stop.
fn play(load: &Load, number: u32, port: u16, mut dice: Dice) -> anyhow::Result<()> {
    let mut client = Client::new(&format!("pgw{number}.core.example.net"), port);
    for at in 0.. {
        if load.stop.load(Ordering::SeqCst) {
            break;
        }
        let session = format!("pgw{number};{at}");
        let begun = load.kills.load(Ordering::SeqCst);
        let mut step = |kind, number, used_mb, may_fail: bool| -> anyhow::Result<u32> {
            let ask = Ask { session: &session, kind, number, used_mb };
            let since = Instant::now();
            loop {
                let code = client.ask(&ask, PATIENCE)?;
                // Without the core it is too busy: the same again, as a client would.
                if code != 3004 || may_fail || since.elapsed() > PATIENCE {
                    return Ok(code);
                }
                std::thread::sleep(Duration::from_millis(100));
            }
        };
        if step(1, 0, 0, true)? != 2001 {
            load.refused.fetch_add(1, Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(100));
            continue;
        }
        let (mut megabytes, updates) = (0, 2 + dice.below(5));
        for update in 1..=updates {
            let used = 1 + dice.below(4);
            let code = step(2, u32::try_from(update)?, used, false)?;
            anyhow::ensure!(code == 2001, "{session}: update {update} is answered {code}");
            megabytes += used;
            std::thread::sleep(Duration::from_millis(dice.below(30)));
        }
        let used = dice.below(4);
        let code = step(3, u32::try_from(updates + 1)?, used, false)?;
        anyhow::ensure!(code == 2001, "{session}: its end is answered {code}");
        let survived = load.kills.load(Ordering::SeqCst) - begun;
        let seen = Seen { session, megabytes: megabytes + used, survived };
        load.seen.lock().map_err(|_| anyhow::anyhow!("a gateway panicked"))?.push(seen);
    }
    load.connections.fetch_add(client.connections, Ordering::SeqCst);
    Ok(())
}

/// Hundredths of a unit of money; a megabyte costs one.
fn hundredths(text: &str) -> anyhow::Result<i64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let part: i64 = format!("{part:0<2}").parse()?;
    Ok(whole.parse::<i64>()? * 100 + part)
}

fn judge(load: &Load, core: &Tollkeeper, server: &Tollkeeper, kills: u32) -> anyhow::Result<()> {
    let seen = load.seen.lock().map_err(|_| anyhow::anyhow!("a gateway panicked"))?.clone();
    let acknowledged: u64 = seen.iter().map(|seen| seen.megabytes).sum();
    let account = || -> anyhow::Result<(i64, i64)> {
        let shown = core.json(&["account", "show", "alice"])?;
        let text = |key: &str| shown[key].as_str().unwrap_or_default().to_owned();
        Ok((hundredths(&text("balance"))?, hundredths(&text("held"))?))
    };
    // What was refused meanwhile is taken back in a moment.
    eventually("nothing to be held any more", PATIENCE, || account().ok().filter(|(_, held)| *held == 0))?;
    let spent = 100_000 * 100 - account()?.0;
    let survived = seen.iter().filter(|seen| seen.survived > 0).count();
    let (refused, connections) = (load.refused.load(Ordering::SeqCst), load.connections.load(Ordering::SeqCst));
    eprintln!(
        "{} sessions, {survived} of them over a death, {refused} refused, {connections} connections; {acknowledged} MB taken, {spent} MB debited",
        seen.len()
    );
    assert_eq!(u64::try_from(spent)?, acknowledged, "debited, and told to be taken");
    assert!(survived >= usize::try_from(kills)?, "sessions go on");
    assert!(connections >= GATEWAYS + kills.div_ceil(2), "peers connect again");
    let costs = eventually("the last records", PATIENCE, || {
        let costs = stops(server).ok()?;
        seen.iter().all(|seen| costs.contains_key(&seen.session)).then_some(costs)
    })?;
    for seen in &seen {
        let cost = hundredths(&costs[&seen.session])?;
        assert_eq!(u64::try_from(cost)?, seen.megabytes, "{}", seen.session);
    }
    Ok(())
}

/// Cost by session; two STOPs of one session are an error.
fn stops(server: &Tollkeeper) -> anyhow::Result<BTreeMap<String, String>> {
    let mut costs = BTreeMap::new();
    for record in server.records(&["--type", "STOP"])? {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let session = text(&record["sessionId"]).context("a session")?;
        let cost = text(&record["cost"]["amount"]).context("a cost")?;
        anyhow::ensure!(costs.insert(session.clone(), cost).is_none(), "{session} has two STOPs");
    }
    Ok(costs)
}
