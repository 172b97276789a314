//! The numbers of a campaign, and the permanent ids of its rows.

use std::fmt;

use super::part::Row;
use crate::grant::{Grant, Reason};
use crate::id::{CampaignId, GrantId, PoolId, TransferId, Ulid, UserId, random_part};

/// The number of a part, chosen by the caller: 1 to [`PART_NUMBER_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartNumber(u32);

/// The largest number of a part: parts of 100 rows for the most rows of a campaign.
pub const PART_NUMBER_MAX: u32 = 10_000;

impl PartNumber {
    /// Takes a number; `None` outside 1 to [`PART_NUMBER_MAX`].
    #[must_use]
    pub const fn new(number: u32) -> Option<Self> {
        if number >= 1 && number <= PART_NUMBER_MAX { Some(Self(number)) } else { None }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

/// The number of a chunk of a sealed campaign, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChunkNumber(pub u32);

/// How often the failed rows were opened again: 1 at the first start, one more with each retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation(u32);

impl Generation {
    /// The generation of the first start.
    pub const FIRST: Self = Self(1);

    /// Takes a number; `None` for 0.
    #[must_use]
    pub const fn new(number: u32) -> Option<Self> {
        if number == 0 { None } else { Some(Self(number)) }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    /// The next one; `None` after the last number.
    #[must_use]
    pub fn next(self) -> Option<Self> {
        self.0.checked_add(1).map(Self)
    }
}

/// What a payment of a campaign is for. Its text is `{campaign}:{member}:{generation}`.
///
/// # Ids and collisions
/// The id is a ULID, as every grant's is: the campaign's time, then 80 bits of SHA-256 over
/// `CAMPAIGN#{campaign}`, member and generation, separated by line feeds. No part can hold a line
/// feed, so two keys never hash one text; a draw hashes two parts, so neither do a key and a draw.
///
/// Two keys can share an id only when their campaigns were made in one millisecond, hence in
/// practice in one campaign. A million rows with payment and reversal are 2,000,000 ids: some two
/// are equal with probability 2,000,000² / 2^81 < 2 · 10^-12. The money service then finds
/// another order under the id. A caller that gets `AlreadyPaid` compares member and amount, so the
/// second row is never taken for paid.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowKey {
    /// The campaign.
    pub campaign: CampaignId,
    /// Who is paid.
    pub member: UserId,
    /// Under which generation.
    pub generation: Generation,
}

impl RowKey {
    /// The id of the duty to pay.
    #[must_use]
    pub fn grant(&self) -> GrantId {
        let source = PoolId::Campaign(self.campaign).to_string();
        let generation = self.generation.0.to_string();
        let random = random_part(&[&source, self.member.as_str(), &generation]);
        GrantId(Ulid::from_parts(self.campaign.0.timestamp_ms(), random))
    }

    /// The transfer that pays it, the same at every attempt.
    #[must_use]
    pub fn payment(&self) -> TransferId {
        self.grant().transfer()
    }

    /// The transfer that takes the payment back, the same at every attempt.
    #[must_use]
    pub fn reversal(&self) -> TransferId {
        self.grant().reversal()
    }

    /// The duty to pay `row`, which is this member's, of a campaign that `creator` made.
    #[must_use]
    pub fn grant_of(&self, row: &Row, creator: &UserId) -> Grant {
        Grant {
            id: self.grant(),
            source: PoolId::Campaign(self.campaign),
            member: self.member.clone(),
            amount: row.amount,
            reason: Reason::Campaign,
            funder: creator.clone(),
            memo: Some(row.reason.clone()),
        }
    }
}

impl fmt::Display for RowKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.campaign, self.member, self.generation.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::{Memo, TransferKind, TransferOrder};
    use crate::money::Amount;
    use crate::time::Timestamp;

    fn key(campaign: &str, member: &str, generation: u32) -> RowKey {
        RowKey {
            campaign: campaign.parse().unwrap(),
            member: member.parse().unwrap(),
            generation: Generation::new(generation).unwrap(),
        }
    }

    #[test]
    fn the_id_of_a_row_follows_from_campaign_member_and_generation() {
        let (a, b) = ("01ARZ3NDEKTSV4RRFFQ69G5FAV", "01ARZ3NDEKTSV4RRFFQ69G5FAW");
        let keys =
            [key(a, "m", 1), key(a, "m", 2), key(a, "m1", 1), key(a, "M", 1), key(b, "m", 1)];
        let mut ids = std::collections::BTreeSet::new();
        for key in &keys {
            assert_eq!(key.payment(), key.clone().payment());
            assert_eq!(key.grant().0.timestamp_ms(), key.campaign.0.timestamp_ms());
            ids.extend([key.payment(), key.reversal()]);
        }
        assert_eq!(ids.len(), 2 * keys.len());
        assert_eq!(keys[1].to_string(), "01ARZ3NDEKTSV4RRFFQ69G5FAV:m:2");
    }

    /// Recomputed by another program; another value would pay every row of a running campaign
    /// again.
    #[test]
    fn the_id_of_a_row_never_changes() {
        let id = key("01ARZ3NDEKTSV4RRFFQ69G5FAV", "member-1", 1).payment();
        assert_eq!(id.to_string(), "01ARZ3NDEK8SCT6Z5HSK7PYQWT");
    }

    #[test]
    fn a_row_is_paid_by_its_campaign_with_its_reason_and_taken_back_the_same_way() {
        let key = key("01ARZ3NDEKTSV4RRFFQ69G5FAV", "m", 2);
        let (amount, reason) = (Amount::new(5).unwrap(), Memo::new("점심").unwrap());
        let row = Row { member: key.member.clone(), amount, reason: reason.clone() };
        let grant = key.grant_of(&row, &"op".parse().unwrap());
        let order = TransferOrder {
            id: key.payment(),
            wallet: row.member,
            kind: TransferKind::Campaign,
            amount,
            at: Timestamp::from_ms(i64::try_from(key.campaign.0.timestamp_ms()).unwrap()),
            pool: Some(PoolId::Campaign(key.campaign)),
            counterpart: Some("op".parse().unwrap()),
            memo: Some(reason),
        };
        assert_eq!((grant.reason, grant.payment()), (Reason::Campaign, order.clone()));
        let (id, kind) = (key.reversal(), TransferKind::Reversal);
        assert_eq!(grant.reversal(), TransferOrder { id, kind, memo: None, ..order });
    }

    #[test]
    fn numbers_keep_their_limits() {
        assert_eq!(PartNumber::new(0), None);
        assert_eq!(PartNumber::new(PART_NUMBER_MAX).map(PartNumber::get), Some(PART_NUMBER_MAX));
        assert_eq!(PartNumber::new(PART_NUMBER_MAX + 1), None);
        assert_eq!(Generation::new(0), None);
        assert_eq!(Generation::FIRST.next().map(Generation::get), Some(2));
        assert_eq!(Generation::new(u32::MAX).unwrap().next(), None);
    }
}
