//! A product: members invest in it until its target is reached or its window is over.
//!
//! The capacity lies in shards, so that many invest at the same time. It only falls: money returns
//! from a product only after it has closed. At its end a product is settled once: what was raised is
//! paid out to the issuer, or, below the minimum, every investment is refunded.
//!
//! # Guarantees
//! * Capacities sum to the target: `the_shards_hold_the_target_to_the_last_won`.
//! * What fits is taken, whole and from shards that have it; what does not fit is refused:
//!   `an_amount_is_taken_exactly_when_the_shards_have_it`.
//! * Refusals come in one order: `refusals_come_in_the_order_of_precedence`.
//! * A product whose minimum is missed refunds, and any other pays out:
//!   `a_product_is_settled_once_it_is_over_or_sold_out`.

mod invest;
mod settle;
mod terms;

pub use invest::{Position, Refusal, Request, Shard, Sums, Take, decide};
pub use settle::{Outcome, Settled, State};
pub use terms::{Limits, SHARDS_MAX, Terms, TermsError, Title, TitleError, capacities};

use crate::id::{InvestmentId, PoolId, ProductId, TransferId, UserId, random_part};
use crate::ledger::{TransferKind, TransferOrder};
use crate::money::Amount;
use crate::time::Timestamp;
use ulid::Ulid;

/// A product.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Product {
    /// Its id.
    pub id: ProductId,
    /// Who made it.
    pub creator: UserId,
    /// What it offers.
    pub terms: Terms,
    /// How many shards its capacity has.
    pub shards: u32,
    /// When it was seen to be sold out.
    pub sold_out: Option<Timestamp>,
    /// How it ended.
    pub settled: Option<Settled>,
    /// Since when a wallet is too full for what the product owes it: the issuer's, or an investor's.
    pub refused: Option<Timestamp>,
}

impl Product {
    /// A new product.
    #[must_use]
    pub fn new(id: ProductId, creator: UserId, terms: Terms) -> Self {
        let shards = terms.shards();
        Self { id, creator, terms, shards, sold_out: None, settled: None, refused: None }
    }

    /// Its escrow.
    #[must_use]
    pub const fn pool(&self) -> PoolId {
        PoolId::Product(self.id)
    }

    /// Its shards when it is made.
    #[must_use]
    pub fn first_shards(&self) -> Vec<Shard> {
        let capacities = capacities(self.terms.target, self.shards).into_iter();
        let shard = |(number, capacity)| Shard {
            number,
            capacity,
            remaining: capacity,
            investors: 0,
            is_closed: false,
        };
        (0..self.shards).zip(capacities).map(shard).collect()
    }

    /// In which of as many parts as there are shards a member's investments lie.
    #[must_use]
    pub fn part_of(&self, investor: &UserId) -> u32 {
        self.one_of(random_part(&[investor.as_str()]))
    }

    /// The shard that an investment tries first.
    #[must_use]
    pub fn preferred(&self, id: InvestmentId) -> u32 {
        self.one_of(id.0.random())
    }

    fn one_of(&self, number: u128) -> u32 {
        let number = number.checked_rem(u128::from(self.shards)).unwrap_or(0);
        u32::try_from(number).unwrap_or(0)
    }
}

/// An investment, with the terms as they were.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Investment {
    /// Its id.
    pub id: InvestmentId,
    /// In what.
    pub product: ProductId,
    /// Who invests.
    pub investor: UserId,
    /// How much.
    pub amount: Amount,
    /// The investor's position in the product with this investment.
    pub position: Position,
    /// What remained after it, as the investor was told.
    pub remaining: u64,
    /// The terms.
    pub terms: Terms,
    /// When.
    pub at: Timestamp,
    /// Whether it was refunded.
    pub is_refunded: bool,
}

impl Investment {
    /// The transfer that pays it: wallet → escrow.
    #[must_use]
    pub fn order(&self) -> TransferOrder {
        TransferOrder {
            id: TransferId(self.id.0),
            wallet: self.investor.clone(),
            kind: TransferKind::Investment,
            amount: self.amount,
            at: made_at(self.id.0),
            pool: Some(PoolId::Product(self.product)),
            counterpart: Some(self.terms.issuer.clone()),
            memo: None,
        }
    }

    /// The transfer that refunds it: escrow → wallet, when the window is over. The investment alone
    /// decides its id, so it is refunded at most once.
    #[must_use]
    pub fn refund(&self) -> TransferOrder {
        TransferOrder {
            id: derived(&self.id.to_string(), "refund", self.terms.window.closes),
            kind: TransferKind::Refund,
            at: self.terms.window.closes,
            counterpart: None,
            ..self.order()
        }
    }
}

/// The moment in an id.
#[must_use]
pub fn made_at(id: Ulid) -> Timestamp {
    Timestamp::from_ms(i64::try_from(id.timestamp_ms()).unwrap_or(i64::MAX))
}

/// The id of a transfer that follows from `name`, decided at `at`.
fn derived(name: &str, purpose: &str, at: Timestamp) -> TransferId {
    TransferId(Ulid::from_parts(at.ms_unsigned(), random_part(&[name, purpose])))
}

#[cfg(test)]
mod tests;
