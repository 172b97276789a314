//! A key is revoked.

use largesse_domain::id::KeyId;

use super::KeyError;
use crate::ports::{Clock, KeyAdmin};

/// Revokes a key: every process refuses it within a minute. Repeating it changes nothing.
///
/// # Errors
/// [`KeyError::NotFound`] and [`KeyError::Port`].
pub async fn revoke<D: KeyAdmin + Clock>(deps: &D, id: KeyId) -> Result<(), KeyError> {
    if deps.revoke_key(id, deps.now()).await? { Ok(()) } else { Err(KeyError::NotFound) }
}
