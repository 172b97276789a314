//! v2: sprays, for their sender.

use axum::extract::State;
use http::StatusCode;
use largesse_app::spray::read::{Claim, SprayDetail, SprayRow, by_id, by_token, detail, mine};
use largesse_domain::grant::GrantStatus;
use largesse_domain::id::{SprayId, Token};
use largesse_domain::time::Timestamp;
use largesse_edge::openapi::{CallerHeader, PageQuery};
use largesse_edge::query::Query;
use largesse_edge::{Answer, ApiError, App, Call, limits, time};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{Deps, refuse};

/// The length of a ULID as text, which distinguishes the id of a spray from its token.
const ID_LEN: usize = 26;

/// One claim.
#[derive(Debug, Serialize, ToSchema)]
pub struct ClaimView {
    /// The member who claimed.
    #[schema(example = "bob")]
    user: String,
    /// The amount of the share.
    #[schema(example = 3_337)]
    amount: u64,
    /// The number of the share, from 0: with the seed, anyone recomputes the share of that number.
    #[schema(example = 0)]
    share: u64,
    /// When it was claimed.
    #[schema(example = "2026-01-31T09:00:12.345Z", format = DateTime)]
    claimed_at: String,
    /// The state of the payment: PENDING, SUCCESS, FAILED, PERMANENTLY_FAILED or VOIDED.
    #[schema(example = "SUCCESS")]
    status: &'static str,
}

impl ClaimView {
    /// All claims of a spray, with where their payments stand.
    pub fn all(detail: &SprayDetail) -> Vec<Self> {
        let view = |(claim, status): (&Claim, &GrantStatus)| Self {
            user: claim.member.to_string(),
            amount: claim.amount.get(),
            share: claim.number,
            claimed_at: time::format(claim.at),
            status: status.as_str(),
        };
        detail.claims.iter().zip(&detail.statuses).map(view).collect()
    }
}

/// The refund to the sender of a spray, or to the funder of a drop.
#[derive(Debug, Serialize, ToSchema)]
pub struct RefundView {
    /// The amount; 0 when everything was taken.
    #[schema(example = 6_663)]
    amount: u64,
    /// When it was returned.
    #[schema(example = "2026-01-31T09:11:00.000Z", format = DateTime)]
    refunded_at: String,
}

impl RefundView {
    /// What was returned, and when.
    pub fn of(amount: u64, at: Timestamp) -> Self {
        Self { amount, refunded_at: time::format(at) }
    }
}

/// A spray.
#[derive(Debug, Serialize, ToSchema)]
pub struct SprayView {
    /// The permanent id.
    #[schema(example = "01K9Z3NDEKTSV4RRFFQ69G5FAV")]
    spray_id: String,
    /// The token at creation; a later spray can have the same token.
    #[schema(example = "A7Q")]
    token: String,
    /// The whole amount.
    #[schema(example = 10_000)]
    amount: u64,
    /// The number of shares.
    #[schema(example = 3)]
    recipients: u32,
    /// How the amount is split: `random` or `equal`.
    #[schema(example = "random")]
    split: &'static str,
    /// When it was created.
    #[schema(example = "2026-01-31T09:00:00.000Z", format = DateTime)]
    created_at: String,
    /// The moment from which it cannot be claimed.
    #[schema(example = "2026-01-31T09:10:00.000Z", format = DateTime)]
    expires_at: String,
    /// `open`, `over` (it cannot be claimed any more) or `refunded`.
    #[schema(example = "open")]
    status: &'static str,
    /// The sum of the claimed shares.
    #[schema(example = 3_337)]
    claimed_amount: u64,
    /// The number of claimed shares.
    #[schema(example = 1)]
    claimed_count: u64,
    /// The claims, the earliest first; absent in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    claims: Option<Vec<ClaimView>>,
    /// The refund; absent before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    refund: Option<RefundView>,
    /// SHA-256 of the seed from which the shares are computed.
    seed_hash: String,
    /// The seed, after the spray is over: with it, anyone can recompute the shares.
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<String>,
}

impl SprayView {
    fn new(row: &SprayRow, claims: Option<Vec<ClaimView>>, now: Timestamp) -> Self {
        let spray = &row.spray;
        let status = match spray.refund {
            Some(_) => "refunded",
            None if spray.window.is_over(now) => "over",
            None => "open",
        };
        let refund = spray.refund.map(|refund| RefundView::of(refund.amount, refund.at));
        Self {
            spray_id: spray.id.to_string(),
            token: spray.token.to_string(),
            amount: spray.amount.get(),
            recipients: spray.recipients,
            split: spray.split.as_str(),
            created_at: time::format(spray.created_at()),
            expires_at: time::format(spray.window.closes),
            status,
            claimed_amount: row.claimed_amount,
            claimed_count: row.claimed_count,
            claims,
            refund,
            seed_hash: hex::encode(spray.seed.commitment()),
            seed: spray.revealed_seed(now).map(|seed| hex::encode(seed.0)),
        }
    }

    /// The totals are the sums of the claims that are listed.
    fn of(detail: &SprayDetail) -> Self {
        let amounts = detail.claims.iter().map(|claim| claim.amount.get());
        let row = SprayRow {
            spray: detail.spray.clone(),
            claimed_amount: amounts.fold(0, u64::saturating_add),
            claimed_count: u64::try_from(detail.claims.len()).unwrap_or(u64::MAX),
        };
        Self::new(&row, Some(ClaimView::all(detail)), detail.now)
    }
}

/// A page of the caller's sprays.
#[derive(Debug, Serialize, ToSchema)]
pub struct SprayPage {
    /// The sprays, newest first.
    sprays: Vec<SprayView>,
    /// The start of the next page; absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// Read a spray
///
/// Only the sender can read it: by its token in its room (`X-ROOM-ID`) for seven days, by its id
/// without a time limit.
#[utoipa::path(
    get, path = "/api/v2/sprays/{token}", tag = "spray", operation_id = "getSpray",
    params(
        CallerHeader,
        ("X-ROOM-ID" = Option<String>, Header, description = "The room; required with a token.",
            pattern = "^[0-7][0-9A-HJKMNP-TV-Z]{25}$",
            example = "01K9Z3NDEKTSV4RRFFQ69G5FAV"),
        ("token" = String, Path, description = "The spray's token, or its id.", example = "A7Q"),
    ),
    responses(
        (status = 200, description = "The spray.", body = SprayView),
        (status = 403, description = "ERR004"),
        (status = 404, description = "ERR005"),
        (status = 410, description = "ERR104"),
    )
)]
pub async fn one<D: Deps>(State(app): State<App<D>>, call: Call) -> Result<Answer, ApiError> {
    let caller = call.caller()?;
    Query::of(&call, &[])?;
    let spray = if call.param("token").len() == ID_LEN {
        let id: SprayId = call.path("token")?;
        by_id(&*app.deps, id, &caller).await.map_err(refuse)?
    } else {
        let room = call.room()?;
        let token: Token = call.path("token")?;
        let misses = limits::misses_of(&app.edge, &call);
        by_token(&*app.deps, token, Some(room), &caller, &misses).await.map_err(refuse)?
    };
    Answer::json(StatusCode::OK, &SprayView::of(&detail(&*app.deps, spray).await?))
}

/// List the caller's sprays
///
/// Newest first, without a time limit. A new spray can be missing for a second.
#[utoipa::path(
    get, path = "/api/v2/sprays", tag = "spray", operation_id = "listSprays",
    params(CallerHeader, PageQuery),
    responses((status = 200, description = "A page of sprays.", body = SprayPage))
)]
pub async fn list<D: Deps>(State(app): State<App<D>>, call: Call) -> Result<Answer, ApiError> {
    let caller = call.caller()?;
    let query = Query::of(&call, &["limit", "cursor"])?;
    let limit = query.limit()?;
    let (scope, cursors) = (query.scope(&call, &caller), app.cursors()?);
    let after: Option<SprayId> =
        query.text("cursor").map(|text| cursors.open(&scope, text)).transpose()?;
    let page = mine(&*app.deps, &caller, after, limit).await?;
    let now = app.deps.now();
    let page = SprayPage {
        sprays: page.rows.iter().map(|row| SprayView::new(row, None, now)).collect(),
        next_cursor: page.next.map(|next| cursors.seal(&scope, &next.to_string())),
    };
    Answer::json(StatusCode::OK, &page)
}
