//! What the tests of products share.

use largesse_app::ports::{Clock, InvestOrder, NotInvested, Once, PortResult, Products};
use largesse_app::product::settle::{self, SettleReport};
use largesse_aws::{Store, keys};
use largesse_domain::id::{InvestmentId, ProductId};
use largesse_domain::product::{Investment, Limits, Product, Refusal, Sums, Terms, Title};
use largesse_domain::time::Window;
use largesse_tests::{Sandbox, amount, user};

use crate::scene::{Item, Table};

/// How long products of these tests are open.
pub(crate) const OPEN_MS: u64 = 600_000;

pub(crate) const fn limits(target: u64) -> Limits {
    Limits { target, min_investment: None, max_per_investor: None, min_raise: None }
}

/// A product by `c` of the issuer `i`, open from now on for ten minutes, that is not made.
pub(crate) fn wish(sandbox: &Sandbox, limits: Limits) -> Product {
    let opens = sandbox.store.now();
    let window = Window { opens, closes: opens.plus_ms(OPEN_MS) };
    let terms = Terms::new(Title::new("채권").unwrap(), window, user("i"), limits).unwrap();
    Product::new(ProductId(sandbox.id()), user("c"), terms)
}

pub(crate) async fn made(sandbox: &Sandbox, limits: Limits) -> Product {
    let product = wish(sandbox, limits);
    let made = sandbox.store.create_product(&product).await.unwrap();
    assert_eq!(made, Once::Now(product.clone()));
    product
}

/// The same with so many shards, whatever its target.
pub(crate) async fn made_of(sandbox: &Sandbox, limits: Limits, shards: u32) -> Product {
    let product = Product { shards, ..wish(sandbox, limits) };
    sandbox.store.create_product(&product).await.unwrap();
    product
}

pub(crate) fn order(sandbox: &Sandbox, who: &str, minor: u64) -> InvestOrder {
    let id = InvestmentId(sandbox.id());
    InvestOrder { id, investor: user(who), amount: amount(minor) }
}

pub(crate) type Answer = PortResult<Result<Once<Investment>, NotInvested>>;

pub(crate) async fn invest_by(
    store: &Store,
    sandbox: &Sandbox,
    product: &Product,
    who: &str,
    minor: u64,
) -> Answer {
    store.invest(product, &order(sandbox, who, minor)).await
}

/// Invests what must fit.
pub(crate) async fn invested(
    sandbox: &Sandbox,
    product: &Product,
    who: &str,
    minor: u64,
) -> Investment {
    let answer = invest_by(&sandbox.store, sandbox, product, who, minor).await;
    match answer.unwrap().unwrap() {
        Once::Now(investment) => investment,
        Once::Before(earlier) => panic!("{earlier:?}"),
    }
}

/// The refusal of an answer.
pub(crate) fn refusal(answer: Answer) -> Refusal {
    match answer.unwrap().unwrap_err() {
        NotInvested::Product(refusal) => refusal,
        NotInvested::Wallet(refused) => panic!("{refused:?}"),
    }
}

pub(crate) async fn sums(sandbox: &Sandbox, product: &Product) -> Sums {
    Sums::of(&sandbox.store.shards(product).await.unwrap())
}

pub(crate) async fn read(sandbox: &Sandbox, product: &Product) -> Product {
    sandbox.store.product(product.id).await.unwrap().unwrap()
}

/// A run of the settlement.
pub(crate) async fn settle_all(store: &Store) -> SettleReport {
    settle::run(store, store.now().plus_ms(60_000)).await.unwrap()
}

pub(crate) fn products(sandbox: &Sandbox) -> Table<'_> {
    Table::of(sandbox, "products")
}

pub(crate) fn shard_key(product: &Product, number: u32) -> Item {
    keys::product_shard(product.id, number)
}

/// The key of a member's n-th investment.
pub(crate) fn investment_key(product: &Product, who: &str, count: u64) -> Item {
    let investor = user(who);
    let part = product.part_of(&investor);
    crate::scene::key_with(
        keys::investments_pk(product.id, part),
        keys::investment_sk(&investor, count),
    )
}
