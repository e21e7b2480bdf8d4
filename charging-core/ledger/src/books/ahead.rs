//! Reading ahead: what the decisions about several requests will read is touched for all of them together, step by step, before
//! the first one is decided. With a million accounts next to nothing of one request is in the processor's cache; asked for
//! together, the misses of many requests overlap, asked for one after the other each costs its whole time. Nothing depends on
//! what is read here.

use types::charging::{ChargingRequest, SubscriberIdKind};
use types::{SessionId, Tenant};

use super::Books;
use super::by_account::ByAccount;
use crate::account::Account;
use crate::change::Change;
use crate::index::identity_hash;
use crate::pricing::RateKey;
use crate::session::Session;

/// The session that a request or a change is about, and who pays as far as it says.
#[derive(Debug, Clone, Copy)]
pub struct About<'r> {
    session_id: &'r SessionId,
    payer: Option<(&'r Tenant, SubscriberIdKind, &'r str)>,
}

impl<'r> About<'r> {
    /// What a request is about.
    pub fn request(request: &'r ChargingRequest) -> Self {
        let payer = request.subscribers.first().map(|one| (&request.tenant, one.kind, one.value.expose()));
        Self { session_id: &request.session_id, payer }
    }

    /// What the changes of one decision are about; absent where that is no session.
    pub fn changes(changes: &'r [Change]) -> Option<Self> {
        changes.iter().find_map(|change| match change {
            Change::SessionOpened(opened) => {
                let payer =
                    opened.account.as_ref().map(|key| (&key.tenant, SubscriberIdKind::Private, key.id.as_str()));
                Some(Self { session_id: &opened.session_id, payer })
            }
            Change::SessionChanged(changed) => Some(Self { session_id: &changed.session_id, payer: None }),
            _ => None,
        })
    }
}

impl Books {
    /// Touches what deciding about these, or applying their changes, will read; more than [`AHEAD`] are left out. What the first
    /// group of each session is rated with; absent for sessions without groups and unknown ones.
    pub fn look_ahead<'r>(&self, requests: impl Iterator<Item = About<'r>>) -> [Option<&RateKey>; AHEAD] {
        let mut all = [const { Found { session: None, number: None, account: None } }; AHEAD];
        let mut seen = 0_u64;
        let mut count = 0;
        for (found, about) in all.iter_mut().zip(requests) {
            count += 1;
            found.session = self.kept(about.session_id);
            if found.session.is_none()
                && let Some((tenant, kind, value)) = about.payer
            {
                let hash = identity_hash(tenant.as_str(), kind, value);
                found.number = self.identities.find(hash, |_| true);
            }
        }
        let asked = all.get_mut(..count).unwrap_or_default();
        for found in &mut *asked {
            if let Some(session) = found.session {
                found.number = session.payer.0;
                seen ^= session.touched();
            }
        }
        for found in &mut *asked {
            let Some(number) = found.number else { continue };
            found.account = self.numbered(number);
            seen ^= found.account.map_or(0, |account| u64::from(account.number));
            let places = [
                self.open_by_account.has(number),
                self.history.has(number),
                self.annex.activity.has(number),
                self.annex.limits.has(number),
            ];
            seen ^= places.into_iter().fold(0, |all, one| all << 1 | u64::from(one));
        }
        for found in &*asked {
            seen ^= found.session.map_or(0, Session::touched_groups);
            seen ^= found.account.map_or(0, Account::touched);
            let Some(number) = found.number else { continue };
            seen ^= u64::try_from(self.open_by_account.of(number).len()).unwrap_or(0);
            seen ^= self.history.get(number).and_then(|lines| lines.back()).map_or(0, |line| line.at.0.unsigned_abs());
            seen ^= self.annex.activity.get(number).map_or(0, |lately| lately.touched());
        }
        for found in &*asked {
            seen ^= found.session.map_or(0, Session::touched_texts);
            let line = found.number.and_then(|number| self.history.get(number)).and_then(|lines| lines.back());
            seen ^= line.and_then(|line| line.reference.as_bytes().first().copied()).map_or(0, u64::from);
        }
        // Nobody asks what was seen; this keeps the reads from being left out as useless.
        std::hint::black_box(seen);
        all.map(|found| found.session?.groups.as_slice().first().map(|group| &group.rate))
    }
}

/// What is known of one request so far.
#[derive(Clone, Copy)]
struct Found<'b> {
    session: Option<&'b Session>,
    number: Option<u32>,
    account: Option<&'b Account>,
}

impl<T> ByAccount<T> {
    fn has(&self, number: u32) -> bool {
        self.get(number).is_some()
    }
}

/// So many requests together.
pub const AHEAD: usize = 32;
