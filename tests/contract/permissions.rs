//! What a function calls, compared with what its policy and its environment in template.yaml say.

use std::collections::{BTreeMap, BTreeSet};

use largesse_emulator::{
    FunctionSpec, Permission, Recorded, Service, Stack, World, bus_arn, queue_arn, stream_arn,
    table_arn,
};
use largesse_tests::http::Api;

/// What no code of ours calls: Lambda itself, with the function's role. It reads the streams and
/// the queues that trigger the function, and writes its log.
fn is_lambdas(function: &FunctionSpec, permission: &Permission) -> bool {
    let Permission { action, resource } = permission;
    let stream = ["DescribeStream", "GetRecords", "GetShardIterator", "ListStreams"];
    let queue = ["ReceiveMessage", "DeleteMessage", "GetQueueAttributes"];
    let log = ["CreateLogStream", "PutLogEvents"];
    match action.split_once(':') {
        Some(("dynamodb", name)) => {
            let mut tables = function.streams.iter().map(|trigger| stream_arn(&trigger.table));
            stream.contains(&name) && tables.any(|table| table == *resource)
        }
        Some(("sqs", name)) => {
            let mut queues = function.queues.iter().map(|trigger| queue_arn(&trigger.queue));
            queue.contains(&name) && queues.any(|queue| queue == *resource)
        }
        // The emulator has no objects, so no call is recorded: policies_archive.rs compares these.
        Some(("s3", _)) => true,
        Some(("logs", name)) => log.contains(&name) && resource == "FunctionLogs.Arn",
        _ => false,
    }
}

/// What a call needs to be allowed: a transaction, the writes that it consists of; a batch of
/// messages, what one message needs.
fn needed(Recorded { call, .. }: Recorded) -> Vec<Permission> {
    let dynamo = |operation: &str, resource| {
        let action = format!("dynamodb:{operation}");
        Permission { action, resource }
    };
    match call.service {
        Service::DynamoDb if !call.actions.is_empty() => {
            let actions = call.actions.iter();
            actions.map(|(operation, table)| dynamo(operation, table_arn(table))).collect()
        }
        Service::DynamoDb => {
            let index = call.index.map_or_else(String::new, |index| format!("/index/{index}"));
            let tables = call.resources.iter();
            let arn = |table: &String| format!("{}{index}", table_arn(table));
            tables.map(|table| dynamo(&call.operation, arn(table))).collect()
        }
        Service::Sqs => {
            let action = format!("sqs:{}", call.operation.trim_end_matches("Batch"));
            let queues = call.resources.iter().map(|queue| queue_arn(queue));
            queues.map(|resource| Permission { action: action.clone(), resource }).collect()
        }
        Service::EventBridge => {
            let action = format!("events:{}", call.operation);
            let buses = call.resources.iter().map(|bus| bus_arn(bus));
            buses.map(|resource| Permission { action: action.clone(), resource }).collect()
        }
        Service::Lambda => Vec::new(),
    }
}

/// What `work`, and nothing else, calls.
pub(crate) async fn calls_of<T>(
    world: &World,
    work: impl Future<Output = T>,
) -> BTreeSet<Permission> {
    world.recorder().reset();
    world.recorder().keep_calls(true);
    work.await;
    world.recorder().keep_calls(false);
    world.recorder().calls().into_iter().flat_map(needed).collect()
}

/// The master secret of the signed requests.
const MASTER: &str = "the master secret of the tests of policies";

/// These calls, and those that a function behind HTTP makes to admit a signed request.
pub(crate) async fn with_auth(mut calls: BTreeSet<Permission>) -> BTreeSet<Permission> {
    let api = Api::signed(99, MASTER);
    let holder = api.holder(MASTER, "chat", "spray").await;
    let admitted = calls_of(&api.sandbox.world, async {
        // Its route refuses it before it calls anything.
        api.sign(&holder, api.post("ann", "/api/v2/sprays")).await.expect(400);
    });
    calls.extend(admitted.await);
    calls
}

/// The calls of a function that keeps API keys.
pub(crate) async fn calls_of_keys() -> BTreeSet<Permission> {
    let api = Api::signed(98, MASTER);
    let operator = api.holder(MASTER, "ops", "operate").await;
    calls_of(&api.sandbox.world, async {
        let wish = serde_json::json!({ "owner": "chat", "scopes": ["read"] });
        let made = api.sign(&operator, api.ask("POST", "/api/v2/keys").json(wish)).await;
        let path = format!("/api/v2/keys/{}", made.expect(201).string("key_id"));
        let rotate = api.ask("POST", format!("{path}/rotate"));
        api.sign(&operator, rotate).await.expect(201);
        api.sign(&operator, api.ask("GET", "/api/v2/keys?owner=chat")).await.expect(200);
        api.sign(&operator, api.ask("DELETE", path)).await.expect(204);
    })
    .await
}

/// Fails unless these calls are all that the function's policy allows, and all of it.
pub(crate) fn assert_least(binary: &str, calls: &BTreeSet<Permission>) {
    let stack = Stack::parse(largesse::compose::TEMPLATE).unwrap();
    let function = stack.function(binary).unwrap();
    let own = |permission: &&Permission| !is_lambdas(function, permission);
    let allowed: BTreeSet<Permission> = function.permissions.iter().filter(own).cloned().collect();
    let refused: Vec<_> = calls.difference(&allowed).collect();
    assert!(refused.is_empty(), "{binary} calls what it may not: {refused:#?}");
    let unused: Vec<_> = allowed.difference(calls).collect();
    assert!(unused.is_empty(), "{binary} may call what it never does: {unused:#?}");
    assert_named(function, calls);
}

/// Fails unless the function's environment names what it calls, and nothing that it does not.
/// (settings.rs: its code reads what it is given.)
fn assert_named(function: &FunctionSpec, calls: &BTreeSet<Permission>) {
    let called: BTreeSet<&str> = calls
        .iter()
        .map(|call| call.resource.split_once("/index/").map_or(&*call.resource, |(table, _)| table))
        .collect();
    // Every function's names together: with these the calls were made.
    let stack = largesse::compose::stack().unwrap();
    let all: BTreeMap<_, _> = stack.functions.iter().flat_map(|f| f.environment.clone()).collect();
    let arn_of = |(variable, name): (&String, &String)| match variable.split('_').next() {
        Some("TABLE") => Some(table_arn(name)),
        Some("QUEUE") => Some(queue_arn(name.rsplit('/').next().unwrap())),
        Some("BUS") => Some(bus_arn(name)),
        _ => None,
    };
    let is_called = |named: &(&String, &String)| {
        arn_of(*named).is_some_and(|arn| called.contains(arn.as_str()))
    };
    let expected: BTreeSet<&String> = all.iter().filter(is_called).map(|(name, _)| name).collect();
    let given = function.environment.iter().filter(|named| arn_of(*named).is_some());
    let given: BTreeSet<&String> = given.map(|(name, _)| name).collect();
    assert_eq!(given, expected, "the environment of {}", function.binary);
    for (variable, value) in &function.environment {
        assert_eq!(all.get(variable), Some(value), "{variable} has one meaning");
    }
}
