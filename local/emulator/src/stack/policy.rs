//! The permissions of a function: the statements of its own policies or of its role.

use serde_json::{Map, Value};

use super::resolve::{Names, missing};
use super::{Permission, StackError};

/// The permissions of a function.
pub(super) fn of(
    id: &str,
    function: &Value,
    resources: &Map<String, Value>,
    known: &Names,
) -> Result<Vec<Permission>, StackError> {
    let own = function["Policies"].as_array().into_iter().flatten();
    // `!GetAtt Role.Arn` names a role of this template; the policies of another are unknown.
    let role = function["Role"]["Fn::GetAtt"].as_str();
    let role = role.and_then(|path| resources.get(path.trim_end_matches(".Arn")));
    let roles = role.and_then(|role| role["Properties"]["Policies"].as_array());
    let roles = roles.into_iter().flatten().map(|policy| &policy["PolicyDocument"]);
    let mut permissions = Vec::new();
    for document in own.chain(roles) {
        let statements = document["Statement"].as_array();
        for statement in statements.ok_or_else(|| missing(id, "Policies.Statement"))? {
            // The template has no Deny; an unknown effect must not count as allowed.
            if statement["Effect"] != "Allow" {
                return Err(missing(id, "Policies.Statement.Effect"));
            }
            let limits = limits(&statement["Condition"])
                .ok_or_else(|| missing(id, "Policies.Statement.Condition"))?;
            for resource in list(&statement["Resource"]) {
                let resource = name_of(resource, id, known);
                for action in list(&statement["Action"]).into_iter().filter_map(Value::as_str) {
                    permissions.extend(limits.iter().map(|(keys, attribute)| Permission {
                        action: action.to_owned(),
                        resource: resource.clone(),
                        keys: keys.clone(),
                        attribute: attribute.clone(),
                    }));
                }
            }
        }
    }
    Ok(permissions)
}

/// The patterns of partition keys and the attributes that a statement is limited to, each pair of
/// them; `None` when the condition is one that this module does not know: it must not count as none.
fn limits(condition: &Value) -> Option<Vec<(Option<String>, Option<String>)>> {
    let (mut keys, mut attributes) = (vec![None], vec![None]);
    for (operator, clauses) in condition.as_object().into_iter().flatten() {
        for (key, values) in clauses.as_object()? {
            let values = list(values).into_iter().map(|value| value.as_str().map(str::to_owned));
            let values: Vec<Option<String>> = values.collect();
            let is_text = !values.is_empty() && values.iter().all(Option::is_some);
            match (operator.as_str(), key.as_str()) {
                ("ForAllValues:StringLike", "dynamodb:LeadingKeys") if is_text => keys = values,
                ("ForAllValues:StringEquals", "dynamodb:Attributes") if is_text => {
                    attributes = values;
                }
                // Without it an update of some attributes may be answered with all of them.
                ("StringEqualsIfExists", "dynamodb:ReturnValues") if is_text => {}
                _ => return None,
            }
        }
    }
    let pair = |keys: &Option<String>| {
        let keys = keys.clone();
        attributes.iter().map(move |attribute| (keys.clone(), attribute.clone()))
    };
    Some(keys.iter().flat_map(pair).collect())
}

/// One value, or each of several.
fn list(value: &Value) -> Vec<&Value> {
    value.as_array().map_or_else(|| vec![value], |values| values.iter().collect())
}

/// The local ARN, or the reference in the template for resources that the emulator does not have.
fn name_of(resource: &Value, id: &str, known: &Names) -> String {
    let resolved = known.resolve(resource, id).unwrap_or_else(|_| resource["Fn::GetAtt"].clone());
    resolved.as_str().unwrap_or_default().to_owned()
}
