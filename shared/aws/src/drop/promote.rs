//! Passing a slot on: one transaction.

use aws_sdk_dynamodb::types::{Put, TransactWriteItem, Update};
use largesse_app::pool::sweep::sweep_after_ms;
use largesse_app::ports::{PortResult, Promoted, Promotions};
use largesse_domain::drop::{Drop, Place};
use largesse_domain::grant::FailedGrant;
use largesse_domain::pool::{BUCKET_PARTS, Bucket, BucketId};
use largesse_domain::time::Timestamp;

use crate::errors::{TransactError, condition_failed, corrupt};
use crate::item::{ms, n};
use crate::keys;
use crate::pool::codec::{DRAWS, PROMOTED, bucket_item};
use crate::store::Store;
use crate::wallet::request_token;

/// Where each action stands in the transaction.
const VOID_AT: usize = 0;
const GRANT_AT: usize = 1;
const PLACE_AT: usize = 2;
const BUCKET_AT: usize = 3;

impl Store {
    /// Records on the bucket of a place which slot was passed on to it. Its conditions: the member's
    /// entry is the one that was read, so a bucket that was restored gives nothing to another; and no
    /// slot was passed on to the member before.
    fn passing(&self, drop: &Drop, slot: u64, place: &Place) -> PortResult<TransactWriteItem> {
        let number = place.part.checked_div(u64::from(BUCKET_PARTS)).unwrap_or(0);
        let number = u32::try_from(number).map_err(|_| corrupt("place of a waiting list"))?;
        let update = Update::builder()
            .table_name(&self.names.pools)
            .set_key(Some(keys::bucket(BucketId { pool: drop.list(), number })))
            .update_expression("SET #promoted.#member = :slot")
            .condition_expression(
                "#draws.#member = :entry AND attribute_not_exists(#promoted.#member)",
            )
            .expression_attribute_names("#promoted", PROMOTED)
            .expression_attribute_names("#draws", DRAWS)
            .expression_attribute_names("#member", place.member.as_str())
            .expression_attribute_values(":slot", n(slot))
            .expression_attribute_values(":entry", n(place.entry.pack()))
            .build()
            .map_err(|_| corrupt("promotion update"))?;
        Ok(TransactWriteItem::builder().update(update).build())
    }

    /// Writes the entry that is the duty to pay the slot. Its condition: the bucket is not there. There
    /// is one for each place, so a place is promoted once, whatever its own bucket says. It is in the
    /// index of what is to be swept.
    fn promoting(&self, bucket: &Bucket, now: Timestamp) -> PortResult<TransactWriteItem> {
        let mut item = bucket_item(bucket);
        let sweep = now.plus_ms(sweep_after_ms(bucket.id.pool));
        item.insert(keys::SWEEP_MS.to_owned(), ms(sweep));
        let put = Put::builder()
            .table_name(&self.names.pools)
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(pk)")
            .build()
            .map_err(|_| corrupt("promotion put"))?;
        Ok(TransactWriteItem::builder().put(put).build())
    }
}

impl Promotions for Store {
    async fn promote(
        &self,
        drop: &Drop,
        given_up: &FailedGrant,
        slot: u64,
        place: &Place,
        now: Timestamp,
    ) -> PortResult<Promoted> {
        let grant = &given_up.grant;
        let items = vec![
            self.barring(grant)?,
            self.marking(grant)?,
            self.passing(drop, slot, place)?,
            self.promoting(&drop.promotion(place, now), now)?,
        ];
        let (id, member, at) = (grant.id.to_string(), place.member.as_str(), now.ms().to_string());
        let token = request_token(&["promote", &id, member, &at]);
        match self.transact("pass on slot", token, items).await {
            Ok(()) => Ok(Promoted::Now),
            Err(TransactError::Port(error)) => Err(error),
            Err(TransactError::Refused(reasons)) => {
                let failed = |at| condition_failed(&reasons, at);
                if failed(VOID_AT) || failed(GRANT_AT) {
                    return Ok(Promoted::NotGivenUp);
                }
                if failed(PLACE_AT) || failed(BUCKET_AT) {
                    return Ok(Promoted::PlaceTaken);
                }
                Err(corrupt("pass on slot: the store refused it without a reason"))
            }
        }
    }
}
