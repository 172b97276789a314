//! v2: what a member does with a campaign.

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use largesse_app::campaign::act::{self, ActError, Acted};
use largesse_app::campaign::preview::{WALLETS_READ_MAX, preview};
use largesse_app::campaign::read::{self, View};
use largesse_app::ports::Retention;
use largesse_domain::campaign::{Actor, AuditEntry, Campaign};
use largesse_domain::id::{CampaignId, UserId};
use largesse_domain::time::Timestamp;
use largesse_edge::campaign::CampaignView;
use largesse_edge::openapi::{CallerHeader, CampaignKeyHeader, CampaignPath};
use largesse_edge::query::Query;
use largesse_edge::{Answer, ApiError, App, Call, Code, idempotency};

use crate::body::{ContentRequest, ForceRequest, RollbackRequest, StopRequest};
use crate::preview::PreviewView;
use crate::{Deps, refuse};

/// Who acts on which campaign. No action takes a query.
fn addressed(call: &Call) -> Result<(UserId, CampaignId), ApiError> {
    let (caller, id) = (call.caller()?, call.path("id")?);
    Query::of(call, &[])?;
    Ok((caller, id))
}

/// The campaign after an action: the next one may run already, and it may be this one.
async fn shown<D: Deps>(app: &App<D>, campaign: Campaign) -> Result<Answer, ApiError> {
    let view = match read::show(&*app.deps, campaign.id).await {
        Ok(Some(view)) => view,
        // The action is taken: a failure to read tells nothing else.
        Ok(None) | Err(_) => View { campaign, counts: None },
    };
    let tally = view.counts.map(|counts| counts.tally);
    let view = CampaignView::new(&view.campaign, tally.as_ref(), app.edge.money);
    Answer::json(StatusCode::ACCEPTED, &view)
}

/// The answer to an action.
async fn answer<D: Deps>(app: &App<D>, acted: Result<Acted, ActError>) -> Result<Answer, ApiError> {
    shown(app, acted.map_err(refuse)?.campaign).await
}

/// Seal a campaign
///
/// Its rows are laid out and its content gets a hash; nothing can be added afterwards. `GET
/// /api/v2/campaigns/{id}` shows `sealed` when it is done, or `problem` when the rows are refused: the
/// campaign then takes parts again.
#[utoipa::path(
    post, path = "/api/v2/campaigns/{id}/seal", tag = "campaign", operation_id = "sealCampaign",
    params(CallerHeader, CampaignPath),
    responses(
        (status = 202, description = "The seal has begun, or is done: a repeat.", body = CampaignView),
        (status = 404, description = "ERR005"),
        (status = 409, description = "ERR201"),
    )
)]
pub async fn seal<D: Deps>(State(app): State<App<D>>, call: Call) -> Result<Answer, ApiError> {
    let (caller, id) = addressed(&call)?;
    answer(&app, act::seal(&*app.deps, id, &caller).await).await
}

/// Approve a campaign
///
/// For a campaign that was made with `approvals: 1`: a member other than its creator approves the
/// content that was sealed.
#[utoipa::path(
    post, path = "/api/v2/campaigns/{id}/approve", tag = "campaign",
    operation_id = "approveCampaign",
    params(CallerHeader, CampaignPath), request_body = ContentRequest,
    responses(
        (status = 202, description = "The campaign is approved.", body = CampaignView),
        (status = 403, description = "ERR204"),
        (status = 404, description = "ERR005"),
        (status = 409, description = "ERR201 ERR202 ERR203"),
    )
)]
pub async fn approve<D: Deps>(State(app): State<App<D>>, call: Call) -> Result<Answer, ApiError> {
    let (caller, id) = addressed(&call)?;
    let ContentRequest { content_hash } = call.json()?;
    answer(&app, act::approve(&*app.deps, id, &caller, content_hash.0).await).await
}

/// Start a campaign
///
/// It runs when its time has come and no other campaign runs. After a stop or a fault it goes on with
/// the rows that are not paid.
#[utoipa::path(
    post, path = "/api/v2/campaigns/{id}/start", tag = "campaign", operation_id = "startCampaign",
    params(CallerHeader, CampaignPath), request_body = ContentRequest,
    responses(
        (status = 202, description = "The campaign is queued, or runs.", body = CampaignView),
        (status = 404, description = "ERR005"),
        (status = 409, description = "ERR201 ERR202 ERR205 ERR210"),
    )
)]
pub async fn start<D: Deps>(State(app): State<App<D>>, call: Call) -> Result<Answer, ApiError> {
    let (caller, id) = addressed(&call)?;
    let ContentRequest { content_hash } = call.json()?;
    answer(&app, act::start(&*app.deps, id, &caller, content_hash.0).await).await
}

/// Start a campaign beside others
///
/// As start, but it waits for no other campaign. The API key needs the scope `campaign:force`; with
/// `AUTH=open` only the users that the deployment names may do it.
#[utoipa::path(
    post, path = "/api/v2/campaigns/{id}/force", tag = "campaign", operation_id = "forceCampaign",
    params(CallerHeader, CampaignPath), request_body = ForceRequest,
    responses(
        (status = 202, description = "The campaign is queued, or runs.", body = CampaignView),
        (status = 403, description = "ERR004"),
        (status = 404, description = "ERR005"),
        (status = 409, description = "ERR201 ERR202 ERR205 ERR210"),
    )
)]
pub async fn force<D: Deps>(State(app): State<App<D>>, call: Call) -> Result<Answer, ApiError> {
    let (caller, id) = addressed(&call)?;
    let ForceRequest { content_hash, memo } = call.json()?;
    if !app.edge.may_force(&caller) {
        return Err(ApiError::new(Code::Forbidden, "You may not force a campaign."));
    }
    answer(&app, act::force(&*app.deps, id, &caller, content_hash.0, memo.0).await).await
}

/// Stop a campaign
///
/// Nothing is paid five seconds later. A start that is queued is taken back.
#[utoipa::path(
    post, path = "/api/v2/campaigns/{id}/stop", tag = "campaign", operation_id = "stopCampaign",
    params(CallerHeader, CampaignPath), request_body = StopRequest,
    responses(
        (status = 202, description = "The campaign is stopped.", body = CampaignView),
        (status = 404, description = "ERR005"),
        (status = 409, description = "ERR201"),
    )
)]
pub async fn stop<D: Deps>(State(app): State<App<D>>, call: Call) -> Result<Answer, ApiError> {
    let (caller, id) = addressed(&call)?;
    let StopRequest { memo } = call.json()?;
    answer(&app, act::stop(&*app.deps, id, &caller, memo.0).await).await
}

/// Pay the failed rows of a campaign again
///
/// Each gets a new id for its payment; rows that are paid stay as they are. While rows are open it is
/// refused: start the campaign first, so that they end.
#[utoipa::path(
    post, path = "/api/v2/campaigns/{id}/retry", tag = "campaign", operation_id = "retryCampaign",
    params(CallerHeader, CampaignPath, CampaignKeyHeader),
    responses(
        (status = 202, description = "The campaign is queued, or runs.", body = CampaignView),
        (status = 404, description = "ERR005"),
        (status = 409, description = "ERR201 ERR206 ERR207 ERR210 ERR006"),
        (status = 422, description = "ERR006"),
    )
)]
pub async fn retry<D: Deps>(State(app): State<App<D>>, call: Call) -> Result<Response, ApiError> {
    let (caller, key) = (call.caller()?, call.required_key()?);
    let id: CampaignId = call.path("id")?;
    let deps = &*app.deps;
    idempotency::once_for(Retention::MONTH, deps, &call, &caller, key, async |op| {
        let begun = Timestamp::from_ms(i64::try_from(op.timestamp_ms()).unwrap_or(i64::MAX));
        match act::retry(deps, id, &caller).await {
            Err(ActError::Refused(refused)) => match retried(deps, id, &caller, begun).await? {
                Some(campaign) => shown(&app, campaign).await,
                None => Err(refuse(refused.into())),
            },
            acted => answer(&app, acted).await,
        }
    })
    .await
}

/// How many of the last entries of an audit are searched for a retry whose answer was lost.
const ENTRIES_AFTER: u32 = 100;

/// The campaign, if the caller had it retried since this request began. A run that ended without an
/// answer had; then this run, under the same key, is not refused for what that one did.
async fn retried<D: Deps>(
    deps: &D,
    id: CampaignId,
    caller: &UserId,
    begun: Timestamp,
) -> Result<Option<Campaign>, ApiError> {
    let Some(campaign) = deps.campaign(id).await? else { return Ok(None) };
    let after = campaign.value.audit.seq.saturating_sub(ENTRIES_AFTER.into());
    let entries = deps.audit_of(id, after, ENTRIES_AFTER).await?;
    let by = Actor::Member(caller.clone());
    let is_it = |entry: &AuditEntry| entry.action == "retry" && entry.by == by && entry.at >= begun;
    Ok(entries.iter().any(is_it).then_some(campaign.value))
}

/// Take back what a campaign paid
///
/// Each payment is taken back once; what a member has spent already is recorded as a shortfall. With
/// `dry_run` nothing is done, and the answer tells what a rollback would do.
#[utoipa::path(
    post, path = "/api/v2/campaigns/{id}/rollback", tag = "campaign",
    operation_id = "rollBackCampaign",
    params(CallerHeader, CampaignPath), request_body = RollbackRequest,
    responses(
        (status = 200, description = "What it would do; nothing is done.", body = PreviewView),
        (status = 202, description = "The rollback has begun.", body = CampaignView),
        (status = 404, description = "ERR005"),
        (status = 409, description = "ERR201 ERR210"),
    )
)]
pub async fn rollback<D: Deps>(State(app): State<App<D>>, call: Call) -> Result<Answer, ApiError> {
    let (caller, id) = addressed(&call)?;
    let RollbackRequest { memo, dry_run } = call.json()?;
    if dry_run == Some(true) {
        let wallets_max = (!app.edge.money.is_http).then_some(WALLETS_READ_MAX);
        let preview = preview(&*app.deps, id, wallets_max).await;
        let view = PreviewView::from(preview.map_err(refuse)?);
        return Answer::json(StatusCode::OK, &view);
    }
    answer(&app, act::rollback(&*app.deps, id, &caller, memo.0).await).await
}
