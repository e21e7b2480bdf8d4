//! What a sink may see: which records, and what of them. Applied once, when a record is read from the journal.

use std::fmt;
use std::sync::Arc;

use cdr_model::CallRecord;

use crate::filters::Filters;

/// Takes personal data out of a record.
type Mask = Arc<dyn Fn(&mut CallRecord) + Send + Sync>;

/// A sink's view of the journal; the default shows everything, octet for octet.
#[derive(Clone, Default)]
pub struct View {
    filter: Filters,
    mask: Option<Mask>,
}

/// What a view makes of a record.
pub(crate) enum Seen {
    /// As it is, or in the octets given here.
    Shown(Option<Vec<u8>>),
    /// Not for this sink.
    Withheld,
    /// Not a call record of this release, so nobody knows whether it may be shown, or what would have to be masked.
    Undecodable(serde_json::Error),
}

impl View {
    /// Only the records that `filter` accepts, as they are in the journal.
    #[must_use]
    pub fn of(filter: Filters) -> Self {
        Self { filter, mask: None }
    }

    /// What is shown is changed by `mask` before; the filter sees the record unmasked. Fields that this release does not know are not shown.
    #[must_use]
    pub fn masked(mut self, mask: impl Fn(&mut CallRecord) + Send + Sync + 'static) -> Self {
        self.mask = Some(Arc::new(mask));
        self
    }

    pub(crate) fn see(&self, json: &[u8]) -> Seen {
        if self.mask.is_none() && self.filter == Filters::default() {
            return Seen::Shown(None);
        }
        let mut record = match CallRecord::from_json(json) {
            Ok(record) => record,
            Err(reason) => return Seen::Undecodable(reason),
        };
        if !self.filter.accept(&record) {
            return Seen::Withheld;
        }
        let Some(mask) = &self.mask else { return Seen::Shown(None) };
        mask(&mut record);
        match record.to_json() {
            Ok(masked) => Seen::Shown(Some(masked)),
            Err(reason) => Seen::Undecodable(reason),
        }
    }
}

impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View").field("filter", &self.filter).field("masked", &self.mask.is_some()).finish()
    }
}
