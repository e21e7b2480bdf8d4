//! The core's notifications: what was seen, and up to where it may forget them.

use std::collections::BTreeMap;

use types::SessionId;

/// Confirming a sequence confirms all before it, so an ABORT whose call still lives holds back the confirmation: should
/// the agent die before the call is ended, the core tells its successor again.
#[derive(Debug, Default)]
pub(super) struct Notices {
    seen: u64,
    confirmed: u64,
    open_aborts: BTreeMap<u64, SessionId>,
}

impl Notices {
    /// Was it acted upon already? The same notification comes over the subscription and in answers, in order in each.
    pub(super) fn is_copy(&self, sequence: u64) -> bool {
        sequence <= self.seen
    }

    pub(super) fn seen(&mut self, sequence: u64, abort_of: Option<SessionId>) {
        self.seen = self.seen.max(sequence);
        if let Some(session_id) = abort_of {
            self.open_aborts.insert(sequence, session_id);
        }
    }

    pub(super) fn finished(&mut self, session_id: &SessionId) {
        self.open_aborts.retain(|_, aborted| aborted != session_id);
    }

    /// What may be confirmed now and was not before.
    pub(super) fn to_confirm(&mut self) -> Option<u64> {
        let last = self.open_aborts.first_key_value().map_or(self.seen, |(sequence, _)| sequence.saturating_sub(1));
        (last > self.confirmed).then(|| {
            self.confirmed = last;
            last
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_abort_is_confirmed_when_its_call_is_over() {
        let (mut notices, aborted) = (Notices::default(), SessionId::from("a"));
        notices.seen(1, None);
        assert!(notices.is_copy(1) && !notices.is_copy(2));
        assert_eq!((notices.to_confirm(), notices.to_confirm()), (Some(1), None));
        notices.seen(2, Some(aborted.clone()));
        notices.seen(3, None);
        assert_eq!(notices.to_confirm(), None);
        notices.finished(&aborted);
        assert_eq!(notices.to_confirm(), Some(3));
    }
}
