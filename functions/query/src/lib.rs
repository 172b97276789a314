//! All reads, the API's own description, and the answer to whatever no other route takes.

use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use largesse_app::spray::read::ReadError;
use largesse_edge::{ApiError, App, Code, EdgeConfig, Ports};
use utoipa::OpenApi;

pub mod about;
pub mod rooms;
pub mod sprays;
pub mod v1;
pub mod v1_history;
pub mod wallets;

/// The routes.
pub fn router<D: Ports>(deps: Arc<D>, edge: Arc<EdgeConfig>) -> Router {
    Router::new()
        .route("/api/v1/spray/{token}", get(v1::spray::<D>))
        .route("/api/v1/wallet/balance", get(v1::balance::<D>))
        .route("/api/v1/wallet", get(v1_history::wallet::<D>))
        .route("/api/v1/transactions", get(v1_history::list::<D>))
        .route("/api/v1/transactions/{id}", get(v1_history::one::<D>))
        .route("/api/v2/wallets/{user}", get(wallets::wallet::<D>))
        .route("/api/v2/wallets/{user}/transactions", get(wallets::list::<D>))
        .route("/api/v2/wallets/{user}/transactions/{id}", get(wallets::one::<D>))
        .route("/api/v2/rooms/{room}", get(rooms::room::<D>))
        .route("/api/v2/sprays", get(sprays::list::<D>))
        .route("/api/v2/sprays/{token}", get(sprays::one::<D>))
        .route("/api/v2/health", get(about::health))
        .route("/api/openapi.json", get(about::openapi))
        .route("/docs", get(about::docs))
        .with_state(App { deps, edge })
}

#[derive(OpenApi)]
#[openapi(paths(
    v1::spray,
    v1::balance,
    v1_history::wallet,
    v1_history::list,
    v1_history::one,
    wallets::wallet,
    wallets::list,
    wallets::one,
    rooms::room,
    sprays::list,
    sprays::one,
    about::health,
))]
struct Api;

/// The routes' description.
#[must_use]
pub fn api() -> utoipa::openapi::OpenApi {
    Api::openapi()
}

fn refuse(error: ReadError) -> ApiError {
    match error {
        ReadError::NotFound => ApiError::not_found(),
        ReadError::NotTheSender => {
            ApiError::new(Code::Forbidden, "Only the sender looks at a spray.")
        }
        ReadError::TooOld => ApiError::expired("By its token a spray is read for seven days."),
        ReadError::Port(error) => error.into(),
    }
}

/// What is stored is not what it should be: a defect, and no caller's business.
fn corrupt() -> ApiError {
    ApiError::new(Code::Internal, "Something went wrong on our side.")
}
