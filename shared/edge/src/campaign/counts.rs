//! The counters of a campaign on the wire.

use largesse_domain::campaign::{RowState, Sum, Tally};
use serde::Serialize;
use utoipa::ToSchema;

/// Rows by where they stand. Each row is in one of them.
#[derive(Debug, Serialize, ToSchema)]
pub struct CountsView {
    /// All.
    #[schema(example = 1_499)]
    rows: u64,
    /// To be sent.
    #[schema(example = 999)]
    pending: u64,
    /// Sent, and the outcome is not known: it is looked up before anything is sent again.
    #[schema(example = 2)]
    processing: u64,
    /// Paid.
    #[schema(example = 490)]
    success: u64,
    /// Refused by the money service for the last time.
    #[schema(example = 8)]
    failed: u64,
    /// Taken back.
    #[schema(example = 0)]
    reversed: u64,
    /// Paid and not taken back whole.
    #[schema(example = 0)]
    shortfall: u64,
}

/// The same, as amounts.
#[derive(Debug, Serialize, ToSchema)]
pub struct AmountsView {
    /// Of all rows.
    #[schema(example = 1_499_000)]
    rows: u64,
    /// Of rows to be sent.
    #[schema(example = 999_000)]
    pending: u64,
    /// Of rows whose outcome is not known.
    #[schema(example = 2_000)]
    processing: u64,
    /// Paid.
    #[schema(example = 490_000)]
    success: u64,
    /// Of rows that failed.
    #[schema(example = 8_000)]
    failed: u64,
    /// Taken back.
    #[schema(example = 0)]
    reversed: u64,
    /// Of rows that were not taken back whole.
    #[schema(example = 0)]
    shortfall: u64,
}

/// A column of a tally: rows or amounts.
fn column(tally: &Tally, of: fn(Sum) -> u64) -> CountsView {
    let (pending, processing) = (of(tally.pending), of(tally.unknown));
    let (success, failed) = (of(tally.success), of(tally.failed));
    let (reversed, shortfall) = (of(tally.reversed), of(tally.shortfall));
    let all = [pending, processing, success, failed, reversed, shortfall];
    let rows = all.into_iter().fold(0, u64::saturating_add);
    CountsView { rows, pending, processing, success, failed, reversed, shortfall }
}

impl From<&Tally> for CountsView {
    fn from(tally: &Tally) -> Self {
        column(tally, |sum| sum.rows)
    }
}

impl From<&Tally> for AmountsView {
    fn from(tally: &Tally) -> Self {
        let CountsView { rows, pending, processing, success, failed, reversed, shortfall } =
            column(tally, |sum| sum.amount);
        Self { rows, pending, processing, success, failed, reversed, shortfall }
    }
}

/// The name of a row's state on the wire: as [`CountsView`] names it.
#[must_use]
pub const fn status_name(state: &RowState) -> &'static str {
    match state {
        RowState::Unknown => "PROCESSING",
        RowState::Pending
        | RowState::Success
        | RowState::Failed { .. }
        | RowState::Reversed
        | RowState::Shortfall { .. } => state.as_str(),
    }
}
