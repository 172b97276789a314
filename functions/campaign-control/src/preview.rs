//! What a rollback would do, on the wire.

use largesse_app::campaign::preview::{Preview, Shortfall};
use serde::Serialize;
use utoipa::ToSchema;

/// Payments that could not be taken back, because their members have spent them. Estimated from
/// `sampled_rows` rows when these are fewer than `rows` of the rollback.
#[derive(Debug, Serialize, ToSchema)]
pub struct ShortfallView {
    /// How many payments. Nothing of them is taken back.
    #[schema(example = 3)]
    rows: u64,
    /// What these payments sum to.
    #[schema(example = 3_000)]
    amount: u64,
    /// What their wallets lack.
    #[schema(example = 1_200)]
    missing: u64,
    /// Of how many rows the wallets were read: of all, up to 10,000.
    #[schema(example = 990)]
    sampled_rows: u64,
}

impl From<Shortfall> for ShortfallView {
    fn from(shortfall: Shortfall) -> Self {
        let Shortfall { rows, amount, missing, sampled_rows } = shortfall;
        Self { rows, amount, missing, sampled_rows }
    }
}

/// What a rollback would do now.
#[derive(Debug, Serialize, ToSchema)]
pub struct PreviewView {
    /// How many payments it would take back, those of unknown outcome included.
    #[schema(example = 990)]
    rows: u64,
    /// What they sum to.
    #[schema(example = 990_000)]
    amount: u64,
    /// Which of them it could not take back; `null` when that is not known.
    #[schema(required = true)]
    shortfall: Option<ShortfallView>,
    /// Why it is not known; absent when it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "an HTTP money service keeps the wallets")]
    shortfall_unknown: Option<String>,
}

impl From<Preview> for PreviewView {
    fn from(preview: Preview) -> Self {
        let Preview { rows, amount, shortfall } = preview;
        let (shortfall, shortfall_unknown) = match shortfall {
            Ok(shortfall) => (Some(shortfall.into()), None),
            Err(why) => (None, Some(why.to_string())),
        };
        Self { rows, amount, shortfall, shortfall_unknown }
    }
}
