//! A frozen pool gives, pays and returns nothing, and others go on.

use std::time::Duration;

use largesse_app::drop::{close, enter};
use largesse_app::ports::{Clock, DropReads, Freezes, NotDrawn, Pools};
use largesse_app::product::invest::{Invest, InvestError, invest};
use largesse_app::reconcile::freeze::{freeze, unfreeze};
use largesse_app::spray::refund;
use largesse_domain::id::InvestmentId;
use largesse_domain::pool::BucketId;
use largesse_tests::{Sandbox, amount, user};

use crate::drops_lots::register;
use crate::product::scene::{OPEN_MS, invested, limits, made_of};
use crate::scene::{Table, bucket, drawn, key, request, s, sprayed};

#[tokio::test(start_paused = true)]
async fn a_frozen_pool_keeps_its_first_reason_and_a_closed_bucket_stays_closed() {
    let sandbox = Sandbox::new(6);
    let store = &sandbox.store;
    let spray = sprayed(&sandbox, 20).await;
    assert!(freeze(&**store, spray.pool(), "first").await.unwrap());
    assert!(!freeze(&**store, spray.pool(), "second").await.unwrap());
    let frozen = store.frozen_pools().await.unwrap();
    assert_eq!((frozen.len(), frozen[0].pool, &*frozen[0].why), (1, spray.pool(), "first"));
    assert!(unfreeze(&**store, spray.pool()).await.unwrap());
    assert!(!unfreeze(&**store, spray.pool()).await.unwrap());
    // Neither a closed bucket nor one that is not there changes.
    let pools = Table::of(&sandbox, "pools");
    let closed = key(format!("{}#0", spray.pool()));
    pools.set(&closed, "status", s("CLOSED")).await;
    let before = pools.get(&closed).await;
    let (here, nowhere) = (0, 99);
    for number in [here, nowhere] {
        for is_held in [true, false] {
            let id = BucketId { pool: spray.pool(), number };
            store.hold_bucket(id, is_held).await.unwrap();
        }
    }
    assert_eq!(pools.get(&closed).await, before);
    assert_eq!(pools.get(&key(format!("{}#99", spray.pool()))).await, None);
    pools.set(&closed, "status", s("OPEN")).await;
}

#[tokio::test(start_paused = true)]
async fn a_frozen_spray_gives_and_returns_nothing_until_it_is_lifted() {
    let sandbox = Sandbox::new(7);
    let store = &sandbox.store;
    let (spray, other) = (sprayed(&sandbox, 3).await, sprayed(&sandbox, 3).await);
    drawn(&sandbox, &spray, "a").await;
    freeze(&**store, spray.pool(), "why").await.unwrap();
    let (id, now) = (BucketId { pool: spray.pool(), number: 0 }, store.now());
    let refused = store.draw(id, &request("b", now, 2)).await.unwrap_err();
    assert!(refused.is_retryable(), "{refused:?}: the member hears 503 and tries again");
    // The member who has a share is told so.
    let again = store.draw(id, &request("a", now, 3)).await.unwrap();
    assert!(matches!(again, Err(NotDrawn::Already(_))), "{again:?}");
    drawn(&sandbox, &other, "b").await;
    tokio::time::advance(Duration::from_secs(700)).await;
    let stop_at = store.now().plus_ms(60_000);
    let left = [bucket(&sandbox, &spray).await, bucket(&sandbox, &other).await];
    let [left, left_of_other] = left.map(|bucket| bucket.remainder());
    let report = refund_batch::handle(&**store, stop_at).await.unwrap();
    assert_eq!((report.refunded, report.returned), (1, left_of_other), "the other one alone");
    // Also by an operator's hand: its buckets are held.
    assert!(refund::refund(&**store, spray.id).await.is_err());
    unfreeze(&**store, spray.pool()).await.unwrap();
    let report = refund_batch::handle(&**store, stop_at).await.unwrap();
    assert_eq!((report.refunded, report.returned), (1, left));
}

#[tokio::test(start_paused = true)]
async fn a_frozen_drop_gives_and_returns_nothing_until_it_is_lifted() {
    let sandbox = Sandbox::new(8);
    let store = &sandbox.store;
    let drop = sandbox.open_drop(20, 2).await;
    freeze(&**store, drop.pool(), "why").await.unwrap();
    assert!(enter::enter(&**store, drop.id, user("a")).await.is_err());
    tokio::time::advance(Duration::from_secs(700)).await;
    let stop_at = store.now().plus_ms(60_000);
    assert_eq!(refund_batch::handle(&**store, stop_at).await.unwrap().closed, 0);
    assert!(close::close(&**store, drop.id).await.is_err());
    unfreeze(&**store, drop.pool()).await.unwrap();
    let report = refund_batch::handle(&**store, stop_at).await.unwrap();
    assert_eq!((report.closed, report.returned), (1, 200));
}

#[tokio::test(start_paused = true)]
async fn the_lots_of_a_frozen_drop_are_neither_taken_nor_drawn_until_it_is_lifted() {
    let sandbox = Sandbox::new(10);
    let store = &sandbox.store;
    let drop = sandbox.open_shuffled_drop(20, 2).await;
    register(store, &drop, "a").await;
    freeze(&**store, drop.pool(), "why").await.unwrap();
    assert!(enter::enter(&**store, drop.id, user("b")).await.is_err());
    tokio::time::advance(Duration::from_secs(10)).await;
    let stop_at = store.now().plus_ms(60_000);
    refund_batch::handle(&**store, stop_at).await.unwrap();
    // Also by an operator's hand: its lots are held.
    assert!(close::close(&**store, drop.id).await.is_err());
    assert_eq!(store.drop_record(drop.id).await.unwrap().unwrap().drawn, None);
    unfreeze(&**store, drop.pool()).await.unwrap();
    refund_batch::handle(&**store, stop_at).await.unwrap();
    let drawn = store.drop_record(drop.id).await.unwrap().unwrap().drawn;
    assert_eq!(drawn.map(|drawn| drawn.lots), Some(1));
    let entered = enter::enter(&**store, drop.id, user("b")).await.unwrap();
    assert!(matches!(entered, enter::Entered::Won { .. }), "{entered:?}");
}

#[tokio::test(start_paused = true)]
async fn a_frozen_product_takes_and_settles_nothing_until_it_is_lifted() {
    let sandbox = Sandbox::new(9);
    let store = &sandbox.store;
    sandbox.deposit("ann", 100).await;
    let product = made_of(&sandbox, limits(100), 2).await;
    invested(&sandbox, &product, "ann", 10).await;
    freeze(&**store, product.pool(), "why").await.unwrap();
    let request = || Invest {
        id: InvestmentId(sandbox.id()),
        product: product.id,
        investor: user("ann"),
        amount: amount(10),
    };
    let refused = invest(&**store, request()).await.unwrap_err();
    assert!(matches!(refused, InvestError::Port(error) if error.is_retryable()));
    tokio::time::advance(Duration::from_millis(OPEN_MS)).await;
    let stop_at = store.now().plus_ms(60_000);
    assert_eq!(refund_batch::handle(&**store, stop_at).await.unwrap().products.settled, 0);
    unfreeze(&**store, product.pool()).await.unwrap();
    let report = refund_batch::handle(&**store, stop_at).await.unwrap();
    assert_eq!((report.products.settled, report.products.paid_out), (1, 10));
}

/// A process learns of a freeze within a second, and reads for it once a second.
#[tokio::test(start_paused = true)]
async fn what_is_frozen_is_read_once_a_second_by_a_process() {
    let sandbox = Sandbox::new(10);
    let (spray, product) = (sprayed(&sandbox, 1).await, made_of(&sandbox, limits(10), 1).await);
    let process = sandbox.another_process(70);
    let calls = || sandbox.world.recorder().calls().len();
    sandbox.world.recorder().reset();
    sandbox.world.recorder().keep_calls(true);
    for _ in 0..100 {
        assert!(!process.is_frozen(spray.pool()).await.unwrap());
        assert!(!process.is_frozen(product.pool()).await.unwrap());
    }
    assert_eq!(calls(), 1);
    sandbox.world.recorder().keep_calls(false);
    freeze(&*sandbox.store, spray.pool(), "why").await.unwrap();
    tokio::time::advance(Duration::from_secs(1)).await;
    assert!(process.is_frozen(spray.pool()).await.unwrap());
    assert!(!process.is_frozen(product.pool()).await.unwrap());
}
