//! What clients do: requests over HTTP, and claims.

use axum::body::Body;
use http::Request;
use largesse_app::budget::miss::Misses;
use largesse_app::spray::claim::{Claim, ClaimError, claim};
use largesse_aws::Store;
use largesse_domain::id::RoomId;
use largesse_domain::money::Amount;
use largesse_domain::spray::Spray;
use largesse_tests::http::Reply;
use largesse_tests::user;
use serde_json::Value;
use tower::ServiceExt;

use crate::rig::Rig;

impl Rig {
    /// A request; status and body.
    pub(crate) async fn call(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> (u16, Value) {
        let reply = self.request(method, path, headers, body).await;
        (reply.status, reply.body)
    }

    /// A request; the whole answer.
    pub(crate) async fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Reply {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if !body.is_empty() {
            request = request.header("content-type", "application/json");
        }
        let request = request.body(Body::from(body.to_owned())).unwrap();
        Reply::read(self.router.clone().oneshot(request).await.unwrap()).await
    }
}

/// A claim of `name`.
pub(crate) fn claim_by<'a>(
    store: &'a Store,
    room: RoomId,
    spray: &Spray,
    name: &str,
) -> impl Future<Output = Result<Amount, ClaimError>> + use<'a> {
    let (token, misses) = (spray.token, Misses::NONE);
    let request = Claim { room, token, member: user(name), misses };
    async move { claim(store, &request).await }
}

/// The share that a claim won, by itself or by an earlier request of the member.
pub(crate) fn share(claimed: &Result<Amount, ClaimError>) -> u64 {
    match claimed {
        Ok(amount) | Err(ClaimError::Already { amount }) => amount.get(),
        Err(error) => panic!("{error:?}"),
    }
}
