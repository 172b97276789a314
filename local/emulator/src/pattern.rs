//! Event patterns of EventBridge rules and of Lambda's event filters.

use serde_json::Value;

/// The operators that a leaf of a pattern may use.
const OPERATORS: [&str; 6] =
    ["exists", "prefix", "suffix", "equals-ignore-case", "anything-but", "numeric"];

/// A pattern that events are matched against.
///
/// It follows AWS's documentation:
/// * objects are matched member by member, and every member must match;
/// * a leaf is an array of alternatives, and one of them must match;
/// * a leaf matches scalar values only. An object has no value of its own, so for
///   `{"NewImage":{"draws":{"M":[{"exists":true}]}}}` the map is absent and nothing matches;
/// * where the event has an array, one of its members must match;
/// * `numeric` compares JSON numbers. Numbers of a `DynamoDB` record are strings: no match.
#[derive(Clone, Debug, PartialEq)]
pub struct Pattern(Value);

/// A pattern that AWS refuses, or that this emulator does not support.
#[derive(Debug, thiserror::Error)]
pub enum PatternError {
    /// The text is not JSON.
    #[error("the event pattern is not JSON")]
    Json(#[source] serde_json::Error),
    /// The pattern is not a JSON object.
    #[error("the event pattern is not a JSON object")]
    NotAnObject,
    /// A leaf is not an array.
    #[error("the event pattern has a leaf that is not an array: {0}")]
    Leaf(String),
    /// A leaf uses an unknown operator.
    #[error("the event pattern uses an operator that is not supported: {0}")]
    Operator(String),
}

impl Pattern {
    /// Parses a pattern from JSON.
    ///
    /// # Errors
    /// [`PatternError`].
    pub fn parse(json: &str) -> Result<Self, PatternError> {
        Self::from_value(serde_json::from_str(json).map_err(PatternError::Json)?)
    }

    /// Makes a pattern from parsed JSON.
    ///
    /// # Errors
    /// [`PatternError`].
    pub fn from_value(value: Value) -> Result<Self, PatternError> {
        if !value.is_object() {
            return Err(PatternError::NotAnObject);
        }
        check(&value)?;
        Ok(Self(value))
    }

    /// Whether an event matches.
    #[must_use]
    pub fn matches(&self, event: &Value) -> bool {
        matches(&self.0, Some(event))
    }
}

fn check(pattern: &Value) -> Result<(), PatternError> {
    match pattern {
        Value::Object(members) => members.values().try_for_each(check),
        Value::Array(alternatives) => {
            let operators = alternatives.iter().filter_map(Value::as_object);
            let mut names = operators.flat_map(|operators| operators.keys());
            match names.find(|name| !OPERATORS.contains(&name.as_str())) {
                Some(name) => Err(PatternError::Operator(name.clone())),
                None => Ok(()),
            }
        }
        other => Err(PatternError::Leaf(other.to_string())),
    }
}

fn matches(pattern: &Value, event: Option<&Value>) -> bool {
    match (pattern, event) {
        (_, Some(Value::Array(members))) if !members.is_empty() => {
            members.iter().any(|member| matches(pattern, Some(member)))
        }
        (Value::Object(members), _) => members
            .iter()
            .all(|(key, member)| matches(member, event.and_then(|event| event.get(key)))),
        (Value::Array(alternatives), _) => {
            let scalar = event.filter(|event| !event.is_object() && !event.is_array());
            alternatives.iter().any(|alternative| accepts(alternative, scalar))
        }
        // `check` refuses every other leaf.
        _ => false,
    }
}

fn accepts(alternative: &Value, event: Option<&Value>) -> bool {
    let Value::Object(operators) = alternative else { return event == Some(alternative) };
    let text = event.and_then(Value::as_str);
    operators.iter().all(|(operator, operand)| match operator.as_str() {
        "exists" => operand.as_bool() == Some(event.is_some()),
        "prefix" => text.zip(operand.as_str()).is_some_and(|(text, part)| text.starts_with(part)),
        "suffix" => text.zip(operand.as_str()).is_some_and(|(text, part)| text.ends_with(part)),
        "equals-ignore-case" => {
            text.zip(operand.as_str()).is_some_and(|(text, other)| text.eq_ignore_ascii_case(other))
        }
        "anything-but" => match operand {
            Value::Array(refused) => event.is_some_and(|event| !refused.contains(event)),
            Value::Object(_) => event.is_some() && !accepts(operand, event),
            refused => event.is_some_and(|event| event != refused),
        },
        "numeric" => event.and_then(Value::as_f64).is_some_and(|event| within(operand, event)),
        _ => false,
    })
}

fn within(bounds: &Value, event: f64) -> bool {
    let bounds = bounds.as_array().map(Vec::as_slice).unwrap_or_default();
    !bounds.is_empty()
        && bounds.chunks(2).all(|bound| match bound {
            [Value::String(sign), limit] => {
                limit.as_f64().is_some_and(|limit| match sign.as_str() {
                    "=" => (event - limit).abs() < f64::EPSILON,
                    "<" => event < limit,
                    "<=" => event <= limit,
                    ">" => event > limit,
                    ">=" => event >= limit,
                    _ => false,
                })
            }
            _ => false,
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn holds(pattern: Value, event: &Value) -> bool {
        Pattern::from_value(pattern).unwrap().matches(event)
    }

    #[test]
    fn a_pattern_matches_like_a_stream_filter() {
        let event = json!({
            "eventName": "INSERT",
            "dynamodb": { "NewImage": { "status": { "S": "PENDING" }, "n": { "N": "12" } } }
        });
        let image = |member: Value| json!({ "dynamodb": { "NewImage": member } });
        for (pattern, expected) in [
            (json!({ "eventName": ["INSERT", "MODIFY"] }), true),
            (json!({ "eventName": ["REMOVE"] }), false),
            (image(json!({ "status": { "S": ["PENDING"] } })), true),
            (image(json!({ "status": { "S": ["SUCCESS"] } })), false),
            (image(json!({ "status": { "S": [{ "prefix": "PEN" }] } })), true),
            (image(json!({ "status": { "S": [{ "exists": true }] } })), true),
            (image(json!({ "gone": { "S": [{ "exists": false }] } })), true),
            (image(json!({ "status": { "S": [{ "exists": false }] } })), false),
            (image(json!({ "status": { "S": [{ "anything-but": ["X"] }] } })), true),
            (image(json!({ "n": { "N": ["12"] } })), true),
            // The record has a string, and `numeric` takes JSON numbers only.
            (image(json!({ "n": { "N": [{ "numeric": [">", 11] }] } })), false),
        ] {
            assert_eq!(holds(pattern.clone(), &event), expected, "{pattern}");
        }
    }

    #[test]
    fn exists_finds_scalar_values_only() {
        let event = json!({ "dynamodb": { "NewImage": {
            "draws": { "M": { "member": { "N": "7" } } },
            "names": { "L": [{ "S": "a" }, { "N": "1" }] },
            "none": { "L": [] },
            "bucket": { "N": "0" },
        } } });
        let image = |member: Value| json!({ "dynamodb": { "NewImage": member } });
        for (pattern, expected) in [
            // A map is not a leaf: `exists` takes it for absent.
            (json!({ "draws": { "M": [{ "exists": true }] } }), false),
            (json!({ "draws": { "M": [{ "exists": false }] } }), true),
            (json!({ "draws": [{ "exists": true }] }), false),
            // The way that works: a scalar attribute of the same items.
            (json!({ "bucket": { "N": [{ "exists": true }] } }), true),
            // A pattern looks through arrays, as AWS's own example does.
            (json!({ "names": { "L": { "S": [{ "exists": true }] } } }), true),
            (json!({ "names": { "L": { "B": [{ "exists": true }] } } }), false),
            (json!({ "none": { "L": [{ "exists": true }] } }), false),
        ] {
            assert_eq!(holds(image(pattern.clone()), &event), expected, "{pattern}");
        }
    }

    #[test]
    fn numeric_compares_json_numbers() {
        let event = json!({ "detail": { "price": 12 } });
        let price = |bounds: Value| json!({ "detail": { "price": [{ "numeric": bounds }] } });
        assert!(holds(price(json!([">", 11, "<=", 12])), &event));
        assert!(!holds(price(json!([">", 12])), &event));
    }

    #[test]
    fn a_pattern_that_could_never_match_is_refused() {
        let refused = |json: &str| Pattern::parse(json).unwrap_err();
        assert!(matches!(refused("no"), PatternError::Json(_)));
        assert!(matches!(refused("[]"), PatternError::NotAnObject));
        assert!(matches!(refused(r#"{"source":"x"}"#), PatternError::Leaf(_)));
        let operator = refused(r#"{"source":[{"begins":"x"}]}"#);
        assert!(matches!(operator, PatternError::Operator(name) if name == "begins"));
    }
}
