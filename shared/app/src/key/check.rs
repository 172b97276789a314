//! A request is checked: its key, and that it comes once.

use std::net::IpAddr;

use largesse_domain::key::{ApiKey, KeyRecord, KeyRefused};
use largesse_domain::time::Timestamp;

use crate::ports::{Ids, Keys, Nonce, PortError, PortResult};

/// How far the time of a request may lie from ours, either way (docs/limits.md).
pub const WINDOW_MS: u64 = 300_000;

/// Why a request is refused.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// By its key.
    #[error(transparent)]
    Key(#[from] KeyRefused),
    /// A port failed.
    #[error(transparent)]
    Port(#[from] PortError),
}

/// The record of a key that may be used now, from that address.
///
/// # Errors
/// [`CheckError`].
pub async fn key<D: Keys>(
    deps: &D,
    key: &ApiKey,
    source: Option<IpAddr>,
    now: Timestamp,
) -> Result<KeyRecord, CheckError> {
    let record = deps.key(key.id()).await?.ok_or(KeyRefused::Unknown)?;
    record.admit(&key.hash(), source, now)?;
    Ok(record)
}

/// Whether the time of a request lies within the window.
#[must_use]
pub fn is_timely(signed: Timestamp, now: Timestamp) -> bool {
    signed.ms_since(now).max(now.ms_since(signed)) <= WINDOW_MS
}

/// Whether a request is the first with its nonce. The nonce is kept for twice the window: a request
/// of the window's beginning is refused by its time from then on.
///
/// # Errors
/// [`PortError`].
pub async fn is_first<D: Keys + Ids>(
    deps: &D,
    key: &KeyRecord,
    text: &str,
    now: Timestamp,
) -> PortResult<bool> {
    let nonce = Nonce { key: key.id, text, by: deps.ulid() };
    deps.take_nonce(nonce, now, now.plus_ms(WINDOW_MS.saturating_mul(2))).await
}

/// Writes that the key was used, at most once an hour. A failure is logged and refuses no request.
pub async fn used<D: Keys>(deps: &D, key: &KeyRecord, now: Timestamp) {
    if key.is_use_news(now)
        && let Err(error) = deps.touch_key(key.id, now).await
    {
        tracing::warn!(error.operation = error.operation, "the use of a key was not written");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use largesse_domain::id::{KeyId, Ulid};
    use largesse_domain::key::{KEY_RANDOM_LEN, Lifetime, Networks, Scopes, Terms};

    use super::*;

    #[test]
    fn a_time_is_within_the_window_up_to_five_minutes_either_way() {
        let at = Timestamp::from_ms;
        for (signed, timely) in [(700, true), (699, false), (1_300, true), (1_301, false)] {
            assert_eq!(is_timely(at(signed * 1_000), at(1_000_000)), timely, "{signed}");
        }
        assert!(!is_timely(at(699_999), at(1_000_000)) && !is_timely(at(1_300_001), at(1_000_000)));
    }

    /// Keeps until when a nonce was taken.
    struct Taken(AtomicI64);

    impl Ids for Taken {
        fn ulid(&self) -> Ulid {
            Ulid::from_parts(1, 1)
        }
    }

    impl Keys for Taken {
        async fn key(&self, _id: KeyId) -> PortResult<Option<KeyRecord>> {
            Ok(None)
        }

        async fn touch_key(&self, _id: KeyId, _now: Timestamp) -> PortResult<()> {
            Ok(())
        }

        async fn take_nonce(
            &self,
            _nonce: Nonce<'_>,
            _now: Timestamp,
            until: Timestamp,
        ) -> PortResult<bool> {
            self.0.store(until.ms(), Ordering::Relaxed);
            Ok(true)
        }
    }

    /// A request that is signed as far ahead as allowed is timely for twice the window.
    #[tokio::test]
    async fn a_nonce_is_kept_for_as_long_as_its_request_may_be_timely() {
        let (now, taken) = (Timestamp::from_ms(1_000_000), Taken(AtomicI64::new(0)));
        let signed = now.plus_ms(WINDOW_MS);
        assert!(is_timely(signed, now));
        let key = ApiKey::new(KeyId(Ulid::from_parts(1, 1)), &[1; KEY_RANDOM_LEN]);
        let (owner, scopes) = ("chat".parse().unwrap(), Scopes::all());
        let terms = Terms { owner, scopes, networks: Networks::default() };
        let lifetime = Lifetime { created: now, expires: None };
        let record = KeyRecord::new(key.id(), key.hash(), terms, lifetime);
        assert!(is_first(&taken, &record, "0123456789abcdef", now).await.unwrap());
        let until = Timestamp::from_ms(taken.0.into_inner());
        assert!(is_timely(signed, until) && !is_timely(signed, until.plus_ms(1)));
    }
}
