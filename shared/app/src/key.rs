//! API keys: who calls.

pub mod check;
pub mod create;
pub mod list;
pub mod revoke;
pub mod rotate;

use largesse_domain::id::KeyId;
use largesse_domain::key::{ApiKey, KEY_RANDOM_LEN, KEYS_MAX};
use largesse_domain::time::Timestamp;

use crate::ports::{Ids, OwnerKeys, PortError, Rng};

/// How often a write of keys is tried while others change the same owner's keys.
const TRIES_MAX: usize = 4;

/// Why no key was made.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// There is no such key.
    #[error("there is no such key")]
    NotFound,
    /// The key is expired or revoked.
    #[error("the key is expired or revoked")]
    Dead,
    /// The owner has as many live keys as an owner may have.
    #[error("the owner has {KEYS_MAX} live keys")]
    TooMany,
    /// A port failed.
    #[error(transparent)]
    Port(#[from] PortError),
}

/// A new key.
fn make<D: Ids + Rng>(deps: &D) -> ApiKey {
    let mut random = [0; KEY_RANDOM_LEN];
    deps.fill(&mut random);
    ApiKey::new(KeyId(deps.ulid()), &random)
}

/// Makes room for one more key: a full list forgets its dead keys, the oldest first. A dead key is
/// still stored, and still refused.
fn with_room(mut list: OwnerKeys, now: Timestamp) -> Result<OwnerKeys, KeyError> {
    while list.keys.len() >= KEYS_MAX {
        let dead = list.keys.iter().position(|key| !key.is_live(now));
        list.keys.remove(dead.ok_or(KeyError::TooMany)?);
    }
    Ok(list)
}
