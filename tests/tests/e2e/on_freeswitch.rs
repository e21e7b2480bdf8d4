//! The laboratory with a real FreeSWITCH in the switch's place, and a TCP proxy that can cut the agent off from it.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use demo::lab::{FREESWITCH_VARIABLE, Freeswitch, FreeswitchPlan, Gateway, eventually};
use serde_json::Value;

use super::{Lab, PASSWORD, Plan, agent_table, fresh_folder, start_tollkeeper};

impl Lab {
    /// Starts it all and waits until the switch is connected; `None`: nobody has said where a FreeSWITCH is.
    pub fn on_freeswitch(name: &str, plan: &Plan) -> anyhow::Result<Option<Self>> {
        Self::on_freeswitch_behind(name, plan, Ok)
    }

    /// The same; `door` is told the port of the event socket, and says where the agent shall connect.
    pub fn on_freeswitch_behind(
        name: &str,
        plan: &Plan,
        door: impl FnOnce(u16) -> anyhow::Result<u16>,
    ) -> anyhow::Result<Option<Self>> {
        let Some(prefix) = Freeswitch::installed() else {
            println!("skipped: {FREESWITCH_VARIABLE} names no FreeSWITCH (the folder with bin/freeswitch)");
            return Ok(None);
        };
        let folder = fresh_folder(&format!("freeswitch-{name}"))?;
        let gateway = Gateway::start(&folder)?;
        let users = plan.accounts.iter().map(|(name, _)| name).chain(&plan.strangers);
        let text = str::to_owned;
        let freeswitch_plan = FreeswitchPlan {
            users: users.map(|name| (text(name), text(PASSWORD))).collect(),
            trunks: plan.trunks.iter().map(|(address, ..)| text(address)).collect(),
            environment: plan.environment.iter().map(|(name, value)| (text(name), text(value))).collect(),
        };
        let place = folder.join("switch1");
        std::fs::create_dir_all(&place)?;
        let freeswitch = Freeswitch::start(&prefix, &place, gateway.port, &freeswitch_plan)?;
        let port = door(freeswitch.esl_port)?;
        let switch = format!(
            "{{ name = \"fs1\", address = \"127.0.0.1:{port}\", password_file = \"{}\" }}",
            freeswitch.password_file.display()
        );
        let trunk = |(address, name, account): &(&str, &str, &str)| {
            format!("[agent.trunks.{name}]\naddresses = [\"{address}\"]\naccount = \"{account}\"\n")
        };
        let trunks: String = plan.trunks.iter().map(trunk).collect();
        let agent = agent_table("freeswitch", &switch, plan) + &trunks;
        let (tollkeeper, core) = start_tollkeeper(&folder, &agent, plan)?;
        let accounts = plan.accounts.clone();
        let lab = Self { tollkeeper, core, kamailios: vec![], freeswitch: Some(freeswitch), gateway, folder, accounts };
        let lab = lab.with_accounts()?;
        lab.wait_connected()?;
        Ok(Some(lab))
    }

    /// How many channels the switch has.
    pub fn channels_up(&self) -> anyhow::Result<u64> {
        let said = self.api("show channels count")?;
        let before = said.split_once(" total.").map_or("", |(before, _)| before);
        Ok(before.rsplit(char::is_whitespace).next().unwrap_or_default().parse()?)
    }

    /// Its channels, as `show channels` lists them: oldest first.
    pub fn channels(&self) -> anyhow::Result<Vec<Value>> {
        let list: Value = serde_json::from_str(&self.api("show channels as json")?)?;
        let mut rows = list["rows"].as_array().cloned().unwrap_or_default();
        rows.sort_by_key(|row| row["created_epoch"].to_string());
        Ok(rows)
    }

    /// The channel that calls, or was called with, this number.
    pub fn channel(&self, direction: &str, number: &str) -> anyhow::Result<String> {
        let is_it = |row: &&Value| {
            row["direction"] == direction && row["name"].as_str().is_some_and(|name| name.contains(number))
        };
        eventually(&format!("the {direction} channel of {number}"), Duration::from_secs(10), || {
            let rows = self.channels().ok()?;
            rows.iter().find(is_it)?["uuid"].as_str().map(str::to_owned)
        })
    }

    /// What the switch answers to an api call.
    pub fn api(&self, call: &str) -> anyhow::Result<String> {
        let switch = self.freeswitch.as_ref().context("a FreeSWITCH")?;
        let password = std::fs::read_to_string(&switch.password_file)?;
        let mut stream = TcpStream::connect(("127.0.0.1", switch.esl_port))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        write!(stream, "auth {}\n\napi {call}\n\n", password.trim())?;
        let (mut said, mut bytes) = (String::new(), [0_u8; 4096]);
        loop {
            let answer =
                said.split_once("api/response\nContent-Length: ").and_then(|(_, rest)| rest.split_once("\n\n"));
            if let Some((length, body)) = answer
                && body.len() >= length.parse::<usize>()?
            {
                return Ok(body.to_owned());
            }
            let length = stream.read(&mut bytes)?;
            anyhow::ensure!(length > 0, "the event socket said {said}");
            said.push_str(&String::from_utf8_lossy(&bytes[..length]));
        }
    }

    /// The FreeSWITCH of this lab.
    pub fn switch(&mut self) -> &mut Freeswitch {
        self.freeswitch.as_mut().expect("a FreeSWITCH")
    }
}

/// A TCP proxy that can be cut, or made a black hole.
#[derive(Clone)]
pub struct Cable {
    /// Where to connect.
    pub port: u16,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    cut: bool,
    /// So many connections there were.
    made: u64,
    /// Those with a smaller number swallow what they get.
    dead_below: u64,
    ends: Vec<TcpStream>,
}

impl Cable {
    /// To `port` on loopback.
    pub fn to(port: u16) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let cable = Self { port: listener.local_addr()?.port(), state: Arc::default() };
        let of_thread = cable.clone();
        std::thread::spawn(move || {
            for near in listener.incoming().flatten() {
                of_thread.join(&near, port).unwrap_or_default();
            }
        });
        Ok(cable)
    }

    /// Connections end, and no new ones are possible; or they are again.
    pub fn cut(&self, cut: bool) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.cut = cut;
        for end in state.ends.drain(..) {
            end.shutdown(Shutdown::Both).unwrap_or_default();
        }
    }

    /// Nothing passes on the connections that are up, and nobody is told; new ones are as good as ever.
    pub fn half_open(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.dead_below = state.made;
        state.ends.clear();
    }

    fn join(&self, near: &TcpStream, port: u16) -> std::io::Result<()> {
        let number = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            if state.cut {
                return near.shutdown(Shutdown::Both);
            }
            state.ends.push(near.try_clone()?);
            state.made += 1;
            state.made - 1
        };
        let far = TcpStream::connect(("127.0.0.1", port))?;
        for (mut from, mut to) in [(near.try_clone()?, far.try_clone()?), (far, near.try_clone()?)] {
            let state = Arc::clone(&self.state);
            let is_dead = move || state.lock().unwrap_or_else(PoisonError::into_inner).dead_below > number;
            std::thread::spawn(move || {
                let mut bytes = [0_u8; 65_536];
                loop {
                    let length = from.read(&mut bytes).unwrap_or(0);
                    if length == 0 || (!is_dead() && to.write_all(&bytes[..length]).is_err()) {
                        break;
                    }
                }
                if !is_dead() {
                    to.shutdown(Shutdown::Both).unwrap_or_default();
                }
            });
        }
        Ok(())
    }
}
