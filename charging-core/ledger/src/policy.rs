//! What an account may do besides paying: how many sessions, how fast, how dear, where to. Defaults are settings; an
//! account may have its own for each limit.
//!
//! The hour slides in steps of a minute: the minute of now and the 59 before it. The day is the calendar day of the
//! account's tenant ([`crate::Pricing::day_of`]). Costs are counted from when a limit of that kind first applies to
//! the account, in every charging mode; what open sessions may still use of their grants counts, too.

use serde::{Deserialize, Serialize};
use types::{Currency, Money, UtcMs};

use crate::balance::without_plus;
use crate::few::Few;

/// Limits for accounts that have none of their own, and the classes of destinations.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// Most sessions open at once. Absent: no limit.
    pub maximum_sessions: Option<u32>,
    /// Most new sessions, events included, in any 60 seconds. Absent: no limit.
    pub maximum_new_sessions_per_minute: Option<u32>,
    /// Most that one session may cost, in the account's currency. Absent: no limit.
    pub maximum_cost_per_call: Option<Money>,
    /// Most in the last 60 minutes, over all sessions. Absent: no limit.
    pub maximum_cost_per_hour: Option<Money>,
    /// Most in one day of the tenant. Absent: no limit.
    pub maximum_cost_per_day: Option<Money>,
    /// Risk classes of destinations; the longest prefix decides.
    pub destinations: Vec<DestinationClass>,
}

/// Destinations that are treated alike.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DestinationClass {
    /// Its name, such as `premium`.
    pub class: Box<str>,
    /// Called numbers that begin so, with or without `+`.
    pub prefixes: Vec<Box<str>>,
    /// What accounts without a rule of their own for the class may do.
    #[serde(default)]
    pub rule: DestinationRule,
}

/// What may be done with a class of destinations.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DestinationRule {
    /// As anywhere.
    #[default]
    Allowed,
    /// Nothing.
    Denied,
    /// A session may cost this much, however much it may cost elsewhere.
    MaximumCostPerCall(Money),
}

/// One limit of an account.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Limit<T> {
    /// As the settings say.
    #[default]
    Default,
    /// None, whatever the settings say.
    Unlimited,
    /// This one.
    Is(T),
}

impl<T: Copy> Limit<T> {
    /// The limit that applies; absent: none.
    pub fn or(self, default: Option<T>) -> Option<T> {
        match self {
            Self::Default => default,
            Self::Unlimited => None,
            Self::Is(limit) => Some(limit),
        }
    }
}

/// An account's own limits.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountLimits {
    /// Most sessions open at once.
    pub maximum_sessions: Limit<u32>,
    /// Most new sessions in any 60 seconds.
    pub maximum_new_sessions_per_minute: Limit<u32>,
    /// Most that one session may cost.
    pub maximum_cost_per_call: Limit<Money>,
    /// Most in the last 60 minutes.
    pub maximum_cost_per_hour: Limit<Money>,
    /// Most in one day of the tenant.
    pub maximum_cost_per_day: Limit<Money>,
    /// Its own rules for classes of destinations, by name.
    pub destinations: Vec<(Box<str>, DestinationRule)>,
}

/// The limits that apply to an account, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitsView {
    /// Its own.
    pub own: AccountLimits,
    /// What applies: its own or the default.
    pub effective: Policy,
    /// Its currency.
    pub currency: Currency,
    /// Sessions open now.
    pub open_sessions: u32,
    /// New sessions in the last 60 seconds, as far as counted.
    pub new_sessions_last_minute: u32,
    /// Cost of the last 60 minutes, as far as counted.
    pub cost_last_hour: Money,
    /// Cost of today, as far as counted.
    pub cost_today: Money,
    /// What open sessions may still use of their grants, as far as counted.
    pub pledged: Money,
}

/// Which rule said no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyDenial {
    /// Too many sessions open.
    #[error("too many sessions at once")]
    Sessions,
    /// Too many new sessions in a minute.
    #[error("too many new sessions in a minute")]
    Velocity,
    /// The class of the destination is denied.
    #[error("destination is denied")]
    Destination,
    /// The session has cost what one may.
    #[error("most that a session may cost is reached")]
    CostPerCall,
    /// The last hour has cost what it may.
    #[error("most that an hour may cost is reached")]
    CostPerHour,
    /// The day has cost what it may.
    #[error("most that a day may cost is reached")]
    CostPerDay,
}

impl PolicyDenial {
    /// The metric label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sessions => "policy_sessions",
            Self::Velocity => "policy_velocity",
            Self::Destination => "policy_destination",
            Self::CostPerCall => "policy_cost_per_call",
            Self::CostPerHour => "policy_cost_per_hour",
            Self::CostPerDay => "policy_cost_per_day",
        }
    }
}

impl Policy {
    /// The limits that apply to an account with its own ones.
    pub(crate) fn with(&self, own: &AccountLimits) -> Policy {
        let rule_of = |class: &DestinationClass| DestinationClass { rule: class.rule_with(own), ..class.clone() };
        Policy { destinations: self.destinations.iter().map(rule_of).collect(), ..self.amounts_with(own) }
    }

    /// The same without the classes of destinations, which are many; [`Policy::rule_for`] knows them.
    pub(crate) fn amounts_with(&self, own: &AccountLimits) -> Policy {
        Policy {
            maximum_sessions: own.maximum_sessions.or(self.maximum_sessions),
            maximum_new_sessions_per_minute: own
                .maximum_new_sessions_per_minute
                .or(self.maximum_new_sessions_per_minute),
            maximum_cost_per_call: own.maximum_cost_per_call.or(self.maximum_cost_per_call),
            maximum_cost_per_hour: own.maximum_cost_per_hour.or(self.maximum_cost_per_hour),
            maximum_cost_per_day: own.maximum_cost_per_day.or(self.maximum_cost_per_day),
            destinations: Vec::new(),
        }
    }

    /// The rule for a called number: that of the class with the longest prefix of it, or the account's own for that class.
    pub(crate) fn rule_for(&self, called: Option<&str>, own: Option<&AccountLimits>) -> DestinationRule {
        let Some(called) = called else { return DestinationRule::Allowed };
        let called = without_plus(called);
        let longest = |class: &DestinationClass| {
            let prefixes = class.prefixes.iter().map(|prefix| without_plus(prefix));
            prefixes.filter(|prefix| called.starts_with(prefix)).map(<[u8]>::len).max()
        };
        let found = self.destinations.iter().filter_map(|class| longest(class).map(|length| (length, class)));
        // Of two classes that name the same prefix the first one counts.
        let class = found.reduce(|best, next| if next.0 > best.0 { next } else { best }).map(|(_, class)| class);
        class.map_or_else(Default::default, |class| own.map_or(class.rule, |own| class.rule_with(own)))
    }

    /// True when costs over time must be counted.
    pub(crate) fn counts_cost(&self) -> bool {
        self.maximum_cost_per_hour.is_some() || self.maximum_cost_per_day.is_some()
    }
}

impl DestinationClass {
    fn rule_with(&self, own: &AccountLimits) -> DestinationRule {
        let its_own = own.destinations.iter().find(|(name, _)| *name == self.class);
        its_own.map_or(self.rule, |(_, rule)| *rule)
    }
}

/// What an account did lately. Kept only for accounts that a limit over time applies to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Activity {
    /// Cost by minute (since 1970), oldest first; at most an hour of them.
    minutes: Few<(i64, Money)>,
    /// The tenant's day that `day_cost` is of.
    day: i64,
    day_cost: Money,
    /// When sessions began, oldest first; at most a minute of them.
    starts: Few<UtcMs>,
}

impl Activity {
    /// Something of it, read for the processor's cache.
    pub fn touched(&self) -> u64 {
        self.day.unsigned_abs() ^ self.minutes.iter().next().map_or(0, |(minute, _)| minute.unsigned_abs())
    }

    /// Counts what happened at `at`.
    pub fn count(&mut self, at: UtcMs, day: i64, cost: Money, started: bool) {
        let minute = minute_of(at);
        if !cost.is_zero() {
            match self.minutes.as_mut_slice().iter_mut().find(|(known, _)| *known == minute) {
                Some((_, sum)) => *sum += cost,
                None => {
                    let place = self.minutes.iter().rposition(|(known, _)| *known < minute).map_or(0, |at| at + 1);
                    self.minutes.insert(place, (minute, cost));
                }
            }
            self.minutes.retain(|(known, _)| is_in_hour(*known, minute) || *known > minute);
        }
        if day > self.day {
            (self.day, self.day_cost) = (day, Money::ZERO);
        }
        // On a clock that went back, too: what was spent on the later day still counts.
        self.day_cost += cost;
        if started {
            self.starts.retain(|start| is_in_minute(*start, at) || *start > at);
            self.starts.push(at);
        }
    }

    pub fn cost_last_hour(&self, now: UtcMs) -> Money {
        let minute = minute_of(now);
        self.minutes.iter().filter(|(known, _)| is_in_hour(*known, minute)).map(|(_, cost)| *cost).sum()
    }

    pub fn cost_of_day(&self, day: i64) -> Money {
        if day <= self.day { self.day_cost } else { Money::ZERO }
    }

    pub fn starts_last_minute(&self, now: UtcMs) -> u32 {
        let recent = self.starts.iter().filter(|start| is_in_minute(**start, now));
        u32::try_from(recent.count()).unwrap_or(u32::MAX)
    }
}

fn minute_of(at: UtcMs) -> i64 {
    at.0.div_euclid(60_000)
}

/// A clock that went back does not open the hour again: later minutes count.
fn is_in_hour(minute: i64, now: i64) -> bool {
    minute > now.saturating_sub(60)
}

fn is_in_minute(start: UtcMs, now: UtcMs) -> bool {
    start.plus(60_000) > now
}

#[cfg(test)]
mod tests {
    use super::*;

    fn money(units: i64) -> Money {
        Money::from_units(units)
    }

    #[test]
    fn the_hour_slides_and_the_day_turns() {
        let mut activity = Activity::default();
        let at = |minute: i64| UtcMs(minute * 60_000 + 59_999);
        activity.count(at(0), 1, money(1), false);
        activity.count(at(59), 1, money(2), false);
        assert_eq!((activity.cost_last_hour(at(59)), activity.cost_of_day(1)), (money(3), money(3)));
        assert_eq!((activity.cost_last_hour(at(60)), activity.cost_of_day(2)), (money(2), money(0)));
        activity.count(at(60), 2, money(4), false);
        assert_eq!((activity.cost_last_hour(at(60)), activity.cost_of_day(2)), (money(6), money(4)));
        assert_eq!(activity.cost_last_hour(at(120)), money(0));
        // A correction of what was counted before takes it back.
        activity.count(at(61), 2, money(-4), false);
        assert_eq!((activity.cost_last_hour(at(61)), activity.cost_of_day(2)), (money(2), money(0)));
    }

    #[test]
    fn a_clock_that_goes_back_does_not_open_the_day_again() {
        let mut activity = Activity::default();
        activity.count(UtcMs(0), 20_000, money(3), false);
        assert_eq!(activity.cost_of_day(19_999), money(3));
        activity.count(UtcMs(0), 19_999, money(2), false);
        assert_eq!((activity.cost_of_day(19_999), activity.cost_of_day(20_000)), (money(5), money(5)));
        assert_eq!(activity.cost_of_day(20_001), money(0));
    }

    #[test]
    fn a_minute_of_starts() {
        let mut activity = Activity::default();
        for at in [0, 1000, 59_999] {
            activity.count(UtcMs(at), 0, Money::ZERO, true);
        }
        for (now, starts) in [(59_999, 3), (60_000, 2), (61_000, 1), (119_999, 0)] {
            assert_eq!(activity.starts_last_minute(UtcMs(now)), starts, "{now}");
        }
    }

    #[test]
    fn the_longest_prefix_decides() {
        let class = |class: &str, prefixes: &[&str], rule| DestinationClass {
            class: class.into(),
            prefixes: prefixes.iter().map(|prefix| (*prefix).into()).collect(),
            rule,
        };
        let policy = Policy {
            destinations: vec![
                class("abroad", &["1", "+4"], DestinationRule::MaximumCostPerCall(money(5))),
                class("premium", &["+49900"], DestinationRule::Denied),
                class("home", &["49"], DestinationRule::Allowed),
            ],
            ..Policy::default()
        };
        let rows = [
            ("+4930", DestinationRule::Allowed),
            ("+49900123", DestinationRule::Denied),
            ("+4420", DestinationRule::MaximumCostPerCall(money(5))),
            ("+33", DestinationRule::Allowed),
        ];
        for (called, rule) in rows {
            assert_eq!(policy.rule_for(Some(called), None), rule, "{called}");
        }
        let own = AccountLimits {
            destinations: vec![("premium".into(), DestinationRule::Allowed)],
            ..AccountLimits::default()
        };
        assert_eq!(policy.rule_for(Some("+49900123"), Some(&own)), DestinationRule::Allowed);
        assert_eq!(policy.with(&own).rule_for(Some("+49900123"), None), DestinationRule::Allowed);
    }
}
