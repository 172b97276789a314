//! Wallets: once, exact, and in order.

use largesse_app::ports::{HistoryFilter, Once, Wallets};
use largesse_domain::id::TransferId;
use largesse_domain::ledger::{PostRefused, TransferKind, TransferOrder};
use largesse_domain::money::{BALANCE_MAX, Balance};
use largesse_domain::time::Timestamp;
use largesse_tests::{Sandbox, amount, user};

fn order(sandbox: &Sandbox, name: &str, kind: TransferKind, minor: u64) -> TransferOrder {
    TransferOrder {
        id: TransferId(sandbox.id()),
        wallet: user(name),
        kind,
        amount: amount(minor),
        at: Timestamp::from_ms(largesse_app::ports::Clock::now(&*sandbox.store).ms()),
        pool: None,
        counterpart: None,
        memo: None,
    }
}

#[tokio::test]
async fn a_transfer_is_posted_once_for_its_id() {
    let sandbox = Sandbox::new(1);
    let order = order(&sandbox, "a", TransferKind::Deposit, 100);
    let first = sandbox.post(order.clone()).await;
    assert!(matches!(first, Once::Now(_)));
    sandbox.deposit("a", 5).await;
    let again = sandbox.post(order).await;
    assert_eq!(again, Once::Before(first.into_inner()));
    assert_eq!(sandbox.store.wallet(&user("a")).await.unwrap().balance.get(), 105);
}

#[tokio::test]
async fn fifty_writers_of_one_wallet_in_several_processes_lose_nothing() {
    let sandbox = Sandbox::new(2);
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

#[tokio::test]
async fn a_wallet_that_cannot_hold_more_refuses_and_stays_as_it_is() {
    let sandbox = Sandbox::new(3);
    let mut left = BALANCE_MAX;
    while left > 0 {
        let step = left.min(largesse_domain::money::AMOUNT_MAX);
        sandbox.deposit("a", step).await;
        left -= step;
    }
    let refused = sandbox.store.post(order(&sandbox, "a", TransferKind::Deposit, 1)).await;
    assert_eq!(refused.unwrap(), Err(PostRefused::TooFull));
    assert_eq!(sandbox.store.wallet(&user("a")).await.unwrap().balance.get(), BALANCE_MAX);
}

#[tokio::test]
async fn a_debit_beyond_the_balance_is_refused() {
    let sandbox = Sandbox::new(4);
    sandbox.deposit("a", 99).await;
    let refused = sandbox.store.post(order(&sandbox, "a", TransferKind::Spray, 100)).await;
    let balance = Balance::new(99).unwrap();
    assert_eq!(refused.unwrap(), Err(PostRefused::Insufficient { balance }));
}

#[tokio::test(start_paused = true)]
async fn history_is_newest_first_and_pages_do_not_overlap() {
    let sandbox = Sandbox::new(5);
    for minor in 1..=25 {
        sandbox.deposit("a", minor).await;
        tokio::time::advance(std::time::Duration::from_millis(10)).await;
    }
    let mut seen = Vec::new();
    let mut after = None;
    loop {
        let filter = HistoryFilter { kind: Some(TransferKind::Deposit), from: None, to: None };
        let page = sandbox.store.history(&user("a"), &filter, after, 10).await.unwrap();
        seen.extend(page.rows.iter().map(|t| t.order.amount.get()));
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    assert_eq!(seen, (1..=25).rev().collect::<Vec<u64>>());
}

#[tokio::test(start_paused = true)]
async fn history_is_bounded_by_its_times_and_kind() {
    let sandbox = Sandbox::new(6);
    let times: Vec<Timestamp> = {
        let mut times = Vec::new();
        for minor in 1..=5 {
            times.push(sandbox.deposit("a", minor).await.order.at);
            tokio::time::advance(std::time::Duration::from_millis(10)).await;
        }
        times
    };
    let amounts = async |filter: HistoryFilter| {
        let page = sandbox.store.history(&user("a"), &filter, None, 100).await.unwrap();
        page.rows.iter().map(|t| t.order.amount.get()).collect::<Vec<u64>>()
    };
    let between = |from: usize, to: usize| HistoryFilter {
        kind: None,
        from: Some(times[from]),
        to: Some(times[to]),
    };
    assert_eq!(amounts(between(1, 3)).await, [3, 2]);
    assert_eq!(amounts(between(3, 3)).await, Vec::<u64>::new());
    assert_eq!(amounts(between(4, 1)).await, Vec::<u64>::new());
    let sprays = HistoryFilter { kind: Some(TransferKind::Spray), ..HistoryFilter::default() };
    assert_eq!(amounts(sprays).await, Vec::<u64>::new());
}
