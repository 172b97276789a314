//! The sweep of drops: when it sends, what it passes on, and what it leaves to the next run.

use std::sync::Arc;
use std::time::Duration;

use largesse_app::drop::read::read_list;
use largesse_app::pool::sweep::{SWEEP_AFTER_MS, Swept, sweep, sweep_after_ms};
use largesse_app::ports::{Grants, Money, Pools};
use largesse_domain::drop::Drop;
use largesse_domain::grant::{FailedGrant, GrantStatus};
use largesse_domain::id::GrantId;
use largesse_domain::pool::BucketId;
use largesse_domain::time::Timestamp;
use largesse_emulator::{Fault, Faults, Matching};
use largesse_tests::{Sandbox, user};

use crate::drops::{slots, won};
use crate::drops_list::{failed, sold_out};
use crate::meanwhile::{Before, meanwhile};
use crate::scene::{Item, Table, key, number};

/// Longer than it takes until the sweep passes on what was given up.
const PASS_ON_MS: u64 = 121_000;
const GRANTS: &str = "largesse-grants";

async fn pass(ms: u64) {
    tokio::time::advance(Duration::from_millis(ms)).await;
}

/// The only bucket of the slots of a small drop.
const fn first(drop: &Drop) -> BucketId {
    BucketId { pool: drop.pool(), number: 0 }
}

async fn item(sandbox: &Sandbox, drop: &Drop) -> Item {
    let key = key(format!("{}#0", drop.pool()));
    Table::of(sandbox, "pools").get(&key).await.unwrap()
}

fn sent(sandbox: &Sandbox) -> usize {
    sandbox.world.queue("largesse-grants.fifo").unwrap().messages.len()
}

/// After a minute an entry is counted; by then the outbox has sent it, and its payment may be under
/// way. It is sent again when it is as old as an entry of any other pool.
#[tokio::test(start_paused = true)]
async fn a_slot_is_counted_after_a_minute_and_sent_again_after_five() {
    let sandbox = Sandbox::new(1);
    let drop = sandbox.open_drop(2, 0).await;
    for name in ["paid", "open"] {
        won(&sandbox.store, &drop, name).await;
    }
    let bucket = slots(&sandbox, &drop).await.remove(0);
    let paid = bucket.grant(&user("paid"), bucket.draws[&user("paid")]).unwrap();
    sandbox.store.pay(&[paid]).await;
    let count_after_ms = sweep_after_ms(drop.pool());
    assert!(count_after_ms < SWEEP_AFTER_MS);
    pass(count_after_ms).await;
    assert_eq!(sweep(&*sandbox.store, first(&drop)).await.unwrap(), Swept::default());
    assert_eq!(number(&item(&sandbox, &drop).await, "paid"), 1);
    pass(SWEEP_AFTER_MS - count_after_ms - 1).await;
    assert_eq!(sweep(&*sandbox.store, first(&drop)).await.unwrap(), Swept::default());
    assert_eq!(sent(&sandbox), 0);
    pass(1).await;
    let resent = Swept { resent: 1, ..Swept::default() };
    assert_eq!(sweep(&*sandbox.store, first(&drop)).await.unwrap(), resent);
    assert_eq!(sent(&sandbox), 1);
}

/// Between the look at the statuses and the read of the item, an operator restores the table: the
/// item is now that of an earlier grant of the member. It is not this slot that was given up.
#[tokio::test(start_paused = true)]
async fn the_item_of_another_grant_passes_no_slot_on() {
    let sandbox = Arc::new(Sandbox::new(2));
    let drop = sold_out(&sandbox, 1, &["w0"]).await;
    let given_up = failed(&sandbox, &drop, "a0").await;
    pass(PASS_ON_MS).await;
    let mut other = given_up.clone();
    other.grant.id =
        GrantId::of_draw(&other.grant.source, &other.grant.member, Timestamp::from_ms(1));
    let (between, theirs) = (sandbox.clone(), other.clone());
    // The first read of the item gives its status, the second one is that of the slot to be passed
    // on.
    meanwhile(
        &sandbox,
        Before(2, "GetItem", GRANTS),
        async move { restore(&between, &theirs).await },
    );
    sweep(&*sandbox.store, first(&drop)).await.unwrap();
    sandbox.world.set_fault_hook(None);
    let read = sandbox.store.failed_grant(drop.pool(), &user("a0")).await.unwrap().unwrap();
    assert_eq!(read, other, "the item was exchanged, and is as it was");
    let list = read_list(&*sandbox.store, &drop).await.unwrap();
    assert_eq!((list.promoted().count(), list.waiting()), (0, 1));
    // With its own item in place, the slot is passed on.
    restore(&sandbox, &given_up).await;
    sweep(&*sandbox.store, first(&drop)).await.unwrap();
    let list = read_list(&*sandbox.store, &drop).await.unwrap();
    assert_eq!((list.promoted().count(), list.waiting()), (1, 0));
}

/// Puts an item in place of the one of its member.
async fn restore(sandbox: &Sandbox, failed: &FailedGrant) {
    assert_eq!(failed.status, GrantStatus::PermanentlyFailed);
    sandbox.store.remove_failed(&failed.grant).await.unwrap();
    sandbox.store.put_failed(failed, 0).await.unwrap();
}

/// What may work a moment later is tried by the next run, a minute later: the bucket is not put off
/// for five, as it is for what an operator has to put right.
#[tokio::test(start_paused = true)]
async fn a_slot_that_a_busy_table_kept_from_being_passed_on_is_left_to_the_next_run() {
    let sandbox = Sandbox::new(3);
    let drop = sold_out(&sandbox, 1, &["w0"]).await;
    failed(&sandbox, &drop, "a0").await;
    pass(PASS_ON_MS).await;
    let before = item(&sandbox, &drop).await;
    // The status is read; every attempt to read the item for its slot is throttled.
    let busy = (2..20).fold(Faults::seeded(3), |plan, n| {
        plan.nth(n, Matching::operation("GetItem").on(GRANTS), Fault::Throttle)
    });
    let busy = Arc::new(busy);
    sandbox.world.set_fault_hook(Some(busy.clone()));
    let error = sweep(&*sandbox.store, first(&drop)).await.unwrap_err();
    sandbox.world.set_fault_hook(None);
    assert!(error.is_retryable() && busy.injected() > 0, "{error}");
    assert_eq!(item(&sandbox, &drop).await, before, "its place in the index too");
    sweep(&*sandbox.store, first(&drop)).await.unwrap();
    let list = read_list(&*sandbox.store, &drop).await.unwrap();
    assert_eq!(list.promoted().count(), 1);
    assert!(sandbox.store.full_bucket(first(&drop)).is_some());
}
