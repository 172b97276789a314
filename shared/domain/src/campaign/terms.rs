//! What the creator of a campaign decides.

use super::duplicates::Duplicates;
use crate::ledger::Memo;
use crate::money::Amount;
use crate::room::{RoomName, RoomNameError};
use crate::time::Timestamp;

/// The name of a campaign, under the rules of a room's name ([`RoomName`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CampaignName(RoomName);

/// Why a text is no name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the name of a campaign follows the rules of a room's name: {0}")]
pub struct CampaignNameError(#[from] RoomNameError);

impl CampaignName {
    /// Takes a text as a name, in Unicode's normal form C.
    ///
    /// # Errors
    /// [`CampaignNameError`], the first rule that is broken.
    pub fn new(text: &str) -> Result<Self, CampaignNameError> {
        Ok(Self(RoomName::new(text)?))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

/// The highest priority.
pub const PRIORITY_MAX: u8 = 9;

/// Which of two campaigns that are due at the same time runs first: 0 to [`PRIORITY_MAX`], the
/// higher one first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Priority(u8);

impl Priority {
    /// Takes a number; `None` above [`PRIORITY_MAX`].
    #[must_use]
    pub const fn new(number: u8) -> Option<Self> {
        if number <= PRIORITY_MAX { Some(Self(number)) } else { None }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }
}

/// How many members other than the creator approve a campaign before it starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Approvals {
    /// None.
    #[default]
    Zero,
    /// One.
    One,
}

impl Approvals {
    /// The number on the wire.
    #[must_use]
    pub const fn count(self) -> u8 {
        match self {
            Self::Zero => 0,
            Self::One => 1,
        }
    }

    /// Takes the number of the wire; `None` above 1.
    #[must_use]
    pub const fn from_count(count: u8) -> Option<Self> {
        match count {
            0 => Some(Self::Zero),
            1 => Some(Self::One),
            _ => None,
        }
    }
}

/// The terms of a campaign, fixed when it is made. The hash of content covers them all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Its name.
    pub name: CampaignName,
    /// The reason of a row that has none.
    pub default_reason: Memo,
    /// The amount of a row that has none.
    pub default_amount: Option<Amount>,
    /// Nothing is paid earlier.
    pub starts_at: Option<Timestamp>,
    /// Which runs first of those due at the same time.
    pub priority: Priority,
    /// What happens to a member who is named twice.
    pub duplicates: Duplicates,
    /// Whether it needs an approval.
    pub approvals: Approvals,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_keep_their_limits() {
        assert_eq!(CampaignName::new("추석 보상").unwrap().as_str(), "추석 보상");
        assert_eq!(CampaignName::new(" "), Err(CampaignNameError(RoomNameError::Blank)));
        assert_eq!(Priority::new(PRIORITY_MAX).map(Priority::get), Some(9));
        assert_eq!(Priority::new(PRIORITY_MAX + 1), None);
        for approvals in [Approvals::Zero, Approvals::One] {
            assert_eq!(Approvals::from_count(approvals.count()), Some(approvals));
        }
        assert_eq!(Approvals::from_count(2), None);
    }
}
