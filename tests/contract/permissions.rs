//! What a function calls, compared with what its policy and its environment in template.yaml say.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use largesse_app::money::governed::Governed;
use largesse_app::ports::{BreakerWritten, Breakers, Clock, Ids, Money, StoredBreaker};
use largesse_aws::Store;
use largesse_domain::breaker::BreakerPolicy;
use largesse_domain::grant::Grant;
use largesse_domain::rate::{Rate, Tolerance};
use largesse_emulator::{
    Call, FunctionSpec, ItemAccess, Permission, Recorded, Service, Stack, World, bus_arn,
    queue_arn, stream_arn, table_arn,
};
use largesse_tests::http::Api;

/// What no code of ours calls: Lambda itself, with the function's role. It reads the streams and
/// the queues that trigger the function, and writes its log.
fn is_lambdas(function: &FunctionSpec, permission: &Permission) -> bool {
    let Permission { action, resource, .. } = permission;
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

/// The table whose rights name the kinds of items that they are for.
const EDGE: &str = "largesse-edge";
/// The kind whose rights name attributes too.
const API_KEYS: &str = "KEY#*";
/// What the partition keys of each kind of that table's items are like.
const KINDS: [&str; 8] = [
    API_KEYS,
    "OWNER#*",
    "NONCE#*",
    "IDEM#*",
    "BUDGET#MISS#*",
    "BUDGET#NEW#*",
    "RATE#*",
    "BREAKER#*",
];

/// What a call needs to be allowed: a transaction, the writes that it consists of; a batch of
/// messages, what one message needs.
fn needed(Recorded { call, items, .. }: Recorded) -> Vec<Permission> {
    let whole = |service: &str, operation: &str, resource: String| Permission {
        action: format!("{service}:{operation}"),
        resource,
        keys: None,
        attribute: None,
    };
    match call.service {
        Service::DynamoDb => {
            let index =
                call.index.as_ref().map_or_else(String::new, |name| format!("/index/{name}"));
            let tables = call.resources.iter().map(|table| (&call.operation, table));
            let single = tables.filter(|_| call.actions.is_empty());
            let actions = call.actions.iter().map(|(operation, table)| (operation, table));
            let others = single.chain(actions).filter(|(_, table)| *table != EDGE);
            let arn = |table: &String| format!("{}{index}", table_arn(table));
            let others = others.map(|(operation, table)| whole("dynamodb", operation, arn(table)));
            others.chain(needed_of_items(&call, &items)).collect()
        }
        Service::Sqs => {
            let operation = call.operation.trim_end_matches("Batch");
            let queues = call.resources.iter();
            queues.map(|queue| whole("sqs", operation, queue_arn(queue))).collect()
        }
        Service::EventBridge => {
            let buses = call.resources.iter();
            buses.map(|bus| whole("events", &call.operation, bus_arn(bus))).collect()
        }
        Service::Lambda => Vec::new(),
    }
}

/// What a call needs of the table whose rights name kinds of items.
fn needed_of_items(call: &Call, items: &[ItemAccess]) -> Vec<Permission> {
    let items: Vec<&ItemAccess> = items.iter().filter(|item| item.table == EDGE).collect();
    let is_called = call.resources.iter().any(|table| table == EDGE);
    assert_eq!(is_called, !items.is_empty(), "{EDGE} is read by its keys alone: {call:?}");
    let permission = |operation: &str, keys: &str, attribute: Option<&String>| Permission {
        action: format!("dynamodb:{operation}"),
        resource: table_arn(EDGE),
        keys: Some(keys.to_owned()),
        attribute: attribute.cloned(),
    };
    if !call.actions.is_empty() {
        // Of a transaction AWS does not say whether a condition sees the key of one action or of all:
        // each of its actions is to be allowed for all of its items.
        let pairs = items.iter().flat_map(|item| items.iter().map(move |other| (item, other)));
        let pairs = pairs.map(|(item, other)| permission(&item.operation, kind_of(other), None));
        return pairs.collect();
    }
    let needs = |item: &&ItemAccess| match kind_of(item) {
        API_KEYS if item.operation == "UpdateItem" => {
            let attributes = item.attributes.iter();
            attributes.map(|name| permission(&item.operation, API_KEYS, Some(name))).collect()
        }
        kind => vec![permission(&item.operation, kind, None)],
    };
    items.iter().flat_map(needs).collect()
}

/// The kind of an item.
fn kind_of(item: &ItemAccess) -> &'static str {
    let is_of = |kind: &&&str| item.partition_key.starts_with(kind.trim_end_matches('*'));
    let Some(kind) = KINDS.iter().find(is_of) else { panic!("an unknown kind: {item:?}") };
    kind
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

/// What a function does about a money service other than the ledger: it reads the breaker and leases
/// permits, and the breaker changes.
pub(crate) async fn pay_governed(store: &Arc<Store>, grant: Grant) {
    let (service, rate) = ("money".parse().unwrap(), Rate::new(1_000, Tolerance::default()));
    let policy = BreakerPolicy::default();
    let governed = Governed::new(store.clone(), store.clone(), service, rate.unwrap(), policy);
    governed.pay(&[grant]).await;
    let (service, seen) = ("money".parse().unwrap(), StoredBreaker::default());
    let probed = seen.breaker.probed(&policy, store.now(), store.ulid());
    let written = store.put_breaker(&service, seen, probed).await.unwrap();
    assert!(matches!(written, BreakerWritten::Done(_)), "{written:?}");
}

/// Fails unless these calls are all that the function's policy allows, and all of it.
pub(crate) fn assert_least(binary: &str, calls: &BTreeSet<Permission>) {
    let stack = Stack::parse(largesse::compose::TEMPLATE).unwrap();
    let function = stack.function(binary).unwrap();
    let own = |permission: &&Permission| !is_lambdas(function, permission);
    let allowed: BTreeSet<Permission> = function.permissions.iter().filter(own).cloned().collect();
    // The right to whole items is one to each of their attributes.
    let is_limited = |call: &&Permission| {
        let whole = Permission { attribute: None, ..(*call).clone() };
        call.attribute.is_none() || !calls.contains(&whole)
    };
    let calls: BTreeSet<Permission> = calls.iter().filter(is_limited).cloned().collect();
    let refused: Vec<_> = calls.difference(&allowed).collect();
    assert!(refused.is_empty(), "{binary} calls what it may not: {refused:#?}");
    let unused: Vec<_> = allowed.difference(&calls).collect();
    assert!(unused.is_empty(), "{binary} may call what it never does: {unused:#?}");
    assert_named(function, &calls);
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

#[test]
fn each_right_to_the_table_of_keys_names_kinds_of_items_and_admin_alone_writes_keys() {
    let stack = Stack::parse(largesse::compose::TEMPLATE).unwrap();
    let mut writers = BTreeSet::new();
    for function in &stack.functions {
        let permissions = function.permissions.iter();
        for permission in permissions.filter(|one| one.resource.starts_with(&table_arn(EDGE))) {
            let kind = permission.keys.as_deref();
            assert!(kind.is_some_and(|kind| KINDS.contains(&kind)), "{permission:?}");
            let is_of_keys = matches!(kind, Some(API_KEYS | "OWNER#*"));
            let action = permission.action.as_str();
            let is_read = matches!(action, "dynamodb:GetItem" | "dynamodb:BatchGetItem");
            // When a key was used says nothing about what it may do.
            let is_use = matches!(permission.attribute.as_deref(), Some("pk" | "last_used_ms"));
            if is_of_keys && !is_read && !(is_use && action == "dynamodb:UpdateItem") {
                writers.insert(function.binary.as_str());
            }
        }
    }
    assert_eq!(writers, BTreeSet::from(["admin"]));
}
