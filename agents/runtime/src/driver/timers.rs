//! The timers of all calls: at most one of each kind a call, cancelled without a trace.

use std::collections::{BTreeSet, HashMap};

use agent_call::Timer;
use types::MonoMs;

use super::slot::CallKey;

/// Sorted by due time; exact cancellation, so that hours-long timers of short calls do not pile up.
#[derive(Debug, Default)]
pub(super) struct Timers {
    due: BTreeSet<(MonoMs, CallKey, Timer)>,
    /// Those of each call: so few that they are searched.
    set: HashMap<CallKey, Vec<(Timer, MonoMs)>>,
}

impl Timers {
    pub(super) fn set(&mut self, key: CallKey, timer: Timer, at: MonoMs) {
        let of_call = self.set.entry(key).or_default();
        match of_call.iter_mut().find(|(kind, _)| *kind == timer) {
            Some((_, before)) => {
                self.due.remove(&(*before, key, timer));
                *before = at;
            }
            None => of_call.push((timer, at)),
        }
        self.due.insert((at, key, timer));
    }

    pub(super) fn cancel(&mut self, key: CallKey, timer: Timer) {
        if let Some(at) = self.unset(key, timer) {
            self.due.remove(&(at, key, timer));
        }
    }

    pub(super) fn cancel_all(&mut self, key: CallKey) {
        for (timer, at) in self.set.remove(&key).unwrap_or_default() {
            self.due.remove(&(at, key, timer));
        }
    }

    pub(super) fn first(&self) -> Option<MonoMs> {
        self.due.first().map(|(at, _, _)| *at)
    }

    pub(super) fn pop_due(&mut self, now: MonoMs) -> Option<(CallKey, Timer)> {
        let (at, key, timer) = *self.due.first()?;
        if at > now {
            return None;
        }
        self.due.pop_first();
        self.unset(key, timer);
        Some((key, timer))
    }

    fn unset(&mut self, key: CallKey, timer: Timer) -> Option<MonoMs> {
        let of_call = self.set.get_mut(&key)?;
        let position = of_call.iter().position(|(kind, _)| *kind == timer)?;
        Some(of_call.swap_remove(position).1)
    }
}

#[cfg(test)]
impl Timers {
    pub(super) fn count(&self) -> usize {
        assert_eq!(self.due.len(), self.set.values().map(Vec::len).sum::<usize>());
        self.due.len()
    }

    pub(super) fn is_set(&self, key: CallKey, timer: Timer) -> bool {
        self.set.get(&key).is_some_and(|of_call| of_call.iter().any(|(kind, _)| *kind == timer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timers_fire_in_order_once_and_cancelled_ones_never() {
        let (mut timers, one, two) = (Timers::default(), CallKey(1), CallKey(2));
        timers.set(one, Timer::Quota, MonoMs(50));
        timers.set(two, Timer::Quota, MonoMs(20));
        timers.set(one, Timer::Ring, MonoMs(10));
        timers.set(one, Timer::Quota, MonoMs(30));
        timers.cancel(one, Timer::Ring);
        assert_eq!(timers.first(), Some(MonoMs(20)));
        assert_eq!(timers.pop_due(MonoMs(19)), None);
        assert_eq!(timers.pop_due(MonoMs(60)), Some((two, Timer::Quota)));
        assert_eq!(timers.pop_due(MonoMs(60)), Some((one, Timer::Quota)));
        assert_eq!(timers.pop_due(MonoMs(60)), None);
        timers.set(one, Timer::Interim, MonoMs(70));
        timers.cancel_all(one);
        assert_eq!((timers.first(), timers.count(), timers.set.contains_key(&one)), (None, 0, false));
    }
}
