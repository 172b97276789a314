//! Products: table `products`, with the ledger in the transactions that move money.

use std::collections::HashMap;
use std::sync::atomic::Ordering;

use aws_sdk_dynamodb::types::{Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem};
use largesse_app::caches::{PRODUCT_SHARDS, PRODUCTS};
use largesse_app::page::Page;
use largesse_app::ports::{Clock, Closing, InvestOrder, NotInvested, Once, PortResult, Products};
use largesse_domain::id::{InvestmentId, ProductId, UserId};
use largesse_domain::product::{Investment, Product, Shard};
use largesse_domain::time::Timestamp;

use crate::errors::{
    TransactError, condition_failed, contended, corrupt, port_error, unless_refused,
};
use crate::item::{Item, Reader, ms, s};
use crate::keys::{
    self, BY_CLOSING, BY_INVESTOR, CLOSES_MS, DUE_MS, INVESTMENT_ID, INVESTOR, LIST, LIST_ALL, PK,
    PRODUCT, SK,
};
use crate::store::Store;
use crate::wallet::request_token;

mod codec;
mod invest;
mod settle;
pub mod stream;

pub(crate) use codec::{Read, read_any};
use codec::{SOLD_OUT_MS, product_item, read_investment, read_product, read_shard, shard_item};

/// Shards as one read found them, less what this process invested after it.
#[derive(Clone)]
pub(crate) struct Seen {
    /// Which read of this process it was.
    read: u64,
    shards: Vec<Shard>,
}

impl Store {
    fn remember_product(&self, product: &Product) {
        self.products.put(product.id, product.clone(), PRODUCTS.until(self.now()));
    }
}

impl Store {
    /// Reads all shards, and remembers them.
    async fn see(&self, product: &Product) -> PortResult<Seen> {
        // From before the read, so that a remembered figure is never older than it says.
        let until = PRODUCT_SHARDS.until(self.now());
        let keys = (0..product.shards).map(|n| keys::product_shard(product.id, n)).collect();
        let items = self.batch_get("read shards", &self.names.products, keys).await?;
        let shards = items.iter().map(|item| read_shard(item).map(|(_, shard)| shard));
        let mut shards = shards.collect::<PortResult<Vec<_>>>()?;
        if shards.len() != usize::try_from(product.shards).unwrap_or(usize::MAX) {
            return Err(corrupt("shards of a product"));
        }
        shards.sort_by_key(|shard| shard.number);
        let seen = Seen { read: self.product_reads.fetch_add(1, Ordering::Relaxed), shards };
        self.product_shards.put(product.id, seen.clone(), until);
        Ok(seen)
    }

    /// What was read within the last second.
    async fn recently_seen(&self, product: &Product) -> PortResult<Seen> {
        match self.product_shards.get(&product.id, self.now()) {
            Some(seen) => Ok(seen),
            None => self.see(product).await,
        }
    }
}

fn put(table: &str, item: Item, condition: Option<&str>) -> PortResult<TransactWriteItem> {
    let put = Put::builder()
        .table_name(table)
        .set_item(Some(item))
        .set_condition_expression(condition.map(str::to_owned))
        .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
    let put = put.build().map_err(|_| corrupt("product put"))?;
    Ok(TransactWriteItem::builder().put(put).build())
}

impl Products for Store {
    async fn create_product(&self, product: &Product) -> PortResult<Once<Product>> {
        let table = &self.names.products;
        // It was never made; permanent, where the request token lasts ten minutes. Its shards are
        // made with it, so they need no condition.
        let made = put(table, product_item(product), Some("attribute_not_exists(pk)"))?;
        let shards = product.first_shards();
        let shards = shards.iter().map(|shard| put(table, shard_item(product, shard), None));
        let items = std::iter::once(Ok(made)).chain(shards).collect::<PortResult<Vec<_>>>()?;
        let terms = format!("{:?}", product.terms);
        let token = request_token(&["product", &product.id.to_string(), &terms]);
        match self.transact("create product", token, items).await {
            Ok(()) => Ok(Once::Now(product.clone())),
            Err(TransactError::Refused(reasons)) if condition_failed(&reasons, 0) => {
                let earlier = reasons.first().and_then(|reason| reason.item());
                let earlier = earlier.ok_or_else(|| corrupt("product item"))?;
                read_product(earlier).map(Once::Before)
            }
            Err(TransactError::Refused(_)) => Err(contended("create product")),
            Err(TransactError::Port(error)) => Err(error),
        }
    }

    async fn product(&self, id: ProductId) -> PortResult<Option<Product>> {
        let got = self
            .dynamo
            .get_item()
            .table_name(&self.names.products)
            .set_key(Some(keys::product(id)))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| port_error("read product", error))?;
        let product = got.item.map(|item| read_product(&item)).transpose()?;
        if let Some(product) = &product {
            self.remember_product(product);
        }
        Ok(product)
    }

    async fn known_product(&self, id: ProductId) -> PortResult<Option<Product>> {
        match self.products.get(&id, self.now()) {
            Some(product) => Ok(Some(product)),
            None => self.product(id).await,
        }
    }

    async fn shards(&self, product: &Product) -> PortResult<Vec<Shard>> {
        Ok(self.see(product).await?.shards)
    }

    async fn recent_shards(&self, product: &Product) -> PortResult<Vec<Shard>> {
        Ok(self.recently_seen(product).await?.shards)
    }

    async fn invest(
        &self,
        product: &Product,
        order: &InvestOrder,
    ) -> PortResult<Result<Once<Investment>, NotInvested>> {
        self.invest_order(product, order).await
    }

    async fn mark_sold_out(&self, id: ProductId, at: Timestamp) -> PortResult<()> {
        let sent = self
            .dynamo
            .update_item()
            .table_name(&self.names.products)
            .set_key(Some(keys::product(id)))
            .update_expression("SET #sold_out = :now, #due = :now REMOVE #list")
            // There is such a product: an item that was deleted by hand does not come back by half.
            // It is not marked, so that it is marked, and published, once.
            .condition_expression("attribute_exists(pk) AND attribute_not_exists(#sold_out)")
            .expression_attribute_names("#sold_out", SOLD_OUT_MS)
            .expression_attribute_names("#due", DUE_MS)
            .expression_attribute_names("#list", LIST)
            .expression_attribute_values(":now", ms(at))
            .send()
            .await;
        unless_refused("mark product as sold out", sent)?;
        self.products.change(&id, |product| product.sold_out = product.sold_out.or(Some(at)));
        Ok(())
    }

    async fn closing_products(
        &self,
        now: Timestamp,
        after: Option<Closing>,
        limit: u32,
    ) -> PortResult<Page<Closing, Closing>> {
        let got = self
            .dynamo
            .query()
            .table_name(&self.names.products)
            .index_name(BY_CLOSING)
            .key_condition_expression("#list = :all AND #closes > :now")
            .expression_attribute_names("#list", LIST)
            .expression_attribute_names("#closes", CLOSES_MS)
            .expression_attribute_values(":all", s(LIST_ALL))
            .expression_attribute_values(":now", ms(now))
            // A product may have closed since the page before: then the key lies outside of what is
            // asked for, which is an error, and everything behind it follows anyway.
            .set_exclusive_start_key(after.filter(|key| key.at > now).map(keys::by_closing))
            .limit(i32::try_from(limit).unwrap_or(i32::MAX))
            .send()
            .await
            .map_err(|error| port_error("list products", error))?;
        let read = |item: &Item| {
            let reader = Reader { item, what: "product index" };
            let (at, product) = (reader.ms(CLOSES_MS)?, reader.parse_after(PK, PRODUCT)?);
            PortResult::Ok(Closing { at, product })
        };
        let rows = got.items.unwrap_or_default();
        let rows = rows.iter().map(read).collect::<PortResult<Vec<_>>>()?;
        let next = got.last_evaluated_key.as_ref().map(read).transpose()?;
        Ok(Page { rows, next })
    }

    async fn investments_by(
        &self,
        investor: &UserId,
        after: Option<InvestmentId>,
        limit: u32,
    ) -> PortResult<Page<Investment, InvestmentId>> {
        // By a condition on the sort key: a cursor names an investment, but not its place in the table.
        let query = self
            .dynamo
            .query()
            .table_name(&self.names.products)
            .index_name(BY_INVESTOR)
            .expression_attribute_names("#investor", INVESTOR)
            .expression_attribute_values(":investor", s(investor));
        let query = match after {
            None => query.key_condition_expression("#investor = :investor"),
            Some(after) => query
                .key_condition_expression("#investor = :investor AND #id < :after")
                .expression_attribute_names("#id", INVESTMENT_ID)
                .expression_attribute_values(":after", s(after)),
        };
        let got = query
            .scan_index_forward(false)
            .limit(i32::try_from(limit).unwrap_or(i32::MAX))
            .send()
            .await
            .map_err(|error| port_error("list investments", error))?;
        let (mut ids, mut wanted) = (Vec::new(), Vec::new());
        for mut item in got.items.unwrap_or_default() {
            ids.push(Reader { item: &item, what: "investment index" }.parse(INVESTMENT_ID)?);
            item.retain(|name, _| name == PK || name == SK);
            wanted.push(item);
        }
        let next = got.last_evaluated_key.and_then(|_| ids.last().copied());
        let items = self.batch_get("read investments", &self.names.products, wanted).await?;
        let found = items.iter().map(|item| read_investment(item).map(|one| (one.id, one)));
        let mut found = found.collect::<PortResult<HashMap<InvestmentId, Investment>>>()?;
        Ok(Page { rows: ids.iter().filter_map(|id| found.remove(id)).collect(), next })
    }
}
