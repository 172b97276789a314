//! Event patterns, as EventBridge rules and Lambda's event filters write them.

use serde_json::Value;

/// A pattern that events are matched against.
///
/// Understands nested objects, lists of alternatives, and the operators `prefix`, `suffix`,
/// `anything-but`, `exists`, `equals-ignore-case` and `numeric`.
#[derive(Clone, Debug, PartialEq)]
pub struct Pattern(Value);

/// A pattern that is not one.
#[derive(Debug, thiserror::Error)]
#[error("an event pattern must be a JSON object")]
pub struct PatternError(#[source] Option<serde_json::Error>);

impl Pattern {
    /// Reads a pattern from JSON.
    ///
    /// # Errors
    /// When `json` is not a JSON object.
    pub fn parse(json: &str) -> Result<Self, PatternError> {
        let value = serde_json::from_str(json).map_err(|error| PatternError(Some(error)))?;
        Self::from_value(value)
    }

    /// Takes a pattern that is already parsed.
    ///
    /// # Errors
    /// When `value` is not an object.
    pub fn from_value(value: Value) -> Result<Self, PatternError> {
        if value.is_object() { Ok(Self(value)) } else { Err(PatternError(None)) }
    }

    /// Whether an event matches.
    #[must_use]
    pub fn matches(&self, event: &Value) -> bool {
        matches(&self.0, Some(event))
    }
}

fn matches(pattern: &Value, event: Option<&Value>) -> bool {
    match pattern {
        // Every member must match; one that the event lacks is matched as absent.
        Value::Object(members) => members
            .iter()
            .all(|(key, member)| matches(member, event.and_then(|event| event.get(key)))),
        // One alternative suffices; when the event holds a list, one of its members suffices.
        Value::Array(alternatives) => alternatives.iter().any(|alternative| match event {
            Some(Value::Array(members)) => {
                members.iter().any(|member| accepts(alternative, Some(member)))
            }
            other => accepts(alternative, other),
        }),
        other => event == Some(other),
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
        "numeric" => event.and_then(number).is_some_and(|event| within(operand, event)),
        _ => false,
    })
}

/// `DynamoDB` numbers are strings on the wire, and filters may compare them all the same.
fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.parse().ok())
}

fn within(bounds: &Value, event: f64) -> bool {
    let bounds = bounds.as_array().map(Vec::as_slice).unwrap_or_default();
    !bounds.is_empty()
        && bounds.chunks(2).all(|bound| match bound {
            [Value::String(sign), limit] => {
                number(limit).is_some_and(|limit| match sign.as_str() {
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
        assert!(holds(json!({ "eventName": ["INSERT", "MODIFY"] }), &event));
        assert!(!holds(json!({ "eventName": ["REMOVE"] }), &event));
        assert!(holds(image(json!({ "status": { "S": ["PENDING"] } })), &event));
        assert!(!holds(image(json!({ "status": { "S": ["SUCCESS"] } })), &event));
        assert!(holds(image(json!({ "status": { "S": [{ "prefix": "PEN" }] } })), &event));
        assert!(holds(image(json!({ "gone": [{ "exists": false }] })), &event));
        assert!(!holds(image(json!({ "status": [{ "exists": false }] })), &event));
        assert!(holds(image(json!({ "status": { "S": [{ "anything-but": ["X"] }] } })), &event));
        assert!(holds(
            image(json!({ "n": { "N": [{ "numeric": [">", 11, "<=", 12] }] } })),
            &event
        ));
        assert!(!holds(image(json!({ "n": { "N": [{ "numeric": [">", 12] }] } })), &event));
    }
}
