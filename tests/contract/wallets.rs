//! Wallets: once, exact, and in order. One test for each clause of the two conditions of a posting.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use largesse_app::ports::{Clock, HistoryFilter, Money, Once, Payment, Void, Voids, Wallets};
use largesse_app::wallet::history::numbered;
use largesse_domain::id::TransferId;
use largesse_domain::ledger::{PostRefused, TransferKind, TransferOrder};
use largesse_domain::money::Balance;
use largesse_domain::time::Timestamp;
use largesse_tests::{Sandbox, amount, user};

use crate::meanwhile::{Before, meanwhile};
use crate::scene::{balance, drawn, fill, given_up, sprayed};

fn order(sandbox: &Sandbox, name: &str, kind: TransferKind, minor: u64) -> TransferOrder {
    TransferOrder {
        id: TransferId(sandbox.id()),
        wallet: user(name),
        kind,
        amount: amount(minor),
        at: sandbox.store.now(),
        pool: None,
        counterpart: None,
        memo: None,
    }
}

#[tokio::test(start_paused = true)]
async fn a_transfer_is_posted_once_for_its_id() {
    let sandbox = Sandbox::new(1);
    let order = order(&sandbox, "a", TransferKind::Deposit, 100);
    let first = sandbox.post(order.clone()).await;
    assert!(matches!(first, Once::Now(_)));
    sandbox.deposit("a", 5).await;
    // After the wallet has moved on, and after the store has forgotten the request token.
    for _ in 0..2 {
        let again = sandbox.post(order.clone()).await;
        assert_eq!(again, Once::Before(first.clone().into_inner()));
        assert_eq!(balance(&sandbox, "a").await, 105);
        tokio::time::advance(Duration::from_secs(601)).await;
    }
}

/// The transaction of a posting, once the wallet is read.
const POSTING: Before = Before(1, "TransactWriteItems", "largesse-ledger");

#[tokio::test(start_paused = true)]
async fn a_wallet_that_moved_meanwhile_is_posted_to_as_it_is_then() {
    let sandbox = Arc::new(Sandbox::new(2));
    // The first transfer of a wallet, and a later one: two conditions.
    for (so_far, expected) in [(0, 17), (17, 34)] {
        assert_eq!(balance(&sandbox, "a").await, so_far);
        let other = sandbox.another_process(20);
        let theirs = order(&sandbox, "a", TransferKind::Deposit, 10);
        meanwhile(&sandbox, POSTING, async move {
            other.post(theirs).await.unwrap().unwrap();
        });
        let posted = sandbox.post(order(&sandbox, "a", TransferKind::Deposit, 7)).await;
        sandbox.world.set_fault_hook(None);
        assert_eq!(posted.into_inner().balance_after.get(), expected);
        assert_eq!(balance(&sandbox, "a").await, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn fifty_writers_of_one_wallet_in_several_processes_lose_nothing() {
    let sandbox = Sandbox::new(3);
    let stores: Vec<_> = (0..5).map(|n| sandbox.another_process(100 + n)).collect();
    let orders: Vec<_> = (0..50).map(|_| order(&sandbox, "a", TransferKind::Deposit, 7)).collect();
    let posts = orders.into_iter().enumerate().map(|(i, order)| {
        let store = stores[i % 5].clone();
        async move { store.post(order).await.unwrap().unwrap() }
    });
    futures::future::join_all(posts).await;
    let wallet = sandbox.store.wallet(&user("a")).await.unwrap();
    assert_eq!((wallet.balance.get(), wallet.seq), (350, 50));
}

#[tokio::test(start_paused = true)]
async fn a_wallet_that_cannot_hold_more_refuses_and_stays_as_it_is() {
    let sandbox = Sandbox::new(4);
    let earlier = sandbox.deposit("a", 3).await;
    let held = fill(&sandbox, "a").await;
    let full = sandbox.store.wallet(&user("a")).await.unwrap();
    let refused = sandbox.store.post(order(&sandbox, "a", TransferKind::Deposit, 1)).await;
    assert_eq!(refused.unwrap(), Err(PostRefused::TooFull));
    assert_eq!(sandbox.store.wallet(&user("a")).await.unwrap(), full);
    // What was posted before is the answer, although the wallet would refuse it now.
    assert_eq!(sandbox.post(earlier.order.clone()).await, Once::Before(earlier));
    sandbox.overwrite_balance("a", held).await;
}

#[tokio::test(start_paused = true)]
async fn a_debit_beyond_the_balance_is_refused() {
    let sandbox = Sandbox::new(5);
    sandbox.deposit("a", 99).await;
    let refused = sandbox.store.post(order(&sandbox, "a", TransferKind::Spray, 100)).await;
    let balance = Balance::new(99).unwrap();
    assert_eq!(refused.unwrap(), Err(PostRefused::Insufficient { balance }));
}

/// All amounts of a history, read in pages of that many rows.
async fn paged(sandbox: &Sandbox, filter: &HistoryFilter, limit: u32) -> Vec<u64> {
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = sandbox.store.history(&user("a"), filter, after, limit).await.unwrap();
        assert!(page.next.is_none() || page.rows.len() == limit as usize, "a page is full");
        seen.extend(page.rows.iter().map(|transfer| transfer.order.amount.get()));
        match page.next {
            Some(next) => after = Some(next),
            None => return seen,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn history_is_newest_first_and_pages_do_not_overlap() {
    let sandbox = Sandbox::new(6);
    for minor in 1..=25 {
        sandbox.deposit("a", minor).await;
        tokio::time::advance(Duration::from_millis(10)).await;
    }
    let deposits = HistoryFilter { kinds: vec![TransferKind::Deposit], from: None, to: None };
    for limit in [1, 10, 25, 26] {
        assert_eq!(paged(&sandbox, &deposits, limit).await, (1..=25).rev().collect::<Vec<u64>>());
    }
}

#[tokio::test(start_paused = true)]
async fn history_is_bounded_by_its_times_and_kind() {
    let sandbox = Sandbox::new(7);
    let mut times: Vec<Timestamp> = Vec::new();
    for minor in 1..=5 {
        times.push(sandbox.deposit("a", minor).await.order.at);
        tokio::time::advance(Duration::from_millis(10)).await;
    }
    let between = |from: usize, to: usize| HistoryFilter {
        kinds: vec![],
        from: Some(times[from]),
        to: Some(times[to]),
    };
    assert_eq!(paged(&sandbox, &between(1, 3), 100).await, [3, 2]);
    assert!(paged(&sandbox, &between(3, 3), 100).await.is_empty());
    assert!(paged(&sandbox, &between(4, 1), 100).await.is_empty());
    let sprays = HistoryFilter { kinds: vec![TransferKind::Spray], ..HistoryFilter::default() };
    assert!(paged(&sandbox, &sprays, 100).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn history_leaves_voided_grants_out_and_its_pages_are_full_all_the_same() {
    let sandbox = Sandbox::new(8);
    let mut expected = Vec::new();
    for n in 0..12 {
        let spray = sprayed(&sandbox, 1).await;
        let grant = drawn(&sandbox, &spray, "a").await;
        if n % 3 == 0 {
            assert!(matches!(sandbox.store.pay(&[grant]).await[..], [Payment::Paid]));
            expected.push(10);
        } else {
            let failed = given_up(&sandbox, &grant).await;
            assert_eq!(sandbox.store.void(&failed).await.unwrap(), Void::Voided);
        }
        tokio::time::advance(Duration::from_millis(10)).await;
    }
    for limit in [1, 3, 4, 100] {
        assert_eq!(paged(&sandbox, &HistoryFilter::default(), limit).await, expected);
    }
    // Its id names no transfer.
    let voided = largesse_tests::money::books(&sandbox.world).voided;
    assert_eq!(voided.len(), 8);
    let mut found = BTreeSet::new();
    for id in voided {
        found.insert(sandbox.store.transfer(&user("a"), id).await.unwrap().is_some());
    }
    assert_eq!(found, BTreeSet::from([false]));
}

/// Deposits of these amounts, each decided in the millisecond of its amount, posted in this order.
async fn posted_late(sandbox: &Sandbox, amounts: &[u32]) {
    for ms in amounts {
        let mut order = order(sandbox, "a", TransferKind::Deposit, u64::from(*ms));
        order.at = Timestamp::from_ms(i64::from(*ms));
        order.id = TransferId(ulid::Ulid::from_parts(u64::from(*ms), sandbox.id().random()));
        sandbox.post(order).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_numbered_page_and_its_total_are_those_of_the_whole_history() {
    let sandbox = Sandbox::new(9);
    // Payments come late, so the order of posting is not that of decisions; and one grant is void.
    posted_late(&sandbox, &[40, 10, 70, 20, 90, 30, 80, 60, 50, 20, 90]).await;
    let before_grants = sandbox.store.now();
    for is_paid in [true, false, true] {
        let spray = sprayed(&sandbox, 1).await;
        let grant = drawn(&sandbox, &spray, "a").await;
        if is_paid {
            assert!(matches!(sandbox.store.pay(&[grant]).await[..], [Payment::Paid]));
        } else {
            let failed = given_up(&sandbox, &grant).await;
            assert_eq!(sandbox.store.void(&failed).await.unwrap(), Void::Voided);
        }
        tokio::time::advance(Duration::from_millis(10)).await;
    }

    let wallet = sandbox.store.wallet(&user("a")).await.unwrap();
    let (deposit, claim) = (TransferKind::Deposit, TransferKind::Claim);
    let kinds = [&[][..], &[deposit], &[claim], &[deposit, claim]];
    let times = [10, 25, 50, 90, 95].map(|ms| Some(Timestamp::from_ms(ms)));
    let times: Vec<Option<Timestamp>> =
        [None, Some(before_grants), Some(sandbox.store.now())].into_iter().chain(times).collect();
    let bounds = times.iter().flat_map(|from| times.iter().map(|to| (*from, *to)));
    let filters = bounds.flat_map(|(from, to)| {
        kinds.map(|kinds| HistoryFilter { kinds: kinds.to_vec(), from, to })
    });
    for filter in filters {
        let all = paged(&sandbox, &filter, 100).await;
        for per_page in [1, 3, 20] {
            let pages: Vec<&[u64]> = all.chunks(per_page as usize).collect();
            for (number, at) in (1..).zip(0..pages.len() + 2) {
                let page =
                    numbered(&*sandbox.store, &wallet, &filter, number, per_page).await.unwrap();
                let amounts: Vec<u64> =
                    page.rows.iter().map(|row| row.order.amount.get()).collect();
                let expected = pages.get(at).copied().unwrap_or_default();
                assert_eq!(amounts, expected, "{filter:?}, page {number} of {per_page}");
                assert_eq!(page.total, all.len() as u64, "{filter:?}");
            }
        }
    }
}
