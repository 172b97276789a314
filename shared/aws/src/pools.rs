//! Pools: heads in table `pools`, drawn from by one conditional write.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::{AttributeValue as Av, ReturnValue};
use largesse_app::ports::{NotWon, Pools, PortResult, Won};
use largesse_domain::id::{PoolId, UserId};
use largesse_domain::pool::{Draw, Drawn, Pool};
use largesse_domain::time::Timestamp;

use crate::errors::{is_refused, port_error, unless_refused};
use crate::item::{Reader, ms, n, s};
use crate::keys;
use crate::store::Store;

mod batch;
mod expression;
pub(crate) mod head;
mod lane;

pub(crate) use lane::Lanes;

/// Notes removed by one write. A clause takes at most 19 bytes of the condition and 10 of the update,
/// so the expressions (4 KB each) hold far more; a head has no more notes than this anyway.
const NOTES_MAX: usize = 48;

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

    async fn trim(&self, pool: PoolId, recorded: &BTreeMap<UserId, Drawn>) -> PortResult<()> {
        let notes: Vec<(&UserId, Drawn)> = recorded.iter().map(|(m, d)| (m, *d)).collect();
        for some in notes.chunks(NOTES_MAX) {
            if !self.drop_notes(pool, some).await? {
                // One of them is gone or another draw's: one by one, the others go all the same.
                for (member, drawn) in some {
                    self.drop_note(pool, member, *drawn, "REMOVE #p.#m", None).await?;
                }
            }
        }
        Ok(())
    }

    async fn sweepable(&self, shard: u32, now: Timestamp, limit: u32) -> PortResult<Vec<PoolId>> {
        let got = self
            .dynamo
            .query()
            .table_name(&self.names.pools)
            .index_name(keys::SWEEP)
            .key_condition_expression("#shard = :shard AND #w <= :now")
            .expression_attribute_names("#shard", "due_shard")
            .expression_attribute_names("#w", head::SWEEP_AT)
            .expression_attribute_values(":shard", s(shard))
            .expression_attribute_values(":now", ms(now))
            .limit(i32::try_from(limit).unwrap_or(i32::MAX))
            .send()
            .await
            .map_err(|error| port_error("list sweepable pools", error))?;
        let items = got.items.unwrap_or_default();
        items.iter().map(|item| Reader { item, what: "sweep index" }.parse(keys::PK)).collect()
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
            .expression_attribute_names("#w", head::SWEEP_AT)
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

    /// Removes several notes in one write, each only while it is that very draw's; says whether they
    /// all were.
    async fn drop_notes(&self, pool: PoolId, notes: &[(&UserId, Drawn)]) -> PortResult<bool> {
        let mut request = self
            .dynamo
            .update_item()
            .table_name(&self.names.pools)
            .set_key(Some(keys::pool(pool)))
            .expression_attribute_names("#p", head::PENDING)
            .return_values(ReturnValue::None);
        let (mut removals, mut clauses) = (Vec::new(), Vec::new());
        for (i, (member, drawn)) in notes.iter().enumerate() {
            request = request
                .expression_attribute_names(format!("#m{i}"), member.as_str())
                .expression_attribute_values(format!(":n{i}"), n(drawn.pack()));
            removals.push(format!("#p.#m{i}"));
            clauses.push(format!("#p.#m{i} = :n{i}"));
        }
        let sent = request
            .update_expression(format!("REMOVE {}", removals.join(", ")))
            .condition_expression(clauses.join(" AND "))
            .send()
            .await;
        match sent {
            Ok(_) => Ok(true),
            Err(error) if is_refused(&error) => Ok(false),
            Err(error) => Err(port_error("drop notes", error)),
        }
    }
}
