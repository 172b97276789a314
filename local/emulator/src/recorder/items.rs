//! The items that a call to `DynamoDB` names, as the condition keys of IAM see them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::faults::Call;
use crate::names;

/// One item that a call names by its key. A `Query` and a `Scan` name none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ItemAccess {
    /// The operation: that of the call, or the single one that an action of a transaction stands for.
    pub operation: String,
    /// The table's name.
    pub table: String,
    /// The partition key (`dynamodb:LeadingKeys`).
    pub partition_key: String,
    /// The attributes in the key and the expressions of an update (`dynamodb:Attributes`). Empty for
    /// every other operation.
    pub attributes: BTreeSet<String>,
}

/// What stands in expressions and names no attribute.
const WORDS: [&str; 15] = [
    "SET",
    "REMOVE",
    "ADD",
    "DELETE",
    "AND",
    "OR",
    "NOT",
    "IN",
    "BETWEEN",
    "if_not_exists",
    "attribute_exists",
    "attribute_not_exists",
    "attribute_type",
    "begins_with",
    "size",
];

/// The items that a call names, in the order of its request.
pub(crate) fn accesses(
    call: &Call,
    body: &[u8],
    partition_keys: &BTreeMap<String, String>,
) -> Vec<ItemAccess> {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let access = |operation: &str, table: &str, request: &Value| {
        let table = names::last_part(table).to_owned();
        let item = if request["Item"].is_object() { &request["Item"] } else { &request["Key"] };
        let partition_key = item[partition_keys.get(&table)?]["S"].as_str()?.to_owned();
        let is_update = operation == "UpdateItem";
        let attributes = if is_update { attributes(request) } else { BTreeSet::new() };
        Some(ItemAccess { operation: operation.to_owned(), table, partition_key, attributes })
    };
    let mut found = Vec::new();
    for (table, requests) in body["RequestItems"].as_object().into_iter().flatten() {
        // A batch of reads has keys, a batch of writes has requests of one member each.
        for key in requests["Keys"].as_array().into_iter().flatten() {
            found.push(access(&call.operation, table, &serde_json::json!({ "Key": key })));
        }
        let writes = requests.as_array().into_iter().flatten().filter_map(Value::as_object);
        for request in writes.flat_map(|write| write.values()) {
            found.push(access(&call.operation, table, request));
        }
    }
    let transacted = body["TransactItems"].as_array().into_iter().flatten();
    for (kind, request) in transacted.filter_map(Value::as_object).flatten() {
        let table = request["TableName"].as_str().unwrap_or_default();
        found.push(access(&format!("{kind}Item"), table, request));
    }
    if let Some(table) = body["TableName"].as_str() {
        found.push(access(&call.operation, table, &body));
    }
    found.into_iter().flatten().collect()
}

/// The attributes that an update names: those of its key, and those in its expressions.
fn attributes(request: &Value) -> BTreeSet<String> {
    let key = request["Key"].as_object().into_iter().flat_map(|key| key.keys().cloned());
    let mut found: BTreeSet<String> = key.collect();
    for expression in ["UpdateExpression", "ConditionExpression"] {
        let text = request[expression].as_str().unwrap_or_default();
        let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '#' | ':');
        for word in text.split(|c| !is_part(c)) {
            let is_value = word.starts_with(|c: char| c == ':' || c.is_ascii_digit());
            if word.is_empty() || is_value || WORDS.contains(&word) {
                continue;
            }
            let named = request["ExpressionAttributeNames"][word].as_str();
            found.insert(named.unwrap_or(word).to_owned());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::Service;
    use serde_json::json;

    fn found(operation: &str, body: &Value) -> Vec<ItemAccess> {
        let call = Call {
            service: Service::DynamoDb,
            operation: operation.to_owned(),
            resources: Vec::new(),
            actions: Vec::new(),
            index: None,
        };
        let keys = [("t".to_owned(), "pk".to_owned()), ("u".to_owned(), "id".to_owned())];
        accesses(&call, &serde_json::to_vec(body).unwrap(), &keys.into())
    }

    fn item(operation: &str, table: &str, key: &str, attributes: &[&str]) -> ItemAccess {
        ItemAccess {
            operation: operation.to_owned(),
            table: table.to_owned(),
            partition_key: key.to_owned(),
            attributes: attributes.iter().map(|&name| name.to_owned()).collect(),
        }
    }

    #[test]
    fn each_operation_names_its_items() {
        let key = |name: &str| json!({ "pk": { "S": name }, "sk": { "S": "z" } });
        let read = json!({ "TableName": "t", "Key": key("a") });
        assert_eq!(found("GetItem", &read), [item("GetItem", "t", "a", &[])]);
        let put = json!({ "TableName": "u", "Item": { "id": { "S": "b" }, "pk": { "S": "c" } } });
        assert_eq!(found("PutItem", &put), [item("PutItem", "u", "b", &[])]);
        let batch = json!({ "RequestItems": { "t": { "Keys": [key("a"), key("b")] } } });
        let expected = ["a", "b"].map(|name| item("BatchGetItem", "t", name, &[]));
        assert_eq!(found("BatchGetItem", &batch), expected);
        let batch = json!({ "RequestItems": { "t": [{ "PutRequest": { "Item": key("a") } },
            { "DeleteRequest": { "Key": key("b") } }] } });
        let expected = ["a", "b"].map(|name| item("BatchWriteItem", "t", name, &[]));
        assert_eq!(found("BatchWriteItem", &batch), expected);
        let transaction = json!({ "TransactItems": [
            { "Put": { "TableName": "t", "Item": key("a") } },
            { "Update": { "TableName": "t", "Key": { "pk": { "S": "b" } },
                "UpdateExpression": "SET x = :x" } },
        ] });
        let expected = [item("PutItem", "t", "a", &[]), item("UpdateItem", "t", "b", &["pk", "x"])];
        assert_eq!(found("TransactWriteItems", &transaction), expected);
        assert_eq!(found("Query", &json!({ "TableName": "t" })), []);
    }

    #[test]
    fn an_update_names_the_attributes_of_its_key_and_of_its_expressions() {
        let update = json!({
            "TableName": "t",
            "Key": { "pk": { "S": "a" } },
            "UpdateExpression": "SET #u = if_not_exists(#u, :none) + :one, plain = :two REMOVE gone",
            "ConditionExpression": "attribute_exists(pk) AND (NOT #c <= :max OR size(map.#m) > 3)",
            "ExpressionAttributeNames": { "#u": "used", "#c": "state", "#m": "member" },
        });
        let attributes = ["gone", "map", "member", "pk", "plain", "state", "used"];
        assert_eq!(found("UpdateItem", &update), [item("UpdateItem", "t", "a", &attributes)]);
    }
}
