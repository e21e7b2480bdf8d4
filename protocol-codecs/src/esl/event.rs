//! An event: its name, its fields, and typed readings of the fields that charging needs.

use super::cause::HangupCause;
use super::error::{FieldError, MessageError};
use super::fields::{Elements, Fields, Value};
use super::limits::NUMBER_DIGITS_MAX;
use super::names::{CallDirection, EventName};
use super::reply::Outcome;
use super::{json, plain};

/// One event. Its `Debug` shows name and ids only: names, numbers and addresses of subscribers are in the fields.
#[derive(Clone, PartialEq, Eq)]
pub struct Event {
    name: Option<EventName>,
    fields: Fields,
    lossy_utf8: bool,
}

impl Event {
    /// Reads the body of a `text/event-json` frame, or the answer to `uuid_dump ... json`.
    ///
    /// # Errors
    /// Not a JSON object, too many fields, no `Event-Name`.
    pub fn from_json(body: &[u8]) -> Result<Self, MessageError> {
        Self::from_fields(json::fields(body)?)
    }

    /// Reads the body of a `text/event-plain` frame.
    ///
    /// # Errors
    /// A line without a colon, an inner length that does not fit, too many fields, no `Event-Name`.
    pub fn from_plain(body: &[u8]) -> Result<Self, MessageError> {
        Self::from_fields(plain::event(body)?)
    }

    pub(super) fn from_fields((fields, lossy_utf8): (Fields, bool)) -> Result<Self, MessageError> {
        let name = EventName::parse(fields.text("Event-Name").ok_or(MessageError::NoEventName)?);
        Ok(Self { name, fields, lossy_utf8 })
    }

    /// Its name; `None` for one that is not in our table ([`Self::name_text`] has it).
    pub fn name(&self) -> Option<EventName> {
        self.name
    }

    /// Its name as it came.
    pub fn name_text(&self) -> &str {
        self.text("Event-Name").unwrap_or_default()
    }

    /// Some bytes were not UTF-8 and became U+FFFD, as with a caller name in Latin-1. What was replaced must not be sent
    /// back as an identifier; `Unique-ID` and times are not affected.
    pub fn lossy_utf8(&self) -> bool {
        self.lossy_utf8
    }

    /// Every field.
    pub fn fields(&self) -> &Fields {
        &self.fields
    }

    /// A field's text: `Some("")` when it is empty (JSON only), `None` when it is absent or an array. Of several fields
    /// of one name the first is meant; letters match in either case.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.fields.text(name)
    }

    /// A channel variable's text: the field `variable_` + `name`. As [`Self::text`].
    pub fn variable(&self, name: &str) -> Option<&str> {
        match self.fields.value("variable_", name)? {
            Value::Text(text) => Some(text),
            Value::Array(_) => None,
        }
    }

    /// The elements of a field that is an array; `None` for a text.
    pub fn elements(&self, name: &str) -> Option<Elements<'_>> {
        match self.fields.value("", name)? {
            Value::Array(elements) => Some(elements),
            Value::Text(_) => None,
        }
    }

    /// The event's own body: the answer of a `BACKGROUND_JOB`, the text of a message.
    pub fn body(&self) -> Option<&str> {
        self.text("_body")
    }

    /// The channel.
    pub fn unique_id(&self) -> Option<&str> {
        self.filled("Unique-ID")
    }

    /// The channel that it talks to, or was made by or for.
    pub fn other_leg_unique_id(&self) -> Option<&str> {
        self.filled("Other-Leg-Unique-ID")
    }

    /// This run of the switch: changes with every restart.
    pub fn core_uuid(&self) -> Option<&str> {
        self.filled("Core-UUID")
    }

    /// The id of the `bgapi` that this answers.
    pub fn job_uuid(&self) -> Option<&str> {
        self.filled("Job-UUID")
    }

    /// What a `BACKGROUND_JOB` answers.
    pub fn job_outcome(&self) -> Outcome<'_> {
        Outcome::of(self.body().unwrap_or_default())
    }

    /// Who called whom; `None` also for a word that is not in the table.
    pub fn call_direction(&self) -> Option<CallDirection> {
        CallDirection::parse(self.text("Call-Direction")?)
    }

    /// Why the channel ended. `None` also for a name that is not in the table.
    pub fn hangup_cause(&self) -> Option<HangupCause> {
        HangupCause::parse(self.text("Hangup-Cause")?)
    }

    /// When the event was made, in microseconds since the epoch.
    ///
    /// # Errors
    /// Not a number of microseconds.
    pub fn date_timestamp_us(&self) -> Result<Option<i64>, FieldError> {
        self.micros("Event-Date-Timestamp")
    }

    /// When the channel came into being, in microseconds since the epoch.
    ///
    /// # Errors
    /// As [`Self::micros`].
    pub fn created_us(&self) -> Result<Option<i64>, FieldError> {
        self.micros("Caller-Channel-Created-Time")
    }

    /// When the channel was answered, in microseconds since the epoch; in every event of a channel from its answer on.
    ///
    /// # Errors
    /// As [`Self::micros`].
    pub fn answered_us(&self) -> Result<Option<i64>, FieldError> {
        self.micros("Caller-Channel-Answered-Time")
    }

    /// When the channel was hung up, in microseconds since the epoch.
    ///
    /// # Errors
    /// As [`Self::micros`].
    pub fn hangup_us(&self) -> Result<Option<i64>, FieldError> {
        self.micros("Caller-Channel-Hangup-Time")
    }

    /// Microseconds since the epoch, or a length in microseconds (`variable_billusec`) where 0 is meant as 0: for those
    /// use [`Self::count`]. Here 0 is how FreeSWITCH writes "not yet", and is absent; so are an empty text and `_undef_`.
    ///
    /// # Errors
    /// Anything but at most [`NUMBER_DIGITS_MAX`] digits.
    pub fn micros(&self, name: &'static str) -> Result<Option<i64>, FieldError> {
        let Some(text) = self.filled(name) else { return Ok(None) };
        let micros = digits(text).and_then(|number| i64::try_from(number).ok());
        let micros = micros.ok_or(FieldError { field: name, expected: "a time in microseconds" })?;
        Ok(Some(micros).filter(|micros| *micros != 0))
    }

    /// A whole number that is not negative: counts, lengths of time (`variable_billusec`).
    ///
    /// # Errors
    /// Anything but at most [`NUMBER_DIGITS_MAX`] digits.
    pub fn count(&self, name: &'static str) -> Result<Option<u64>, FieldError> {
        let Some(text) = self.filled(name) else { return Ok(None) };
        digits(text).map(Some).ok_or(FieldError { field: name, expected: "a count" })
    }

    /// A decimal number in thousandths: `4.50` is 4500 (`variable_rtp_audio_in_mos`, `..._jitter_max_variance`,
    /// `..._quality_percentage`). Digits behind the third are dropped.
    ///
    /// # Errors
    /// Anything but an optional minus, digits, and digits behind a point: `nan` and `inf` included.
    pub fn thousandths(&self, name: &'static str) -> Result<Option<i64>, FieldError> {
        let Some(text) = self.filled(name) else { return Ok(None) };
        thousandths(text).map(Some).ok_or(FieldError { field: name, expected: "a decimal number" })
    }

    /// The text unless it is empty or `_undef_`.
    fn filled(&self, name: &str) -> Option<&str> {
        self.text(name).filter(|text| !text.is_empty() && *text != "_undef_")
    }
}

impl std::fmt::Debug for Event {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Event")
            .field("name", &self.name_text())
            .field("unique_id", &self.unique_id())
            .field("fields", &self.fields)
            .finish_non_exhaustive()
    }
}

fn digits(text: &str) -> Option<u64> {
    let plain = (1..=NUMBER_DIGITS_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

fn thousandths(text: &str) -> Option<i64> {
    let (negative, text) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let (whole, _) = (digits(whole)?, digits(fraction)?);
    let first = fraction.get(..3).unwrap_or(fraction);
    let missing = 3_usize.saturating_sub(first.len());
    let part = (0..missing).try_fold(digits(first)?, |value, _| value.checked_mul(10))?;
    let value = i64::try_from(whole.checked_mul(1_000)?.checked_add(part)?).ok()?;
    Some(if negative { value.saturating_neg() } else { value })
}

#[cfg(test)]
#[path = "event_tests.rs"]
mod tests;
