//! v2: `POST /api/v2/products`.

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use largesse_app::product::create::{Create, CreateError, create as make};
use largesse_domain::id::{ProductId, UserId};
use largesse_domain::product::{Limits, Terms, TermsError, Title};
use largesse_domain::time::{Timestamp, Window};
use largesse_edge::extract::{Whole, given};
use largesse_edge::openapi::{CallerHeader, OptionalKeyHeader};
use largesse_edge::{Answer, ApiError, App, Call, FieldError, limits, time};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Deps;

/// The product to make. Its terms never change.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProductRequest {
    /// The title: 1 to 100 characters, counted and kept in Unicode's normal form C. At least one is
    /// visible; none is a control character or controls the direction of text.
    #[schema(
        min_length = 1,
        max_length = 100,
        pattern = r"^[^\x00-\x1f\x7f-\x9f]*$",
        example = "Solar park 7"
    )]
    title: String,
    /// The amount that it raises at most.
    #[schema(value_type = u64, minimum = 1, maximum = 1_000_000_000_000_u64, example = 1_000_000)]
    target: Whole,
    /// From this moment on it takes investments.
    #[schema(value_type = String, format = DateTime, example = "2026-01-31T09:00:00Z")]
    opens_at: String,
    /// From this moment on it takes none; after `opens_at`, and not in the past.
    #[schema(value_type = String, format = DateTime, example = "2026-02-28T09:00:00Z")]
    closes_at: String,
    /// The least of one investment, at most `target`; an investment of all that remains may be less.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = u64, required = false, minimum = 1, maximum = 1_000_000_000_000_u64,
        default = 1, example = 10_000)]
    min_investment: Option<Whole>,
    /// The most of one investor over all their investments, at least `min_investment`.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = u64, required = false, minimum = 1, maximum = 1_000_000_000_000_u64,
        example = 500_000)]
    max_per_investor: Option<Whole>,
    /// The amount that it must raise, at most `target`. If it raises less, all is refunded.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = u64, required = false, minimum = 1, maximum = 1_000_000_000_000_u64,
        example = 800_000)]
    min_raise: Option<Whole>,
    /// The user whose wallet gets what was raised; the caller by default.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = String, required = false, pattern = "^[A-Za-z0-9_-]{1,64}$",
        example = "bob")]
    issuer: Option<String>,
}

fn moment(field: &'static str, text: &str) -> Result<Timestamp, FieldError> {
    let detail = "a time as in RFC 3339, from 1970 to 2286";
    time::parse(text).ok_or_else(|| FieldError::body(field, "invalid", detail))
}

impl ProductRequest {
    fn read(&self, caller: &UserId) -> Result<Terms, FieldError> {
        let title = Title::new(&self.title)
            .map_err(|error| FieldError::body("title", "invalid", error.to_string()))?;
        let window = Window {
            opens: moment("opens_at", &self.opens_at)?,
            closes: moment("closes_at", &self.closes_at)?,
        };
        let issuer = match &self.issuer {
            None => caller.clone(),
            Some(issuer) => issuer.parse().map_err(|error: largesse_domain::id::IdError| {
                FieldError::body("issuer", "invalid", error.to_string())
            })?,
        };
        let number = |given: Option<Whole>| given.map(|Whole(number)| number);
        let limits = Limits {
            target: self.target.0,
            min_investment: number(self.min_investment),
            max_per_investor: number(self.max_per_investor),
            min_raise: number(self.min_raise),
        };
        Terms::new(title, window, issuer, limits).map_err(|error| {
            let field = match error {
                TermsError::Target(_) => "target",
                TermsError::Window => "closes_at",
                TermsError::MinInvestment => "min_investment",
                TermsError::MaxPerInvestor => "max_per_investor",
                TermsError::MinRaise => "min_raise",
            };
            FieldError::body(field, "out_of_range", error.to_string())
        })
    }
}

/// The created product.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProductCreated {
    /// The id.
    #[schema(example = "01K9Z3NDEKTSV4RRFFQ69G5FAV")]
    product_id: String,
}

/// Create a product
///
/// Members invest in it from `opens_at` until it is sold out or `closes_at`. Then the issuer is paid
/// what was raised; below `min_raise`, every investment is refunded.
#[utoipa::path(
    post, path = "/api/v2/products", tag = "product", operation_id = "createProduct",
    params(CallerHeader, OptionalKeyHeader), request_body = ProductRequest,
    responses(
        (status = 201, description = "The product is created.", body = ProductCreated),
        (status = 409, description = "ERR006"),
        (status = 422, description = "ERR006"),
    )
)]
pub async fn create<D: Deps>(State(app): State<App<D>>, call: Call) -> Result<Response, ApiError> {
    let (caller, key) = (call.caller()?, call.key()?);
    let request: ProductRequest = call.json()?;
    let terms = request.read(&caller).map_err(|error| ApiError::invalid(vec![error]))?;
    let creator = caller.clone();
    let deps = &*app.deps;
    limits::create_once(&app, &call, &caller, key, async |op| {
        let request = Create { id: ProductId(op), creator, terms };
        let product = make(deps, request).await.map_err(refuse)?;
        let created = ProductCreated { product_id: product.id.to_string() };
        Answer::json(StatusCode::CREATED, &created)
    })
    .await
}

fn refuse(error: CreateError) -> ApiError {
    match error {
        CreateError::Over => {
            let error = FieldError::body("closes_at", "out_of_range", "the moment is over");
            ApiError::invalid(vec![error])
        }
        CreateError::Port(error) => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::{Value, json};

    fn terms(change: &Value) -> Result<Terms, String> {
        let mut body = json!({
            "title": "a", "target": 100, "opens_at": "2026-01-31T09:00:00Z",
            "closes_at": "2026-01-31T18:00:00.001+09:00",
        });
        for (name, value) in change.as_object().unwrap() {
            body[name] = value.clone();
        }
        let request: ProductRequest =
            serde_json::from_value(body).map_err(|error| error.to_string())?;
        request.read(&"ann".parse().unwrap()).map_err(|error| error.field)
    }

    #[test]
    fn a_title_a_target_and_a_window_are_enough_and_every_term_can_be_given() {
        let least = terms(&json!({})).unwrap();
        assert_eq!((least.target.get(), least.min_investment.get()), (100, 1));
        assert_eq!((least.max_per_investor, least.min_raise), (None, None));
        assert_eq!(least.issuer.as_str(), "ann");
        assert_eq!(least.window.closes.ms_since(least.window.opens), 1);
        let all = json!({
            "min_investment": 10, "max_per_investor": 20, "min_raise": 30, "issuer": "bob",
        });
        let all = terms(&all).unwrap();
        let number = |amount: Option<largesse_domain::money::Amount>| amount.unwrap().get();
        assert_eq!((number(all.max_per_investor), number(all.min_raise)), (20, 30));
        assert_eq!((all.min_investment.get(), all.issuer.as_str()), (10, "bob"));
    }

    #[rstest]
    #[case(json!({ "title": " " }), "title")]
    #[case(json!({ "title": "가".repeat(101) }), "title")]
    #[case(json!({ "target": 0 }), "target")]
    #[case(json!({ "target": 1_000_000_000_001_u64 }), "target")]
    #[case(json!({ "opens_at": "2026-01-31" }), "opens_at")]
    #[case(json!({ "closes_at": "soon" }), "closes_at")]
    #[case(json!({ "closes_at": "2026-01-31T09:00:00Z" }), "closes_at")]
    #[case(json!({ "min_investment": 0 }), "min_investment")]
    #[case(json!({ "min_investment": 101 }), "min_investment")]
    #[case(json!({ "min_investment": 9, "max_per_investor": 8 }), "max_per_investor")]
    #[case(json!({ "min_raise": 101 }), "min_raise")]
    #[case(json!({ "issuer": "a b" }), "issuer")]
    fn a_term_outside_its_limits_is_named(#[case] change: Value, #[case] field: &str) {
        assert_eq!(terms(&change), Err(field.to_owned()));
    }
}
