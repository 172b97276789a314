//! The OpenAPI document: what the functions' parts share, and how the parts become one.
//!
//! A function names the codes of a refusal as its description (`"ERR101 ERR102"`); merging turns
//! them into sentences and adds the schema of the version's error and the answers that every
//! operation may give.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::json;
use utoipa::openapi::path::Operation;
use utoipa::openapi::schema::{ObjectBuilder, SchemaType, Type};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{
    ComponentsBuilder, Content, HeaderBuilder, Info, License, OpenApi, PathItem, Paths, Ref, RefOr,
    Response, Schema, ServerBuilder,
};
use utoipa::{IntoParams, PartialSchema, ToSchema};

use crate::code::Code;
use crate::idempotency::KEY_HEADER;

/// `X-USER-ID` in v2.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub struct CallerHeader {
    /// The member that the caller acts for.
    #[param(rename = "X-USER-ID", pattern = "^[A-Za-z0-9_-]{1,64}$", example = "ann")]
    pub user: String,
}

/// `X-ROOM-ID` in v2.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub struct RoomHeader {
    /// The chat room, by its id.
    #[param(
        rename = "X-ROOM-ID",
        min_length = 26,
        max_length = 26,
        example = "01K9Z3NDEKTSV4RRFFQ69G5FAV"
    )]
    pub room: String,
}

/// `Idempotency-Key` where money moves.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub struct KeyHeader {
    /// Names this request: a repeat with the same key gets the first answer, for 24 hours, with
    /// `Idempotency-Replayed: true`.
    #[param(
        rename = "Idempotency-Key",
        min_length = 1,
        max_length = 255,
        example = "7e5f4a52-9c0d-4d0e-8f0a-2b6f3c1d9e11"
    )]
    pub key: String,
}

/// `Idempotency-Key` elsewhere.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub struct OptionalKeyHeader {
    /// Names this request: a repeat with the same key gets the first answer, for 24 hours, with
    /// `Idempotency-Replayed: true`.
    #[param(rename = "Idempotency-Key", min_length = 1, max_length = 255)]
    pub key: Option<String>,
}

/// `X-USER-ID` in v1.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub struct V1CallerHeader {
    /// The user that the caller acts for.
    #[param(rename = "X-USER-ID", example = 7)]
    pub user: i64,
}

/// `X-ROOM-ID` in v1.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub struct V1RoomHeader {
    /// The chat room, by its id.
    #[param(rename = "X-ROOM-ID", example = "01K9Z3NDEKTSV4RRFFQ69G5FAV")]
    pub room: String,
}

/// Where a page of a list starts, and how long it is.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// Rows of a page.
    #[param(minimum = 1, maximum = 100, default = 20)]
    pub limit: Option<u32>,
    /// The previous page's `next_cursor`, with the same filters.
    pub cursor: Option<String>,
}

/// What is wrong with one field.
#[derive(ToSchema)]
pub struct ProblemField {
    /// The field's name; empty for the body as a whole.
    #[schema(example = "amount")]
    pub field: String,
    /// What is wrong, for programs.
    #[schema(example = "missing")]
    pub code: String,
    /// What is wrong, for people.
    #[schema(example = "the field is needed")]
    pub detail: String,
}

/// A problem (RFC 9457). Some codes add members: `amount`, `balance`, `token_status`.
#[derive(ToSchema)]
pub struct Problem {
    /// Where the code is explained.
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
    /// Names the request; also in `X-Request-Id`.
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

/// What happened, in v1.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub enum V1Detail {
    /// In a sentence.
    Text(String),
    /// All that is wrong with the request.
    Issues(Vec<V1Issue>),
}

/// One thing that is wrong with a request, in v1.
#[derive(Serialize, ToSchema)]
pub struct V1Issue {
    /// Where: `header`, `body`, `path` or `query`, then the name of the field, or the position in
    /// the text.
    #[schema(value_type = Vec<Value>, example = json!(["body", "total_amount"]))]
    pub loc: Vec<serde_json::Value>,
    /// What is wrong, for people.
    #[schema(example = "Field required")]
    pub msg: String,
    /// What is wrong, for programs.
    #[schema(rename = "type", example = "missing")]
    pub kind: String,
}

/// A user in v1: a number, or the name of one who came by v2.
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
            .schema_type(SchemaType::Type(Type::String))
            .description(Some("What went wrong; the meaning of a code never changes."))
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

/// Makes one document of the functions' parts.
#[must_use]
pub fn merge(parts: Vec<OpenApi>) -> OpenApi {
    let mut document = OpenApi::new(info(), Paths::new());
    for part in parts {
        document.merge(part);
    }
    let schemas = [
        (Problem::name().into_owned(), Problem::schema()),
        (ProblemField::name().into_owned(), ProblemField::schema()),
        (V1Error::name().into_owned(), V1Error::schema()),
        (V1Detail::name().into_owned(), V1Detail::schema()),
        (V1Issue::name().into_owned(), V1Issue::schema()),
        (V1UserId::name().into_owned(), V1UserId::schema()),
        (Code::name().into_owned(), Code::schema()),
    ];
    let components = ComponentsBuilder::from(document.components.take().unwrap_or_default());
    document.components = Some(components.schemas_from_iter(schemas).build());
    document.servers = Some(vec![ServerBuilder::new().url("/").build()]);
    document.tags = Some(tags());
    for (path, item) in &mut document.paths.paths {
        let is_v1 = path.starts_with("/api/v1/");
        operations(item).for_each(|operation| complete(operation, is_v1));
    }
    document.extensions = Some(error_table());
    document
}

fn info() -> Info {
    let mut info = Info::new("Largesse", env!("CARGO_PKG_VERSION"));
    info.description = Some(
        "Gives money and points to many people at once, exactly once each.\n\n\
         Amounts are integers in the currency's minor unit, 1 to 1,000,000,000,000. Times are RFC \
         3339 in UTC. Ids are ULIDs. Every answer carries `X-Request-Id`. v2 refuses unknown \
         fields and parameters; v1 is the wire format of the clients that were there first."
            .to_owned(),
    );
    info.license = Some(License::new("Apache-2.0"));
    info
}

fn tags() -> Vec<utoipa::openapi::Tag> {
    let tags = [
        ("wallet", "Deposits, balances, history."),
        ("room", "Chat rooms and their members."),
        ("spray", "Give an amount to the members of a room; each claims one share, once."),
        ("operate", "Health."),
        ("v1", "The wire format of the clients that were there first."),
    ];
    let tag = |(name, text)| TagBuilder::new().name(name).description(Some(text)).build();
    tags.map(tag).into()
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem { get, put, post, delete, .. } = item;
    [get, put, post, delete].into_iter().flatten()
}

/// Adds what every operation may answer, and the bodies of all refusals.
fn complete(operation: &mut Operation, is_v1: bool) {
    let responses = &mut operation.responses.responses;
    let has_body = operation.request_body.is_some();
    let reads_input = operation.parameters.is_some() || has_body;
    let has_key =
        operation.parameters.iter().flatten().any(
            |parameter| matches!(parameter, RefOr::T(parameter) if parameter.name == KEY_HEADER),
        );
    let invalid = if is_v1 { "422" } else { "400" };
    let answers = [
        (invalid, "ERR001", reads_input),
        ("409", "ERR006", has_key),
        // Also of who sends a body where none is wanted.
        ("413", "ERR001", reads_input),
        // v1 takes a body of no or a wrong type for JSON, or answers 422.
        ("415", "ERR001", has_body && !is_v1),
        ("422", "ERR006", has_key),
        ("500", "ERR003", reads_input),
        ("503", "ERR008", reads_input),
    ];
    for (status, code, _) in answers.into_iter().filter(|(_, _, given)| *given) {
        let response = responses.entry(status.to_owned());
        let response = response.or_insert_with(|| RefOr::T(Response::new("")));
        if let RefOr::T(response) = response
            && !response.description.contains(code)
        {
            response.description = format!("{} {code}", response.description).trim().to_owned();
        }
    }
    let (kind, schema) = if is_v1 {
        ("application/json", "V1Error")
    } else {
        ("application/problem+json", "Problem")
    };
    for (status, response) in responses {
        let RefOr::T(response) = response else { continue };
        let mut say = |name: &str, text: &str, kind: Type| {
            let schema = ObjectBuilder::new().schema_type(SchemaType::Type(kind)).build();
            let header = HeaderBuilder::new().description(Some(text)).schema(Some(schema)).build();
            response.headers.insert(name.to_owned(), header.into());
        };
        say("X-Request-Id", "Names the request.", Type::String);
        if has_key && status.as_str() < "500" {
            let text = "`true` when this is the first answer to the same key, again.";
            say("Idempotency-Replayed", text, Type::Boolean);
        }
        if status == "503" || (has_key && status == "409") {
            say("Retry-After", "In how many seconds to repeat.", Type::Integer);
        }
        if status.as_str() < "400" {
            continue;
        }
        response.description = describe(&response.description);
        let content = Content::new(Some(Ref::from_schema_name(schema)));
        response.content.insert(kind.to_owned(), content.into());
    }
}

/// Turns codes into sentences.
fn describe(codes: &str) -> String {
    let titled = codes.split_whitespace().map(|name| {
        let code = Code::ALL.iter().find(|code| code.as_str() == name);
        code.map_or_else(|| name.to_owned(), |code| format!("{name} {}", code.title()))
    });
    titled.collect::<Vec<_>>().join("; ")
}

/// The table of errors, for whoever renders the document.
fn error_table() -> utoipa::openapi::extensions::Extensions {
    let rows = Code::ALL.iter().map(|code| {
        json!({
            "code": code.as_str(),
            "title": code.title(),
            "status": code.status().as_u16(),
            "when": code.when(),
            "then": code.then(),
            "v1": code.v1(),
        })
    });
    let rows = serde_json::Value::from_iter(rows);
    utoipa::openapi::extensions::Extensions::builder().add("x-errors", rows).build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_become_sentences() {
        assert_eq!(describe("ERR101 ERR004"), "ERR101 Own spray; ERR004 Forbidden");
    }

    #[test]
    fn the_document_knows_every_code() {
        let document = serde_json::to_value(merge(Vec::new())).unwrap();
        let names = &document["components"]["schemas"]["ErrorCode"]["enum"];
        assert_eq!(names.as_array().unwrap().len(), Code::ALL.len());
        assert_eq!(document["x-errors"].as_array().unwrap().len(), Code::ALL.len());
    }
}
