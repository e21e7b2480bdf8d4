//! A Kamailio with a hundred new calls a second, which outlives the agents that are killed beside it: it keeps its contract
//! (docs/reference/evapi-messages.md) and remembers what became of each call.
//!
//! It speaks plain JSON and none of the agent's own code, because what it saw is what the agent is judged by.

mod calls;
mod connection;

use std::net::TcpListener;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use calls::Calls;
pub use calls::{Fate, Kind, Load, below};
use connection::Connection;

/// Ended when dropped.
pub struct BusyKamailio {
    shared: Arc<Mutex<Shared>>,
    /// Where the agent connects.
    pub address: String,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    calls: Calls,
    heard: u64,
    welcomed: u32,
    stopped: bool,
}

impl BusyKamailio {
    /// Listens; no call begins before [`Self::offer_calls`].
    pub fn start(load: Load) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?.to_string();
        let shared = Shared { calls: Calls::new(load), heard: 0, welcomed: 0, stopped: false };
        let shared = Arc::new(Mutex::new(shared));
        let thread = std::thread::spawn({
            let shared = Arc::clone(&shared);
            move || serve(&listener, &shared)
        });
        Ok(Self { shared, address, thread: Some(thread) })
    }

    /// Calls begin, or no more of them do.
    pub fn offer_calls(&self, wanted: bool) {
        lock(&self.shared).calls.offer_calls(wanted);
    }

    /// Messages that agents have sent so far, but PING.
    pub fn heard(&self) -> u64 {
        lock(&self.shared).heard
    }

    /// How many agents were welcomed so far.
    pub fn welcomed(&self) -> u32 {
        lock(&self.shared).welcomed
    }

    /// Calls that are not over, and ends that nobody has acknowledged.
    pub fn unsettled(&self) -> (usize, usize) {
        lock(&self.shared).calls.unsettled()
    }

    /// What became of each call so far.
    pub fn fates(&self) -> Vec<Fate> {
        lock(&self.shared).calls.fates()
    }
}

impl Drop for BusyKamailio {
    fn drop(&mut self) {
        lock(&self.shared).stopped = true;
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One thread does it all: agents that come and go, their messages, and the calls' own time.
fn serve(listener: &TcpListener, shared: &Mutex<Shared>) {
    let mut connection: Option<Connection> = None;
    loop {
        if let Ok((stream, _)) = listener.accept() {
            connection = Connection::new(stream).ok();
        }
        let mut said = Vec::new();
        if let Some(agent) = &mut connection {
            match agent.read() {
                Some(messages) => said = messages,
                None => connection = None,
            }
        }
        let idle = said.is_empty();
        {
            let mut shared = lock(shared);
            if shared.stopped {
                return;
            }
            let mut answers = Vec::new();
            for message in said {
                let event = message["event"].as_str().unwrap_or_default();
                shared.heard += u64::from(event != "PING");
                shared.welcomed += u32::from(event == "HELLO");
                if let (true, Some(agent)) = (event == "HELLO", &mut connection) {
                    agent.welcome = true;
                }
                shared.calls.hears(&message, &mut answers);
            }
            let there = connection.as_ref().is_some_and(|agent| agent.welcome);
            shared.calls.pass_time(Instant::now(), there, &mut answers);
            if let Some(agent) = connection.as_mut().filter(|agent| agent.welcome) {
                agent.say(&answers);
            }
        }
        if connection.as_mut().is_some_and(|agent| !agent.flush()) {
            connection = None;
        }
        if idle {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}
