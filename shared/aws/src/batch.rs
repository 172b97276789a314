//! Reading many items by their keys, and writing many.

use aws_sdk_dynamodb::types::{DeleteRequest, KeysAndAttributes, PutRequest, WriteRequest};
use largesse_app::ports::{Pause, PortError, PortErrorKind, PortResult, Rng};

use crate::errors::{corrupt, port_error};
use crate::item::Item;
use crate::retry;
use crate::store::Store;

/// How many keys one call may name (Amazon DynamoDB Developer Guide, `BatchGetItem`).
const KEYS_MAX: usize = 100;
/// How many items one call may write (Amazon DynamoDB Developer Guide, `BatchWriteItem`), 16 MB
/// together: an item has at most 400 KB.
const PUTS_MAX: usize = 25;

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
        Err(PortError { operation, kind: PortErrorKind::Throttled, cause: None })
    }

    /// Writes items over what is there, in any order. No key may be named twice.
    pub(crate) async fn batch_put(
        &self,
        operation: &'static str,
        table: &str,
        items: impl IntoIterator<Item = Item>,
    ) -> PortResult<()> {
        let mut requests = Vec::new();
        for item in items {
            let put = PutRequest::builder().set_item(Some(item)).build();
            let put = put.map_err(|_| corrupt(operation))?;
            requests.push(WriteRequest::builder().put_request(put).build());
        }
        while !requests.is_empty() {
            let behind = requests.split_off(requests.len().min(PUTS_MAX));
            self.batch_put_some(operation, table, requests).await?;
            requests = behind;
        }
        Ok(())
    }

    /// Deletes the items of those keys, in any order; one that is not there is no error. No key may be
    /// named twice.
    pub(crate) async fn batch_delete(
        &self,
        operation: &'static str,
        table: &str,
        keys: Vec<Item>,
    ) -> PortResult<()> {
        for some in keys.chunks(PUTS_MAX) {
            let mut requests = Vec::with_capacity(some.len());
            for key in some {
                let delete = DeleteRequest::builder().set_key(Some(key.clone())).build();
                let delete = delete.map_err(|_| corrupt(operation))?;
                requests.push(WriteRequest::builder().delete_request(delete).build());
            }
            self.batch_put_some(operation, table, requests).await?;
        }
        Ok(())
    }

    async fn batch_put_some(
        &self,
        operation: &'static str,
        table: &str,
        mut requests: Vec<WriteRequest>,
    ) -> PortResult<()> {
        for wait_ms in retry::waits_ms() {
            if wait_ms > 0 {
                self.pause_ms(self.below(wait_ms).into()).await;
            }
            let sent = self
                .dynamo
                .batch_write_item()
                .request_items(table, std::mem::take(&mut requests))
                .send()
                .await
                .map_err(|error| port_error(operation, error))?;
            let rest = sent.unprocessed_items.unwrap_or_default().into_values();
            requests = rest.flatten().collect();
            if requests.is_empty() {
                return Ok(());
            }
        }
        Err(PortError { operation, kind: PortErrorKind::Throttled, cause: None })
    }
}
