//! The master secrets, from which the secret of each key follows.

use std::fmt;

use largesse_domain::id::KeyId;

use super::signature::{Signatures, derive_secret};

/// One or two master secrets. Their `Debug` is redacted.
///
/// The first gives the secrets that are shown when a key is made. Each verifies, so that the master
/// changes without a refused request: first the new one is put in front of the old one, then the
/// holders of keys change their secrets, then the old one goes.
#[derive(Clone)]
pub struct SignatureSecrets(Vec<String>);

impl SignatureSecrets {
    /// What a text of them must be.
    pub const EXPECTED: &str = "one or two secrets of at least 32 characters, separated by a comma";
    /// The shortest master secret, in characters.
    const LEN_MIN: usize = 32;
    /// The new one and the old one.
    const COUNT_MAX: usize = 2;

    /// Reads secrets that are separated by a comma.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let secrets: Vec<String> = text.split(',').map(|secret| secret.trim().to_owned()).collect();
        let fits = secrets.len() <= Self::COUNT_MAX
            && secrets.iter().all(|secret| secret.len() >= Self::LEN_MIN);
        fits.then_some(Self(secrets))
    }

    /// The secret that the holder of a key signs with.
    #[must_use]
    pub fn secret_of(&self, key: KeyId) -> String {
        let first = self.0.first().map(String::as_str).unwrap_or_default();
        derive_secret(first, &key.to_string())
    }

    /// Whether one of the signatures is that of the text by the holder of the key.
    #[must_use]
    pub fn verify(&self, key: KeyId, signatures: &Signatures, text: &str) -> bool {
        let key = key.to_string();
        self.0.iter().any(|master| signatures.verify(&derive_secret(master, &key), text))
    }
}

impl fmt::Debug for SignatureSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SignatureSecrets(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::signature::sign;

    const OLD: &str = "0123456789abcdef0123456789abcdef";
    const NEW: &str = "fedcba9876543210fedcba9876543210";

    #[test]
    fn the_first_master_gives_secrets_and_each_verifies() {
        let key: KeyId = "01K9Z3NDEKTSV4RRFFQ69G5FAV".parse().unwrap();
        let signed = |masters: &str| {
            let secrets = SignatureSecrets::read(masters).unwrap();
            Signatures::parse(&sign(&secrets.secret_of(key), "text")).unwrap()
        };
        let both = SignatureSecrets::read(&format!("{NEW}, {OLD}")).unwrap();
        assert!(both.verify(key, &signed(OLD), "text") && both.verify(key, &signed(NEW), "text"));
        let new = SignatureSecrets::read(NEW).unwrap();
        assert_eq!(both.secret_of(key), new.secret_of(key));
        assert!(!new.verify(key, &signed(OLD), "text"));
        let other: KeyId = "01K9Z3NDEKTSV4RRFFQ69G5FAW".parse().unwrap();
        assert!(!both.verify(other, &signed(NEW), "text"), "the secret belongs to one key");
    }

    #[test]
    fn short_empty_and_too_many_secrets_are_refused_and_none_is_shown() {
        for text in ["", "short", &format!("{OLD},"), &format!("{OLD},short"), &[OLD; 3].join(",")]
        {
            assert!(SignatureSecrets::read(text).is_none(), "{text}");
        }
        let secrets = SignatureSecrets::read(OLD).unwrap();
        assert_eq!(format!("{secrets:?}"), "SignatureSecrets(..)");
    }
}
