//! The shapes of the contract (docs/money-openapi.json).

use largesse_domain::grant::Grant;
use serde::{Deserialize, Serialize};

/// A payment that is asked for.
#[derive(Serialize)]
pub(crate) struct Order<'a> {
    id: String,
    member: &'a str,
    amount: u64,
    reason: &'static str,
    source: String,
    funder: &'a str,
}

impl<'a> Order<'a> {
    /// The same at every attempt, since the grant alone decides it.
    pub(crate) fn of(grant: &'a Grant) -> Self {
        Self {
            id: grant.id.to_string(),
            member: grant.member.as_str(),
            amount: grant.amount.get(),
            reason: grant.reason.as_str(),
            source: grant.source.to_string(),
            funder: grant.funder.as_str(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    Paid,
    Pending,
    Refused,
    Reversed,
}

/// A transfer, as the service tells it. Fields of a later version are ignored.
#[derive(Debug, Deserialize)]
pub(crate) struct Transfer {
    id: String,
    pub(crate) status: Status,
    amount: u64,
    member: String,
}

impl Transfer {
    /// Whether it is the grant's.
    pub(crate) fn is_of(&self, grant: &Grant) -> bool {
        self.id == grant.id.to_string()
            && self.amount == grant.amount.get()
            && self.member == grant.member.as_str()
    }
}

/// Why a request came to nothing.
#[derive(Debug, Deserialize)]
pub(crate) struct Problem {
    pub(crate) code: String,
    #[serde(default)]
    pub(crate) missing: Option<u64>,
}
