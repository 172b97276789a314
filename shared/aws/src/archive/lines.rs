//! An item as a line: `{"Item":{...}}` in DynamoDB JSON, with its attributes by name, so that the
//! same item is always the same line.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue as Av;
use largesse_app::ports::PortResult;
use serde_dynamo::AttributeValue as JsonValue;
use serde_json::{Map, Value};

use crate::errors::corrupt;
use crate::image::item_of;
use crate::item::Item;

/// The name around the item, as DynamoDB's export writes it (Amazon DynamoDB Developer Guide,
/// "DynamoDB table export output format").
const ITEM: &str = "Item";

/// The line of an item, without its end.
///
/// # Errors
/// `Corrupt` for an attribute of a type that DynamoDB adds later.
pub(crate) fn line_of(item: &Item) -> PortResult<String> {
    let mut line = Map::new();
    line.insert(ITEM.to_owned(), sorted(item)?);
    serde_json::to_string(&Value::Object(line)).map_err(|_| corrupt("archived line"))
}

/// The item of a line.
///
/// # Errors
/// `Corrupt`.
pub(crate) fn item_of_line(line: &str) -> PortResult<Item> {
    let read = serde_json::from_str::<HashMap<String, HashMap<String, JsonValue>>>(line);
    let mut read = read.map_err(|_| corrupt("archived line"))?;
    match read.remove(ITEM) {
        Some(item) if read.is_empty() => Ok(item_of(item)),
        _ => Err(corrupt("archived line")),
    }
}

/// Attributes by name: a hash map has another order in each process.
fn sorted(item: &Item) -> PortResult<Value> {
    let mut names: Vec<&String> = item.keys().collect();
    names.sort_unstable();
    let mut map = Map::new();
    for name in names {
        let value = item.get(name).ok_or_else(|| corrupt("archived item"))?;
        map.insert(name.clone(), json_of(value)?);
    }
    Ok(Value::Object(map))
}

fn json_of(value: &Av) -> PortResult<Value> {
    let leaf = match value {
        Av::M(map) => return Ok(named("M", sorted(map)?)),
        Av::L(list) => {
            let list = list.iter().map(json_of).collect::<PortResult<Vec<_>>>()?;
            return Ok(named("L", Value::Array(list)));
        }
        Av::S(text) => JsonValue::S(text.clone()),
        Av::N(number) => JsonValue::N(number.clone()),
        Av::B(bytes) => JsonValue::B(bytes.as_ref().to_vec()),
        Av::Bool(flag) => JsonValue::Bool(*flag),
        Av::Null(flag) => JsonValue::Null(*flag),
        Av::Ss(texts) => JsonValue::Ss(by_order(texts)),
        Av::Ns(numbers) => JsonValue::Ns(by_order(numbers)),
        Av::Bs(blobs) => {
            let mut blobs: Vec<_> = blobs.iter().map(|blob| blob.as_ref().to_vec()).collect();
            blobs.sort_unstable();
            JsonValue::Bs(blobs)
        }
        _ => return Err(corrupt("archived item")),
    };
    serde_json::to_value(&leaf).map_err(|_| corrupt("archived item"))
}

/// A set has no order of its own.
fn by_order(texts: &[String]) -> Vec<String> {
    let mut texts = texts.to_vec();
    texts.sort_unstable();
    texts
}

fn named(kind: &str, value: Value) -> Value {
    let mut map = Map::new();
    map.insert(kind.to_owned(), value);
    Value::Object(map)
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::primitives::Blob;

    use super::*;
    use crate::item::{item, n, s};

    fn every_type() -> Item {
        let blob = |bytes: &[u8]| Blob::new(bytes.to_vec());
        let deep = Av::M(item([("b", n(-7)), ("a", Av::L(vec![s("x"), Av::Null(true)]))]));
        item([
            ("pk", s("WALLET#\u{d55c}\u{ae00} \"\n\\")),
            ("big", n("99999999999999999999999999999999999999")),
            ("blob", Av::B(blob(&[0, 255, 10, 13]))),
            ("flag", Av::Bool(false)),
            ("map", deep),
            ("texts", Av::Ss(vec!["a".to_owned(), "b".to_owned()])),
            ("numbers", Av::Ns(vec!["1".to_owned(), "2".to_owned()])),
            ("blobs", Av::Bs(vec![blob(b"1"), blob(b"2")])),
        ])
    }

    #[test]
    fn an_item_is_one_line_in_the_json_of_dynamodb_and_reads_back_as_it_was() {
        let line = line_of(&every_type()).unwrap();
        assert!(!line.contains('\n'));
        assert_eq!(item_of_line(&line).unwrap(), every_type());
        let small = item([("seq", n(7)), ("pk", s("WALLET#u")), ("b", Av::B(Blob::new("hi")))]);
        let expected = r#"{"Item":{"b":{"B":"aGk="},"pk":{"S":"WALLET#u"},"seq":{"N":"7"}}}"#;
        assert_eq!(line_of(&small).unwrap(), expected);
    }

    #[test]
    fn a_set_in_another_order_is_the_same_line() {
        let of = |texts: [&str; 2]| {
            let texts = texts.map(str::to_owned).to_vec();
            line_of(&item([("set", Av::Ss(texts))])).unwrap()
        };
        assert_eq!(of(["a", "b"]), of(["b", "a"]));
    }

    #[test]
    fn a_line_that_is_no_item_is_corrupt() {
        let whole = line_of(&every_type()).unwrap();
        let half = &whole[..whole.len() / 2];
        let more = r#"{"Item":{"a":{"S":"b"}},"Other":{}}"#;
        for line in
            ["", "{}", "null", r#"{"Item":{"a":"b"}}"#, r#"{"Item":{"a":{"X":1}}}"#, half, more]
        {
            assert!(item_of_line(line).is_err(), "{line}");
        }
    }
}
