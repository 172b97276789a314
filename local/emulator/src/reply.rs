//! The wire format: which call a request is, and the bodies of replies and faults.

use std::collections::BTreeMap;

use dynoxide::DynoxideError;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use crate::bus::BusError;
use crate::dynamo::Success;
use crate::faults::{Call, Fault, Service};
use crate::names;
use crate::recorder::Units;
use crate::sqs::SqsError;

/// A reply before it becomes HTTP.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
    /// The error code of the query protocol, which SQS clients use.
    pub(crate) query_error: Option<String>,
    pub(crate) units: Vec<Units>,
}

impl Reply {
    fn new(status: u16, body: Vec<u8>) -> Self {
        Self { status, body, query_error: None, units: Vec::new() }
    }

    pub(crate) fn from_dynamo(result: Result<Success, DynoxideError>) -> Self {
        match result {
            Ok(reply) => Self { units: reply.units, ..Self::new(200, reply.body) },
            Err(error) => Self::new(error.status_code(), error.to_json().into_bytes()),
        }
    }

    pub(crate) fn from_sqs(result: Result<Vec<u8>, SqsError>) -> Self {
        match result {
            Ok(body) => Self::new(200, body),
            Err(error) => {
                let query_error = Some(error.query_error());
                Self { query_error, ..Self::new(error.status, error.body()) }
            }
        }
    }

    pub(crate) fn from_bus(result: Result<Vec<u8>, BusError>) -> Self {
        match result {
            Ok(body) => Self::new(200, body),
            Err(error) => Self::new(error.status, error.body()),
        }
    }
}

/// The parts of a request body that name resources. The parser skips the rest.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Probe {
    table_name: Option<String>,
    request_items: BTreeMap<String, IgnoredAny>,
    transact_items: Vec<BTreeMap<String, Named>>,
    queue_url: Option<String>,
    queue_name: Option<String>,
    index_name: Option<String>,
    entries: Vec<Named>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Named {
    table_name: Option<String>,
    event_bus_name: Option<String>,
}

/// The call of a request; `None` when the emulator does not have the service.
pub(crate) fn call_of(target: &str, body: &[u8]) -> Option<Call> {
    let (prefix, operation) = target.split_once('.')?;
    let service = match prefix {
        "DynamoDB_20120810" => Service::DynamoDb,
        "AmazonSQS" => Service::Sqs,
        "AWSEvents" => Service::EventBridge,
        _ => return None,
    };
    // A body that does not parse names no resource; the service replies with the error.
    let probe: Probe = serde_json::from_slice(body).unwrap_or_default();
    let mut resources = Vec::new();
    let transacted = probe.transact_items.into_iter().flatten();
    let actions: Vec<(String, String)> = transacted
        .map(|(kind, named)| (format!("{kind}Item"), named.table_name.unwrap_or_default()))
        .map(|(operation, table)| (operation, names::last_part(&table).to_owned()))
        .collect();
    let transacted = actions.iter().map(|(_, table)| table.clone());
    let named = probe.table_name.into_iter().chain(probe.request_items.into_keys());
    let named = named.chain(transacted);
    let named = named.chain(probe.queue_url).chain(probe.queue_name);
    let buses = probe.entries.into_iter().filter_map(|entry| entry.event_bus_name);
    for name in named.chain(buses) {
        let name = names::last_part(&name);
        if !resources.iter().any(|known| known == name) {
            resources.push(name.to_owned());
        }
    }
    let operation = operation.to_owned();
    Some(Call { service, operation, resources, actions, index: probe.index_name })
}

/// The reply for a fault with "nothing is done"; `None` when the service has no such fault.
pub(crate) fn fault_reply(call: &Call, fault: Fault) -> Option<Reply> {
    match call.service {
        Service::DynamoDb => dynamo_fault(call, fault),
        Service::Sqs => match fault {
            Fault::Throttle => Some(Reply::from_sqs(Err(SqsError::throttled()))),
            Fault::InternalError => {
                Some(Reply::from_sqs(Err(SqsError::internal("We encountered an internal error."))))
            }
            Fault::AccessDenied => Some(Reply::from_sqs(Err(SqsError::denied(&denial(call))))),
            _ => None,
        },
        Service::Lambda => None,
        Service::EventBridge => {
            let error = match fault {
                Fault::Throttle => BusError::new("ThrottlingException", "Rate exceeded", 400),
                Fault::InternalError => BusError::new("InternalException", "Internal error", 500),
                Fault::AccessDenied => BusError::new("AccessDeniedException", &denial(call), 400),
                _ => return None,
            };
            Some(Reply::from_bus(Err(error)))
        }
    }
}

fn dynamo_fault(call: &Call, fault: Fault) -> Option<Reply> {
    let (status, kind, message) = match fault {
        Fault::Throttle => (
            400,
            "ProvisionedThroughputExceededException",
            "The level of configured provisioned throughput for the table was exceeded.",
        ),
        Fault::InternalError => (500, "InternalServerError", "Internal server error"),
        Fault::AccessDenied => {
            let members = json!({ "message": denial(call) });
            return Some(dynamo_error(400, "AccessDeniedException", members));
        }
        Fault::TransactionConflict if !call.actions.is_empty() => {
            return Some(cancelled(call.actions.len(), "TransactionConflict"));
        }
        Fault::TransactionThrottled if !call.actions.is_empty() => {
            return Some(cancelled(call.actions.len(), "ThrottlingError"));
        }
        Fault::TransactionConflict if call.operation.ends_with("Item") => {
            (400, "TransactionConflictException", "Transaction is ongoing for the item")
        }
        Fault::TransactionInProgress if call.operation == "TransactWriteItems" => (
            400,
            "TransactionInProgressException",
            "The transaction with the given request token is already in progress.",
        ),
        _ => return None,
    };
    Some(dynamo_error(status, kind, json!({ "message": message })))
}

/// The message of an access error.
fn denial(call: &Call) -> String {
    let resources = call.resources.join(", ");
    format!("The role is not authorized to perform {} on {resources}", call.operation)
}

/// A transaction that was cancelled for a reason of its first action.
fn cancelled(actions: usize, reason: &'static str) -> Reply {
    let mut codes = vec!["None"; actions];
    if let Some(first) = codes.first_mut() {
        *first = reason;
    }
    let message = format!(
        "Transaction cancelled, please refer cancellation reasons for specific reasons [{}]",
        codes.join(", ")
    );
    let reasons: Vec<Value> = codes.iter().map(|code| json!({ "Code": code })).collect();
    let members = json!({ "Message": message, "CancellationReasons": reasons });
    dynamo_error(400, "TransactionCanceledException", members)
}

fn dynamo_error(status: u16, kind: &str, mut members: Value) -> Reply {
    members["__type"] = Value::String(format!("com.amazonaws.dynamodb.v20120810#{kind}"));
    Reply::new(status, members.to_string().into_bytes())
}

/// The reply to a batch of which nothing was processed; `None` for other operations.
pub(crate) fn unprocessed(call: &Call, body: &[u8]) -> Option<Reply> {
    let request: Value = serde_json::from_slice(body).ok()?;
    let items = request.get("RequestItems")?;
    let answer = match call.operation.as_str() {
        "BatchWriteItem" => json!({ "UnprocessedItems": items }),
        "BatchGetItem" => json!({ "Responses": {}, "UnprocessedKeys": items }),
        _ => return None,
    };
    Some(Reply::new(200, answer.to_string().into_bytes()))
}
