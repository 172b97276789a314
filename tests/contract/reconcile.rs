//! The proof of the ledger over the adapters: it agrees with the audit of the whole books, finds each planted
//! error and names it, and freezes what does not add up.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue as Av;
use largesse::verify::prove;
use largesse_app::drop::enter;
use largesse_app::ports::{
    Clock, Freezes, Money, NotDrawn, Passes, Payment, Pools, Wallets, Written,
};
use largesse_app::product::invest::{Invest, InvestError, invest};
use largesse_app::reconcile::daily::{self, Ran};
use largesse_app::reconcile::freeze::{freeze, unfreeze};
use largesse_app::reconcile::{Pass, Stage};
use largesse_domain::audit::{Finding, Subject};
use largesse_domain::id::{InvestmentId, PoolId};
use largesse_domain::pool::BucketId;
use largesse_domain::product::{Limits, Product};
use largesse_domain::spray::Spray;
use largesse_tests::{Sandbox, amount, money, user};

use crate::permissions::{assert_least, calls_of};
use crate::product::scene::{OPEN_MS, invested, limits, made_of};
use crate::scene::{Item, Table, bucket, drawn, key, key_with, n, number, request, s, sprayed};

/// Money of every kind has moved: sprays that are open and over, a drop with a promotion, products that are
/// open, paid out and refunded.
struct World {
    sandbox: Sandbox,
    spray: Spray,
    product: Product,
}

async fn world(seed: u64) -> World {
    let sandbox = Sandbox::new(seed);
    let store = sandbox.store.clone();
    let over = sprayed(&sandbox, 40).await;
    let paid = drawn_somewhere(&sandbox, &over, "m1").await;
    pay(&sandbox, &paid).await;
    sandbox.deposit("ann", 500).await;
    sandbox.deposit("ida", 500).await;
    let missed = Limits { min_raise: Some(100), ..limits(100) };
    for terms in [limits(100), missed] {
        let product = made_of(&sandbox, terms, 2).await;
        invested(&sandbox, &product, "ann", 10).await;
        invested(&sandbox, &product, "ida", 20).await;
        invested(&sandbox, &product, "ann", 5).await;
    }
    tokio::time::advance(Duration::from_millis(OPEN_MS + 1)).await;
    let stop_at = store.now().plus_ms(60_000);
    refund_batch::handle(&*store, stop_at).await.unwrap();
    // What is open from here on.
    let spray = sprayed(&sandbox, 3).await;
    for member in ["m1", "m2"] {
        let grant = drawn(&sandbox, &spray, member).await;
        if member == "m1" {
            pay(&sandbox, &grant).await;
        }
    }
    let drop = sandbox.open_drop(20, 2).await;
    for member in ["d1", "d2"] {
        enter::enter(&*store, drop.id, user(member)).await.unwrap();
    }
    let books = money::books(&sandbox.world);
    let of_drop = books.grants().find(|grant| grant.source == drop.pool()).unwrap();
    pay(&sandbox, &of_drop).await;
    let product = made_of(&sandbox, limits(100), 2).await;
    invested(&sandbox, &product, "ann", 10).await;
    World { sandbox, spray, product }
}

async fn drawn_somewhere(
    sandbox: &Sandbox,
    spray: &Spray,
    member: &str,
) -> largesse_domain::grant::Grant {
    let draw = request(member, sandbox.store.now(), 1);
    let pool = spray.pool();
    largesse_app::pool::draw::draw(&*sandbox.store, pool, spray.recipients, &draw)
        .await
        .unwrap()
        .unwrap();
    let books = money::books(&sandbox.world);
    books.grants().find(|g| g.source == pool && g.member == user(member)).unwrap()
}

async fn pay(sandbox: &Sandbox, grant: &largesse_domain::grant::Grant) {
    let paid = sandbox.store.pay(std::slice::from_ref(grant)).await;
    assert!(matches!(paid[..], [Payment::Paid]), "{paid:?}");
}

async fn proved(sandbox: &Sandbox) -> Pass {
    prove(&sandbox.another_process(900)).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_sound_ledger_adds_up_as_the_audit_of_the_books_says() {
    let world = world(1).await;
    let pass = proved(&world.sandbox).await;
    assert_eq!((pass.stage, pass.found, &pass.findings), (Stage::Ended, 0, &Vec::new()));
    let totals = money::assert_conserved(&world.sandbox.world);
    let books = money::books(&world.sandbox.world);
    let flow = pass.flow;
    assert_eq!(flow.issued - flow.taken_back, u128::from(totals.issued));
    assert_eq!((flow.balances, flow.held), (totals.wallets.into(), totals.held.into()));
    assert_eq!(flow.escrows(), Some(totals.escrows.into()));
    let count = |n: usize| u64::try_from(n).unwrap();
    assert_eq!(flow.wallets, count(books.wallets.len()));
    assert_eq!(flow.transfers, count(books.transfers.len()));
    assert_eq!((pass.counts.pools, pass.counts.products, pass.counts.moving), (3, 3, 0));
}

/// An edit of one item.
struct Plant {
    table: &'static str,
    key: Item,
    edit: fn(&mut Item) -> bool,
    subject: Subject,
    says: &'static str,
}

/// Changes a number of an item by one.
fn more(item: &mut Item, name: &str) -> bool {
    let more = number(item, name) + 1;
    item.insert(name.to_owned(), n(more));
    true
}

fn plants(world: &World) -> Vec<Plant> {
    let books = money::books(&world.sandbox.world);
    let (pool, product) = (world.spray.pool(), PoolId::Product(world.product.id));
    let of = |wallet: &str, pool: Option<PoolId>| {
        let mut of = books.transfers.iter().filter(|t| t.order.wallet.as_str() == wallet);
        let transfer = of.find(|t| t.order.pool == pool).unwrap();
        key_with(format!("WALLET#{wallet}"), format!("TX#{}", transfer.order.id))
    };
    let wallet = |name: &str| key_with(format!("WALLET#{name}"), "BALANCE");
    let slots = || key(format!("{pool}#0"));
    let investment = || {
        let id = world.product.id;
        let part = world.product.part_of(&user("ann"));
        key_with(format!("PRODUCT#{id}#INV#{part}"), "ann#0000000001")
    };
    let in_wallet = |name: &str| Subject::Wallet(user(name));
    let plant = |table, key, edit, subject, says| Plant { table, key, edit, subject, says };
    vec![
        plant("ledger", wallet("m1"), |i| more(i, "balance"), in_wallet("m1"), "holds"),
        plant("ledger", wallet("m1"), |i| more(i, "seq"), in_wallet("m1"), "holds"),
        plant("ledger", wallet("m1"), |_| false, in_wallet("m1"), "no wallet"),
        plant("ledger", of("ann", None), |_| false, in_wallet("ann"), "seq 1 is missing"),
        plant(
            "ledger",
            of("m1", Some(pool)),
            |i| more(i, "balance_after"),
            in_wallet("m1"),
            "leads from",
        ),
        plant(
            "ledger",
            of("m1", Some(pool)),
            |i| more(i, "amount"),
            Subject::Pool(pool),
            "leads to it",
        ),
        plant(
            "ledger",
            of("ann", None),
            |i| i.remove("kind").is_some(),
            in_wallet("ann"),
            "cannot be read",
        ),
        plant("ledger", of("s", Some(pool)), |_| false, Subject::Pool(pool), "but 0 went in"),
        plant(
            "ledger",
            of("ann", Some(product)),
            |_| false,
            Subject::Pool(product),
            "was moved as None",
        ),
        plant(
            "pools",
            slots(),
            |i| more(i, "taken"),
            Subject::Pool(pool),
            "are taken by 2 entries",
        ),
        plant(
            "pools",
            slots(),
            |i| set(i, "status", s("CLOSED")),
            Subject::Pool(pool),
            "returned instead",
        ),
        plant(
            "pools",
            slots(),
            |i| i.remove("size").is_some(),
            Subject::Pool(pool),
            "cannot be read",
        ),
        plant("pools", slots(), |_| false, Subject::Pool(pool), "a bucket is missing"),
        plant("pools", slots(), lose_entry, Subject::Pool(pool), "nothing in the pool leads to it"),
        plant("sprays", key(pool), |_| false, Subject::Pool(pool), "there is no such pool"),
        plant("sprays", key(pool), |i| more(i, "amount"), Subject::Pool(pool), "leads to it"),
        plant("products", investment(), |_| false, Subject::Pool(product), "leads to it"),
        plant(
            "products",
            investment(),
            |i| set(i, "status", s("REFUNDED")),
            Subject::Pool(product),
            "was moved as None",
        ),
        plant(
            "products",
            key_with(product, "META"),
            |_| false,
            Subject::Pool(product),
            "no such product",
        ),
        plant(
            "products",
            key_with(format!("{product}#SHARD#0"), "SHARD"),
            |i| more(i, "investors"),
            Subject::Pool(product),
            "investors instead of",
        ),
    ]
}

fn set(item: &mut Item, name: &str, value: Av) -> bool {
    item.insert(name.to_owned(), value);
    true
}

/// The entry of m1, who was paid, is gone as if it had never been.
fn lose_entry(item: &mut Item) -> bool {
    let mut draws = item["draws"].as_m().unwrap().clone();
    draws.remove("m1").unwrap();
    let left = draws.values_mut().next().unwrap();
    // m2 has index 1; the bucket looks as if m2 had been first.
    let packed: u128 = left.as_n().unwrap().parse().unwrap();
    *left = Av::N((packed - packed % 100).to_string());
    item.insert("draws".to_owned(), Av::M(draws));
    set(item, "taken", n(1))
}

#[tokio::test(start_paused = true)]
async fn a_planted_error_is_found_and_named() {
    let world = world(2).await;
    for (at, plant) in plants(&world).into_iter().enumerate() {
        let table = Table::of(&world.sandbox, plant.table);
        let before = table.get(&plant.key).await.unwrap_or_else(|| panic!("{at}: {:?}", plant.key));
        let mut item = before.clone();
        if (plant.edit)(&mut item) {
            table.put(item).await;
        } else if plant.says.contains("cannot be read") {
            table.put(item).await;
        } else {
            table.delete(&plant.key).await;
        }
        let findings = proved(&world.sandbox).await.findings;
        let is_it = |f: &Finding| f.subject == plant.subject && f.what.contains(plant.says);
        assert!(
            findings.iter().any(is_it),
            "{at}: {} of {}: {findings:#?}",
            plant.says,
            plant.subject
        );
        table.put(before).await;
        assert_eq!(proved(&world.sandbox).await.findings, [], "{at}: put right again");
    }
}

/// A member is paid twice for one entry, under another id; the wallet itself adds up.
#[tokio::test(start_paused = true)]
async fn a_second_payment_of_an_entry_is_found() {
    let world = world(3).await;
    let (sandbox, pool) = (&world.sandbox, world.spray.pool());
    let books = money::books(&sandbox.world);
    let paid = books
        .transfers
        .iter()
        .find(|t| (t.order.wallet.as_str(), t.order.pool) == ("m1", Some(pool)));
    let mut again = paid.unwrap().order.clone();
    again.id = largesse_domain::id::TransferId(sandbox.id());
    let ledger = Table::of(sandbox, "ledger");
    let wallet = key_with("WALLET#m1", "BALANCE");
    let before = ledger.get(&wallet).await.unwrap();
    sandbox.post(again.clone()).await;
    let pass = proved(sandbox).await;
    let expected = format!("transfer {} (claim of {}, wallet m1)", again.id, again.amount);
    let [finding] = &pass.findings[..] else { panic!("{:#?}", pass.findings) };
    assert_eq!(finding.subject, Subject::Pool(pool));
    assert!(finding.what.starts_with(&expected), "{finding:?}");
    ledger.put(before).await;
    ledger.delete(&key_with("WALLET#m1", format!("TX#{}", again.id))).await;
}

/// A wallet that was restored without its latest transfer fits all the others.
#[tokio::test(start_paused = true)]
async fn a_wallet_that_was_set_back_is_found() {
    let world = world(4).await;
    let ledger = Table::of(&world.sandbox, "ledger");
    let wallet = key_with("WALLET#ann", "BALANCE");
    let before = ledger.get(&wallet).await.unwrap();
    let books = money::books(&world.sandbox.world);
    let mut of_ann: Vec<_> =
        books.transfers.iter().filter(|t| t.order.wallet.as_str() == "ann").collect();
    of_ann.sort_by_key(|transfer| transfer.seq);
    let earlier = of_ann[of_ann.len() - 2];
    let mut item = before.clone();
    item.insert("balance".to_owned(), n(earlier.balance_after));
    item.insert("seq".to_owned(), n(earlier.seq));
    ledger.put(item).await;
    let findings = proved(&world.sandbox).await.findings;
    let [finding] = &findings[..] else { panic!("{findings:#?}") };
    assert_eq!(finding.subject, Subject::Wallet(user("ann")));
    let says = format!("the wallet is at seq {}, but there is a transfer", earlier.seq);
    assert!(finding.what.starts_with(&says), "{finding:?}");
    ledger.put(before).await;
}

#[tokio::test(start_paused = true)]
async fn of_two_runs_on_one_pass_one_goes_on() {
    let sandbox = Sandbox::new(5);
    let store = &sandbox.store;
    assert_eq!(store.latest_pass().await.unwrap().value, None);
    let pass = Pass::new(store.now());
    assert_eq!(store.save_pass(&pass, 0).await.unwrap(), Written::Done);
    assert_eq!(store.save_pass(&pass, 0).await.unwrap(), Written::Changed, "it was begun");
    assert_eq!(store.save_pass(&pass, 2).await.unwrap(), Written::Changed, "written once only");
    assert_eq!(store.save_pass(&pass, 1).await.unwrap(), Written::Done);
    let latest = store.latest_pass().await.unwrap();
    assert_eq!((latest.value, latest.version), (Some(pass), 2));
}

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
    assert!(largesse_app::spray::refund::refund(&**store, spray.id).await.is_err());
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
    assert!(largesse_app::drop::close::close(&**store, drop.id).await.is_err());
    unfreeze(&**store, drop.pool()).await.unwrap();
    let report = refund_batch::handle(&**store, stop_at).await.unwrap();
    assert_eq!((report.closed, report.returned), (1, 200));
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

#[tokio::test(start_paused = true)]
async fn the_daily_run_freezes_what_does_not_add_up_once_and_is_idle_until_tomorrow() {
    let world = world(11).await;
    let (sandbox, pool) = (&world.sandbox, world.spray.pool());
    let store = sandbox.another_process(80);
    let pools = Table::of(sandbox, "pools");
    let before = pools.get(&key(format!("{pool}#0"))).await.unwrap();
    let mut item = before.clone();
    lose_entry(&mut item);
    pools.put(item).await;
    let run = || daily::run(&*store, store.now().plus_ms(600_000), 0);
    let Ran::Worked { pass, found, frozen } = run().await.unwrap() else { panic!("it is due") };
    assert!(pass.ended.is_some() && found >= 1 && frozen == 1, "{pass:#?}");
    assert_eq!(store.frozen_pools().await.unwrap()[0].pool, pool);
    assert_eq!(run().await.unwrap(), Ran::Idle);
    // Repaired and lifted: tomorrow's pass finds nothing.
    pools.put(before).await;
    unfreeze(&*store, pool).await.unwrap();
    tokio::time::advance(Duration::from_secs(86_400)).await;
    let Ran::Worked { pass, found, frozen } = run().await.unwrap() else { panic!("it is due") };
    assert_eq!((pass.ended.is_some(), found, frozen), (true, 0, 0), "{:#?}", pass.findings);
    assert_eq!(store.frozen_pools().await.unwrap(), []);
}

#[tokio::test(start_paused = true)]
async fn reconcile_may_do_what_it_does() {
    let world = world(12).await;
    let (sandbox, pool) = (&world.sandbox, world.spray.pool());
    // A pool that does not add up, and a wallet that was set back.
    let (pools, ledger) = (Table::of(sandbox, "pools"), Table::of(sandbox, "ledger"));
    let (bucket, wallet) = (key(format!("{pool}#0")), key_with("WALLET#m1", "BALANCE"));
    let (bucket_before, wallet_before) =
        (pools.get(&bucket).await.unwrap(), ledger.get(&wallet).await.unwrap());
    let mut item = bucket_before.clone();
    lose_entry(&mut item);
    pools.put(item).await;
    let first = money::books(&sandbox.world).transfers.into_iter();
    let first = first.filter(|t| t.order.wallet == user("m1")).min_by_key(|t| t.seq).unwrap();
    let mut item = wallet_before.clone();
    item.insert("balance".to_owned(), n(first.balance_after));
    item.insert("seq".to_owned(), n(first.seq));
    ledger.put(item).await;
    let store = sandbox.another_process(81);
    let calls = calls_of(&sandbox.world, async {
        let report = reconcile::handle(&*store, store.now().plus_ms(600_000), 0).await.unwrap();
        assert_eq!((report.is_over, report.frozen), (true, 1), "{report:?}");
    });
    assert_least("reconcile", &calls.await);
    assert_eq!(store.wallet(&user("m1")).await.unwrap().seq, first.seq);
    pools.put(bucket_before).await;
    ledger.put(wallet_before).await;
}
