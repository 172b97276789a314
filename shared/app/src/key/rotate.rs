//! A key gets a successor.

use largesse_domain::id::KeyId;
use largesse_domain::key::{ApiKey, KeyRecord, Rotation};

use super::{KeyError, TRIES_MAX, make, with_room};
use crate::ports::{Clock, Ids, KeyAdmin, KeysWritten, PortError, Rng};

/// Makes the successor of a key, whose text is told here and never again. Both live until the overlap
/// is over, so that no request is refused while the holder changes. Repeating it makes another
/// successor: a holder who did not get the first answer rotates again and revokes the first one.
///
/// # Errors
/// [`KeyError`].
pub async fn rotate<D: KeyAdmin + Clock + Ids + Rng>(
    deps: &D,
    id: KeyId,
    overlap_s: u32,
) -> Result<(ApiKey, KeyRecord), KeyError> {
    let (key, now) = (make(deps), deps.now());
    for _ in 0..TRIES_MAX {
        let old = deps.stored_key(id).await?.ok_or(KeyError::NotFound)?;
        let rotation = old.rotate(key.id(), key.hash(), overlap_s, now);
        let Rotation { old, new } = rotation.ok_or(KeyError::Dead)?;
        let list = with_room(deps.keys_of(&new.terms.owner).await?, now)?;
        match deps.rotate_key(&old, &new, &list).await? {
            KeysWritten::Done => return Ok((key, new)),
            // Another key of the owner was made, or this one was revoked meanwhile.
            KeysWritten::Changed => {}
        }
    }
    Err(PortError::contended("rotate key").into())
}
