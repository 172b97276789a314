//! A key is made.

use largesse_domain::key::{ApiKey, KeyRecord, Lifetime, Terms};
use largesse_domain::time::Timestamp;

use super::{KeyError, TRIES_MAX, make, with_room};
use crate::ports::{Clock, Ids, KeyAdmin, KeysWritten, PortError, Rng};

/// Makes a key, whose text is told here and never again. Repeating it makes another key.
///
/// # Errors
/// [`KeyError`].
pub async fn create<D: KeyAdmin + Clock + Ids + Rng>(
    deps: &D,
    terms: Terms,
    expires: Option<Timestamp>,
) -> Result<(ApiKey, KeyRecord), KeyError> {
    let (key, now) = (make(deps), deps.now());
    let lifetime = Lifetime { created: now, expires };
    let record = KeyRecord::new(key.id(), key.hash(), terms, lifetime);
    for _ in 0..TRIES_MAX {
        let list = with_room(deps.keys_of(&record.terms.owner).await?, now)?;
        match deps.create_key(&record, &list).await? {
            KeysWritten::Done => return Ok((key, record)),
            // Another key of the owner was made meanwhile.
            KeysWritten::Changed => {}
        }
    }
    Err(PortError::contended("create key").into())
}
