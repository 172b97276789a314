//! What a product offers. Nothing of it changes once the product is made.

use crate::id::UserId;
use crate::money::{Amount, MoneyError};
use crate::room::{RoomName, RoomNameError};
use crate::time::Window;

/// The most shards that a product's capacity is split into: sixteen items, each in a partition of
/// its own, take 16 × 500 transactional writes a second (Amazon DynamoDB Developer Guide, "Burst and
/// adaptive capacity": 1,000 write units a partition, two a transactional write).
pub const SHARDS_MAX: u64 = 16;

/// The title of a product, under the rules of a room's name ([`RoomName`]): 1 to 100 characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Title(RoomName);

/// Why a text is no title.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a title follows the rules of a room's name: {0}")]
pub struct TitleError(#[from] RoomNameError);

impl Title {
    /// Takes a text as a title, in Unicode's normal form C.
    ///
    /// # Errors
    /// [`TitleError`], the first rule that is broken.
    pub fn new(text: &str) -> Result<Self, TitleError> {
        Ok(Self(RoomName::new(text)?))
    }

    /// A title that was stored. As a room's name, it is not checked again.
    #[must_use]
    pub const fn stored(text: String) -> Self {
        Self(RoomName::stored(text))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

/// The terms of a product.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Its title.
    pub title: Title,
    /// What it raises at most.
    pub target: Amount,
    /// When it takes investments.
    pub window: Window,
    /// The least of one investment, but for the one that takes the whole remainder.
    pub min_investment: Amount,
    /// The most of one investor, over all their investments.
    pub max_per_investor: Option<Amount>,
    /// What it must raise; below, every investment is refunded.
    pub min_raise: Option<Amount>,
    /// Whose wallet gets what was raised.
    pub issuer: UserId,
}

/// Numbers of the terms as they came in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// What it raises at most.
    pub target: u64,
    /// The least of one investment; 1 when it is not given.
    pub min_investment: Option<u64>,
    /// The most of one investor.
    pub max_per_investor: Option<u64>,
    /// What it must raise.
    pub min_raise: Option<u64>,
}

/// Why terms are refused, in order of precedence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TermsError {
    /// The target is no amount.
    #[error("{0}")]
    Target(MoneyError),
    /// The window has no moment in it.
    #[error("a product opens before it closes")]
    Window,
    /// The least investment is no amount, or above the target.
    #[error("the least investment is from 1 to the target")]
    MinInvestment,
    /// The limit of an investor is below the least investment, or no amount.
    #[error("the limit of an investor is at least the least investment")]
    MaxPerInvestor,
    /// The least sum is no amount, or above the target.
    #[error("what is to be raised is from 1 to the target")]
    MinRaise,
}

impl Terms {
    /// Checks the terms.
    ///
    /// # Errors
    /// [`TermsError`], the first that applies.
    pub fn new(
        title: Title,
        window: Window,
        issuer: UserId,
        limits: Limits,
    ) -> Result<Self, TermsError> {
        let target = Amount::new(limits.target).map_err(TermsError::Target)?;
        if window.opens >= window.closes {
            return Err(TermsError::Window);
        }
        let min_investment = Amount::new(limits.min_investment.unwrap_or(1)).ok();
        let min_investment =
            min_investment.filter(|least| *least <= target).ok_or(TermsError::MinInvestment)?;
        let max_per_investor = optional(limits.max_per_investor, |most| most >= min_investment)
            .ok_or(TermsError::MaxPerInvestor)?;
        let min_raise =
            optional(limits.min_raise, |least| least <= target).ok_or(TermsError::MinRaise)?;
        Ok(Self { title, target, window, min_investment, max_per_investor, min_raise, issuer })
    }

    /// How many shards the capacity is split into: as many as there can be investments of the least
    /// amount, from 1 to [`SHARDS_MAX`].
    #[must_use]
    pub fn shards(&self) -> u32 {
        let investments = self.target.get().checked_div(self.min_investment.get()).unwrap_or(1);
        u32::try_from(investments.clamp(1, SHARDS_MAX)).unwrap_or(1)
    }
}

/// An amount that may be missing; `None` when it is no amount, or does not fit.
fn optional(minor: Option<u64>, fits: impl Fn(Amount) -> bool) -> Option<Option<Amount>> {
    match minor {
        None => Some(None),
        Some(minor) => Amount::new(minor).ok().filter(|amount| fits(*amount)).map(Some),
    }
}

/// The capacities of the shards: the target in equal parts. The remainder of the division goes to
/// the shards with the lowest numbers, one unit each.
#[must_use]
pub fn capacities(target: Amount, shards: u32) -> Vec<u64> {
    let count = u64::from(shards.max(1));
    let part = target.get().checked_div(count).unwrap_or(0);
    let more = target.get().checked_rem(count).unwrap_or(0);
    (0..count).map(|number| part.saturating_add(u64::from(number < more))).collect()
}
