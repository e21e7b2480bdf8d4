//! Every AVP of a message, groups included, without recursion: the stack is an array of [`GROUP_DEPTH_MAX`] rows.

use super::avp::{Avp, Avps};
use super::dictionary::Kind;
use super::error::{Fault, MessageError};
use super::limits::GROUP_DEPTH_MAX;

/// The walk. Goes into AVPs that the dictionary calls groups; unknown ones are passed over.
#[derive(Debug)]
pub struct Walk<'a> {
    rows: [Avps<'a>; GROUP_DEPTH_MAX],
    /// Groups around each row, the row of depth 1 first.
    groups: [Option<Avp<'a>>; GROUP_DEPTH_MAX],
    depth: usize,
}

impl<'a> Walk<'a> {
    /// Over the AVPs of a message or of the value of a group.
    pub fn new(bytes: &'a [u8]) -> Self {
        let mut rows = [Avps::new(&[]); GROUP_DEPTH_MAX];
        if let Some(first) = rows.first_mut() {
            *first = Avps::new(bytes);
        }
        Self { rows, groups: [None; GROUP_DEPTH_MAX], depth: 1 }
    }

    /// The next AVP and its depth (1 = outermost), a group before what is in it; `None` at the end.
    ///
    /// # Errors
    /// A length that cannot be right, or a group in the deepest row. The walk must not go on after it.
    pub fn next_avp(&mut self) -> Result<Option<(usize, Avp<'a>)>, MessageError> {
        loop {
            let Some(row) = self.depth.checked_sub(1).and_then(|index| self.rows.get_mut(index)) else {
                return Ok(None);
            };
            match row.next_avp() {
                Ok(Some(avp)) => return self.enter(avp).map(Some),
                Ok(None) => self.depth -= 1,
                Err(broken) => return Err(self.located(self.depth, MessageError::broken(broken))),
            }
        }
    }

    fn enter(&mut self, avp: Avp<'a>) -> Result<(usize, Avp<'a>), MessageError> {
        let depth = self.depth;
        if avp.definition().is_some_and(|definition| definition.kind == Kind::Grouped) && !avp.value.is_empty() {
            let (Some(row), Some(group)) = (self.rows.get_mut(depth), self.groups.get_mut(depth)) else {
                let fault = Fault::TooDeep { limit: GROUP_DEPTH_MAX };
                return Err(self.located(depth, MessageError::head_only(fault, &avp)));
            };
            *row = avp.avps();
            *group = Some(avp);
            self.depth = depth + 1;
        }
        Ok((depth, avp))
    }

    /// The error inside the groups that stand around the row of this depth.
    pub(super) fn located(&self, depth: usize, error: MessageError) -> MessageError {
        let around = self.groups.iter().take(depth).rev().flatten();
        around.fold(error, |error, group| error.inside(group.code, group.vendor, group.flags))
    }
}
