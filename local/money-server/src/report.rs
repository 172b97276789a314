//! What the books hold, in numbers.

use serde::{Deserialize, Serialize};

/// What the books hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Calls of the API, refused ones included.
    pub calls: u64,
    /// Ids that were accepted or refused.
    pub transfers: u64,
    /// Transfers that are paid and not reversed.
    pub paid: u64,
    /// Transfers that are not decided.
    pub pending: u64,
    /// Transfers whose last attempt was refused.
    pub refused: u64,
    /// Transfers that were paid and reversed.
    pub reversed: u64,
    /// What was paid, reversed ones included, in minor units.
    pub paid_sum: u64,
    /// What was reversed.
    pub reversed_sum: u64,
    /// What members spent.
    pub spent_sum: u64,
    /// What members hold.
    pub held_sum: u64,
    /// Ids under which money moved to a member more than once: always 0, or this server is wrong.
    pub paid_twice: u64,
    /// Calls with the id of a transfer and other content.
    pub duplicates: u64,
    /// Payments of another amount than was asked for.
    pub wrong_amounts: u64,
    /// Refusals, attempts that were decided later included.
    pub refusals: u64,
    /// Verdicts on what was decided already: they changed nothing.
    pub verdicts_ignored: u64,
    /// Calls above the limit.
    pub limit_violations: u64,
    /// The most calls in any sliding second.
    pub peak_per_s: u64,
    /// The most calls that were under way at once.
    pub peak_at_once: u64,
}
