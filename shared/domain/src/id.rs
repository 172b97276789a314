//! Identities. Parsed once at the edge; inside, no raw string carries meaning.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};
pub use ulid::Ulid;

use crate::time::Timestamp;

/// Why a text is no identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Not 1 to 64 characters of `[A-Za-z0-9_-]`.
    #[error("a user id is 1 to 64 characters of [A-Za-z0-9_-]")]
    User,
    /// Not 26 characters of upper-case Crockford base 32.
    #[error("an id is a ULID: 26 characters of Crockford's base 32, upper case")]
    Ulid,
    /// Not 3 characters of `[A-Z0-9]`.
    #[error("a token is 3 characters of [A-Z0-9]")]
    Token,
    /// Not 1 to 32 characters of `[a-z0-9-]`.
    #[error("the name of a money service is 1 to 32 characters of [a-z0-9-]")]
    Service,
    /// Not the name of a pool as the store writes it.
    #[error("a pool is KIND#ULID")]
    Pool,
}

/// The longest user id, in characters (docs/limits.md).
pub const USER_ID_LEN_MAX: usize = 64;

/// A member, named by the caller: 1 to 64 of `[A-Za-z0-9_-]`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserId(String);

impl UserId {
    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for UserId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let length_fits = (1..=USER_ID_LEN_MAX).contains(&text.len());
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
        if length_fits && text.bytes().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(IdError::User)
        }
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The longest name of a money service, in characters.
const SERVICE_ID_LEN_MAX: usize = 32;

/// A money service, named by the deployment: 1 to 32 of `[a-z0-9-]`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceId(String);

impl FromStr for ServiceId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let length_fits = (1..=SERVICE_ID_LEN_MAX).contains(&text.len());
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if length_fits && text.bytes().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(IdError::Service)
        }
    }
}

impl fmt::Display for ServiceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Reads a ULID in its one canonical spelling, so that one id has one text.
fn ulid_from(text: &str) -> Result<Ulid, IdError> {
    let ulid = Ulid::from_string(text).map_err(|_| IdError::Ulid)?;
    if ulid.to_string() == text { Ok(ulid) } else { Err(IdError::Ulid) }
}

macro_rules! ulid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub Ulid);

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                ulid_from(text).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

ulid_id!(
    /// A chat room.
    RoomId
);
ulid_id!(
    /// A spray; its history lives under this id for ever.
    SprayId
);
ulid_id!(
    /// A drop; its history lives under this id for ever.
    DropId
);
ulid_id!(
    /// A campaign; its rows are paid under ids that follow from it ([`crate::campaign::RowKey`]).
    CampaignId
);
ulid_id!(
    /// A product that members invest in.
    ProductId
);
ulid_id!(
    /// An investment; the transfer that pays it has the same id.
    InvestmentId
);
ulid_id!(
    /// An API key. The id is part of the key's text, and is no secret.
    KeyId
);
ulid_id!(
    /// A grant: the permanent name under which one member is paid, whatever is retried.
    GrantId
);
ulid_id!(
    /// A transfer of the ledger. A grant's payment carries the grant's id.
    TransferId
);

/// 80 bits of SHA-256 over texts that hold no line feed, for the random part of a ULID.
pub(crate) fn random_part(texts: &[&str]) -> u128 {
    let digest = Sha256::digest(texts.join("\n").as_bytes());
    digest.iter().take(10).fold(0, |bits, byte| (bits << 8) | u128::from(*byte))
}

impl GrantId {
    /// The id of the grant that a draw makes: the draw's time, then 80 bits of
    /// SHA-256(pool, member). A pure function, so every reader of the entry computes the same id.
    /// The sender never draws, so the refund takes the sender's id in the same way.
    #[must_use]
    pub fn of_draw(pool: &PoolId, member: &UserId, at: Timestamp) -> Self {
        let random = random_part(&[&pool.to_string(), member.as_str()]);
        Self(Ulid::from_parts(at.ms_unsigned(), random))
    }

    /// The transfer that pays this grant.
    #[must_use]
    pub const fn transfer(self) -> TransferId {
        TransferId(self.0)
    }

    /// The transfer that takes the payment back.
    #[must_use]
    pub fn reversal(self) -> TransferId {
        self.derived("reversal")
    }

    /// The id of another transfer that this grant leads to, at most one for each purpose: the same
    /// time, then 80 bits of SHA-256(id, purpose).
    #[must_use]
    pub fn derived(self, purpose: &str) -> TransferId {
        let name = self.0.to_string();
        TransferId(Ulid::from_parts(self.0.timestamp_ms(), random_part(&[&name, purpose])))
    }
}

/// The letters of a token, in order.
const TOKEN_LETTERS: &[u8; 36] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

/// How many tokens there are: 36^3.
pub const TOKEN_COUNT: u32 = 46_656;

/// The short name of a live spray: 3 of `[A-Z0-9]`. Never a credential.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token([u8; 3]);

impl Token {
    /// The `index`-th token; any index is taken modulo [`TOKEN_COUNT`].
    #[must_use]
    pub fn from_index(index: u32) -> Self {
        let mut rest = index;
        let mut letters = [b'A'; 3];
        for letter in letters.iter_mut().rev() {
            let digit = usize::try_from(rest.rem_euclid(36)).unwrap_or(0);
            *letter = TOKEN_LETTERS.get(digit).copied().unwrap_or(b'A');
            rest = rest.div_euclid(36);
        }
        Self(letters)
    }

    /// The token's number: the inverse of [`Token::from_index`].
    #[must_use]
    pub fn index(self) -> u32 {
        self.0.iter().fold(0_u32, |sum, letter| {
            let digit = TOKEN_LETTERS.iter().position(|l| l == letter).unwrap_or(0);
            sum.saturating_mul(36).saturating_add(u32::try_from(digit).unwrap_or(0))
        })
    }

    /// The three letters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl FromStr for Token {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let letters: [u8; 3] = text.as_bytes().try_into().map_err(|_| IdError::Token)?;
        let allowed = |b: &u8| b.is_ascii_uppercase() || b.is_ascii_digit();
        if letters.iter().all(allowed) { Ok(Self(letters)) } else { Err(IdError::Token) }
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({})", self.as_str())
    }
}

/// The account that pays a grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PoolId {
    /// The shares of a spray.
    Spray(SprayId),
    /// A campaign: it has no buckets, and what it pays is issued.
    Campaign(CampaignId),
    /// The escrow of a product: what members invested. It has no buckets.
    Product(ProductId),
    /// The slots of a drop, and what was passed on of them.
    Drop(DropId),
    /// The waiting list of a drop: it holds no money and pays nothing.
    Waiting(DropId),
    /// The lots of a drop with a shuffle: they hold no money and pay nothing.
    Lots(DropId),
}

impl PoolId {
    /// The moment in the pool's id: when it was made.
    #[must_use]
    pub fn ulid(self) -> Ulid {
        match self {
            Self::Spray(id) => id.0,
            Self::Campaign(id) => id.0,
            Self::Product(id) => id.0,
            Self::Drop(id) | Self::Waiting(id) | Self::Lots(id) => id.0,
        }
    }
}

impl FromStr for PoolId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        match text.split_once('#') {
            Some(("SPRAY", id)) => id.parse().map(Self::Spray).map_err(|_| IdError::Pool),
            Some(("CAMPAIGN", id)) => id.parse().map(Self::Campaign).map_err(|_| IdError::Pool),
            Some(("PRODUCT", id)) => id.parse().map(Self::Product).map_err(|_| IdError::Pool),
            Some(("DROP", id)) => id.parse().map(Self::Drop).map_err(|_| IdError::Pool),
            Some(("WAIT", id)) => id.parse().map(Self::Waiting).map_err(|_| IdError::Pool),
            Some(("LOT", id)) => id.parse().map(Self::Lots).map_err(|_| IdError::Pool),
            _ => Err(IdError::Pool),
        }
    }
}

impl fmt::Display for PoolId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Spray(id) => write!(f, "SPRAY#{id}"),
            Self::Campaign(id) => write!(f, "CAMPAIGN#{id}"),
            Self::Product(id) => write!(f, "PRODUCT#{id}"),
            Self::Drop(id) => write!(f, "DROP#{id}"),
            Self::Waiting(id) => write!(f, "WAIT#{id}"),
            Self::Lots(id) => write!(f, "LOT#{id}"),
        }
    }
}

#[cfg(test)]
mod tests;
