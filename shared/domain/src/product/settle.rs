//! How a product ends.

use super::{Product, Shard, Sums, derived};
use crate::ledger::{TransferKind, TransferOrder};
use crate::money::Amount;
use crate::time::Timestamp;

/// What a settlement came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The minimum was reached, or there is none: the issuer has what was raised.
    PaidOut,
    /// The minimum was missed: investments are being refunded.
    Refunding,
    /// Every investment was refunded.
    Refunded,
}

/// A settlement. What was raised never changes after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settled {
    /// What it came to.
    pub outcome: Outcome,
    /// The sum of all investments.
    pub raised: u64,
    /// How many members invested.
    pub investors: u64,
    /// When.
    pub at: Timestamp,
}

/// Where a product stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It has not opened.
    Upcoming,
    /// It takes investments.
    Recruiting,
    /// Nothing remains, and it is not settled.
    SoldOut,
    /// Its window is over, and it is not settled.
    Closed,
    /// The issuer has what was raised.
    PaidOut,
    /// Investments are being refunded.
    Refunding,
    /// Every investment was refunded.
    Refunded,
}

impl State {
    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Upcoming => "upcoming",
            Self::Recruiting => "recruiting",
            Self::SoldOut => "sold_out",
            Self::Closed => "closed",
            Self::PaidOut => "paid_out",
            Self::Refunding => "refunding",
            Self::Refunded => "refunded",
        }
    }
}

impl Outcome {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::PaidOut, Self::Refunding, Self::Refunded];

    /// The state that follows.
    #[must_use]
    pub const fn state(self) -> State {
        match self {
            Self::PaidOut => State::PaidOut,
            Self::Refunding => State::Refunding,
            Self::Refunded => State::Refunded,
        }
    }
}

impl Product {
    /// Where it stands while so much remains.
    #[must_use]
    pub fn state(&self, remaining: u64, now: Timestamp) -> State {
        match self.settled {
            Some(settled) => settled.outcome.state(),
            None if remaining == 0 => State::SoldOut,
            None if self.terms.window.is_over(now) => State::Closed,
            None if self.terms.window.is_ahead(now) => State::Upcoming,
            None => State::Recruiting,
        }
    }

    /// How it is settled at `now` by all its shards; `None` before its end, and when it is settled.
    ///
    /// A product without investments whose minimum is missed has nothing to refund, so it is
    /// refunded at once; one without a minimum is paid out with nothing.
    #[must_use]
    pub fn settlement(&self, shards: &[Shard], now: Timestamp) -> Option<Settled> {
        let Sums { remaining, raised, investors } = Sums::of(shards);
        let is_over = remaining == 0 || self.terms.window.is_over(now);
        if self.settled.is_some() || !is_over {
            return None;
        }
        let outcome = match self.terms.min_raise {
            Some(least) if raised < least.get() && raised == 0 => Outcome::Refunded,
            Some(least) if raised < least.get() => Outcome::Refunding,
            Some(_) | None => Outcome::PaidOut,
        };
        Some(Settled { outcome, raised, investors, at: now })
    }

    /// The transfer that a settlement pays the issuer by: escrow → wallet, at the product's end. The
    /// product alone decides its id, so it pays out at most once. `None` when nothing is paid out.
    #[must_use]
    pub fn payout(&self, settled: &Settled) -> Option<TransferOrder> {
        let amount = Amount::new(settled.raised).ok()?;
        let at = self.sold_out.unwrap_or(self.terms.window.closes);
        (settled.outcome == Outcome::PaidOut).then(|| TransferOrder {
            id: derived(&self.id.to_string(), "payout", at),
            wallet: self.terms.issuer.clone(),
            kind: TransferKind::Payout,
            amount,
            at,
            pool: Some(self.pool()),
            counterpart: None,
            memo: None,
        })
    }
}
