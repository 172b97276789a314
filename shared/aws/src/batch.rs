//! Reading many items by their keys.

use aws_sdk_dynamodb::types::KeysAndAttributes;
use largesse_app::ports::{Pause, PortError, PortResult, Rng};

use crate::errors::{corrupt, port_error};
use crate::item::Item;
use crate::retry;
use crate::store::Store;

/// How many keys one call may name (Amazon DynamoDB Developer Guide, `BatchGetItem`).
const KEYS_MAX: usize = 100;

impl Store {
    /// The items of those keys that exist, in any order, each strongly consistent. No key may be
    /// named twice.
    pub(crate) async fn batch_get(
        &self,
        operation: &'static str,
        table: &str,
        keys: Vec<Item>,
    ) -> PortResult<Vec<Item>> {
        let mut items = Vec::with_capacity(keys.len());
        for keys in keys.chunks(KEYS_MAX) {
            self.batch_get_some(operation, table, keys.to_vec(), &mut items).await?;
        }
        Ok(items)
    }

    async fn batch_get_some(
        &self,
        operation: &'static str,
        table: &str,
        mut wanted: Vec<Item>,
        items: &mut Vec<Item>,
    ) -> PortResult<()> {
        for wait_ms in retry::waits_ms() {
            if wait_ms > 0 {
                // A batch that is throttled in part is no error to the SDK, which does not wait.
                self.pause_ms(self.below(wait_ms).into()).await;
            }
            let keys = KeysAndAttributes::builder()
                .set_keys(Some(std::mem::take(&mut wanted)))
                .consistent_read(true)
                .build()
                .map_err(|_| corrupt(operation))?;
            let got = self
                .dynamo
                .batch_get_item()
                .request_items(table, keys)
                .send()
                .await
                .map_err(|error| port_error(operation, error))?;
            items.extend(got.responses.unwrap_or_default().into_values().flatten());
            let rest = got.unprocessed_keys.unwrap_or_default().into_values();
            wanted = rest.flat_map(|keys| keys.keys).collect();
            if wanted.is_empty() {
                return Ok(());
            }
        }
        let kind = largesse_app::ports::PortErrorKind::Throttled;
        Err(PortError { operation, kind, cause: None })
    }
}
