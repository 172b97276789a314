//! v2: `POST /api/v2/drops`.

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use largesse_app::drop::create::{Create, CreateError, LowThroughput, Made, create as make};
use largesse_domain::drop::{DropName, Shuffle, Terms, TermsError};
use largesse_domain::id::DropId;
use largesse_domain::time::{Timestamp, Window};
use largesse_edge::extract::{Whole, given};
use largesse_edge::openapi::{CallerHeader, KeyHeader};
use largesse_edge::{Answer, ApiError, App, Call, Code, FieldError, limits, time};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Deps;

/// The drop to make. Its terms never change.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DropRequest {
    /// The name: 1 to 100 characters, counted and kept in Unicode's normal form C. At least one is
    /// visible; none is a control character or controls the direction of text.
    #[schema(
        min_length = 1,
        max_length = 100,
        pattern = r"^[^\x00-\x1f\x7f-\x9f]*$",
        example = "Opening day"
    )]
    name: String,
    /// The number of slots.
    #[schema(value_type = u64, minimum = 1, maximum = 100_000, example = 10_000)]
    slots: Whole,
    /// The amount of each slot. All slots together are worth at most 1,000,000,000,000.
    #[schema(value_type = u64, minimum = 1, maximum = 1_000_000_000_000_u64, example = 5_000)]
    amount: Whole,
    /// The first moment in which members enter.
    #[schema(format = DateTime, example = "2026-01-31T09:00:00Z")]
    opens_at: String,
    /// The first moment in which they do not enter any more: 1 second to 366 days later.
    #[schema(format = DateTime, example = "2026-01-31T10:00:00Z")]
    closes_at: String,
    /// The number of places on the waiting list, at most `slots`; a tenth of the slots by default, 0 for
    /// none.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = u64, required = false, minimum = 0, maximum = 100_000)]
    waiting: Option<Whole>,
    /// For how many seconds from `opens_at` on members enter by lot; it ends before `closes_at`. Then the
    /// lots are drawn at random, and the rest is first come, first served. By default all of it is.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = u64, required = false, minimum = 1, maximum = 3_600, example = 30)]
    shuffle_s: Option<Whole>,
}

fn time_of(field: &'static str, text: &str) -> Result<Timestamp, FieldError> {
    let detail = "a time as in RFC 3339, from 1970 to 2286";
    time::parse(text).ok_or_else(|| FieldError::body(field, "invalid", detail))
}

impl TryFrom<DropRequest> for Terms {
    type Error = FieldError;

    fn try_from(request: DropRequest) -> Result<Self, FieldError> {
        let name = DropName::new(&request.name)
            .map_err(|error| FieldError::body("name", "invalid", error.to_string()))?;
        let window = Window {
            opens: time_of("opens_at", &request.opens_at)?,
            closes: time_of("closes_at", &request.closes_at)?,
        };
        let waiting = request.waiting.map(|Whole(places)| places);
        let terms = Self::new(name, request.slots.0, request.amount.0, window, waiting);
        let terms = terms.and_then(|terms| match request.shuffle_s {
            None => Ok(terms),
            Some(Whole(seconds)) => terms.with_shuffle(seconds),
        });
        terms.map_err(|error| {
            let field = match error {
                TermsError::Slots => "slots",
                TermsError::Amount(_) | TermsError::Total => "amount",
                TermsError::Window => "closes_at",
                TermsError::Waiting => "waiting",
                TermsError::Shuffle => "shuffle_s",
            };
            FieldError::body(field, "out_of_range", error.to_string())
        })
    }
}

/// The drop that was made.
#[derive(Debug, Serialize, ToSchema)]
pub struct DropCreated {
    /// The permanent id.
    #[schema(example = "01K9Z3NDEKTSV4RRFFQ69G5FAV")]
    drop_id: String,
    /// SHA-256 of the seed from which the order of the lots is computed; only with `shuffle_s`.
    #[serde(skip_serializing_if = "Option::is_none")]
    seed_hash: Option<String>,
    /// What to see to before it opens; absent when there is nothing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
}

impl From<&Made> for DropCreated {
    fn from(made: &Made) -> Self {
        let warning = |low: LowThroughput| {
            let LowThroughput { needed, warm } = low;
            format!(
                "The table of buckets takes {warm} write units a second at once, and the crowd of this drop \
                 takes {needed}. Before a crowd, set its warm throughput: docs/drops.md.",
            )
        };
        let warnings = made.low.map(warning).into_iter().collect();
        let commitment = |shuffle: &Shuffle| hex::encode(shuffle.seed.commitment());
        let seed_hash = made.drop.shuffle.as_ref().map(commitment);
        Self { drop_id: made.drop.id.to_string(), seed_hash, warnings }
    }
}

fn refuse(error: CreateError) -> ApiError {
    match error {
        CreateError::Insufficient { balance } => {
            ApiError::new(Code::InsufficientBalance, "The wallet holds less than all slots.")
                .with("balance", balance.get())
        }
        CreateError::Port(error) => error.into(),
    }
}

/// Make a drop
///
/// The amounts of all slots leave the wallet at once. A member who enters gets a slot while there are
/// some, then a place on the waiting list. With `shuffle_s`, the members who enter in the first seconds are
/// drawn at random. What is not taken returns to the wallet when the drop is over.
#[utoipa::path(
    post, path = "/api/v2/drops", tag = "drop", operation_id = "createDrop",
    params(CallerHeader, KeyHeader), request_body = DropRequest,
    responses(
        (status = 201, description = "The drop is made.", body = DropCreated),
        (status = 409, description = "ERR501 ERR006"),
        (status = 422, description = "ERR006"),
    )
)]
pub async fn create<D: Deps>(State(app): State<App<D>>, call: Call) -> Result<Response, ApiError> {
    let (funder, key) = (call.caller()?, call.required_key()?);
    let terms = Terms::try_from(call.json::<DropRequest>()?);
    let terms = terms.map_err(|error| ApiError::invalid(vec![error]))?;
    let caller = funder.clone();
    let deps = &*app.deps;
    limits::create_once(&app, &call, &caller, key, async |op| {
        let made = make(deps, Create { id: DropId(op), funder, terms }).await.map_err(refuse)?;
        Answer::json(StatusCode::CREATED, &DropCreated::from(&made))
    })
    .await
}
