//! Money is conserved after every step, and the test world would notice if it were not.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use futures::FutureExt;
use futures::future::BoxFuture;
use largesse_emulator::{Call, Fault, FaultHook, Outcome, Service, World};
use largesse_tests::http::Api;
use largesse_tests::money;
use rstest::rstest;

/// Audits the books after every single write of any caller.
struct AuditEach {
    world: World,
    writes: AtomicUsize,
}

impl FaultHook for AuditEach {
    fn before<'a>(&'a self, _call: &'a Call) -> BoxFuture<'a, Option<Fault>> {
        async { None }.boxed()
    }

    fn after<'a>(&'a self, call: &'a Call, _: Outcome) -> BoxFuture<'a, Option<Fault>> {
        let reads = ["GetItem", "Query", "BatchGetItem", "Scan"];
        if call.service == Service::DynamoDb && !reads.contains(&call.operation.as_str()) {
            self.writes.fetch_add(1, Ordering::Relaxed);
            money::assert_conserved(&self.world);
        }
        async { None }.boxed()
    }
}

#[tokio::test(start_paused = true)]
async fn money_is_conserved_after_every_write_of_every_step() {
    let api = Api::new(1);
    let world = api.sandbox.world.clone();
    let audit = Arc::new(AuditEach { world: world.clone(), writes: AtomicUsize::new(0) });
    world.set_fault_hook(Some(audit.clone()));

    let room = api.room(&["ann", "bob", "eve"]).await;
    let small = api.spray(&room, "ann", 1_000, 3).await;
    let large = api.spray(&room, "bob", 9_999, 60).await;
    assert_eq!(api.try_spray(&room, "eve", 10, 1).await.status, 409);
    for (user, token, status) in [
        ("bob", &small, 201),
        ("bob", &small, 409),
        ("ann", &small, 403),
        ("eve", &small, 201),
        ("ann", &large, 201),
        ("eve", &large, 201),
        ("eve", &large, 409),
    ] {
        assert_eq!(api.claim(&room, user, token).await.status, status, "{user}");
    }
    api.settle().await;
    let again = api.spray(&room, "eve", 5, 5).await;
    api.claim(&room, "bob", &again).await.expect(201);
    tokio::time::advance(Duration::from_secs(601)).await;
    api.refund_due().await;
    assert_eq!(api.claim(&room, "eve", &large).await.status, 410);

    world.set_fault_hook(None);
    assert!(audit.writes.load(Ordering::Relaxed) > 30, "every write was audited");
    let totals = money::assert_conserved(&world);
    assert_eq!((totals.issued, totals.escrows), (1_000 + 9_999 + 5, 0));
}

async fn update(client: &Client, table: &str, key: [(&str, &str); 2], set: &str) {
    let mut ask = client.update_item().table_name(format!("largesse-{table}"));
    for (name, value) in key.into_iter().filter(|(name, _)| !name.is_empty()) {
        ask = ask.key(name, AttributeValue::S(value.to_owned()));
    }
    ask = ask.update_expression(set);
    if set.contains(":one") {
        ask = ask.expression_attribute_values(":one", AttributeValue::N("1".to_owned()));
    }
    ask.send().await.expect("a tampered item");
}

/// Whatever single item is tampered with behind the system's back, dropping the world fails.
#[rstest]
#[case::a_richer_wallet("ledger", "BALANCE", "SET balance = balance + :one")]
#[case::a_poorer_wallet("ledger", "BALANCE", "SET balance = balance - :one")]
#[case::money_set_aside_from_nowhere("ledger", "BALANCE", "SET held = held + :one")]
#[case::a_larger_transfer("ledger", "TX#", "SET amount = amount + :one")]
#[case::a_transfer_out_of_its_sequence("ledger", "TX#", "SET seq = seq + :one")]
#[case::a_share_drawn_twice("pools", "", "SET draws.eve = draws.eve - :one")]
#[case::an_entry_that_is_gone("pools", "", "REMOVE draws.bob")]
#[case::a_larger_share("pools", "", "SET worth[0] = worth[0] + :one")]
#[case::a_share_come_back("pools", "", "SET taken = taken - :one")]
#[tokio::test]
async fn a_tampered_item_fails_the_world_when_it_is_dropped(
    #[case] table: &str,
    #[case] sort_key: &str,
    #[case] set: &str,
) {
    let api = Api::new(2);
    let room = api.room(&["ann", "bob", "eve"]).await;
    let token = api.spray(&room, "ann", 10, 3).await;
    api.claim(&room, "bob", &token).await.expect(201);
    api.claim(&room, "eve", &token).await.expect(201);
    api.settle().await;
    money::assert_conserved(&api.sandbox.world);

    let text = |item: &dynoxide::Item, name: &str| match item.get(name) {
        Some(dynoxide::AttributeValue::S(text)) => text.clone(),
        _ => String::new(),
    };
    let items = api.sandbox.world.database().scan(&format!("largesse-{table}")).unwrap();
    let mut keys: Vec<_> = items.iter().map(|i| (text(i, "pk"), text(i, "sk"))).collect();
    keys.sort();
    let (pk, sk) = keys.iter().rfind(|(_, sk)| sk.starts_with(sort_key)).expect("such an item");
    let client = Client::new(&api.sandbox.world.sdk_config());
    let sort = if sk.is_empty() { ("", "") } else { ("sk", sk.as_str()) };
    update(&client, table, [("pk", pk), sort], set).await;

    let dropped = catch_unwind(AssertUnwindSafe(|| drop(api)));
    let panic = dropped.expect_err("the world noticed nothing");
    let said = panic.downcast_ref::<String>().cloned().unwrap_or_default();
    assert!(said.contains("money is not conserved"), "{said}");
}
