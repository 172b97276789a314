//! The ports of drops, which a grant of a spray never calls; a slot of a drop without a waiting list
//! reads the drop's terms alone.

use std::sync::Arc;

use largesse_app::page::{DueKey, DuePage};
use largesse_app::ports::{
    Drops, NotDrawn, Pools, PortResult, Promoted, Promotions, Sweepable, Won,
};
use largesse_domain::drop::{Drop, Place};
use largesse_domain::grant::FailedGrant;
use largesse_domain::id::{DropId, PoolId};
use largesse_domain::pool::{Bucket, BucketId, Draw, PaymentCounts};
use largesse_domain::time::Timestamp;

use super::Bank;

const NONE: &str = "a grant of a spray calls no port of drops";

impl Drops for Bank {
    async fn drop_terms(&self, _id: DropId) -> PortResult<Option<Arc<Drop>>> {
        Ok(Some(self.drop.clone().expect(NONE)))
    }
}

impl Promotions for Bank {
    async fn promote(
        &self,
        _drop: &Drop,
        _given_up: &FailedGrant,
        _slot: u64,
        _place: &Place,
        _now: Timestamp,
    ) -> PortResult<Promoted> {
        panic!("{NONE}")
    }
}

impl Pools for Bank {
    async fn draw(&self, _: BucketId, _: &Draw) -> PortResult<Result<Won, NotDrawn>> {
        panic!("{NONE}")
    }

    async fn buckets(&self, _pool: PoolId, _numbers: &[u32]) -> PortResult<Vec<Bucket>> {
        panic!("{NONE}")
    }

    fn full_bucket(&self, _id: BucketId) -> Option<Arc<Bucket>> {
        panic!("{NONE}")
    }

    async fn sweepable(
        &self,
        _shard: u32,
        _now: Timestamp,
        _after: Option<DueKey>,
        _limit: u32,
    ) -> PortResult<DuePage<Sweepable>> {
        panic!("{NONE}")
    }

    async fn swept(
        &self,
        _as_read: &Bucket,
        _next: Option<Timestamp>,
        _counts: Option<PaymentCounts>,
    ) -> PortResult<()> {
        panic!("{NONE}")
    }
}
