//! v2: drops, for everybody; an entry, for its member and the funder.

use axum::extract::State;
use http::StatusCode;
use largesse_app::drop::read::{self, DropDetail, DropState};
use largesse_app::drop::standing::{self, MemberStanding};
use largesse_app::ports::DropFigures;
use largesse_domain::drop::DropRecord;
use largesse_domain::grant::GrantStatus;
use largesse_domain::id::{DropId, UserId};
use largesse_domain::time::Timestamp;
use largesse_edge::openapi::{CallerHeader, PageQuery};
use largesse_edge::query::Query;
use largesse_edge::{Answer, ApiError, App, Call, Code, time};
use serde::Serialize;
use utoipa::ToSchema;

use crate::Deps;
use crate::sprays::RefundView;

/// What a drop has given.
#[derive(Debug, Serialize, ToSchema)]
pub struct FiguresView {
    /// The number of slots that are taken, a second or a few old.
    #[schema(example = 9_120)]
    taken: u64,
    /// The number of slots that were paid, as counted at `counted_at`.
    #[schema(example = 9_016)]
    paid: u64,
    /// The number of members whose payment failed for good, as counted at `counted_at`.
    #[schema(example = 3)]
    failed: u64,
    /// The number of members who wait.
    #[schema(example = 0)]
    waiting: u64,
    /// The number of lots; absent without `shuffle_s`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 81_204)]
    lots: Option<u64>,
    /// When the latest of the payments was counted; absent before any was.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "2026-01-31T09:01:12.345Z", format = DateTime)]
    counted_at: Option<String>,
}

impl FiguresView {
    fn new(figures: &DropFigures, has_lots: bool) -> Self {
        let &DropFigures { taken, paid, failed, waiting, counted_at, lots } = figures;
        let (lots, counted_at) = (has_lots.then_some(lots), counted_at.map(time::format));
        Self { taken, paid, failed, waiting, lots, counted_at }
    }
}

/// How a drop begins with lots; nothing when it does not.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct ShuffleView {
    /// For how many seconds from `opens_at` on members enter by lot; absent when they do not.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 30)]
    shuffle_s: Option<u32>,
    /// SHA-256 of the seed from which the order of the lots is computed; absent without `shuffle_s`.
    #[serde(skip_serializing_if = "Option::is_none")]
    seed_hash: Option<String>,
    /// When the lots were drawn; absent before.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "2026-01-31T09:01:02.345Z", format = DateTime)]
    drawn_at: Option<String>,
    /// The seed, after the lots were drawn: with it, anyone can recompute the rank of a lot.
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<String>,
}

impl ShuffleView {
    fn of(record: &DropRecord) -> Self {
        let Some(shuffle) = &record.drop.shuffle else { return Self::default() };
        Self {
            shuffle_s: Some(shuffle.seconds),
            seed_hash: Some(hex::encode(shuffle.seed.commitment())),
            drawn_at: record.drawn.map(|drawn| time::format(drawn.at)),
            seed: record.revealed_seed().map(|seed| hex::encode(seed.0)),
        }
    }
}

/// A drop.
#[derive(Debug, Serialize, ToSchema)]
pub struct DropView {
    /// The permanent id.
    #[schema(example = "01K9Z3NDEKTSV4RRFFQ69G5FAV")]
    drop_id: String,
    /// The name.
    #[schema(example = "Opening day")]
    name: String,
    /// The user who paid for it.
    #[schema(example = "ann")]
    funder: String,
    /// The number of slots.
    #[schema(example = 10_000)]
    slots: u32,
    /// The amount of each slot.
    #[schema(example = 5_000)]
    amount: u64,
    /// The number of places on the waiting list.
    #[schema(example = 1_000)]
    waiting_places: u32,
    /// When it was made.
    #[schema(example = "2026-01-30T09:00:00.000Z", format = DateTime)]
    created_at: String,
    /// The first moment in which members enter.
    #[schema(example = "2026-01-31T09:00:00.000Z", format = DateTime)]
    opens_at: String,
    /// The first moment in which they do not enter any more.
    #[schema(example = "2026-01-31T10:00:00.000Z", format = DateTime)]
    closes_at: String,
    /// `upcoming`, `open`, `sold_out` or `closed`; in lists, a drop that is sold out is `open`.
    #[schema(example = "open")]
    state: &'static str,
    /// How it begins with lots.
    #[serde(flatten)]
    shuffle: ShuffleView,
    /// What was not taken and returned to the funder; absent before it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    refund: Option<RefundView>,
}

impl DropView {
    fn new(record: &DropRecord, state: DropState) -> Self {
        let drop = &record.drop;
        Self {
            drop_id: drop.id.to_string(),
            name: drop.name.as_str().to_owned(),
            funder: drop.funder.to_string(),
            slots: drop.slots,
            amount: drop.amount.get(),
            waiting_places: drop.waiting,
            created_at: time::format(drop.created_at()),
            opens_at: time::format(drop.window.opens),
            closes_at: time::format(drop.window.closes),
            state: state.as_str(),
            shuffle: ShuffleView::of(record),
            refund: record.refund.map(|refund| RefundView::of(refund.amount, refund.at)),
        }
    }

    fn row(record: &DropRecord, now: Timestamp) -> Self {
        Self::new(record, DropState::of(&record.drop, 0, now))
    }
}

/// A drop, and what it has given.
#[derive(Debug, Serialize, ToSchema)]
pub struct DropWithFigures {
    #[serde(flatten)]
    drop: DropView,
    #[serde(flatten)]
    figures: FiguresView,
}

impl From<&DropDetail> for DropWithFigures {
    fn from(detail: &DropDetail) -> Self {
        let drop = DropView::new(&detail.record, detail.state);
        let has_lots = detail.record.drop.shuffle.is_some();
        Self { drop, figures: FiguresView::new(&detail.figures, has_lots) }
    }
}

/// A page of drops.
#[derive(Debug, Serialize, ToSchema)]
pub struct DropPage {
    /// The drops, newest first.
    drops: Vec<DropView>,
    /// The start of the next page; absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// Where a member of a drop stands.
#[derive(Debug, Serialize, ToSchema)]
pub struct EntryView {
    /// `won`; `waiting`; `lost`: the payment failed for good, and the slot went to a member who waited, or
    /// its amount back to the funder; `registered`: a lot that is not drawn yet; or `not_drawn`: there was
    /// neither a slot nor a place for the lot.
    #[schema(example = "won")]
    state: &'static str,
    /// The number of the slot, from 1; only with `won`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 4_217)]
    slot: Option<u64>,
    /// 1 for the next to get a slot; only with `waiting`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 12)]
    position: Option<u64>,
    /// `pending`, `paid` or `failed`; only with `won` and `lost`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "paid")]
    payment: Option<&'static str>,
}

impl From<MemberStanding> for EntryView {
    fn from(standing: MemberStanding) -> Self {
        let none = Self { state: "waiting", slot: None, position: None, payment: None };
        match standing {
            MemberStanding::Won { slot, payment } => {
                let payment = match payment {
                    GrantStatus::Success => "paid",
                    GrantStatus::Pending | GrantStatus::Failed => "pending",
                    GrantStatus::PermanentlyFailed | GrantStatus::Voided => "failed",
                };
                Self { state: "won", slot: Some(slot), payment: Some(payment), ..none }
            }
            MemberStanding::Lost => Self { state: "lost", payment: Some("failed"), ..none },
            MemberStanding::Waiting { position } => Self { position: Some(position), ..none },
            MemberStanding::Registered => Self { state: "registered", ..none },
            MemberStanding::NotDrawn => Self { state: "not_drawn", ..none },
        }
    }
}

/// Read a drop
#[utoipa::path(
    get, path = "/api/v2/drops/{id}", tag = "drop", operation_id = "getDrop",
    params(
        CallerHeader,
        ("id" = String, Path, description = "The drop.", example = "01K9Z3NDEKTSV4RRFFQ69G5FAV"),
    ),
    responses(
        (status = 200, description = "The drop.", body = DropWithFigures),
        (status = 404, description = "ERR005"),
    )
)]
pub async fn one<D: Deps>(State(app): State<App<D>>, call: Call) -> Result<Answer, ApiError> {
    call.caller()?;
    Query::of(&call, &[])?;
    let id: DropId = call.path("id")?;
    let detail = read::detail(&*app.deps, id).await?.ok_or_else(ApiError::not_found)?;
    Answer::json(StatusCode::OK, &DropWithFigures::from(&detail))
}

/// List all drops
///
/// Newest first, without what they have given. A new drop can be missing for a second.
#[utoipa::path(
    get, path = "/api/v2/drops", tag = "drop", operation_id = "listDrops",
    params(CallerHeader, PageQuery),
    responses((status = 200, description = "A page of drops.", body = DropPage))
)]
pub async fn list<D: Deps>(State(app): State<App<D>>, call: Call) -> Result<Answer, ApiError> {
    let caller = call.caller()?;
    let query = Query::of(&call, &["limit", "cursor"])?;
    let limit = query.limit()?;
    let (scope, cursors) = (query.scope(&call, &caller), app.cursors()?);
    let after: Option<DropId> =
        query.text("cursor").map(|text| cursors.open(&scope, text)).transpose()?;
    let page = read::list(&*app.deps, after, limit).await?;
    let now = app.deps.now();
    let page = DropPage {
        drops: page.rows.iter().map(|record| DropView::row(record, now)).collect(),
        next_cursor: page.next.map(|next| cursors.seal(&scope, &next.to_string())),
    };
    Answer::json(StatusCode::OK, &page)
}

/// Read a member's entry
///
/// For the member, and for the funder of the drop.
#[utoipa::path(
    get, path = "/api/v2/drops/{id}/entries/{user}", tag = "drop", operation_id = "getEntry",
    params(
        CallerHeader,
        ("id" = String, Path, description = "The drop.", example = "01K9Z3NDEKTSV4RRFFQ69G5FAV"),
        ("user" = String, Path, description = "The member.", example = "bob"),
    ),
    responses(
        (status = 200, description = "The entry.", body = EntryView),
        (status = 403, description = "ERR004"),
        (status = 404, description = "ERR005"),
    )
)]
pub async fn entry<D: Deps>(State(app): State<App<D>>, call: Call) -> Result<Answer, ApiError> {
    let caller = call.caller()?;
    Query::of(&call, &[])?;
    let (id, user): (DropId, UserId) = (call.path("id")?, call.path("user")?);
    let drop = app.deps.drop_terms(id).await?.ok_or_else(ApiError::not_found)?;
    if caller != user && caller != drop.funder {
        let detail = "Only the member and the funder can read an entry.";
        return Err(ApiError::new(Code::Forbidden, detail));
    }
    let found = standing::member(&*app.deps, id, &user).await?.ok_or_else(ApiError::not_found)?;
    Answer::json(StatusCode::OK, &EntryView::from(found))
}
