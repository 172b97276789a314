//! Limits on what callers may do: a filter in each process before anything is read, and budgets that
//! all processes share.
//!
//! The filter is cheap and approximate: each process counts for itself. The budgets are exact and
//! cost a write: they guard what costs money or tells secrets. `RateLimit-Policy` and `RateLimit` are
//! those of draft-ietf-httpapi-ratelimit-headers.
//!
//! # Guarantees
//! * The filter admits the burst and the rate, and no more: `a_member_gets_the_burst_and_the_rate`.
//! * It holds bounded memory: `a_crowd_of_callers_takes_bounded_memory`.
//! * A repeat under an `Idempotency-Key` uses no budget: `a_replay_uses_no_budget`.

mod filter;

use axum::http::HeaderMap;
use axum::response::Response;
use http::{HeaderName, HeaderValue, Request};
use largesse_app::budget::create::{self, CreationLimits, Left};
use largesse_app::budget::miss::{MissLimits, Misses};
use largesse_app::budget::{Scope, UsedUp};
use largesse_app::ports::{Budgets, Clock, Retention};
use largesse_domain::budget::{BUDGET_WINDOW_MS, Spending};
use largesse_domain::id::{Ulid, UserId};

pub use self::filter::filtered;
use crate::answer::Answer;
use crate::auth::Caller;
use crate::call::{App, Call};
use crate::config::EdgeConfig;
use crate::error::ApiError;
use crate::idempotency::{self, Key, Repeats};

/// The policies that apply.
pub const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
/// What is left of them.
pub const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
/// The largest value that a setting of a limit takes.
pub const LIMIT_MAX: u32 = 1_000_000_000;

/// How much callers may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Requests of one member to one process, a second.
    pub member_per_s: u32,
    /// Requests of one owner to one process, a second.
    pub owner_per_s: u32,
    /// Misses of tokens.
    pub misses: MissLimits,
    /// Creations.
    pub creations: CreationLimits,
}

impl Limits {
    /// No limit at all.
    pub const NONE: Self = Self {
        member_per_s: u32::MAX,
        owner_per_s: u32::MAX,
        misses: MissLimits::NONE,
        creations: CreationLimits::NONE,
    };
}

/// The owner of all requests with `AUTH=open`.
const OPEN_OWNER: &str = "open";

/// The owner of the API key that a request came with.
#[must_use]
pub fn owner_of(call: &Call) -> &str {
    call.service.as_ref().map_or(OPEN_OWNER, |service| service.owner.as_str())
}

/// As [`owner_of`], before the request is read.
fn owner_of_request<B>(request: &Request<B>) -> &str {
    let service = request.extensions().get::<Caller>();
    service.map_or(OPEN_OWNER, |service| service.owner.as_str())
}

/// The budgets that count when the request's token is missed.
#[must_use]
pub fn misses_of(edge: &EdgeConfig, call: &Call) -> Misses {
    Misses { owner: owner_of(call).to_owned(), limits: edge.limits.misses }
}

/// Where a caller stands with one limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The limit's name.
    pub policy: &'static str,
    /// How much it admits in a window.
    pub quota: u32,
    /// How long a window is, in seconds.
    pub window_s: u32,
    /// How much is left.
    pub left: u32,
    /// In how many seconds more is left.
    pub reset_s: u32,
}

impl Standing {
    /// Writes both headers: lists of Structured Fields (RFC 9651) with one item each.
    pub(crate) fn write(&self, headers: &mut HeaderMap) {
        let Self { policy, quota, window_s, left, reset_s } = self;
        let values = [
            (RATE_LIMIT_POLICY, format!("\"{policy}\";q={quota};w={window_s}")),
            (RATE_LIMIT, format!("\"{policy}\";r={left};t={reset_s}")),
        ];
        for (name, value) in values {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(name, value);
            }
        }
    }

    fn of_budget(policy: &'static str, quota: u32, left: u32, wait_ms: u64) -> Self {
        let window_s = seconds(BUDGET_WINDOW_MS);
        Self { policy, quota, window_s, left, reset_s: seconds(wait_ms) }
    }
}

/// Milliseconds as seconds, rounded up; at least 1, since a caller that repeats at once is refused
/// again.
fn seconds(ms: u64) -> u32 {
    u32::try_from(ms.div_ceil(1_000)).unwrap_or(u32::MAX).max(1)
}

const fn policy_of(spending: Spending, scope: Scope) -> &'static str {
    match (spending, scope) {
        (Spending::TokenMiss, Scope::Member) => "token-misses-member",
        (Spending::TokenMiss, Scope::Room) => "token-misses-room",
        (Spending::TokenMiss, Scope::Owner) => "token-misses-owner",
        // A room creates nothing.
        (Spending::Creation, Scope::Member | Scope::Room) => "creations-member",
        (Spending::Creation, Scope::Owner) => "creations-owner",
    }
}

/// The answer when a budget is used up. It is logged: `infra/alarms.yaml` counts `limit.refused`.
/// Neither member nor room is in the log.
#[must_use]
pub fn refuse(used_up: UsedUp) -> ApiError {
    let UsedUp { spending, scope, max, wait_ms } = used_up;
    let policy = policy_of(spending, scope);
    tracing::warn!(limit.refused = policy, limit.max = max, "a budget is used up");
    let detail = match spending {
        Spending::TokenMiss => "Too many tokens were not found.",
        Spending::Creation => "Too much was created.",
    };
    ApiError::too_many(detail, Standing::of_budget(policy, max, 0, wait_ms))
}

/// Counts a creation for no member, as that of an API key, for the owner of the request's own key.
///
/// # Errors
/// ERR007, and those of the port.
pub async fn count_for_owner<D: Budgets + Clock>(
    app: &App<D>,
    call: &Call,
) -> Result<(), ApiError> {
    let max = app.edge.limits.creations.owner;
    create::admit_owner(&*app.deps, owner_of(call), max).await?.map_err(refuse)
}

/// Runs a creation at most once for its key, which is kept for 24 hours: [`create_once_for`].
///
/// # Errors
/// Those of [`create_once_for`].
pub async fn create_once<D: Budgets + Repeats>(
    app: &App<D>,
    call: &Call,
    caller: &UserId,
    key: Option<Key>,
    run: impl AsyncFnOnce(Ulid) -> Result<Answer, ApiError>,
) -> Result<Response, ApiError> {
    create_once_for(Retention::DAY, app, call, caller, key, run).await
}

/// As [`idempotency::once_for`], for what creates something: it is counted before it runs, whatever
/// becomes of it. A repeat that gets an earlier answer is not counted; one that runs again is.
///
/// # Errors
/// ERR007, and those of [`idempotency::once_for`].
pub async fn create_once_for<D: Budgets + Repeats>(
    retention: Retention,
    app: &App<D>,
    call: &Call,
    caller: &UserId,
    key: Option<Key>,
    run: impl AsyncFnOnce(Ulid) -> Result<Answer, ApiError>,
) -> Result<Response, ApiError> {
    let (deps, limits) = (&*app.deps, app.edge.limits.creations);
    idempotency::once_for(retention, deps, call, caller, key, async |op| {
        let admitted = create::admit(deps, owner_of(call), caller, limits).await?;
        let Left { left, max, wait_ms } = admitted.map_err(refuse)?;
        let policy = policy_of(Spending::Creation, Scope::Member);
        let standing = Standing::of_budget(policy, max, left, wait_ms);
        Ok(Answer { standing: Some(standing), ..run(op).await? })
    })
    .await
}

#[cfg(test)]
mod tests;
