//! The bodies of actions.

use std::str::FromStr;

use largesse_domain::campaign::Hash;
use largesse_domain::ledger::Memo;
use largesse_edge::extract::{given, parsed};
use serde::Deserialize;
use utoipa::ToSchema;

/// A hash as a caller writes it.
#[derive(Clone, Copy, Debug)]
pub struct ContentHash(pub Hash);

/// A text that is no hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("64 lower-case hexadecimal digits")]
pub struct NoHash;

impl FromStr for ContentHash {
    type Err = NoHash;

    fn from_str(text: &str) -> Result<Self, NoHash> {
        text.parse().map(Self).map_err(|_| NoHash)
    }
}

/// Why somebody acts.
#[derive(Clone, Debug)]
pub struct Why(pub Memo);

/// A text that says nothing, or more than a memo can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("1 to 200 characters, not all blank, none of them a control character")]
pub struct NoReason;

impl FromStr for Why {
    type Err = NoReason;

    fn from_str(text: &str) -> Result<Self, NoReason> {
        let memo = Memo::new(text).map_err(|_| NoReason)?;
        if text.trim().is_empty() { Err(NoReason) } else { Ok(Self(memo)) }
    }
}

/// The content that is approved or started.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ContentRequest {
    /// The `content_hash` of the sealed campaign.
    #[serde(deserialize_with = "parsed")]
    #[schema(value_type = String, min_length = 64, max_length = 64, pattern = "^[0-9a-f]{64}$")]
    pub content_hash: ContentHash,
}

/// The content that is started beside other campaigns.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ForceRequest {
    /// The `content_hash` of the sealed campaign.
    #[serde(deserialize_with = "parsed")]
    #[schema(value_type = String, min_length = 64, max_length = 64, pattern = "^[0-9a-f]{64}$")]
    pub content_hash: ContentHash,
    /// Why; it is kept in the audit.
    #[serde(deserialize_with = "parsed")]
    #[schema(value_type = String, min_length = 1, max_length = 200, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$", example = "payday is today")]
    pub memo: Why,
}

/// Why a campaign is stopped.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StopRequest {
    /// Why; it is kept in the audit.
    #[serde(deserialize_with = "parsed")]
    #[schema(value_type = String, min_length = 1, max_length = 200, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$", example = "wrong amounts")]
    pub memo: Why,
}

/// Why a campaign is rolled back.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RollbackRequest {
    /// Why; it is kept in the audit.
    #[serde(deserialize_with = "parsed")]
    #[schema(value_type = String, min_length = 1, max_length = 200, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$", example = "wrong amounts")]
    pub memo: Why,
    /// Whether to tell only what a rollback would do, and do nothing.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = bool, required = false, default = false)]
    pub dry_run: Option<bool>,
}
