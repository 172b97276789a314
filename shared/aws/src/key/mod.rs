//! API keys and nonces: table `edge`.
//!
//! # Guarantees
//! * A nonce is taken once by all processes: `one_of_many_processes_takes_a_nonce`.
//! * A revocation counts in every process within a minute:
//!   `a_revoked_key_is_refused_by_every_process_within_a_minute`.
//! * An owner never has more live keys than allowed: `keys_made_at_once_never_exceed_the_limit`.

mod admin;
mod codec;

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;
use largesse_app::caches::{KEYS, UNKNOWN_KEYS};
use largesse_app::ports::{Clock, Keys, Nonce, PortResult};
use largesse_domain::id::{KeyId, Ulid};
use largesse_domain::key::KeyRecord;
use largesse_domain::time::Timestamp;

use self::codec::{USED, read_key};
use crate::errors::{corrupt, port_error, unless_refused};
use crate::item::{Reader, ms, n, s};
use crate::keys;
use crate::store::Store;

/// Within which time one use of a key is written.
const USE_EVERY_MS: u64 = 3_600_000;
/// How long an item of a nonce stays after its time: the clock of DynamoDB may be ahead of ours.
const NONCE_KEPT_S: u64 = 3_600;

impl Store {
    pub(super) async fn read_key(&self, id: KeyId) -> PortResult<Option<KeyRecord>> {
        let got = self
            .dynamo
            .get_item()
            .table_name(&self.names.edge)
            .set_key(Some(keys::key(id)))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| port_error("read key", error))?;
        got.item.as_ref().map(read_key).transpose()
    }

    /// Forgets what this process knows of a key.
    pub(super) fn forget_key(&self, id: KeyId) {
        self.keys.forget(&id);
        self.unknown_keys.forget(&id);
    }
}

impl Keys for Store {
    async fn key(&self, id: KeyId) -> PortResult<Option<KeyRecord>> {
        // The moment before the read: what is read is not older.
        let now = self.now();
        if let Some(key) = self.keys.get(&id, now) {
            return Ok(Some(key));
        }
        if self.unknown_keys.get(&id, now).is_some() {
            return Ok(None);
        }
        let key = self.read_key(id).await?;
        match &key {
            Some(key) => self.keys.put(id, key.clone(), KEYS.until(now)),
            // In a cache of its own: guesses drive no key out.
            None => self.unknown_keys.put(id, (), UNKNOWN_KEYS.until(now)),
        }
        Ok(key)
    }

    async fn touch_key(&self, id: KeyId, now: Timestamp) -> PortResult<()> {
        let sent = self
            .dynamo
            .update_item()
            .table_name(&self.names.edge)
            .set_key(Some(keys::key(id)))
            .update_expression("SET #used = :now")
            // The key is there: this write makes none. And its use was not written within the hour
            // before, also not by another process.
            .condition_expression(
                "attribute_exists(pk) AND (attribute_not_exists(#used) OR #used <= :before)",
            )
            .expression_attribute_names("#used", USED)
            .expression_attribute_values(":now", ms(now))
            .expression_attribute_values(":before", ms(now.minus_ms(USE_EVERY_MS)))
            .send()
            .await;
        unless_refused("touch key", sent)?;
        self.keys.change(&id, |key| key.last_used = Some(now));
        Ok(())
    }

    async fn take_nonce(
        &self,
        nonce: Nonce<'_>,
        now: Timestamp,
        until: Timestamp,
    ) -> PortResult<bool> {
        let mut item = keys::nonce(nonce.key, nonce.text);
        let kept_s = until.ms_unsigned().div_euclid(1_000).saturating_add(NONCE_KEPT_S);
        item.insert("taken_by".to_owned(), s(nonce.by));
        item.insert("until_ms".to_owned(), ms(until));
        item.insert("expires_at".to_owned(), n(kept_s));
        let sent = self
            .dynamo
            .put_item()
            .table_name(&self.names.edge)
            .set_item(Some(item))
            // The nonce is new, or its time is over by its own timestamp: TTL may delete it days
            // later. At `until` itself a request of the window's last moment still counts.
            .condition_expression("attribute_not_exists(pk) OR until_ms < :now")
            .expression_attribute_values(":now", ms(now))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        let error = match sent {
            Ok(_) => return Ok(true),
            Err(error) => error,
        };
        match error.as_service_error() {
            Some(PutItemError::ConditionalCheckFailedException(failed)) => {
                let found = failed.item().ok_or_else(|| corrupt("nonce item"))?;
                let reader = Reader { item: found, what: "nonce item" };
                let by = Ulid::from_string(reader.text("taken_by")?);
                // Our own put, whose reply was lost.
                Ok(by.is_ok_and(|by| by == nonce.by))
            }
            _ => Err(port_error("take nonce", error)),
        }
    }
}
