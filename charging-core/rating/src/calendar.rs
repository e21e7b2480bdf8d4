//! When a row of a rating plan applies: days by year, month, day and weekday, from a time of day until another or until
//! midnight, all as the tenant's wall clock shows them.

/// Milliseconds of a day.
pub(crate) const DAY_MS: i64 = 86_400_000;

/// A set of calendar numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Values {
    Any,
    Of(Box<[u16]>),
}

impl Values {
    fn holds(&self, value: u16) -> bool {
        match self {
            Self::Any => true,
            Self::Of(values) => values.contains(&value),
        }
    }

    fn meets(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any, Self::Any) => true,
            (Self::Any, Self::Of(values)) | (Self::Of(values), Self::Any) => !values.is_empty(),
            (Self::Of(values), Self::Of(_)) => values.iter().any(|value| other.holds(*value)),
        }
    }

    pub(crate) fn map(self, change: impl Fn(u16) -> u16) -> Self {
        match self {
            Self::Any => Self::Any,
            Self::Of(values) => Self::Of(values.iter().copied().map(change).collect()),
        }
    }
}

/// One row of Timings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Timing {
    pub years: Values,
    pub months: Values,
    pub month_days: Values,
    /// 0 is Sunday, 6 Saturday.
    pub week_days: Values,
    /// Start of validity in the day.
    pub start_ms: i64,
    /// Its end: the first millisecond after it, [`DAY_MS`] for midnight.
    pub end_ms: i64,
}

impl Timing {
    /// Applies at every instant.
    pub(crate) const ALWAYS: Self = Self {
        years: Values::Any,
        months: Values::Any,
        month_days: Values::Any,
        week_days: Values::Any,
        start_ms: 0,
        end_ms: DAY_MS,
    };

    pub(crate) fn is_always(&self) -> bool {
        *self == Self::ALWAYS
    }

    pub(crate) fn applies(&self, at: &Instant) -> bool {
        (self.start_ms..self.end_ms).contains(&at.ms_of_day)
            && self.week_days.holds(at.week_day)
            && self.month_days.holds(at.month_day)
            && self.months.holds(at.month)
            && self.years.holds(at.year)
    }

    /// True if some day may have both (a 30th of February counts, which no day is).
    pub(crate) fn shares_days(&self, other: &Self) -> bool {
        self.years.meets(&other.years)
            && self.months.meets(&other.months)
            && self.month_days.meets(&other.month_days)
            && self.week_days.meets(&other.week_days)
    }
}

/// A moment, taken apart once for all timings it is held against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Instant {
    year: u16,
    month: u16,
    month_day: u16,
    week_day: u16,
    pub ms_of_day: i64,
}

impl Instant {
    /// From milliseconds since 1970-01-01T00:00:00 on the same clock.
    pub(crate) fn of(local_ms: i64) -> Self {
        let (day, ms_of_day) = (local_ms.div_euclid(DAY_MS), local_ms.rem_euclid(DAY_MS));
        // Howard Hinnant's days algorithm: the year counted from March ends with the leap day.
        let shifted = day + 719_468;
        let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let march_month = (5 * day_of_year + 2) / 153;
        let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
        let year = era * 400 + year_of_era + i64::from(month <= 2);
        Self {
            // Years outside u16 match no listed year; every other number is small by construction.
            year: u16::try_from(year).unwrap_or(u16::MAX),
            month: u16::try_from(month).unwrap_or(0),
            month_day: u16::try_from(day_of_year - (153 * march_month + 2) / 5 + 1).unwrap_or(0),
            week_day: u16::try_from((day + 4).rem_euclid(7)).unwrap_or(0),
            ms_of_day,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::UtcMs;

    fn instant(text: &str) -> Instant {
        Instant::of(text.parse::<UtcMs>().unwrap_or_default().0)
    }

    #[test]
    fn days_are_taken_apart() {
        let rows = [
            ("1970-01-01T00:00:00Z", (1970, 1, 1, 4, 0)),
            ("2000-02-29T00:00:01Z", (2000, 2, 29, 2, 1000)),
            ("2024-12-31T23:59:59Z", (2024, 12, 31, 2, 86_399_000)),
            ("2026-11-22T12:00:00Z", (2026, 11, 22, 0, 43_200_000)),
            ("1969-12-31T23:59:59Z", (1969, 12, 31, 3, 86_399_000)),
        ];
        for (text, expected) in rows {
            let at = instant(text);
            assert_eq!((at.year, at.month, at.month_day, at.week_day, at.ms_of_day), expected, "{text}");
        }
    }

    #[test]
    fn a_timing_lasts_from_its_start_to_midnight_of_its_days() {
        let working_evening =
            Timing { week_days: Values::Of([1, 2, 3, 4, 5].into()), start_ms: 18 * 3_600_000, ..Timing::ALWAYS };
        for (text, applies) in [
            ("2026-11-20T17:59:59Z", false),
            ("2026-11-20T18:00:00Z", true),
            ("2026-11-20T23:59:59Z", true),
            ("2026-11-21T18:00:00Z", false),
        ] {
            assert_eq!(working_evening.applies(&instant(text)), applies, "{text}");
        }
        assert!(!working_evening.is_always() && Timing::ALWAYS.is_always());
    }

    #[test]
    fn a_timing_with_an_end_is_over_then() {
        let morning = Timing { start_ms: 8 * 3_600_000, end_ms: 12 * 3_600_000, ..Timing::ALWAYS };
        for (text, applies) in [
            ("2026-11-20T07:59:59.999Z", false),
            ("2026-11-20T08:00:00Z", true),
            ("2026-11-20T11:59:59.999Z", true),
            ("2026-11-20T12:00:00Z", false),
        ] {
            assert_eq!(morning.applies(&instant(text)), applies, "{text}");
        }
    }
}
