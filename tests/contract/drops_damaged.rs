//! What a damaged item of a drop holds up, and what not.

use std::time::Duration;

use largesse_app::drop::close::{Closed, close};
use largesse_app::drop::standing::{MemberStanding, member};
use largesse_app::pool::sweep::{self, SweepReport};
use largesse_app::ports::{Clock, PortErrorKind};
use largesse_domain::grant::GrantStatus;
use largesse_tests::{Sandbox, user};

use crate::drops::won;
use crate::drops_list::{failed, sold_out};
use crate::scene::{Table, balance, key, key_with, n, s};

async fn swept(sandbox: &Sandbox) -> SweepReport {
    sweep::run(&*sandbox.store, sandbox.store.now().plus_ms(100_000)).await.unwrap()
}

/// How many messages of grants wait.
fn sent(sandbox: &Sandbox) -> usize {
    sandbox.world.queue("largesse-grants.fifo").unwrap().messages.len()
}

#[tokio::test(start_paused = true)]
async fn a_list_that_cannot_be_read_keeps_no_other_slot_from_being_paid() {
    let sandbox = Sandbox::new(1);
    // `a0` is given up; `a1` lies in the same bucket, and its message was lost.
    let drop = sold_out(&sandbox, 2, &["w0"]).await;
    failed(&sandbox, &drop, "a0").await;
    let (pools, list) = (Table::of(&sandbox, "pools"), key(format!("{}#0", drop.list())));
    pools.set(&list, "status", s("HALF")).await;
    tokio::time::advance(Duration::from_secs(400)).await;
    // The list's own bucket, and that of the slots: the schedule fails until it is put right.
    assert_eq!(swept(&sandbox).await.failed, 2);
    assert_eq!(sent(&sandbox), 1, "the other slot is sent again");
    // The next runs do not send it each time.
    tokio::time::advance(Duration::from_secs(60)).await;
    assert_eq!((swept(&sandbox).await.failed, sent(&sandbox)), (1, 1));
    pools.set(&list, "status", s("OPEN")).await;
    tokio::time::advance(Duration::from_secs(300)).await;
    assert_eq!(swept(&sandbox).await.failed, 0);
    let standing = member(&*sandbox.store, drop.id, &user("w0")).await.unwrap();
    let passed_on = MemberStanding::Won { slot: 1, payment: GrantStatus::Pending };
    assert_eq!(standing, Some(passed_on));
}

#[tokio::test(start_paused = true)]
async fn a_drop_with_a_bucket_that_no_draw_can_have_written_returns_nothing() {
    let sandbox = Sandbox::new(2);
    let drop = sandbox.open_drop(3, 0).await;
    won(&sandbox.store, &drop, "a").await;
    let (pools, bucket) = (Table::of(&sandbox, "pools"), key(format!("{}#0", drop.pool())));
    // Two parts are taken by one entry.
    pools.set(&bucket, "taken", n(2)).await;
    tokio::time::advance(Duration::from_secs(600)).await;
    let error = close(&*sandbox.store, drop.id).await.unwrap_err();
    assert_eq!((error.kind, balance(&sandbox, "f").await), (PortErrorKind::Corrupt, 0));
    pools.set(&bucket, "taken", n(1)).await;
    assert_eq!(close(&*sandbox.store, drop.id).await.unwrap(), Closed::Now { amount: 20 });
}

/// The table of failed grants may hold an item of an earlier entry of the member, as after a restore.
#[tokio::test(start_paused = true)]
async fn a_failed_item_of_another_entry_says_nothing_of_a_members_slot() {
    let sandbox = Sandbox::new(3);
    let drop = sold_out(&sandbox, 1, &[]).await;
    failed(&sandbox, &drop, "a0").await;
    let (grants, item) = (Table::of(&sandbox, "grants"), key_with(drop.pool(), "MEMBER#a0"));
    grants.set(&item, "grant_id", s("01ARZ3NDEKTSV4RRFFQ69G5FAV")).await;
    let standing = member(&*sandbox.store, drop.id, &user("a0")).await.unwrap();
    let pending = MemberStanding::Won { slot: 1, payment: GrantStatus::Pending };
    assert_eq!(standing, Some(pending));
    grants.delete(&item).await;
}
