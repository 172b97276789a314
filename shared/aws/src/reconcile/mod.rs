//! Reading whole tables for the proof of the ledger.

use aws_sdk_dynamodb::types::AttributeValue as Av;
use largesse_app::ports::{LedgerRow, OwnerRow, PortResult, ScanKey, Scanned, Scans, Segment};
use largesse_domain::id::{PoolId, ProductId, TransferId, UserId};
use largesse_domain::ledger::Posted;

use crate::errors::port_error;
use crate::item::{Item, Reader, s};
use crate::keys::{self, PK, RUN, SK, TX, WALLET};
use crate::pool::read_bucket;
use crate::probe::PROBE;
use crate::product::{Read, read_any};
use crate::store::Store;
use crate::wallet::{read_posted, read_run, read_wallet};

mod freeze;
mod pass;
mod stats;

pub(crate) use pass::{place_value, read_list, read_place};

pub(crate) fn start(key: ScanKey) -> Item {
    let pk = std::iter::once((PK.to_owned(), s(key.pk)));
    pk.chain(key.sk.map(|sk| (SK.to_owned(), s(sk)))).collect()
}

fn text<'a>(item: &'a Item, name: &str) -> Option<&'a str> {
    match item.get(name) {
        Some(Av::S(text)) => Some(text),
        _ => None,
    }
}

pub(crate) fn key_of(item: &Item) -> ScanKey {
    let pk = text(item, PK).unwrap_or_default().to_owned();
    ScanKey { pk, sk: text(item, SK).map(str::to_owned) }
}

/// The key of an item that cannot be read.
fn name_of(item: &Item) -> String {
    let key = key_of(item);
    key.sk.map_or_else(|| key.pk.clone(), |sk| format!("{} {sk}", key.pk))
}

fn ledger_row(item: &Item) -> LedgerRow {
    let read = || -> PortResult<LedgerRow> {
        let reader = Reader { item, what: "ledger item" };
        let user: UserId = reader.parse_after(PK, WALLET)?;
        if reader.text(SK)?.starts_with(RUN) {
            return Ok(LedgerRow::Run(user, read_run(item)?.run));
        }
        if !reader.text(SK)?.starts_with(TX) {
            return Ok(LedgerRow::Wallet(read_wallet(&user, Some(item))?));
        }
        let id = reader.parse_after(SK, TX)?;
        Ok(match read_posted(&user, item)? {
            Posted::Transfer(transfer) => LedgerRow::Posted(transfer),
            Posted::Voided => LedgerRow::Voided(user, id),
        })
    };
    read().unwrap_or_else(|_| LedgerRow::Unreadable(name_of(item)))
}

fn pool_row(item: &Item) -> OwnerRow<PoolId> {
    if text(item, PK).is_some_and(|pk| pk.starts_with(PROBE)) {
        return OwnerRow::Other;
    }
    match read_bucket(item) {
        Err(_) => OwnerRow::Unreadable(name_of(item)),
        Ok(bucket) => match bucket.id.pool {
            pool @ (PoolId::Spray(_) | PoolId::Drop(_)) if bucket.id.number == 0 => {
                OwnerRow::Whole(pool)
            }
            _ => OwnerRow::Other,
        },
    }
}

fn product_row(item: &Item) -> OwnerRow<ProductId> {
    match read_any(item) {
        Ok(Read::Product(product)) => OwnerRow::Whole(product.id),
        Ok(Read::Shard(..) | Read::Investment(_)) => OwnerRow::Other,
        Err(_) => OwnerRow::Unreadable(name_of(item)),
    }
}

impl Store {
    async fn scan_segment<T>(
        &self,
        operation: &'static str,
        table: &str,
        segment: Segment,
        after: Option<ScanKey>,
        read: impl Fn(&Item) -> T,
    ) -> PortResult<Scanned<T>> {
        let got = self
            .dynamo
            .scan()
            .table_name(table)
            .segment(i32::try_from(segment.number).unwrap_or(i32::MAX))
            .total_segments(i32::try_from(segment.total).unwrap_or(i32::MAX))
            .consistent_read(true)
            .set_exclusive_start_key(after.map(start))
            .send()
            .await
            .map_err(|error| port_error(operation, error))?;
        let rows = got.items.unwrap_or_default().iter().map(read).collect();
        Ok(Scanned { rows, next: got.last_evaluated_key.as_ref().map(key_of) })
    }
}

impl Scans for Store {
    async fn scan_ledger(
        &self,
        segment: Segment,
        after: Option<ScanKey>,
    ) -> PortResult<Scanned<LedgerRow>> {
        self.scan_segment("scan ledger", &self.names.ledger, segment, after, ledger_row).await
    }

    fn behind_wallet(&self, user: &UserId) -> ScanKey {
        // Behind every `TX#` and a ULID.
        ScanKey { pk: keys::wallet_pk(user), sk: Some(format!("{TX}~")) }
    }

    async fn wallet_rows(
        &self,
        user: &UserId,
        after: Option<ScanKey>,
    ) -> PortResult<Scanned<LedgerRow>> {
        let got = self
            .dynamo
            .query()
            .table_name(&self.names.ledger)
            .key_condition_expression("#pk = :wallet")
            .expression_attribute_names("#pk", PK)
            .expression_attribute_values(":wallet", s(keys::wallet_pk(user)))
            .set_exclusive_start_key(after.map(start))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| port_error("read wallet and transfers", error))?;
        let rows = got.items.unwrap_or_default().iter().map(ledger_row).collect();
        Ok(Scanned { rows, next: got.last_evaluated_key.as_ref().map(key_of) })
    }

    async fn postings(
        &self,
        keys: &[(UserId, TransferId)],
    ) -> PortResult<Vec<(UserId, TransferId, Posted)>> {
        let keys = keys.iter().map(|(user, id)| keys::transfer(user, *id)).collect();
        let items = self.batch_get("read transfers", &self.names.ledger, keys).await?;
        let read = |item: &Item| {
            let reader = Reader { item, what: "transfer item" };
            let user: UserId = reader.parse_after(PK, WALLET)?;
            let (id, posted) = (reader.parse_after(SK, TX)?, read_posted(&user, item)?);
            Ok((user, id, posted))
        };
        items.iter().map(read).collect()
    }

    async fn scan_pools(
        &self,
        segment: Segment,
        after: Option<ScanKey>,
    ) -> PortResult<Scanned<OwnerRow<PoolId>>> {
        self.scan_segment("scan pools", &self.names.pools, segment, after, pool_row).await
    }

    async fn scan_products(
        &self,
        segment: Segment,
        after: Option<ScanKey>,
    ) -> PortResult<Scanned<OwnerRow<ProductId>>> {
        let table = &self.names.products;
        self.scan_segment("scan products", table, segment, after, product_row).await
    }
}
