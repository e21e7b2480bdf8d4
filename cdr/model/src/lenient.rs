//! Words of optional enumerations that a newer release may write: one that this release does not know is absent to it.

use std::borrow::Cow;

use serde::de::IntoDeserializer;
use serde::de::value::{Error, StrDeserializer};
use serde::{Deserialize, Deserializer};

pub(crate) fn word<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: for<'word> Deserialize<'word>,
{
    let text = Option::<Cow<'de, str>>::deserialize(deserializer)?;
    Ok(text.and_then(|text| {
        let word: StrDeserializer<'_, Error> = (*text).into_deserializer();
        T::deserialize(word).ok()
    }))
}
