//! The front door of charging requests: keys first. A known key gets its stored answer or an error, and nothing
//! changes; only a new key is decided.

use types::charging::{ChargingAnswer, ChargingRequest, Operation, RequestedAction};
use types::ids::MAX_SESSION_ID_BYTES;

use super::sweep::CLOCK_SKEW_MS;
use super::{Turn, event, initial, report};
use crate::outcome::{Charged, Decision, Denial, InvalidField, Outcome};
use crate::session::{MAX_USAGE, Session, measure};

pub(super) fn charge(turn: &Turn<'_>, request: &ChargingRequest) -> Decision {
    let id = request.session_id.as_str();
    if id.is_empty() || id.len() > MAX_SESSION_ID_BYTES {
        return refuse(turn, request, Denial::Invalid(InvalidField::SessionId));
    }
    if let (Operation::Event, Some(action @ (RequestedAction::CheckBalance | RequestedAction::PriceEnquiry))) =
        (request.operation, request.requested_action)
    {
        return event::enquire(turn, request, action);
    }
    match turn.books.kept(&request.session_id) {
        Some(session) => known(turn, request, session),
        None => unknown(turn, request),
    }
}

fn known(turn: &Turn<'_>, request: &ChargingRequest, session: &Session) -> Decision {
    if session.client_id != request.client_id {
        return refuse(turn, request, Denial::WrongClient);
    }
    if let Some(stored) = session.answer(request.request_number) {
        if !stored.fingerprint.is_of_request(request, turn.fingerprint_of(request)) {
            return refuse(turn, request, Denial::KeyReused);
        }
        let answer = turn.books.detailed(stored.restore(&session.id));
        let charged = Charged { answer: answer.into(), denial: None, replayed: true };
        return Decision { outcome: Outcome::Charged(charged), changes: Vec::new() };
    }
    if let Err(field) = check_units(request) {
        return refuse(turn, request, Denial::Invalid(field));
    }
    match request.operation {
        Operation::Update | Operation::Termination => report::report(turn, request, session),
        Operation::Event => event::in_session(turn, request, session),
        Operation::Initial => refuse(turn, request, Denial::Invalid(InvalidField::Operation)),
    }
}

fn unknown(turn: &Turn<'_>, request: &ChargingRequest) -> Decision {
    // Keys outlive their session by more than the window, so an older request may be a copy whose key is gone.
    if turn.now.since(request.event_time) > turn.settings.idempotency_window_ms {
        return refuse(turn, request, Denial::Expired);
    }
    if request.event_time.since(turn.now) > CLOCK_SKEW_MS {
        return refuse(turn, request, Denial::Invalid(InvalidField::EventTime));
    }
    if let Err(field) = check_units(request) {
        return refuse(turn, request, Denial::Invalid(field));
    }
    match request.operation {
        Operation::Initial => initial::initial(turn, request),
        Operation::Event => event::debit(turn, request),
        Operation::Update | Operation::Termination => refuse(turn, request, Denial::UnknownSession),
    }
}

/// An answer that changes nothing and is not stored.
pub(super) fn refuse(turn: &Turn<'_>, request: &ChargingRequest, denial: Denial) -> Decision {
    let mut answer = ChargingAnswer::refusal(request.session_id.clone(), request.request_number, denial.result_code());
    answer.failure_handling = turn.settings.failure_handling;
    answer.session_failover = turn.settings.session_failover;
    answer.release_cause = denial.release_cause();
    // Notifications go to their owner alone; they are read by client, so a wrong session does not matter.
    answer.notifications =
        turn.books.pending(&request.client_id).take(turn.settings.notifications_per_answer).cloned().collect();
    let charged = Charged { answer: answer.into(), denial: Some(denial), replayed: false };
    Decision { outcome: Outcome::Charged(charged), changes: Vec::new() }
}

/// Each group at most once, and amounts that can be added up.
fn check_units(request: &ChargingRequest) -> Result<(), InvalidField> {
    for (at, unit) in request.units.iter().enumerate() {
        let same = |other: &types::charging::UnitUsage| {
            other.rating_group == unit.rating_group && other.service_identifier == unit.service_identifier
        };
        let repeated = request.units.iter().take(at).any(same);
        if repeated || used_in(request, at).is_none() {
            return Err(InvalidField::Units);
        }
    }
    Ok(())
}

/// What a unit entry reports as used; absent beyond [`MAX_USAGE`].
pub(super) fn used_in(request: &ChargingRequest, at: usize) -> Option<u64> {
    let mut used = 0_u64;
    for container in request.units.get(at).into_iter().flat_map(|unit| &unit.used) {
        used = used.checked_add(measure(request.service, &container.units).unwrap_or(0))?;
    }
    (used <= MAX_USAGE).then_some(used)
}
