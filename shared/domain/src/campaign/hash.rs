//! Hashes over a canonical encoding.
//!
//! A record is a tag that names what is hashed and its version, then its fields in a fixed order.
//! The tag and each field are written as their length in 8 bytes, big-endian, then their bytes. An
//! integer is a field of 8 bytes, big-endian; an optional field is a field of one byte, 0 or 1,
//! then the value when there is one. So no two records have one encoding.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

/// A SHA-256. Its text is 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash(pub [u8; 32]);

/// A text that is no [`struct@Hash`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a hash is 64 lower-case hexadecimal digits")]
pub struct HashError;

impl Hash {
    /// The hash of some bytes, for example of the body of a part.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hash({self})")
    }
}

impl FromStr for Hash {
    type Err = HashError;

    fn from_str(text: &str) -> Result<Self, HashError> {
        let allowed = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if text.len() != 64 || !text.bytes().all(allowed) {
            return Err(HashError);
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| HashError)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| HashError)?;
        }
        Ok(Self(bytes))
    }
}

/// A hash that is being computed over a record.
pub(super) struct Record(Sha256);

impl Record {
    pub(super) fn new(tag: &str) -> Self {
        Self(Sha256::new()).bytes(tag.as_bytes())
    }

    pub(super) fn bytes(mut self, bytes: &[u8]) -> Self {
        let len = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.0.update(len.to_be_bytes());
        self.0.update(bytes);
        self
    }

    pub(super) fn text(self, text: &str) -> Self {
        self.bytes(text.as_bytes())
    }

    pub(super) fn int(self, value: u64) -> Self {
        self.bytes(&value.to_be_bytes())
    }

    pub(super) fn optional_int(self, value: Option<u64>) -> Self {
        match value {
            Some(value) => self.bytes(&[1]).int(value),
            None => self.bytes(&[0]),
        }
    }

    pub(super) fn hash(self) -> Hash {
        Hash(self.0.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[test]
    fn a_hash_is_read_back_in_its_one_spelling() {
        let hash = Hash::of(b"abc");
        let text = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hash.to_string(), text);
        assert_eq!(text.parse(), Ok(hash));
        assert_eq!(text.to_uppercase().parse::<Hash>(), Err(HashError));
        assert_eq!(text[1..].parse::<Hash>(), Err(HashError));
        assert_eq!("+f".repeat(32).parse::<Hash>(), Err(HashError));
    }

    #[rstest]
    #[case(Record::new("t").text("ab").text("c"))]
    #[case(Record::new("t").text("a").text("bc"))]
    #[case(Record::new("t").text("abc"))]
    #[case(Record::new("ta").text("b").text("c"))]
    #[case(Record::new("t").text("ab").text("c").text(""))]
    #[case(Record::new("t").text("ab").text("c").optional_int(None))]
    #[case(Record::new("t").text("ab").text("c").optional_int(Some(0)))]
    fn fields_that_are_cut_elsewhere_hash_otherwise(#[case] record: Record) {
        let other = Record::new("t").text("abc").text("");
        assert_ne!(record.hash(), other.hash());
    }
}
