//! One session as its client sees it. Pure: what is asked next, and what an answer means for it.
//!
//! | stands | next request | answer | then |
//! |---|---|---|---|
//! | not yet | INITIAL (or EVENT) | 2001 | it stands (an event is over) |
//! | not yet | INITIAL | anything else | refused, over |
//! | yes, updates are left and some group has credit | UPDATE: what was used, what is wanted | 2001 | what was used counts; goes on |
//! | yes | UPDATE | 3004 | what was used is told with the next request |
//! | yes | UPDATE | 5002 | over; what was used is unreported |
//! | yes | UPDATE | anything else | it is ended; what was used is told at the end |
//! | yes, no update is left, or no group has credit, or it was aborted | TERMINATION | 2001 | over |
//! | yes | TERMINATION | 3004, a few times | TERMINATION again |
//! | yes | TERMINATION | anything else | over; what was used is unreported |
//! | any | lost | | over if it had not begun or was ending, else TERMINATION; what was used is of unknown fate |

use protocol_codecs::diameter::{CcRequestType, ResultCode};

use super::told::{Told, ToldGroup};

/// A request to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Step {
    pub kind: CcRequestType,
    pub number: u32,
    pub groups: Vec<StepGroup>,
    /// Seconds of use before and with this request: calls have a clock of their own.
    pub used_so_far: u64,
}

/// One group of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StepGroup {
    pub rating_group: u32,
    /// Used since the last report; 0: nothing.
    pub used: u64,
    /// Wanted; 0: as the server sees fit; absent: nothing.
    pub wanted: Option<u64>,
}

/// How a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// Never began.
    Refused,
    /// In order.
    Closed,
    /// The server did not know it, or refused its end.
    Failed,
    /// A request was never answered.
    Lost,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Fresh,
    Stands,
    Ending,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Group {
    rating_group: u32,
    /// Used and not reported.
    used: u64,
    /// No more of it.
    over: bool,
}

/// See the module's documentation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Session {
    phase: Phase,
    is_event: bool,
    number: u32,
    updates_left: u32,
    groups: Vec<Group>,
    units: u64,
    used_so_far: u64,
    refused_ends: u32,
}

impl Session {
    /// With these groups and so many updates; `units` are asked for and used each time, 0 = as granted.
    pub fn new(groups: &[u32], updates: u32, units: u64, is_event: bool) -> Self {
        let group = |rating_group: &u32| Group { rating_group: *rating_group, used: 0, over: false };
        Self {
            phase: Phase::Fresh,
            is_event,
            number: 0,
            updates_left: updates,
            groups: groups.iter().map(group).collect(),
            units,
            used_so_far: 0,
            refused_ends: 0,
        }
    }

    /// Whether it has begun: it must be ended.
    pub fn stands(&self) -> bool {
        self.phase != Phase::Fresh
    }

    /// It is to be ended with its next request.
    pub fn end(&mut self) {
        if self.phase == Phase::Stands {
            self.phase = Phase::Ending;
        }
    }

    /// An update is wanted, whether the plan has one or not.
    pub fn reauthorize(&mut self) {
        if self.phase == Phase::Stands {
            self.updates_left = self.updates_left.saturating_add(1);
            for group in &mut self.groups {
                group.over = false;
            }
        }
    }

    /// The next request.
    pub fn step(&mut self) -> Step {
        let kind = match self.phase {
            Phase::Fresh if self.is_event => CcRequestType::Event,
            Phase::Fresh => CcRequestType::Initial,
            Phase::Stands if self.updates_left > 0 && self.groups.iter().any(|group| !group.over) => {
                self.updates_left -= 1;
                CcRequestType::Update
            }
            Phase::Stands | Phase::Ending => {
                self.phase = Phase::Ending;
                CcRequestType::Termination
            }
        };
        let number = self.number;
        self.number = self.number.saturating_add(1);
        let (units, asks) = (self.units, kind != CcRequestType::Termination);
        let step = |group: &Group| {
            let wanted = (asks && !group.over).then_some(units);
            StepGroup { rating_group: group.rating_group, used: group.used, wanted }
        };
        let worth = |group: &StepGroup| group.used > 0 || group.wanted.is_some();
        let groups = self.groups.iter().map(step).filter(worth).collect();
        Step { kind, number, groups, used_so_far: self.used_so_far }
    }

    /// The answer to a request; `Some`: the session is over.
    pub fn answered(&mut self, step: &Step, told: &Told) -> Option<Ended> {
        if told.is_success() {
            self.accepted(step);
        }
        match step.kind {
            CcRequestType::Event => Some(if told.is_success() { Ended::Closed } else { Ended::Refused }),
            CcRequestType::Initial if !told.is_success() => Some(Ended::Refused),
            CcRequestType::Initial | CcRequestType::Update if told.is_success() => {
                if self.phase == Phase::Fresh {
                    self.phase = Phase::Stands;
                }
                self.granted(&told.groups);
                None
            }
            CcRequestType::Initial | CcRequestType::Update => match ResultCode(told.code) {
                ResultCode::UNKNOWN_SESSION_ID => Some(Ended::Failed),
                ResultCode::TOO_BUSY => None,
                _ => {
                    self.end();
                    None
                }
            },
            CcRequestType::Termination if told.is_success() => Some(Ended::Closed),
            CcRequestType::Termination => {
                self.refused_ends += 1;
                let again = ResultCode(told.code) == ResultCode::TOO_BUSY && self.refused_ends < ENDS_MAX;
                (!again).then_some(Ended::Failed)
            }
        }
    }

    /// A request that nobody answered; `Some`: the session is over.
    pub fn lost(&mut self, step: &Step) -> Option<Ended> {
        // Told already, if it was heard at all: it must not be told twice under another number.
        self.accepted(step);
        match step.kind {
            CcRequestType::Update => {
                self.end();
                None
            }
            CcRequestType::Initial => {
                // It may have been heard: what stands there is ended.
                self.phase = Phase::Ending;
                None
            }
            CcRequestType::Termination | CcRequestType::Event => Some(Ended::Lost),
        }
    }

    /// Used and never reported, by group.
    pub fn unreported(&self) -> impl Iterator<Item = (u32, u64)> {
        self.groups.iter().map(|group| (group.rating_group, group.used))
    }

    fn accepted(&mut self, step: &Step) {
        for told in &step.groups {
            for group in self.groups.iter_mut().filter(|group| group.rating_group == told.rating_group) {
                group.used = group.used.saturating_sub(told.used);
            }
        }
    }

    /// Uses what was granted: by the next request it is used up.
    fn granted(&mut self, told: &[ToldGroup]) {
        let mut longest = 0;
        for answer in told {
            let is_meant = |group: &&mut Group| answer.rating_group.is_none_or(|number| group.rating_group == number);
            let Some(group) = self.groups.iter_mut().find(is_meant) else { continue };
            let granted = answer.granted.filter(|_| ResultCode(answer.code).is_success()).unwrap_or(0);
            let used = if self.units == 0 { granted } else { granted.min(self.units) };
            group.used = group.used.saturating_add(used);
            group.over = answer.last || used == 0;
            longest = longest.max(used);
        }
        self.used_so_far = self.used_so_far.saturating_add(longest);
    }
}

/// A server that is too busy for the end of a session is asked so often.
const ENDS_MAX: u32 = 5;

#[cfg(test)]
mod tests;
