//! v2: a wallet and its transactions, for the owner.

use axum::extract::State;
use http::StatusCode;
use largesse_app::ports::HistoryFilter;
use largesse_app::spray::read::detail;
use largesse_app::wallet::read::{drop_of, is_spray, product_of, spray_of};
use largesse_app::wallet::{history, read};
use largesse_domain::id::TransferId;
use largesse_domain::ledger::{Direction, Memo, Transfer, TransferKind};
use largesse_edge::openapi::{CallerHeader, PageQuery};
use largesse_edge::query::Query;
use largesse_edge::{Answer, ApiError, App, Call, time};
use serde::Serialize;
use utoipa::ToSchema;

use crate::Deps;
use crate::sprays::ClaimView;

/// A wallet.
#[derive(Debug, Serialize, ToSchema)]
pub struct WalletView {
    /// The owner.
    #[schema(example = "ann")]
    user: String,
    /// The amount that can be spent.
    #[schema(example = 50_000)]
    balance: u64,
    /// The amount that is reserved.
    #[schema(example = 0)]
    held: u64,
}

/// One transaction of a wallet.
#[derive(Debug, Serialize, ToSchema)]
pub struct TransactionView {
    /// The permanent id.
    #[schema(example = "01K9Z3NDEKTSV4RRFFQ69G5FAV")]
    transaction_id: String,
    /// The type: `deposit`, `spray`, `claim`, `campaign`, `drop`, `refund`, `reversal`, `investment` or
    /// `payout`.
    #[serde(rename = "type")]
    #[schema(example = "claim")]
    kind: &'static str,
    /// `credit` or `debit`.
    #[schema(example = "credit")]
    direction: &'static str,
    /// The amount.
    #[schema(example = 3_337)]
    amount: u64,
    /// The balance after it.
    #[schema(example = 53_337)]
    balance_after: u64,
    /// When it was decided.
    #[schema(example = "2026-01-31T09:00:12.345Z", format = DateTime)]
    created_at: String,
    /// Its spray.
    #[serde(skip_serializing_if = "Option::is_none")]
    spray_id: Option<String>,
    /// Its drop.
    #[serde(skip_serializing_if = "Option::is_none")]
    drop_id: Option<String>,
    /// Its product.
    #[serde(skip_serializing_if = "Option::is_none")]
    product_id: Option<String>,
    /// For a claim: the sender of the spray, or the funder of the drop. For a payment of a campaign:
    /// its creator. For an investment: the issuer.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "bob")]
    counterpart: Option<String>,
    /// The memo of the caller, or the reason of a campaign's payment.
    #[serde(skip_serializing_if = "Option::is_none")]
    memo: Option<String>,
    /// The number of the transaction in its wallet: 1, 2, 3 … without gaps.
    #[schema(example = 2)]
    seq: u64,
    /// For a spray: the claims; absent in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    claims: Option<Vec<ClaimView>>,
}

impl From<&Transfer> for TransactionView {
    fn from(transfer: &Transfer) -> Self {
        let order = &transfer.order;
        let direction = match order.kind.direction() {
            Direction::Credit => "credit",
            Direction::Debit => "debit",
        };
        let spray_id = spray_of(transfer).map(|id| id.to_string());
        Self {
            transaction_id: order.id.to_string(),
            kind: order.kind.as_str(),
            direction,
            amount: order.amount.get(),
            balance_after: transfer.balance_after.get(),
            created_at: time::format(order.at),
            spray_id,
            drop_id: drop_of(transfer).map(|id| id.to_string()),
            product_id: product_of(transfer).map(|id| id.to_string()),
            counterpart: order.counterpart.as_ref().map(ToString::to_string),
            memo: order.memo.as_ref().map(Memo::as_str).map(str::to_owned),
            seq: transfer.seq,
            claims: None,
        }
    }
}

/// A page of a wallet's transactions.
#[derive(Debug, Serialize, ToSchema)]
pub struct TransactionPage {
    /// The transactions, newest first by `created_at`, the moment of the decision. `seq` is the order
    /// in which the wallet changed; a payment that was delayed has an older `created_at`.
    transactions: Vec<TransactionView>,
    /// The start of the next page; absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// Read a wallet
///
/// A wallet that never had a transaction is empty.
#[utoipa::path(
    get, path = "/api/v2/wallets/{user}", tag = "wallet", operation_id = "getWallet",
    params(
        CallerHeader,
        (
            "user" = String, Path,
            description = "The owner, who must be the caller.", example = "ann",
        ),
    ),
    responses(
        (status = 200, description = "The wallet.", body = WalletView),
        (status = 403, description = "ERR004"),
        (status = 404, description = "ERR005"),
    )
)]
pub async fn wallet<D: Deps>(State(app): State<App<D>>, call: Call) -> Result<Answer, ApiError> {
    let user = call.owner()?;
    Query::of(&call, &[])?;
    let wallet = read::read(&*app.deps, &user).await?;
    let (balance, held) = (wallet.balance.get(), wallet.held.get());
    Answer::json(StatusCode::OK, &WalletView { user: user.to_string(), balance, held })
}

/// List a wallet's transactions
///
/// Newest first. One request reads at most 1,000 transactions, so with a filter that few match, a
/// page with a `next_cursor` may have fewer rows than `limit`, or none.
#[utoipa::path(
    get, path = "/api/v2/wallets/{user}/transactions", tag = "wallet",
    operation_id = "listTransactions",
    params(
        CallerHeader,
        (
            "user" = String, Path,
            description = "The owner, who must be the caller.", example = "ann",
        ),
        ("type" = Option<String>, Query,
            description = "Only of this type: `deposit`, `spray`, `claim`, `campaign`, \
                `drop`, `refund`, `reversal`, `investment` or `payout`.",
            pattern = "^(deposit|spray|claim|campaign|drop|refund|reversal|investment|payout)$"),
        ("from" = Option<String>, Query, description = "Only at or after this time (RFC 3339), \
            or from the start of this day (`2026-01-01`, in UTC). In a query, the `+` of an offset \
            is written `%2B`.",
            pattern = "^[0-9]{4}-[0-9]{2}-[0-9]{2}(T.*)?$",
            example = "2026-01-01T00:00:00Z"),
        ("to" = Option<String>, Query, description = "Only before this time (RFC 3339), or to \
            the end of this day (in UTC).",
            pattern = "^[0-9]{4}-[0-9]{2}-[0-9]{2}(T.*)?$"),
        PageQuery,
    ),
    responses(
        (status = 200, description = "A page of transactions.", body = TransactionPage),
        (status = 403, description = "ERR004"),
        (status = 404, description = "ERR005"),
    )
)]
pub async fn list<D: Deps>(State(app): State<App<D>>, call: Call) -> Result<Answer, ApiError> {
    let user = call.owner()?;
    let query = Query::of(&call, &["type", "from", "to", "limit", "cursor"])?;
    let kinds = "deposit, spray, claim, campaign, drop, refund, reversal, investment or payout";
    let filter = HistoryFilter {
        kinds: query.read("type", kinds, TransferKind::from_name)?.into_iter().collect(),
        from: query.time("from", time::parse_from)?,
        to: query.time("to", time::parse_to)?,
    };
    let limit = query.limit()?;
    let (scope, cursors) = (query.scope(&call, &user), app.cursors()?);
    let after: Option<TransferId> =
        query.text("cursor").map(|text| cursors.open(&scope, text)).transpose()?;
    let page = history::page(&*app.deps, &user, &filter, after, limit).await?;
    let page = TransactionPage {
        transactions: page.rows.iter().map(TransactionView::from).collect(),
        next_cursor: page.next.map(|next| cursors.seal(&scope, &next.to_string())),
    };
    Answer::json(StatusCode::OK, &page)
}

/// Read a transaction
///
/// That of a spray includes its claims.
#[utoipa::path(
    get, path = "/api/v2/wallets/{user}/transactions/{id}", tag = "wallet",
    operation_id = "getTransaction",
    params(
        CallerHeader,
        (
            "user" = String, Path,
            description = "The owner, who must be the caller.", example = "ann",
        ),
        ("id" = String, Path, description = "The transaction.",
            example = "01K9Z3NDEKTSV4RRFFQ69G5FAV"),
    ),
    responses(
        (status = 200, description = "The transaction.", body = TransactionView),
        (status = 403, description = "ERR004"),
        (status = 404, description = "ERR005"),
    )
)]
pub async fn one<D: Deps>(State(app): State<App<D>>, call: Call) -> Result<Answer, ApiError> {
    let user = call.owner()?;
    Query::of(&call, &[])?;
    let id: TransferId = call.path("id")?;
    let transfer = read::transfer(&*app.deps, &user, id).await?;
    let transfer = transfer.ok_or_else(ApiError::not_found)?;
    let spray = match spray_of(&transfer).filter(|_| is_spray(&transfer)) {
        Some(id) => app.deps.spray(id).await?,
        None => None,
    };
    let claims = match spray {
        Some(spray) => Some(ClaimView::all(&detail(&*app.deps, spray).await?)),
        None => None,
    };
    Answer::json(StatusCode::OK, &TransactionView { claims, ..(&transfer).into() })
}
