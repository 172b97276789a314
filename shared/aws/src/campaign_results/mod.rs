//! What became of the rows of campaigns: one item beside each chunk in table `campaign-rows`, and
//! the snapshots in table `campaigns`.
//!
//! A worker's lease is one conditional update. It takes the next number of a send, so of two workers
//! that read the same record one gets it, and the number is never used twice. A commit is one
//! transaction over the item and a shard of the counters, on the condition that the worker still has
//! the lease, so each answer is counted once.
//!
//! # Guarantees
//! * Of two workers one has the lease, and a number of a send is used once:
//!   `of_two_workers_one_leases_a_chunk`, `a_lease_that_ran_out_is_taken_under_the_next_number`,
//!   `a_lease_on_what_has_changed_since_is_refused`.
//! * A lease or a commit whose reply was lost counts once:
//!   `a_lease_or_commit_whose_reply_was_lost_is_done_once`.
//! * A worker without the lease commits nothing: `a_worker_that_lost_its_lease_commits_nothing`.
//! * A number that would fall below zero is damage and changes nothing:
//!   `counters_that_do_not_hold_the_rows_are_damage`.

mod codec;
pub mod message;

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{
    AttributeValue as Av, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update,
};
use largesse_app::ports::{
    COUNT_SHARDS, CampaignResults, ChunkSet, Clock, Commit, PortResult, StoredChunk,
    StoredSnapshot, Written,
};
use largesse_domain::campaign::{ChunkNumber, ChunkRecord, Lease};
use largesse_domain::id::CampaignId;
use largesse_domain::time::Timestamp;

use self::codec::{
    COMMITTED_BY, OWNER, REVISION, SENDS, UNTIL, read_record, read_snapshot, read_ulid,
    record_item, snapshot_item,
};
use crate::campaign::counts::tally_values;
use crate::campaign_rows::read_chunk;
use crate::errors::{TransactError, condition_failed, corrupt, is_refused, port_error};
use crate::item::{Reader, ms, n, s};
use crate::keys::{self, COUNT, PK, SK, SNAP};
use crate::store::Store;
use crate::wallet::request_token;

/// How long a process remembers that a time slot has a snapshot. It has it for ever.
const SNAPSHOT_KNOWN_MS: u64 = 60_000;
/// How many chunks a rollback is done with, in each shard of the counters.
const CLOSED_CHUNKS: &str = "closed_chunks";

/// The place of the record in a commit's transaction.
const RECORD_AT: usize = 0;

impl Store {
    /// The change of a shard of the counters. Its condition: a number that falls is at least as
    /// large as the rows that leave it, one clause for each; else the counters are damaged, and no
    /// row is counted twice. Every row that comes somewhere leaves somewhere, so the condition also
    /// says that the shard is there.
    fn count_update(&self, commit: &Commit<'_>) -> PortResult<Option<TransactWriteItem>> {
        let (before, after) =
            (tally_values(commit.delta.before()), tally_values(commit.delta.after()));
        let shard = commit.chunk.0.checked_rem(COUNT_SHARDS).unwrap_or(0);
        let mut update = Update::builder()
            .table_name(&self.names.campaigns)
            .set_key(Some(keys::count(commit.set.campaign, shard)));
        let (mut adds, mut holds) = (Vec::new(), Vec::new());
        for ((name, before), (_, after)) in before.into_iter().zip(after) {
            let change = i128::from(after).saturating_sub(i128::from(before));
            if change == 0 {
                continue;
            }
            adds.push(format!("{name} :{name}"));
            update = update.expression_attribute_values(format!(":{name}"), n(change));
            if change < 0 {
                holds.push(format!("{name} >= :least_{name}"));
                let least = change.saturating_neg();
                update = update.expression_attribute_values(format!(":least_{name}"), n(least));
            }
        }
        if commit.closes {
            adds.push(format!("{CLOSED_CHUNKS} :one"));
            holds.push(format!("attribute_exists({PK})"));
            update = update.expression_attribute_values(":one", n(1));
        }
        if adds.is_empty() {
            return Ok(None);
        }
        let update = update
            .update_expression(format!("ADD {}", adds.join(", ")))
            .condition_expression(holds.join(" AND "));
        let update = update.build().map_err(|_| corrupt("counters update"))?;
        Ok(Some(TransactWriteItem::builder().update(update).build()))
    }
}

impl CampaignResults for Store {
    async fn stored_chunk(
        &self,
        set: &ChunkSet,
        chunk: ChunkNumber,
    ) -> PortResult<Option<StoredChunk>> {
        let operation = "read chunk and its result";
        let query = self
            .dynamo
            .query()
            .table_name(&self.names.campaign_rows)
            .key_condition_expression("#pk = :pk")
            .expression_attribute_names("#pk", PK)
            .expression_attribute_values(":pk", s(keys::chunk_pk(set, chunk)))
            .consistent_read(true);
        let (mut rows, mut result, mut start) = (None, None, None);
        // Rows and result together stay below the 1 MB of a page, so this is one call.
        loop {
            let page = query.clone().set_exclusive_start_key(start).send().await;
            let page = page.map_err(|error| port_error(operation, error))?;
            for item in page.items.unwrap_or_default() {
                match (Reader { item: &item, what: operation }).text(SK)? {
                    keys::CHUNK_ROWS => rows = Some(read_chunk(&item)?),
                    keys::CHUNK_RESULT => result = Some(item),
                    _ => return Err(corrupt(operation)),
                }
            }
            start = page.last_evaluated_key;
            if start.is_none() {
                break;
            }
        }
        let Some(rows) = rows else { return Ok(None) };
        let record = result.map(|item| read_record(&item, &rows)).transpose()?;
        Ok(Some(StoredChunk { rows, record }))
    }

    async fn lease_chunk(
        &self,
        set: &ChunkSet,
        chunk: ChunkNumber,
        seen: Option<&ChunkRecord>,
        lease: Lease,
        now: Timestamp,
    ) -> PortResult<Written> {
        let (revision, sends) = seen.map_or((0, 0), |seen| (seen.revision, seen.sends));
        let update = self
            .dynamo
            .update_item()
            .table_name(&self.names.campaign_rows)
            .set_key(Some(keys::chunk_result(set, chunk)))
            .update_expression(
                "SET #owner = :owner, #until = :until, #sends = :sends, #revision = :revision",
            )
            .expression_attribute_names("#owner", OWNER)
            .expression_attribute_names("#until", UNTIL)
            .expression_attribute_names("#sends", SENDS)
            .expression_attribute_names("#revision", REVISION)
            .expression_attribute_values(":owner", s(lease.owner))
            .expression_attribute_values(":until", ms(lease.until))
            .expression_attribute_values(":sends", n(sends.saturating_add(1)))
            .expression_attribute_values(":revision", n(revision));
        let update = if seen.is_none() {
            // No worker leased it. Or: this lease, whose reply was lost; an owner's id is of one
            // lease.
            update.condition_expression("attribute_not_exists(pk) OR #owner = :owner")
        } else {
            // No commit since it was read: its rows stand as they were read.
            // No lease since it was read: no other worker has this number of a send.
            // No lease, or one that has run out: no other worker sends.
            // Or: this lease, whose reply was lost; an owner's id is of one lease.
            update
                .condition_expression(
                    "(#revision = :revision AND #sends = :seen \
                      AND (attribute_not_exists(#owner) OR #until <= :now)) \
                     OR #owner = :owner",
                )
                .expression_attribute_values(":seen", n(sends))
                .expression_attribute_values(":now", ms(now))
        };
        match update.send().await {
            Ok(_) => Ok(Written::Done),
            Err(error) if is_refused(&error) => Ok(Written::Changed),
            Err(error) => Err(port_error("lease chunk", error)),
        }
    }

    async fn commit_chunk(&self, commit: &Commit<'_>) -> PortResult<Written> {
        let key = keys::chunk_result(commit.set, commit.chunk);
        let put = Put::builder()
            .table_name(&self.names.campaign_rows)
            .set_item(Some(record_item(key, commit.record, commit.owner)))
            // The worker's own lease: a commit ends it, and a later lease has another owner. So no
            // other worker has committed or sent since.
            .condition_expression("#owner = :owner")
            .expression_attribute_names("#owner", OWNER)
            .expression_attribute_values(":owner", s(commit.owner))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let put = put.build().map_err(|_| corrupt("chunk put"))?;
        let mut items = vec![TransactWriteItem::builder().put(put).build()];
        items.extend(self.count_update(commit)?);
        let token = request_token(&["commit chunk", &commit.owner.to_string()]);
        match self.transact("commit chunk", token, items).await {
            Ok(()) => Ok(Written::Done),
            Err(TransactError::Port(error)) => Err(error),
            Err(TransactError::Refused(reasons)) if !condition_failed(&reasons, RECORD_AT) => {
                Err(corrupt("commit chunk: the counters do not hold its rows"))
            }
            Err(TransactError::Refused(reasons)) => {
                let found = reasons.get(RECORD_AT).and_then(|reason| reason.item());
                let Some(found) = found.filter(|item| !item.is_empty()) else {
                    return Ok(Written::Changed);
                };
                let reader = Reader { item: found, what: "result of a chunk" };
                let by = reader.optional(COMMITTED_BY, read_ulid)?;
                // This commit, whose reply was lost.
                let is_own = by == Some(commit.owner);
                Ok(if is_own { Written::Done } else { Written::Changed })
            }
        }
    }

    async fn closed_chunks(&self, id: CampaignId) -> PortResult<u64> {
        let items = self.items_of("read counters", id, COUNT).await?;
        items.iter().try_fold(0_u64, |sum, item| {
            let reader = Reader { item, what: "counters" };
            let closed: Option<u64> = reader.optional(CLOSED_CHUNKS, Reader::number)?;
            Ok(sum.saturating_add(closed.unwrap_or(0)))
        })
    }

    async fn has_snapshot(&self, id: CampaignId, slot: Timestamp) -> PortResult<bool> {
        if self.snapshots.get(&(id, slot), self.now()).is_some() {
            return Ok(true);
        }
        let got = self
            .dynamo
            .get_item()
            .table_name(&self.names.campaigns)
            .set_key(Some(keys::snapshot(id, slot)))
            .send()
            .await
            .map_err(|error| port_error("read snapshot", error))?;
        if got.item.is_some() {
            self.remember_snapshot(id, slot);
        }
        Ok(got.item.is_some())
    }

    async fn put_snapshot(
        &self,
        id: CampaignId,
        slot: Timestamp,
        snapshot: &StoredSnapshot,
    ) -> PortResult<()> {
        let sent = self
            .dynamo
            .put_item()
            .table_name(&self.names.campaigns)
            .set_item(Some(snapshot_item(keys::snapshot(id, slot), snapshot)))
            // One for each slot: the first stays.
            .condition_expression("attribute_not_exists(pk)")
            .send()
            .await;
        let is_there = |error: &PutItemError| error.is_conditional_check_failed_exception();
        match sent {
            Err(error) if !error.as_service_error().is_some_and(is_there) => {
                Err(port_error("write snapshot", error))
            }
            _ => {
                self.remember_snapshot(id, slot);
                Ok(())
            }
        }
    }

    async fn snapshots(
        &self,
        id: CampaignId,
        from: Timestamp,
        limit: u32,
    ) -> PortResult<Vec<StoredSnapshot>> {
        self.snapshots_of(id, from, limit, true).await
    }

    async fn last_snapshots(&self, id: CampaignId, limit: u32) -> PortResult<Vec<StoredSnapshot>> {
        self.snapshots_of(id, Timestamp::from_ms(0), limit, false).await
    }
}

impl Store {
    fn remember_snapshot(&self, id: CampaignId, slot: Timestamp) {
        self.snapshots.put((id, slot), (), self.now().plus_ms(SNAPSHOT_KNOWN_MS));
    }

    async fn snapshots_of(
        &self,
        id: CampaignId,
        from: Timestamp,
        limit: u32,
        is_forward: bool,
    ) -> PortResult<Vec<StoredSnapshot>> {
        // Every sort key of a snapshot is below this one: digits come before letters.
        let last: Av = s(format!("{SNAP}A"));
        let query = self
            .campaign_query(id)
            .key_condition_expression("pk = :pk AND sk BETWEEN :first AND :last")
            .expression_attribute_values(":first", s(keys::snapshot_sk(from)))
            .expression_attribute_values(":last", last)
            .scan_index_forward(is_forward);
        let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
        let items = crate::campaign::read_on("read snapshots", query, wanted).await?;
        items.iter().map(read_snapshot).collect()
    }
}
