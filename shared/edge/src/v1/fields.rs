//! The JSON object of a v1 body, with duplicate names detected and each number as it was written.
//!
//! serde_json keeps the last of two equal names and other readers keep the first, so a body with a
//! duplicate name is refused. `serde_with` detects duplicates too, but does not report the name.
//!
//! A number stays text: serde_json would read `10000.0` as a float, and no amount passes through
//! one.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

/// A body of v1.
pub(super) enum Fields {
    /// An object in which every name comes once.
    Object(Body),
    /// An object in which this name comes twice.
    Duplicate(String),
    /// JSON that is no object.
    Other,
}

/// The fields of a v1 body.
#[derive(Debug, PartialEq)]
pub struct Body(BTreeMap<String, Field>);

/// The value of a field, as far as v1 reads one.
#[derive(Debug, PartialEq)]
pub(super) enum Field {
    /// A text.
    Text(String),
    /// A number, as it was written.
    Number(String),
    /// Any other JSON.
    Other,
}

impl Body {
    pub(super) fn get(&self, name: &str) -> Option<&Field> {
        self.0.get(name)
    }
}

impl Field {
    fn read(raw: &RawValue) -> serde_json::Result<Self> {
        Ok(match serde_json::from_str(raw.get())? {
            Value::String(text) => Self::Text(text),
            Value::Number(_) => Self::Number(raw.get().to_owned()),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => Self::Other,
        })
    }
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_any(FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Fields, A::Error> {
        let (mut fields, mut duplicate) = (BTreeMap::new(), None);
        while let Some((name, raw)) = members.next_entry::<String, &RawValue>()? {
            // A raw value may still be malformed: a lone surrogate, or too many brackets.
            let field = Field::read(raw).map_err(|_| Error::custom("malformed value"))?;
            if fields.insert(name.clone(), field).is_some() {
                duplicate = duplicate.or(Some(name));
            }
        }
        Ok(duplicate.map_or(Fields::Object(Body(fields)), Fields::Duplicate))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Fields, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Fields::Other)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Fields, E> {
        Ok(Fields::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Fields, E> {
        Ok(Fields::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Fields, E> {
        Ok(Fields::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Fields, E> {
        Ok(Fields::Other)
    }

    fn visit_str<E>(self, _: &str) -> Result<Fields, E> {
        Ok(Fields::Other)
    }

    fn visit_unit<E>(self) -> Result<Fields, E> {
        Ok(Fields::Other)
    }
}
