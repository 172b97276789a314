//! The proof of the ledger: issued = wallets + held + escrows, and each wallet and each pool for
//! itself, while money moves.
//!
//! # What is proved, and why it holds while money moves
//! No moment of the whole ledger is read. Each check compares what was read with what must have
//! been there before it, or with it:
//! * **A wallet** is read before its transfers. Those up to its sequence were written before or
//!   with it, so they form its whole chain; later ones are left out
//!   ([`largesse_domain::audit::Chain`]). A wallet that is read again after its transfers has at
//!   least the highest sequence among them.
//! * **A transfer** between a wallet and a pool is explained by the pool: an entry, the funding,
//!   the closed buckets, an investment. That is written before the transfer or with it and never
//!   removed, and is read after it ([`largesse_domain::audit::explains`]). So a second payment is
//!   found, and an entry that is gone.
//! * **A pool** is read first, then the transfers that it leads to. What was drawn later is not in
//!   what was read.
//! * **The totals** are sums over the same wallets and transfers, so they add up exactly.
//!
//! What is archived is gone from the tables; its tombstone explains its transfers
//! ([`crate::archive`]).
//!
//! A refund, a promotion or a settlement may still come between two reads of a proof, and a read
//! may meet a transaction half written (a scan is not isolated from transactions: Amazon DynamoDB
//! Developer Guide, "Isolation levels"). So what does not add up is read again, some moments apart,
//! and only what still does not is a finding. An error does not go away.
//!
//! # Cost
//! One scan of `ledger`, `pools` and `products`; for each transfer of a pool a read of that pool,
//! and for each pool the transfers that it leads to, by keys. Memory: a page for each segment, and
//! the largest pool or product.
//!
//! # Guarantees
//! * Each planted error is found and names what is wrong: `a_planted_error_is_found_and_named`.
//! * Money that moves during the pass raises no false alarm: `a_busy_ledger_gives_no_false_alarm`.
//! * A pass that is killed anywhere is finished by the next run, and counts nothing twice:
//!   `a_pass_that_is_killed_at_any_await_is_finished_by_the_next_run`.

mod campaigns;
mod confirm;
pub mod daily;
pub mod freeze;
mod ledger;
mod pass;
mod pools;
mod products;
mod reasons;
mod walk;

pub use pass::{Counts, FINDINGS_MAX, Pass, Place, SEGMENTS, Stage};
pub(crate) use pools::books_of;
pub(crate) use products::adds_up as product_adds_up;
pub use walk::Walk;

use largesse_domain::id::PoolId;

use crate::ports::{
    Clock, DropReads, Grants, Pause, Pools, PortResult, Products, Scans, Settlements, Sprays,
    Tombstones, Wallets,
};

/// The ports that a proof reads through. It writes nothing.
pub trait Reads:
    Scans
    + Wallets
    + Sprays
    + Pools
    + DropReads
    + Products
    + Settlements
    + Grants
    + Tombstones
    + Clock
    + Pause
{
}

impl<T> Reads for T where
    T: Scans
        + Wallets
        + Sprays
        + Pools
        + DropReads
        + Products
        + Settlements
        + Grants
        + Tombstones
        + Clock
        + Pause
{
}

/// How often something is read that does not add up, before it is a finding.
const TRIES_MAX: u32 = 4;
/// How long the first wait between two of these reads is; each further one is twice as long.
/// Together 3.5 s: a transaction is written in far less.
const PAUSE_MS: u64 = 500;
/// Pools, wallets and investments read at the same time for one page.
const CONCURRENCY: usize = 16;

/// What does not add up in a pool that is not archived. The items of one that is are removed one after
/// another, so that what is left of it adds up at no time. The tombstone is read only when something
/// was found.
async fn unless_archived<D: Tombstones, T>(
    deps: &D,
    pool: PoolId,
    found: Vec<T>,
) -> PortResult<Vec<T>> {
    let is_archived = !found.is_empty() && deps.tombstone(pool).await?.is_some();
    Ok(if is_archived { Vec::new() } else { found })
}

/// How long to wait after the try of that number, from 0; `None` after the last.
fn pause_after(tried: u32) -> Option<u64> {
    let is_last = tried.saturating_add(1) >= TRIES_MAX;
    (!is_last).then(|| PAUSE_MS.saturating_mul(2_u64.saturating_pow(tried)))
}
