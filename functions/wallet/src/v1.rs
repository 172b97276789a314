//! v1: `POST /api/v1/wallet/charge`.

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use largesse_app::wallet::deposit::{Deposit, DepositError, deposit};
use largesse_domain::id::TransferId;
use largesse_domain::money::Amount;
use largesse_edge::openapi::{OptionalKeyHeader, V1CallerHeader};
use largesse_edge::v1::Issues;
use largesse_edge::{Answer, ApiError, App, Call, idempotency};
use serde::Serialize;
use utoipa::ToSchema;

use crate::Deps;

/// The deposit. The integer may be written as a string.
#[derive(Debug, ToSchema)]
pub struct V1Charge {
    /// The amount.
    #[schema(minimum = 1, maximum = 1_000_000_000_000_i64, example = 50_000)]
    pub amount: i64,
}

/// The deposit is made.
#[derive(Debug, Serialize, ToSchema)]
pub struct V1Charged {
    /// Always `Wallet charged`.
    message: &'static str,
    /// The balance after it.
    #[schema(example = 50_000)]
    new_balance: u64,
}

/// Deposit into the caller's wallet
#[utoipa::path(
    post, path = "/api/v1/wallet/charge", tag = "v1", operation_id = "v1Charge",
    params(V1CallerHeader, OptionalKeyHeader), request_body = V1Charge,
    responses(
        (status = 200, description = "The deposit is made.", body = V1Charged),
        (status = 400, description = "ERR502"),
    )
)]
pub async fn charge<D: Deps>(State(app): State<App<D>>, call: Call) -> Result<Response, ApiError> {
    let mut issues = Issues::default();
    let user = issues.caller(&call);
    let body = issues.body(&call);
    let amount = body.as_ref().and_then(|body| issues.amount(body, "amount"));
    let amount = amount.and_then(|amount| Amount::new(amount).ok());
    let (Some(user), Some(amount)) = (user, amount) else {
        return Err(issues.refuse());
    };
    let key = call.key()?;
    let caller = user.clone();
    let deps = &*app.deps;
    idempotency::once(deps, &call, &caller, key, async |op| {
        let order = Deposit { id: TransferId(op), user, amount, memo: None };
        let transfer = deposit(deps, order).await.map_err(refuse)?;
        let new_balance = transfer.balance_after.get();
        Answer::json(StatusCode::OK, &V1Charged { message: "Wallet charged", new_balance })
    })
    .await
}

fn refuse(error: DepositError) -> ApiError {
    let is_full = matches!(error, DepositError::TooFull);
    let refusal = crate::refuse(error);
    if is_full { refusal.status(StatusCode::BAD_REQUEST) } else { refusal }
}
