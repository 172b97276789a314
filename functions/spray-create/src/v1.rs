//! v1: `POST /api/v1/spray`.

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use largesse_app::spray::create::{Create, CreateError, create as spray};
use largesse_domain::id::SprayId;
use largesse_domain::split::{RECIPIENTS_MAX, Split};
use largesse_domain::spray::{EXPIRES_IN_S_MAX, Terms};
use largesse_domain::time::Timestamp;
use largesse_edge::openapi::{OptionalKeyHeader, V1CallerHeader, V1RoomHeader};
use largesse_edge::v1::{Issues, Limits};
use largesse_edge::{Answer, ApiError, App, Call, FieldError, limits};
use serde::Serialize;
use utoipa::ToSchema;

use crate::Deps;

/// The spray to create. Integers may be written as strings.
#[derive(Debug, ToSchema)]
pub struct V1SprayRequest {
    /// The whole amount; at least `recipient_count`.
    #[schema(minimum = 1, maximum = 1_000_000_000_000_i64, example = 10_000)]
    pub total_amount: i64,
    /// The number of shares.
    #[schema(minimum = 1, maximum = 1_000, example = 3)]
    pub recipient_count: i64,
}

/// The created spray.
#[derive(Debug, Serialize, ToSchema)]
pub struct V1SprayCreated {
    /// The token.
    #[schema(example = "A7Q")]
    token: String,
}

fn terms(issues: &mut Issues, call: &Call) -> Option<Terms> {
    let body = issues.body(call)?;
    let amount = issues.amount(&body, "total_amount");
    let people = Limits::new(1, i64::from(RECIPIENTS_MAX));
    let recipients = issues.integer(&body, "recipient_count", people);
    let recipients = u64::try_from(recipients?).ok()?;
    let terms = Terms::new(amount?, recipients, Split::Random, EXPIRES_IN_S_MAX);
    if terms.is_err() {
        // Each value is within its own limits, so only their ratio can be wrong.
        let detail = "Value error, total_amount should be at least recipient_count";
        issues.add(FieldError::body("", "value_error", detail));
    }
    terms.ok()
}

/// Spray an amount over a room
#[utoipa::path(
    post, path = "/api/v1/spray", tag = "v1", operation_id = "v1CreateSpray",
    params(V1CallerHeader, V1RoomHeader, OptionalKeyHeader), request_body = V1SprayRequest,
    responses(
        (status = 200, description = "The spray is created.", body = V1SprayCreated),
        (status = 400, description = "ERR105 ERR501"),
        (status = 403, description = "ERR004"),
    )
)]
pub async fn create<D: Deps>(State(app): State<App<D>>, call: Call) -> Result<Response, ApiError> {
    let mut issues = Issues::default();
    let (sender, room) = (issues.caller(&call), issues.room(&call));
    let terms = terms(&mut issues, &call);
    let (Some(sender), Some(room), Some(terms)) = (sender, room, terms) else {
        return Err(issues.refuse());
    };
    let key = call.key()?;
    let room = room.ok_or_else(ApiError::not_a_member)?;
    let caller = sender.clone();
    let deps = &*app.deps;
    limits::create_once(&app, &call, &caller, key, async |op| {
        let order = Create { id: SprayId(op), room, sender, terms };
        let created = spray(deps, order).await.map_err(|error| refuse(error, deps.now()))?;
        Answer::json(StatusCode::OK, &V1SprayCreated { token: created.token.to_string() })
    })
    .await
}

fn refuse(error: CreateError, now: Timestamp) -> ApiError {
    let is_bad_request =
        matches!(error, CreateError::Insufficient { .. } | CreateError::TooManyLive);
    let refusal = crate::refuse(error, now);
    if is_bad_request { refusal.status(StatusCode::BAD_REQUEST) } else { refusal }
}
