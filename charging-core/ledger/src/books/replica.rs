//! Books that are read from a snapshot only to be written into the next one. Sessions that are over stay as the snapshot has them,
//! and are copied as they are, unless the log since then has something about them: most of what is kept is such sessions.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use types::charging::{ChargingMode, Service, SessionPhase};
use types::{SessionId, UtcMs};

use super::written::{Over, Sessions, WholeBooks, Written};
use super::{Books, Keyed};
use crate::change::Change;

/// The books, and beside them what nobody needs to know of yet.
#[derive(Debug, Default)]
pub struct Replica<'c> {
    books: Books,
    over: Keyed<&'c str, Over<'c>>,
}

/// How a session begins.
#[derive(Deserialize)]
struct Head<'c> {
    id: &'c str,
    _client_id: &'c str,
    #[serde(borrow)]
    _account: Option<(&'c str, &'c str)>,
    #[serde(borrow)]
    _currency: Option<&'c str>,
    _mode: ChargingMode,
    _service: Service,
    phase: SessionPhase,
    _updated: UtcMs,
    _deadline: Option<UtcMs>,
    ended: Option<UtcMs>,
}

/// A snapshot of an earlier format: nothing stays as it is.
impl From<Books> for Replica<'_> {
    fn from(books: Books) -> Self {
        Self { books, over: Keyed::default() }
    }
}

impl<'c> Replica<'c> {
    /// What changes may be applied to once they were announced.
    pub fn books_mut(&mut self) -> &mut Books {
        &mut self.books
    }

    /// Changes that are going to be applied: what they need is unpacked.
    ///
    /// # Errors
    /// What does not unpack, in words.
    pub fn announce(&mut self, changes: &[Change]) -> Result<(), String> {
        if self.over.is_empty() {
            return Ok(());
        }
        for change in changes {
            match change {
                Change::SessionOpened(opened) => self.unpack(&opened.session_id)?,
                Change::SessionChanged(changed) => self.unpack(&changed.session_id)?,
                Change::Answered(answered) => self.unpack(&answered.answer.session_id)?,
                Change::Drawn(drawn) => self.unpack(&drawn.session_id)?,
                Change::AnswerDetailed(detailed) => self.unpack(&detailed.session_id)?,
                Change::Counted(counted) => self.unpack(&counted.session_id)?,
                Change::KeysDropped { sessions_before, .. } => self.unpack_before(*sessions_before)?,
                Change::AccountCreated(_)
                | Change::Transferred(_)
                | Change::Blocked { .. }
                | Change::Notified { .. }
                | Change::NotificationsConfirmed { .. }
                | Change::BalanceChanged(_)
                | Change::LimitsSet { .. }
                | Change::BlockedFor { .. } => {}
            }
        }
        Ok(())
    }

    /// The parts of which it is written, one behind the other: for whoever wants to do something else between them.
    pub fn parts(&self) -> impl Iterator<Item = impl Serialize + Send> {
        (0..).map_while(|number| self.written().part(number))
    }

    fn written(&self) -> Written<'_> {
        Written { books: &self.books, over: Some(&self.over) }
    }

    fn unpack(&mut self, session_id: &SessionId) -> Result<(), String> {
        match self.over.remove(session_id.as_str()) {
            Some(over) => self.take(over.octets),
            None => Ok(()),
        }
    }

    /// Those that are about to be forgotten: what they cost is still needed.
    fn unpack_before(&mut self, ended_before: UtcMs) -> Result<(), String> {
        let due: Vec<&str> =
            self.over.iter().filter(|(_, over)| over.ended < ended_before).map(|(id, _)| *id).collect();
        due.into_iter()
            .filter_map(|id| self.over.remove(id))
            .map(|over| over.octets)
            .collect::<Vec<_>>()
            .into_iter()
            .try_for_each(|octets| self.take(octets))
    }

    fn take(&mut self, octets: &[u8]) -> Result<(), String> {
        let mut session = unpacked(octets)?;
        self.books.index_session(&mut session);
        self.books.sessions.insert(session.id.clone(), session);
        Ok(())
    }
}

fn unpacked(octets: &[u8]) -> Result<Box<crate::session::Session>, String> {
    postcard::from_bytes(octets).map_err(|error| error.to_string())
}

impl<'de: 'c, 'c> Deserialize<'de> for Replica<'c> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut whole = WholeBooks::<'de>::deserialize(deserializer)?;
        let (mut sessions, mut over) = (Sessions::default(), Keyed::default());
        for octets in std::mem::take(&mut whole.sessions) {
            let (head, _) = postcard::take_from_bytes::<Head<'_>>(octets).map_err(D::Error::custom)?;
            match (head.phase, head.ended) {
                (SessionPhase::Closed | SessionPhase::Denied, Some(ended)) => {
                    over.insert(head.id, Over { ended, octets });
                }
                _ => sessions.add(unpacked(octets).map_err(D::Error::custom)?),
            }
        }
        let books = whole.with(sessions).map_err(D::Error::custom)?;
        Ok(Self { books, over })
    }
}

/// As the books with all sessions.
impl Serialize for Replica<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.written().serialize(serializer)
    }
}
