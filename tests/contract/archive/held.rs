//! What is not finished stays, and holds the horizon.

use super::*;

/// Fails unless one thing stays, and holds the horizon before its creation.
async fn stays(sandbox: &Sandbox, pool: PoolId, why: &str) {
    let before = of(&stored(sandbox), pool);
    let pass = ran(sandbox, 20).await;
    let held = pass.held.as_ref().expect(why);
    assert_eq!((held.name.as_str(), held.why.as_str()), (pool.to_string().as_str(), why));
    assert!(pass.horizon().ms_unsigned() < pool.ulid().timestamp_ms(), "{why}");
    assert_eq!((pass.counts.things, pass.counts.held), (0, 1), "{why}");
    assert_eq!(of(&stored(sandbox), pool), before, "{why}");
    assert!(sandbox.store.tombstone(pool).await.unwrap().is_none(), "{why}");
}

#[tokio::test(start_paused = true)]
async fn what_is_not_finished_stays_and_holds_the_horizon() {
    // An entry that is not paid; nobody sends it.
    let sandbox = Sandbox::new(21);
    let spray = sprayed(&sandbox, 40).await;
    drawn_somewhere(&sandbox, &spray, "m1").await;
    age(&sandbox).await;
    stays(&sandbox, spray.pool(), "an entry of it is not paid").await;
}

#[tokio::test(start_paused = true)]
async fn a_spray_with_a_grant_that_was_given_up_stays() {
    let sandbox = Sandbox::new(22);
    let spray = sprayed(&sandbox, 40).await;
    let grant = drawn_somewhere(&sandbox, &spray, "m1").await;
    given_up(&sandbox, &grant).await;
    age(&sandbox).await;
    let why = "a grant of it was refused, and neither paid nor voided since";
    stays(&sandbox, spray.pool(), why).await;
}

#[tokio::test(start_paused = true)]
async fn a_spray_whose_remainder_is_not_returned_stays() {
    let sandbox = Sandbox::new(23);
    let spray = sprayed(&sandbox, 3).await;
    tokio::time::advance(LATER).await;
    stays(&sandbox, spray.pool(), "its remainder is not returned").await;
}

#[tokio::test(start_paused = true)]
async fn a_spray_whose_refund_the_wallet_refuses_stays() {
    let sandbox = Sandbox::new(24);
    let spray = sprayed(&sandbox, 3).await;
    let rest = crate::scene::fill(&sandbox, "s").await;
    age(&sandbox).await;
    stays(&sandbox, spray.pool(), "its refund is refused: the wallet is full").await;
    sandbox.overwrite_balance("s", rest).await;
}

#[tokio::test(start_paused = true)]
async fn a_spray_that_ended_within_the_age_stays() {
    let sandbox = Sandbox::new(25);
    let spray = sprayed(&sandbox, 3).await;
    tokio::time::advance(LATER).await;
    // It was made long ago, and its remainder is returned only now.
    let store = sandbox.another_process(26);
    refund_batch::handle(&*store, store.now().plus_ms(60_000)).await.unwrap();
    stays(&sandbox, spray.pool(), "it ended later than the age").await;
}

#[tokio::test(start_paused = true)]
async fn a_frozen_spray_stays_until_it_is_lifted() {
    let sandbox = Sandbox::new(27);
    let spray = over_spray(&sandbox).await;
    age(&sandbox).await;
    let (pool, since, why) = (spray.pool(), sandbox.store.now(), "why".to_owned());
    sandbox.store.mark_frozen(&FrozenPool { pool, since, why }).await.unwrap();
    stays(&sandbox, pool, "it is frozen").await;
    sandbox.store.clear_frozen(pool).await.unwrap();
    tokio::time::advance(Duration::from_secs(7 * 86_400)).await;
    assert_eq!(ran(&sandbox, 28).await.counts.things, 1);
}

#[tokio::test(start_paused = true)]
async fn a_spray_that_does_not_add_up_stays() {
    let sandbox = Sandbox::new(29);
    let spray = over_spray(&sandbox).await;
    age(&sandbox).await;
    let (pools, bucket) = (Table::of(&sandbox, "pools"), key(format!("{}#0", spray.pool())));
    let whole = pools.get(&bucket).await.unwrap();
    pools.delete(&bucket).await;
    stays(&sandbox, spray.pool(), "it does not add up").await;
    pools.put(whole).await;
}

#[tokio::test(start_paused = true)]
async fn an_item_that_cannot_be_read_holds_the_horizon() {
    let sandbox = Sandbox::new(30);
    let sprays = Table::of(&sandbox, "sprays");
    let mut item = key("WHAT");
    item.insert("x".to_owned(), s("y"));
    sprays.put(item).await;
    let pass = ran(&sandbox, 31).await;
    assert_eq!(pass.horizon().ms(), 0);
    assert_eq!(pass.held.unwrap().name, "WHAT");
}

#[tokio::test(start_paused = true)]
async fn a_product_that_is_being_refunded_stays() {
    let sandbox = Sandbox::new(32);
    sandbox.deposit("ann", 500).await;
    let missed = largesse_domain::product::Limits { min_raise: Some(100), ..limits(100) };
    let product = made_of(&sandbox, missed, 2).await;
    invested(&sandbox, &product, "ann", 10).await;
    let rest = crate::scene::fill(&sandbox, "ann").await;
    age(&sandbox).await;
    stays(&sandbox, product.pool(), "its investments are not all refunded").await;
    sandbox.overwrite_balance("ann", rest).await;
}
