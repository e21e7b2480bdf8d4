//! The JSON Schema, made from the types; only tests need it, the file in docs/reference is what ships.
//!
//! It says what a record of this version has, and lets through what a newer minor version may add: properties, and words
//! of optional enumerations.

use std::borrow::Cow;
use std::marker::PhantomData;

use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{DeserializeOwned, Visitor};
use serde::{Deserializer, forward_to_deserialize_any};
use serde_json::Value;

use crate::{CallRecord, Decimal, Degrees, SchemaVersion};

#[cfg(test)]
mod tests;

/// A text without rules.
pub(crate) type Text = String;

/// ISO 8601 UTC.
pub(crate) struct Time;
/// A decimal amount of money.
pub(crate) struct Amount;
/// ISO 4217.
pub(crate) struct CurrencyCode;
/// A word of an enumeration that is closed within a major version.
pub(crate) struct Word<T>(PhantomData<T>);
/// A word of an enumeration to which a minor version may add.
pub(crate) struct NewerWord<T>(PhantomData<T>);

macro_rules! schema_of {
    ($(($($generic:tt)*) $type:ty, $name:literal => $schema:expr;)*) => {
        $(impl<$($generic)*> JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                let schema: Value = $schema;
                schema.try_into().expect("an object")
            }
        })*
    };
}

schema_of! {
    () Time, "Time" => text(r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z$");
    () Amount, "Amount" => text(r"^-?(0|[1-9][0-9]*)(\.[0-9]{1,9})?$");
    () CurrencyCode, "Currency" => text("^[A-Z]{3}$");
    () SchemaVersion, "SchemaVersion" => text(&format!("^{}\\.(0|[1-9][0-9]*)$", Self::CURRENT.major));
    () Degrees, "Degrees" => json_schema!({ "type": "number", "minimum": -180, "maximum": 180 }).to_value();
    (const PLACES: u32) Decimal<PLACES>, "Decimal" => json_schema!({ "type": "number", "minimum": 0 }).to_value();
    (T: DeserializeOwned) Word<T>, "Word" => json_schema!({ "type": "string", "enum": words::<T>() }).to_value();
    (T: DeserializeOwned) NewerWord<T>, "NewerWord" => json_schema!({
        "type": "string",
        "anyOf": [
            { "enum": words::<T>() },
            { "pattern": "^[A-Z][A-Z0-9_]*$", "description": "Of a newer minor version: take it as absent." },
        ],
    }).to_value();
}

fn text(pattern: &str) -> Value {
    json_schema!({ "type": "string", "pattern": pattern }).to_value()
}

/// The schema as it ships.
pub(crate) fn generated() -> String {
    let settings = SchemaSettings::draft2020_12().for_serialize().with_transform(RecursiveTransform(tidy));
    let mut schema = settings.into_generator().into_root_schema_for::<CallRecord>().to_value();
    let fields = schema.as_object_mut().expect("an object");
    let SchemaVersion { major, minor } = SchemaVersion::CURRENT;
    fields.insert("$id".into(), format!("urn:tollkeeper:call-record:{major}.{minor}").into());
    fields.insert("title".into(), format!("tollkeeper call record {major}.{minor}").into());
    format!("{}\n", serde_json::to_string_pretty(&schema).expect("encodes"))
}

/// What is unknown is absent, so null is nowhere; and a description is one line.
fn tidy(schema: &mut Schema) {
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = &types[..] {
            let only = only.clone();
            schema.insert("type".into(), only);
        }
    }
    if let Some(Value::Array(choices)) = schema.get_mut("anyOf") {
        choices.retain(|choice| choice.get("type") != Some(&"null".into()));
        if let [Value::Object(only)] = &choices[..] {
            let only = only.clone();
            schema.remove("anyOf");
            for (key, value) in only {
                schema.insert(key, value);
            }
        }
    }
    schema.remove("default");
    if let Some(Value::String(description)) = schema.get_mut("description") {
        *description = description.replace('\n', " ");
    }
}

/// The words that an enumeration is read from, as serde's derive lists them.
fn words<T: DeserializeOwned>() -> Vec<&'static str> {
    let mut words = Vec::new();
    T::deserialize(Variants(&mut words)).err().expect("nothing to read");
    words
}

/// Reads nothing; takes down the variants that it is asked for.
struct Variants<'a>(&'a mut Vec<&'static str>);

impl<'de> Deserializer<'de> for Variants<'_> {
    type Error = serde::de::value::Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Self::Error> {
        Err(serde::de::Error::custom("not an enumeration"))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Self::Error> {
        self.0.extend(variants);
        Err(serde::de::Error::custom("only looking"))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}
