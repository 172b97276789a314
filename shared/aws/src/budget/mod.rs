//! Budgets: table `edge`, one item for each budget and window.

use std::collections::HashMap;

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{ReturnValue, ReturnValuesOnConditionCheckFailure};
use largesse_app::ports::{Budgets, PortResult, Spent};
use largesse_domain::budget::{Budget, BudgetId, window_at};
use largesse_domain::time::{Timestamp, Window};

use crate::errors::{corrupt, port_error};
use crate::item::{Item, Reader, n};
use crate::keys::{self, PK};
use crate::store::Store;

/// The attribute that counts.
const USED: &str = "used";
/// How long after its window TTL may keep an item: housekeeping only. An hour, so that a process whose
/// clock is minutes late still counts in its window.
const KEPT_MS: u64 = 3_600_000;

fn read_used(item: &Item) -> PortResult<u32> {
    Reader { item, what: "budget item" }.number(USED)
}

/// When TTL may delete an item, in seconds since 1970.
fn expires_at(window: Window) -> u64 {
    window.closes.plus_ms(KEPT_MS).ms_unsigned().div_euclid(1_000).saturating_add(1)
}

impl Budgets for Store {
    async fn used(&self, ids: &[BudgetId], now: Timestamp) -> PortResult<Vec<u32>> {
        let window = window_at(now);
        let keys = ids.iter().map(|id| keys::budget(id, window)).collect();
        let mut found = HashMap::new();
        for item in self.batch_get("read budgets", &self.names.edge, keys).await? {
            let name = Reader { item: &item, what: "budget item" }.text(PK)?.to_owned();
            found.insert(name, read_used(&item)?);
        }
        let used = |id| found.get(&keys::budget_pk(id, window)).copied().unwrap_or(0);
        Ok(ids.iter().map(used).collect())
    }

    async fn spend(
        &self,
        id: &BudgetId,
        count: u32,
        max: u32,
        now: Timestamp,
    ) -> PortResult<Spent> {
        let window = window_at(now);
        let Some(used_max) = Budget::used_max(max, count) else {
            return Ok(Spent::Refused { used: max });
        };
        let sent = self
            .dynamo
            .update_item()
            .table_name(&self.names.edge)
            .set_key(Some(keys::budget(id, window)))
            .update_expression("SET #used = if_not_exists(#used, :none) + :count, #end = :end")
            // The window's first use. Or: what is used leaves room for all of this.
            .condition_expression("attribute_not_exists(#used) OR #used <= :used_max")
            .expression_attribute_names("#used", USED)
            .expression_attribute_names("#end", "expires_at")
            .expression_attribute_values(":none", n(0))
            .expression_attribute_values(":count", n(count))
            .expression_attribute_values(":used_max", n(used_max))
            .expression_attribute_values(":end", n(expires_at(window)))
            .return_values(ReturnValue::UpdatedNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        let error = match sent {
            Ok(sent) => {
                let used = read_used(&sent.attributes.unwrap_or_default())?;
                return Ok(Spent::Done { used });
            }
            Err(error) => error,
        };
        match error.as_service_error() {
            Some(UpdateItemError::ConditionalCheckFailedException(failed)) => {
                let found = failed.item().ok_or_else(|| corrupt("budget item"))?;
                Ok(Spent::Refused { used: read_used(found)? })
            }
            _ => Err(port_error("spend budget", error)),
        }
    }

    async fn spend_leased(&self, id: &BudgetId, max: u32, now: Timestamp) -> PortResult<bool> {
        // Requests that find nothing left wait for one lease instead of each making its own.
        let _lock = self.lease_locks.lock(id).await;
        let closes = window_at(now).closes;
        let lease = self.leases.get(id, now).unwrap_or_default();
        if let Some(after) = lease.take() {
            self.leases.put(id.clone(), after, closes);
            return Ok(true);
        }
        // Near its end a budget has less left than a block.
        for count in [lease.next(), 1] {
            if let Spent::Done { .. } = self.spend(id, count, max, now).await? {
                let after = lease.plus(count).take().unwrap_or(lease);
                self.leases.put(id.clone(), after, closes);
                return Ok(true);
            }
            if count == 1 {
                break;
            }
        }
        Ok(false)
    }

    fn known_used(&self, id: &BudgetId, now: Timestamp) -> Option<u32> {
        self.budgets.get(id, now)
    }

    fn remember_used(&self, id: &BudgetId, used: u32, until: Timestamp) {
        self.budgets.put(id.clone(), used, until);
    }
}
