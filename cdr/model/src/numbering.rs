//! What the numbering plan says of an E.164 number: kind, country, country code. From libphonenumber's metadata, by
//! `rlibphonenumber` with the small regex engine (all the world's rules in 11 MB; the fast engine needs 146 MB for
//! them). Ten to twenty microseconds a number: done once a call, where records go to the journal, never in the call machine, and
//! remembered ([`KnownNumbers`]), for who called once calls again.
//!
//! What is not known is absent: short codes and emergency numbers have no `+` and are not looked at, numbers that may
//! be fixed or mobile have no type, numbers of no country (+800, satellites) have a calling code only. No city: there
//! is no maintained source for it.

mod known;

use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumberType};
use types::Number;

use crate::{CallRecord, Location, NumberType};

pub use known::KnownNumbers;

/// What the numbering plan says of both parties of a call; the same for all its records.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parties {
    calling: Option<Numbering>,
    called: Option<Numbering>,
}

/// What the numbering plan says of a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Numbering {
    /// Its kind; absent when the plan does not tell.
    pub number_type: Option<NumberType>,
    /// Its country and country code.
    pub location: Location,
}

impl Parties {
    /// Looks both parties of the record up.
    pub fn of(record: &CallRecord) -> Self {
        Self::found(record, look_up)
    }

    fn found(record: &CallRecord, mut look_up: impl FnMut(&Number) -> Option<Numbering>) -> Self {
        Self {
            calling: record.calling_party.number.as_ref().and_then(&mut look_up),
            called: record.called_party.number.as_ref().and_then(&mut look_up),
        }
    }

    /// Writes what was found into the record.
    pub fn describe(&self, record: &mut CallRecord) {
        if let Some(calling) = &self.calling {
            record.calling_party.number_type = calling.number_type;
            record.calling_party.location = Some(calling.location.clone());
        }
        if let Some(called) = &self.called {
            record.called_party.number_type = called.number_type;
            record.called_party.location = Some(called.location.clone());
        }
        record.called_party.international = self.international();
    }

    /// Numbers of no country are international for everybody.
    fn international(&self) -> Option<bool> {
        let (calling, called) = (&self.calling.as_ref()?.location, &self.called.as_ref()?.location);
        if calling.calling_code != called.calling_code {
            return Some(true);
        }
        let (from, to) = (calling.country.as_ref()?, called.country.as_ref()?);
        Some(from != to)
    }
}

/// Looks a normalised number up; `None` for what is not `+` and digits, and for what no plan has.
pub fn look_up(number: &Number) -> Option<Numbering> {
    let text = number.expose();
    let digits = text.strip_prefix('+')?;
    if !(2..=MAX_E164_DIGITS).contains(&digits.len()) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let parsed = PHONE_NUMBER_UTIL.parse(text, None).ok()?;
    let country = parsed.get_region_code().map(|region| region.to_string()).filter(|region| region != NO_COUNTRY);
    let number_type = match parsed.get_type() {
        PhoneNumberType::Mobile => Some(NumberType::Mobile),
        PhoneNumberType::FixedLine => Some(NumberType::Landline),
        PhoneNumberType::VoIP => Some(NumberType::Voip),
        PhoneNumberType::TollFree => Some(NumberType::TollFree),
        PhoneNumberType::PremiumRate => Some(NumberType::PremiumRate),
        PhoneNumberType::SharedCost => Some(NumberType::SharedCost),
        PhoneNumberType::PersonalNumber => Some(NumberType::Personal),
        PhoneNumberType::Pager => Some(NumberType::Pager),
        PhoneNumberType::UAN => Some(NumberType::UniversalAccess),
        PhoneNumberType::VoiceMail => Some(NumberType::Voicemail),
        PhoneNumberType::FixedLineOrMobile | PhoneNumberType::Unknown => None,
    };
    let location = Location {
        country: country.map(Into::into),
        calling_code: u16::try_from(parsed.country_code).ok(),
        ..Location::default()
    };
    Some(Numbering { number_type, location })
}

/// Reads the metadata in (some milliseconds), so that the first call does not pay for it.
pub fn load() {
    std::sync::LazyLock::force(&PHONE_NUMBER_UTIL);
}

/// ITU-T E.164 section 6.
const MAX_E164_DIGITS: usize = 15;

/// The region that libphonenumber gives to numbers of no country.
const NO_COUNTRY: &str = "001";

#[cfg(test)]
mod tests;
