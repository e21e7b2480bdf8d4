//! Octets written and read at once. In the log and in snapshots they are the same as a list of numbers, one octet each, which is what
//! earlier releases wrote them as; one by one they take many times as long.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Error, Visitor};
use serde::{Deserializer, Serializer};

pub(crate) fn serialize<T: AsRef<[u8]>, S: Serializer>(octets: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bytes(octets.as_ref())
}

pub(crate) fn deserialize<'de, T: From<Vec<u8>>, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    deserializer.deserialize_byte_buf(Octets(PhantomData))
}

struct Octets<T>(PhantomData<T>);

impl<T: From<Vec<u8>>> Visitor<'_> for Octets<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("octets")
    }

    fn visit_bytes<E: Error>(self, octets: &[u8]) -> Result<T, E> {
        Ok(octets.to_vec().into())
    }

    fn visit_byte_buf<E: Error>(self, octets: Vec<u8>) -> Result<T, E> {
        Ok(octets.into())
    }
}

/// The same for octets that may be absent.
pub(crate) mod optional {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize)]
    #[serde(transparent)]
    struct Written<'o>(#[serde(serialize_with = "super::serialize")] &'o [u8]);

    #[derive(Deserialize)]
    #[serde(transparent)]
    struct Read(#[serde(deserialize_with = "super::deserialize")] Vec<u8>);

    pub(crate) fn serialize<S: Serializer>(octets: &Option<Vec<u8>>, serializer: S) -> Result<S::Ok, S::Error> {
        octets.as_deref().map(Written).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<u8>>, D::Error> {
        Ok(Option::deserialize(deserializer)?.map(|Read(octets)| octets))
    }
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    use crate::packed::pack;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct AsOctets {
        #[serde(with = "super")]
        always: Box<[u8]>,
        #[serde(with = "super::optional")]
        sometimes: Option<Vec<u8>>,
    }

    #[derive(Serialize)]
    struct AsList {
        always: Box<[u8]>,
        sometimes: Option<Vec<u8>>,
    }

    #[test]
    fn they_are_written_as_a_list_of_numbers_is() {
        for sometimes in [None, Some(vec![]), Some((0..=255).collect::<Vec<u8>>())] {
            let always: Box<[u8]> = sometimes.clone().unwrap_or(vec![7]).into();
            let mut list = Vec::new();
            pack(&AsList { always: always.clone(), sometimes: sometimes.clone() }, &mut list).expect("packed");
            let octets = AsOctets { always, sometimes };
            let mut written = Vec::new();
            pack(&octets, &mut written).expect("packed");
            assert_eq!(written, list);
            assert_eq!(postcard::from_bytes::<AsOctets>(&list), Ok(octets));
        }
    }
}
