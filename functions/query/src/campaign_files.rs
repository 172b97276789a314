//! v2: the files of a campaign, which spreadsheets open and the upload takes again.
//!
//! # Guarantees
//! * A file that is uploaded again has the same members, amounts and reasons:
//!   `duplicates_of_a_campaign_can_be_uploaded_to_another`, `failures_of_a_campaign_can_be_uploaded_to_another`.

use std::fmt::{self, Display};
use std::str::FromStr;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::{HeaderValue, header};
use largesse_app::campaign::duplicates::DuplicateList;
use largesse_app::campaign::read;
use largesse_app::campaign::standing::{self, Standing};
use largesse_domain::campaign::{Duplicate, PartNumber, Place, Row, RowState};
use largesse_domain::id::CampaignId;
use largesse_edge::cursor::CursorKey;
use largesse_edge::openapi::{CallerHeader, CampaignPath};
use largesse_edge::query::Query;
use largesse_edge::{ApiError, App, Call};
use largesse_input::write::{self, Layout};

use crate::Deps;
use crate::campaign_rows::PlaceOfRow;

/// The most rows of a page. A row has at most 1,720 bytes as Lambda sends it: two texts of 200
/// characters of 4 bytes, a member, an amount and a line. So a page stays below Lambda's 6 MiB.
pub const FILE_ROWS_MAX: u32 = 3_000;

/// Which page of a file is wanted.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only its documentation is read")]
struct FileQuery {
    /// The number of rows.
    #[param(minimum = 1, maximum = 3_000)]
    limit: Option<u32>,
    /// That of the `Link` of the previous page.
    #[param(pattern = "^[A-Za-z0-9_-]{1,256}$")]
    cursor: Option<String>,
}

/// A request for a page of a file. Its cursor is a `C`.
struct Wanted<'a, C> {
    campaign: CampaignId,
    limit: u32,
    /// Where the page begins; `None` at the beginning of the file.
    from: Option<C>,
    cursors: &'a CursorKey,
    scope: String,
}

impl<'a, C: FromStr + Display> Wanted<'a, C> {
    fn read<D>(app: &'a App<D>, call: &Call) -> Result<Self, ApiError> {
        let caller = call.caller()?;
        let query = Query::of(call, &["limit", "cursor"])?;
        let limit = query.read("limit", "a number from 1 to 3000", |text| {
            let limit: u32 = text.parse().ok().filter(|limit: &u32| limit.to_string() == text)?;
            (1..=FILE_ROWS_MAX).contains(&limit).then_some(limit)
        })?;
        let (scope, cursors) = (query.scope(call, &caller), app.cursors()?);
        let from = query.text("cursor").map(|text| cursors.open(&scope, text)).transpose()?;
        let (campaign, limit) = (call.path("id")?, limit.unwrap_or(FILE_ROWS_MAX));
        Ok(Self { campaign, limit, from, cursors, scope })
    }

    /// The page: a whole file of its own, with its header. `next` is where the next one begins.
    fn page(&self, name: &str, layout: Layout, lines: &[String], next: Option<&C>) -> Response {
        let body = format!("{}{}", layout.header(), lines.concat());
        let mut response = Response::new(Body::from(body));
        let headers = response.headers_mut();
        let csv = HeaderValue::from_static("text/csv; charset=utf-8");
        headers.insert(header::CONTENT_TYPE, csv);
        let file = format!("attachment; filename=\"{name}-{}.csv\"", self.campaign);
        // Relative to the request: a base path or a stage may be in front.
        let link = next.map(|next| {
            let cursor = self.cursors.seal(&self.scope, &next.to_string());
            format!("<?limit={}&cursor={cursor}>; rel=\"next\"", self.limit)
        });
        for (header, text) in [(header::CONTENT_DISPOSITION, Some(file)), (header::LINK, link)] {
            if let Some(value) = text.and_then(|text| HeaderValue::from_str(&text).ok()) {
                headers.insert(header, value);
            }
        }
        response
    }
}

/// A place as a cursor carries it.
struct PlaceText(Place);

impl FromStr for PlaceText {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (part, line) = text.split_once('.').ok_or(())?;
        let part = part.parse().ok().and_then(PartNumber::new).ok_or(())?;
        Ok(Self(Place { part, line: line.parse().map_err(|_| ())? }))
    }
}

impl Display for PlaceText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0.part.get(), self.0.line)
    }
}

fn line_of(duplicate: &Duplicate) -> String {
    let Place { part, line } = duplicate.place;
    let Row { member, amount, reason } = duplicate.row.clone();
    write::duplicate(&largesse_input::Row { line, member, amount, reason }, part.get())
}

/// Download the duplicates of a campaign
///
/// The rows that name a member again, in the order of parts and lines: `member_id`, `amount`, `reason`,
/// `part` and `line`. Each page is a CSV file of its own for spreadsheets, which can be uploaded as it is.
#[utoipa::path(
    get, path = "/api/v2/campaigns/{id}/duplicates.csv", tag = "campaign",
    operation_id = "getCampaignDuplicates",
    params(CallerHeader, CampaignPath, FileQuery),
    responses(
        (
            status = 200, description = "A page of the file; none of its rows before the seal.",
            content_type = "text/csv", body = String,
            headers(("Link" = String, description = "The next page, with `rel=\"next\"`.")),
        ),
        (status = 404, description = "ERR005"),
    )
)]
pub async fn duplicates<D: Deps>(
    State(app): State<App<D>>,
    call: Call,
) -> Result<Response, ApiError> {
    let wanted: Wanted<'_, PlaceText> = Wanted::read(&app, &call)?;
    let view = read::show(&*app.deps, wanted.campaign).await?.ok_or_else(ApiError::not_found)?;
    let list = DuplicateList::of(&*app.deps, &view.campaign).await?;
    let (mut lines, mut next) = (Vec::new(), None);
    if let Some(list) = list {
        let after = wanted.from.as_ref().map(|PlaceText(place)| *place);
        let page = list.page(&*app.deps, after, wanted.limit).await?;
        lines = page.rows.iter().map(line_of).collect();
        next = page.next.map(PlaceText);
    }
    Ok(wanted.page("duplicates", Layout::Duplicates, &lines, next.as_ref()))
}

/// Download the failed rows of a campaign
///
/// `member_id`, `amount`, `reason` and `failure`: why the money service refused. Each page is a CSV
/// file of its own for spreadsheets, which can be uploaded as it is. One request reads at most 500
/// chunks of some 100 rows, so a page with a `Link` may have fewer rows than `limit`, or none.
#[utoipa::path(
    get, path = "/api/v2/campaigns/{id}/failures.csv", tag = "campaign",
    operation_id = "getCampaignFailures",
    params(CallerHeader, CampaignPath, FileQuery),
    responses(
        (
            status = 200, description = "A page of the file.",
            content_type = "text/csv", body = String,
            headers(("Link" = String, description = "The next page, with `rel=\"next\"`.")),
        ),
        (status = 404, description = "ERR005"),
    )
)]
pub async fn failures<D: Deps>(
    State(app): State<App<D>>,
    call: Call,
) -> Result<Response, ApiError> {
    let wanted: Wanted<'_, PlaceOfRow> = Wanted::read(&app, &call)?;
    let from = wanted.from.as_ref().map(|PlaceOfRow(place)| *place).unwrap_or_default();
    let is_failed = |state: &RowState| matches!(state, RowState::Failed { .. });
    let page = standing::rows(&*app.deps, wanted.campaign, is_failed, from, wanted.limit).await?;
    let page = page.ok_or_else(ApiError::not_found)?;
    let lines: Vec<_> = page.rows.into_iter().filter_map(failed_line).collect();
    let next = page.next.map(PlaceOfRow);
    Ok(wanted.page("failures", Layout::Failures, &lines, next.as_ref()))
}

fn failed_line(Standing { row, state, .. }: Standing) -> Option<String> {
    let RowState::Failed { reason: failure, .. } = state else { return None };
    let Row { member, amount, reason } = row;
    let row = largesse_input::Row { line: 0, member, amount, reason };
    Some(write::failed(&row, failure.as_str()))
}
