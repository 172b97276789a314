//! The sweep: what is drawn and not paid is found, sent again, and stays in the index until it is
//! paid.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use largesse_app::pool::sweep::{SWEEP_AFTER_MS, Swept, sweep};
use largesse_app::ports::{Clock, Grants, INDEX_SHARDS, Money, Payment, Pools, Void, Voids};
use largesse_app::spray::read;
use largesse_aws::grant::message::read_body;
use largesse_domain::grant::GrantStatus;
use largesse_domain::id::{GrantId, PoolId};
use largesse_domain::pool::{Bucket, Entry};
use largesse_domain::spray::Spray;
use largesse_domain::time::Timestamp;
use largesse_tests::{Sandbox, user};

use crate::meanwhile::{Before, meanwhile};
use crate::scene::{
    Table, bucket, draw, drawn, first, given_up, key, key_with, n, refused, request, s, sprayed,
};

/// Since when the first bucket of the pool is in the index, if it is.
async fn indexed(sandbox: &Sandbox, pool: PoolId) -> Option<Timestamp> {
    let end = Timestamp::from_ms(i64::MAX);
    let mut found = Vec::new();
    for shard in 0..INDEX_SHARDS {
        let page = sandbox.store.sweepable(shard, end, None, 10).await.unwrap();
        found.extend(page.rows.into_iter().filter(|row| row.id.pool == pool));
    }
    assert!(found.len() <= 1, "{found:?}");
    found.first().map(|row| row.since)
}

/// Whose grants were sent, in order.
fn sent(sandbox: &Sandbox) -> Vec<String> {
    let messages = sandbox.world.queue("largesse-grants.fifo").unwrap().messages;
    let member = |body: &str| read_body(body).unwrap().grant.member.to_string();
    messages.iter().map(|message| member(&message.body)).collect()
}

async fn pass(ms: u64) {
    tokio::time::advance(Duration::from_millis(ms)).await;
}

async fn swept(sandbox: &Sandbox, spray: &Spray) -> Swept {
    sweep(&*sandbox.store, first(spray)).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_sweep_sends_only_what_is_unpaid() {
    let sandbox = Sandbox::new(1);
    let store = &sandbox.store;
    let spray = sprayed(&sandbox, 16).await;
    let mut grants = Vec::new();
    for member in ["paid", "given-up", "voided", "failed", "pending"] {
        grants.push(drawn(&sandbox, &spray, member).await);
    }
    let [paid, up, voided, failed, _] = &grants[..] else { unreachable!() };
    assert!(matches!(store.pay(std::slice::from_ref(paid)).await[..], [Payment::Paid]));
    given_up(&sandbox, up).await;
    let void = given_up(&sandbox, voided).await;
    assert_eq!(store.void(&void).await.unwrap(), Void::Voided);
    store.put_failed(&refused(failed, GrantStatus::Failed, 1), 0).await.unwrap();
    pass(SWEEP_AFTER_MS - 1).await;
    // One millisecond too young, all of them.
    assert_eq!(swept(&sandbox, &spray).await, Swept::default());
    assert_eq!(sent(&sandbox), Vec::<String>::new());
    let young = drawn(&sandbox, &spray, "young").await;
    pass(1).await;
    assert_eq!(swept(&sandbox, &spray).await, Swept { resent: 2, ..Swept::default() });
    let both = |names: Vec<String>| names.into_iter().collect::<BTreeSet<String>>();
    assert_eq!(both(sent(&sandbox)), both(vec!["failed".to_owned(), "pending".to_owned()]));
    // What may have failed before is sent as a retry, so that its payment removes the item of the
    // failure.
    for message in sandbox.world.queue("largesse-grants.fifo").unwrap().messages {
        let body = read_body(&message.body).unwrap();
        assert_eq!(body.retry, Some(body.grant.id.0), "{}", body.grant.member);
    }
    // It comes back for the young one and for what it has sent.
    let next = indexed(&sandbox, spray.pool()).await.unwrap();
    assert_eq!(next, young.decided_at().plus_ms(SWEEP_AFTER_MS));
}

#[tokio::test(start_paused = true)]
async fn an_unpaid_entry_is_sent_again_until_it_is_paid() {
    let sandbox = Sandbox::new(2);
    let spray = sprayed(&sandbox, 3).await;
    let grant = drawn(&sandbox, &spray, "m").await;
    let at = grant.decided_at();
    assert_eq!(indexed(&sandbox, spray.pool()).await, Some(at.plus_ms(SWEEP_AFTER_MS)));
    let mut age_ms = SWEEP_AFTER_MS;
    pass(age_ms).await;
    for round in 1..=4 {
        assert_eq!(swept(&sandbox, &spray).await, Swept { resent: 1, ..Swept::default() });
        assert_eq!(sent(&sandbox), vec!["m"; round]);
        // As much later as it is old.
        let next = indexed(&sandbox, spray.pool()).await.unwrap();
        assert_eq!(next, at.plus_ms(age_ms * 2));
        pass(age_ms).await;
        age_ms *= 2;
    }
    assert!(matches!(sandbox.store.pay(&[grant]).await[..], [Payment::Paid]));
    assert_eq!(swept(&sandbox, &spray).await, Swept::default());
    assert_eq!(indexed(&sandbox, spray.pool()).await, None);
    assert_eq!(sent(&sandbox).len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_bucket_that_was_drawn_from_meanwhile_stays_in_the_index() {
    let sandbox = Arc::new(Sandbox::new(3));
    let spray = sprayed(&sandbox, 3).await;
    let grant = drawn(&sandbox, &spray, "a").await;
    sandbox.store.pay(&[grant]).await;
    pass(SWEEP_AFTER_MS).await;
    let since = indexed(&sandbox, spray.pool()).await;
    assert!(since.is_some());
    // Between the read of the sweep and its write, another process draws.
    let (between, other, theirs) = (sandbox.clone(), sandbox.another_process(31), spray.clone());
    meanwhile(&sandbox, Before(1, "UpdateItem", "largesse-pools"), async move {
        draw(&other, &theirs, &request("b", between.store.now(), 1)).await.unwrap();
    });
    assert_eq!(swept(&sandbox, &spray).await, Swept::default());
    sandbox.world.set_fault_hook(None);
    assert_eq!(indexed(&sandbox, spray.pool()).await, since);
    // The next run sees both, and waits for the young one.
    swept(&sandbox, &spray).await;
    let next = sandbox.store.now().plus_ms(SWEEP_AFTER_MS);
    assert_eq!(indexed(&sandbox, spray.pool()).await, Some(next));
}

#[tokio::test(start_paused = true)]
async fn a_bucket_is_marked_only_if_it_was_drawn_from_as_often_as_read() {
    let sandbox = Sandbox::new(4);
    let spray = sprayed(&sandbox, 3).await;
    drawn(&sandbox, &spray, "a").await;
    let as_read = bucket(&sandbox, &spray).await;
    let since = indexed(&sandbox, spray.pool()).await.unwrap();
    drawn(&sandbox, &spray, "b").await;
    let later = since.plus_ms(9);
    for next in [None, Some(later)] {
        sandbox.store.swept(&as_read, next, None).await.unwrap();
        assert_eq!(indexed(&sandbox, spray.pool()).await, Some(since), "{next:?}");
    }
    let as_read = bucket(&sandbox, &spray).await;
    for next in [Some(later), None] {
        sandbox.store.swept(&as_read, next, None).await.unwrap();
        assert_eq!(indexed(&sandbox, spray.pool()).await, next);
    }
    // Of a bucket that is gone, no half is brought back.
    let gone =
        Bucket { id: largesse_domain::pool::BucketId { number: 7, ..as_read.id }, ..as_read };
    sandbox.store.swept(&gone, Some(later), None).await.unwrap();
    let gone = key(format!("{}#7", spray.pool()));
    assert_eq!(Table::of(&sandbox, "pools").get(&gone).await, None);
}

#[tokio::test(start_paused = true)]
async fn the_index_keeps_the_time_of_the_first_draw_since_the_last_sweep() {
    let sandbox = Sandbox::new(5);
    let spray = sprayed(&sandbox, 3).await;
    assert_eq!(indexed(&sandbox, spray.pool()).await, None);
    let at = sandbox.store.now();
    for member in ["a", "b"] {
        drawn(&sandbox, &spray, member).await;
        assert_eq!(indexed(&sandbox, spray.pool()).await, Some(at.plus_ms(SWEEP_AFTER_MS)));
        pass(10).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_entry_that_no_draw_can_have_written_is_reported_and_not_sent() {
    let sandbox = Sandbox::new(7);
    let spray = sprayed(&sandbox, 3).await;
    for member in ["a", "b"] {
        drawn(&sandbox, &spray, member).await;
    }
    pass(SWEEP_AFTER_MS).await;
    let entry = bucket(&sandbox, &spray).await.draws[&user("b")];
    let table = Table::of(&sandbox, "pools");
    let bucket_key = key(format!("{}#0", spray.pool()));
    let mut draws = table.get(&bucket_key).await.unwrap().remove("draws").unwrap();
    let honest = draws.clone();
    // A part that is not drawn.
    let beyond = Entry { index: 2, ..entry };
    if let aws_sdk_dynamodb::types::AttributeValue::M(map) = &mut draws {
        map.insert("b".to_owned(), n(beyond.pack()));
    }
    table.set(&bucket_key, "draws", draws).await;
    assert_eq!(swept(&sandbox, &spray).await, Swept { resent: 1, impossible: 1, unreadable: 0 });
    assert_eq!(sent(&sandbox), ["a"]);
    table.set(&bucket_key, "draws", honest).await;
}

#[tokio::test(start_paused = true)]
async fn an_entry_whose_failed_grant_cannot_be_read_is_left_and_stops_no_other() {
    let sandbox = Sandbox::new(8);
    let spray = sprayed(&sandbox, 4).await;
    let mut grants = Vec::new();
    for member in ["given-up", "paid", "pending"] {
        grants.push(drawn(&sandbox, &spray, member).await);
    }
    let failed = given_up(&sandbox, &grants[0]).await;
    // What is paid needs no item to be read.
    given_up(&sandbox, &grants[1]).await;
    sandbox.store.pay(&grants[1..2]).await;
    let table = Table::of(&sandbox, "grants");
    let item = |member: &str| key_with(spray.pool(), format!("MEMBER#{member}"));
    for member in ["given-up", "paid"] {
        table.set(&item(member), "status", s("LATER")).await;
    }
    pass(SWEEP_AFTER_MS).await;
    for round in 1..=2 {
        let swept = swept(&sandbox, &spray).await;
        assert_eq!(swept, Swept { resent: 1, impossible: 0, unreadable: 1 }, "{round}");
        assert_eq!(sent(&sandbox), vec!["pending"; round]);
        let next = sandbox.store.now().plus_ms(SWEEP_AFTER_MS);
        assert_eq!(indexed(&sandbox, spray.pool()).await, Some(next));
        pass(SWEEP_AFTER_MS).await;
    }
    // The sender's view shows what is known: it was refused, and is not paid.
    let detail = read::detail(&*sandbox.store, spray.clone()).await.unwrap();
    let statuses = detail.claims.iter().zip(detail.statuses);
    let of = |name: &str| statuses.clone().find(|(claim, _)| claim.member == user(name)).unwrap().1;
    assert_eq!((of("given-up"), of("paid")), (GrantStatus::Failed, GrantStatus::Success));
    assert_eq!(of("pending"), GrantStatus::Pending);
    // An operator puts the item right: it was given up, and stays so.
    table.set(&item("given-up"), "status", s(failed.status.as_str())).await;
    sandbox.store.remove_failed(&grants[1]).await.unwrap();
    assert_eq!(swept(&sandbox, &spray).await, Swept { resent: 1, ..Swept::default() });
    assert_eq!(sent(&sandbox), vec!["pending"; 3]);
}

/// After a restore of the pools, a member may draw again under another id.
#[tokio::test(start_paused = true)]
async fn an_entry_is_sent_again_although_an_earlier_grant_of_its_member_was_given_up() {
    let sandbox = Sandbox::new(9);
    let spray = sprayed(&sandbox, 1).await;
    let grant = drawn(&sandbox, &spray, "a").await;
    let mut earlier = grant.clone();
    earlier.id = GrantId::of_draw(&grant.source, &grant.member, Timestamp::from_ms(1));
    given_up(&sandbox, &earlier).await;
    pass(SWEEP_AFTER_MS).await;
    assert_eq!(swept(&sandbox, &spray).await.resent, 1);
    // The audit knows no grant of that id.
    sandbox.store.remove_failed(&earlier).await.unwrap();
}
