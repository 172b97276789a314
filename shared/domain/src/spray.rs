//! A spray (뿌리기): a member gives an amount to N members of a chat room under a 3-character token;
//! each claims one share, once; the unclaimed rest is returned.
//!
//! # Guarantees
//! * A request outside the limits makes no spray: `a_spray_keeps_its_limits`.
//! * A claim is refused for the first reason in [`ClaimBarred`]'s order:
//!   `refusals_come_in_their_order`.
//! * Every attempt to return the rest orders the same transfer:
//!   `the_rest_is_returned_under_one_id`.
//! * Only the sender reads a spray by its token, for seven days:
//!   `only_the_sender_reads_for_seven_days`.

use crate::id::{GrantId, PoolId, RoomId, SprayId, Token, UserId};
use crate::ledger::{TransferKind, TransferOrder};
use crate::money::{Amount, MoneyError};
use crate::pool::{BUCKET_PARTS, Bucket, BucketId, PoolKind, Worth, bucket_count};
use crate::split::{Cut, RECIPIENTS_MAX, Seed, Split};
use crate::time::{Timestamp, Window};

/// The shortest time a spray may be open, in seconds (docs/limits.md: 10 s to 7 days).
pub const EXPIRES_IN_S_MIN: u64 = 10;
/// The longest, and the default (docs/limits.md: 604,800 s = 7 days).
pub const EXPIRES_IN_S_MAX: u64 = 604_800;
/// How many live sprays a member may have, unless the deployment says otherwise
/// (architecture.md 5.2).
pub const LIVE_SPRAYS_MAX: u32 = 1_000;
/// How long the sender may read a spray by its token, from its creation (docs/limits.md: 7 days).
pub const READABLE_MS: u64 = 604_800_000;

/// The terms of a spray, within their limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    amount: Amount,
    recipients: u32,
    split: Split,
    expires_in_s: u64,
}

/// Which term of a spray is outside its limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TermsError {
    /// The amount is no amount.
    #[error(transparent)]
    Amount(#[from] MoneyError),
    /// Not 1 to 1,000 people.
    #[error("recipients is 1 to {RECIPIENTS_MAX}")]
    Recipients,
    /// Not everyone could get 1.
    #[error("amount is at least recipients")]
    AmountBelowRecipients,
    /// Not 10 s to 7 days.
    #[error("expires_in_s is {EXPIRES_IN_S_MIN} to {EXPIRES_IN_S_MAX}")]
    ExpiresIn,
}

impl Terms {
    /// Checks the terms.
    ///
    /// # Errors
    /// [`TermsError`], the first in its order.
    pub fn new(
        amount: u64,
        recipients: u64,
        split: Split,
        expires_in_s: u64,
    ) -> Result<Self, TermsError> {
        let amount = Amount::new(amount)?;
        let recipients = u32::try_from(recipients)
            .ok()
            .filter(|n| (1..=RECIPIENTS_MAX).contains(n))
            .ok_or(TermsError::Recipients)?;
        if amount.get() < u64::from(recipients) {
            return Err(TermsError::AmountBelowRecipients);
        }
        if !(EXPIRES_IN_S_MIN..=EXPIRES_IN_S_MAX).contains(&expires_in_s) {
            return Err(TermsError::ExpiresIn);
        }
        Ok(Self { amount, recipients, split, expires_in_s })
    }

    /// What is given, in all.
    #[must_use]
    pub const fn amount(&self) -> Amount {
        self.amount
    }

    /// To how many.
    #[must_use]
    pub const fn recipients(&self) -> u32 {
        self.recipients
    }

    /// When a spray of these terms, made at `now`, is open.
    #[must_use]
    pub fn window(&self, now: Timestamp) -> Window {
        let open_ms = self.expires_in_s.saturating_mul(1_000);
        Window { opens: now, closes: now.plus_ms(open_ms) }
    }
}

/// A spray.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spray {
    /// Its permanent id.
    pub id: SprayId,
    /// The token it was made under; another spray may carry it later.
    pub token: Token,
    /// The room it was made in.
    pub room: RoomId,
    /// Who gave.
    pub sender: UserId,
    /// When shares are drawn: from its creation.
    pub window: Window,
    /// What was given, in all.
    pub amount: Amount,
    /// Into how many shares it is cut.
    pub recipients: u32,
    /// How it is cut.
    pub split: Split,
    /// What the cut is computed from.
    pub seed: Seed,
    /// What was returned, once it was.
    pub refund: Option<Refund>,
    /// The refund that the sender's wallet refuses; `None` once it was returned.
    pub refused: Option<RefusedRefund>,
}

/// What was returned to the sender of a spray.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refund {
    /// How much; 0 when every share was drawn.
    pub amount: u64,
    /// How many shares were left.
    pub shares: u32,
    /// When.
    pub at: Timestamp,
}

/// A refund that the sender's wallet is too full for. The spray keeps the money until the wallet has
/// room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefusedRefund {
    /// How much is owed.
    pub amount: u64,
    /// When it was refused for the first time.
    pub since: Timestamp,
}

impl Spray {
    /// A new spray.
    #[must_use]
    pub fn new(
        id: SprayId,
        token: Token,
        room: RoomId,
        sender: UserId,
        terms: &Terms,
        seed: Seed,
        now: Timestamp,
    ) -> Self {
        Self {
            id,
            token,
            room,
            sender,
            window: terms.window(now),
            amount: terms.amount,
            recipients: terms.recipients,
            split: terms.split,
            seed,
            refund: None,
            refused: None,
        }
    }

    /// The pool that its shares are drawn from.
    #[must_use]
    pub const fn pool(&self) -> PoolId {
        PoolId::Spray(self.id)
    }

    /// When it was made.
    #[must_use]
    pub const fn created_at(&self) -> Timestamp {
        self.window.opens
    }

    /// Its shares, in the order of their numbers.
    #[must_use]
    pub fn cut(&self) -> Cut {
        Cut::new(self.split, &self.seed, self.amount, self.recipients)
    }

    /// The buckets of the pool, before the first draw.
    #[must_use]
    pub fn buckets(&self) -> Vec<Bucket> {
        let cut = self.cut();
        let step = usize::try_from(BUCKET_PARTS).unwrap_or(usize::MAX);
        let shares = cut.shares().chunks(step);
        let bucket = |(number, shares): (u32, &[u64])| {
            let id = BucketId { pool: self.pool(), number };
            let size = u32::try_from(shares.len()).unwrap_or(BUCKET_PARTS);
            let (funder, worth) = (self.sender.clone(), worth_of(shares));
            Bucket::new(id, PoolKind::Share, funder, self.window, size, worth)
        };
        (0..bucket_count(self.recipients)).zip(shares).map(bucket).collect()
    }

    /// Whether the sender may still read it by its token.
    #[must_use]
    pub fn is_readable(&self, now: Timestamp) -> bool {
        now.ms_since(self.created_at()) < READABLE_MS
    }

    /// The order that returns `remainder` to the sender; `None` when nothing is left. The spray
    /// alone decides its id and time, so every attempt orders the same transfer.
    #[must_use]
    pub fn refund_order(&self, remainder: u64) -> Option<TransferOrder> {
        let amount = Amount::new(remainder).ok()?;
        let at = self.window.closes;
        Some(TransferOrder {
            id: GrantId::of_draw(&self.pool(), &self.sender, at).transfer(),
            wallet: self.sender.clone(),
            kind: TransferKind::Refund,
            amount,
            at,
            pool: Some(self.pool()),
            counterpart: None,
            memo: None,
        })
    }

    /// The seed, once no claim can win any more.
    #[must_use]
    pub fn revealed_seed(&self, now: Timestamp) -> Option<&Seed> {
        self.window.is_over(now).then_some(&self.seed)
    }
}

/// Shares that are all the same are written as one number.
fn worth_of(shares: &[u64]) -> Worth {
    match shares {
        [first, rest @ ..] if rest.iter().all(|share| share == first) => Worth::Each(*first),
        _ => Worth::Listed(shares.to_vec()),
    }
}

/// What a token stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenEntry {
    /// The token.
    pub token: Token,
    /// The spray that carries it now.
    pub spray: SprayId,
    /// The room of that spray.
    pub room: RoomId,
    /// Its sender.
    pub sender: UserId,
    /// Its window.
    pub window: Window,
    /// Into how many shares it is cut.
    pub recipients: u32,
    /// Whether the unclaimed rest was returned: only then may another spray take the token.
    pub refunded: bool,
}

impl TokenEntry {
    /// Whether another spray may take the token at `now`: its own timestamp decides, never TTL.
    #[must_use]
    pub fn is_reusable(&self, now: Timestamp) -> bool {
        self.refunded && self.window.is_over(now)
    }
}

/// Why a claim is refused before the draw, in order of precedence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClaimBarred {
    /// The caller is not in the room.
    #[error("the caller is not a member of the room")]
    NotAMember,
    /// No live spray of this room carries the token.
    #[error("no spray of this room carries the token")]
    NoSuchToken,
    /// The caller sprayed it.
    #[error("one does not claim one's own spray")]
    OwnSpray,
    /// The window is over.
    #[error("the spray is over")]
    WindowOver,
}

/// Says whether `member` may draw a share at all.
///
/// # Errors
/// [`ClaimBarred`], the first reason in its order.
pub fn may_claim(
    is_member: bool,
    entry: Option<&TokenEntry>,
    room: RoomId,
    member: &UserId,
    now: Timestamp,
) -> Result<SprayId, ClaimBarred> {
    if !is_member {
        return Err(ClaimBarred::NotAMember);
    }
    let entry = entry.filter(|entry| entry.room == room).ok_or(ClaimBarred::NoSuchToken)?;
    if entry.sender == *member {
        return Err(ClaimBarred::OwnSpray);
    }
    if entry.window.is_over(now) {
        return Err(ClaimBarred::WindowOver);
    }
    Ok(entry.spray)
}

#[cfg(test)]
mod tests;
