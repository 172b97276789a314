//! Two versions live at the same time: what a later version adds is tolerated, and what only a later
//! version understands waits for it.

use std::sync::atomic::Ordering;
use std::time::Duration;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue as Av;
use largesse_app::spray::create::{self, Create};
use largesse_domain::grant::GrantStatus;
use largesse_domain::id::{RoomId, SprayId};
use largesse_domain::ledger::TransferKind;
use largesse_domain::split::Split;
use largesse_domain::spray::{Spray, Terms};
use largesse_tests::{money, user};
use serde_json::{Value, json};

use crate::client::claim_by;
use crate::refused::{HELD, failed};
use crate::rig::{GRANTS, GRANTS_DLQ, Kill, OUTBOX_DLQ, Rig, refund_all, sweep_all};

/// Attributes of every type, that no code of today knows.
fn later_attributes() -> Vec<(&'static str, Av)> {
    let list = vec![Av::Null(true), Av::N("1.5".to_owned()), Av::Bool(true)];
    let map = [("inner".to_owned(), Av::L(list))].into();
    let text = |text: &str| text.to_owned();
    vec![
        (":text", Av::S(text("later"))),
        (":map", Av::M(map)),
        (":bytes", Av::B(Blob::new([1, 2]))),
        (":texts", Av::Ss(vec![text("x"), text("y")])),
        (":numbers", Av::Ns(vec![text("1"), text("2")])),
        (":blobs", Av::Bs(vec![Blob::new([1]), Blob::new([2])])),
        (":null", Av::Null(true)),
    ]
}

const ADD: &str = "SET l_text = :text, l_map = :map, l_bytes = :bytes, l_texts = :texts, \
                   l_numbers = :numbers, l_blobs = :blobs, l_null = :null";

/// A later version has added attributes to this item.
async fn add_attributes(rig: &Rig, table: &str, key: &[(&str, String)]) {
    rig.edit(table, key, ADD, &later_attributes()).await;
}

/// A spray whose items a later version has written.
async fn later_spray(rig: &Rig, recipients: u64) -> (RoomId, Spray) {
    let (room, spray) = rig.spray(recipients).await;
    let pool = spray.pool().to_string();
    add_attributes(rig, "largesse-sprays", &[("pk", pool.clone())]).await;
    add_attributes(rig, "largesse-sprays", &[("pk", "SENDER#s".to_owned())]).await;
    add_attributes(rig, "largesse-tokens", &[("pk", format!("TOKEN#{}", spray.token))]).await;
    for number in 0..recipients.div_ceil(16) {
        add_attributes(rig, "largesse-pools", &[("pk", format!("{pool}#{number}"))]).await;
    }
    for (pk, sk) in [(format!("ROOM#{room}"), "META"), (format!("ROOM#{room}"), "MEMBER#a")] {
        add_attributes(rig, "largesse-rooms", &[("pk", pk), ("sk", sk.to_owned())]).await;
    }
    let wallet = [("pk", "WALLET#s".to_owned()), ("sk", "BALANCE".to_owned())];
    add_attributes(rig, "largesse-ledger", &wallet).await;
    (room, spray)
}

#[tokio::test(start_paused = true)]
async fn items_with_attributes_of_a_later_version_are_claimed_paid_read_swept_and_refunded() {
    for size in [3, 60] {
        let rig = Rig::new(1, Kill::default());
        let (room, spray) = later_spray(&rig, size).await;
        let a = claim_by(&rig.sandbox.store, room, &spray, "a").await.unwrap().get();
        let b = claim_by(&rig.sandbox.store, room, &spray, "b").await.unwrap().get();
        // By the stream alone: the images have the attributes too.
        rig.pay().await;
        assert_eq!((rig.balance("a"), rig.balance("b")), (a, b));
        assert!(rig.sandbox.world.queue(OUTBOX_DLQ).unwrap().is_empty());
        let transfer = transfer_of(&rig, "a");
        add_attributes(&rig, "largesse-ledger", &transfer).await;
        tokio::time::advance(Duration::from_secs(301)).await;
        let swept = sweep_all(&rig.sandbox.another_process(8)).await.unwrap();
        assert!(swept.buckets > 0 && swept.resent == 0 && swept.failed == 0, "{swept:?}");
        for path in [
            format!("/api/v2/sprays/{}", spray.id),
            "/api/v2/sprays".to_owned(),
            "/api/v2/wallets/s".to_owned(),
            format!("/api/v2/rooms/{room}"),
        ] {
            let (status, body) = rig.call("GET", &path, &[("x-user-id", "s")], "").await;
            assert_eq!(status, 200, "{path}: {body}");
        }
        let path = "/api/v2/wallets/a/transactions";
        let (status, body) = rig.call("GET", path, &[("x-user-id", "a")], "").await;
        assert_eq!(status, 200, "{path}: {body}");
        tokio::time::advance(Duration::from_secs(700)).await;
        assert_eq!(refund_all(&rig.sandbox.store).await.unwrap().refunded, 1);
        rig.wind_up().await;
        rig.assert_all_paid();
        assert_eq!(rig.balance("s"), size * 10 - a - b);
        // The freed token is taken again.
        assert!(create_again(&rig, room).await.is_ok());
        rig.wind_up().await;
    }
}

/// The key of the one transfer of a wallet.
fn transfer_of(rig: &Rig, name: &str) -> [(&'static str, String); 2] {
    let transfers = money::books(&rig.sandbox.world).transfers;
    let transfer = transfers.iter().find(|transfer| transfer.order.wallet.as_str() == name);
    let id = transfer.unwrap().order.id;
    [("pk", format!("WALLET#{name}")), ("sk", format!("TX#{id}"))]
}

async fn create_again(rig: &Rig, room: RoomId) -> Result<Spray, create::CreateError> {
    let terms = Terms::new(3, 3, Split::Equal, 600).unwrap();
    let request = Create { id: SprayId(rig.sandbox.id()), room, sender: user("s"), terms };
    create::create(&*rig.sandbox.store, request).await
}

#[tokio::test(start_paused = true)]
async fn a_failed_grant_with_attributes_of_a_later_version_is_counted_on() {
    let rig = Rig::new(2, Kill::default());
    let (spray, _) = crate::refused::drawn_into_a_full_wallet(&rig).await;
    rig.sandbox.world.settle().await;
    let key = [("pk", spray.pool().to_string()), ("sk", "MEMBER#a".to_owned())];
    add_attributes(&rig, "largesse-grants", &key).await;
    rig.pay().await;
    let failed = failed(&rig, &spray).await.unwrap();
    assert_eq!((failed.status, failed.attempts), (GrantStatus::PermanentlyFailed, 4));
    let (status, body) =
        rig.call("GET", &format!("/api/v2/sprays/{}", spray.id), &[("x-user-id", "s")], "").await;
    assert_eq!(status, 200, "{body}");
    rig.sandbox.overwrite_balance("a", HELD).await;
    rig.wind_up().await;
}

/// What a queue holds, by the receives of each message.
fn bodies(rig: &Rig, queue: &str) -> Vec<String> {
    let messages = rig.sandbox.world.queue(queue).unwrap().messages;
    messages.into_iter().map(|message| message.body).collect()
}

/// Puts the messages that the outbox has sent into another form, as a later version sends them.
async fn rewrite_messages(rig: &Rig, change: impl Fn(&str, &mut Value)) {
    let url = rig.queue_url(GRANTS).await;
    let sent = rig.sandbox.world.queue(GRANTS).unwrap().messages;
    let receive = json!({ "QueueUrl": url, "MaxNumberOfMessages": 10 });
    let received = rig.sqs("ReceiveMessage", receive).await;
    for message in received["Messages"].as_array().unwrap() {
        let receipt = json!({ "QueueUrl": url, "ReceiptHandle": message["ReceiptHandle"] });
        rig.sqs("DeleteMessage", receipt).await;
    }
    for message in &sent {
        let mut body: Value = serde_json::from_str(&message.body).unwrap();
        change(&message.group, &mut body);
        let send = json!({
            "QueueUrl": url, "MessageBody": body.to_string(), "MessageGroupId": message.group,
            "MessageDeduplicationId": format!("{}-later", message.deduplication),
        });
        rig.sqs("SendMessage", send).await;
    }
    assert_eq!(bodies(rig, GRANTS).len(), sent.len());
}

/// Runs the outbox only: the messages wait in the queue.
async fn sent_but_not_received(rig: &Rig, names: &[&str], sprays: u64) -> Vec<Spray> {
    let mut made = Vec::new();
    for _ in 0..sprays {
        let (room, spray) = rig.spray(3).await;
        for name in names {
            claim_by(&rig.sandbox.store, room, &spray, name).await.unwrap();
        }
        made.push(spray);
    }
    rig.sandbox.world.settle().await;
    let batches = std::mem::take(&mut *rig.batches.lock().unwrap());
    for batch in batches {
        outbox::handle(&*rig.sandbox.store, batch).await;
    }
    made
}

#[tokio::test(start_paused = true)]
async fn fields_that_a_later_version_adds_to_a_message_are_ignored() {
    let rig = Rig::new(3, Kill { keeps_batches: true, ..Kill::default() });
    sent_but_not_received(&rig, &["a", "b"], 1).await;
    let later = json!({ "version": 1, "list": [null, 1.5], "text": "x" });
    rewrite_messages(&rig, |_, body| {
        body["later"] = later.clone();
        body["currency"] = json!("KRW");
    })
    .await;
    rig.pay().await;
    rig.assert_all_paid();
    assert!(rig.balance("a") > 0 && rig.balance("b") > 0);
    rig.wind_up().await;
}

#[tokio::test(start_paused = true)]
async fn a_message_of_a_newer_version_waits_for_a_worker_that_understands_it() {
    let rig = Rig::new(4, Kill { keeps_batches: true, ..Kill::default() });
    // Two messages of each member: the first of `a` is of the newer version.
    let sprays = sent_but_not_received(&rig, &["a", "b"], 2).await;
    let first = sprays[0].pool().to_string();
    rewrite_messages(&rig, |group, body| {
        if group == "a" && body["source"] == first.as_str() {
            body["version"] = json!(2);
        }
    })
    .await;
    // Half a day of a deployment that hangs, at the queue's own pace.
    for _ in 0..(12 * 20) {
        rig.sandbox.world.settle().await;
        tokio::time::advance(Duration::from_secs(180)).await;
    }
    assert!(rig.balance("b") > 0, "another member is paid");
    assert_eq!(money::books(&rig.sandbox.world).unpaid().len(), 2, "both of the group wait");
    assert_eq!(rig.balance("a"), 0);
    assert_eq!(bodies(&rig, GRANTS).len(), 2);
    assert!(bodies(&rig, GRANTS_DLQ).is_empty());
    assert!(money::books(&rig.sandbox.world).failed.is_empty(), "nothing was counted");
    rig.reads_version_2.store(true, Ordering::SeqCst);
    rig.pay().await;
    rig.assert_all_paid();
    assert!(rig.balance("a") > 0);
    assert_eq!(rig.transfers(TransferKind::Claim), 4);
    rig.wind_up().await;
}

#[tokio::test(start_paused = true)]
async fn a_newer_message_that_is_never_understood_is_dead_lettered_and_its_entry_is_sent_again() {
    let rig = Rig::new(5, Kill { keeps_batches: true, ..Kill::default() });
    sent_but_not_received(&rig, &["a"], 1).await;
    rewrite_messages(&rig, |_, body| body["version"] = json!(2)).await;
    // The queue gives up on it after more than a day: it is kept, and nothing is lost.
    rig.pay().await;
    assert_eq!(bodies(&rig, GRANTS_DLQ).len(), 1);
    assert_eq!(rig.balance("a"), 0);
    let swept = sweep_all(&rig.sandbox.store).await.unwrap();
    assert_eq!((swept.resent, swept.failed), (1, 0));
    rig.pay().await;
    assert!(rig.balance("a") > 0, "by the message of this version");
    rig.wind_up().await;
}
