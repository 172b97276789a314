//! Drops: table `drops`, with the buckets of their pools.

use std::collections::HashMap;
use std::sync::Arc;

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem};
use futures::{FutureExt, StreamExt};
use largesse_app::caches::DROPS;
use largesse_app::page::Page;
use largesse_app::ports::{
    Clock, DropCache, DropFigures, DropReads, Drops, DropsMade, Once, Pause, PortResult, Wallets,
};
use largesse_domain::drop::{Drop, DropRecord, Shuffle, WaitingList};
use largesse_domain::id::DropId;
use largesse_domain::ledger::{PostRefused, TransferOrder};
use largesse_domain::pool::Bucket;
use largesse_domain::time::Timestamp;

use crate::errors::{TransactError, condition_failed, contended, corrupt, port_error};
use crate::item::{Item, Reader, s};
use crate::keys;
use crate::pool::codec::bucket_item;
use crate::store::Store;
use crate::wallet::{POST_TRIES_MAX, read_wallet, request_token};

mod close;
mod codec;
mod promote;
mod shuffle;

use codec::{drop_item, read_drop};

/// Buckets written at the same time: by the first pass, and by those over what was throttled.
const CONCURRENCY: [usize; 4] = [64, 32, 16, 8];
/// How long a pass waits for the table to cool down.
const PAUSE_MS: u64 = 250;

impl Store {
    /// Writes buckets side by side, in any order. A cold table takes 4,000 writes a second, and the largest
    /// drop has 25,000 buckets. What was throttled is written again with fewer at the same time.
    async fn write_buckets<'a, F>(
        &self,
        buckets: &'a [Bucket],
        write: impl Fn(&'a Bucket) -> F + Send,
    ) -> PortResult<()>
    where
        F: Future<Output = PortResult<()>> + Send,
    {
        let mut left: Vec<&Bucket> = buckets.iter().collect();
        let mut result = Ok(());
        for (pass, concurrency) in CONCURRENCY.into_iter().enumerate() {
            if pass > 0 {
                self.pause_ms(PAUSE_MS).await;
            }
            let one = |bucket| write(bucket).map(move |written| (bucket, written));
            let writes: Vec<_> = std::mem::take(&mut left).into_iter().map(one).collect();
            let mut writes = futures::stream::iter(writes).buffer_unordered(concurrency);
            let mut failed = Vec::new();
            result = Ok(());
            while let Some((bucket, written)) = writes.next().await {
                match written {
                    Ok(()) => {}
                    Err(error) if error.is_retryable() => {
                        failed.push(bucket);
                        result = Err(error);
                    }
                    Err(error) => return Err(error),
                }
            }
            if failed.is_empty() {
                break;
            }
            left = failed;
        }
        result
    }

    /// Writes a bucket. Its condition: it is not there. A repeat, also one of a run that was thought
    /// dead and goes on, wipes no draw.
    async fn put_bucket(&self, bucket: &Bucket) -> PortResult<()> {
        let sent = self
            .dynamo
            .put_item()
            .table_name(&self.names.pools)
            .set_item(Some(bucket_item(bucket)))
            .condition_expression("attribute_not_exists(pk)")
            .send()
            .await;
        match sent {
            Ok(_) => Ok(()),
            Err(error) => match error.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(_)) => Ok(()),
                _ => Err(port_error("make bucket", error)),
            },
        }
    }

    /// Makes the drop visible. Its condition: it was never made; permanent, where the request token
    /// lasts ten minutes.
    fn making(&self, drop: &Drop) -> PortResult<TransactWriteItem> {
        let put = Put::builder()
            .table_name(&self.names.drops)
            .set_item(Some(drop_item(drop)))
            .condition_expression("attribute_not_exists(pk)")
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build()
            .map_err(|_| corrupt("drop put"))?;
        Ok(TransactWriteItem::builder().put(put).build())
    }
}

impl Drops for Store {
    async fn drop_terms(&self, id: DropId) -> PortResult<Option<Arc<Drop>>> {
        if let Some(known) = self.drops.get(&id, Timestamp::from_ms(0)) {
            return Ok(Some(known));
        }
        let found = self.drop_record(id).await?.map(|record| Arc::new(record.drop));
        if let Some(drop) = &found {
            self.drops.put(id, drop.clone(), DROPS.until(self.now()));
        }
        Ok(found)
    }
}

impl DropsMade for Store {
    async fn put_buckets(&self, buckets: &[Bucket]) -> PortResult<()> {
        self.write_buckets(buckets, |bucket| self.put_bucket(bucket)).await
    }

    async fn create_drop(
        &self,
        drop: &Drop,
        order: &TransferOrder,
    ) -> PortResult<Result<Once<Drop>, PostRefused>> {
        let making = self.making(drop)?;
        let _lock = self.wallet_locks.lock(&drop.funder).await;
        let mut wallet = self.wallet(&drop.funder).await?;
        // Another run under the same id has another seed, hence another request token.
        let commitment = |shuffle: &Shuffle| hex::encode(shuffle.seed.commitment());
        let seed = drop.shuffle.as_ref().map(commitment).unwrap_or_default();
        for _ in 0..POST_TRIES_MAX {
            let transfer = match wallet.post(order.clone()) {
                Ok(transfer) => transfer,
                // The wallet may be empty because this very drop emptied it.
                Err(refused) => {
                    return Ok(match self.drop_record(drop.id).await? {
                        Some(earlier) => Ok(Once::Before(earlier.drop)),
                        None => Err(refused),
                    });
                }
            };
            let (id, seq) = (drop.id.to_string(), wallet.seq.to_string());
            let mut items = vec![making.clone()];
            items.extend(self.posting(&wallet, &transfer)?);
            let token = request_token(&["drop", &id, &seq, &seed]);
            match self.transact("create drop", token, items).await {
                Ok(()) => return Ok(Ok(Once::Now(drop.clone()))),
                Err(TransactError::Port(error)) => return Err(error),
                Err(TransactError::Refused(reasons)) => {
                    let item = |at: usize| reasons.get(at).and_then(|reason| reason.item());
                    if let Some(earlier) = item(0) {
                        return Ok(Ok(Once::Before(read_drop(earlier)?.drop)));
                    }
                    if condition_failed(&reasons, 2) {
                        return Err(corrupt("create drop: the ledger has its transfer"));
                    }
                    wallet = read_wallet(&drop.funder, item(1))?;
                }
            }
        }
        Err(contended("create drop"))
    }

    async fn warm_writes_per_s(&self) -> PortResult<Option<u64>> {
        let table = self.dynamo.describe_table().table_name(&self.names.pools).send().await;
        let table = table.map_err(|error| port_error("describe table", error))?.table;
        let warm = table.and_then(|table| table.warm_throughput);
        let writes = warm.and_then(|warm| warm.write_units_per_second);
        Ok(writes.and_then(|units| u64::try_from(units).ok()))
    }
}

impl DropReads for Store {
    async fn drop_record(&self, id: DropId) -> PortResult<Option<DropRecord>> {
        let got = self
            .dynamo
            .get_item()
            .table_name(&self.names.drops)
            .set_key(Some(keys::drop(id)))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| port_error("read drop", error))?;
        got.item.map(|item| read_drop(&item)).transpose()
    }

    async fn list_drops(
        &self,
        after: Option<DropId>,
        limit: u32,
    ) -> PortResult<Page<DropRecord, DropId>> {
        let got = self
            .dynamo
            .query()
            .table_name(&self.names.drops)
            .index_name(keys::BY_LIST)
            .key_condition_expression("#list = :all")
            .expression_attribute_names("#list", keys::LIST)
            .expression_attribute_values(":all", s(keys::LIST_ALL))
            .set_exclusive_start_key(after.map(keys::by_list))
            .scan_index_forward(false)
            .limit(i32::try_from(limit).unwrap_or(i32::MAX))
            .send()
            .await
            .map_err(|error| port_error("list drops", error))?;
        let read = |item: &Item| Reader { item, what: "drop index" }.parse(keys::DROP_ID);
        let ids: Vec<DropId> =
            got.items.unwrap_or_default().iter().map(read).collect::<PortResult<_>>()?;
        let next = got.last_evaluated_key.and_then(|_| ids.last().copied());
        let wanted = ids.iter().map(|id| keys::drop(*id)).collect();
        let items = self.batch_get("read drops", &self.names.drops, wanted).await?;
        let found: Vec<DropRecord> = items.iter().map(read_drop).collect::<PortResult<_>>()?;
        let mut found: HashMap<DropId, DropRecord> =
            found.into_iter().map(|record| (record.drop.id, record)).collect();
        Ok(Page { rows: ids.iter().filter_map(|id| found.remove(id)).collect(), next })
    }
}

impl DropCache for Store {
    fn known_list(&self, id: DropId) -> Option<Arc<WaitingList>> {
        self.waiting_lists.get(&id, self.now())
    }

    fn remember_list(&self, id: DropId, list: Arc<WaitingList>, until: Timestamp) {
        self.waiting_lists.put(id, list, until);
    }

    fn known_figures(&self, id: DropId) -> Option<DropFigures> {
        self.drop_figures.get(&id, self.now())
    }

    fn remember_figures(&self, id: DropId, figures: DropFigures, until: Timestamp) {
        self.drop_figures.put(id, figures, until);
    }

    fn is_known_to_wait(&self, id: DropId) -> bool {
        self.waiting_drops.get(&id, self.now()).is_some()
    }

    fn remember_waits(&self, id: DropId, until: Timestamp) {
        self.waiting_drops.put(id, (), until);
    }
}
