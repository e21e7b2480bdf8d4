//! Cells to values: amounts, durations, weights, dates and times of day, as the plan format writes them.

use std::ops::RangeInclusive;

use types::{Money, UtcMs};

use crate::calendar::{DAY_MS, Timing, Values};
use crate::fault::Problem;
use crate::rounding::RoundingMethod;

/// An amount that is not negative; empty is 0.
pub(crate) fn amount(cell: &str) -> Result<Money, Problem> {
    match weight(cell)? {
        amount if amount.is_negative() => Err(Problem::Negative),
        amount => Ok(amount),
    }
}

/// A decimal number, used to compare only; empty is 0.
pub(crate) fn weight(cell: &str) -> Result<Money, Problem> {
    if cell.is_empty() { Ok(Money::ZERO) } else { cell.parse().map_err(Problem::Amount) }
}

/// A whole number of nanoseconds (or plain units), or Go's duration text such as `1m30s`; empty is 0.
pub(crate) fn units(cell: &str) -> Result<u64, Problem> {
    if cell.bytes().all(|byte| byte.is_ascii_digit()) {
        return if cell.is_empty() { Ok(0) } else { in_range(cell.parse().ok()) };
    }
    let (mut rest, mut total) = (cell, 0u64);
    while !rest.is_empty() {
        let number_len = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, tail) = rest.split_at(number_len);
        let unit_len = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_len);
        let part = unit_nanos(unit).and_then(|nanos| scaled(number, nanos));
        total = in_range(part.and_then(|part| total.checked_add(part)))?;
        rest = tail;
    }
    Ok(total)
}

fn in_range(value: Option<u64>) -> Result<u64, Problem> {
    value.filter(|value| i64::try_from(*value).is_ok()).ok_or(Problem::Duration)
}

fn unit_nanos(unit: &str) -> Option<u64> {
    Some(match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    })
}

/// `number` (digits with at most one point) times `nanos`, if that is whole.
fn scaled(number: &str, nanos: u64) -> Option<u64> {
    let (whole, decimals) = number.split_once('.').unwrap_or((number, ""));
    let digits: u128 = format!("{whole}{decimals}").parse().ok()?;
    let divisor = 10u128.checked_pow(u32::try_from(decimals.len()).ok()?)?;
    let product = digits.checked_mul(u128::from(nanos))?;
    if product % divisor == 0 { u64::try_from(product / divisor).ok() } else { None }
}

/// Empty or `*any`: always. Otherwise RFC 3339 in UTC.
pub(crate) fn activation(cell: &str) -> Result<UtcMs, Problem> {
    if cell.is_empty() || cell == ANY { Ok(UtcMs(i64::MIN)) } else { cell.parse().map_err(|_| Problem::Time) }
}

pub(crate) fn method(cell: &str) -> Result<RoundingMethod, Problem> {
    match cell {
        "*up" => Ok(RoundingMethod::Up),
        "*down" => Ok(RoundingMethod::Down),
        "*middle" => Ok(RoundingMethod::Middle),
        _ => Err(Problem::Method),
    }
}

/// Decimals above nine are kept as nine: a nano unit is the finest amount there is. Empty is 0.
pub(crate) fn decimals(cell: &str) -> Result<u8, Problem> {
    let fault = Problem::Whole { from: 0, to: 255 };
    let decimals: u8 = if cell.is_empty() { 0 } else { cell.parse().map_err(|_| fault)? };
    Ok(decimals.min(9))
}

/// The maximum cost, absent for 0 or empty; the amount must have a strategy.
pub(crate) fn max_cost(cell: &str) -> Result<Option<Money>, Problem> {
    amount(cell).map(|max| Some(max).filter(|max| !max.is_zero()))
}

/// One row of Timings that a price may use. The number names the column at fault.
pub(crate) fn timing(cells: [&str; 5]) -> Result<Timing, (usize, Problem)> {
    let [years, months, month_days, week_days, time] = cells;
    let (start_ms, end_ms) = times_of_day(time).map_err(|problem| (5, problem))?;
    Ok(Timing {
        years: values(years, 0..=9999).map_err(|problem| (1, problem))?,
        months: values(months, 1..=12).map_err(|problem| (2, problem))?,
        month_days: values(month_days, 1..=31).map_err(|problem| (3, problem))?,
        week_days: values(week_days, 0..=7).map_err(|problem| (4, problem))?.map(|day| if day == 7 { 0 } else { day }),
        start_ms,
        end_ms,
    })
}

fn values(cell: &str, range: RangeInclusive<u16>) -> Result<Values, Problem> {
    if cell.is_empty() || cell == ANY {
        return Ok(Values::Any);
    }
    let fault = Problem::Whole { from: i64::from(*range.start()), to: i64::from(*range.end()) };
    let parsed = cell.split(';').filter(|part| !part.is_empty()).map(|part| {
        if part.starts_with('-') {
            return Err(Problem::Schedule);
        }
        part.parse().ok().filter(|value| range.contains(value)).ok_or(fault)
    });
    parsed.collect::<Result<Vec<u16>, _>>().map(|values| Values::Of(values.into()))
}

/// Start, or `start;end`, the end being the last second that counts, or `24:00:00`.
fn times_of_day(cell: &str) -> Result<(i64, i64), Problem> {
    if cell.starts_with('*') && cell != ANY {
        return Err(Problem::Schedule);
    }
    if cell.is_empty() || cell == ANY {
        return Ok((0, DAY_MS));
    }
    let Some((start, end)) = cell.split_once(';') else { return Ok((time_of_day(cell)?, DAY_MS)) };
    let start_ms = time_of_day(start)?;
    let end_ms = if end == "24:00:00" { DAY_MS } else { time_of_day(end)? + 1000 };
    if start_ms < end_ms { Ok((start_ms, end_ms)) } else { Err(Problem::TimeRange) }
}

fn time_of_day(cell: &str) -> Result<i64, Problem> {
    let mut parts = cell.split(':').map(|part| {
        let two_digits = part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
        if two_digits { part.parse::<i64>().ok() } else { None }
    });
    let (Some(Some(hour)), Some(Some(minute)), Some(Some(second)), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Problem::TimeOfDay);
    };
    let start_ms = ((hour * 60 + minute) * 60 + second) * 1000;
    if minute < 60 && second < 60 && start_ms < DAY_MS { Ok(start_ms) } else { Err(Problem::TimeOfDay) }
}

/// The wildcard of the plan format.
pub(crate) const ANY: &str = "*any";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let rows = [
            ("", Ok(0)),
            ("0", Ok(0)),
            ("0s", Ok(0)),
            ("60", Ok(60)),
            ("1048576", Ok(1_048_576)),
            ("60s", Ok(60_000_000_000)),
            ("1m30s", Ok(90_000_000_000)),
            ("1h0m0.5s", Ok(3_600_500_000_000)),
            ("10ms", Ok(10_000_000)),
            ("1.5ns", Err(Problem::Duration)),
            ("1.2.3s", Err(Problem::Duration)),
            ("s", Err(Problem::Duration)),
            ("5x", Err(Problem::Duration)),
            ("-1s", Err(Problem::Duration)),
            ("1s ", Err(Problem::Duration)),
            ("9223372036854775808", Err(Problem::Duration)),
            ("99999999999999999999999999999999999999999h", Err(Problem::Duration)),
        ];
        for (text, expected) in rows {
            assert_eq!(units(text), expected, "{text:?}");
        }
    }

    #[test]
    fn times_of_day_are_start_and_end() {
        let rows = [
            ("", Ok((0, DAY_MS))),
            ("*any", Ok((0, DAY_MS))),
            ("00:00:00", Ok((0, DAY_MS))),
            ("08:30:01", Ok((30_601_000, DAY_MS))),
            ("23:59:59", Ok((86_399_000, DAY_MS))),
            ("00:00:00;11:59:59", Ok((0, DAY_MS / 2))),
            ("18:00:00;23:59:59", Ok((64_800_000, DAY_MS))),
            ("18:00:00;24:00:00", Ok((64_800_000, DAY_MS))),
            ("08:00:00;08:00:00", Ok((28_800_000, 28_801_000))),
            ("18:00:00;06:00:00", Err(Problem::TimeRange)),
            ("24:00:00", Err(Problem::TimeOfDay)),
            ("12:60:00", Err(Problem::TimeOfDay)),
            ("8:00:00", Err(Problem::TimeOfDay)),
            ("08:00", Err(Problem::TimeOfDay)),
            ("+8:00:00", Err(Problem::TimeOfDay)),
            ("08:00:00;", Err(Problem::TimeOfDay)),
            ("08:00:00;09:00:00;10:00:00", Err(Problem::TimeOfDay)),
            ("*asap", Err(Problem::Schedule)),
        ];
        for (text, expected) in rows {
            assert_eq!(times_of_day(text), expected, "{text:?}");
        }
        assert_eq!(timing(["*any", "*any", "-1", "*any", ""]).err(), Some((3, Problem::Schedule)));
        assert_eq!(timing(["", "13", "", "", ""]).err(), Some((2, Problem::Whole { from: 1, to: 12 })));
    }

    #[test]
    fn decimals_are_kept_to_nine() {
        assert_eq!(decimals("20"), Ok(9));
        assert_eq!(decimals("4"), Ok(4));
        assert_eq!(decimals(""), Ok(0));
        assert!(decimals("-1").is_err() && decimals("256").is_err());
    }
}
