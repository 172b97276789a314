//! The shapes of the API.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A transfer that is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Order {
    /// Its permanent id: 1 to 128 of `[A-Za-z0-9_:.-]`. The same as `Idempotency-Key`.
    pub id: String,
    /// Who is paid.
    pub member: String,
    /// How much, in the currency's minor unit, at least 1.
    #[schema(minimum = 1, maximum = 1_000_000_000_000_u64)]
    pub amount: u64,
    /// What for.
    pub reason: String,
    /// The account that pays.
    pub source: String,
    /// Who put the money there, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub funder: Option<String>,
    /// What for, in words for the member: at most 200 characters, none a control character.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memo: Option<String>,
}

/// Where a transfer stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// The money moved.
    Paid,
    /// It is accepted, and neither paid nor refused yet.
    Pending,
    /// It was refused. No money moved.
    Refused,
    /// The money moved, and moved back.
    Reversed,
}

/// A transfer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Transfer {
    /// Its permanent id.
    pub id: String,
    /// Where it stands.
    pub status: Status,
    /// How much moved, or is to move.
    pub amount: u64,
    /// Who is paid.
    pub member: String,
}

/// Why a request came to nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// A word for programs: 1 to 32 of `[a-z0-9_]`.
    pub code: String,
    /// A sentence for people.
    pub detail: String,
    /// How much the member lacks; with `code` `shortfall` only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing: Option<u64>,
}
