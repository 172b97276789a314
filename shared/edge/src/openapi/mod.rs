//! The OpenAPI document: the parts that the functions share, and their merge into one document.
//!
//! A function names the codes of a refusal in its description (`"ERR101 ERR102"`). [`merge`] turns
//! the codes into text, adds the error schema of the version, and adds the answers that every
//! operation can give.

mod params;
mod schemas;
mod security;

use http::Method;
use serde_json::json;
use utoipa::openapi::path::{Operation, Parameter};
use utoipa::openapi::schema::{ObjectBuilder, Schema, SchemaType, Type};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{
    ComponentsBuilder, Content, HeaderBuilder, Info, License, OpenApi, PathItem, Paths, Ref, RefOr,
    Response, ServerBuilder,
};
use utoipa::{PartialSchema, ToSchema};

use crate::code::Code;
use crate::idempotency::KEY_HEADER;

pub use params::*;
pub use schemas::*;

/// Merges the parts of the functions into one document.
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
    let components = security::schemes()
        .into_iter()
        .fold(components.schemas_from_iter(schemas), |components, (name, scheme)| {
            components.security_scheme(name, scheme)
        });
    document.components = Some(components.build());
    document.servers = Some(vec![ServerBuilder::new().url("/").build()]);
    document.tags = Some(tags());
    for (path, item) in &mut document.paths.paths {
        let is_v1 = path.starts_with("/api/v1/");
        for (method, operation) in operations(item) {
            security::require(method, path, operation);
            complete(operation, is_v1);
        }
    }
    document.extensions = Some(error_table());
    document
}

fn info() -> Info {
    let mut info = Info::new("Largesse", env!("CARGO_PKG_VERSION"));
    info.description = Some(
        "Gives money and points to many people at once, exactly once each.\n\n\
         Amounts are integers in the currency's minor unit, 1 to 1,000,000,000,000. Times are RFC \
         3339 in UTC. Ids are ULIDs. Every answer carries `X-Request-Id`, but for those of the \
         server to what is no HTTP request or has too large a head (400, 414, 431, with no body). \
         v2 refuses unknown fields and parameters; v1 is the wire format of the first clients.\n\n\
         With `AUTH=signed` each request but the public ones needs an API key with the scope of its \
         route and a signature; docs/auth.md says how to sign. With `AUTH=open` none does."
            .to_owned(),
    );
    info.license = Some(License::new("Apache-2.0"));
    info
}

fn tags() -> Vec<utoipa::openapi::Tag> {
    let tags = [
        ("wallet", "Deposits, balances, history."),
        ("room", "Chat rooms and their members."),
        ("spray", "Split an amount over the members of a room; each member claims one share once."),
        ("campaign", "Pay up to a million members from a file, each once."),
        (
            "product",
            "Invest in products; what is raised is paid out, or refunded below its minimum.",
        ),
        ("operate", "Health, API keys and this description."),
        ("v1", "The wire format of the first clients."),
    ];
    let tag = |(name, text)| TagBuilder::new().name(name).description(Some(text)).build();
    tags.map(tag).into()
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = (Method, &mut Operation)> {
    let PathItem { get, put, post, delete, .. } = item;
    let methods = [Method::GET, Method::PUT, Method::POST, Method::DELETE];
    let operations = methods.into_iter().zip([get, put, post, delete]);
    operations.filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}

/// The headers of a limit (draft-ietf-httpapi-ratelimit-headers), beside `Retry-After`.
const LIMIT_HEADERS: [(&str, &str); 2] = [
    ("RateLimit-Policy", "The limit: its name, `q` how much it admits in `w` seconds."),
    ("RateLimit", "What is left: the limit's name, `r` how much, `t` in how many seconds more."),
];

/// Adds the answers that every operation can give, and the bodies of all refusals.
fn complete(operation: &mut Operation, is_v1: bool) {
    for parameter in operation.parameters.iter_mut().flatten() {
        if let RefOr::T(parameter) = parameter {
            not_null(parameter);
        }
    }
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
        // Also for a body that the operation does not need.
        ("413", "ERR001", reads_input),
        // v1 reads a body without a content type as JSON and answers 422 to other types.
        ("415", "ERR001", has_body && !is_v1),
        ("422", "ERR006", has_key),
        ("429", "ERR007", reads_input),
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
        let mut add = |name: &str, text: &str, kind: Type| {
            let schema = ObjectBuilder::new().schema_type(kind).build();
            let header = HeaderBuilder::new().description(Some(text)).schema(Some(schema)).build();
            response.headers.insert(name.to_owned(), header.into());
        };
        add("X-Request-Id", "The id of the request.", Type::String);
        // 429 is never kept.
        if has_key && status.as_str() < "500" && status != "429" {
            let text = "`true` when this is the first answer to the same key, repeated.";
            add("Idempotency-Replayed", text, Type::Boolean);
        }
        if status == "429" {
            for (name, text) in LIMIT_HEADERS {
                add(name, text, Type::String);
            }
        }
        if matches!(status.as_str(), "429" | "503") || (has_key && status == "409") {
            add("Retry-After", "After how many seconds to repeat.", Type::Integer);
        }
        if status.as_str() < "400" {
            continue;
        }
        response.description = describe(&response.description);
        let content = Content::new(Some(Ref::from_schema_name(schema)));
        response.content.insert(kind.to_owned(), content.into());
    }
}

/// A parameter that may be missing has no value `null`: a caller could only send it as an empty text,
/// which the API refuses. utoipa derives one from `Option`.
fn not_null(parameter: &mut Parameter) {
    let Some(RefOr::T(Schema::Object(schema))) = &mut parameter.schema else { return };
    if let SchemaType::Array(types) = &schema.schema_type
        && let Some(kind) = types.iter().find(|kind| **kind != Type::Null)
    {
        schema.schema_type = SchemaType::Type(kind.clone());
    }
}

/// Adds to each code its title.
fn describe(codes: &str) -> String {
    let titled = codes.split_whitespace().map(|name| {
        let code = Code::ALL.iter().find(|code| code.as_str() == name);
        code.map_or_else(|| name.to_owned(), |code| format!("{name} {}", code.title()))
    });
    titled.collect::<Vec<_>>().join("; ")
}

/// The table of error codes, for the page that shows the document.
fn error_table() -> utoipa::openapi::extensions::Extensions {
    let rows = Code::ALL.iter().map(|code| {
        json!({
            "code": code.as_str(),
            "title": code.title(),
            "status": code.status().as_u16(),
            "v2": code.v2(),
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
    fn each_code_gets_its_title() {
        assert_eq!(describe("ERR101 ERR004"), "ERR101 Own spray; ERR004 Forbidden");
    }

    #[test]
    fn the_document_lists_every_code() {
        let document = serde_json::to_value(merge(Vec::new())).unwrap();
        let names = &document["components"]["schemas"]["ErrorCode"]["enum"];
        assert_eq!(names.as_array().unwrap().len(), Code::ALL.len());
        assert_eq!(document["x-errors"].as_array().unwrap().len(), Code::ALL.len());
    }
}
