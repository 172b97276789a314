//! v2: the rows of a campaign and its progress.

use std::fmt::{self, Display};
use std::str::FromStr;

use axum::extract::State;
use http::StatusCode;
use largesse_app::campaign::progress::{self, SERIES_MAX};
use largesse_app::campaign::standing::{self, RowCursor, Standing};
use largesse_app::ports::StoredSnapshot;
use largesse_domain::campaign::{RowState, Snapshot, eta_s, rows_per_1000_s};
use largesse_domain::id::{CampaignId, UserId};
use largesse_domain::time::Timestamp;
use largesse_edge::campaign::{CountsView, status_name};
use largesse_edge::openapi::{CallerHeader, CampaignPath, PageQuery};
use largesse_edge::query::Query;
use largesse_edge::{Answer, ApiError, App, Call, time};
use serde::Serialize;
use utoipa::ToSchema;

use crate::Deps;

/// What `status` may be.
const STATUSES: [&str; 6] = ["PENDING", "PROCESSING", "SUCCESS", "FAILED", "REVERSED", "SHORTFALL"];

/// A row and where it stands.
#[derive(Debug, Serialize, ToSchema)]
pub struct RowView {
    /// Who is paid.
    #[schema(example = "00042")]
    member_id: String,
    /// How much.
    #[schema(example = 1_000)]
    amount: u64,
    /// What for.
    #[schema(example = "출석 보상")]
    reason: String,
    /// `PENDING`, `PROCESSING` (sent, the outcome is not known), `SUCCESS`, `FAILED`, `REVERSED` or
    /// `SHORTFALL`.
    #[schema(example = "FAILED")]
    status: &'static str,
    /// How many sends were refused since the row was opened last.
    #[schema(example = 4)]
    attempts: u32,
    /// For `FAILED`: why, in the words of the money service.
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<String>,
    /// For `SHORTFALL`: how much could not be taken back.
    #[serde(skip_serializing_if = "Option::is_none")]
    missing: Option<u64>,
}

impl From<Standing> for RowView {
    fn from(Standing { row, state, attempts }: Standing) -> Self {
        let status = status_name(&state);
        let (failure, missing) = match state {
            RowState::Failed { reason, .. } => (Some(reason.as_str().to_owned()), None),
            RowState::Shortfall { missing } => (None, Some(missing.get())),
            RowState::Pending | RowState::Unknown | RowState::Success | RowState::Reversed => {
                (None, None)
            }
        };
        Self {
            member_id: row.member.to_string(),
            amount: row.amount.get(),
            reason: row.reason.as_str().to_owned(),
            status,
            attempts,
            failure,
            missing,
        }
    }
}

/// A page of rows.
#[derive(Debug, Serialize, ToSchema)]
pub struct RowPage {
    /// The rows, in an order of the service's own.
    rows: Vec<RowView>,
    /// The start of the next page; absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// A place among the rows, as a cursor carries it.
pub(crate) struct PlaceOfRow(pub(crate) RowCursor);

impl FromStr for PlaceOfRow {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (chunk, rows) = text.split_once('.').ok_or(())?;
        let number = |text: &str| text.parse().map_err(|_| ());
        Ok(Self(RowCursor { chunk: number(chunk)?, rows: number(rows)? }))
    }
}

impl Display for PlaceOfRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0.chunk, self.0.rows)
    }
}

/// List the rows of a campaign
///
/// Of one status, or all. One request reads at most 500 chunks of some 100 rows, so a page with a
/// `next_cursor` may have fewer rows than `limit`, or none. Before the seal there are no rows.
#[utoipa::path(
    get, path = "/api/v2/campaigns/{id}/rows", tag = "campaign", operation_id = "listCampaignRows",
    params(
        CallerHeader, CampaignPath,
        ("status" = Option<String>, Query, description = "Only rows of this status.",
            pattern = "^(PENDING|PROCESSING|SUCCESS|FAILED|REVERSED|SHORTFALL)$"),
        PageQuery,
    ),
    responses(
        (status = 200, description = "A page of rows.", body = RowPage),
        (status = 404, description = "ERR005"),
    )
)]
pub async fn list<D: Deps>(State(app): State<App<D>>, call: Call) -> Result<Answer, ApiError> {
    let caller = call.caller()?;
    let query = Query::of(&call, &["status", "limit", "cursor"])?;
    let named = |text: &str| STATUSES.into_iter().find(|name| *name == text);
    let expected = "PENDING, PROCESSING, SUCCESS, FAILED, REVERSED or SHORTFALL";
    let status = query.read("status", expected, named)?;
    let limit = query.limit()?;
    let (scope, cursors) = (query.scope(&call, &caller), app.cursors()?);
    let from: Option<PlaceOfRow> =
        query.text("cursor").map(|text| cursors.open(&scope, text)).transpose()?;
    let id: CampaignId = call.path("id")?;
    let is_wanted = |state: &RowState| status.is_none_or(|name| status_name(state) == name);
    let from = from.map(|PlaceOfRow(place)| place).unwrap_or_default();
    let page = standing::rows(&*app.deps, id, is_wanted, from, limit).await?;
    let page = page.ok_or_else(ApiError::not_found)?;
    let page = RowPage {
        rows: page.rows.into_iter().map(Into::into).collect(),
        next_cursor: page.next.map(|next| cursors.seal(&scope, &PlaceOfRow(next).to_string())),
    };
    Answer::json(StatusCode::OK, &page)
}

/// Read the row of a member
#[utoipa::path(
    get, path = "/api/v2/campaigns/{id}/rows/{member}", tag = "campaign",
    operation_id = "getCampaignRow",
    params(
        CallerHeader, CampaignPath,
        ("member" = String, Path, description = "The member.", example = "00042"),
    ),
    responses(
        (status = 200, description = "The row.", body = RowView),
        (status = 404, description = "ERR005"),
    )
)]
pub async fn one<D: Deps>(State(app): State<App<D>>, call: Call) -> Result<Answer, ApiError> {
    call.caller()?;
    Query::of(&call, &[])?;
    let (id, member): (CampaignId, UserId) = (call.path("id")?, call.path("member")?);
    let row = standing::row(&*app.deps, id, &member).await?.ok_or_else(ApiError::not_found)?;
    Answer::json(StatusCode::OK, &RowView::from(row))
}

/// How far a campaign was at a moment.
#[derive(Debug, Serialize, ToSchema)]
pub struct SnapshotView {
    /// When.
    #[schema(example = "2026-01-31T09:00:05.000Z", format = DateTime)]
    at: String,
    /// Rows that were paid.
    #[schema(example = 490)]
    success: u64,
    /// Rows that had failed.
    #[schema(example = 8)]
    failed: u64,
    /// Rows done in 1,000 seconds, since the snapshot before; absent when nothing moved.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 250_000)]
    rate: Option<u64>,
    /// The seconds until no row was open, at that rate.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 3_995)]
    eta_s: Option<u64>,
}

impl SnapshotView {
    /// A snapshot, and the one before it.
    fn new(before: Option<&StoredSnapshot>, snapshot: &StoredSnapshot) -> Self {
        let (success, failed) = (snapshot.tally.success.rows, snapshot.tally.failed.rows);
        let point = |stored: &StoredSnapshot| {
            let done = stored.tally.success.rows.saturating_add(stored.tally.failed.rows);
            Snapshot { at: stored.at, done }
        };
        let before = before.map(point);
        let rate = before.and_then(|before| rows_per_1000_s(before, point(snapshot)));
        let open = snapshot.tally.open();
        let eta_s = before.and_then(|before| eta_s(before, point(snapshot), open));
        Self { at: time::format(snapshot.at), success, failed, rate, eta_s }
    }

    /// A series.
    fn all(series: &[StoredSnapshot]) -> Vec<Self> {
        let before = std::iter::once(None).chain(series.iter().map(Some));
        before.zip(series).map(|(before, snapshot)| Self::new(before, snapshot)).collect()
    }
}

/// How far a campaign is.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProgressView {
    /// The state of the campaign.
    #[schema(example = "RUNNING")]
    state: &'static str,
    /// The counters as they are; absent before the seal.
    #[serde(skip_serializing_if = "Option::is_none")]
    counts: Option<CountsView>,
    /// Rows done in 1,000 seconds, over the last half minute; absent when nothing moved.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 250_000)]
    rate: Option<u64>,
    /// The seconds until no row is open, at that rate.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 3_995)]
    eta_s: Option<u64>,
    /// The series, the earliest first; 1,000 at most.
    snapshots: Vec<SnapshotView>,
}

/// Follow a campaign
///
/// A series for plotting, with a snapshot about every five seconds while it runs.
#[utoipa::path(
    get, path = "/api/v2/campaigns/{id}/progress", tag = "campaign",
    operation_id = "getCampaignProgress",
    params(
        CallerHeader, CampaignPath,
        ("from" = Option<String>, Query, description = "Only snapshots at or after this time (RFC \
            3339), or from the start of this day in UTC.",
            pattern = "^[0-9]{4}-[0-9]{2}-[0-9]{2}(T.*)?$"),
    ),
    responses(
        (status = 200, description = "How far it is.", body = ProgressView),
        (status = 404, description = "ERR005"),
    )
)]
pub async fn progress<D: Deps>(State(app): State<App<D>>, call: Call) -> Result<Answer, ApiError> {
    call.caller()?;
    let query = Query::of(&call, &["from"])?;
    let from = query.time("from", time::parse_from)?.unwrap_or(Timestamp::from_ms(0));
    let id: CampaignId = call.path("id")?;
    let progress = progress::progress(&*app.deps, id, from, SERIES_MAX).await?;
    let progress = progress.ok_or_else(ApiError::not_found)?;
    let counts = progress.view.counts.map(|counts| CountsView::from(&counts.tally));
    let view = ProgressView {
        state: progress.view.campaign.life.state.as_str(),
        counts,
        rate: progress.rows_per_1000_s,
        eta_s: progress.eta_s,
        snapshots: SnapshotView::all(&progress.series),
    };
    Answer::json(StatusCode::OK, &view)
}

#[cfg(test)]
mod tests {
    use super::*;
    use largesse_domain::campaign::{Sum, Tally};
    use serde_json::json;

    #[test]
    fn a_snapshot_has_the_rate_since_the_one_before() {
        let sum = |rows| Sum { rows, amount: rows };
        let stored = |ms, pending, success, failed| {
            let (pending, success, failed) = (sum(pending), sum(success), sum(failed));
            let tally = Tally { pending, success, failed, ..Tally::default() };
            StoredSnapshot { at: Timestamp::from_ms(ms), tally }
        };
        let series = [stored(0, 100, 0, 0), stored(5_000, 50, 40, 10), stored(10_000, 50, 40, 10)];
        let shown = serde_json::to_value(SnapshotView::all(&series)).unwrap();
        let expected = json!([
            { "at": "1970-01-01T00:00:00.000Z", "success": 0, "failed": 0 },
            {
                "at": "1970-01-01T00:00:05.000Z", "success": 40, "failed": 10, "rate": 10_000,
                "eta_s": 5,
            },
            { "at": "1970-01-01T00:00:10.000Z", "success": 40, "failed": 10 },
        ]);
        assert_eq!(shown, expected);
    }
}
