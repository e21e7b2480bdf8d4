//! Figures of the cases: amounts, lengths of time, times, and relations between answers.

use rating::parse_usage;
use serde_json::Value;
use types::charging::Service;
use types::{Money, UtcMs};

/// Compares an amount with a figure by the figure's own decimal digits. A figure of more than nine decimals (a plan that
/// does not round) is the nearest binary fraction of an amount; ours is that amount rounded to nine decimals.
pub fn equals(price: Money, figure: &str) -> Result<bool, String> {
    let (digits, decimals) = decimal(figure).ok_or(format!("{figure} is no figure"))?;
    let scale = |decimals: u32| 10i128.checked_pow(decimals).ok_or(format!("{figure} has too many decimals"));
    if decimals <= Money::DECIMALS {
        return Ok(Some(price.nanos()) == digits.checked_mul(scale(Money::DECIMALS - decimals)?));
    }
    let beyond = scale(decimals - Money::DECIMALS)?;
    let ours = price.nanos().checked_mul(beyond).ok_or("too large to compare")?;
    Ok((ours - digits).abs() < beyond.saturating_mul(2))
}

/// A JSON number's digits, and how many of them are decimals; exponents are taken apart.
fn decimal(text: &str) -> Option<(i128, u32)> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.trim_start_matches('+').parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (whole, decimals) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let decimals = decimals.trim_end_matches('0');
    let digits: i128 = format!("{whole}{decimals}").parse().ok()?;
    let places = i32::try_from(decimals.len()).ok()?.checked_sub(exponent)?;
    match u32::try_from(places) {
        Ok(places) => Some((digits, places)),
        Err(_) => Some((digits.checked_mul(10i128.checked_pow(places.unsigned_abs())?)?, 0)),
    }
}

/// The numbers that stand in a text, as they stand there.
pub fn numbers(text: &str) -> Vec<&str> {
    let numbers = text.split(|character: char| !character.is_ascii_digit() && character != '.');
    numbers
        .map(|number| number.trim_matches('.'))
        .filter(|number| number.starts_with(|c: char| c.is_ascii_digit()))
        .collect()
}

/// Usage as the cases write it: text, or a number of units (of nanoseconds for voice).
pub fn usage(value: &Value, service: Service) -> Result<u64, String> {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    parse_usage(&text, service).map_err(|problem| format!("usage {text}: {problem}"))
}

/// Usage in base units: nanoseconds of voice, or units; -1 for no limit.
pub fn base_units(value: &Value) -> Option<i128> {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let (sign, text) = text.strip_prefix('-').map_or((1, text.as_str()), |rest| (-1, rest));
    // What is no voice is read as it stands: a bare number, or a length of time of which a nanosecond is a unit.
    parse_usage(text, Service::Generic).ok().map(|units| i128::from(units) * sign)
}

/// A time; without an offset it is UTC.
pub fn time(value: &Value) -> Result<UtcMs, String> {
    let text = value.as_str().ok_or("no time")?;
    let (clock, offset_ms) = match text.get(19..).and_then(|tail| tail.find(['+', '-'])) {
        Some(at) => {
            let (clock, offset) = text.split_at(19 + at);
            let minutes = |text: Option<&str>| text.and_then(|text| text.parse::<i64>().ok());
            let (hours, rest) = (minutes(offset.get(1..3)), minutes(offset.get(4..6)));
            let ms =
                hours.zip(rest).map(|(hours, rest)| (hours * 60 + rest) * 60_000).ok_or(format!("offset of {text}"))?;
            (clock, if offset.starts_with('-') { -ms } else { ms })
        }
        None => (text.trim_end_matches('Z'), 0),
    };
    let time: UtcMs = format!("{clock}Z").parse().map_err(|error| format!("{text}: {error}"))?;
    Ok(UtcMs(time.0 - offset_ms))
}

/// Whether a relation such as `steps[0].max_usage == steps[1].max_usage / 2` holds; nothing if it is not understood.
pub fn holds(relation: &str, max_usages: &[Option<i128>]) -> Option<bool> {
    let (operator, at) = ["==", "!=", "<=", ">=", "<", ">"].iter().find_map(|op| Some((*op, relation.find(op)?)))?;
    let left = side(relation.get(..at)?, max_usages)?;
    let right = side(relation.get(at + operator.len()..)?, max_usages)?;
    // Sides are fractions.
    let (left, right) = (left.0 * right.1, right.0 * left.1);
    Some(match operator {
        "==" => left == right,
        "!=" => left != right,
        "<=" => left <= right,
        ">=" => left >= right,
        "<" => left < right,
        _ => left > right,
    })
}

/// `steps[N].max_usage`, with `* K` or `/ K` behind, or a length of time, as a fraction.
fn side(text: &str, max_usages: &[Option<i128>]) -> Option<(i128, i128)> {
    let (term, factor) = match text.split_once(['*', '/']) {
        Some((term, factor)) => (term, factor.trim().parse::<i128>().ok().filter(|factor| *factor > 0)?),
        None => (text, 1),
    };
    let value = match term.trim().strip_prefix("steps[") {
        Some(rest) => {
            let (step, field) = rest.split_once(']')?;
            let known = if field.trim() == ".max_usage" { max_usages.get(step.parse::<usize>().ok()?) } else { None };
            (*known?)?
        }
        None => base_units(&Value::from(term.trim()))?,
    };
    Some(if text.contains('*') { (value * factor, 1) } else { (value, factor) })
}
