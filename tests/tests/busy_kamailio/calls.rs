//! The calls of the double: what each means to do, and what happens to it.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::e2e::GERMANY;
use crate::e2e::fake_kamailio::RUN;

/// How many calls, and whose.
#[derive(Debug, Clone)]
pub struct Load {
    /// New calls a second.
    pub calls_a_second: u32,
    /// Who pays, in turn.
    pub payers: Vec<&'static str>,
    /// The same seed gives the same calls.
    pub seed: u64,
}

/// What a call means to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It is answered, and its caller hangs up.
    Talks,
    /// Nobody answers: 486 after the ringing.
    Busy,
    /// Its caller gives up while it rings.
    Cancelled,
    /// 112: nobody is asked.
    Emergency,
}

/// What became of a call, as the switch saw it.
#[derive(Debug, Clone)]
pub struct Fate {
    /// Its Call-ID.
    pub call_id: String,
    /// Who pays.
    pub payer: &'static str,
    /// What it meant to do.
    pub kind: Kind,
    /// When it was answered and when that talk was over, in ms since 1970; `None`: never answered.
    pub talk_ms: Option<(i64, i64)>,
    /// The cause that the switch told.
    pub cause: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Suspended,
    Ringing,
    Talking,
    Over,
}

struct Call {
    payer: &'static str,
    kind: Kind,
    ring: Duration,
    talk: Duration,
    phase: Phase,
    setup: String,
    answered_us: Option<i64>,
    ended_us: i64,
    cap: Duration,
    cap_due: Option<Instant>,
    cause: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    NobodyAnswersUs,
    Rings,
    RingingIsOver,
    HangsUp,
    CapIsOver,
}

pub(super) struct Calls {
    load: Load,
    random: u64,
    calls: Vec<Call>,
    steps: BinaryHeap<Reverse<(Instant, usize, Step)>>,
    next_offer: Option<Instant>,
    kept: BTreeMap<String, Value>,
    began: (Instant, i64),
}

/// `fr_timer`: how long an INVITE waits for the agent.
const SUSPENDED: Duration = Duration::from_secs(5);

impl Calls {
    pub(super) fn new(load: Load) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
        let began = (Instant::now(), i64::try_from(since.as_micros()).expect("a time"));
        let (calls, steps, kept) = (Vec::new(), BinaryHeap::new(), BTreeMap::new());
        Self { random: load.seed, load, calls, steps, next_offer: None, kept, began }
    }

    pub(super) fn offer_calls(&mut self, wanted: bool) {
        self.next_offer = wanted.then(Instant::now);
    }

    pub(super) fn unsettled(&self) -> (usize, usize) {
        (self.calls.iter().filter(|call| call.phase != Phase::Over).count(), self.kept.len())
    }

    pub(super) fn fates(&self) -> Vec<Fate> {
        let over = self.calls.iter().enumerate().filter(|(_, call)| call.phase == Phase::Over);
        let fate = |(number, call): (usize, &Call)| Fate {
            call_id: call_id(number),
            payer: call.payer,
            kind: call.kind,
            talk_ms: call.answered_us.map(|answered| (answered / 1_000, call.ended_us / 1_000)),
            cause: call.cause,
        };
        over.map(fate).collect()
    }

    /// What is due happens. `there`: an agent is connected and welcome.
    pub(super) fn pass_time(&mut self, now: Instant, there: bool, told: &mut Vec<Value>) {
        while let Some(due) = self.next_offer.filter(|due| *due <= now) {
            self.next_offer = Some(due + Duration::from_secs(1) / self.load.calls_a_second);
            self.offer(now, there, told);
        }
        while let Some(Reverse((_, number, step))) = self.steps.pop_if_due(now) {
            let phase = self.calls[number].phase;
            match (step, phase) {
                (Step::NobodyAnswersUs, Phase::Suspended) => self.fails(number, 503, "AUTH_TIMEOUT", told),
                (Step::Rings, Phase::Ringing) => {
                    told.push(self.event("CALL_RINGING", number, json!({"status": 180})));
                    let over = now + self.calls[number].ring;
                    self.steps.push(Reverse((over, number, Step::RingingIsOver)));
                }
                (Step::RingingIsOver, Phase::Ringing) => match self.calls[number].kind {
                    Kind::Talks | Kind::Emergency => self.is_answered(number, now, told),
                    Kind::Busy => self.fails(number, 486, "FAILED", told),
                    Kind::Cancelled => self.fails(number, 487, "CANCELLED", told),
                },
                (Step::HangsUp, Phase::Talking) => self.ends(number, "caller", "BYE", told),
                (Step::CapIsOver, Phase::Talking) if self.calls[number].cap_due.is_some_and(|due| due <= now) => {
                    self.ends(number, "proxy", "MAX_DURATION", told);
                }
                _ => {}
            }
        }
    }

    fn offer(&mut self, now: Instant, there: bool, told: &mut Vec<Value>) {
        let number = self.calls.len();
        let payer = self.load.payers[number % self.load.payers.len()];
        let kind = match below(&mut self.random, 20) {
            0 | 1 => Kind::Busy,
            2 => Kind::Cancelled,
            3 => Kind::Emergency,
            _ => Kind::Talks,
        };
        let (ring, talk) = (
            Duration::from_millis(20 + below(&mut self.random, 300)),
            Duration::from_millis(50 + below(&mut self.random, 4_000)),
        );
        let setup = self.time();
        let call = Call {
            payer,
            kind,
            ring,
            talk,
            phase: Phase::Suspended,
            setup,
            answered_us: None,
            ended_us: 0,
            cap: Duration::ZERO,
            cap_due: None,
            cause: "",
        };
        self.calls.push(call);
        if kind == Kind::Emergency {
            self.calls[number].phase = Phase::Ringing;
            self.steps.push(Reverse((now, number, Step::Rings)));
        } else if there {
            told.push(self.event("AUTH_REQUEST", number, json!({"tr_index": number, "tr_label": 1})));
            self.steps.push(Reverse((now + SUSPENDED, number, Step::NobodyAnswersUs)));
        } else {
            self.fails(number, 503, "NO_AGENT", told);
        }
    }

    fn is_answered(&mut self, number: usize, now: Instant, told: &mut Vec<Value>) {
        let answered = self.micros();
        let call = &mut self.calls[number];
        (call.phase, call.answered_us) = (Phase::Talking, Some(answered));
        self.steps.push(Reverse((now + call.talk, number, Step::HangsUp)));
        if call.kind != Kind::Emergency {
            self.cap(number, now, self.calls[number].cap);
        }
        told.push(self.event("CALL_START", number, json!({"to_tag": "tt", "answer_time": seconds(answered)})));
    }

    fn cap(&mut self, number: usize, now: Instant, cap: Duration) {
        self.calls[number].cap_due = Some(now + cap);
        self.steps.push(Reverse((now + cap, number, Step::CapIsOver)));
    }

    fn ends(&mut self, number: usize, by: &str, cause: &'static str, told: &mut Vec<Value>) {
        let ended = self.micros();
        let call = &mut self.calls[number];
        (call.phase, call.ended_us, call.cause) = (Phase::Over, ended, cause);
        let more = json!({
            "to_tag": "tt", "answer_time": seconds(call.answered_us.unwrap_or_default()), "end_time": seconds(ended),
            "ended_by": by, "cause": cause, "end_id": end_id(number),
        });
        let event = self.event("CALL_END", number, more);
        self.keep(number, event, told);
    }

    fn fails(&mut self, number: usize, status: u16, cause: &'static str, told: &mut Vec<Value>) {
        let ended = self.micros();
        let call = &mut self.calls[number];
        (call.phase, call.ended_us, call.cause) = (Phase::Over, ended, cause);
        let more = json!({"end_time": seconds(ended), "sip_status": status, "cause": cause, "end_id": end_id(number)});
        let event = self.event("CALL_FAILED", number, more);
        self.keep(number, event, told);
    }

    fn keep(&mut self, number: usize, event: Value, told: &mut Vec<Value>) {
        self.kept.insert(end_id(number), event.clone());
        told.push(event);
    }

    /// An agent speaks.
    pub(super) fn hears(&mut self, message: &Value, told: &mut Vec<Value>) {
        let number = |name: &str| message[name].as_u64().and_then(|number| usize::try_from(number).ok());
        let call = number("h_id").filter(|number| *number < self.calls.len());
        let now = Instant::now();
        match message["event"].as_str().unwrap_or_default() {
            "HELLO" => {
                told.push(json!({"event": "HELLO_REPLY", "status": "OK", "run": RUN, "server": "busy", "protocol": 1}));
            }
            "PING" => told.push(json!({"event": "PONG", "seq": message["seq"]})),
            "AUTH_REPLY" => {
                let known = number("tr_index").filter(|number| *number < self.calls.len());
                let Some(number) = known.filter(|number| self.calls[*number].phase == Phase::Suspended) else {
                    return told.push(json!({"event": "ERROR", "reason": "transaction is gone"}));
                };
                if message["allow"] == 1 {
                    let cap_s = message["cap_s"].as_u64().unwrap_or_default();
                    (self.calls[number].phase, self.calls[number].cap) = (Phase::Ringing, Duration::from_secs(cap_s));
                    self.steps.push(Reverse((now, number, Step::Rings)));
                } else {
                    let status = message["code"].as_u64().and_then(|code| u16::try_from(code).ok()).unwrap_or(500);
                    self.fails(number, status, "REJECTED", told);
                }
            }
            "CALL_END_ACK" => _ = self.kept.remove(message["end_id"].as_str().unwrap_or_default()),
            "RESEND" => {
                told.extend(self.kept.values().cloned());
                told.push(json!({"event": "RESEND_DONE", "count": self.kept.len()}));
            }
            "CALL_LIST" => self.list(&message["list_id"], told),
            "SET_TIMEOUT" => {
                let live = call.filter(|number| self.calls[*number].phase == Phase::Talking);
                if let Some(number) = live {
                    self.cap(number, now, Duration::from_secs(message["cap_s"].as_u64().unwrap_or_default()));
                }
                told.push(reply("SET_TIMEOUT_REPLY", message, live.is_some()));
            }
            "DISCONNECT" => {
                let live = call.filter(|number| self.calls[*number].phase == Phase::Talking);
                if let Some(number) = live {
                    let known = message["cause"] == "CREDIT_EXHAUSTED";
                    self.ends(number, "proxy", if known { "CREDIT_EXHAUSTED" } else { "CUT" }, told);
                }
                told.push(reply("DISCONNECT_REPLY", message, live.is_some()));
            }
            other => panic!("the agent said {other}: {message}"),
        }
    }

    fn list(&self, list_id: &Value, told: &mut Vec<Value>) {
        let live = self.calls.iter().enumerate().filter(|(_, call)| call.phase == Phase::Talking);
        let mut count = 0;
        for (number, call) in live {
            let answered = seconds(call.answered_us.unwrap_or_default());
            let more = json!({"list_id": list_id, "to_tag": "tt", "answer_time": answered});
            told.push(self.event("CALL_ALIVE", number, more));
            count += 1;
        }
        told.push(json!({"event": "CALL_LIST_DONE", "list_id": list_id, "count": count}));
    }

    fn event(&self, name: &str, number: usize, more: Value) -> Value {
        let call = &self.calls[number];
        let mut event = json!({
            "event": name, "run": RUN, "callid": call_id(number), "from_tag": "ft", "h_entry": 7, "h_id": number,
            "payer": call.payer, "payer_kind": "digest", "dest": GERMANY, "caller": call.payer, "src_ip": "127.0.0.1",
            "ruri": "sip:0049301234100@127.0.0.1", "from_uri": "sip:anna@127.0.0.1", "to_uri": "sip:0049301234100@127.0.0.1",
            "setup_time": call.setup, "event_time": self.time(),
        });
        if let (Some(event), Value::Object(more)) = (event.as_object_mut(), more) {
            event.extend(more);
            if call.kind == Kind::Emergency {
                event.insert("never_refuse".into(), 1.into());
                event.insert("dest".into(), "112".into());
                event.insert("ruri".into(), "sip:112@127.0.0.1".into());
            }
        }
        event
    }

    fn micros(&self) -> i64 {
        self.began.1 + i64::try_from(self.began.0.elapsed().as_micros()).expect("a short test")
    }

    fn time(&self) -> String {
        seconds(self.micros())
    }
}

trait PopIfDue {
    fn pop_if_due(&mut self, now: Instant) -> Option<Reverse<(Instant, usize, Step)>>;
}

impl PopIfDue for BinaryHeap<Reverse<(Instant, usize, Step)>> {
    fn pop_if_due(&mut self, now: Instant) -> Option<Reverse<(Instant, usize, Step)>> {
        let due = self.peek().is_some_and(|Reverse((at, _, _))| *at <= now);
        due.then(|| self.pop()).flatten()
    }
}

fn reply(event: &str, message: &Value, done: bool) -> Value {
    let status = if done { "OK" } else { "NOT_FOUND" };
    json!({"event": event, "status": status, "h_entry": message["h_entry"], "h_id": message["h_id"]})
}

fn call_id(number: usize) -> String {
    format!("busy-{number}")
}

fn end_id(number: usize) -> String {
    format!("{RUN}/7:{number}")
}

/// As Kamailio prints times.
fn seconds(micros: i64) -> String {
    format!("{}.{:06}", micros.div_euclid(1_000_000), micros.rem_euclid(1_000_000))
}

/// A number that looks random, and comes again with the same seed (SplitMix64).
pub fn below(random: &mut u64, limit: u64) -> u64 {
    *random = random.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut mixed = *random;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    (mixed ^ (mixed >> 31)) % limit
}
