//! What a function calls, compared with what its policy and its environment in template.yaml say.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use largesse_aws::Names;
use largesse_emulator::{
    FunctionSpec, Permission, Recorded, Service, Stack, World, bus_arn, queue_arn, stream_arn,
    table_arn,
};

/// What no code of ours calls: Lambda itself, with the function's role. It reads the stream and the
/// queue that trigger a function, and writes its log.
fn is_lambdas(permission: &Permission) -> bool {
    let Permission { action, resource } = permission;
    let stream = ["DescribeStream", "GetRecords", "GetShardIterator", "ListStreams"];
    let queue = ["ReceiveMessage", "DeleteMessage", "GetQueueAttributes"];
    let log = ["CreateLogStream", "PutLogEvents"];
    match action.split_once(':') {
        Some(("dynamodb", name)) => {
            stream.contains(&name) && *resource == stream_arn("largesse-pools")
        }
        Some(("sqs", name)) => {
            queue.contains(&name) && *resource == queue_arn("largesse-grants.fifo")
        }
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

/// Fails unless these calls are all that the function's policy allows, and all of it.
pub(crate) fn assert_least(binary: &str, calls: &BTreeSet<Permission>) {
    let stack = Stack::parse(largesse::compose::TEMPLATE).unwrap();
    let permissions = &stack.function(binary).unwrap().permissions;
    let allowed: BTreeSet<Permission> =
        permissions.iter().filter(|permission| !is_lambdas(permission)).cloned().collect();
    let refused: Vec<_> = calls.difference(&allowed).collect();
    assert!(refused.is_empty(), "{binary} calls what it may not: {refused:#?}");
    let unused: Vec<_> = allowed.difference(calls).collect();
    assert!(unused.is_empty(), "{binary} may call what it never does: {unused:#?}");
    assert_named(stack.function(binary).unwrap(), calls);
}

/// Fails unless the function's environment names what it calls, under the variables that its code
/// reads, and nothing that it does not.
fn assert_named(function: &FunctionSpec, calls: &BTreeSet<Permission>) {
    let called: BTreeSet<&str> = calls
        .iter()
        .map(|call| call.resource.split_once("/index/").map_or(&*call.resource, |(table, _)| table))
        .collect();
    // Every function's names together: with these the calls were made.
    let stack = largesse::compose::stack().unwrap();
    let all: BTreeMap<_, _> = stack.functions.iter().flat_map(|f| f.environment.clone()).collect();
    let arn_of = |variable: &str, name: &str| match variable.split('_').next() {
        Some("TABLE") => table_arn(name),
        Some("QUEUE") => queue_arn(name.rsplit('/').next().unwrap()),
        Some("BUS") => bus_arn(name),
        _ => String::new(),
    };
    let names = read_by(|lookup| drop(Names::from_lookup(lookup)));
    let is_called = |variable: &&String| {
        all.get(*variable).is_some_and(|name| called.contains(&*arn_of(variable, name)))
    };
    let mut expected: BTreeSet<String> = names.iter().filter(is_called).cloned().collect();
    expected.insert("RUST_LOG".to_owned());
    if !function.routes.is_empty() {
        expected.insert("AUTH".to_owned());
    }
    match function.binary.as_str() {
        // It alone answers in pages.
        "query" => expected.extend(["CURSOR_SECRET".to_owned()]),
        // It alone counts the live sprays of a sender up to a limit.
        "spray-create" => expected.extend(["LIVE_SPRAYS_MAX".to_owned()]),
        "grant-pay" => expected.extend(read_by(|lookup| {
            let _ = grant_pay::policy_from(lookup);
        })),
        _ => {}
    }
    let given: BTreeSet<String> = function.environment.keys().cloned().collect();
    assert_eq!(given, expected, "the environment of {}", function.binary);
    for (variable, value) in &function.environment {
        assert_eq!(all.get(variable), Some(value), "{variable} has one meaning");
    }
}

/// The variables that some code looks up.
fn read_by(code: impl FnOnce(&dyn Fn(&str) -> Option<String>)) -> BTreeSet<String> {
    let read = RefCell::new(BTreeSet::new());
    code(&|variable: &str| {
        read.borrow_mut().insert(variable.to_owned());
        None
    });
    read.into_inner()
}
