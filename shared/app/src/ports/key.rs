//! API keys, and the nonces of the requests that they sign.

use std::future::Future;

use largesse_domain::id::{KeyId, Ulid};
use largesse_domain::key::{KeyRecord, Owner};
use largesse_domain::time::Timestamp;

use super::PortResult;

/// The keys of an owner, and the version of that list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnerKeys {
    /// Changes with each write of the list; 0 before the first.
    pub version: u64,
    /// The keys in the order in which they were made.
    pub keys: Vec<KeyRecord>,
}

/// A nonce of a request.
#[derive(Clone, Copy, Debug)]
pub struct Nonce<'a> {
    /// The key that signed the request.
    pub key: KeyId,
    /// What the caller chose.
    pub text: &'a str,
    /// The request itself: a repeat of a write whose reply was lost has the same.
    pub by: Ulid,
}

/// What became of a write of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeysWritten {
    /// Done.
    Done,
    /// The list of the owner or a key has changed meanwhile. Nothing is written.
    Changed,
}

/// What every request reads and writes.
pub trait Keys: Send + Sync {
    /// The key of that id. The answer may be up to 30 s old, so that a revocation counts in every
    /// process within a minute; "no such key" is up to 5 s old.
    fn key(&self, id: KeyId) -> impl Future<Output = PortResult<Option<KeyRecord>>> + Send;

    /// Writes that the key was used at `now`, unless a use within the hour before is written.
    /// Idempotent.
    fn touch_key(&self, id: KeyId, now: Timestamp) -> impl Future<Output = PortResult<()>> + Send;

    /// Takes a nonce until `until`: `true` for the first request that takes it, and for a repeat of
    /// the same write.
    fn take_nonce(
        &self,
        nonce: Nonce<'_>,
        now: Timestamp,
        until: Timestamp,
    ) -> impl Future<Output = PortResult<bool>> + Send;
}

/// How keys are kept.
pub trait KeyAdmin: Send + Sync {
    /// The keys of an owner. Strongly consistent.
    fn keys_of(&self, owner: &Owner) -> impl Future<Output = PortResult<OwnerKeys>> + Send;

    /// The key of that id, as it is stored. Strongly consistent.
    fn stored_key(&self, id: KeyId) -> impl Future<Output = PortResult<Option<KeyRecord>>> + Send;

    /// Stores a new key and puts it at the end of its owner's list, from which `list.keys` remain, in
    /// one transaction.
    fn create_key(
        &self,
        key: &KeyRecord,
        list: &OwnerKeys,
    ) -> impl Future<Output = PortResult<KeysWritten>> + Send;

    /// As [`KeyAdmin::create_key`], and stores in the same transaction when the key that it replaces
    /// ends. That key must not be revoked.
    fn rotate_key(
        &self,
        old: &KeyRecord,
        new: &KeyRecord,
        list: &OwnerKeys,
    ) -> impl Future<Output = PortResult<KeysWritten>> + Send;

    /// Revokes a key at `now`, unless it is revoked already; `false` for no such key. Idempotent.
    fn revoke_key(
        &self,
        id: KeyId,
        now: Timestamp,
    ) -> impl Future<Output = PortResult<bool>> + Send;
}
