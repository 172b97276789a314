//! A start-up probe: does the store add, refuse and return as DynamoDB does?
//!
//! Draws rely on three properties of the store: it adds numbers of 27 digits exactly, it refuses a
//! write whose condition fails, and it returns the item as it was with the refusal. A store that
//! lacks one of them gives every member the same part. The probe writes an item of its own into the
//! table of buckets and removes it.

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{
    AttributeValue as Av, ReturnValue, ReturnValuesOnConditionCheckFailure,
};
use largesse_app::ports::{Ids, PortError, PortResult};
use largesse_domain::pool::{Entry, Nonce};
use largesse_domain::time::{TIMESTAMP_MS_MAX, Timestamp};

use crate::errors::{corrupt, port_error};
use crate::item::{Item, Reader, item, n, s};
use crate::keys::PK;
use crate::store::Store;

/// What stands before the id of a probe in a partition key. The outbox's filter lets no item
/// without `draws` through, and a probe has none.
pub(crate) const PROBE: &str = "PROBE#";
/// The counter of the probe: added to a stamp, it changes the last digits only.
const TAKEN: u32 = 7;

impl Store {
    /// Probes the store.
    ///
    /// # Errors
    /// [`PortError`]; corrupt, with the property that the store lacks.
    pub async fn probe(&self) -> PortResult<()> {
        let key = item([(PK, s(format!("{PROBE}{}", self.ulid())))]);
        let mut probe = key.clone();
        probe.insert("taken".to_owned(), n(TAKEN));
        probe.insert("probes".to_owned(), Av::M(Item::new()));
        self.dynamo
            .put_item()
            .table_name(&self.names.pools)
            .set_item(Some(probe))
            .send()
            .await
            .map_err(|error| port_error("probe store: put", error))?;
        let verdict = self.probe_item(&key).await;
        self.dynamo
            .delete_item()
            .table_name(&self.names.pools)
            .set_key(Some(key))
            .send()
            .await
            .map_err(|error| port_error("probe store: delete", error))?;
        verdict
    }

    async fn probe_item(&self, key: &Item) -> PortResult<()> {
        // All 27 digits are in use.
        let at = Timestamp::from_ms(TIMESTAMP_MS_MAX);
        let stamp = Entry::stamp(at, Nonce::from_bits(999_999_999_999));
        let expected = stamp.saturating_add(u128::from(TAKEN));
        let update = || {
            self.dynamo
                .update_item()
                .table_name(&self.names.pools)
                .set_key(Some(key.clone()))
                .update_expression("SET probes.#m = taken + :stamp")
                // As a draw: no entry.
                .condition_expression("attribute_not_exists(probes.#m)")
                .expression_attribute_names("#m", "m")
                .expression_attribute_values(":stamp", n(stamp))
                .return_values(ReturnValue::AllNew)
                .return_values_on_condition_check_failure(
                    ReturnValuesOnConditionCheckFailure::AllOld,
                )
                .send()
        };
        let first = update().await.map_err(|error| port_error("probe store: add", error))?;
        let written = read_probe(&first.attributes.unwrap_or_default())?;
        if written != expected {
            return Err(corrupt("probe store: it does not add 27 digits exactly"));
        }
        let Err(error) = update().await else {
            return Err(corrupt("probe store: it ignores a condition that fails"));
        };
        let old = match error.as_service_error() {
            Some(UpdateItemError::ConditionalCheckFailedException(failed)) => failed.item(),
            _ => return Err(port_error("probe store: refuse", error)),
        };
        match old.map(read_probe) {
            Some(Ok(old)) if old == expected => Ok(()),
            _ => Err(corrupt("probe store: a refusal does not return the item")),
        }
    }
}

fn read_probe(item: &Item) -> Result<u128, PortError> {
    let reader = Reader { item, what: "probe item" };
    Reader { item: reader.map("probes")?, what: "probe item" }.number("m")
}
