//! Keys are made, rotated, revoked and listed.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::{Put, TransactWriteItem, Update};
use largesse_app::ports::{KeyAdmin, KeysWritten, OwnerKeys, PortResult};
use largesse_domain::id::KeyId;
use largesse_domain::key::{KeyRecord, Owner};
use largesse_domain::time::Timestamp;

use super::codec::{EXPIRES, REPLACED, REVOKED, VERSION, key_item, list_item, read_key, read_list};
use crate::errors::{TransactError, corrupt, is_refused, port_error};
use crate::item::{Item, ms, n, s};
use crate::keys;
use crate::store::Store;
use crate::wallet::request_token;

impl Store {
    /// Puts a new key. Its condition: there is none of that id.
    fn new_key(&self, key: &KeyRecord) -> PortResult<TransactWriteItem> {
        let put = Put::builder()
            .table_name(&self.names.edge)
            .set_item(Some(key_item(key)))
            .condition_expression("attribute_not_exists(pk)")
            .build()
            .map_err(|_| corrupt("key item"))?;
        Ok(TransactWriteItem::builder().put(put).build())
    }

    /// Puts the list of an owner with the new key at its end. Its condition: it is the list that was
    /// read, or there is none yet. So no two writers take the last place, and of two rotations at
    /// once one reads again.
    fn longer_list(&self, key: &KeyRecord, list: &OwnerKeys) -> PortResult<TransactWriteItem> {
        let ids: Vec<KeyId> = list.keys.iter().map(|key| key.id).chain([key.id]).collect();
        let item = list_item(&key.terms.owner, list.version.saturating_add(1), &ids);
        let put = Put::builder().table_name(&self.names.edge).set_item(Some(item));
        let put = if list.version == 0 {
            put.condition_expression("attribute_not_exists(pk)")
        } else {
            put.condition_expression("#version = :version")
                .expression_attribute_names("#version", VERSION)
                .expression_attribute_values(":version", n(list.version))
        };
        let put = put.build().map_err(|_| corrupt("list of keys"))?;
        Ok(TransactWriteItem::builder().put(put).build())
    }

    /// Sets when a key ends that is replaced. Its condition: the key is there and not revoked, so
    /// that a key that was revoked meanwhile gets no successor.
    fn end_key(&self, old: &KeyRecord) -> PortResult<TransactWriteItem> {
        let (Some(ends), Some(by)) = (old.lifetime.expires, old.replaced_by) else {
            return Err(corrupt("rotated key"));
        };
        let update = Update::builder()
            .table_name(&self.names.edge)
            .set_key(Some(keys::key(old.id)))
            .update_expression("SET #expires = :ends, #replaced = :by")
            .condition_expression("attribute_exists(pk) AND attribute_not_exists(#revoked)")
            .expression_attribute_names("#expires", EXPIRES)
            .expression_attribute_names("#replaced", REPLACED)
            .expression_attribute_names("#revoked", REVOKED)
            .expression_attribute_values(":ends", ms(ends))
            .expression_attribute_values(":by", s(by))
            .build()
            .map_err(|_| corrupt("key item"))?;
        Ok(TransactWriteItem::builder().update(update).build())
    }

    async fn write_keys(
        &self,
        operation: &'static str,
        key: &KeyRecord,
        list: &OwnerKeys,
        items: Vec<TransactWriteItem>,
    ) -> PortResult<KeysWritten> {
        // Each try has a version of its own, and so other contents and another token.
        let token = request_token(&["key", &key.id.to_string(), &list.version.to_string()]);
        match self.transact(operation, token, items).await {
            Ok(()) => Ok(KeysWritten::Done),
            Err(TransactError::Refused(_)) => Ok(KeysWritten::Changed),
            Err(TransactError::Port(error)) => Err(error),
        }
    }

    async fn list_of(&self, owner: &Owner) -> PortResult<Option<Item>> {
        let got = self
            .dynamo
            .get_item()
            .table_name(&self.names.edge)
            .set_key(Some(keys::owner_keys(owner)))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| port_error("read keys of owner", error))?;
        Ok(got.item)
    }
}

impl KeyAdmin for Store {
    async fn keys_of(&self, owner: &Owner) -> PortResult<OwnerKeys> {
        let Some(item) = self.list_of(owner).await? else { return Ok(OwnerKeys::default()) };
        let (version, ids) = read_list(&item)?;
        let wanted = ids.iter().map(|id| keys::key(*id)).collect();
        let items = self.batch_get("read keys of owner", &self.names.edge, wanted).await?;
        let found = items.iter().map(|item| read_key(item).map(|key| (key.id, key)));
        let mut found: HashMap<KeyId, KeyRecord> = found.collect::<PortResult<_>>()?;
        // A key is never deleted, and it is written with the list.
        let in_order = ids.iter().map(|id| found.remove(id).ok_or_else(|| corrupt("list of keys")));
        Ok(OwnerKeys { version, keys: in_order.collect::<PortResult<_>>()? })
    }

    async fn stored_key(&self, id: KeyId) -> PortResult<Option<KeyRecord>> {
        self.read_key(id).await
    }

    async fn create_key(&self, key: &KeyRecord, list: &OwnerKeys) -> PortResult<KeysWritten> {
        let items = vec![self.new_key(key)?, self.longer_list(key, list)?];
        let written = self.write_keys("create key", key, list, items).await;
        self.forget_key(key.id);
        written
    }

    async fn rotate_key(
        &self,
        old: &KeyRecord,
        new: &KeyRecord,
        list: &OwnerKeys,
    ) -> PortResult<KeysWritten> {
        let items = vec![self.new_key(new)?, self.end_key(old)?, self.longer_list(new, list)?];
        let written = self.write_keys("rotate key", new, list, items).await;
        self.forget_key(old.id);
        self.forget_key(new.id);
        written
    }

    async fn revoke_key(&self, id: KeyId, now: Timestamp) -> PortResult<bool> {
        let sent = self
            .dynamo
            .update_item()
            .table_name(&self.names.edge)
            .set_key(Some(keys::key(id)))
            // The moment of the first revocation stays.
            .update_expression("SET #revoked = if_not_exists(#revoked, :now)")
            // The key is there: this write makes none.
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_names("#revoked", REVOKED)
            .expression_attribute_values(":now", ms(now))
            .send()
            .await;
        self.forget_key(id);
        match sent {
            Ok(_) => Ok(true),
            Err(error) if is_refused(&error) => Ok(false),
            Err(error) => Err(port_error("revoke key", error)),
        }
    }
}
