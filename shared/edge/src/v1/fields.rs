//! The JSON object of a v1 body, with duplicate names detected.
//!
//! serde_json keeps the last of two equal names and other readers keep the first, so a body with a
//! duplicate name is refused. `serde_with` detects duplicates too, but does not report the name.

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// A body of v1.
pub(super) enum Fields {
    /// An object in which every name comes once.
    Object(Map<String, Value>),
    /// An object in which this name comes twice.
    Duplicate(String),
    /// JSON that is no object.
    Other,
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
        let (mut fields, mut duplicate) = (Map::new(), None);
        while let Some((name, value)) = members.next_entry::<String, Value>()? {
            if fields.insert(name.clone(), value).is_some() {
                duplicate = duplicate.or(Some(name));
            }
        }
        Ok(duplicate.map_or(Fields::Object(fields), Fields::Duplicate))
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
