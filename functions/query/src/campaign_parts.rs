//! v2: the parts of a campaign, so that an upload that was cut off goes on with what is missing.

use axum::extract::State;
use http::StatusCode;
use largesse_domain::campaign::Part;
use largesse_domain::id::CampaignId;
use largesse_edge::openapi::{CallerHeader, CampaignPath};
use largesse_edge::query::Query;
use largesse_edge::{Answer, ApiError, App, Call};
use serde::Serialize;
use utoipa::ToSchema;

use crate::Deps;

/// A part that was taken.
#[derive(Debug, Serialize, ToSchema)]
pub struct PartRow {
    /// Its number.
    #[schema(example = 1)]
    part: u32,
    /// Its rows: accepted and refused.
    #[schema(example = 1_001)]
    rows: u64,
    /// Rows that count.
    #[schema(example = 1_000)]
    accepted: u64,
    /// Rows that are left out.
    #[schema(example = 1)]
    refused: u64,
    /// SHA-256 of its bytes, in hexadecimal digits.
    hash: String,
}

impl From<Part> for PartRow {
    fn from(part: Part) -> Self {
        Self {
            part: part.number.get(),
            rows: part.rows.saturating_add(part.refused),
            accepted: part.rows,
            refused: part.refused,
            hash: part.hash.to_string(),
        }
    }
}

/// The parts of a campaign.
#[derive(Debug, Serialize, ToSchema)]
pub struct PartList {
    /// All of them, in the order of their numbers.
    parts: Vec<PartRow>,
}

/// List the parts of a campaign
///
/// The hash of a part is that of its bytes: a caller whose upload was cut off sends only the parts
/// that are not here.
#[utoipa::path(
    get, path = "/api/v2/campaigns/{id}/parts", tag = "campaign",
    operation_id = "listCampaignParts",
    params(CallerHeader, CampaignPath),
    responses(
        (status = 200, description = "The parts.", body = PartList),
        (status = 404, description = "ERR005"),
    )
)]
pub async fn list<D: Deps>(State(app): State<App<D>>, call: Call) -> Result<Answer, ApiError> {
    call.caller()?;
    Query::of(&call, &[])?;
    let id: CampaignId = call.path("id")?;
    if app.deps.campaign(id).await?.is_none() {
        return Err(ApiError::not_found());
    }
    let parts = app.deps.parts(id).await?.into_iter().map(Into::into).collect();
    Answer::json(StatusCode::OK, &PartList { parts })
}
