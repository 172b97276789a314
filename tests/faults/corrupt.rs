//! What cannot be read keeps the money where it is, and is reported.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue as Av;
use largesse_app::ports::{Clock, INDEX_SHARDS, Pools};
use largesse_app::spray::create::{self, Create};
use largesse_domain::id::SprayId;
use largesse_domain::ledger::TransferKind;
use largesse_domain::pool::{BucketStatus, Entry, Nonce, Walk};
use largesse_domain::split::Split;
use largesse_domain::spray::{Spray, Terms};
use largesse_runtime::RunError;
use largesse_tests::user;
use serde_json::json;
use ulid::Ulid;

use crate::client::claim_by;
use crate::race_draws::fill_bucket;
use crate::rig::{GRANTS, Kill, OUTBOX, OUTBOX_DLQ, Rig, refund_all, sweep_all};

const POOLS: &str = "largesse-pools";
const SPRAYS: &str = "largesse-sprays";

/// The key of the first bucket.
fn bucket(spray: &Spray) -> [(&'static str, String); 1] {
    [("pk", format!("{}#0", spray.pool()))]
}

/// Entries that no draw can have written, each as the number that the store keeps.
fn impossible(spray: &Spray) -> Vec<Av> {
    let entry = |index, at| Entry { index, at, nonce: Nonce::from_bits(2) };
    let opens = spray.window.opens;
    let packed = [
        // Not drawn, outside of the bucket, another member's.
        entry(2, opens),
        entry(15, opens),
        entry(0, opens),
        // Before and after the window.
        entry(1, opens.minus_ms(1)),
        entry(1, spray.window.closes),
    ];
    let mut numbers: Vec<Av> = packed.map(|e| Av::N(e.pack().to_string())).into();
    // What is packed so that it cannot be read, and what is no number.
    numbers.push(Av::N("16".to_owned()));
    numbers.push(Av::N("99999999999999999999999999999999999999".to_owned()));
    numbers.push(Av::S("x".to_owned()));
    numbers
}

/// Adds an entry of `b` by a plain write: counted, or not.
async fn add_entry(rig: &Rig, spray: &Spray, entry: &Av, is_counted: bool) {
    let (entry, one) = ((":entry", entry.clone()), (":one", Av::N("1".to_owned())));
    let counted = "SET draws.b = :entry, taken = taken + :one";
    match is_counted {
        true => rig.edit(POOLS, &bucket(spray), counted, &[entry, one]).await,
        false => rig.edit(POOLS, &bucket(spray), "SET draws.b = :entry", &[entry]).await,
    }
}

async fn remove_entry(rig: &Rig, spray: &Spray, is_counted: bool) {
    let one = (":one", Av::N("1".to_owned()));
    let counted = "SET taken = taken - :one REMOVE draws.b";
    match is_counted {
        true => rig.edit(POOLS, &bucket(spray), counted, &[one]).await,
        false => rig.edit(POOLS, &bucket(spray), "REMOVE draws.b", &[]).await,
    }
}

/// What an operator does with records that are dealt with.
async fn delete_dead_records(rig: &Rig) {
    let url = rig.queue_url(OUTBOX_DLQ).await;
    let receive = json!({ "QueueUrl": url, "MaxNumberOfMessages": 10 });
    let received = rig.sqs("ReceiveMessage", receive).await;
    for message in received["Messages"].as_array().into_iter().flatten() {
        let receipt = json!({ "QueueUrl": url, "ReceiptHandle": message["ReceiptHandle"] });
        rig.sqs("DeleteMessage", receipt).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_impossible_entry_is_never_paid_nor_refunded_over_and_stops_no_other_entry() {
    for n in 0..16 {
        let (n, is_counted) = (n % 8, n < 8);
        let rig = Rig::new(1, Kill::default());
        let (room, spray) = rig.spray(16).await;
        let entry = impossible(&spray)[n].clone();
        let a = claim_by(&rig.sandbox.store, room, &spray, "a").await.unwrap().get();
        add_entry(&rig, &spray, &entry, is_counted).await;
        rig.sandbox.world.settle().await;
        // What was drawn before is paid; its own record came first.
        assert_eq!(rig.balance("a"), a, "entry {n}");
        assert_eq!(rig.balance("b"), 0, "entry {n}");
        let dead = rig.sandbox.world.queue(OUTBOX_DLQ).unwrap().messages;
        assert_eq!(dead.len(), 1, "entry {n}: the record is kept");
        assert!(dead[0].body.contains("\"b\""), "{}", dead[0].body);

        // The schedule fails until it is put right, not once.
        let store = &*rig.sandbox.store;
        for _ in 0..2 {
            tokio::time::advance(Duration::from_secs(301)).await;
            let swept = pool_sweep::handle(store, store.now().plus_ms(60_000)).await;
            assert!(matches!(swept, Err(RunError::LeftOver(left)) if left > 0), "{n}: {swept:?}");
        }
        rig.sandbox.world.settle().await;
        assert!(rig.sandbox.world.queue(GRANTS).unwrap().is_empty());
        assert_eq!((rig.balance("a"), rig.balance("b")), (a, 0), "entry {n}");

        tokio::time::advance(Duration::from_secs(300)).await;
        let refunded = refund_all(&rig.sandbox.store).await.unwrap();
        assert_eq!((refunded.refunded, refunded.failed), (0, 1), "entry {n}");
        let run = refund_batch::handle(store, store.now().plus_ms(60_000)).await;
        assert!(matches!(run, Err(RunError::LeftOver(1))), "{run:?}");
        let read = store.buckets(spray.pool(), &[0]).await.unwrap();
        assert_eq!(read[0].status, BucketStatus::Open, "the money stays where it is");
        assert_eq!(rig.balance("s"), 0);

        // An operator has put it right: the rest goes its way.
        remove_entry(&rig, &spray, is_counted).await;
        delete_dead_records(&rig).await;
        rig.wind_up().await;
        assert_eq!((rig.balance("a"), rig.balance("s")), (a, 160 - a));
        assert_eq!(rig.transfers(TransferKind::Claim), 1);
    }
}

/// More sprays than a page of the index has.
const COUNT: u64 = 130;

/// Sprays of one shard of both indexes; `a` has a share of each.
async fn many_sprays(rig: &Rig) -> Vec<Spray> {
    let room = rig.sandbox.room(&["s", "a", "b"]).await;
    rig.sandbox.deposit("s", COUNT * 20).await;
    let terms = Terms::new(20, 2, Split::Equal, 600).unwrap();
    let mut sprays = Vec::new();
    for n in 0..COUNT {
        let at_ms = rig.sandbox.store.now().ms_unsigned();
        // The random part of the id decides the shard.
        let id = SprayId(Ulid::from_parts(at_ms, u128::from(n) * u128::from(INDEX_SHARDS)));
        let request = Create { id, room, sender: user("s"), terms };
        let spray = create::create(&*rig.sandbox.store, request).await.unwrap();
        claim_by(&rig.sandbox.store, room, &spray, "a").await.unwrap();
        sprays.push(spray);
    }
    sprays
}

#[tokio::test(start_paused = true)]
async fn an_unreadable_bucket_or_spray_stops_no_other() {
    let rig = Rig::new(2, Kill::default());
    rig.sandbox.world.set_stream_enabled(OUTBOX, false).unwrap();
    let sprays = many_sprays(&rig).await;
    let text = |text: &str| Av::S(text.to_owned());
    // A bucket of a kind, and a spray with a number of shares, that this version does not know.
    let kind = [(":kind", text("raffle"))];
    rig.edit(POOLS, &bucket(&sprays[0]), "SET kind = :kind", &kind).await;
    let spray = [("pk", sprays[1].pool().to_string())];
    let recipients = "SET recipients = :recipients";
    rig.edit(SPRAYS, &spray, recipients, &[(":recipients", text("all"))]).await;
    // Members of the indexes that are no bucket and no spray of this version; the first of each.
    for n in 0..2 {
        let ms = Av::N(n.to_string());
        let pk = text(&format!("RAFFLE#{n}#0"));
        let item = [("pk", pk.clone()), ("sweep_shard", text("0")), ("sweep_ms", ms.clone())];
        rig.put(POOLS, &item).await;
        rig.put(SPRAYS, &[("pk", pk), ("due_shard", text("0")), ("due_ms", ms)]).await;
    }
    tokio::time::advance(Duration::from_secs(301)).await;
    let store = &*rig.sandbox.store;
    let swept = sweep_all(store).await.unwrap();
    assert_eq!((swept.resent, swept.failed, swept.has_more), (COUNT - 1, 3, false));
    rig.sandbox.world.settle().await;
    tokio::time::advance(Duration::from_secs(400)).await;
    let refunded = refund_all(store).await.unwrap();
    assert_eq!((refunded.refunded, refunded.failed, refunded.has_more), (COUNT - 2, 4, false));
    // The schedules fail until it is put right.
    for _ in 0..2 {
        let stop_at = store.now().plus_ms(60_000);
        let run = pool_sweep::handle(store, stop_at).await;
        assert!(matches!(run, Err(RunError::LeftOver(3))), "{run:?}");
        let run = refund_batch::handle(store, stop_at).await;
        assert!(matches!(run, Err(RunError::LeftOver(4))), "{run:?}");
    }
    rig.edit(POOLS, &bucket(&sprays[0]), "SET kind = :kind", &[(":kind", text("share"))]).await;
    let two = [(":recipients", Av::N("2".to_owned()))];
    rig.edit(SPRAYS, &spray, recipients, &two).await;
    for table in [POOLS, SPRAYS] {
        for n in 0..2 {
            rig.delete(table, &[("pk", format!("RAFFLE#{n}#0"))]).await;
        }
    }
    rig.wind_up().await;
    rig.assert_all_paid();
    assert_eq!((rig.balance("a"), rig.balance("s")), (COUNT * 10, COUNT * 10));
}

#[tokio::test(start_paused = true)]
async fn an_unreadable_bucket_stops_no_claim_of_another() {
    let rig = Rig::new(3, Kill::default());
    let (room, spray) = rig.spray(40).await;
    let walk: Vec<u32> = Walk::new(&spray.pool(), &user("a"), 3).collect();
    // The last bucket of the walk of `a`: it is read ahead when the first one is full.
    let last = [("pk", format!("{}#{}", spray.pool(), walk[2]))];
    let kind = |kind: &str| [(":kind", Av::S(kind.to_owned()))];
    rig.edit(POOLS, &last, "SET kind = :kind", &kind("raffle")).await;
    fill_bucket(&rig, &spray, walk[0]).await;
    claim_by(&rig.sandbox.store, room, &spray, "a").await.unwrap();
    rig.edit(POOLS, &last, "SET kind = :kind", &kind("share")).await;
    rig.wind_up().await;
}
