//! Pools that are frozen: an item each, and the status of the buckets that members draw from.

use std::collections::BTreeSet;
use std::sync::Arc;

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::ReturnValue;
use largesse_app::caches::FROZEN as FROZEN_KEPT;
use largesse_app::ports::{Clock, Freezes, FrozenPool, PortResult};
use largesse_domain::id::PoolId;
use largesse_domain::pool::BucketId;

use crate::errors::{port_error, unless_refused};
use crate::item::{Item, Reader, ms, s};
use crate::keys::{self, FROZEN as FROZEN_PK, PK, SK};
use crate::pool::codec::{FROZEN, OPEN, STATUS};
use crate::store::Store;

fn read_frozen(item: &Item) -> PortResult<FrozenPool> {
    let reader = Reader { item, what: "frozen pool" };
    let why = reader.text("why")?.to_owned();
    Ok(FrozenPool { pool: reader.parse(SK)?, since: reader.ms("since_ms")?, why })
}

impl Freezes for Store {
    async fn is_frozen(&self, pool: PoolId) -> PortResult<bool> {
        let now = self.now();
        if let Some(known) = self.frozen.get(&(), now) {
            return Ok(known.contains(&pool));
        }
        let pools: BTreeSet<PoolId> =
            self.frozen_pools().await?.into_iter().map(|frozen| frozen.pool).collect();
        let is_frozen = pools.contains(&pool);
        self.frozen.put((), Arc::new(pools), FROZEN_KEPT.until(now));
        Ok(is_frozen)
    }

    async fn frozen_pools(&self) -> PortResult<Vec<FrozenPool>> {
        let (mut pools, mut start) = (Vec::new(), None);
        loop {
            let got = self
                .dynamo
                .query()
                .table_name(&self.names.reconcile)
                .key_condition_expression("#pk = :frozen")
                .expression_attribute_names("#pk", PK)
                .expression_attribute_values(":frozen", s(FROZEN_PK))
                .consistent_read(true)
                .set_exclusive_start_key(start)
                .send()
                .await
                .map_err(|error| port_error("list frozen pools", error))?;
            for item in got.items.unwrap_or_default() {
                pools.push(read_frozen(&item)?);
            }
            match got.last_evaluated_key {
                Some(key) => start = Some(key),
                None => return Ok(pools),
            }
        }
    }

    async fn mark_frozen(&self, frozen: &FrozenPool) -> PortResult<bool> {
        let mut item = keys::frozen(frozen.pool);
        item.insert("since_ms".to_owned(), ms(frozen.since));
        item.insert("why".to_owned(), s(&frozen.why));
        let sent = self
            .dynamo
            .put_item()
            .table_name(&self.names.reconcile)
            .set_item(Some(item))
            // It is not frozen: a pool that is keeps its time and reason.
            .condition_expression("attribute_not_exists(pk)")
            .send()
            .await;
        self.frozen.forget(&());
        match sent {
            Ok(_) => Ok(true),
            Err(error) => match error.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(_)) => Ok(false),
                _ => Err(port_error("freeze pool", error)),
            },
        }
    }

    async fn clear_frozen(&self, pool: PoolId) -> PortResult<bool> {
        let done = self
            .dynamo
            .delete_item()
            .table_name(&self.names.reconcile)
            .set_key(Some(keys::frozen(pool)))
            .return_values(ReturnValue::AllOld)
            .send()
            .await
            .map_err(|error| port_error("unfreeze pool", error))?;
        self.frozen.forget(&());
        Ok(done.attributes.is_some())
    }

    async fn hold_bucket(&self, bucket: BucketId, is_held: bool) -> PortResult<()> {
        let (from, to) = if is_held { (OPEN, FROZEN) } else { (FROZEN, OPEN) };
        let sent = self
            .dynamo
            .update_item()
            .table_name(&self.names.pools)
            .set_key(Some(keys::bucket(bucket)))
            .update_expression("SET #status = :to")
            // It is open, or held: a closed bucket stays closed, and one that is not there is not
            // made.
            .condition_expression("#status = :from")
            .expression_attribute_names("#status", STATUS)
            .expression_attribute_values(":from", s(from))
            .expression_attribute_values(":to", s(to))
            .send()
            .await;
        unless_refused("hold bucket", sent)
    }
}
