//! A store that does not behave as DynamoDB: a draw does not believe it, and the probe finds it.

use std::collections::BTreeMap;
use std::sync::Arc;

use largesse_app::ports::{Clock, NotDrawn, PortErrorKind, PortResult, Won};
use largesse_app::ports::{Pools, Refunds};
use largesse_domain::pool::{Entry, Nonce};
use largesse_domain::spray::Spray;
use largesse_emulator::{Faults, Matching, Service, keep_digits};
use largesse_tests::{Sandbox, user};
use rstest::rstest;
use serde_json::{Value, json};

use crate::meanwhile::{Before, meanwhile};
use crate::scene::{Table, bucket, draw, first, key, request, sprayed};

/// Answers of draws, changed on their way.
fn changed(sandbox: &Sandbox, change: impl Fn(&mut Value) + Send + Sync + 'static) -> Arc<Faults> {
    let updates = Matching::operation("UpdateItem").of(Service::DynamoDb);
    let faults = Arc::new(Faults::seeded(0).rewrite(updates, move |_, reply| change(reply)));
    sandbox.world.set_fault_hook(Some(faults.clone()));
    faults
}

/// A spray of three with an entry of `a`, at the moment the test begins.
async fn with_one(sandbox: &Sandbox) -> (Spray, Entry) {
    let (spray, now) = (sprayed(sandbox, 3).await, sandbox.store.now());
    let won = draw(&sandbox.store, &spray, &request("a", now, 1)).await.unwrap();
    (spray, won.entry)
}

/// `b` draws, and the store answers with these entries and this counter.
async fn answered(
    entries: impl Fn(Entry, Entry) -> (Entry, Entry) + Send + Sync + 'static,
    taken: u32,
) -> PortResult<Result<Won, NotDrawn>> {
    let sandbox = Sandbox::new(1);
    let (spray, a) = with_one(&sandbox).await;
    let wish = request("b", a.at, 2);
    let b = Entry { index: 1, at: wish.at, nonce: wish.nonce };
    let faults = changed(&sandbox, move |reply| {
        let (a, b) = entries(a, b);
        let draws =
            json!({ "a": { "N": a.pack().to_string() }, "b": { "N": b.pack().to_string() }});
        reply["Attributes"]["draws"]["M"] = draws;
        reply["Attributes"]["taken"]["N"] = taken.to_string().into();
    });
    let answer = sandbox.store.draw(first(&spray), &wish).await;
    sandbox.world.set_fault_hook(None);
    assert_eq!(faults.injected() == 0, answer.is_ok());
    let kept = bucket(&sandbox, &spray).await;
    assert_eq!(kept.draws, BTreeMap::from([(user("a"), a), (user("b"), b)]));
    answer
}

fn at_index(entry: Entry, index: u32) -> Entry {
    Entry { index, ..entry }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_as_it_should_be_is_believed() {
    let won = answered(|a, b| (a, b), 2).await.unwrap().unwrap();
    assert_eq!((won.entry.index, won.part), (1, 1));
}

#[rstest]
#[case::another_members_part(|a: Entry, b: Entry| (at_index(a, 1), at_index(b, 0)), 2)]
#[case::the_part_of_both(|a: Entry, b: Entry| (at_index(a, 1), b), 2)]
#[case::a_part_that_is_not_taken(|a: Entry, b: Entry| (a, at_index(b, 2)), 2)]
#[case::a_counter_that_is_off(|a: Entry, b: Entry| (a, at_index(b, 2)), 3)]
#[case::another_time(|a: Entry, b: Entry| (a, Entry { at: b.at.plus_ms(1), ..b }), 2)]
#[case::another_nonce(|a: Entry, b: Entry| (a, Entry { nonce: Nonce::from_bits(3), ..b }), 2)]
#[tokio::test(start_paused = true)]
async fn an_answer_that_cannot_be_is_corrupt(
    #[case] entries: fn(Entry, Entry) -> (Entry, Entry),
    #[case] taken: u32,
) {
    let error = answered(entries, taken).await.unwrap_err();
    assert_eq!(error.kind, PortErrorKind::Corrupt, "{error}");
}

#[tokio::test(start_paused = true)]
async fn another_members_impossible_entry_does_not_take_the_part_from_this_one() {
    let sandbox = Sandbox::new(2);
    let (spray, a) = with_one(&sandbox).await;
    let too_late = Entry { at: spray.window.closes, ..a };
    let faults = changed(&sandbox, move |reply| {
        reply["Attributes"]["draws"]["M"]["a"]["N"] = too_late.pack().to_string().into();
    });
    let won = draw(&sandbox.store, &spray, &request("b", a.at, 2)).await.unwrap();
    sandbox.world.set_fault_hook(None);
    assert_eq!((won.entry.index, faults.injected()), (1, 1));
}

/// Four draws, one after another, on a store that keeps so many digits.
#[rstest]
#[case(25)]
#[case(16)]
#[case(12)]
#[tokio::test(start_paused = true)]
async fn a_store_that_adds_with_too_few_digits_gives_no_member_anothers_part(
    #[case] digits: usize,
) {
    let sandbox = Sandbox::new(3);
    let (spray, now) = (sprayed(&sandbox, 4).await, sandbox.store.now());
    let few = Faults::seeded(0).rewrite(Matching::any().of(Service::DynamoDb), move |_, reply| {
        // The bucket's own numbers have fewer digits than any store keeps.
        if let Some(draws) = reply.pointer_mut("/Attributes/draws") {
            keep_digits(draws, digits);
        }
    });
    sandbox.world.set_fault_hook(Some(Arc::new(few)));
    let mut parts = Vec::new();
    let mut corrupt = 0;
    for (nonce, member) in (999_999_999_990_u64..).zip(["a", "b", "c", "d"]) {
        match sandbox.store.draw(first(&spray), &request(member, now, nonce)).await {
            Ok(answer) => parts.push(answer.unwrap().part),
            Err(error) => {
                assert_eq!(error.kind, PortErrorKind::Corrupt);
                corrupt += 1;
            }
        }
    }
    sandbox.world.set_fault_hook(None);
    parts.dedup();
    assert!(corrupt >= 3 && parts.len() + corrupt == 4, "{parts:?}, {corrupt} corrupt");
}

#[tokio::test(start_paused = true)]
async fn the_probe_passes_a_store_that_behaves_and_leaves_nothing_behind() {
    let sandbox = Sandbox::new(4);
    sandbox.store.probe().await.unwrap();
    assert!(sandbox.world.database().scan("largesse-pools").unwrap().is_empty());
}

/// The probe's verdict, and that its item is gone.
async fn verdict(sandbox: &Sandbox) -> &'static str {
    let error = sandbox.store.probe().await.unwrap_err();
    sandbox.world.set_fault_hook(None);
    assert_eq!(error.kind, PortErrorKind::Corrupt, "{error}");
    assert!(sandbox.world.database().scan("largesse-pools").unwrap().is_empty());
    error.operation
}

#[rstest]
#[case(26)]
#[case(16)]
#[tokio::test(start_paused = true)]
async fn the_probe_finds_a_store_that_adds_with_too_few_digits(#[case] digits: usize) {
    let sandbox = Sandbox::new(5);
    let few = Faults::seeded(0)
        .rewrite(Matching::operation("UpdateItem"), move |_, reply| keep_digits(reply, digits));
    sandbox.world.set_fault_hook(Some(Arc::new(few)));
    assert_eq!(verdict(&sandbox).await, "probe store: it does not add 27 digits exactly");
}

#[tokio::test(start_paused = true)]
async fn the_probe_finds_a_store_that_returns_no_item_with_a_refusal() {
    let sandbox = Sandbox::new(6);
    changed(&sandbox, |reply| {
        if let Some(body) = reply.as_object_mut() {
            body.remove("Item");
        }
    });
    assert_eq!(verdict(&sandbox).await, "probe store: a refusal does not return the item");
}

#[tokio::test(start_paused = true)]
async fn the_probe_finds_a_store_that_ignores_a_condition() {
    let sandbox = Arc::new(Sandbox::new(7));
    let between = sandbox.clone();
    // As if the store had not kept the first entry: the second write goes through.
    meanwhile(&sandbox, Before(2, "UpdateItem", "largesse-pools"), async move {
        let items = between.world.database().scan("largesse-pools").unwrap();
        let pk = serde_json::to_value(&items[0]["pk"]).unwrap()["S"].as_str().unwrap().to_owned();
        let none = aws_sdk_dynamodb::types::AttributeValue::M([].into());
        Table::of(&between, "pools").set(&key(pk), "probes", none).await;
    });
    assert_eq!(verdict(&sandbox).await, "probe store: it ignores a condition that fails");
}

#[tokio::test(start_paused = true)]
async fn a_bucket_with_an_entry_that_cannot_be_is_not_refunded() {
    let sandbox = Sandbox::new(8);
    let (spray, a) = with_one(&sandbox).await;
    let too_late = Entry { at: spray.window.closes, ..a };
    let table = Table::of(&sandbox, "pools");
    let bucket_key = key(format!("{}#0", spray.pool()));
    let put = async |entry: Entry| {
        let draws = [("a".to_owned(), crate::scene::n(entry.pack()))];
        let draws = aws_sdk_dynamodb::types::AttributeValue::M(draws.into());
        table.set(&bucket_key, "draws", draws).await;
    };
    put(too_late).await;
    tokio::time::advance(std::time::Duration::from_secs(600)).await;
    let error = largesse_app::spray::refund::refund(&*sandbox.store, spray.id).await.unwrap_err();
    assert_eq!(error.kind, PortErrorKind::Corrupt);
    put(a).await;
    let due = (0..8).map(|shard| sandbox.store.due_sprays(shard, sandbox.store.now(), None, 9));
    let due = futures::future::join_all(due).await;
    assert_eq!(due.into_iter().map(|page| page.unwrap().rows.len()).sum::<usize>(), 1);
}
