//! The figures of campaigns: from their own counters.

use std::time::Duration;

use largesse_app::ports::{Clock, DailyStats};
use largesse_app::reconcile::daily::{self, Ran};
use largesse_domain::campaign::Duplicates;
use largesse_domain::stats::{CELL_MS, Cell, Feature};
use largesse_tests::Sandbox;

use crate::campaign_rows::{draft, members, put, seal};
use crate::scene::{Table, key_with, s};

const DAY_S: u64 = 86_400;

/// What a pass that begins now tells of the campaigns made in the days that it counts.
async fn figures(sandbox: &Sandbox) -> Cell {
    let store = &*sandbox.store;
    let until = store.now().plus_ms(600_000);
    let Ran::Worked { pass, .. } = daily::run(store, until, 0).await.unwrap() else { panic!() };
    assert!(pass.ended.is_some(), "{pass:?}");
    let (_, stats) = store.daily_stats(&pass.stats_days()).await.unwrap();
    stats.sum(Feature::Campaign, pass.stats_from(), pass.began.plus_ms(CELL_MS))
}

#[tokio::test(start_paused = true)]
async fn campaigns_of_the_days_that_a_pass_counts_are_counted_over_all_pages() {
    let sandbox = Sandbox::new(31);
    for _ in 0..3 {
        draft(&sandbox, Duplicates::Refuse).await;
    }
    tokio::time::advance(Duration::from_secs(8 * DAY_S)).await;
    // Two pages of a hundred and a part of one, behind which come the three of last week.
    for _ in 0..205 {
        draft(&sandbox, Duplicates::Refuse).await;
    }
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(figures(&sandbox).await, Cell { made: 205, ..Cell::default() });
}

#[tokio::test(start_paused = true)]
async fn what_campaigns_failed_to_pay_is_in_the_figures() {
    let sandbox = Sandbox::new(32);
    let id = draft(&sandbox, Duplicates::Refuse).await;
    put(&sandbox, id, 1, &members(0, 5)).await;
    let amount = seal(&sandbox, id).await.life.sealed.unwrap().totals.amount;
    tokio::time::advance(Duration::from_secs(1)).await;
    let sealed = Cell { made: 1, made_amount: amount, ..Cell::default() };
    assert_eq!(figures(&sandbox).await, sealed);
    sandbox.fail_rows(&id.to_string()).await;
    tokio::time::advance(Duration::from_secs(DAY_S)).await;
    // Counted anew, not added.
    let failed = Cell { failed: 5, ..sealed };
    assert_eq!(figures(&sandbox).await, failed);
    tokio::time::advance(Duration::from_secs(DAY_S)).await;
    assert_eq!(figures(&sandbox).await, failed);
    assert_eq!(failed.success_rate(), Some(0));
}

#[tokio::test(start_paused = true)]
async fn a_campaign_that_cannot_be_read_is_left_out_of_the_figures() {
    let sandbox = Sandbox::new(33);
    let ids = [draft(&sandbox, Duplicates::Refuse).await, draft(&sandbox, Duplicates::Sum).await];
    let campaigns = Table::of(&sandbox, "campaigns");
    let key = key_with(format!("CAMPAIGN#{}", ids[0]), "META");
    campaigns.set(&key, "state", s("LATER")).await;
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(figures(&sandbox).await, Cell { made: 1, ..Cell::default() });
}
