//! v2: products, and the caller's own investments.

use axum::extract::State;
use http::StatusCode;
use largesse_app::ports::Closing;
use largesse_app::product::read::{self, Row};
use largesse_domain::id::{InvestmentId, ProductId};
use largesse_domain::money::Amount;
use largesse_domain::product::Investment;
use largesse_edge::openapi::{CallerHeader, PageQuery};
use largesse_edge::query::Query;
use largesse_edge::{Answer, ApiError, App, Call, time};
use serde::Serialize;
use utoipa::ToSchema;

use crate::Deps;

/// A product.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProductView {
    /// The id.
    #[schema(example = "01K9Z3NDEKTSV4RRFFQ69G5FAV")]
    product_id: String,
    /// The title.
    #[schema(example = "Solar park 7")]
    title: String,
    /// The amount that it raises at most.
    #[schema(example = 1_000_000)]
    target: u64,
    /// The sum of all investments.
    #[schema(example = 50_000)]
    raised: u64,
    /// The amount that can still be invested. `raised`, `remaining` and `investors` are at most one
    /// second old.
    #[schema(example = 950_000)]
    remaining: u64,
    /// The number of members who invested.
    #[schema(example = 3)]
    investors: u64,
    /// From this moment on it takes investments.
    #[schema(example = "2026-01-31T09:00:00.000Z", format = DateTime)]
    opens_at: String,
    /// From this moment on it takes none.
    #[schema(example = "2026-02-28T09:00:00.000Z", format = DateTime)]
    closes_at: String,
    /// `upcoming`, `recruiting`, `sold_out`, `closed` (its window is over), `paid_out`, `refunding`
    /// or `refunded`.
    #[schema(example = "recruiting")]
    state: &'static str,
}

/// Terms of a product that a list does not show.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProductTerms {
    /// The least of one investment.
    #[schema(example = 10_000)]
    min_investment: u64,
    /// The most of one investor.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 500_000)]
    max_per_investor: Option<u64>,
    /// The amount that it must raise.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 800_000)]
    min_raise: Option<u64>,
    /// The user whose wallet gets what was raised.
    #[schema(example = "bob")]
    issuer: String,
}

impl ProductView {
    fn new(row: &Row) -> Self {
        let terms = &row.product.terms;
        Self {
            product_id: row.product.id.to_string(),
            title: terms.title.as_str().to_owned(),
            target: terms.target.get(),
            raised: row.sums.raised,
            remaining: row.sums.remaining,
            investors: row.sums.investors,
            opens_at: time::format(terms.window.opens),
            closes_at: time::format(terms.window.closes),
            state: row.state.as_str(),
        }
    }
}

/// A product with all of its terms.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProductWithTerms {
    #[serde(flatten)]
    product: ProductView,
    #[serde(flatten)]
    terms: ProductTerms,
}

impl From<&Row> for ProductWithTerms {
    fn from(row: &Row) -> Self {
        let terms = &row.product.terms;
        let others = ProductTerms {
            min_investment: terms.min_investment.get(),
            max_per_investor: terms.max_per_investor.map(Amount::get),
            min_raise: terms.min_raise.map(Amount::get),
            issuer: terms.issuer.to_string(),
        };
        Self { product: ProductView::new(row), terms: others }
    }
}

/// A page of products.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProductPage {
    /// The products, the first to close first.
    products: Vec<ProductView>,
    /// The start of the next page; absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// One of the caller's investments.
#[derive(Debug, Serialize, ToSchema)]
pub struct InvestmentView {
    /// The permanent id.
    #[schema(example = "01K9Z3NDEKTSV4RRFFQ69G5FAV")]
    investment_id: String,
    /// The product.
    #[schema(example = "01K9Z3NDEKTSV4RRFFQ69G5FAV")]
    product_id: String,
    /// The title of the product when it was made.
    #[schema(example = "Solar park 7")]
    title: String,
    /// The amount.
    #[schema(example = 50_000)]
    amount: u64,
    /// The target of the product when it was made.
    #[schema(example = 1_000_000)]
    target: u64,
    /// When it was made.
    #[schema(example = "2026-01-31T09:00:12.345Z", format = DateTime)]
    invested_at: String,
    /// `invested` or `refunded`.
    #[schema(example = "invested")]
    status: &'static str,
}

impl From<&Investment> for InvestmentView {
    fn from(investment: &Investment) -> Self {
        Self {
            investment_id: investment.id.to_string(),
            product_id: investment.product.to_string(),
            title: investment.terms.title.as_str().to_owned(),
            amount: investment.amount.get(),
            target: investment.terms.target.get(),
            invested_at: time::format(investment.at),
            status: if investment.is_refunded { "refunded" } else { "invested" },
        }
    }
}

/// A page of the caller's investments.
#[derive(Debug, Serialize, ToSchema)]
pub struct InvestmentPage {
    /// The investments, newest first.
    investments: Vec<InvestmentView>,
    /// The start of the next page; absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// List the products that take investments now
///
/// The first to close first. A new product can be missing for a second. One request looks through a
/// limited number of products that have not opened, so a page with a `next_cursor` may have fewer
/// rows than `limit`, or none.
#[utoipa::path(
    get, path = "/api/v2/products", tag = "product", operation_id = "listProducts",
    params(CallerHeader, PageQuery),
    responses((status = 200, description = "A page of products.", body = ProductPage))
)]
pub async fn list<D: Deps>(State(app): State<App<D>>, call: Call) -> Result<Answer, ApiError> {
    let caller = call.caller()?;
    let query = Query::of(&call, &["limit", "cursor"])?;
    let limit = query.limit()?;
    let (scope, cursors) = (query.scope(&call, &caller), app.cursors()?);
    let after: Option<Closing> =
        query.text("cursor").map(|text| cursors.open(&scope, text)).transpose()?;
    let page = read::recruiting(&*app.deps, after, limit).await?;
    let page = ProductPage {
        products: page.rows.iter().map(ProductView::new).collect(),
        next_cursor: page.next.map(|next| cursors.seal(&scope, &next.to_string())),
    };
    Answer::json(StatusCode::OK, &page)
}

/// Read a product
///
/// In every state, without a time limit.
#[utoipa::path(
    get, path = "/api/v2/products/{id}", tag = "product", operation_id = "getProduct",
    params(
        CallerHeader,
        ("id" = String, Path, description = "The product.", min_length = 26, max_length = 26,
            example = "01K9Z3NDEKTSV4RRFFQ69G5FAV"),
    ),
    responses(
        (status = 200, description = "The product.", body = ProductWithTerms),
        (status = 404, description = "ERR005"),
    )
)]
pub async fn one<D: Deps>(State(app): State<App<D>>, call: Call) -> Result<Answer, ApiError> {
    call.caller()?;
    Query::of(&call, &[])?;
    let id: ProductId = call.path("id")?;
    let row = read::one(&*app.deps, id).await?.ok_or_else(ApiError::not_found)?;
    Answer::json(StatusCode::OK, &ProductWithTerms::from(&row))
}

/// List the caller's investments
///
/// Newest first, each by itself, without a time limit. A new investment can be missing for a second.
#[utoipa::path(
    get, path = "/api/v2/investments", tag = "product", operation_id = "listInvestments",
    params(CallerHeader, PageQuery),
    responses((status = 200, description = "A page of investments.", body = InvestmentPage))
)]
pub async fn mine<D: Deps>(State(app): State<App<D>>, call: Call) -> Result<Answer, ApiError> {
    let caller = call.caller()?;
    let query = Query::of(&call, &["limit", "cursor"])?;
    let limit = query.limit()?;
    let (scope, cursors) = (query.scope(&call, &caller), app.cursors()?);
    let after: Option<InvestmentId> =
        query.text("cursor").map(|text| cursors.open(&scope, text)).transpose()?;
    let page = read::mine(&*app.deps, &caller, after, limit).await?;
    let page = InvestmentPage {
        investments: page.rows.iter().map(InvestmentView::from).collect(),
        next_cursor: page.next.map(|next| cursors.seal(&scope, &next.to_string())),
    };
    Answer::json(StatusCode::OK, &page)
}
