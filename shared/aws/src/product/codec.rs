//! Products, shards and investments as items.

use largesse_app::ports::PortResult;
use largesse_domain::id::{ProductId, UserId};
use largesse_domain::product::{
    Investment, Outcome, Position, Product, Settled, Shard, Terms, Title,
};
use largesse_domain::time::Window;

use crate::item::{Item, Reader, ms, n, s};
use crate::keys::{self, LIST, LIST_ALL, PK, PRODUCT, PRODUCT_PART, PRODUCT_SHARD, SK};

/// The attribute that says whether a shard takes investments, and whether an investment is refunded.
pub(super) const STATUS: &str = "status";
pub(super) const OPEN: &str = "OPEN";
pub(super) const CLOSED: &str = "CLOSED";
pub(super) const INVESTED: &str = "INVESTED";
pub(super) const REFUNDED: &str = "REFUNDED";

/// Since when a product is marked as sold out.
pub(super) const SOLD_OUT_MS: &str = "sold_out_ms";
/// How a product ended.
pub(super) const OUTCOME: &str = "outcome";
/// Since when a wallet is too full for what a product owes.
pub(super) const REFUSED_MS: &str = "refused_ms";

/// The name of an outcome: that of the state that follows.
pub(super) const fn outcome_name(outcome: Outcome) -> &'static str {
    outcome.state().as_str()
}

fn put_terms(item: &mut Item, terms: &Terms) {
    let mut put = |name: &str, value| item.insert(name.to_owned(), value);
    put("title", s(terms.title.as_str()));
    put("target", n(terms.target));
    put("opens_ms", ms(terms.window.opens));
    put("closes_ms", ms(terms.window.closes));
    put("min_investment", n(terms.min_investment));
    put("issuer", s(&terms.issuer));
    if let Some(most) = terms.max_per_investor {
        put("max_per_investor", n(most));
    }
    if let Some(least) = terms.min_raise {
        put("min_raise", n(least));
    }
}

fn read_terms(reader: &Reader<'_>) -> PortResult<Terms> {
    Ok(Terms {
        title: Title::stored(reader.text("title")?.to_owned()),
        target: reader.amount("target")?,
        window: Window { opens: reader.ms("opens_ms")?, closes: reader.ms("closes_ms")? },
        min_investment: reader.amount("min_investment")?,
        max_per_investor: reader.optional("max_per_investor", Reader::amount)?,
        min_raise: reader.optional("min_raise", Reader::amount)?,
        issuer: reader.parse("issuer")?,
    })
}

/// The item of a new product: it is in the list of what recruits, and in the index of what is due.
pub(super) fn product_item(product: &Product) -> Item {
    let mut item = keys::product(product.id);
    put_terms(&mut item, &product.terms);
    let mut put = |name: &str, value| item.insert(name.to_owned(), value);
    put("creator", s(&product.creator));
    put("shards", n(product.shards));
    put(LIST, s(LIST_ALL));
    put(keys::DUE_SHARD, s(keys::due_shard(product.id.0)));
    put(keys::DUE_MS, ms(product.terms.window.closes));
    item
}

pub(super) fn read_product(item: &Item) -> PortResult<Product> {
    let reader = Reader { item, what: "product item" };
    Ok(Product {
        id: reader.parse_after(PK, PRODUCT)?,
        creator: reader.parse("creator")?,
        terms: read_terms(&reader)?,
        shards: reader.number("shards")?,
        sold_out: reader.optional(SOLD_OUT_MS, Reader::ms)?,
        settled: reader.optional(OUTCOME, |r, name| {
            let name = r.text(name)?;
            let outcome = Outcome::ALL.into_iter().find(|one| outcome_name(*one) == name);
            Ok(Settled {
                outcome: outcome.ok_or_else(|| r.corrupt())?,
                raised: r.number("raised")?,
                investors: r.number("investors")?,
                at: r.ms("settled_ms")?,
            })
        })?,
        refused: reader.optional(REFUSED_MS, Reader::ms)?,
    })
}

pub(super) fn shard_item(product: &Product, shard: &Shard) -> Item {
    let mut item = keys::product_shard(product.id, shard.number);
    let mut put = |name: &str, value| item.insert(name.to_owned(), value);
    put(STATUS, s(if shard.is_closed { CLOSED } else { OPEN }));
    put("opens_ms", ms(product.terms.window.opens));
    put("closes_ms", ms(product.terms.window.closes));
    put("capacity", n(shard.capacity));
    put("remaining", n(shard.remaining));
    put("investors", n(shard.investors));
    item
}

pub(super) fn read_shard(item: &Item) -> PortResult<(ProductId, Shard)> {
    let reader = Reader { item, what: "shard item" };
    let key = reader.text(PK)?.strip_prefix(PRODUCT).and_then(|key| {
        let (id, number) = key.split_once(PRODUCT_SHARD)?;
        Some((id.parse().ok()?, number.parse().ok()?))
    });
    let (id, number) = key.ok_or_else(|| reader.corrupt())?;
    let is_closed = match reader.text(STATUS)? {
        OPEN => false,
        CLOSED => true,
        _ => return Err(reader.corrupt()),
    };
    let (capacity, remaining) = (reader.number("capacity")?, reader.number("remaining")?);
    let shard =
        Shard { number, capacity, remaining, investors: reader.number("investors")?, is_closed };
    if remaining > capacity { Err(reader.corrupt()) } else { Ok((id, shard)) }
}

/// The key of an investment.
pub(super) fn investment_key(product: &Product, investor: &UserId, count: u64) -> Item {
    let part = product.part_of(investor);
    keys::pk_sk(keys::investments_pk(product.id, part), keys::investment_sk(investor, count))
}

pub(super) fn investment_item(product: &Product, investment: &Investment) -> Item {
    let Position { count, total } = investment.position;
    let mut item = investment_key(product, &investment.investor, count);
    put_terms(&mut item, &investment.terms);
    let mut put = |name: &str, value| item.insert(name.to_owned(), value);
    put(keys::INVESTOR, s(&investment.investor));
    put(keys::INVESTMENT_ID, s(investment.id));
    put("amount", n(investment.amount));
    put("total", n(total));
    put("told_remaining", n(investment.remaining));
    put("invested_ms", ms(investment.at));
    put(STATUS, s(if investment.is_refunded { REFUNDED } else { INVESTED }));
    item
}

pub(super) fn read_investment(item: &Item) -> PortResult<Investment> {
    let reader = Reader { item, what: "investment item" };
    let product = reader.text(PK)?.strip_prefix(PRODUCT);
    let product = product.and_then(|key| key.split_once(PRODUCT_PART)?.0.parse().ok());
    let is_refunded = match reader.text(STATUS)? {
        INVESTED => false,
        REFUNDED => true,
        _ => return Err(reader.corrupt()),
    };
    let position = Position { count: read_count(&reader)?, total: reader.number("total")? };
    Ok(Investment {
        id: reader.parse(keys::INVESTMENT_ID)?,
        product: product.ok_or_else(|| reader.corrupt())?,
        investor: reader.parse(keys::INVESTOR)?,
        amount: reader.amount("amount")?,
        position,
        remaining: reader.number("told_remaining")?,
        terms: read_terms(&reader)?,
        at: reader.ms("invested_ms")?,
        is_refunded,
    })
}

/// The number in the sort key of an investment.
fn read_count(reader: &Reader<'_>) -> PortResult<u64> {
    let count = reader.text(SK)?.rsplit_once('#').and_then(|(_, count)| count.parse().ok());
    count.ok_or_else(|| reader.corrupt())
}

/// An item of the table `products`.
pub(crate) enum Read {
    Product(Product),
    Shard(ProductId, Shard),
    Investment(Investment),
}

/// Reads any item of the table: for audits.
pub(crate) fn read_any(item: &Item) -> PortResult<Read> {
    let key = Reader { item, what: "product item" }.text(PK)?.to_owned();
    if key.contains(PRODUCT_SHARD) {
        let (product, shard) = read_shard(item)?;
        Ok(Read::Shard(product, shard))
    } else if key.contains(PRODUCT_PART) {
        read_investment(item).map(Read::Investment)
    } else {
        read_product(item).map(Read::Product)
    }
}
