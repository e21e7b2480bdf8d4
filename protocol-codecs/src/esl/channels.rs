//! The answer to `show channels as json`: which channels FreeSWITCH's database lists.
//!
//! That list is written asynchronously: it lags behind the events by 20 to 200 ms and may keep a channel that is gone,
//! so `uuid_exists` has the last word. Without channels the answer is `{"row_count":0}` and has no `rows`.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Visitor};

use super::error::MessageError;
use super::limits::CHANNEL_ROWS_MAX;
use super::names::CallDirection;

/// The list.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Channels<'a> {
    row_count: u64,
    #[serde(default, borrow)]
    rows: Rows<'a>,
}

/// One channel of the list: what a resync needs of its 38 columns. `Debug` shows the id only.
#[derive(Clone, PartialEq, Eq, Deserialize)]
pub struct ChannelRow<'a> {
    /// `Unique-ID`.
    #[serde(borrow)]
    pub uuid: Cow<'a, str>,
    /// `inbound` or `outbound`.
    #[serde(default, borrow)]
    direction: Cow<'a, str>,
    /// `RINGING`, `EARLY`, `ACTIVE`, `HELD`, `HANGUP`, ...
    #[serde(default, borrow)]
    pub callstate: Cow<'a, str>,
    /// The id shared by the legs of a bridge; empty without one.
    #[serde(default, borrow)]
    pub call_uuid: Cow<'a, str>,
    /// The dialplan's context.
    #[serde(default, borrow)]
    pub context: Cow<'a, str>,
    /// The *switch name* (`FreeSWITCH-Switchname`), not the host name of events.
    #[serde(default, borrow)]
    pub hostname: Cow<'a, str>,
}

impl<'a> Channels<'a> {
    /// The channels.
    pub fn rows(&self) -> &[ChannelRow<'a>] {
        &self.rows.0
    }

    /// The list, when it has the rows it claims.
    pub(super) fn checked(self) -> Result<Self, MessageError> {
        let rows = self.rows.0.len();
        if rows <= CHANNEL_ROWS_MAX && u64::try_from(rows) == Ok(self.row_count) {
            return Ok(self);
        }
        Err(MessageError::BadRowCount { rows, row_count: self.row_count, limit: CHANNEL_ROWS_MAX })
    }
}

impl ChannelRow<'_> {
    /// Who called whom.
    pub fn direction(&self) -> Option<CallDirection> {
        CallDirection::parse(&self.direction)
    }
}

impl fmt::Debug for ChannelRow<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChannelRow").field("uuid", &self.uuid).finish_non_exhaustive()
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Rows<'a>(Vec<ChannelRow<'a>>);

impl<'de: 'a, 'a> Deserialize<'de> for Rows<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(RowsVisitor)
    }
}

struct RowsVisitor;

impl<'de> Visitor<'de> for RowsVisitor {
    type Value = Rows<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("rows")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Rows<'de>, A::Error> {
        let mut rows = Vec::new();
        while let Some(row) = elements.next_element()? {
            rows.push(row);
            // One above the limit is kept, so that the check afterwards sees it.
            if rows.len() > CHANNEL_ROWS_MAX {
                while elements.next_element::<serde::de::IgnoredAny>()?.is_some() {}
                break;
            }
        }
        Ok(Rows(rows))
    }
}
