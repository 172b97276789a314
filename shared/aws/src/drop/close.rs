//! Closing: what is due, its buckets one by one, and the transaction that returns the remainder.

use aws_sdk_dynamodb::types::{
    CancellationReason, ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update,
};
use largesse_app::page::{DueKey, DuePage};
use largesse_app::ports::{DropReturned, DropsClosed, DueDrop, PortResult, Wallets};
use largesse_domain::drop::Drop;
use largesse_domain::id::{DropId, PoolId};
use largesse_domain::ledger::Wallet;
use largesse_domain::pool::Bucket;
use largesse_domain::time::Timestamp;

use super::codec::{REFUND, REFUNDED_MS, REFUSED};
use crate::due::{BY_DUE, DueQuery};
use crate::errors::{TransactError, condition_failed, contended, corrupt, unless_refused};
use crate::item::{Reader, ms, n, s};
use crate::keys::{self, DUE_MS, DUE_SHARD};
use crate::pool::codec::{CLOSED, OPEN, STATUS};
use crate::store::Store;
use crate::wallet::{POST_TRIES_MAX, read_wallet, request_token};

fn read_due(reader: &Reader<'_>) -> PortResult<DueDrop> {
    let PoolId::Drop(id) = reader.parse(keys::PK)? else { return Err(reader.corrupt()) };
    Ok(DueDrop { id, due: reader.ms(DUE_MS)? })
}

impl Store {
    /// Writes on the drop what was returned, and takes it out of the index of what is due. Nothing is
    /// refused any more. Its condition: the drop is there, and nothing was returned before.
    fn returning(
        &self,
        drop: &Drop,
        remainder: u64,
        now: Timestamp,
    ) -> PortResult<TransactWriteItem> {
        let update = Update::builder()
            .table_name(&self.names.drops)
            .set_key(Some(keys::drop(drop.id)))
            .update_expression(
                "SET #refund = :amount, #refunded = :now REMOVE #shard, #due, #refused",
            )
            .condition_expression("attribute_exists(pk) AND attribute_not_exists(#refunded)")
            .expression_attribute_names("#refund", REFUND)
            .expression_attribute_names("#refunded", REFUNDED_MS)
            .expression_attribute_names("#shard", DUE_SHARD)
            .expression_attribute_names("#due", DUE_MS)
            .expression_attribute_names("#refused", REFUSED)
            .expression_attribute_values(":amount", n(remainder))
            .expression_attribute_values(":now", ms(now))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::None)
            .build()
            .map_err(|_| corrupt("drop update"))?;
        Ok(TransactWriteItem::builder().update(update).build())
    }
}

impl DropsClosed for Store {
    async fn due_drops(
        &self,
        shard: u32,
        now: Timestamp,
        after: Option<DueKey>,
        limit: u32,
    ) -> PortResult<DuePage<DueDrop>> {
        let after = after.map(|key| keys::due(shard, &key));
        let query = DueQuery { shard, now, after, limit };
        self.due_page("list due drops", &self.names.drops, BY_DUE, query, read_due).await
    }

    async fn close_bucket(&self, as_read: &Bucket, now: Timestamp) -> PortResult<()> {
        let sent = self
            .dynamo
            .update_item()
            .table_name(&self.names.pools)
            .set_key(Some(keys::bucket(as_read.id)))
            .update_expression("SET #status = :closed")
            // Open: another run has not closed it. `closes_ms`: the window is over, by the bucket's own
            // timestamp. `taken`: as many draws as were read, so that the remainder is what was read.
            .condition_expression("#status = :open AND closes_ms <= :now AND taken = :taken")
            .expression_attribute_names("#status", STATUS)
            .expression_attribute_values(":open", s(OPEN))
            .expression_attribute_values(":closed", s(CLOSED))
            .expression_attribute_values(":now", ms(now))
            .expression_attribute_values(":taken", n(as_read.taken))
            .send()
            .await;
        unless_refused("close bucket", sent)
    }

    async fn return_remainder(
        &self,
        drop: &Drop,
        remainder: u64,
        now: Timestamp,
    ) -> PortResult<DropReturned> {
        let returning = self.returning(drop, remainder, now)?;
        let order = drop.refund_order(remainder);
        let _lock = self.wallet_locks.lock(&drop.funder).await;
        let mut wallet: Option<Wallet> = match &order {
            Some(_) => Some(self.wallet(&drop.funder).await?),
            None => None,
        };
        for _ in 0..POST_TRIES_MAX {
            let mut items = vec![returning.clone()];
            if let (Some(order), Some(wallet)) = (&order, &wallet) {
                let Ok(transfer) = wallet.post(order.clone()) else {
                    // It may be full because of this very remainder.
                    let posted = self.posted(&drop.funder, order.id).await?;
                    return Ok(match posted {
                        None => DropReturned::WalletFull,
                        Some(_) => self.returned_or_posted(drop.id).await?,
                    });
                };
                items.extend(self.posting(wallet, &transfer)?);
            }
            let seq = wallet.as_ref().map_or(0, |wallet| wallet.seq);
            let attempt = format!("{seq} {remainder} {}", now.ms());
            let token = request_token(&["close", &drop.id.to_string(), &attempt]);
            match self.transact("close drop", token, items).await {
                Ok(()) => return Ok(DropReturned::Done),
                Err(TransactError::Port(error)) => return Err(error),
                Err(TransactError::Refused(reasons)) => {
                    if condition_failed(&reasons, 0) {
                        return Ok(DropReturned::Before);
                    }
                    if condition_failed(&reasons, 2) {
                        return self.returned_or_posted(drop.id).await;
                    }
                    let item = reasons.get(1).and_then(CancellationReason::item);
                    wallet = Some(read_wallet(&drop.funder, item)?);
                }
            }
        }
        Err(contended("close drop"))
    }

    async fn refuse_return(&self, id: DropId, remainder: u64, until: Timestamp) -> PortResult<()> {
        let sent = self
            .dynamo
            .update_item()
            .table_name(&self.names.drops)
            .set_key(Some(keys::drop(id)))
            .update_expression("SET #due = :until, #refused = :amount")
            // Still in the index: what was returned meanwhile is not marked, and does not come back.
            .condition_expression("attribute_exists(#due)")
            .expression_attribute_names("#due", DUE_MS)
            .expression_attribute_names("#refused", REFUSED)
            .expression_attribute_values(":until", ms(until))
            .expression_attribute_values(":amount", n(remainder))
            .send()
            .await;
        unless_refused("record refused remainder", sent)
    }
}

impl Store {
    /// The transfer is there: another run returned the remainder, or the tables contradict each other.
    async fn returned_or_posted(&self, id: DropId) -> PortResult<DropReturned> {
        use largesse_app::ports::DropReads;
        Ok(match self.drop_record(id).await? {
            Some(record) if record.refund.is_none() => DropReturned::AlreadyPosted,
            _ => DropReturned::Before,
        })
    }
}
