//! The schemas of errors and of users in v1.

use std::borrow::Cow;

use serde::Serialize;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::code::Code;

/// What is wrong with one field.
#[derive(ToSchema)]
pub struct ProblemField {
    /// The name of the field; empty for the body as a whole.
    #[schema(example = "amount")]
    pub field: String,
    /// What is wrong, for programs.
    #[schema(example = "missing")]
    pub code: String,
    /// What is wrong, for people.
    #[schema(example = "the field is required")]
    pub detail: String,
}

/// A problem (RFC 9457). Some codes add members: `amount`, `balance`, `token_status`.
#[derive(ToSchema)]
pub struct Problem {
    /// The explanation of the code.
    #[schema(rename = "type", example = "/docs#ERR001")]
    pub kind: String,
    /// The same for every problem of this code.
    #[schema(example = "Invalid request")]
    pub title: String,
    /// The status.
    #[schema(example = 400)]
    pub status: u16,
    /// What happened here.
    #[schema(example = "The request is not valid.")]
    pub detail: String,
    /// The code.
    pub code: Code,
    /// The id of the request; also in `X-Request-Id`.
    #[schema(example = "01K9Z3NDEKTSV4RRFFQ69G5FAV")]
    pub request_id: String,
    /// The fields that are wrong.
    pub errors: Option<Vec<ProblemField>>,
}

/// An error of v1.
#[derive(ToSchema)]
pub struct V1Error {
    /// What happened: a list for ERR001 with status 422, else a text.
    pub detail: V1Detail,
    /// The code.
    pub code: Code,
    /// -2 when the spray is over.
    pub token_status: Option<i32>,
}

/// The detail of an error, in v1.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub enum V1Detail {
    /// As a sentence.
    Text(String),
    /// As the list of all issues.
    Issues(Vec<V1Issue>),
}

/// One issue of a request, in v1.
#[derive(Serialize, ToSchema)]
pub struct V1Issue {
    /// The place: `header`, `body`, `path` or `query`, then the name of the field or the position
    /// in the text.
    #[schema(value_type = Vec<Value>, example = json!(["body", "total_amount"]))]
    pub loc: Vec<serde_json::Value>,
    /// What is wrong, for people.
    #[schema(example = "Field required")]
    pub msg: String,
    /// What is wrong, for programs.
    #[schema(rename = "type", example = "missing")]
    pub kind: String,
}

/// A user in v1: a number, or the id of a user of v2.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub enum V1UserId {
    /// A user of v1.
    Number(i64),
    /// A user of v2.
    Name(String),
}

impl PartialSchema for Code {
    fn schema() -> RefOr<Schema> {
        let names = Self::ALL.iter().map(|code| code.as_str());
        ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some("The error code. The meaning of a code never changes."))
            .enum_values(Some(names))
            .build()
            .into()
    }
}

impl ToSchema for Code {
    fn name() -> Cow<'static, str> {
        "ErrorCode".into()
    }
}
