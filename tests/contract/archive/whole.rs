//! Finished things go whole, and only they.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_finished_spray_is_archived_whole_and_removed() {
    let sandbox = Sandbox::new(1);
    let spray = over_spray(&sandbox).await;
    age(&sandbox).await;
    let before = of(&stored(&sandbox), spray.pool());
    assert_eq!(before.len(), 4, "the spray and three buckets: {before:?}");
    let pass = ran(&sandbox, 2).await;
    assert!(pass.ended.is_some() && pass.in_flight.is_empty() && pass.held.is_none(), "{pass:#?}");
    assert_eq!((pass.counts.things, pass.counts.items), (1, 4));
    assert_eq!(pass.horizon(), pass.cutoff.minus_ms(3_600_000));
    assert_eq!(of(&stored(&sandbox), spray.pool()), BTreeSet::new());
    assert_eq!(archived(&sandbox.store, spray.pool()).await, before);
    proved(&sandbox).await;
}

#[tokio::test(start_paused = true)]
async fn a_finished_drop_goes_with_its_list_its_lots_its_promotions_and_its_voided_grants() {
    let sandbox = Sandbox::new(3);
    let drop = over_drop(&sandbox).await;
    let lots = sandbox.open_shuffled_drop(20, 3).await;
    crate::drops_lots::register(&sandbox.store, &lots, "l0").await;
    crate::drops_lots::draw_lots(&sandbox, &lots).await;
    pay(&sandbox, &grant_of(&sandbox, &lots, "l0")).await;
    age(&sandbox).await;
    let all = stored(&sandbox);
    let (passed_on, with_lots) = (of(&all, drop.pool()), of(&all, lots.pool()));
    for part in ["grants DROP#", "pools WAIT#", "drops DROP#"] {
        assert!(passed_on.iter().any(|key| key.starts_with(part)), "{part}: {passed_on:?}");
    }
    let promotions = passed_on.iter().filter(|key| key.starts_with("pools DROP#"));
    assert_eq!(promotions.count(), 2, "{passed_on:?}");
    assert!(with_lots.iter().any(|key| key.starts_with("pools LOT#")), "{with_lots:?}");
    let pass = ran(&sandbox, 4).await;
    assert_eq!((pass.counts.things, pass.counts.held), (2, 0), "{pass:#?}");
    for (pool, before) in [(drop.pool(), passed_on), (lots.pool(), with_lots)] {
        assert_eq!(of(&stored(&sandbox), pool), BTreeSet::new());
        assert_eq!(archived(&sandbox.store, pool).await, before);
    }
    proved(&sandbox).await;
}

#[tokio::test(start_paused = true)]
async fn finished_products_go_with_their_shards_and_investments() {
    let sandbox = Sandbox::new(5);
    sandbox.deposit("ann", 500).await;
    let missed = largesse_domain::product::Limits { min_raise: Some(100), ..limits(100) };
    let mut products = Vec::new();
    for terms in [limits(100), missed] {
        let product = made_of(&sandbox, terms, 2).await;
        invested(&sandbox, &product, "ann", 10).await;
        invested(&sandbox, &product, "ann", 5).await;
        products.push(product);
    }
    age(&sandbox).await;
    let before = stored(&sandbox);
    let pass = ran(&sandbox, 6).await;
    assert_eq!((pass.counts.things, pass.counts.held), (2, 0), "{pass:#?}");
    for product in products {
        let before = of(&before, product.pool());
        assert_eq!(before.len(), 5, "{before:?}");
        assert_eq!(archived(&sandbox.store, product.pool()).await, before);
        assert_eq!(of(&stored(&sandbox), product.pool()), BTreeSet::new());
    }
    proved(&sandbox).await;
}

#[tokio::test(start_paused = true)]
async fn a_pass_begins_once_in_the_set_number_of_days_and_not_when_it_is_switched_off() {
    let sandbox = Sandbox::new(7);
    over_spray(&sandbox).await;
    age(&sandbox).await;
    let store = sandbox.another_process(8);
    let run = |policy| daily::run(&*store, store.now().plus_ms(600_000), policy);
    assert_eq!(run(Policy { after_days: 0, ..POLICY }).await.unwrap(), Ran::Idle);
    assert!(matches!(run(POLICY).await.unwrap(), Ran::Worked(_)));
    assert_eq!(run(POLICY).await.unwrap(), Ran::Idle);
    tokio::time::advance(Duration::from_secs(7 * 86_400)).await;
    assert!(matches!(run(POLICY).await.unwrap(), Ran::Worked(_)));
    proved(&sandbox).await;
}

/// Its transfer is the proof of payment, however old it is.
#[tokio::test(start_paused = true)]
async fn a_late_message_for_a_paid_grant_of_a_spray_that_stays_finds_it_paid() {
    let sandbox = Sandbox::new(9);
    let spray = sprayed(&sandbox, 40).await;
    let grant = drawn_somewhere(&sandbox, &spray, "m1").await;
    pay(&sandbox, &grant).await;
    drawn_somewhere(&sandbox, &spray, "m2").await;
    age(&sandbox).await;
    let pass = ran(&sandbox, 10).await;
    assert!(pass.ended.is_some() && pass.counts.held == 1, "{pass:#?}");
    let late = sandbox.another_process(13);
    let paid = late.pay(&[grant]).await;
    assert!(matches!(paid[..], [Payment::AlreadyPaid]), "{paid:?}");
}

#[tokio::test(start_paused = true)]
async fn the_token_of_an_archived_spray_is_taken_again() {
    let sandbox = Sandbox::new(11);
    let spray = over_spray(&sandbox).await;
    age(&sandbox).await;
    assert_eq!(ran(&sandbox, 12).await.counts.things, 1);
    let tokens = Table::of(&sandbox, "tokens");
    let token = tokens.get(&key(format!("TOKEN#{}", spray.token))).await;
    assert!(token.is_some_and(|token| *token["refunded"].as_bool().unwrap()));
    let next = sprayed(&sandbox, 3).await;
    assert_ne!(next.pool(), spray.pool());
}
