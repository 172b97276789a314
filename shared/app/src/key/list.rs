//! The keys of an owner.

use largesse_domain::key::{KeyRecord, Owner};

use crate::ports::{KeyAdmin, PortResult};

/// The keys of an owner, in the order in which they were made: all that live, and the last of those
/// that do not.
///
/// # Errors
/// [`crate::ports::PortError`].
pub async fn list<D: KeyAdmin>(deps: &D, owner: &Owner) -> PortResult<Vec<KeyRecord>> {
    Ok(deps.keys_of(owner).await?.keys)
}
