//! The core's notifications: what was seen, and up to where it may forget them.

use std::collections::BTreeMap;

use types::{ReleaseCause, SessionId};

/// Confirming a sequence confirms all before it, so an ABORT whose call still lives holds back the confirmation: should
/// the agent die before the call is ended, the core tells its successor again.
#[derive(Debug, Default)]
pub(super) struct Notices {
    seen: u64,
    confirmed: u64,
    open_aborts: BTreeMap<u64, (SessionId, ReleaseCause)>,
}

impl Notices {
    /// Was it acted upon already? The same notification comes over the subscription and in answers, in order in each.
    pub(super) fn is_copy(&self, sequence: u64) -> bool {
        sequence <= self.seen
    }

    pub(super) fn seen(&mut self, sequence: u64, abort: Option<(SessionId, ReleaseCause)>) {
        self.seen = self.seen.max(sequence);
        if let Some(abort) = abort {
            self.open_aborts.insert(sequence, abort);
        }
    }

    /// Why a call that still lives was to be ended.
    pub(super) fn abort_of(&self, session_id: &SessionId) -> Option<ReleaseCause> {
        let mut aborts = self.open_aborts.values();
        aborts.find(|(aborted, _)| aborted == session_id).map(|(_, cause)| *cause)
    }

    /// The core did not hear it: it may be said again with the next notification.
    pub(super) fn not_confirmed(&mut self, sequence: u64) {
        self.confirmed = self.confirmed.min(sequence.saturating_sub(1));
    }

    pub(super) fn finished(&mut self, session_id: &SessionId) {
        self.open_aborts.retain(|_, (aborted, _)| aborted != session_id);
    }

    /// What may be confirmed now and was not before.
    pub(super) fn next_confirmation(&mut self) -> Option<u64> {
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
        assert_eq!((notices.next_confirmation(), notices.next_confirmation()), (Some(1), None));
        notices.seen(2, Some((aborted.clone(), ReleaseCause::Fraud)));
        notices.seen(3, None);
        assert_eq!(notices.next_confirmation(), None);
        assert_eq!(notices.abort_of(&aborted), Some(ReleaseCause::Fraud));
        notices.finished(&aborted);
        assert_eq!(notices.abort_of(&aborted), None);
        assert_eq!(notices.next_confirmation(), Some(3));
        notices.not_confirmed(3);
        assert_eq!(notices.next_confirmation(), Some(3), "told again");
    }
}
