//! Each planted error is found and names what is wrong.

use aws_sdk_dynamodb::types::AttributeValue as Av;
use largesse_app::ports::Grants;
use largesse_domain::audit::{Finding, Subject};
use largesse_domain::id::{PoolId, TransferId};
use largesse_tests::{money, user};

use super::{World, proved, world};
use crate::scene::{Item, Table, given_up, key, key_with, n, number, s};

/// An edit of one item.
struct Plant {
    table: &'static str,
    key: Item,
    /// Whether the item stays; else it is removed.
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

fn plant(
    table: &'static str,
    key: Item,
    edit: fn(&mut Item) -> bool,
    subject: &Subject,
    says: &'static str,
) -> Plant {
    Plant { table, key, edit, subject: subject.clone(), says }
}

fn plants(world: &World) -> Vec<Plant> {
    in_the_ledger(world).into_iter().chain(in_pools(world)).chain(in_products(world)).collect()
}

fn in_the_ledger(world: &World) -> Vec<Plant> {
    let books = money::books(&world.sandbox.world);
    let (pool, product) = (world.spray.pool(), PoolId::Product(world.product.id));
    let of = |wallet: &str, pool: Option<PoolId>| {
        let mut of = books.transfers.iter().filter(|t| t.order.wallet.as_str() == wallet);
        let transfer = of.find(|t| t.order.pool == pool).unwrap();
        key_with(format!("WALLET#{wallet}"), format!("TX#{}", transfer.order.id))
    };
    let wallet = || key_with("WALLET#m1", "BALANCE");
    let claim = || of("m1", Some(pool));
    let deposit = || of("ann", None);
    let invested = of("ann", Some(product));
    let [m1, ann] = ["m1", "ann"].map(|name| Subject::Wallet(user(name)));
    let [in_pool, in_product] = [pool, product].map(Subject::Pool);
    vec![
        plant("ledger", wallet(), |i| more(i, "balance"), &m1, "holds"),
        plant("ledger", wallet(), |i| more(i, "seq"), &m1, "holds"),
        plant("ledger", wallet(), |_| false, &m1, "no wallet"),
        plant("ledger", deposit(), |_| false, &ann, "seq 1 is missing"),
        plant("ledger", claim(), |i| more(i, "balance_after"), &m1, "leads from"),
        plant("ledger", claim(), |i| more(i, "amount"), &in_pool, "leads to it"),
        plant("ledger", deposit(), |i| i.remove("kind").is_some(), &ann, "cannot be read"),
        plant("ledger", of("s", Some(pool)), |_| false, &in_pool, "but 0 went in"),
        plant("ledger", invested, |_| false, &in_product, "was moved as None"),
    ]
}

fn in_pools(world: &World) -> Vec<Plant> {
    let pool = world.spray.pool();
    let (bucket, spray) = (|| key(format!("{pool}#0")), || key(pool));
    let at = Subject::Pool(pool);
    vec![
        plant("pools", bucket(), |i| more(i, "taken"), &at, "are taken by 2 entries"),
        plant("pools", bucket(), |i| set(i, "status", s("CLOSED")), &at, "returned instead"),
        plant("pools", bucket(), |i| i.remove("size").is_some(), &at, "cannot be read"),
        plant("pools", bucket(), |_| false, &at, "a bucket is missing"),
        plant("pools", bucket(), lose_entry, &at, "nothing in the pool leads to it"),
        plant("sprays", spray(), |_| false, &at, "there is no such pool"),
        plant("sprays", spray(), |i| more(i, "amount"), &at, "leads to it"),
    ]
}

fn in_products(world: &World) -> Vec<Plant> {
    let product = PoolId::Product(world.product.id);
    let part = world.product.part_of(&user("ann"));
    let investment = || key_with(format!("{product}#INV#{part}"), "ann#0000000001");
    let shard = key_with(format!("{product}#SHARD#0"), "SHARD");
    let at = Subject::Pool(product);
    let refund: fn(&mut Item) -> bool = |i| set(i, "status", s("REFUNDED"));
    vec![
        plant("products", investment(), |_| false, &at, "leads to it"),
        plant("products", investment(), refund, &at, "was moved as None"),
        plant("products", key_with(product, "META"), |_| false, &at, "no such product"),
        plant("products", shard, |i| more(i, "investors"), &at, "investors instead of"),
    ]
}

fn set(item: &mut Item, name: &str, value: Av) -> bool {
    item.insert(name.to_owned(), value);
    true
}

/// The entry of m1, who was paid, is gone as if it had never been.
pub(super) fn lose_entry(item: &mut Item) -> bool {
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
    again.id = TransferId(sandbox.id());
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

/// grant-pay was killed after it had paid a grant that had failed before, and left the item of the
/// failure.
#[tokio::test(start_paused = true)]
async fn a_failed_grant_that_was_paid_since_is_no_finding() {
    let world = world(14).await;
    let books = money::books(&world.sandbox.world);
    let mut grants = books.grants();
    let grant = grants.find(|g| g.source == world.spray.pool() && g.member == user("m1")).unwrap();
    given_up(&world.sandbox, &grant).await;
    assert_eq!(proved(&world.sandbox).await.findings, []);
    Grants::remove_failed(&*world.sandbox.store, &grant).await.unwrap();
}
