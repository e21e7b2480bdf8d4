//! What happens in the simulation.

use agent_call::{CallEnd, CallOffer, Command as SwitchCommand, SwitchEvent};
use ledger::Command;
use types::SessionId;
use types::charging::{ChargingAnswer, ChargingRequest, Notification, SessionSummary};

/// One event.
#[derive(Debug)]
pub(crate) enum Event {
    /// A message reaches the core.
    Arrive(Packet),
    /// An answer reaches a client.
    Reply { client: usize, life: u32, attempt: u64, reply: Reply },
    /// The core takes what is queued.
    Turn,
    /// The core is started.
    CoreUp,
    /// The next changes on the core's disk are its last.
    CoreDies,
    /// The core's disk fills up, or has room again.
    CoreDisk { full: bool },
    /// A snapshot is due.
    Snapshot,
    /// What would a crash now leave?
    Look,
    /// The core tells a client again what it has not confirmed.
    Remind,
    /// Somebody's wall clock is set: the core's (absent) or a site's.
    Clock(Option<usize>),
    /// For the agent of a site, as long as it lives.
    Agent { site: usize, life: u32, event: AgentEvent },
    /// kill -9 and start.
    AgentDies(usize),
    /// Started again.
    AgentUp(usize),
    /// For a switch.
    Switch { site: usize, event: AtSwitch },
    /// The gateway's next step in a session.
    Gateway(GatewayEvent),
    /// The operator does something.
    Operate,
    /// The operator looks for an outcome.
    Chase(u64),
    /// The core died over it: whoever has an answer to it already asks once more.
    Unsure(Box<ledger::Command>),
    /// No more new calls, no more faults.
    Evening,
}

/// A message to the core.
#[derive(Debug, Clone)]
pub(crate) struct Packet {
    pub client: usize,
    pub life: u32,
    pub attempt: u64,
    pub body: Body,
}

/// What it asks.
#[derive(Debug, Clone)]
pub(crate) enum Body {
    Charge(Box<ChargingRequest>),
    Operate(Box<Command>),
    Sessions,
    Session(SessionId),
    Confirm(u64),
}

/// What the core says.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    Charged(Box<ChargingAnswer>),
    Operated,
    Sessions(Vec<SessionSummary>),
    Session(Option<Box<SessionSummary>>),
    /// By itself.
    Notices(Vec<Notification>),
}

/// For an agent.
#[derive(Debug)]
pub(crate) enum AgentEvent {
    /// The outbox's batch is written.
    Outbox,
    /// The journal's batch is written.
    Journal,
    /// An attempt has had no answer.
    Unanswered(u64),
    /// A pause between attempts is over.
    Again(Lane),
    /// A new call has waited long enough.
    Impatient(SessionId, u32),
    /// A timer of a call is due.
    Timers,
    /// The core is asked for its sessions.
    Restore,
    /// From the switch.
    Heard(News),
    /// The connection to the switch is lost.
    SwitchLost,
}

/// What the switch tells.
#[derive(Debug)]
pub(crate) enum News {
    Offered(Box<CallOffer>),
    Call(SessionId, SwitchEvent),
    /// All that it knows; ends that nobody acknowledged among it. The first after a break: true.
    List {
        live: Vec<(CallOffer, SwitchEvent)>,
        ended: Vec<(CallOffer, CallEnd)>,
        fresh: bool,
    },
}

/// For a switch.
#[derive(Debug)]
pub(crate) enum AtSwitch {
    /// Somebody calls.
    Dial,
    Command(SessionId, SwitchCommand),
    /// The agent needs to hear no more of it.
    Forget(SessionId),
    /// Nobody decided about a held call.
    GiveUp(SessionId),
    Answer(SessionId),
    HangUp(SessionId),
    /// The backstop, if it is still that one.
    Backstop(SessionId, u64),
    /// The list is told.
    List,
    /// This life of the agent is connected; one that is over by then is not.
    Connect(u32),
    /// The connection breaks.
    Break,
    /// The switch is killed.
    Dies,
}

/// For the gateway.
#[derive(Debug)]
pub(crate) enum GatewayEvent {
    Begin,
    Step(usize),
    Unanswered(u64),
    Again(Lane),
}

/// Requests that wait for each other: those of a session; or one alone, of a client that does not wait.
pub(crate) type Lane = (SessionId, u32);
