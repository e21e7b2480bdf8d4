//! What happens without the session's client: operator release, a new tariff, expiry, the ageing of keys; and confirmations.

use types::charging::{NotificationKind, SessionPhase};
use types::{ClientId, DurationMs, ReleaseCause, SessionId, UtcMs};

use super::paper::side_changes;
use super::sheet::{Basis, Sheet};
use super::{Turn, refused};
use crate::change::{Change, SessionChanged};
use crate::outcome::{Decision, Outcome, Refusal};
use crate::session::Session;

/// Keys are dropped together when a whole bucket is old enough.
const BUCKET_MS: DurationMs = 60_000;
/// A client's clock may be ahead of ours by this much: keys live longer than the window by it. Who is further ahead is
/// refused, or a copy of his request could come when its key is gone and pass for new.
pub(super) const CLOCK_SKEW_MS: DurationMs = 3_600_000;

/// Tells the client to end the session. The session itself stays until its client reports or it expires.
pub(super) fn release(turn: &Turn<'_>, session_id: &SessionId, cause: ReleaseCause) -> Decision {
    match turn.books.kept(session_id).filter(|session| session.phase == SessionPhase::Open) {
        None => refused(Refusal::UnknownSession),
        Some(session) => Decision { outcome: Outcome::Done, changes: turn.abort(std::iter::once(session), cause) },
    }
}

/// Tells the clients to report. What the sessions pay stays: they keep the tariff they began with.
pub(super) fn reauthorize(turn: &Turn<'_>, sessions: &[SessionId]) -> Decision {
    let kept = sessions.iter().filter_map(|session_id| turn.books.kept(session_id));
    let open = kept.filter(|session| session.phase == SessionPhase::Open);
    Decision { outcome: Outcome::Done, changes: turn.notify(open, NotificationKind::Reauthorize) }
}

/// Forgets the client's notifications that it has seen.
pub(super) fn confirm(turn: &Turn<'_>, client_id: &ClientId, through: u64) -> Decision {
    let any = turn.books.pending(client_id).any(|notification| notification.sequence <= through);
    let confirmed = Change::NotificationsConfirmed { client_id: client_id.clone(), through };
    Decision { outcome: Outcome::Done, changes: if any { vec![confirmed] } else { Vec::new() } }
}

/// Settles the session that is due longest; when none is, drops old keys.
pub(super) fn expire(turn: &Turn<'_>) -> Decision {
    let mut due = turn.books.due(turn.now);
    if let Some(session) = due.next() {
        let more = due.next().is_some() || drop_keys(turn).is_some();
        let outcome = Outcome::Swept { expired: Some(session.id.clone()), more };
        return Decision { outcome, changes: settle(turn, session) };
    }
    let outcome = Outcome::Swept { expired: None, more: false };
    Decision { outcome, changes: drop_keys(turn).into_iter().collect() }
}

/// Provisional: assumes that the grant was used, if the call was ever answered. A later report replaces it.
fn settle(turn: &Turn<'_>, session: &Session) -> Vec<Change> {
    let account = turn.books.payer(session);
    let sheet = account.map(|account| {
        let mut sheet = Sheet::of_session(turn, account, session);
        sheet.price(Basis::Assumed { answered: session.answered() });
        sheet.release_all();
        sheet
    });
    let changed = SessionChanged {
        session_id: session.id.clone(),
        phase: SessionPhase::Expired,
        updated: turn.now,
        deadline: None,
        ended: Some(turn.now),
        answer_time: session.answer_time,
        last_request_number: session.last_request_number,
        terminated_by: None,
        cut: false,
        overrun: sheet.as_ref().map_or(session.overrun, Sheet::overrun),
        reauthorized: false,
        client_state: None,
        groups: sheet.as_ref().map(Sheet::group_changes).unwrap_or_default(),
    };
    let mut changes = vec![Change::SessionChanged(Box::new(changed))];
    if let Some(sheet) = &sheet {
        changes.extend(side_changes(turn, sheet, &session.id, false));
    }
    if let Some(sheet) = sheet.filter(Sheet::frees_credit) {
        let others = turn.books.open_on(sheet.account.number).filter(|other| other.id != session.id);
        changes.extend(turn.reauthorize(others));
    }
    changes
}

fn drop_keys(turn: &Turn<'_>) -> Option<Change> {
    let settings = turn.settings;
    let sessions_before = bucket_before(turn.now, settings.idempotency_window_ms.saturating_add(CLOCK_SKEW_MS));
    let operations_before = bucket_before(turn.now, settings.operation_window_ms);
    let (oldest_end, oldest_operation) = turn.books.oldest_keys();
    let due = oldest_end.is_some_and(|ended| ended < sessions_before)
        || oldest_operation.is_some_and(|made| made < operations_before);
    due.then_some(Change::KeysDropped { sessions_before, operations_before })
}

/// The start of the bucket that was current `age_ms` ago.
fn bucket_before(now: UtcMs, age_ms: DurationMs) -> UtcMs {
    let bucket = i64::try_from(BUCKET_MS).unwrap_or(i64::MAX);
    let moment = now.0.saturating_sub_unsigned(age_ms);
    UtcMs(moment - moment.rem_euclid(bucket))
}
