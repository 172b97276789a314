//! v2: `PUT /api/v2/campaigns/{id}/parts/{n}`.

use axum::extract::State;
use http::{StatusCode, header};
use largesse_app::campaign::upload::{UploadError, UploadPart, Uploaded, upload};
use largesse_app::ports::PartReport;
use largesse_domain::campaign::{PartNumber, PartRefused};
use largesse_domain::id::CampaignId;
use largesse_edge::call::UploadCall;
use largesse_edge::extract::header_once;
use largesse_edge::openapi::CallerHeader;
use largesse_edge::query::Query;
use largesse_edge::{Answer, ApiError, App, Call, Code};
use largesse_input::{Format, Problem, Scope};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::{Deps, refuse_by_rule, sentence};

/// Why a row was refused.
#[derive(Debug, Serialize, ToSchema)]
pub struct RowError {
    /// The physical line, from 1.
    #[schema(example = 7)]
    line: u64,
    /// The column, as the file names it; absent for a row as a whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "amount")]
    column: Option<String>,
    /// What is wrong, for programs.
    #[schema(example = "amount_fraction")]
    code: &'static str,
    /// What is wrong, for people, with the value and what to do.
    #[schema(example = "The amount has a decimal point. Write a whole number of the minor unit.")]
    detail: String,
}

impl From<&Problem> for RowError {
    fn from(problem: &Problem) -> Self {
        Self {
            line: problem.line,
            column: problem.column.clone(),
            code: problem.code.as_str(),
            detail: problem.detail(),
        }
    }
}

/// A part that was taken.
#[derive(Debug, Serialize, ToSchema)]
pub struct PartView {
    /// Its number.
    #[schema(example = 1)]
    part: u32,
    /// Its rows: accepted and refused. Blank rows are not counted.
    #[schema(example = 1_001)]
    rows: u64,
    /// Rows that count.
    #[schema(example = 1_000)]
    accepted: u64,
    /// Rows that are left out; `errors` says why.
    #[schema(example = 1)]
    refused: u64,
    /// Blank rows, skipped.
    #[schema(example = 0)]
    blank: u64,
    /// What the accepted rows sum to.
    #[schema(example = 1_000_000)]
    amount: u64,
    /// The first 1,000 errors, in the order of the file.
    errors: Vec<RowError>,
    /// How many errors there are.
    #[schema(example = 1)]
    error_count: u64,
    /// Whether the same part was there before. Nothing has changed then.
    #[schema(example = false)]
    replayed: bool,
}

impl From<&Uploaded> for PartView {
    fn from(uploaded: &Uploaded) -> Self {
        let Uploaded { part, report, replayed } = uploaded;
        Self {
            part: part.number.get(),
            rows: report.rows,
            accepted: report.accepted,
            refused: report.refused,
            blank: report.blank,
            amount: part.amount,
            errors: report.problems.iter().map(Into::into).collect(),
            error_count: report.problem_count,
            replayed: *replayed,
        }
    }
}

/// Upload a part of a campaign
///
/// A CSV file with a header, or JSON Lines, of `member_id`, `amount` and `reason`, of at most 6 MiB.
/// Behind API Gateway, JSON Lines have at most 4.5 MB: they arrive in Base64. The same content under
/// the same number is the same part; nothing changes. Rows that are refused are left out, and the
/// answer names them. A file that cannot be read is refused whole, and `errors` says where.
#[utoipa::path(
    put, path = "/api/v2/campaigns/{id}/parts/{n}", tag = "campaign",
    operation_id = "putCampaignPart",
    params(
        CallerHeader,
        ("id" = String, Path, description = "The campaign.", min_length = 26, max_length = 26,
            example = "01K9Z3NDEKTSV4RRFFQ69G5FAV"),
        ("n" = u32, Path, description = "The number of the part.", minimum = 1, maximum = 10_000,
            example = 1),
    ),
    request_body(
        description = "The rows.",
        content(
            (String = "text/csv", example = "member_id,amount,reason\n00042,1000,출석 보상\n"),
            (String = "application/jsonl"),
            (String = "application/x-ndjson"),
        ),
    ),
    responses(
        (status = 200, description = "The part is taken.", body = PartView),
        (status = 404, description = "ERR005"),
        (status = 409, description = "ERR201 ERR208 ERR209"),
    )
)]
pub async fn put<D: Deps>(
    State(app): State<App<D>>,
    UploadCall(call): UploadCall,
) -> Result<Answer, ApiError> {
    let caller = call.caller()?;
    let campaign: CampaignId = call.path("id")?;
    let number = number_of(&call).ok_or_else(ApiError::not_found)?;
    Query::of(&call, &[])?;
    let format = format_of(&call)?;
    let request = UploadPart { campaign, by: &caller, number, format, body: &call.body };
    let uploaded = upload(&*app.deps, request).await.map_err(refuse)?;
    Answer::json(StatusCode::OK, &PartView::from(&uploaded))
}

/// The number in the path, in its one spelling.
fn number_of(call: &Call) -> Option<PartNumber> {
    let text = call.param("n");
    let number: u32 = text.parse().ok().filter(|number: &u32| number.to_string() == text)?;
    PartNumber::new(number)
}

fn format_of(call: &Call) -> Result<Format, ApiError> {
    let kind = header_once(&call.headers, header::CONTENT_TYPE.as_str()).unwrap_or_default();
    Format::from_content_type(kind).map_err(|error| {
        ApiError::new(Code::InvalidRequest, sentence(&error))
            .status(StatusCode::UNSUPPORTED_MEDIA_TYPE)
    })
}

fn refuse(error: UploadError) -> ApiError {
    match error {
        UploadError::NotFound => ApiError::not_found(),
        UploadError::Refused(refused) => refuse_by_rule(refused),
        UploadError::Part(refused) => {
            let code = match refused {
                PartRefused::OtherContent(_) => Code::OtherPart,
                PartRefused::RowsTooMany | PartRefused::AmountTooLarge => Code::CampaignTooLarge,
            };
            ApiError::new(code, sentence(&refused))
        }
        UploadError::File(report) => refuse_file(&report),
        UploadError::Busy => ApiError::unavailable("Others change the campaign.", 1),
        UploadError::Port(error) => error.into(),
    }
}

/// A file that is refused whole: the problems of the file first, then those of rows before them. A
/// header may have several, and the first of them is the cause: an unknown name leaves another missing.
fn refuse_file(report: &PartReport) -> ApiError {
    let is_of_file = |problem: &&Problem| problem.code.scope() == Scope::File;
    let (of_file, of_rows): (Vec<&Problem>, Vec<&Problem>) =
        report.problems.iter().partition(is_of_file);
    let errors: Value = of_file.iter().chain(&of_rows).map(|problem| error_of(problem)).collect();
    let detail = of_file.first().map_or_else(
        || "The file cannot be read.".to_owned(),
        |problem| format!("The file is refused at line {}: {}", problem.line, problem.detail()),
    );
    ApiError::new(Code::InvalidRequest, detail).with("errors", errors)
}

/// As every problem document lists an error, and where it stands in the file.
fn error_of(problem: &Problem) -> Value {
    let mut error = json!({
        "field": "", "code": problem.code.as_str(), "detail": problem.detail(),
        "line": problem.line,
    });
    if let Some(column) = &problem.column {
        error["column"] = column.as_str().into();
    }
    if let Some(byte) = problem.byte {
        error["byte"] = byte.into();
    }
    error
}
