//! The books, read from whole tables: for audits, not for requests.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue as Av;
use largesse_app::ports::PortResult;
use largesse_domain::audit::Books;
use largesse_domain::id::UserId;
use largesse_domain::ledger::Posted;

use crate::archive::read_tombstone;
use crate::errors::{contended, port_error};
use crate::grant::read_failed;
use crate::item::{Item, Reader};
use crate::keys::{ARCHIVED, PK, RUN, SK, TX, WALLET};
use crate::pool::read_bucket;
use crate::product::{Read, read_any};
use crate::store::Store;
use crate::wallet::{read_posted, read_run, read_wallet};

/// Adds an item of the table `ledger` to the books.
///
/// # Errors
/// When it is no wallet, no transfer and no run.
pub fn read_ledger(item: &HashMap<String, Av>, books: &mut Books) -> PortResult<()> {
    let reader = Reader { item, what: "ledger item" };
    let user: UserId = reader.parse_after(PK, WALLET)?;
    if reader.text(SK)?.starts_with(RUN) {
        books.runs.push((user, read_run(item)?.run));
    } else if reader.text(SK)?.starts_with(TX) {
        match read_posted(&user, item)? {
            Posted::Transfer(transfer) => books.transfers.push(transfer),
            Posted::Voided => drop(books.voided.insert(reader.parse_after(SK, TX)?)),
        }
    } else {
        books.wallets.push(read_wallet(&user, Some(item))?);
    }
    Ok(())
}

/// Adds an item of the table `pools` to the books.
///
/// # Errors
/// When it is no bucket.
pub fn read_pools(item: &HashMap<String, Av>, books: &mut Books) -> PortResult<()> {
    books.buckets.push(read_bucket(item)?);
    Ok(())
}

/// Adds an item of the table `grants` to the books.
///
/// # Errors
/// When it is no failed grant.
pub fn read_grants(item: &HashMap<String, Av>, books: &mut Books) -> PortResult<()> {
    books.failed.push(read_failed(item)?);
    Ok(())
}

/// Adds an item of the table `products` to the books.
///
/// # Errors
/// When it is no product, no shard and no investment.
pub fn read_products(item: &HashMap<String, Av>, books: &mut Books) -> PortResult<()> {
    match read_any(item)? {
        Read::Product(product) => books.products.push(product),
        Read::Shard(product, shard) => books.shards.push((product, shard)),
        Read::Investment(investment) => books.investments.push(investment),
    }
    Ok(())
}

/// Adds an item of the table `reconcile` to the books: only tombstones matter to them.
///
/// # Errors
/// When it is a tombstone that cannot be read.
pub fn read_reconcile(item: &HashMap<String, Av>, books: &mut Books) -> PortResult<()> {
    let is_tombstone = matches!(item.get(PK), Some(Av::S(pk)) if pk.starts_with(ARCHIVED));
    if is_tombstone {
        books.archived.insert(read_tombstone(item)?.pool);
    }
    Ok(())
}

/// Pages of one table are bounded so that a scan that never ends is noticed: 1 MB each.
const PAGES_MAX: usize = 1_000_000;

impl Store {
    /// Reads the books. Sound only while nothing writes.
    ///
    /// # Errors
    /// [`largesse_app::ports::PortError`].
    pub async fn books(&self) -> PortResult<Books> {
        let mut books = Books::default();
        self.scan(&self.names.ledger, |item| read_ledger(item, &mut books)).await?;
        self.scan(&self.names.pools, |item| read_pools(item, &mut books)).await?;
        self.scan(&self.names.grants, |item| read_grants(item, &mut books)).await?;
        self.scan(&self.names.products, |item| read_products(item, &mut books)).await?;
        self.scan(&self.names.reconcile, |item| read_reconcile(item, &mut books)).await?;
        Ok(books)
    }

    async fn scan(
        &self,
        table: &str,
        mut read: impl FnMut(&Item) -> PortResult<()>,
    ) -> PortResult<()> {
        let mut start = None;
        for _ in 0..PAGES_MAX {
            let got = self
                .dynamo
                .scan()
                .table_name(table)
                .consistent_read(true)
                .set_exclusive_start_key(start)
                .send()
                .await
                .map_err(|error| port_error("read books", error))?;
            got.items.unwrap_or_default().iter().try_for_each(&mut read)?;
            match got.last_evaluated_key {
                Some(key) => start = Some(key),
                None => return Ok(()),
            }
        }
        Err(contended("read books"))
    }
}
