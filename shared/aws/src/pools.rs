//! Pools: heads in table `pools`, drawn from by one conditional write.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{AttributeValue as Av, ReturnValue};
use largesse_app::ports::{NotWon, Pools, PortResult, Won};
use largesse_domain::id::{PoolId, UserId};
use largesse_domain::pool::{Draw, Drawn, Pool};

use crate::errors::port_error;
use crate::item::n;
use crate::keys;
use crate::store::Store;

mod batch;
mod expression;
pub(crate) mod head;
mod lane;

pub(crate) use lane::Lanes;

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
        // One write each: a note that is gone or another's must not keep the others from being
        // trimmed, and this is not the hot path.
        for (member, drawn) in recorded {
            self.drop_note(pool, member, *drawn, "REMOVE #p.#m", None).await?;
        }
        Ok(())
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
        match request.send().await {
            Ok(_) => Ok(()),
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(UpdateItemError::is_conditional_check_failed_exception) =>
            {
                Ok(())
            }
            Err(error) => Err(port_error("drop note", error)),
        }
    }
}
