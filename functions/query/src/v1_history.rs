//! v1: the transactions of the caller, in numbered pages.

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::State;
use http::StatusCode;
use largesse_app::ports::{HistoryFilter, Sprays};
use largesse_app::spray::read::{Claim, claims_of};
use largesse_app::wallet::history::{NumberedPage, numbered};
use largesse_app::wallet::read::{self, drop_of, is_spray, product_of, spray_of};
use largesse_domain::id::{SprayId, TransferId, UserId};
use largesse_domain::ledger::{Memo, Transfer, TransferKind, Wallet};
use largesse_domain::spray::Spray;
use largesse_domain::time::Timestamp;
use largesse_edge::openapi::{V1CallerHeader, V1UserId};
use largesse_edge::time::{DAY_MS, format};
use largesse_edge::v1::time::{parse_end, parse_start};
use largesse_edge::v1::{Issues, Limits, user_value};
use largesse_edge::{Answer, ApiError, App, Call};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::Deps;

/// The days that a list goes back by default.
const DAYS_DEFAULT: u64 = 30;
/// The highest page number.
const PAGE_MAX: i64 = 1_000_000_000;

/// The filter and the page of a list.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct V1HistoryQuery {
    /// The first day (UTC) or moment; 30 days before the end by default. In a query, the `+` of an
    /// offset is written `%2B`.
    #[param(pattern = "^[0-9]{4}-[0-9]{2}-[0-9]{2}(T.*)?$", example = "2026-01-01")]
    pub start_date: Option<String>,
    /// The last day, to its end, or moment; now by default.
    #[param(pattern = "^[0-9]{4}-[0-9]{2}-[0-9]{2}(T.*)?$", example = "2026-01-31")]
    pub end_date: Option<String>,
    /// Only of this type: `CHARGE`, `SPRAY`, `RECEIVE`, `REFUND` or `REVERSAL`.
    #[param(rename = "type", pattern = "^(CHARGE|SPRAY|RECEIVE|REFUND|REVERSAL)$")]
    pub kind: Option<String>,
    /// The page, from 1.
    #[param(minimum = 1, maximum = 1_000_000_000, default = 1)]
    pub page: Option<i64>,
    /// The number of rows of a page.
    #[param(minimum = 1, maximum = 100, default = 20)]
    pub per_page: Option<i64>,
}

/// One transaction, in short.
#[derive(Debug, Serialize, ToSchema)]
pub struct V1TransactionSummary {
    /// The id.
    #[schema(example = "01K9Z3NDEKTSV4RRFFQ69G5FAV")]
    id: String,
    /// `CHARGE`, `SPRAY`, `RECEIVE`, `REFUND` or `REVERSAL`.
    #[schema(example = "RECEIVE")]
    transaction_type: &'static str,
    /// The amount.
    #[schema(example = 3_337)]
    amount: u64,
    /// When it was decided.
    #[schema(example = "2026-01-31T09:00:12.345Z", format = DateTime)]
    created_at: String,
}

/// The caller's wallet with a page of its transactions.
#[derive(Debug, Serialize, ToSchema)]
pub struct V1Wallet {
    /// The amount that can be spent.
    balance: u64,
    /// The number of rows on all pages.
    total_count: u64,
    /// The number of this page.
    current_page: u64,
    /// The number of pages.
    total_pages: u64,
    /// The rows, newest first by `created_at`.
    transactions: Vec<V1TransactionSummary>,
}

/// One transaction.
#[derive(Debug, Serialize, ToSchema)]
pub struct V1Transaction {
    /// The id.
    #[schema(example = "01K9Z3NDEKTSV4RRFFQ69G5FAV")]
    id: String,
    /// `CHARGE`, `SPRAY`, `RECEIVE`, `REFUND` or `REVERSAL`.
    #[schema(example = "RECEIVE")]
    transaction_type: &'static str,
    /// The amount.
    #[schema(example = 3_337)]
    amount: u64,
    /// The balance after it.
    balance_after: u64,
    /// The memo, or a description of the type.
    description: String,
    /// The token of its spray.
    token: Option<String>,
    /// The room of its spray.
    chat_room_id: Option<String>,
    /// When it was decided.
    #[schema(example = "2026-01-31T09:00:12.345Z", format = DateTime)]
    created_at: String,
    /// Always `COMPLETED`.
    status: &'static str,
}

/// A page of the caller's transactions.
#[derive(Debug, Serialize, ToSchema)]
pub struct V1TransactionPage {
    /// The number of rows on all pages.
    total_count: u64,
    /// The number of pages.
    total_pages: u64,
    /// The number of this page.
    current_page: u64,
    /// The rows, newest first by `created_at`.
    transactions: Vec<V1Transaction>,
}

/// One share of a spray.
#[derive(Debug, Serialize, ToSchema)]
pub struct V1Target {
    /// The user who claimed it.
    #[schema(value_type = V1UserId)]
    user_id: Value,
    /// The amount.
    received_amount: u64,
}

/// One transaction with the users behind it.
#[derive(Debug, Serialize, ToSchema)]
pub struct V1TransactionDetail {
    /// The transaction.
    #[serde(flatten)]
    transaction: V1Transaction,
    /// For a received share: the sender of the spray. For a payment of a campaign: its creator.
    #[schema(value_type = Option<V1UserId>)]
    related_user_id: Option<Value>,
    /// For a spray: its claimed shares.
    target_details: Option<Vec<V1Target>>,
}

const fn kind_name(kind: TransferKind) -> &'static str {
    match kind {
        TransferKind::Deposit => "CHARGE",
        TransferKind::Spray | TransferKind::Drop | TransferKind::Investment => "SPRAY",
        TransferKind::Claim | TransferKind::Campaign | TransferKind::Payout => "RECEIVE",
        TransferKind::Refund => "REFUND",
        TransferKind::Reversal => "REVERSAL",
    }
}

impl From<&Transfer> for V1TransactionSummary {
    fn from(transfer: &Transfer) -> Self {
        let order = &transfer.order;
        Self {
            id: order.id.to_string(),
            transaction_type: kind_name(order.kind),
            amount: order.amount.get(),
            created_at: format(order.at),
        }
    }
}

impl V1Transaction {
    fn new(transfer: &Transfer, spray: Option<&Spray>) -> Self {
        let V1TransactionSummary { id, transaction_type, amount, created_at } = transfer.into();
        let is_of_drop = drop_of(transfer).is_some();
        let description = match transfer.order.kind {
            TransferKind::Deposit => "Wallet charged",
            TransferKind::Spray => "Sprayed in a room",
            TransferKind::Claim if is_of_drop => "Received from a drop",
            TransferKind::Claim => "Received from a spray",
            TransferKind::Refund if is_of_drop => "Rest of a drop",
            TransferKind::Refund if product_of(transfer).is_some() => "Refund of an investment",
            TransferKind::Refund => "Unclaimed rest of a spray",
            TransferKind::Reversal => "Payment taken back",
            TransferKind::Campaign => "Received from a campaign",
            TransferKind::Drop => "Put into a drop",
            TransferKind::Investment => "Invested in a product",
            TransferKind::Payout => "Raised by a product",
        };
        let memo = transfer.order.memo.as_ref().map(Memo::as_str).filter(|memo| !memo.is_empty());
        Self {
            id,
            transaction_type,
            amount,
            balance_after: transfer.balance_after.get(),
            description: memo.unwrap_or(description).to_owned(),
            token: spray.map(|spray| spray.token.to_string()),
            chat_room_id: spray.map(|spray| spray.room.to_string()),
            created_at,
            status: "COMPLETED",
        }
    }
}

/// The parameters of a list, read.
struct ListRequest {
    user: UserId,
    filter: HistoryFilter,
    page: u64,
    per_page: u32,
}

impl ListRequest {
    fn read(call: &Call, now: Timestamp) -> Result<Self, ApiError> {
        const KIND: (&str, &str) =
            ("enum", "Input should be 'CHARGE', 'SPRAY', 'RECEIVE', 'REFUND' or 'REVERSAL'");
        let mut issues = Issues::default();
        let user = issues.caller(call);
        let start = issues.query_time(call, "start_date", parse_start);
        let end = issues.query_time(call, "end_date", parse_end);
        let kinds = issues.query(call, "type", KIND, |text| {
            let named = |kind: &TransferKind| kind_name(*kind) == text;
            let kinds: Vec<_> = TransferKind::ALL.into_iter().filter(named).collect();
            (!kinds.is_empty()).then_some(kinds)
        });
        let page = issues.query_integer(call, "page", Limits::new(1, PAGE_MAX), 1);
        let per_page = issues.query_integer(call, "per_page", Limits::new(1, 100), 20);
        let (page, per_page) = (page.map(u64::try_from), per_page.map(u32::try_from));
        let (Some(user), Some(start), Some(end), Some(kinds), Some(Ok(page)), Some(Ok(per_page))) =
            (user, start, end, kinds, page, per_page)
        else {
            return Err(issues.refuse());
        };
        let days_before = |end: Timestamp| end.minus_ms(DAYS_DEFAULT.saturating_mul(DAY_MS));
        let from = Some(start.unwrap_or_else(|| days_before(end.unwrap_or(now))));
        let filter = HistoryFilter { kinds: kinds.unwrap_or_default(), from, to: end };
        Ok(Self { user, filter, page, per_page })
    }

    async fn page<D: Deps>(
        &self,
        deps: &D,
        wallet: &Wallet,
    ) -> Result<(NumberedPage, u64), ApiError> {
        let page = numbered(deps, wallet, &self.filter, self.page, self.per_page).await?;
        let pages = page.total.div_ceil(u64::from(self.per_page));
        Ok((page, pages))
    }
}

/// The sprays of these transfers, each read once.
async fn sprays_of<D: Sprays>(
    deps: &D,
    transfers: &[Transfer],
) -> Result<BTreeMap<SprayId, Spray>, ApiError> {
    let ids: BTreeSet<SprayId> = transfers.iter().filter_map(spray_of).collect();
    let sprays = deps.sprays(&ids.into_iter().collect::<Vec<_>>()).await?;
    Ok(sprays.into_iter().map(|spray| (spray.id, spray)).collect())
}

/// Read the caller's wallet and its transactions
#[utoipa::path(
    get, path = "/api/v1/wallet", tag = "v1", operation_id = "v1Wallet",
    params(V1CallerHeader, V1HistoryQuery),
    responses((status = 200, description = "The wallet.", body = V1Wallet))
)]
pub async fn wallet<D: Deps>(State(app): State<App<D>>, call: Call) -> Result<Answer, ApiError> {
    let request = ListRequest::read(&call, app.deps.now())?;
    let wallet = read::read(&*app.deps, &request.user).await?;
    let (page, total_pages) = request.page(&*app.deps, &wallet).await?;
    let wallet = V1Wallet {
        balance: wallet.balance.get(),
        total_count: page.total,
        current_page: request.page,
        total_pages,
        transactions: page.rows.iter().map(V1TransactionSummary::from).collect(),
    };
    Answer::json(StatusCode::OK, &wallet)
}

/// List the caller's transactions
#[utoipa::path(
    get, path = "/api/v1/transactions", tag = "v1", operation_id = "v1Transactions",
    params(V1CallerHeader, V1HistoryQuery),
    responses((status = 200, description = "A page of transactions.", body = V1TransactionPage))
)]
pub async fn list<D: Deps>(State(app): State<App<D>>, call: Call) -> Result<Answer, ApiError> {
    let request = ListRequest::read(&call, app.deps.now())?;
    let wallet = read::read(&*app.deps, &request.user).await?;
    let (page, total_pages) = request.page(&*app.deps, &wallet).await?;
    let sprays = sprays_of(&*app.deps, &page.rows).await?;
    let row = |transfer: &Transfer| {
        let spray = spray_of(transfer).and_then(|id| sprays.get(&id));
        V1Transaction::new(transfer, spray)
    };
    let list = V1TransactionPage {
        total_count: page.total,
        total_pages,
        current_page: request.page,
        transactions: page.rows.iter().map(row).collect(),
    };
    Answer::json(StatusCode::OK, &list)
}

/// Read one of the caller's transactions
#[utoipa::path(
    get, path = "/api/v1/transactions/{id}", tag = "v1", operation_id = "v1Transaction",
    params(
        V1CallerHeader,
        ("id" = String, Path, description = "The transaction.",
            example = "01K9Z3NDEKTSV4RRFFQ69G5FAV"),
    ),
    responses(
        (status = 200, description = "The transaction.", body = V1TransactionDetail),
        (status = 404, description = "ERR005"),
    )
)]
pub async fn one<D: Deps>(State(app): State<App<D>>, call: Call) -> Result<Answer, ApiError> {
    let mut issues = Issues::default();
    let Some(caller) = issues.caller(&call) else { return Err(issues.refuse()) };
    let id: TransferId = call.path("id")?;
    let transfer = read::transfer(&*app.deps, &caller, id).await?;
    let transfer = transfer.ok_or_else(ApiError::not_found)?;
    let spray = match spray_of(&transfer) {
        Some(id) => app.deps.spray(id).await?,
        None => None,
    };
    let target_details = match &spray {
        Some(spray) if is_spray(&transfer) => {
            let claims = claims_of(&*app.deps, spray).await?;
            let target = |claim: &Claim| V1Target {
                user_id: user_value(&claim.member),
                received_amount: claim.amount.get(),
            };
            Some(claims.iter().map(target).collect())
        }
        _ => None,
    };
    let view = V1TransactionDetail {
        transaction: V1Transaction::new(&transfer, spray.as_ref()),
        related_user_id: transfer.order.counterpart.as_ref().map(user_value),
        target_details,
    };
    Answer::json(StatusCode::OK, &view)
}
