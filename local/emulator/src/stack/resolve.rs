//! Turns YAML with CloudFormation's tags into plain JSON with local names.

use std::collections::BTreeMap;

use saphyr::{LoadableYamlNode, Scalar, Yaml};
use serde_json::{Map, Value, json};

use super::StackError;
use crate::names;

/// The values of references.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// The values of `!Ref`: parameters and resources by name.
    pub(super) refs: BTreeMap<String, Value>,
    /// The values of `!GetAtt`, by `Resource.Attribute`.
    pub(super) attributes: BTreeMap<String, String>,
}

/// Reads YAML. A tag becomes its long form: `!Ref x` becomes `{"Ref": x}`, `!Sub x` becomes
/// `{"Fn::Sub": x}`.
pub(super) fn read(text: &str) -> Result<Value, StackError> {
    let documents = Yaml::load_from_str(text).map_err(StackError::Yaml)?;
    documents.first().map(to_json).ok_or(StackError::NoResources)
}

fn to_json(yaml: &Yaml<'_>) -> Value {
    match yaml {
        Yaml::Value(scalar) => match scalar {
            Scalar::Boolean(value) => json!(value),
            Scalar::Integer(value) => json!(value),
            Scalar::FloatingPoint(value) => json!(value.into_inner()),
            Scalar::String(value) => json!(value),
            Scalar::Null => Value::Null,
        },
        Yaml::Sequence(members) => Value::Array(members.iter().map(to_json).collect()),
        Yaml::Mapping(members) => {
            let member = |(key, value): (&Yaml<'_>, &Yaml<'_>)| (key_of(key), to_json(value));
            Value::Object(members.iter().map(member).collect())
        }
        Yaml::Tagged(tag, inner) => {
            let name = match tag.suffix.as_str() {
                "Ref" | "Condition" => tag.suffix.clone(),
                other => format!("Fn::{other}"),
            };
            json!({ name: to_json(inner) })
        }
        Yaml::Representation(text, ..) => json!(text),
        _ => Value::Null,
    }
}

fn key_of(key: &Yaml<'_>) -> String {
    match to_json(key) {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

impl Names {
    /// Replaces every intrinsic function in `value` by its result.
    pub(super) fn resolve(&self, value: &Value, place: &str) -> Result<Value, StackError> {
        match value {
            Value::Array(members) => {
                let members = members.iter().map(|member| self.resolve(member, place));
                members.collect::<Result<Vec<_>, _>>().map(Value::Array)
            }
            Value::Object(members) => {
                if let Some((name, operand)) = intrinsic(members) {
                    return self.apply(name, operand, place);
                }
                let member = |(key, member): (&String, &Value)| {
                    Ok((key.clone(), self.resolve(member, place)?))
                };
                members.iter().map(member).collect::<Result<Map<_, _>, _>>().map(Value::Object)
            }
            other => Ok(other.clone()),
        }
    }

    fn apply(&self, name: &str, operand: &Value, place: &str) -> Result<Value, StackError> {
        let unresolved = || StackError::Unresolved {
            place: place.to_owned(),
            what: format!("{name} {operand}"),
        };
        match (name, operand) {
            ("Ref", Value::String(target)) => self.reference(target).ok_or_else(unresolved),
            ("Fn::GetAtt", Value::String(path)) => {
                self.attributes.get(path).map(|found| json!(found)).ok_or_else(unresolved)
            }
            ("Fn::GetAtt", Value::Array(parts)) => {
                let parts: Vec<&str> = parts.iter().filter_map(Value::as_str).collect();
                let path = parts.join(".");
                self.attributes.get(&path).map(|found| json!(found)).ok_or_else(unresolved)
            }
            ("Fn::Sub", Value::String(text)) => {
                self.substitute(text).map(|text| json!(text)).ok_or_else(unresolved)
            }
            ("Fn::Join", Value::Array(parts)) => {
                let separator = parts.first().and_then(Value::as_str).ok_or_else(unresolved)?;
                let members = self.resolve(parts.get(1).unwrap_or(&Value::Null), place)?;
                let members = members.as_array().ok_or_else(unresolved)?;
                let texts: Vec<&str> = members.iter().filter_map(Value::as_str).collect();
                Ok(json!(texts.join(separator)))
            }
            _ => Err(unresolved()),
        }
    }

    fn reference(&self, target: &str) -> Option<Value> {
        let pseudo = match target {
            "AWS::StackName" => names::STACK_NAME,
            "AWS::Region" => names::REGION,
            "AWS::AccountId" => names::ACCOUNT,
            "AWS::Partition" => "aws",
            "AWS::URLSuffix" => "amazonaws.com",
            _ => return self.refs.get(target).cloned(),
        };
        Some(json!(pseudo))
    }

    /// `${Name}`, `${Name.Attribute}`; `${!Literal}` stays a literal.
    fn substitute(&self, text: &str) -> Option<String> {
        let mut pieces = text.split("${");
        let mut result = pieces.next()?.to_owned();
        for piece in pieces {
            let (name, rest) = piece.split_once('}')?;
            if let Some(literal) = name.strip_prefix('!') {
                result.push_str(&format!("${{{literal}}}"));
            } else if let Some(found) = self.attributes.get(name) {
                result.push_str(found);
            } else {
                result.push_str(&plain(&self.reference(name)?));
            }
            result.push_str(rest);
        }
        Some(result)
    }
}

/// A scalar as CloudFormation's text.
pub(super) fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned)
}

fn intrinsic(members: &Map<String, Value>) -> Option<(&str, &Value)> {
    let (name, operand) = members.iter().next()?;
    let is_one = members.len() == 1 && (name == "Ref" || name.starts_with("Fn::"));
    is_one.then_some((name.as_str(), operand))
}

/// The parts of a function that the emulator uses.
pub(super) fn environment_and_timeout(function: &Value) -> Value {
    json!({ "Environment": function["Environment"], "Timeout": function["Timeout"] })
}

/// A property that is missing, or that the emulator cannot read.
pub(super) fn missing(place: &str, property: &str) -> StackError {
    StackError::Property { place: place.to_owned(), property: property.to_owned() }
}
