//! Least privilege: each function's policy allows what the function calls, and nothing else.
//!
//! Every function is driven through all that it does, alone, while the world records its calls. A
//! new call fails here until the template allows it; an action that is left over fails until it
//! goes. So does a name in its environment: of what it calls it is given the names, and no others.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue as Av;
use largesse_app::ports::{Clock, Events, Pools, Sprays};
use largesse_app::spray::create::{self, Create};
use largesse_app::spray::token;
use largesse_domain::campaign::Duplicates;
use largesse_domain::grant::RetryPolicy;
use largesse_domain::id::{PoolId, SprayId};
use largesse_domain::pool::{BucketId, Walk, bucket_count};
use largesse_domain::split::Split;
use largesse_domain::spray::{Spray, Terms};
use largesse_tests::http::Api;
use largesse_tests::{Sandbox, user};
use notify::webhook::{self, Webhook};

use crate::campaign::queued;
use crate::campaign_rows::{begin_seal, draft, members, put};
use crate::permissions::{assert_least, calls_of, calls_of_keys, pay_governed, with_auth};
use crate::scene::{Table, drawn, fill, key, n, request};
use crate::told::{Hook, audited, end_of_campaign};
use crate::{policies_campaign, policies_drop, policies_products};

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
        // A second member of the room within a second: its members are read at once.
        api.try_spray(&room, "bob", 100, 2).await.expect(409);
        // What it does when it runs again, with the wallet that it has emptied, and when both random
        // tokens are taken: the index is empty, so the table is scanned and filled.
        create::create(&*store, wish.clone()).await.unwrap();
        create::create(&*store, wish).await.unwrap();
        token::search(&*store).await.unwrap();
    });
    assert_least("spray-create", &with_auth(calls.await).await);
}

#[tokio::test(start_paused = true)]
async fn spray_claim_may_do_what_it_does() {
    let api = Api::new(2);
    let room = api.room(&["ann", "bob", "eve"]).await;
    let token = api.spray(&room, "ann", 100, 2).await;
    // The first bucket that eve tries is full, and the process of the API does not know it.
    let large = api.sandbox.spray(room.parse().unwrap(), "ann", 600, 40).await;
    fill_bucket(&api.sandbox, &large, "eve").await;
    tokio::time::advance(Duration::from_secs(2)).await;
    let calls = calls_of(&api.sandbox.world, async {
        api.claim(&room, "bob", &token).await.expect(201);
        api.claim(&room, "eve", large.token.as_str()).await.expect(201);
        // A token that no spray carries is counted.
        let unused = unused_token(&[&token, large.token.as_str()]);
        api.claim(&room, "eve", &unused).await.expect(404);
    });
    assert_least("spray-claim", &with_auth(calls.await).await);
}

/// A token that no spray carries.
fn unused_token(used: &[&str]) -> String {
    let mut tokens = ["AAA", "AAB", "AAC"].into_iter();
    tokens.find(|token| !used.contains(token)).unwrap().to_owned()
}

/// Others draw all parts of the bucket that the member tries first, by another process.
async fn fill_bucket(sandbox: &Sandbox, spray: &Spray, member: &str) {
    let (pool, process) = (spray.pool(), sandbox.another_process(50));
    let mut walk = Walk::new(&pool, &user(member), bucket_count(spray.recipients));
    let id = BucketId { pool, number: walk.next().unwrap() };
    let size = process.buckets(pool, &[id.number]).await.unwrap()[0].size;
    for n in 0..size {
        let request = request(&format!("o{n}"), process.now(), 1);
        process.draw(id, &request).await.unwrap().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn drop_enter_may_do_what_it_does() {
    let api = Api::new(13);
    let drop = policies_drop::make(&api, 40, 0).await;
    policies_drop::fill_bucket(&api.sandbox, drop, "eve").await;
    let calls = calls_of(&api.sandbox.world, async {
        policies_drop::enter(&api, drop, "eve").await;
    });
    assert_least("drop-enter", &with_auth(calls.await).await);
}

#[tokio::test(start_paused = true)]
async fn wallet_may_do_what_it_does() {
    let api = Api::new(3);
    let calls = calls_of(&api.sandbox.world, async {
        api.deposit("ann", 100).await;
    });
    assert_least("wallet", &with_auth(calls.await).await);
}

#[tokio::test(start_paused = true)]
async fn query_may_do_what_it_does() {
    let api = Api::new(4);
    let room = api.room(&["ann", "bob"]).await;
    let token = api.spray(&room, "ann", 100, 2).await;
    api.claim(&room, "bob", &token).await.expect(201);
    api.settle().await;
    let campaign = policies_campaign::started(&api).await;
    let product = policies_products::invested(&api).await;
    // One whose token this process has not read, with a claim that is not paid. A member is
    // remembered for a second.
    let unread = api.spray(&room, "ann", 100, 2).await;
    let process = api.sandbox.another_process(41);
    let spray = process.token_entry(unread.parse().unwrap()).await.unwrap().unwrap().spray;
    let id = BucketId { pool: PoolId::Spray(spray), number: 0 };
    process.draw(id, &request("bob", process.now(), 1)).await.unwrap().unwrap();
    tokio::time::advance(Duration::from_secs(2)).await;
    let rows = api.get("bob", "/api/v2/wallets/bob/transactions").await.expect(200);
    let id = rows.body["transactions"][0]["transaction_id"].as_str().unwrap().to_owned();
    let drop = policies_drop::entered(&api, "bob").await;
    let calls = calls_of(&api.sandbox.world, async {
        policies_drop::read(&api, &drop, "bob").await;
        for path in [
            "/api/v2/wallets/bob".to_owned(),
            "/api/v2/wallets/bob/transactions".to_owned(),
            format!("/api/v2/wallets/bob/transactions/{id}"),
            format!("/api/v2/rooms/{room}"),
            "/api/v2/health".to_owned(),
            "/api/v2/stats?from=2026-01-01&to=2026-01-02".to_owned(),
        ] {
            api.get("bob", path).await.expect(200);
        }
        api.get("ann", "/api/v2/sprays").await.expect(200);
        api.get("ann", format!("/api/v2/sprays/{unread}")).room(&room).await.expect(200);
        let unused = unused_token(&[&token, &unread]);
        api.get("ann", format!("/api/v2/sprays/{unused}")).room(&room).await.expect(404);
        policies_campaign::read(&api, &campaign).await;
        policies_products::read(&api, &product).await;
    });
    assert_least("query", &with_auth(calls.await).await);
}

#[tokio::test(start_paused = true)]
async fn admin_may_do_what_it_does() {
    let api = Api::new(5);
    let calls = calls_of(&api.sandbox.world, async {
        let room = api.room(&["ann", "bob"]).await;
        // By a process that has not just made the room, and so reads who is in it.
        tokio::time::advance(Duration::from_secs(2)).await;
        let path = format!("/api/v2/rooms/{room}/members/eve");
        api.ask("PUT", &path).user("ann").await.expect(204);
        // A second member of the room within a second: its members are read at once.
        api.ask("PUT", &path).user("bob").await.expect(204);
        api.ask("DELETE", &path).user("ann").await.expect(204);
        let made = api.post("ann", "/api/v2/rooms").key(api.new_key());
        made.json(r#"{"name":"room","members":[]}"#).await.expect(201);
        policies_products::made(&api, 100).await;
        policies_drop::make(&api, 20, 0).await;
    });
    let mut calls = with_auth(calls.await).await;
    calls.extend(calls_of_keys().await);
    assert_least("admin", &calls);
}

#[tokio::test(start_paused = true)]
async fn refund_batch_may_do_what_it_does() {
    let api = &api_with_due_spray().await;
    let sandbox = &api.sandbox;
    let world = &sandbox.world;
    // The sender's wallet is full, and an hour later it has room.
    let rest = fill(sandbox, "ann").await;
    let held = policies_products::due(sandbox).await;
    let mut calls = calls_of(world, world.run_schedule("refund-batch/EveryMinute")).await;
    sandbox.overwrite_balance("ann", rest).await;
    sandbox.overwrite_balance("full", held).await;
    tokio::time::advance(Duration::from_secs(3_600)).await;
    calls.extend(calls_of(world, world.run_schedule("refund-batch/EveryMinute")).await);
    assert_least("refund-batch", &calls);
}

/// A spray and a drop whose windows are over, with parts that are not drawn.
async fn api_with_due_spray() -> Api {
    let api = Api::new(6);
    let room = api.room(&["ann", "bob"]).await;
    api.spray(&room, "ann", 30, 3).await;
    policies_drop::make(&api, 20, 0).await;
    tokio::time::advance(Duration::from_secs(700)).await;
    api
}

#[tokio::test(start_paused = true)]
async fn pool_sweep_may_do_what_it_does() {
    let api = Api::new(7);
    let room = api.room(&["ann", "bob"]).await;
    let token = api.spray(&room, "ann", 30, 3).await;
    api.claim(&room, "bob", &token).await.expect(201);
    policies_drop::given_up(&api, "bob").await;
    tokio::time::advance(Duration::from_secs(301)).await;
    let (world, store) = (&api.sandbox.world, &api.sandbox.store);
    let calls = calls_of(world, async {
        // As at its start.
        store.probe().await.unwrap();
        world.run_schedule("pool-sweep/EveryMinute").await.unwrap();
    });
    assert_least("pool-sweep", &calls.await);
}

#[tokio::test(start_paused = true)]
async fn campaign_start_may_do_what_it_does() {
    let sandbox = Sandbox::new(11);
    let id = queued(&sandbox).await.to_string();
    // Nothing is attached to the stream of the table: the job of a seal and of a start are lost.
    let sealing = draft(&sandbox, Duplicates::First).await;
    put(&sandbox, sealing, 1, &members(0, 3)).await;
    begin_seal(&sandbox, sealing).await;
    let store = sandbox.another_process(12);
    let calls = calls_of(&sandbox.world, async {
        let report = campaign_start::handle(&*store).await.unwrap();
        assert_eq!(report.ran, std::slice::from_ref(&id));
        tokio::time::advance(Duration::from_secs(600)).await;
        let report = campaign_start::handle(&*store).await.unwrap();
        assert_eq!(report.resent, [sealing.to_string(), id]);
    });
    assert_least("campaign-start", &calls.await);
}

/// A spray that bob and eve have drawn from.
async fn drawn_by_bob_and_eve(sandbox: &Sandbox) -> Spray {
    let room = sandbox.room(&["ann", "bob", "eve"]).await;
    let spray = sandbox.spray(room, "ann", 30, 3).await;
    for name in ["bob", "eve"] {
        drawn(sandbox, &spray, name).await;
    }
    spray
}

/// Attaches the outbox to its streams, as another process.
fn attach_outbox(sandbox: &Sandbox, seed: u64) {
    let store = sandbox.another_process(seed);
    for trigger in sandbox.world.stack().function("outbox").unwrap().streams.clone() {
        let store = Arc::clone(&store);
        let handle = move |event| {
            let store = Arc::clone(&store);
            async move { Ok(outbox::handle(&*store, event).await) }
        };
        sandbox.world.on_stream(trigger, handle).unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn outbox_may_do_what_it_does() {
    let sandbox = Sandbox::new(8);
    let spray = drawn_by_bob_and_eve(&sandbox).await;
    // Then comes an entry that no draw can have written.
    let (pools, bucket) = (Table::of(&sandbox, "pools"), key(format!("{}#0", spray.pool())));
    let honest = pools.get(&bucket).await.unwrap();
    let mut draws = honest["draws"].as_m().unwrap().clone();
    draws.insert("fay".to_owned(), n(9));
    pools.set(&bucket, "draws", Av::M(draws)).await;
    let campaigns = Table::of(&sandbox, "campaigns");
    for (n, action) in ["seal", "run", "end"].into_iter().enumerate() {
        campaigns.put(audited(n, action, &[])).await;
    }
    policies_products::sold_out(&sandbox).await;
    attach_outbox(&sandbox, 9);
    let calls = calls_of(&sandbox.world, sandbox.world.settle()).await;
    assert_least("outbox", &calls);
    pools.put(honest).await;
}

#[tokio::test(start_paused = true)]
async fn grant_pay_may_do_what_it_does() {
    let sandbox = Sandbox::new(8);
    let world = &sandbox.world;
    let room = sandbox.room(&["ann", "bob", "eve"]).await;
    let spray = sandbox.spray(room, "ann", 30, 3).await;
    let bobs = drawn(&sandbox, &spray, "bob").await;
    drawn(&sandbox, &spray, "eve").await;
    let [fay, gus] = ["fay", "gus"];
    policies_drop::entered_by(&sandbox, [fay, gus]).await;
    attach_outbox(&sandbox, 9);
    world.settle().await;
    // What the outbox sends for gus is no call of grant-pay.
    world.set_stream_enabled("OutboxFunction", false).unwrap();
    let trigger = world.stack().function("grant-pay").unwrap().queues[0].clone();
    let store = sandbox.another_process(10);
    let process = store.clone();
    let handle = move |event| {
        let store = Arc::clone(&store);
        async move { Ok(grant_pay::handle(&*store, &*store, event, RetryPolicy::default()).await) }
    };
    world.on_queue(trigger, handle).unwrap();
    // Bob is refused once and then paid; eve is refused until she is given up. Fay's slot goes to gus.
    for name in ["bob", "eve", fay] {
        sandbox.deposit(name, 1).await;
        fill(&sandbox, name).await;
    }
    let calls = calls_of(world, async {
        world.settle().await;
        sandbox.overwrite_balance("bob", 1).await;
        world.settle_with_time().await.unwrap();
        pay_governed(&process, bobs).await;
    });
    let calls = calls.await;
    sandbox.overwrite_balance("eve", 1).await;
    sandbox.overwrite_balance(fay, 1).await;
    assert_least("grant-pay", &calls);
}

#[tokio::test]
async fn notify_may_do_what_it_does() {
    let sandbox = Sandbox::new(11);
    let world = &sandbox.world;
    // The webhook is busy, and then it is no more.
    let hook = Hook::serve(&[429, 404]).await;
    let webhook = webhook::Settings::new(hook.address(), None);
    let webhook = Arc::new(Webhook::new(webhook).unwrap());
    let store = sandbox.another_process(12);
    let trigger = world.stack().function("notify").unwrap().queues[0].clone();
    let handle = move |event| {
        let (store, webhook) = (Arc::clone(&store), Arc::clone(&webhook));
        async move { Ok(notify::handle(&*store, Some(&webhook), event).await) }
    };
    world.on_queue(trigger, handle).unwrap();
    let mut calls = BTreeSet::new();
    for told in 1..=2 {
        // The rule puts it into the queue.
        sandbox.store.publish(&end_of_campaign()).await.unwrap();
        calls.extend(calls_of(world, world.settle()).await);
        assert_eq!(hook.told().len(), told);
    }
    assert_least("notify", &calls);
}
