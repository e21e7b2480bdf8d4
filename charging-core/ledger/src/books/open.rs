//! Sessions by who they belong to: the open ones of an account, and those that a client still has to close. Asked with every
//! request, so found by a number or a hash and not by comparing ids.

use std::collections::BTreeSet;
use std::hash::{Hash, Hasher};

use types::{ClientId, Money, SessionId};

use super::by_account::ByAccount;
use super::{Keyed, Keys};
use crate::few::Few;

/// The open sessions of each account, in the order of their ids, each with what the rest of its grant may still cost where
/// limits over time apply. Not written but for what they pledge: each session says whose it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct OpenByAccount {
    sessions: ByAccount<Few<Open>>,
    count: usize,
}

/// An open session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Open {
    pub session_id: SessionId,
    pub pledged: Money,
}

impl OpenByAccount {
    pub fn insert(&mut self, account: u32, session_id: SessionId) {
        let open = self.sessions.or_insert_with(account, Few::default);
        if let Err(at) = place(open.as_slice(), &session_id) {
            open.insert(at, Open { session_id, pledged: Money::ZERO });
            self.count += 1;
        }
    }

    pub fn remove(&mut self, account: u32, session_id: &SessionId) {
        let Some(open) = self.sessions.get_mut(account) else { return };
        let Ok(at) = place(open.as_slice(), session_id) else { return };
        open.remove(at);
        self.count -= 1;
        if open.is_empty() {
            self.sessions.remove(account);
        }
    }

    pub fn contains(&self, account: u32, session_id: &SessionId) -> bool {
        place(self.of(account), session_id).is_ok()
    }

    pub fn has(&self, account: u32) -> bool {
        self.sessions.get(account).is_some()
    }

    pub fn of(&self, account: u32) -> &[Open] {
        self.sessions.get(account).map_or(&[], Few::as_slice)
    }

    /// What a session pledges from now on; one that is not open pledges nothing.
    pub fn pledge(&mut self, account: u32, session_id: &SessionId, pledged: Money) {
        let Some(open) = self.sessions.get_mut(account) else { return };
        let at = place(open.as_slice(), session_id).ok();
        if let Some(open) = at.and_then(|at| open.as_mut_slice().get_mut(at)) {
            open.pledged = pledged;
        }
    }

    pub fn pledged(&self, account: u32, session_id: &SessionId) -> Money {
        let open = self.of(account);
        let at = place(open, session_id).ok();
        at.and_then(|at| open.get(at)).map_or(Money::ZERO, |open| open.pledged)
    }

    /// Everything that is pledged, by session.
    pub fn pledges(&self) -> impl Iterator<Item = (&SessionId, Money)> {
        let open = self.sessions.iter().flat_map(|(_, open)| open.iter());
        open.filter(|open| !open.pledged.is_zero()).map(|open| (&open.session_id, open.pledged))
    }

    pub fn len(&self) -> usize {
        self.count
    }
}

/// Where a session is, or would be.
fn place(open: &[Open], session_id: &SessionId) -> Result<usize, usize> {
    match open {
        [one] if one.session_id.shares_text(session_id) => Ok(0),
        open => open.binary_search_by(|one| one.session_id.cmp(session_id)),
    }
}

/// What a client still has to close: open and expired sessions. Told apart by where the session keeps its id, which all that is said
/// of it here shares, and not by the text.
#[derive(Debug, Clone, Default)]
pub(crate) struct UnsettledByClient {
    sessions: Keyed<ClientId, Keys<Kept>>,
    count: usize,
}

/// The id that a session keeps.
#[derive(Debug, Clone)]
struct Kept(SessionId);

impl PartialEq for Kept {
    fn eq(&self, other: &Self) -> bool {
        self.0.shares_text(&other.0)
    }
}

impl Eq for Kept {}

impl Hash for Kept {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        hasher.write_usize(self.0.as_str().as_ptr().addr());
    }
}

impl UnsettledByClient {
    pub fn insert(&mut self, client_id: &ClientId, session_id: &SessionId) {
        let kept = Kept(session_id.clone());
        let added = match self.sessions.get_mut(client_id) {
            Some(sessions) => sessions.insert(kept),
            None => self.sessions.entry(client_id.clone()).or_default().insert(kept),
        };
        self.count += usize::from(added);
    }

    pub fn remove(&mut self, client_id: &ClientId, session_id: &SessionId) {
        let Some(sessions) = self.sessions.get_mut(client_id) else { return };
        self.count -= usize::from(sessions.remove(&Kept(session_id.clone())));
        if sessions.is_empty() {
            self.sessions.remove(client_id);
        }
    }

    pub fn contains(&self, client_id: &ClientId, session_id: &SessionId) -> bool {
        self.sessions.get(client_id).is_some_and(|sessions| sessions.contains(&Kept(session_id.clone())))
    }

    /// Of one client, in the order of the ids.
    pub fn of(&self, client_id: &ClientId) -> Vec<&SessionId> {
        let mut sessions: Vec<&SessionId> =
            self.sessions.get(client_id).into_iter().flatten().map(|kept| &kept.0).collect();
        sessions.sort_unstable();
        sessions
    }

    /// Of all clients, in the order of clients and ids.
    pub fn all(&self) -> BTreeSet<(&ClientId, &SessionId)> {
        let pairs =
            self.sessions.iter().flat_map(|(client, sessions)| sessions.iter().map(move |kept| (client, &kept.0)));
        pairs.collect()
    }

    pub fn len(&self) -> usize {
        self.count
    }
}

impl PartialEq for UnsettledByClient {
    fn eq(&self, other: &Self) -> bool {
        self.count == other.count && self.all() == other.all()
    }
}

impl Eq for UnsettledByClient {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_are_found_by_account_and_by_client() {
        let kept = ["a", "b", "c", "x"].map(SessionId::from);
        let id = |text: &str| kept.iter().find(|kept| kept.as_str() == text).expect("kept").clone();
        let (mut open, mut unsettled) = (OpenByAccount::default(), UnsettledByClient::default());
        for (account, client, text) in [(7, "y", "b"), (2, "x", "c"), (7, "y", "a")] {
            open.insert(account, id(text));
            unsettled.insert(&client.into(), &id(text));
        }
        let of = |open: &OpenByAccount, account| {
            open.of(account).iter().map(|open| open.session_id.clone()).collect::<Vec<_>>()
        };
        assert_eq!((of(&open, 7), open.len(), unsettled.len()), (vec![id("a"), id("b")], 3, 3));
        for (account, text, pledged) in [(7, "b", 5), (2, "x", 6), (3, "c", 7)] {
            open.pledge(account, &id(text), Money::from_units(pledged));
        }
        assert_eq!(open.pledges().collect::<Vec<_>>(), [(&id("b"), Money::from_units(5))]);
        assert_eq!((open.pledged(7, &id("b")), open.pledged(7, &id("a"))), (Money::from_units(5), Money::ZERO));
        assert_eq!(unsettled.of(&"y".into()), [&id("a"), &id("b")]);
        for _ in 0..2 {
            open.remove(7, &id("a"));
            unsettled.remove(&"y".into(), &id("a"));
            open.insert(2, id("c"));
            unsettled.insert(&"x".into(), &id("c"));
        }
        assert_eq!((of(&open, 7), open.len(), unsettled.len()), (vec![id("b")], 2, 2));
        assert!(open.contains(2, &id("c")) && !open.contains(7, &id("a")));
        assert!(unsettled.contains(&"x".into(), &id("c")) && !unsettled.contains(&"y".into(), &id("a")));
    }
}
