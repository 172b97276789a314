use crate::audit::{Books, audit};
use crate::id::UserId;
use crate::ledger::{TransferKind, TransferOrder, Wallet};
use crate::money::Amount;
use crate::product::{
    Investment, Limits, Outcome, Position, Product, Settled, Shard, Terms, Title,
};
use crate::time::{Timestamp, Window};

const PRODUCT: &str = "01ARZ3NDEKTSV4RRFFQ69G5FAV";

fn user(name: &str) -> UserId {
    name.parse().unwrap()
}

fn product(min_raise: Option<u64>) -> Product {
    let window = Window { opens: Timestamp::from_ms(10), closes: Timestamp::from_ms(20) };
    let limits = Limits { target: 100, min_raise, max_per_investor: Some(60), ..Limits::default() };
    let terms = Terms::new(Title::new("a").unwrap(), window, user("i"), limits).unwrap();
    Product { shards: 2, ..Product::new(PRODUCT.parse().unwrap(), user("c"), terms) }
}

fn invested(
    product: &Product,
    n: u8,
    who: &str,
    amount: u64,
    count: u64,
    total: u64,
) -> Investment {
    Investment {
        id: format!("01ARZ3NDEKTSV4RRFFQ69G5FB{n}").parse().unwrap(),
        product: product.id,
        investor: user(who),
        amount: Amount::new(amount).unwrap(),
        position: Position { count, total },
        remaining: 0,
        terms: product.terms.clone(),
        at: Timestamp::from_ms(15),
        is_refunded: false,
    }
}

/// Posts orders to the wallets of the books.
fn post(books: &mut Books, order: TransferOrder) {
    let found = books.wallets.iter().position(|wallet| wallet.user == order.wallet);
    let at = found.unwrap_or_else(|| {
        books.wallets.push(Wallet::empty(order.wallet.clone()));
        books.wallets.len() - 1
    });
    let transfer = books.wallets[at].post(order).unwrap();
    books.wallets[at] = books.wallets[at].after(&transfer);
    books.transfers.push(transfer);
}

/// `a` invested 40 and 20, `b` 10, of 100.
fn open(min_raise: Option<u64>) -> Books {
    let product = product(min_raise);
    let mut books = Books::default();
    for (n, who) in [(0, "a"), (1, "b")] {
        let order = TransferOrder {
            id: format!("01ARZ3NDEKTSV4RRFFQ69G5FA{n}").parse().unwrap(),
            wallet: user(who),
            kind: TransferKind::Deposit,
            amount: Amount::new(60).unwrap(),
            at: Timestamp::from_ms(0),
            pool: None,
            counterpart: None,
            memo: None,
        };
        post(&mut books, order);
    }
    for (n, who, amount, count, total) in
        [(0, "a", 40, 1, 40), (1, "a", 20, 2, 60), (2, "b", 10, 1, 10)]
    {
        let investment = invested(&product, n, who, amount, count, total);
        post(&mut books, investment.order());
        books.investments.push(investment);
    }
    for (number, remaining, investors) in [(0, 0, 1), (1, 30, 1)] {
        let shard = Shard { number, capacity: 50, remaining, investors, is_closed: false };
        books.shards.push((product.id, shard));
    }
    books.products.push(product);
    books
}

/// The same, settled.
fn settled(outcome: Outcome, min_raise: Option<u64>) -> Books {
    let mut books = open(min_raise);
    let at = Timestamp::from_ms(21);
    let settled = Settled { outcome, raised: 70, investors: 2, at };
    books.products[0].settled = Some(settled);
    books.shards.iter_mut().for_each(|(_, shard)| shard.is_closed = true);
    if outcome == Outcome::PaidOut {
        let order = books.products[0].payout(&settled).unwrap();
        post(&mut books, order);
    } else {
        // One is not refunded yet, if they are being refunded.
        let count = if outcome == Outcome::Refunded { 3 } else { 2 };
        for n in 0..count {
            books.investments[n].is_refunded = true;
            let order = books.investments[n].refund();
            post(&mut books, order);
        }
    }
    books
}

#[test]
fn what_lies_in_the_escrow_of_a_product_is_located() {
    for (books, escrow) in [
        (open(None), 70),
        (settled(Outcome::PaidOut, None), 0),
        (settled(Outcome::Refunding, Some(80)), 10),
        (settled(Outcome::Refunded, Some(80)), 0),
    ] {
        assert_eq!(audit(&books).unwrap().escrows, escrow);
    }
}

#[test]
fn a_planted_error_of_a_product_is_found() {
    type Plant = fn(&mut Books);
    let refunding = || settled(Outcome::Refunding, Some(80));
    let plants: [(Books, &str, Plant); 18] = [
        (open(None), "not the target", |b| b.shards[0].1.capacity = 51),
        (open(None), "was taken for", |b| b.shards[1].1.remaining = 31),
        (open(None), "more remains", |b| b.shards[1].1.remaining = 51),
        (open(None), "investors instead of", |b| b.shards[1].1.investors = 2),
        (open(None), "not for each shard", |b| b.shards[1].1.is_closed = true),
        (open(None), "but 30 remain", |b| b.products[0].sold_out = Some(Timestamp::from_ms(1))),
        (open(None), "no such product", |b| b.products.clear()),
        (open(None), "has no reason", |b| drop(b.investments.pop())),
        (open(None), "was moved as None", |b| drop(b.transfers.pop())),
        (open(None), "was moved as Some", |b| b.investments[2].amount = Amount::new(9).unwrap()),
        (open(None), "other terms", |b| b.investments[2].terms.get_another_title()),
        (open(None), "a: Investment", |b| b.investments[1].position.total = 59),
        (open(None), "a: Investment", |b| b.investments[1].position.count = 3),
        (open(None), "a: Investment", |b| {
            let most = Amount::new(59).ok();
            b.products[0].terms.max_per_investor = most;
            b.investments.iter_mut().for_each(|one| one.terms.max_per_investor = most);
        }),
        (settled(Outcome::PaidOut, None), "but the shards say", |b| {
            b.products[0].settled.as_mut().unwrap().investors = 3;
        }),
        (settled(Outcome::PaidOut, None), "was moved as None", |b| drop(b.transfers.pop())),
        (refunding(), "has no reason", |b| b.investments[0].is_refunded = false),
        (refunding(), "but Some", |b| {
            b.products[0].settled.as_mut().unwrap().outcome = Outcome::Refunded;
        }),
    ];
    for (mut books, said, plant) in plants {
        plant(&mut books);
        let found = audit(&books).unwrap_err();
        assert!(found.iter().any(|text| text.contains(said)), "{said}: {found:?}");
    }
}

impl Terms {
    fn get_another_title(&mut self) {
        self.title = Title::new("b").unwrap();
    }
}
