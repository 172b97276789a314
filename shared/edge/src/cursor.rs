//! Cursors: opaque to callers, and signed.
//!
//! `base64url(payload ‖ HMAC-SHA256(key, scope, payload) cut to 16 bytes)`. The scope names the
//! route, the caller and the filters, so a cursor works only in the list that issued it. A forged
//! cursor, that of another caller and that of another list are all malformed parameters.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use crate::error::{ApiError, FieldError, Place};

/// The signature's length: 128 bits cannot be guessed (NIST SP 800-107 section 5.3.3).
const TAG_LEN: usize = 16;
/// The longest cursor; those of this API are shorter.
const CURSOR_LEN_MAX: usize = 256;

/// The key that signs cursors. Its `Debug` is redacted.
#[derive(Clone)]
pub struct CursorKey([u8; 32]);

impl CursorKey {
    /// The shortest secret.
    pub const SECRET_LEN_MIN: usize = 16;

    /// The key of a secret text; `None` when it is too short.
    #[must_use]
    pub fn new(secret: &str) -> Option<Self> {
        let long_enough = secret.len() >= Self::SECRET_LEN_MIN;
        long_enough.then(|| Self(Sha256::digest(secret.as_bytes()).into()))
    }

    /// The key of random bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The cursor for "after `payload`" within `scope`.
    #[must_use]
    pub fn seal(&self, scope: &str, payload: &str) -> String {
        let tag = self.mac(scope, payload.as_bytes()).map(|mac| mac.finalize().into_bytes());
        let tag = tag.as_deref().and_then(|tag| tag.get(..TAG_LEN)).unwrap_or_default();
        URL_SAFE_NO_PAD.encode([payload.as_bytes(), tag].concat())
    }

    /// The payload of a cursor of this scope.
    ///
    /// # Errors
    /// ERR001 for a cursor that this scope did not issue.
    pub fn open<T: FromStr>(&self, scope: &str, cursor: &str) -> Result<T, ApiError> {
        self.payload(scope, cursor).and_then(|text| text.parse().ok()).ok_or_else(|| {
            let detail = "not a cursor of this list";
            let error = FieldError::new(Place::Query, "cursor", "malformed", detail);
            ApiError::invalid(vec![error])
        })
    }

    fn payload(&self, scope: &str, cursor: &str) -> Option<String> {
        if cursor.len() > CURSOR_LEN_MAX {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
        let (payload, tag) = bytes.split_at_checked(bytes.len().checked_sub(TAG_LEN)?)?;
        // The comparison takes constant time.
        self.mac(scope, payload)?.verify_truncated_left(tag).ok()?;
        String::from_utf8(payload.to_vec()).ok()
    }

    fn mac(&self, scope: &str, payload: &[u8]) -> Option<Hmac<Sha256>> {
        // HMAC accepts keys of any length.
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).ok()?;
        // The length in front separates the scope from the payload.
        mac.update(&scope.len().to_be_bytes());
        mac.update(scope.as_bytes());
        mac.update(payload);
        Some(mac)
    }
}

impl fmt::Debug for CursorKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CursorKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key() -> CursorKey {
        CursorKey::new("a secret of sixteen").unwrap()
    }

    #[test]
    fn a_cursor_works_only_in_the_list_that_issued_it() {
        let cursor = key().seal("GET /a\nu1", "01ARZ");
        assert_eq!(key().open::<String>("GET /a\nu1", &cursor).unwrap(), "01ARZ");
        assert!(key().open::<String>("GET /a\nu2", &cursor).is_err());
        let other = CursorKey::from_bytes([7; 32]);
        assert!(other.open::<String>("GET /a\nu1", &cursor).is_err());
    }

    #[test]
    fn the_debug_text_of_a_key_is_redacted() {
        assert_eq!(format!("{:?}", key()), "CursorKey(..)");
        assert!(CursorKey::new("short").is_none());
    }

    proptest! {
        #[test]
        fn a_forged_cursor_is_refused(text in "[A-Za-z0-9_-]{0,80}") {
            prop_assert!(key().open::<String>("scope", &text).is_err());
        }

        #[test]
        fn a_changed_cursor_is_refused(
            payload in "[A-Z0-9]{0,30}",
            at in 0..22_usize,
            to in "[A-Za-z0-9_-]",
        ) {
            let cursor = key().seal("scope", &payload);
            let mut changed = cursor.clone();
            changed.replace_range(at..=at, &to);
            prop_assume!(changed != cursor);
            prop_assert!(key().open::<String>("scope", &changed).is_err());
        }
    }
}
