//! Pools: heads in table `pools`, drawn from by one conditional write.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{
    AttributeValue as Av, ReturnValue, ReturnValuesOnConditionCheckFailure,
};
use largesse_app::page::Page;
use largesse_app::ports::{NotWon, Pools, PortResult, Sweepable, Won};
use largesse_domain::id::{PoolId, UserId};
use largesse_domain::pool::{Draw, Drawn, Pool};
use largesse_domain::time::Timestamp;

use crate::errors::{port_error, unless_refused};
use crate::item::{Item, Reader, ms, n, s};
use crate::keys;
use crate::store::Store;

mod batch;
mod expression;
pub(crate) mod head;
mod lane;

use expression::{NOTES_MAX, Write};
pub(crate) use lane::Lanes;

fn read_sweepable(item: &Item) -> PortResult<Sweepable> {
    let reader = Reader { item, what: "sweep index" };
    Ok(Sweepable { id: reader.parse(keys::PK)?, since: reader.ms(keys::SWEEP_MS)? })
}

impl Pools for Store {
    async fn draw(&self, pool: PoolId, draw: Draw) -> PortResult<Result<Won, NotWon>> {
        let lane = self.lanes.of(pool);
        lane.draw(self, draw).await
    }

    async fn pool(&self, pool: PoolId) -> PortResult<Option<Pool>> {
        let got = self
            .dynamo
            .get_item()
            .table_name(&self.names.pools)
            .set_key(Some(keys::pool(pool)))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| port_error("read pool", error))?;
        got.item.map(|item| head::read(&item)).transpose()
    }

    fn trim_later(&self, pool: PoolId, member: &UserId, recorded: Drawn) {
        self.lanes.of(pool).trim_later(member, recorded);
    }

    fn take_turn_to_help(&self, pool: PoolId) -> bool {
        self.lanes.of(pool).take_turn_to_help()
    }

    async fn trim(&self, pool: PoolId, recorded: &BTreeMap<UserId, Drawn>) -> PortResult<()> {
        let notes: Vec<(UserId, Drawn)> = recorded.iter().map(|(m, d)| (m.clone(), *d)).collect();
        for some in notes.chunks(NOTES_MAX) {
            let Some(head) = self.drop_notes(pool, some).await? else { continue };
            // A later draw of some members took their note's place: it stays, the others go. What
            // changes even now is left to the next trim.
            let is_ours =
                |(member, drawn): &&(UserId, Drawn)| head.pending.get(member) == Some(drawn);
            let ours: Vec<(UserId, Drawn)> = some.iter().filter(is_ours).cloned().collect();
            if !ours.is_empty() {
                self.drop_notes(pool, &ours).await?;
            }
        }
        Ok(())
    }

    async fn sweepable(
        &self,
        shard: u32,
        now: Timestamp,
        after: Option<Sweepable>,
        limit: u32,
    ) -> PortResult<Page<Sweepable, Sweepable>> {
        let got = self
            .dynamo
            .query()
            .table_name(&self.names.pools)
            .index_name(keys::SWEEP)
            .key_condition_expression("#shard = :shard AND #w <= :now")
            .expression_attribute_names("#shard", keys::DUE_SHARD)
            .expression_attribute_names("#w", keys::SWEEP_MS)
            .expression_attribute_values(":shard", s(shard))
            .expression_attribute_values(":now", ms(now))
            .set_exclusive_start_key(after.map(|pool| keys::sweep(shard, &pool)))
            .limit(i32::try_from(limit).unwrap_or(i32::MAX))
            .send()
            .await
            .map_err(|error| port_error("list sweepable pools", error))?;
        let items = got.items.unwrap_or_default();
        let rows: Vec<Sweepable> = items.iter().map(read_sweepable).collect::<PortResult<_>>()?;
        let next = got.last_evaluated_key.and_then(|_| rows.last().copied());
        Ok(Page { rows, next })
    }

    async fn swept(&self, as_read: &Pool, next: Option<Timestamp>) -> PortResult<()> {
        let request = self
            .dynamo
            .update_item()
            .table_name(&self.names.pools)
            .set_key(Some(keys::pool(as_read.id)))
            // The notes are as they were read: a draw that came since is not slept through.
            .condition_expression("#p = :seen")
            .expression_attribute_names("#p", head::PENDING)
            .expression_attribute_names("#w", keys::SWEEP_MS)
            .expression_attribute_values(":seen", head::notes(as_read));
        let request = match next {
            None => request.update_expression("REMOVE #w"),
            Some(next) => request
                .update_expression("SET #w = :next")
                .expression_attribute_values(":next", ms(next)),
        };
        unless_refused("note sweep", request.send().await)
    }

    async fn release(&self, pool: PoolId, member: &UserId, pending: Drawn) -> PortResult<()> {
        // Numbers go to `free`, to be drawn before new ones.
        let update = "SET #f = list_append(#f, :part) REMOVE #p.#m";
        let part = Av::L(vec![n(pending.part)]);
        self.drop_note(pool, member, pending, update, Some(part)).await?;
        // Something can be drawn again.
        self.lanes.of(pool).forget_drained();
        Ok(())
    }
}

impl Store {
    /// Removes a note and whatever goes with it.
    ///
    /// The condition: `#p.#m = :note`, the note is still that very draw's. A note that is gone was
    /// dealt with, a different one is a later draw's; either way there is nothing to do.
    async fn drop_note(
        &self,
        pool: PoolId,
        member: &UserId,
        drawn: Drawn,
        update: &str,
        part: Option<Av>,
    ) -> PortResult<()> {
        let request = self
            .dynamo
            .update_item()
            .table_name(&self.names.pools)
            .set_key(Some(keys::pool(pool)))
            .update_expression(update)
            .condition_expression("#p.#m = :note")
            .expression_attribute_names("#p", head::PENDING)
            .expression_attribute_names("#m", member.as_str())
            .expression_attribute_values(":note", n(drawn.pack()))
            .return_values(ReturnValue::None);
        let request = match part {
            None => request,
            Some(part) => request
                .expression_attribute_names("#f", head::FREE)
                .expression_attribute_values(":part", part),
        };
        unless_refused("drop note", request.send().await)
    }

    /// Removes several notes in one write, each gone already or still that very draw's. `Some` when
    /// none was removed since one is another draw's: the head as it stands.
    async fn drop_notes(
        &self,
        pool: PoolId,
        notes: &[(UserId, Drawn)],
    ) -> PortResult<Option<Pool>> {
        let write = Write::trims(notes);
        let sent = self
            .dynamo
            .update_item()
            .table_name(&self.names.pools)
            .set_key(Some(keys::pool(pool)))
            .update_expression(write.update)
            .condition_expression(write.condition)
            .set_expression_attribute_names(Some(write.names))
            .set_expression_attribute_values(Some(write.values))
            .return_values(ReturnValue::None)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        let error = match sent {
            Ok(_) => return Ok(None),
            Err(error) => error,
        };
        match error.as_service_error() {
            Some(UpdateItemError::ConditionalCheckFailedException(failed)) => {
                // Pools are never deleted; were one, there would be nothing to trim.
                failed.item().map(head::read).transpose()
            }
            _ => Err(port_error("drop notes", error)),
        }
    }
}
