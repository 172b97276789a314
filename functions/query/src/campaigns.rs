//! v2: campaigns and their audit. Every caller reads them; with `AUTH=signed`, every key that has the
//! scope `read`.

use std::collections::BTreeMap;

use axum::extract::State;
use http::StatusCode;
use largesse_app::campaign::read;
use largesse_domain::campaign::{Actor, AuditEntry};
use largesse_domain::id::CampaignId;
use largesse_edge::campaign::CampaignView;
use largesse_edge::openapi::{CallerHeader, CampaignPath, PageQuery};
use largesse_edge::query::Query;
use largesse_edge::{Answer, ApiError, App, Call, time};
use serde::Serialize;
use utoipa::ToSchema;

use crate::Deps;

/// A page of campaigns.
#[derive(Debug, Serialize, ToSchema)]
pub struct CampaignPage {
    /// The campaigns, newest first, without their counters.
    campaigns: Vec<CampaignView>,
    /// The start of the next page; absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// One action on a campaign.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditView {
    /// Its place: 1, 2, 3 … without gaps.
    #[schema(example = 7)]
    seq: u64,
    /// When.
    #[schema(example = "2026-01-31T09:00:00.000Z", format = DateTime)]
    at: String,
    /// Who; absent when the service itself acted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "ann")]
    by: Option<String>,
    /// What was done: `create`, `part`, `seal`, `sealed`, `seal_failed`, `approve`, `start`, `force`,
    /// `run`, `stop`, `end`, `fail`, `retry`, `rollback` or `rolled_back`.
    #[schema(example = "stop")]
    action: String,
    /// With what.
    #[schema(example = json!({"memo": "wrong amounts"}))]
    details: BTreeMap<String, String>,
    /// The hash of the entry before.
    previous: String,
    /// The hash of this entry, over all of the above.
    hash: String,
}

impl From<AuditEntry> for AuditView {
    fn from(entry: AuditEntry) -> Self {
        let by = match entry.by {
            Actor::Member(user) => Some(user.to_string()),
            Actor::System => None,
        };
        Self {
            seq: entry.seq,
            at: time::format(entry.at),
            by,
            action: entry.action,
            details: entry.details,
            previous: entry.previous.to_string(),
            hash: entry.hash.to_string(),
        }
    }
}

/// A page of an audit.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditPage {
    /// The entries, the first action first.
    entries: Vec<AuditView>,
    /// The start of the next page; absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// List campaigns
///
/// Newest first, of all creators. A new campaign can be missing for a second.
#[utoipa::path(
    get, path = "/api/v2/campaigns", tag = "campaign", operation_id = "listCampaigns",
    params(CallerHeader, PageQuery),
    responses((status = 200, description = "A page of campaigns.", body = CampaignPage))
)]
pub async fn list<D: Deps>(State(app): State<App<D>>, call: Call) -> Result<Answer, ApiError> {
    let caller = call.caller()?;
    let query = Query::of(&call, &["limit", "cursor"])?;
    let limit = query.limit()?;
    let (scope, cursors) = (query.scope(&call, &caller), app.cursors()?);
    let before: Option<CampaignId> =
        query.text("cursor").map(|text| cursors.open(&scope, text)).transpose()?;
    let page = read::list(&*app.deps, before, limit).await?;
    let view = |campaign| CampaignView::new(campaign, None, app.edge.money);
    let page = CampaignPage {
        campaigns: page.rows.iter().map(view).collect(),
        next_cursor: page.next.map(|next| cursors.seal(&scope, &next.to_string())),
    };
    Answer::json(StatusCode::OK, &page)
}

/// Read a campaign
#[utoipa::path(
    get, path = "/api/v2/campaigns/{id}", tag = "campaign", operation_id = "getCampaign",
    params(CallerHeader, CampaignPath),
    responses(
        (status = 200, description = "The campaign.", body = CampaignView),
        (status = 404, description = "ERR005"),
    )
)]
pub async fn one<D: Deps>(State(app): State<App<D>>, call: Call) -> Result<Answer, ApiError> {
    call.caller()?;
    Query::of(&call, &[])?;
    let id: CampaignId = call.path("id")?;
    let view = read::show(&*app.deps, id).await?.ok_or_else(ApiError::not_found)?;
    let tally = view.counts.map(|counts| counts.tally);
    let view = CampaignView::new(&view.campaign, tally.as_ref(), app.edge.money);
    Answer::json(StatusCode::OK, &view)
}

/// Read the audit of a campaign
///
/// Every action, each entry chained to the one before by its hash.
#[utoipa::path(
    get, path = "/api/v2/campaigns/{id}/audit", tag = "campaign",
    operation_id = "getCampaignAudit",
    params(CallerHeader, CampaignPath, PageQuery),
    responses(
        (status = 200, description = "A page of the audit.", body = AuditPage),
        (status = 404, description = "ERR005"),
    )
)]
pub async fn audit<D: Deps>(State(app): State<App<D>>, call: Call) -> Result<Answer, ApiError> {
    let caller = call.caller()?;
    let query = Query::of(&call, &["limit", "cursor"])?;
    let limit = query.limit()?;
    let (scope, cursors) = (query.scope(&call, &caller), app.cursors()?);
    let after: Option<u64> =
        query.text("cursor").map(|text| cursors.open(&scope, text)).transpose()?;
    let id: CampaignId = call.path("id")?;
    let page = read::audit(&*app.deps, id, after.unwrap_or_default(), limit).await?;
    let page = page.ok_or_else(ApiError::not_found)?;
    let page = AuditPage {
        entries: page.rows.into_iter().map(Into::into).collect(),
        next_cursor: page.next.map(|next| cursors.seal(&scope, &next.to_string())),
    };
    Answer::json(StatusCode::OK, &page)
}
