//! v1: `POST /api/v1/receive`.

use axum::extract::State;
use http::StatusCode;
use largesse_app::spray::claim::ClaimError;
use largesse_edge::openapi::{V1CallerHeader, V1RoomHeader};
use largesse_edge::v1::Issues;
use largesse_edge::{Answer, ApiError, App, Call, limits};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{Deps, claim_share};

/// Which spray.
#[derive(Debug, ToSchema)]
pub struct V1Token {
    /// Its token.
    #[schema(example = "A7Q")]
    pub token: String,
}

/// A claim that won.
#[derive(Debug, Serialize, ToSchema)]
pub struct V1Received {
    /// The share.
    #[schema(minimum = 1, example = 3_337)]
    received_amount: u64,
}

/// Claim a share
#[utoipa::path(
    post, path = "/api/v1/receive", tag = "v1", operation_id = "v1Receive",
    params(V1CallerHeader, V1RoomHeader), request_body = V1Token,
    responses(
        (status = 200, description = "The share is theirs and will be paid.", body = V1Received),
        (status = 400, description = "ERR005 ERR101 ERR102 ERR103 ERR104"),
        (status = 403, description = "ERR004"),
    )
)]
pub async fn claim<D: Deps>(State(app): State<App<D>>, call: Call) -> Result<Answer, ApiError> {
    let mut issues = Issues::default();
    let (member, room) = (issues.caller(&call), issues.room(&call));
    let body = issues.body(&call);
    let token = body.as_ref().and_then(|body| issues.text(body, "token"));
    let (Some(member), Some(room), Some(token)) = (member, room, token) else {
        return Err(issues.refuse());
    };
    let room = room.ok_or_else(ApiError::not_a_member)?;
    let misses = limits::misses_of(&app.edge, &call);
    let amount = claim_share(&*app.deps, member, room, token, misses).await.map_err(refuse)?;
    Answer::json(StatusCode::OK, &V1Received { received_amount: amount.get() })
}

fn refuse(error: ClaimError) -> ApiError {
    let keeps_status = matches!(
        error,
        ClaimError::TooManyMisses(_) | ClaimError::NotAMember | ClaimError::Port(_)
    );
    let refusal = crate::refuse(error);
    if keeps_status { refusal } else { refusal.status(StatusCode::BAD_REQUEST) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use largesse_app::budget::{Scope, UsedUp};
    use largesse_app::ports::{PortError, PortErrorKind};
    use largesse_domain::budget::Spending;
    use largesse_domain::money::Amount;
    use largesse_edge::meta::Version;
    use rstest::rstest;

    fn already() -> ClaimError {
        ClaimError::Already { amount: Amount::new(5).unwrap() }
    }

    fn too_many() -> ClaimError {
        let (spending, scope) = (Spending::TokenMiss, Scope::Member);
        ClaimError::TooManyMisses(UsedUp { spending, scope, max: 20, wait_ms: 1 })
    }

    fn busy() -> ClaimError {
        let kind = PortErrorKind::Throttled;
        ClaimError::Port(PortError { operation: "draw", kind, cause: None })
    }

    #[rstest]
    #[case(too_many(), too_many(), 429, 429)]
    #[case(ClaimError::NotAMember, ClaimError::NotAMember, 403, 403)]
    #[case(ClaimError::NoSuchToken, ClaimError::NoSuchToken, 404, 400)]
    #[case(ClaimError::OwnSpray, ClaimError::OwnSpray, 403, 400)]
    #[case(ClaimError::WindowOver, ClaimError::WindowOver, 410, 400)]
    #[case(already(), already(), 409, 400)]
    #[case(ClaimError::Exhausted, ClaimError::Exhausted, 409, 400)]
    #[case(busy(), busy(), 503, 503)]
    fn each_refusal_has_its_status_in_both_versions(
        #[case] in_v2: ClaimError,
        #[case] in_v1: ClaimError,
        #[case] v2: u16,
        #[case] v1: u16,
    ) {
        assert_eq!(crate::refuse(in_v2).status_in(Version::V2).as_u16(), v2);
        assert_eq!(refuse(in_v1).status_in(Version::V1).as_u16(), v1);
    }
}
