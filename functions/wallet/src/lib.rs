//! `POST /api/v2/wallets/{user}/deposits` and `POST /api/v1/wallet/charge`: money comes in.

use std::sync::Arc;

use axum::Router;
use axum::routing::post;
use largesse_app::wallet::deposit::DepositError;
use largesse_edge::{ApiError, App, Code, EdgeConfig, Ports};
use utoipa::OpenApi;

pub mod v1;
pub mod v2;

/// The routes.
pub fn router<D: Ports>(deps: Arc<D>, edge: Arc<EdgeConfig>) -> Router {
    Router::new()
        .route("/api/v1/wallet/charge", post(v1::charge::<D>))
        .route("/api/v2/wallets/{user}/deposits", post(v2::deposit::<D>))
        .with_state(App { deps, edge })
}

#[derive(OpenApi)]
#[openapi(paths(v1::charge, v2::deposit))]
struct Api;

/// The routes' description.
#[must_use]
pub fn api() -> utoipa::openapi::OpenApi {
    Api::openapi()
}

fn refuse(error: DepositError) -> ApiError {
    match error {
        DepositError::TooFull => {
            ApiError::new(Code::WalletFull, "The wallet cannot hold that much.")
        }
        DepositError::Port(error) => error.into(),
    }
}
