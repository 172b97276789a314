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
            for resource in list(&statement["Resource"]) {
                let resource = name_of(resource, id, known);
                for action in list(&statement["Action"]).into_iter().filter_map(Value::as_str) {
                    let (action, resource) = (action.to_owned(), resource.clone());
                    permissions.push(Permission { action, resource });
                }
            }
        }
    }
    Ok(permissions)
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
