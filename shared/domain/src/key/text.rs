//! The text of a key, and its hash.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::id::KeyId;

/// What a key begins with.
const PREFIX: &str = "lgs_";
/// Crockford's base 32, as ULIDs have it.
const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// A ULID.
const ID_LEN: usize = 26;
/// 160 bits, five a digit.
const RANDOM_LEN: usize = 32;
/// 32 bits, five a digit.
const CHECKSUM_LEN: usize = 7;

/// How many random bytes a key is made of; each gives five bits.
pub const KEY_RANDOM_LEN: usize = RANDOM_LEN;

/// A text that is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an API key is lgs_ and 65 characters of Crockford's base 32, with a checksum")]
pub struct KeyTextError;

/// An API key as its holder has it. Its `Debug` is redacted.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey {
    id: KeyId,
    text: String,
}

impl ApiKey {
    /// The key of that id, with these random bytes.
    #[must_use]
    pub fn new(id: KeyId, random: &[u8; KEY_RANDOM_LEN]) -> Self {
        let random: String = random.iter().map(|byte| digit(u32::from(*byte))).collect();
        let body = format!("{PREFIX}{id}{random}");
        let checksum = checksum(&body);
        Self { id, text: body + &checksum }
    }

    /// Its id.
    #[must_use]
    pub const fn id(&self) -> KeyId {
        self.id
    }

    /// Its text, which is told once: when the key is made.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.text
    }

    /// What is stored of it.
    #[must_use]
    pub fn hash(&self) -> KeyHash {
        KeyHash(Sha256::digest(self.text.as_bytes()).into())
    }
}

impl FromStr for ApiKey {
    type Err = KeyTextError;

    fn from_str(text: &str) -> Result<Self, KeyTextError> {
        let rest = text.strip_prefix(PREFIX).ok_or(KeyTextError)?;
        let (id, rest) = rest.split_at_checked(ID_LEN).ok_or(KeyTextError)?;
        let (random, given) = rest.split_at_checked(RANDOM_LEN).ok_or(KeyTextError)?;
        let id = id.parse().map_err(|_| KeyTextError)?;
        if !random.bytes().all(|byte| DIGITS.contains(&byte)) {
            return Err(KeyTextError);
        }
        let body = format!("{PREFIX}{id}{random}");
        if checksum(&body) == given {
            Ok(Self { id, text: text.to_owned() })
        } else {
            Err(KeyTextError)
        }
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiKey({}..)", self.id)
    }
}

/// The digit of the lowest five bits.
fn digit(bits: u32) -> char {
    let position = usize::try_from(bits & 31).unwrap_or(0);
    char::from(DIGITS.get(position).copied().unwrap_or(b'0'))
}

/// The CRC-32 of a text, the highest bits first.
fn checksum(text: &str) -> String {
    let mut rest = crc32fast::hash(text.as_bytes());
    let mut digits = ['0'; CHECKSUM_LEN];
    for place in digits.iter_mut().rev() {
        *place = digit(rest);
        rest >>= 5;
    }
    digits.iter().collect()
}

/// The SHA-256 of a key's text. A key has 160 random bits, so no guess finds the text of a hash, and
/// no salt is needed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct KeyHash([u8; 32]);

impl KeyHash {
    /// A hash as it was stored.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes, to be stored.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether both are the same, in constant time.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyHash(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use ulid::Ulid;

    fn key(fill: u8) -> ApiKey {
        ApiKey::new(KeyId(Ulid::from_parts(1_767_225_600_000, 7)), &[fill; KEY_RANDOM_LEN])
    }

    #[test]
    fn a_key_has_its_prefix_its_id_and_69_characters() {
        let text = key(3).reveal().to_owned();
        assert!(text.starts_with(&format!("lgs_{}", key(3).id())), "{text}");
        assert_eq!(text.len(), 69);
        assert_eq!(text.parse(), Ok(key(3)));
    }

    #[test]
    fn each_random_bit_changes_the_key() {
        for place in 0..KEY_RANDOM_LEN {
            for bit in 0..5 {
                let mut random = [0; KEY_RANDOM_LEN];
                random[place] = 1 << bit;
                let other = ApiKey::new(key(0).id(), &random);
                assert_ne!(other.reveal(), key(0).reveal());
                assert!(!other.hash().is(&key(0).hash()));
                assert!(other.hash().is(&other.clone().hash()));
            }
        }
    }

    #[test]
    fn the_debug_text_of_a_key_does_not_reveal_it() {
        let shown = format!("{:?} {:?}", key(3), key(3).hash());
        assert!(shown.contains(&key(3).id().to_string()) && shown.contains("KeyHash(..)"));
        assert!(!shown.contains(&key(3).reveal()[30..]), "{shown}");
    }

    #[test]
    fn a_text_of_another_form_is_no_key() {
        let text = key(3).reveal().to_owned();
        let lower = text.to_lowercase();
        let cut = text.chars().take(68).collect::<String>();
        let none =
            ["", "lgs_", &lower, &cut, &format!("{text}0"), &format!(" {text}"), "lgs_뿌리기"];
        for text in none {
            assert_eq!(text.parse::<ApiKey>(), Err(KeyTextError), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_key_with_one_wrong_character_is_none(
            random: [u8; KEY_RANDOM_LEN],
            at in 0..69_usize,
            to in "[0-9A-Za-z]",
        ) {
            let key = ApiKey::new(KeyId(Ulid::from_parts(1, 7)), &random);
            prop_assert_eq!(key.reveal().parse(), Ok(key.clone()));
            let mut changed = key.reveal().to_owned();
            changed.replace_range(at..=at, &to);
            prop_assume!(changed != key.reveal());
            prop_assert_eq!(changed.parse::<ApiKey>(), Err(KeyTextError));
        }
    }
}
