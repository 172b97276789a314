//! Pools: buckets in table `pools`, each drawn from by one conditional write.

use std::sync::Arc;

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{ReturnValue, ReturnValuesOnConditionCheckFailure};
use largesse_app::caches::FULL_BUCKETS;
use largesse_app::invocation;
use largesse_app::page::{DueKey, DuePage};
use largesse_app::pool::sweep::sweep_after_ms;
use largesse_app::ports::{
    Clock, NotDrawn, Pools, PortError, PortErrorKind, PortResult, Sweepable, Won,
};
use largesse_app::telemetry::DRAWS;
use largesse_domain::id::PoolId;
use largesse_domain::pool::{
    Bucket, BucketError, BucketId, Draw, DrawRefused, Entry, PaymentCounts,
};
use largesse_domain::time::Timestamp;

use crate::due::{BY_SWEEP, DueQuery};
use crate::errors::{port_error, unless_refused};
use crate::item::{Item, Reader, ms, n, s};
use crate::keys;
use crate::store::Store;

pub(crate) mod codec;
pub mod stream;

pub use codec::read_bucket;
use codec::trace_of_draw;

fn read_sweepable(reader: &Reader<'_>) -> PortResult<Sweepable> {
    Ok(Sweepable { id: keys::read_bucket_id(reader)?, since: reader.ms(keys::SWEEP_MS)? })
}

/// What the store says that a draw has got, if it can be. A store that adds with fewer digits than
/// DynamoDB's 38 would give every member the same part.
fn checked(bucket: &Bucket, draw: &Draw) -> PortResult<Won> {
    let entry = bucket.draws.get(&draw.member).copied();
    let is_possible = match bucket.check() {
        Ok(()) => true,
        // Another member's impossible entry is the outbox's to report.
        Err(BucketError::Entries { members }) => !members.contains(&draw.member),
        Err(BucketError::Taken { .. }) => false,
    };
    let is_ours = |entry: &Entry| {
        is_possible
            && (entry.at, entry.nonce) == (draw.at, draw.nonce)
            && Some(entry.index) == bucket.taken.checked_sub(1)
    };
    let entry = entry.filter(is_ours);
    entry
        .map(|entry| Won::of(bucket, entry))
        .ok_or(PortError::corrupt("draw: the store answers with an entry that cannot be"))
}

/// Why the condition of a draw failed, from the item as it was. A bucket that is frozen is no answer for
/// the member: the draw may win later.
fn refused(item: &Item, bucket: &Bucket, draw: &Draw) -> PortResult<Result<Won, NotDrawn>> {
    let is_frozen = Reader { item, what: "bucket item" }.text(codec::STATUS)? == codec::FROZEN;
    Ok(Err(match bucket.decide(draw) {
        Ok(_) if is_frozen => {
            let (operation, kind) = ("draw: the pool is frozen", PortErrorKind::Throttled);
            return Err(PortError { operation, kind, cause: None });
        }
        // The write took effect before, and its reply was lost.
        Err(DrawRefused::Repeated(entry)) => return Ok(Ok(Won::of(bucket, entry))),
        Err(DrawRefused::Ahead) => NotDrawn::Ahead,
        Err(DrawRefused::Over) => NotDrawn::Over,
        Err(DrawRefused::Already(entry)) => NotDrawn::Already(Won::of(bucket, entry)),
        Err(DrawRefused::Full) => NotDrawn::Full,
        Ok(_) => return Err(PortError::corrupt("draw: the store refused it without a reason")),
    }))
}

/// Counts what became of a draw.
fn count_draw(outcome: &'static str) {
    metrics::counter!(DRAWS.name, "outcome" => outcome).increment(1);
}

const fn outcome(refusal: &NotDrawn) -> &'static str {
    match refusal {
        NotDrawn::NoSuchBucket => "no_such_bucket",
        NotDrawn::Ahead => "ahead",
        NotDrawn::Over => "over",
        NotDrawn::Already(_) => "already",
        NotDrawn::Full => "full",
    }
}

impl Store {
    fn remember_if_full(&self, bucket: &Bucket) {
        if bucket.is_full() {
            // Full is for ever: entries are never removed, and none is added.
            let until = FULL_BUCKETS.until(self.now());
            self.full_buckets.put(bucket.id, Arc::new(bucket.clone()), until);
        }
    }
}

impl Pools for Store {
    async fn draw(&self, id: BucketId, draw: &Draw) -> PortResult<Result<Won, NotDrawn>> {
        let sent = self
            .dynamo
            .update_item()
            .table_name(&self.names.pools)
            .set_key(Some(keys::bucket(id)))
            // One expression draws the next index, records who has it, and counts it. The first
            // draw since the last sweep puts the bucket into the index of what is to be swept; the
            // later ones leave the index alone. The stream carries the trace to the outbox.
            .update_expression(
                "SET draws.#member = taken + :stamp, taken = taken + :one, #trace = :trace, \
                 sweep_ms = if_not_exists(sweep_ms, :sweep)",
            )
            .condition_expression(
                // Open: the bucket does not wait for a shuffle, and its remainder was not returned.
                "#status = :open \
                 AND opens_ms <= :now AND closes_ms > :now \
                 AND taken < #size \
                 AND attribute_not_exists(draws.#member)",
                // `opens_ms`, `closes_ms`: now is inside the window, by our own timestamps.
                // `taken < size`: a part is left.
                // No entry: the member has not drawn from this bucket.
            )
            .expression_attribute_names("#status", codec::STATUS)
            .expression_attribute_names("#size", codec::SIZE)
            .expression_attribute_names("#member", draw.member.as_str())
            .expression_attribute_values(":stamp", n(Entry::stamp(draw.at, draw.nonce)))
            .expression_attribute_values(":one", n(1))
            .expression_attribute_names("#trace", codec::TRACE)
            .expression_attribute_values(":trace", trace_of_draw(draw.nonce, invocation::trace()))
            .expression_attribute_values(":sweep", ms(draw.at.plus_ms(sweep_after_ms(id.pool))))
            .expression_attribute_values(":open", s(codec::OPEN))
            .expression_attribute_values(":now", ms(draw.at))
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        let error = match sent {
            Ok(drawn) => {
                let bucket = read_bucket(&drawn.attributes.unwrap_or_default())?;
                let won = checked(&bucket, draw)?;
                self.remember_if_full(&bucket);
                count_draw("won");
                return Ok(Ok(won));
            }
            Err(error) => error,
        };
        match error.as_service_error() {
            Some(UpdateItemError::ConditionalCheckFailedException(failed)) => {
                let Some(item) = failed.item() else { return Ok(Err(NotDrawn::NoSuchBucket)) };
                let bucket = read_bucket(item)?;
                self.remember_if_full(&bucket);
                let answer = refused(item, &bucket, draw)?;
                count_draw(answer.as_ref().map_or_else(outcome, |_| "won"));
                Ok(answer)
            }
            _ => Err(port_error("draw", error)),
        }
    }

    async fn buckets(&self, pool: PoolId, numbers: &[u32]) -> PortResult<Vec<Bucket>> {
        let keys = numbers.iter().map(|number| keys::bucket(BucketId { pool, number: *number }));
        let items = self.batch_get("read buckets", &self.names.pools, keys.collect()).await?;
        let buckets: Vec<PortResult<Bucket>> = items.iter().map(read_bucket).collect();
        // Also when another one of them cannot be read.
        buckets.iter().flatten().for_each(|bucket| self.remember_if_full(bucket));
        buckets.into_iter().collect()
    }

    fn full_bucket(&self, id: BucketId) -> Option<Arc<Bucket>> {
        self.full_buckets.get(&id, Timestamp::from_ms(0))
    }

    async fn sweepable(
        &self,
        shard: u32,
        now: Timestamp,
        after: Option<DueKey>,
        limit: u32,
    ) -> PortResult<DuePage<Sweepable>> {
        let after = after.map(|key| keys::sweep(shard, &key));
        let query = DueQuery { shard, now, after, limit };
        self.due_page("list sweepable buckets", &self.names.pools, BY_SWEEP, query, read_sweepable)
            .await
    }

    async fn swept(
        &self,
        as_read: &Bucket,
        next: Option<Timestamp>,
        counts: Option<PaymentCounts>,
    ) -> PortResult<()> {
        let mut set = Vec::new();
        if next.is_some() {
            set.push("#sweep = :next");
        }
        if counts.is_some() {
            set.push("#paid = :paid, #failed = :failed, #counted = :counted");
        }
        let set = if set.is_empty() { String::new() } else { format!("SET {}", set.join(", ")) };
        let remove = if next.is_some() { "" } else { " REMOVE #sweep" };
        let request = self
            .dynamo
            .update_item()
            .table_name(&self.names.pools)
            .set_key(Some(keys::bucket(as_read.id)))
            // As many draws as were read: an entry that came since keeps the bucket in the index.
            .condition_expression("taken = :seen")
            .expression_attribute_names("#sweep", keys::SWEEP_MS)
            .expression_attribute_values(":seen", n(as_read.taken));
        let request = match next {
            None => request,
            Some(next) => request.expression_attribute_values(":next", ms(next)),
        };
        let request = match counts {
            None => request,
            Some(counts) => request
                .expression_attribute_names("#paid", codec::PAID)
                .expression_attribute_names("#failed", codec::FAILED)
                .expression_attribute_names("#counted", codec::COUNTED)
                .expression_attribute_values(":paid", n(counts.paid))
                .expression_attribute_values(":failed", n(counts.failed))
                .expression_attribute_values(":counted", ms(counts.at)),
        };
        let request = request.update_expression(format!("{set}{remove}"));
        unless_refused("end sweep of bucket", request.send().await)
    }
}
