//! What does not add up, and where.

use std::fmt;
use std::str::FromStr;

use crate::id::{PoolId, UserId};

/// What a finding is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// A wallet: its transfers do not lead to its balance.
    Wallet(UserId),
    /// A spray, a drop or a product: what it gave is not what it was given.
    Pool(PoolId),
    /// An item that cannot be read, by its key.
    Item(String),
    /// The sums of all wallets and transfers.
    Totals,
}

/// A text that names no subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the text names nothing that can be found wrong")]
pub struct NoSubject;

const WALLET: &str = "WALLET#";
const ITEM: &str = "ITEM#";
const TOTALS: &str = "TOTALS";

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wallet(user) => write!(f, "{WALLET}{user}"),
            Self::Pool(pool) => pool.fmt(f),
            Self::Item(key) => write!(f, "{ITEM}{key}"),
            Self::Totals => f.write_str(TOTALS),
        }
    }
}

impl FromStr for Subject {
    type Err = NoSubject;

    fn from_str(text: &str) -> Result<Self, NoSubject> {
        if text == TOTALS {
            return Ok(Self::Totals);
        }
        if let Some(user) = text.strip_prefix(WALLET) {
            return user.parse().map(Self::Wallet).map_err(|_| NoSubject);
        }
        if let Some(key) = text.strip_prefix(ITEM) {
            return Ok(Self::Item(key.to_owned()));
        }
        text.parse().map(Self::Pool).map_err(|_| NoSubject)
    }
}

/// Something that does not add up.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// Where.
    pub subject: Subject,
    /// What, in a sentence. It may name members, so it is never logged.
    pub what: String,
}

impl Finding {
    /// A finding about a wallet.
    #[must_use]
    pub fn of_wallet(user: &UserId, what: impl Into<String>) -> Self {
        Self { subject: Subject::Wallet(user.clone()), what: what.into() }
    }

    /// A finding about a pool.
    #[must_use]
    pub fn of_pool(pool: PoolId, what: impl Into<String>) -> Self {
        Self { subject: Subject::Pool(pool), what: what.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_read_back_from_its_text() {
        let pool = "DROP#01ARZ3NDEKTSV4RRFFQ69G5FAV";
        for text in ["WALLET#bob", pool, "ITEM#a b", "TOTALS"] {
            assert_eq!(text.parse::<Subject>().unwrap().to_string(), text);
        }
        for text in ["", "WALLET#", "DROP#x"] {
            assert_eq!(text.parse::<Subject>(), Err(NoSubject), "{text}");
        }
    }
}
