//! v2: `POST /api/v2/campaigns`.

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use largesse_app::campaign::create::{CreateCampaign, CreateError, create as make};
use largesse_app::ports::Retention;
use largesse_domain::campaign::Terms;
use largesse_domain::id::CampaignId;
use largesse_edge::campaign::CampaignView;
use largesse_edge::openapi::{CallerHeader, CampaignKeyHeader};
use largesse_edge::{Answer, ApiError, App, Call, limits};

use crate::Deps;
use crate::terms::CampaignRequest;

/// Make a campaign
///
/// It takes parts until it is sealed.
#[utoipa::path(
    post, path = "/api/v2/campaigns", tag = "campaign", operation_id = "createCampaign",
    params(CallerHeader, CampaignKeyHeader), request_body = CampaignRequest,
    responses(
        (status = 201, description = "The campaign is made.", body = CampaignView),
        (status = 409, description = "ERR006"),
        (status = 422, description = "ERR006"),
    )
)]
pub async fn create<D: Deps>(State(app): State<App<D>>, call: Call) -> Result<Response, ApiError> {
    let (caller, key) = (call.caller()?, call.required_key()?);
    let terms = Terms::try_from(call.json::<CampaignRequest>()?);
    let terms = terms.map_err(|error| ApiError::invalid(vec![error]))?;
    let (deps, money) = (&*app.deps, app.edge.money);
    let creator = caller.clone();
    limits::create_once_for(Retention::MONTH, &app, &call, &caller, key, async |op| {
        let request = CreateCampaign { id: CampaignId(op), creator, terms };
        let made = make(deps, request).await.map_err(|CreateError::Port(error)| error)?;
        Answer::json(StatusCode::CREATED, &CampaignView::new(&made, None, money))
    })
    .await
}
