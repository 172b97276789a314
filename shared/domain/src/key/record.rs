//! What is stored of a key, and the rules over it.

use std::net::IpAddr;

use super::{KeyHash, Networks, Owner, Scopes};
use crate::id::KeyId;
use crate::time::Timestamp;

/// The most keys of an owner that live at the same time (docs/limits.md).
pub const KEYS_MAX: usize = 20;
/// For how long a rotated key lives beside its successor, unless the request says otherwise.
pub const OVERLAP_S_DEFAULT: u32 = 86_400;
/// For how long a rotated key may live beside its successor: seven days.
pub const OVERLAP_S_MAX: u32 = 604_800;
/// How old the time of last use may be before it is written again: one write an hour and key.
const USED_PRECISION_MS: u64 = 3_600_000;

/// What a key is made for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Whose it is.
    pub owner: Owner,
    /// What it may do.
    pub scopes: Scopes,
    /// From where it may be used.
    pub networks: Networks,
}

/// From when to when a key lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime {
    /// When it was made.
    pub created: Timestamp,
    /// The first moment at which it is refused; `None`: it does not expire.
    pub expires: Option<Timestamp>,
}

/// A key as it is stored: nothing in it verifies a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRecord {
    /// Its id.
    pub id: KeyId,
    /// The hash of its text.
    pub hash: KeyHash,
    /// What it was made for.
    pub terms: Terms,
    /// How long it lives, unless it is revoked.
    pub lifetime: Lifetime,
    /// When it was revoked.
    pub revoked: Option<Timestamp>,
    /// The key that it was rotated to.
    pub replaced_by: Option<KeyId>,
    /// When it was used, up to an hour old.
    pub last_used: Option<Timestamp>,
}

/// Why a key is refused, in the order of the checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyRefused {
    /// It is not the key of that id, or it is expired or revoked. The cases are not told apart.
    #[error("the API key is unknown, expired or revoked")]
    Unknown,
    /// It may not be used from that address.
    #[error("the API key may not be used from this address")]
    Address,
}

/// A key before and after its rotation, and its successor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// The key, as it is from now on.
    pub old: KeyRecord,
    /// Its successor.
    pub new: KeyRecord,
}

impl KeyRecord {
    /// A new key.
    #[must_use]
    pub const fn new(id: KeyId, hash: KeyHash, terms: Terms, lifetime: Lifetime) -> Self {
        Self { id, hash, terms, lifetime, revoked: None, replaced_by: None, last_used: None }
    }

    /// Whether it can be used at `now`.
    #[must_use]
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.revoked.is_none() && self.lifetime.expires.is_none_or(|expires| now < expires)
    }

    /// Admits a request with the key of that hash, from that address.
    ///
    /// # Errors
    /// [`KeyRefused`]. Only the holder of the key learns that an address is refused.
    pub fn admit(
        &self,
        hash: &KeyHash,
        source: Option<IpAddr>,
        now: Timestamp,
    ) -> Result<(), KeyRefused> {
        if !self.hash.is(hash) || !self.is_live(now) {
            return Err(KeyRefused::Unknown);
        }
        if self.terms.networks.allow(source) { Ok(()) } else { Err(KeyRefused::Address) }
    }

    /// Whether its use at `now` is to be written.
    #[must_use]
    pub fn is_use_news(&self, now: Timestamp) -> bool {
        self.last_used.is_none_or(|used| now.ms_since(used) >= USED_PRECISION_MS)
    }

    /// Rotates it: the successor has the same owner, scopes and networks, and lives as long from now
    /// as this key was made to live. This key lives for `overlap_s` more, and never longer than
    /// before. `None` when this key is not live.
    #[must_use]
    pub fn rotate(
        &self,
        id: KeyId,
        hash: KeyHash,
        overlap_s: u32,
        now: Timestamp,
    ) -> Option<Rotation> {
        if !self.is_live(now) {
            return None;
        }
        let Lifetime { created, expires } = self.lifetime;
        let overlap = now.plus_ms(u64::from(overlap_s).saturating_mul(1_000));
        let ends = expires.map_or(overlap, |expires| expires.min(overlap));
        let lived = expires.map(|expires| now.plus_ms(expires.ms_since(created)));
        let lifetime = Lifetime { created: now, expires: lived };
        let old = Self {
            lifetime: Lifetime { created, expires: Some(ends) },
            replaced_by: Some(id),
            ..self.clone()
        };
        Some(Rotation { old, new: Self::new(id, hash, self.terms.clone(), lifetime) })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{ApiKey, KEY_RANDOM_LEN};
    use super::*;
    use crate::id::Ulid;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_ms(ms)
    }

    fn key(n: u8) -> ApiKey {
        ApiKey::new(KeyId(Ulid::from_parts(1, u128::from(n))), &[n; KEY_RANDOM_LEN])
    }

    fn record(expires: Option<Timestamp>) -> KeyRecord {
        let networks: Networks = "10.0.0.0/8".parse().unwrap();
        let terms = Terms { owner: "chat".parse().unwrap(), scopes: Scopes::all(), networks };
        let lifetime = Lifetime { created: at(1_000), expires };
        KeyRecord::new(key(1).id(), key(1).hash(), terms, lifetime)
    }

    #[test]
    fn a_key_is_admitted_only_while_it_lives_and_only_under_its_own_text() {
        let inside = Some("10.1.2.3".parse().unwrap());
        let record = record(Some(at(5_000)));
        let admit = |record: &KeyRecord, n, now| record.admit(&key(n).hash(), inside, at(now));
        assert_eq!(admit(&record, 1, 4_999), Ok(()));
        assert_eq!(admit(&record, 1, 5_000), Err(KeyRefused::Unknown));
        assert_eq!(admit(&record, 2, 4_999), Err(KeyRefused::Unknown));
        let revoked = KeyRecord { revoked: Some(at(2_000)), ..record.clone() };
        assert_eq!(admit(&revoked, 1, 4_999), Err(KeyRefused::Unknown));
        // An address is refused only to the holder of the key.
        for source in [None, Some("11.0.0.1".parse().unwrap())] {
            let refused = record.admit(&key(1).hash(), source, at(1_500));
            assert_eq!(refused, Err(KeyRefused::Address));
            let refused = record.admit(&key(2).hash(), source, at(1_500));
            assert_eq!(refused, Err(KeyRefused::Unknown));
        }
    }

    #[test]
    fn a_use_is_written_once_an_hour() {
        let unused = record(None);
        assert!(unused.is_use_news(at(1_000)));
        let used = KeyRecord { last_used: Some(at(1_000)), ..unused };
        assert!(!used.is_use_news(at(3_600_999)) && used.is_use_news(at(3_601_000)));
        // A clock that is behind writes nothing.
        assert!(!used.is_use_news(at(0)));
    }

    #[test]
    fn a_rotated_key_lives_through_the_overlap_and_never_longer_than_before() {
        let rotate = |expires, overlap_s| {
            let rotation = record(expires).rotate(key(2).id(), key(2).hash(), overlap_s, at(2_000));
            rotation.unwrap()
        };
        let Rotation { old, new } = rotate(None, 10);
        assert_eq!(old.lifetime.expires, Some(at(12_000)));
        assert_eq!(old.replaced_by, Some(new.id));
        assert_eq!((new.lifetime.created, new.lifetime.expires), (at(2_000), None));
        assert_eq!((&new.terms, new.last_used), (&old.terms, None));
        let Rotation { old, new } = rotate(Some(at(5_000)), 10);
        assert_eq!(old.lifetime.expires, Some(at(5_000)));
        assert_eq!(new.lifetime.expires, Some(at(6_000)), "4 s, as the first was made to live");
        let Rotation { old, .. } = rotate(None, 0);
        assert!(!old.is_live(at(2_000)));
        let dead = record(Some(at(2_000)));
        assert_eq!(dead.rotate(key(2).id(), key(2).hash(), 10, at(2_000)), None);
    }

    #[test]
    fn a_rotated_key_opens_no_more_than_before() {
        let mut record = record(None);
        record.terms.scopes = "read,spray".parse().unwrap();
        let rotation = record.rotate(key(2).id(), key(2).hash(), 10, at(2_000)).unwrap();
        assert_eq!((rotation.old.terms, rotation.new.terms), (record.terms.clone(), record.terms));
    }
}
