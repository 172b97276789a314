//! Functions behind a queue and a stream: what they answer decides what AWS delivers again.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use largesse_domain::money::BALANCE_MAX;
use largesse_emulator::Service;
use serde_json::{Value, json};

use crate::bootstrap::Bootstrap;
use crate::events::event;
use crate::scene::{SPRAY, Scene};

const QUEUE: &str = "largesse-grants.fifo";

/// The answer that names these and nothing else: they come back, all others are deleted.
fn failures(ids: &[&str]) -> Value {
    let ids: Vec<_> = ids.iter().map(|id| json!({ "itemIdentifier": id })).collect();
    json!({ "batchItemFailures": ids })
}

/// Group and body of all that lies in the queue of grants.
fn sent(scene: &Scene) -> Vec<(String, String)> {
    let queue = scene.world.queue(QUEUE).unwrap();
    queue.messages.into_iter().map(|message| (message.group, message.body)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn outbox_sends_every_new_entry_once_however_often_it_is_delivered() {
    let scene = Scene::new().await;
    let mut outbox = Bootstrap::start(&scene, "outbox").await;
    for _ in 0..2 {
        let answered = outbox.invoke(&event("outbox", "happy")).await;
        assert_eq!(answered.body, failures(&[]));
    }
    // What it sends is what grant-pay is given.
    let paid = event("grant-pay", "happy");
    let given = paid["Records"].as_array().unwrap().iter().map(|record| {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        (text(&record["attributes"]["MessageGroupId"]), text(&record["body"]))
    });
    assert_eq!(sent(&scene), given.collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn outbox_sends_the_good_record_and_dead_letters_the_bad_one() {
    let scene = Scene::new().await;
    let hostile = event("outbox", "hostile");
    let answered = Bootstrap::start(&scene, "outbox").await.invoke(&hostile).await;
    assert_eq!(answered.body, failures(&[]), "it stops no other");
    let groups: Vec<_> = sent(&scene).into_iter().map(|(group, _)| group).collect();
    assert_eq!(groups, ["bob"]);
    let dead = scene.world.queue("largesse-outbox-dlq").unwrap().messages;
    assert_eq!(dead.len(), 1);
    let letter: Value = serde_json::from_str(&dead[0].body).unwrap();
    let bad = &hostile["Records"][1]["dynamodb"];
    // Two members have one index. Bob's entry was there before and is sent; carol's is not.
    assert_eq!(letter["members"], json!(["carol"]));
    for part in ["Keys", "OldImage", "NewImage", "SequenceNumber"] {
        assert_eq!(letter["record"]["dynamodb"][part], bad[part]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn outbox_reports_the_bad_record_when_it_cannot_be_dead_lettered() {
    let scene = Scene::new().await;
    let hostile = event("outbox", "hostile");
    let outbox = Bootstrap::start_changed(&scene, "outbox", |environment| {
        let nowhere = "https://sqs.ap-northeast-2.amazonaws.com/000000000000/nowhere";
        environment.insert("QUEUE_OUTBOX_DLQ_URL".to_owned(), nowhere.to_owned());
    });
    let answered = outbox.await.invoke(&hostile).await;
    let poisoned = hostile["Records"][1]["dynamodb"]["SequenceNumber"].as_str().unwrap();
    assert_eq!(answered.body, failures(&[poisoned]));
}

#[tokio::test(flavor = "multi_thread")]
async fn grant_pay_pays_once_however_often_it_is_told() {
    let scene = Scene::with_grants().await;
    let mut pay = Bootstrap::start(&scene, "grant-pay").await;
    for _ in 0..2 {
        let answered = pay.invoke(&event("grant-pay", "happy")).await;
        assert_eq!(answered.body, failures(&[]));
        assert_eq!(scene.paid().await, ["bob", "carol"]);
    }
}

/// Two environments are handed the same batch at once, with one of its grants in it twice; and again
/// when the queue and the store have forgotten the first time.
#[tokio::test(flavor = "multi_thread")]
async fn a_grant_that_is_twice_in_a_batch_and_in_two_environments_is_paid_once() {
    let scene = Scene::with_grants().await;
    let (bob, carol) = grants();
    let batch = json!({ "Records": [
        message("bob", "bob", &bob),
        message("carol", "carol", &carol),
        message("bob again", "bob", &bob),
    ] });
    let mut first = Bootstrap::start(&scene, "grant-pay").await;
    let mut second = Bootstrap::start(&scene, "grant-pay").await;
    for _ in 0..2 {
        let answers = futures::join!(first.invoke(&batch), second.invoke(&batch));
        assert_eq!((answers.0.body, answers.1.body), (failures(&[]), failures(&[])));
        assert_eq!(scene.paid().await, ["bob", "carol"]);
        scene.world.clock().set_skew_ms(601_000);
    }
}

/// Nobody could work nine times; the tenth worker can.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_was_received_ten_times_is_still_paid() {
    let scene = Scene::with_grants().await;
    let (bob, _) = grants();
    let mut received = message("bob", "bob", &bob);
    received["attributes"]["ApproximateReceiveCount"] = "10".into();
    let mut pay = Bootstrap::start(&scene, "grant-pay").await;
    let answered = pay.invoke(&json!({ "Records": [received] })).await;
    assert_eq!(answered.body, failures(&[]));
    assert_eq!(scene.paid().await, ["bob"]);
    assert!(scene.world.queue("largesse-grants-dlq.fifo").unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_cannot_be_read_returns_alone() {
    let scene = Scene::with_grants().await;
    let hostile = event("grant-pay", "hostile");
    let answered = Bootstrap::start(&scene, "grant-pay").await.invoke(&hostile).await;
    let poisoned = hostile["Records"][1]["messageId"].as_str().unwrap();
    assert_eq!(answered.body, failures(&[poisoned]));
    assert_eq!(scene.paid().await, ["bob", "dave"]);
}

/// A message as Lambda hands it in.
pub(crate) fn message(id: &str, group: &str, body: &Value) -> Value {
    let mut record = event("grant-pay", "happy")["Records"][0].clone();
    record["messageId"] = id.into();
    record["attributes"]["MessageGroupId"] = group.into();
    record["body"] = body.to_string().into();
    record
}

/// An item that is in the way, until it is taken away.
struct Obstacle<'a> {
    scene: &'a Scene,
    table: &'a str,
    key: HashMap<String, AttributeValue>,
}

impl<'a> Obstacle<'a> {
    async fn put(
        scene: &'a Scene,
        table: &'a str,
        key: [&str; 2],
        numbers: &[(&str, u64)],
    ) -> Self {
        let [pk, sk] = key.map(|text| AttributeValue::S(text.to_owned()));
        let key = HashMap::from([("pk".to_owned(), pk), ("sk".to_owned(), sk)]);
        let number =
            |(name, n): &(&str, u64)| ((*name).to_owned(), AttributeValue::N(n.to_string()));
        let item: HashMap<_, _> =
            key.clone().into_iter().chain(numbers.iter().map(number)).collect();
        let put = scene.dynamo().put_item().table_name(table).set_item(Some(item));
        put.send().await.unwrap();
        Self { scene, table, key }
    }

    async fn take_away(self) {
        let delete = self.scene.dynamo().delete_item().table_name(self.table);
        delete.set_key(Some(self.key)).send().await.unwrap();
    }
}

/// The grants that the happy event pays.
fn grants() -> (Value, Value) {
    let happy = event("grant-pay", "happy");
    let body = |n: usize| serde_json::from_str(happy["Records"][n]["body"].as_str().unwrap());
    let (bob, carol): (Value, Value) = (body(0).unwrap(), body(1).unwrap());
    assert_eq!(bob["source"], format!("SPRAY#{SPRAY}"));
    (bob, carol)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_to_be_tried_again_holds_up_the_rest_of_its_group_only() {
    let scene = Scene::with_grants().await;
    // Bob's wallet can hold no more.
    let full = [("balance", BALANCE_MAX), ("held", 0), ("seq", 1)];
    let wallet = Obstacle::put(&scene, "largesse-ledger", ["WALLET#bob", "BALANCE"], &full).await;
    let (bob, carol) = grants();
    let batch = json!({ "Records": [
        message("first of carol", "carol", &carol),
        message("first of bob", "bob", &bob),
        message("second of carol", "carol", &carol),
        message("last of bob", "bob", &bob),
    ] });

    let mut pay = Bootstrap::start(&scene, "grant-pay").await;
    let answered = pay.invoke(&batch).await;
    assert_eq!(answered.body, failures(&["first of bob", "last of bob"]));
    assert!(scene.balance("carol").await > 0);
    let attempts = scene.failed("bob").await.expect("a failed grant").attempts;
    assert_eq!(attempts, 1, "the last one was not tried");

    // Once there is room again, what waited behind it is paid.
    wallet.take_away().await;
    let mut batch = batch;
    for record in batch["Records"].as_array_mut().unwrap() {
        record["attributes"]["ApproximateReceiveCount"] = "2".into();
    }
    let answered = pay.invoke(&batch).await;
    assert_eq!(answered.body, failures(&[]));
    assert_eq!(scene.paid().await, ["bob", "carol"]);
    assert_eq!(scene.world.recorder().operation(Service::EventBridge, "PutEvents").calls, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_of_a_newer_version_waits_and_holds_up_its_own_group_only() {
    let scene = Scene::with_grants().await;
    let (bob, carol) = grants();
    let mut newer = bob.clone();
    newer["version"] = 2.into();
    let mut later = carol.clone();
    later["added_by_a_later_version"] = json!({ "currency": "KRW" });
    let batch = json!({ "Records": [
        message("newer of bob", "bob", &newer),
        message("of carol", "carol", &later),
        message("last of bob", "bob", &bob),
    ] });
    let mut pay = Bootstrap::start(&scene, "grant-pay").await;
    for _ in 0..2 {
        let answered = pay.invoke(&batch).await;
        assert_eq!(answered.body, failures(&["newer of bob", "last of bob"]));
        assert_eq!(scene.paid().await, ["carol"]);
    }
    assert!(scene.world.queue("largesse-grants-dlq.fifo").unwrap().is_empty());
}
