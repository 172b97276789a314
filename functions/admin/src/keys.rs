//! v2: API keys. Each route needs a key with the scope `operate`, and `AUTH=signed`.
//!
//! No route takes an `Idempotency-Key`: the answer would be kept, and it holds the key and its secret.

use axum::extract::State;
use http::StatusCode;
use largesse_app::key::KeyError;
use largesse_app::key::create::create as make;
use largesse_app::key::list::list as keys_of;
use largesse_app::key::revoke::revoke as end;
use largesse_app::key::rotate::rotate as replace;
use largesse_domain::id::KeyId;
use largesse_domain::key::{
    ApiKey, KeyRecord, Networks, NetworksError, OVERLAP_S_DEFAULT, OVERLAP_S_MAX, Owner, Scope,
    Scopes, Terms,
};
use largesse_domain::time::Timestamp;
use largesse_edge::extract::{Whole, given};
use largesse_edge::query::Query;
use largesse_edge::{Answer, ApiError, App, Call, Code, FieldError, limits, time};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa::openapi::schema::{Array, ArrayBuilder, ObjectBuilder, Type};

use crate::Deps;

/// The key to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyRequest {
    /// The service that it is for.
    #[schema(pattern = "^[A-Za-z0-9_-]{1,64}$", example = "chat")]
    owner: String,
    /// What it may do.
    #[schema(schema_with = scope_names)]
    scopes: Vec<String>,
    /// From this moment on it is refused; without it, it does not expire.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = String, required = false, format = DateTime,
        example = "2027-01-31T09:00:00Z")]
    expires_at: Option<String>,
    /// The IP addresses and ranges that it may be used from; empty: all.
    #[serde(default)]
    #[schema(max_items = 20, example = json!(["203.0.113.0/24"]))]
    ips: Vec<String>,
}

/// The names of scopes, as the domain has them.
fn scope_names() -> Array {
    let name = ObjectBuilder::new().schema_type(Type::String);
    let name = name.enum_values(Some(Scope::ALL.map(Scope::as_str)));
    let names = ArrayBuilder::new().items(name).min_items(Some(1));
    let names = names.description(Some("What it may do."));
    names.examples([vec!["spray", "read"]]).build()
}

impl KeyRequest {
    fn read(&self, now: Timestamp) -> Result<(Terms, Option<Timestamp>), FieldError> {
        let invalid = |field: &'static str, error: &dyn std::error::Error| {
            FieldError::body(field, "invalid", error.to_string())
        };
        let owner: Result<Owner, _> = self.owner.parse();
        let owner = owner.map_err(|error| invalid("owner", &error))?;
        let scopes = Scopes::read(self.scopes.iter().map(String::as_str));
        let scopes = scopes.map_err(|error| invalid("scopes", &error))?;
        let expires = self.expires_at.as_deref().map(|text| {
            let detail = "a time as in RFC 3339, up to 2286";
            let at = time::parse(text);
            let at = at.ok_or_else(|| FieldError::body("expires_at", "invalid", detail))?;
            let over = || FieldError::body("expires_at", "out_of_range", "the moment is over");
            Some(at).filter(|at| *at > now).ok_or_else(over)
        });
        let networks: Result<Networks, NetworksError> =
            Networks::read(self.ips.iter().map(String::as_str));
        let networks = networks.map_err(|error| invalid("ips", &error))?;
        Ok((Terms { owner, scopes, networks }, expires.transpose()?))
    }
}

/// How to rotate a key.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RotateRequest {
    /// For how many seconds the old key lives beside the new one.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = u32, required = false, maximum = 604_800, default = 86_400)]
    overlap_s: Option<Whole>,
}

/// A key.
#[derive(Debug, Serialize, ToSchema)]
pub struct KeyView {
    /// The id.
    #[schema(example = "01K9Z3NDEKTSV4RRFFQ69G5FAV")]
    key_id: String,
    /// The service that it is for.
    #[schema(example = "chat")]
    owner: String,
    /// What it may do.
    #[schema(example = json!(["spray", "read"]))]
    scopes: Vec<String>,
    /// From where it may be used; empty: from everywhere.
    ips: Vec<String>,
    /// Whether it can be used: `live`, `expired` or `revoked`.
    #[schema(example = "live")]
    state: String,
    /// When it was made.
    #[schema(format = DateTime)]
    created_at: String,
    /// From when on it is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    expires_at: Option<String>,
    /// When it was revoked.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    revoked_at: Option<String>,
    /// The key that it was rotated to.
    #[serde(skip_serializing_if = "Option::is_none")]
    replaced_by: Option<String>,
    /// When it was used, to the hour.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    last_used_at: Option<String>,
}

impl KeyView {
    /// A key as it is at `now`.
    #[must_use]
    pub fn new(key: &KeyRecord, now: Timestamp) -> Self {
        let state = match (key.is_live(now), key.revoked) {
            (true, _) => "live",
            (false, Some(_)) => "revoked",
            (false, None) => "expired",
        };
        Self {
            key_id: key.id.to_string(),
            owner: key.terms.owner.to_string(),
            scopes: key.terms.scopes.names().map(str::to_owned).collect(),
            ips: key.terms.networks.texts().collect(),
            state: state.to_owned(),
            created_at: time::format(key.lifetime.created),
            expires_at: key.lifetime.expires.map(time::format),
            revoked_at: key.revoked.map(time::format),
            replaced_by: key.replaced_by.map(|id| id.to_string()),
            last_used_at: key.last_used.map(time::format),
        }
    }
}

/// A key that was just made. Neither its text nor its secret is shown again.
#[derive(Serialize, ToSchema)]
pub struct KeyCreated {
    /// The text of the key, for `Authorization: Bearer`.
    key: String,
    /// What its holder signs requests with.
    secret: String,
    /// The rest of it.
    #[serde(flatten)]
    view: KeyView,
}

/// The keys of an owner.
#[derive(Debug, Serialize, ToSchema)]
pub struct KeyPage {
    /// The keys in the order in which they were made: all that live, and the last of the others.
    keys: Vec<KeyView>,
}

fn created<D: Deps>(app: &App<D>, key: &ApiKey, record: &KeyRecord) -> Result<Answer, ApiError> {
    let secret = app.edge.signature_secrets()?.secret_of(record.id);
    let view = KeyView::new(record, app.deps.now());
    let body = KeyCreated { key: key.reveal().to_owned(), secret, view };
    Answer::json(StatusCode::CREATED, &body)
}

/// Create an API key
///
/// The answer alone shows the key and its secret. A repeat makes another key. It counts as a creation of
/// the caller's owner.
#[utoipa::path(
    post, path = "/api/v2/keys", tag = "operate", operation_id = "createKey",
    request_body = KeyRequest,
    responses(
        (status = 201, description = "The key is made.", body = KeyCreated),
        (status = 409, description = "ERR601"),
    )
)]
pub async fn create<D: Deps>(State(app): State<App<D>>, call: Call) -> Result<Answer, ApiError> {
    call.verified(Scope::Operate)?;
    Query::of(&call, &[])?;
    let request: KeyRequest = call.json()?;
    let (terms, expires) =
        request.read(app.deps.now()).map_err(|error| ApiError::invalid(vec![error]))?;
    limits::count_for_owner(&app, &call).await?;
    let (key, record) = make(&*app.deps, terms, expires).await.map_err(refuse)?;
    created(&app, &key, &record)
}

/// List the API keys of an owner
///
/// An operator may list those of any owner, and the caller's own without naming it.
#[utoipa::path(
    get, path = "/api/v2/keys", tag = "operate", operation_id = "listKeys",
    params(
        (
            "owner" = Option<String>, Query, example = "chat",
            description = "The owner; without it, that of the key of the request.",
        ),
    ),
    responses((status = 200, description = "The keys.", body = KeyPage))
)]
pub async fn list<D: Deps>(State(app): State<App<D>>, call: Call) -> Result<Answer, ApiError> {
    let caller = call.verified(Scope::Operate)?;
    let query = Query::of(&call, &["owner"])?;
    let detail = "1 to 64 characters of [A-Za-z0-9_-]";
    let owner = query.read("owner", detail, |text| text.parse().ok())?;
    let owner: Owner = owner.unwrap_or_else(|| caller.owner.clone());
    let (keys, now) = (keys_of(&*app.deps, &owner).await?, app.deps.now());
    let keys = keys.iter().map(|key| KeyView::new(key, now)).collect();
    Answer::json(StatusCode::OK, &KeyPage { keys })
}

/// Rotate an API key
///
/// Makes a key with the same owner, scopes and addresses. The old one lives beside it for the overlap.
/// It counts as a creation of the caller's owner.
#[utoipa::path(
    post, path = "/api/v2/keys/{id}/rotate", tag = "operate", operation_id = "rotateKey",
    params(("id" = String, Path, description = "The key.", example = "01K9Z3NDEKTSV4RRFFQ69G5FAV")),
    request_body = Option<RotateRequest>,
    responses(
        (status = 201, description = "The new key is made.", body = KeyCreated),
        (status = 404, description = "ERR005"),
        (status = 409, description = "ERR601 ERR602"),
    )
)]
pub async fn rotate<D: Deps>(State(app): State<App<D>>, call: Call) -> Result<Answer, ApiError> {
    call.verified(Scope::Operate)?;
    let id: KeyId = call.path("id")?;
    Query::of(&call, &[])?;
    let request =
        if call.body.is_empty() { RotateRequest::default() } else { call.json::<RotateRequest>()? };
    let overlap = request.overlap_s.map_or(Ok(OVERLAP_S_DEFAULT), |Whole(seconds)| {
        let seconds = u32::try_from(seconds).ok().filter(|seconds| *seconds <= OVERLAP_S_MAX);
        let detail = format!("at most {OVERLAP_S_MAX}");
        seconds.ok_or_else(|| FieldError::body("overlap_s", "out_of_range", detail))
    });
    let overlap = overlap.map_err(|error| ApiError::invalid(vec![error]))?;
    limits::count_for_owner(&app, &call).await?;
    let (key, record) = replace(&*app.deps, id, overlap).await.map_err(refuse)?;
    created(&app, &key, &record)
}

/// Revoke an API key
///
/// Every process refuses it within 60 seconds. A repeat changes nothing.
#[utoipa::path(
    delete, path = "/api/v2/keys/{id}", tag = "operate", operation_id = "revokeKey",
    params(("id" = String, Path, description = "The key.", example = "01K9Z3NDEKTSV4RRFFQ69G5FAV")),
    responses(
        (status = 204, description = "The key is revoked."),
        (status = 404, description = "ERR005"),
    )
)]
pub async fn revoke<D: Deps>(State(app): State<App<D>>, call: Call) -> Result<Answer, ApiError> {
    call.verified(Scope::Operate)?;
    let id: KeyId = call.path("id")?;
    Query::of(&call, &[])?;
    end(&*app.deps, id).await.map_err(refuse)?;
    Ok(Answer::empty(StatusCode::NO_CONTENT))
}

fn refuse(error: KeyError) -> ApiError {
    match error {
        KeyError::NotFound => ApiError::not_found(),
        KeyError::Dead => ApiError::new(Code::DeadKey, "The key is expired or revoked."),
        KeyError::TooMany => ApiError::new(Code::TooManyKeys, "The owner has 20 live keys."),
        KeyError::Port(error) => error.into(),
    }
}
