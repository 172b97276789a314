//! API keys: their text, what they may do, and how long they live.
//!
//! A key is `lgs_`, its id (a ULID), 160 random bits and a checksum, all in Crockford's base 32. The
//! checksum finds typing errors and lets scanners of source code recognize a key. Only the SHA-256 of
//! the text is stored.
//!
//! # Guarantees
//! * A key has 160 random bits, and each of them changes its hash:
//!   `each_random_bit_changes_the_key`.
//! * A text with one wrong character is no key: `a_key_with_one_wrong_character_is_none`.
//! * A key that is revoked, expired or of another text is refused alike:
//!   `a_key_is_admitted_only_while_it_lives_and_only_under_its_own_text`.

mod record;
mod scope;
mod text;

pub use record::{
    KEYS_MAX, KeyRecord, KeyRefused, Lifetime, OVERLAP_S_DEFAULT, OVERLAP_S_MAX, Rotation, Terms,
};
pub use scope::{
    NETWORKS_MAX, Networks, NetworksError, Owner, OwnerError, Scope, Scopes, ScopesError,
};
pub use text::{ApiKey, KEY_RANDOM_LEN, KeyHash, KeyTextError};
