//! Least privilege: each function's policy allows what the function calls, and nothing else.
//!
//! Every function is driven through all that it does, alone, while the world records its calls. A
//! new call fails here until the template allows it; an action that is left over fails until it
//! goes. So does a name in its environment: of what it calls it is given the names, and no others.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue as Av;
use largesse_app::ports::{Clock, Pools};
use largesse_app::spray::create::{self, Create};
use largesse_app::spray::token;
use largesse_aws::Names;
use largesse_domain::grant::RetryPolicy;
use largesse_domain::id::{RoomId, SprayId};
use largesse_domain::pool::{Ask, Attempt, Draw, PENDING_MAX};
use largesse_domain::split::Split;
use largesse_domain::spray::{Spray, Terms};
use largesse_emulator::{
    Fault, Faults, FunctionSpec, Matching, Permission, Recorded, Service, Stack, World, bus_arn,
    queue_arn, stream_arn, table_arn,
};
use largesse_tests::http::Api;
use largesse_tests::{Sandbox, user};

/// What no code of ours calls: Lambda itself, with the function's role. It reads the stream and the
/// queue that trigger a function, and writes its log.
fn is_lambdas(permission: &Permission) -> bool {
    let Permission { action, resource } = permission;
    let stream = ["DescribeStream", "GetRecords", "GetShardIterator", "ListStreams"];
    let queue = ["ReceiveMessage", "DeleteMessage", "GetQueueAttributes"];
    let log = ["CreateLogStream", "PutLogEvents"];
    match action.split_once(':') {
        Some(("dynamodb", name)) => {
            stream.contains(&name) && *resource == stream_arn("largesse-grants")
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
async fn calls_of<T>(world: &World, work: impl Future<Output = T>) -> BTreeSet<Permission> {
    world.recorder().reset();
    world.recorder().keep_calls(true);
    work.await;
    world.recorder().keep_calls(false);
    world.recorder().calls().into_iter().flat_map(needed).collect()
}

/// Fails unless these calls are all that the function's policy allows, and all of it.
fn assert_least(binary: &str, calls: &BTreeSet<Permission>) {
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
        _ => bus_arn(name),
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

/// A draw whose process ended before the record.
async fn draw(sandbox: &Sandbox, spray: &Spray, name: &str) {
    let at = sandbox.store.now();
    let draw = Draw { member: user(name), at, attempt: Attempt::from_bits(1), ask: Ask::Next };
    let process = sandbox.another_process(50);
    process.draw(spray.pool.id, draw).await.unwrap().unwrap();
}

/// A spray of more shares than its head has room for notes, full of them.
async fn crowded(sandbox: &Sandbox, room: RoomId) -> Spray {
    let spray = sandbox.spray(room, "ann", 600, 60).await;
    for n in 0..PENDING_MAX {
        draw(sandbox, &spray, &format!("m{n}")).await;
    }
    spray
}

#[tokio::test(start_paused = true)]
async fn spray_create_may_do_what_it_does() {
    let api = Api::new(1);
    let room = api.room(&["ann", "bob"]).await;
    api.deposit("ann", 200).await;
    tokio::time::advance(Duration::from_secs(2)).await;
    let store = api.sandbox.another_process(2);
    let terms = Terms::new(100, 2, Split::Equal, 600).unwrap();
    let (id, sender) = (SprayId(api.sandbox.id()), user("ann"));
    let wish = Create { id, room: room.parse().unwrap(), sender, terms };
    let calls = calls_of(&api.sandbox.world, async {
        api.try_spray(&room, "ann", 100, 2).await.expect(201);
        // What it does when it runs again, with the wallet that it has emptied, and when the first
        // token that it looks at is taken.
        create::create(&*store, wish.clone()).await.unwrap();
        create::create(&*store, wish).await.unwrap();
        token::hinted(&*store).await.unwrap();
    });
    assert_least("spray-create", &calls.await);
}

#[tokio::test(start_paused = true)]
async fn spray_claim_may_do_what_it_does() {
    let api = Api::new(2);
    let room = api.room(&["ann", "bob", "eve"]).await;
    let small = api.spray(&room, "ann", 100, 2).await;
    let crowded = crowded(&api.sandbox, room.parse().unwrap()).await;
    let calls = calls_of(&api.sandbox.world, async {
        api.claim(&room, "bob", &small).await.expect(201);
        let path = format!("/api/v2/sprays/{}/claims", crowded.token);
        api.post("eve", path).room(&room).key(api.new_key()).await.expect(201);
    });
    assert_least("spray-claim", &calls.await);
}

#[tokio::test(start_paused = true)]
async fn wallet_may_do_what_it_does() {
    let api = Api::new(3);
    let calls = calls_of(&api.sandbox.world, async {
        api.deposit("ann", 100).await;
    });
    assert_least("wallet", &calls.await);
}

#[tokio::test(start_paused = true)]
async fn query_may_do_what_it_does() {
    let api = Api::new(4);
    let room = api.room(&["ann", "bob"]).await;
    let token = api.spray(&room, "ann", 100, 2).await;
    api.claim(&room, "bob", &token).await.expect(201);
    api.settle().await;
    // One whose token this process has not read; and whoever asks is remembered for a second.
    let unread = api.spray(&room, "ann", 100, 2).await;
    tokio::time::advance(Duration::from_secs(2)).await;
    let rows = api.get("bob", "/api/v2/wallets/bob/transactions").await.expect(200);
    let id = rows.body["transactions"][0]["transaction_id"].as_str().unwrap().to_owned();
    let calls = calls_of(&api.sandbox.world, async {
        for path in [
            "/api/v2/wallets/bob".to_owned(),
            "/api/v2/wallets/bob/transactions".to_owned(),
            format!("/api/v2/wallets/bob/transactions/{id}"),
            format!("/api/v2/rooms/{room}"),
            "/api/v2/health".to_owned(),
        ] {
            api.get("bob", path).await.expect(200);
        }
        api.get("ann", "/api/v2/sprays").await.expect(200);
        api.get("ann", format!("/api/v2/sprays/{unread}")).room(&room).await.expect(200);
    });
    assert_least("query", &calls.await);
}

#[tokio::test(start_paused = true)]
async fn admin_may_do_what_it_does() {
    let api = Api::new(5);
    let calls = calls_of(&api.sandbox.world, async {
        let room = api.room(&["ann", "bob"]).await;
        // By a process that has not just made the room, and so asks who is in it.
        tokio::time::advance(Duration::from_secs(2)).await;
        let path = format!("/api/v2/rooms/{room}/members/eve");
        api.ask("PUT", &path).user("ann").await.expect(204);
        api.ask("DELETE", &path).user("ann").await.expect(204);
        let made = api.post("ann", "/api/v2/rooms").key(api.new_key());
        made.json(r#"{"name":"room","members":[]}"#).await.expect(201);
    });
    assert_least("admin", &calls.await);
}

/// A spray of three: one draw recorded, one not.
async fn half_settled(api: &Api) {
    let room = api.room(&["ann", "bob", "eve"]).await;
    let spray = api.sandbox.spray(room.parse().unwrap(), "ann", 30, 3).await;
    api.claim(&room, "bob", &spray.token.to_string()).await.expect(201);
    draw(&api.sandbox, &spray, "eve").await;
}

#[tokio::test(start_paused = true)]
async fn refund_batch_may_do_what_it_does() {
    let api = Api::new(6);
    half_settled(&api).await;
    tokio::time::advance(Duration::from_secs(700)).await;
    let world = &api.sandbox.world;
    let calls = calls_of(world, world.run_schedule("refund-batch/EveryMinute")).await;
    assert_least("refund-batch", &calls);
}

#[tokio::test(start_paused = true)]
async fn pool_sweep_may_do_what_it_does() {
    let api = Api::new(7);
    half_settled(&api).await;
    let room = api.room(&["ann"]).await.parse().unwrap();
    crowded(&api.sandbox, room).await;
    tokio::time::advance(Duration::from_secs(61)).await;
    let world = &api.sandbox.world;
    let calls = calls_of(world, world.run_schedule("pool-sweep/EveryMinute")).await;
    assert_least("pool-sweep", &calls);
}

#[tokio::test(start_paused = true)]
async fn outbox_and_grant_pay_may_do_what_they_do() {
    let sandbox = Sandbox::new(8);
    let world = &sandbox.world;
    let room = sandbox.room(&["ann", "bob", "eve"]).await;
    let spray = sandbox.spray(room, "ann", 30, 3).await;
    for name in ["bob", "eve"] {
        draw(&sandbox, &spray, name).await;
    }
    // Records both; then comes a grant that nobody can read.
    tokio::time::advance(Duration::from_secs(61)).await;
    let stop_at = sandbox.store.now().plus_ms(60_000);
    largesse_app::pool::sweep::run(&*sandbox.store, stop_at).await.unwrap();
    let dynamo = aws_sdk_dynamodb::Client::new(&world.sdk_config());
    let [pk, sk, status] = ["nonsense", "nobody", "PENDING"].map(|text| Av::S(text.to_owned()));
    let put = dynamo.put_item().table_name("largesse-grants").item("status", status);
    put.item("pk", pk.clone()).item("sk", sk.clone()).send().await.unwrap();

    let trigger = world.stack().function("outbox").unwrap().streams[0].clone();
    let store = sandbox.another_process(9);
    let handle = move |event| {
        let store = Arc::clone(&store);
        async move { Ok(outbox::handle(&*store, event).await) }
    };
    world.on_stream(trigger, handle).unwrap();
    let calls = calls_of(world, world.settle()).await;
    assert_least("outbox", &calls);
    let delete = dynamo.delete_item().table_name("largesse-grants").key("pk", pk).key("sk", sk);
    delete.send().await.unwrap();

    let trigger = world.stack().function("grant-pay").unwrap().queues[0].clone();
    let store = sandbox.another_process(10);
    let handle = move |event| {
        let store = Arc::clone(&store);
        async move { Ok(grant_pay::handle(&*store, event, RetryPolicy::default()).await) }
    };
    world.on_queue(trigger, handle).unwrap();
    // The ledger takes nothing: each payment is tried, retried and given up, which is all that can
    // become of one.
    let ledger = Matching::operation("TransactWriteItems").on("largesse-ledger");
    let faults = Faults::seeded(1).always(ledger, Fault::Throttle);
    world.set_fault_hook(Some(Arc::new(faults)));
    let calls = calls_of(world, async { world.settle_with_time().await.unwrap() }).await;
    world.set_fault_hook(None);
    assert_least("grant-pay", &calls);
}
