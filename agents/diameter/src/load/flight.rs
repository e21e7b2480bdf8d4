//! Requests on the way: found by the Hop-by-Hop id of their answer, given up when they were sent often enough.

use std::collections::VecDeque;
use std::collections::hash_map::{DefaultHasher, HashMap};
use std::hash::{Hash, Hasher};

use protocol_codecs::diameter::{EncodedMessage, Frame};
use tokio::time::Instant;

use super::session::Step;

/// One request on the way.
#[derive(Debug)]
pub(super) struct Flight {
    /// Whose session, as a place in the worker's list.
    pub slot: usize,
    pub step: Step,
    pub message: EncodedMessage,
    /// When it was meant to be sent.
    pub meant: Instant,
    pub attempts: u32,
    /// The Hop-by-Hop ids it was sent under.
    hops: Vec<u32>,
}

/// What an answer is to us.
#[derive(Debug)]
pub(super) enum Landed {
    /// The first answer to a request.
    Answer(Box<Flight>),
    /// One more to a request that was sent more than once; whether it says the same.
    Duplicate { is_same: bool },
    /// To nothing that we asked, or not any more.
    Unmatched,
}

/// All requests of one worker that are on the way.
#[derive(Debug, Default)]
pub(super) struct Flights {
    /// By End-to-End id.
    flying: HashMap<u32, Box<Flight>>,
    /// Hop-by-Hop id to End-to-End id.
    hops: HashMap<u32, u32>,
    /// When an answer is overdue, rising: Tx is the same for all.
    overdue: VecDeque<(Instant, u32)>,
    /// What the first answer said to a request that was sent more than once, by the other ids it had; and whether that one was answered, too.
    landed: HashMap<u32, (u64, bool)>,
    landed_order: VecDeque<u32>,
    /// Of them not answered.
    outstanding: usize,
}

impl Flights {
    pub fn len(&self) -> usize {
        self.flying.len()
    }

    /// A request goes out for the first time.
    pub fn start(&mut self, end_to_end_id: u32, flight: Flight, (hop, overdue): (u32, Instant)) {
        let flight = Box::new(Flight { hops: vec![hop], ..flight });
        self.hops.insert(hop, end_to_end_id);
        self.flying.insert(end_to_end_id, flight);
        self.overdue.push_back((overdue, end_to_end_id));
    }

    /// The same request goes out once more under this id.
    pub fn again(&mut self, end_to_end_id: u32, hop: u32) -> Option<EncodedMessage> {
        let flight = self.flying.get_mut(&end_to_end_id)?;
        flight.hops.push(hop);
        self.hops.insert(hop, end_to_end_id);
        Some(flight.message.retransmitted(hop))
    }

    /// The next request whose answer is overdue now; it is waited for until `next` once more, or taken out if it was sent often enough.
    pub fn overdue(&mut self, now: Instant, next: Instant, attempts: u32) -> Option<Overdue> {
        loop {
            let (_, id) = self.overdue.pop_front_if(|(overdue, _)| *overdue <= now)?;
            let Some(flight) = self.flying.get_mut(&id) else { continue };
            if flight.attempts >= attempts {
                return self.take(id).map(Overdue::Lost);
            }
            flight.attempts += 1;
            self.overdue.push_back((next, id));
            return Some(Overdue::Again(id));
        }
    }

    /// When the next answer is overdue.
    pub fn due(&self) -> Option<Instant> {
        self.overdue.front().map(|(overdue, _)| *overdue)
    }

    /// All that are on the way, for another connection.
    pub fn all(&self) -> Vec<u32> {
        let mut all: Vec<u32> = self.flying.keys().copied().collect();
        all.sort_unstable();
        all
    }

    /// All that are on the way, for ever.
    pub fn drain(&mut self) -> impl Iterator<Item = Box<Flight>> {
        self.hops.clear();
        self.flying.drain().map(|(_, flight)| flight)
    }

    /// An answer came.
    pub fn land(&mut self, frame: &Frame) -> Landed {
        let hop = frame.header().hop_by_hop_id;
        if let Some((first, is_answered)) = self.landed.get_mut(&hop) {
            if !std::mem::replace(is_answered, true) {
                self.outstanding = self.outstanding.saturating_sub(1);
            }
            return Landed::Duplicate { is_same: *first == said(frame) };
        }
        let Some(id) = self.hops.get(&hop).copied() else { return Landed::Unmatched };
        let Some(flight) = self.take(id) else { return Landed::Unmatched };
        if flight.hops.len() > 1 {
            let said = said(frame);
            for other in flight.hops.iter().filter(|other| **other != hop) {
                self.landed.insert(*other, (said, false));
                self.landed_order.push_back(*other);
                self.outstanding += 1;
            }
            self.forget();
        }
        Landed::Answer(flight)
    }

    /// Copies whose own answer has not come, though that of their original has.
    pub fn outstanding(&self) -> usize {
        self.outstanding
    }

    fn forget(&mut self) {
        while self.landed_order.len() > LANDED_MAX {
            let Some(hop) = self.landed_order.pop_front() else { return };
            if let Some((_, false)) = self.landed.remove(&hop) {
                self.outstanding = self.outstanding.saturating_sub(1);
            }
        }
    }

    fn take(&mut self, end_to_end_id: u32) -> Option<Box<Flight>> {
        let flight = self.flying.remove(&end_to_end_id)?;
        for hop in &flight.hops {
            self.hops.remove(hop);
        }
        Some(flight)
    }
}

/// What becomes of a request whose answer is overdue.
#[derive(Debug)]
pub(super) enum Overdue {
    /// It goes out again.
    Again(u32),
    /// It was sent often enough.
    Lost(Box<Flight>),
}

impl Flight {
    /// Not yet sent.
    pub fn new(slot: usize, step: Step, message: EncodedMessage, meant: Instant) -> Self {
        Self { slot, step, message, meant, attempts: 1, hops: Vec::new() }
    }
}

/// What an answer says, identifiers apart.
fn said(frame: &Frame) -> u64 {
    let mut hasher = DefaultHasher::new();
    let mut avps = frame.avps();
    while let Ok(Some(avp)) = avps.next_avp() {
        // A relay may add its name to one of them.
        if (avp.code, avp.vendor) != (ROUTE_RECORD, 0) {
            avp.raw.hash(&mut hasher);
        }
    }
    hasher.finish()
}

const ROUTE_RECORD: u32 = 282;
/// Answers that are remembered, to tell late ones from strange ones.
const LANDED_MAX: usize = 65_536;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use protocol_codecs::diameter::{
        CcRequestType, Command, CreditControlAnswer, CreditControlRequest, Exchange, ResultCode,
    };

    use super::*;

    fn request(id: u32) -> CreditControlRequest<'static> {
        let origin = ("pgw.example.net".into(), "example.net".into());
        let step = (CcRequestType::Initial, id);
        CreditControlRequest::new("s".into(), origin, "example.net".into(), "32251@3gpp.org".into(), step)
    }

    fn start(flights: &mut Flights, id: u32, now: Instant, overdue: Duration) {
        let message = request(id).encoded(Exchange::new(id, id)).expect("a CCR");
        let step = Step { kind: CcRequestType::Initial, number: id, groups: Vec::new(), used_so_far: 0 };
        flights.start(id, Flight::new(7, step, message, now), (id, now + overdue));
    }

    fn answer(id: u32, hop: u32, code: ResultCode) -> Frame {
        let request = request(id);
        let answer = CreditControlAnswer::to(&request, ("ocs.example.net".into(), "example.net".into()), code);
        let encoded = answer.encoded(Exchange::new(hop, id)).expect("a CCA");
        Frame::new(encoded.bytes().clone()).expect("one message")
    }

    #[test]
    fn an_answer_lands_once_and_those_of_copies_are_compared_with_it() {
        let (mut flights, now) = (Flights::default(), Instant::now());
        start(&mut flights, 1, now, Duration::from_secs(1));
        let copy = flights.again(1, 101).expect("it flies");
        assert!(Frame::new(copy.bytes().clone()).is_some_and(|frame| frame.header().flags.is_retransmitted()));
        assert!(flights.again(1, 102).is_some());
        // The answer to a copy may come first.
        assert!(
            matches!(flights.land(&answer(1, 101, ResultCode::SUCCESS)), Landed::Answer(flight) if flight.slot == 7)
        );
        assert_eq!((flights.len(), flights.outstanding()), (0, 2));
        assert!(matches!(flights.land(&answer(1, 1, ResultCode::SUCCESS)), Landed::Duplicate { is_same: true }));
        assert!(matches!(
            flights.land(&answer(1, 102, ResultCode::USER_UNKNOWN)),
            Landed::Duplicate { is_same: false }
        ));
        assert_eq!(flights.outstanding(), 0);
        assert!(matches!(flights.land(&answer(1, 103, ResultCode::SUCCESS)), Landed::Unmatched));
        assert!(flights.again(1, 104).is_none(), "it has landed");
    }

    #[test]
    fn what_is_overdue_goes_again_until_it_is_lost() {
        let (mut flights, now) = (Flights::default(), Instant::now());
        let tx = Duration::from_secs(1);
        start(&mut flights, 1, now, tx);
        start(&mut flights, 2, now + tx / 2, tx);
        assert_eq!(flights.due(), Some(now + tx));
        assert!(flights.overdue(now, now + tx, 2).is_none());
        assert!(matches!(flights.overdue(now + tx, now + tx * 2, 2), Some(Overdue::Again(1))));
        assert!(flights.overdue(now + tx, now + tx * 2, 2).is_none());
        assert!(matches!(flights.land(&answer(2, 2, ResultCode::SUCCESS)), Landed::Answer(_)));
        // The one that has landed is passed over.
        assert!(
            matches!(flights.overdue(now + tx * 2, now + tx * 3, 2), Some(Overdue::Lost(flight)) if flight.step.number == 1)
        );
        assert_eq!((flights.len(), flights.due()), (0, None));
        assert!(matches!(flights.land(&answer(1, 1, ResultCode::SUCCESS)), Landed::Unmatched), "too late");
    }
}
