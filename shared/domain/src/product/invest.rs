//! Whether an investment is taken, and from which shards.

use super::Terms;
use crate::money::Amount;
use crate::time::Timestamp;

/// A part of a product's capacity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Its number, from 0.
    pub number: u32,
    /// What it could take at first.
    pub capacity: u64,
    /// What it can still take. It only falls.
    pub remaining: u64,
    /// Investors whose first investment was counted here.
    pub investors: u64,
    /// Whether the product is settled, so that nothing is taken any more.
    pub is_closed: bool,
}

/// What shards sum to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// What can still be invested.
    pub remaining: u64,
    /// What was invested.
    pub raised: u64,
    /// How many members invested.
    pub investors: u64,
}

impl Sums {
    /// Those of all shards of a product.
    #[must_use]
    pub fn of(shards: &[Shard]) -> Self {
        shards.iter().fold(Self::default(), |sums, shard| Self {
            remaining: sums.remaining.saturating_add(shard.remaining),
            raised: sums.raised.saturating_add(shard.capacity.saturating_sub(shard.remaining)),
            investors: sums.investors.saturating_add(shard.investors),
        })
    }
}

/// What one member has invested in a product so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// How many investments.
    pub count: u64,
    /// Their sum.
    pub total: u64,
}

/// A request to invest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// How much.
    pub amount: Amount,
    /// When it is decided.
    pub now: Timestamp,
    /// The shard that is tried first: requests spread over the shards.
    pub preferred: u32,
}

/// Why an investment is refused, in order of precedence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The window has not opened.
    #[error("the product is not open yet")]
    Ahead,
    /// The window is over.
    #[error("the product is over")]
    Over,
    /// Nothing remains.
    #[error("the product is sold out")]
    SoldOut,
    /// Less remains.
    #[error("{remaining} remain")]
    AboveRemaining {
        /// What remains.
        remaining: u64,
    },
    /// Below the least investment, and not the whole remainder.
    #[error("the least investment is {least}")]
    BelowMinimum {
        /// The least.
        least: Amount,
    },
    /// The investor would have more than one may.
    #[error("an investor may invest {most}, and has invested {invested}")]
    AboveLimit {
        /// The most of one investor.
        most: Amount,
        /// What they have invested.
        invested: u64,
    },
}

/// What an investment takes from one shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Take {
    /// The shard.
    pub shard: u32,
    /// How much: 1 or more.
    pub amount: u64,
}

/// Decides on an investment by all shards of the product as they were read. Takes are each at most
/// what the shard had and sum to the amount: from one shard where one has enough, else from several,
/// those with most first.
///
/// An amount below the least investment is taken only if it is the whole remainder, so that a
/// remainder below it can be invested at all.
///
/// A refusal for want of capacity stays true, since capacity only falls. The other takes hold only
/// while the shards have that much.
///
/// # Errors
/// [`Refusal`], the first that applies.
pub fn decide(
    terms: &Terms,
    shards: &[Shard],
    position: Position,
    request: Request,
) -> Result<Vec<Take>, Refusal> {
    if terms.window.is_ahead(request.now) {
        return Err(Refusal::Ahead);
    }
    if terms.window.is_over(request.now) {
        return Err(Refusal::Over);
    }
    let (amount, remaining) = (request.amount.get(), Sums::of(shards).remaining);
    if remaining == 0 {
        return Err(Refusal::SoldOut);
    }
    // Settled by a process whose clock is ahead of this one: nothing is taken any more.
    if shards.iter().any(|shard| shard.is_closed) {
        return Err(Refusal::Over);
    }
    if amount > remaining {
        return Err(Refusal::AboveRemaining { remaining });
    }
    if request.amount < terms.min_investment && amount < remaining {
        return Err(Refusal::BelowMinimum { least: terms.min_investment });
    }
    if let Some(most) = terms.max_per_investor
        && position.total.saturating_add(amount) > most.get()
    {
        return Err(Refusal::AboveLimit { most, invested: position.total });
    }
    Ok(takes(shards, request))
}

fn takes(shards: &[Shard], request: Request) -> Vec<Take> {
    let amount = request.amount.get();
    let behind = |shard: &&Shard| (shard.number < request.preferred, shard.number);
    let roomy = shards.iter().filter(|shard| shard.remaining >= amount).min_by_key(behind);
    if let Some(shard) = roomy {
        return vec![Take { shard: shard.number, amount }];
    }
    let mut largest: Vec<&Shard> = shards.iter().collect();
    largest.sort_by_key(|shard| (std::cmp::Reverse(shard.remaining), shard.number));
    let mut left = amount;
    let mut takes = Vec::new();
    for shard in largest {
        let amount = shard.remaining.min(left);
        if amount > 0 {
            takes.push(Take { shard: shard.number, amount });
            left = left.saturating_sub(amount);
        }
    }
    takes
}
