//! How v2 reads a request: strictly, and with the name of each faulty field.

use std::str::FromStr;

use http::{HeaderMap, StatusCode, header};
use largesse_domain::id::{RoomId, UserId};
use serde::de::{DeserializeOwned, Deserializer, Error as _, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::error::Category;

use crate::call::Call;
use crate::code::Code;
use crate::error::{ApiError, FieldError, Place};

/// The header with the member that the caller acts for.
pub const USER_HEADER: &str = "X-USER-ID";
/// The header with the chat room.
pub const ROOM_HEADER: &str = "X-ROOM-ID";

/// Why a header has no usable value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderFault {
    /// The header is missing.
    Missing,
    /// The header comes more than once, and readers could disagree on which value counts.
    Repeated,
    /// The value holds more than visible ASCII.
    Malformed,
}

/// The one value of a header.
///
/// # Errors
/// [`HeaderFault`].
pub fn header_once<'a>(headers: &'a HeaderMap, name: &str) -> Result<&'a str, HeaderFault> {
    let mut values = headers.get_all(name).iter();
    let value = values.next().ok_or(HeaderFault::Missing)?;
    if values.next().is_some() {
        return Err(HeaderFault::Repeated);
    }
    value.to_str().map_err(|_| HeaderFault::Malformed)
}

impl Call {
    /// `X-USER-ID`.
    ///
    /// # Errors
    /// ERR001 when it is missing, repeated or no user id.
    pub fn caller(&self) -> Result<UserId, ApiError> {
        identity(&self.headers, USER_HEADER, "1 to 64 characters of [A-Za-z0-9_-]")
    }

    /// `X-ROOM-ID`.
    ///
    /// # Errors
    /// ERR001 when it is missing, repeated or no room id.
    pub fn room(&self) -> Result<RoomId, ApiError> {
        identity(&self.headers, ROOM_HEADER, "a room id: a ULID of 26 characters")
    }

    /// A path parameter.
    ///
    /// # Errors
    /// ERR005 when it is malformed, because no resource has such a name.
    pub fn path<T: FromStr>(&self, name: &str) -> Result<T, ApiError> {
        self.param(name).parse().map_err(|_| ApiError::not_found())
    }

    /// The caller, who must be the user in the path: only its owner sees a wallet.
    ///
    /// # Errors
    /// ERR001, ERR005, ERR004, in this order.
    pub fn owner(&self) -> Result<UserId, ApiError> {
        let caller = self.caller()?;
        let user: UserId = self.path("user")?;
        if user == caller {
            return Ok(user);
        }
        Err(ApiError::new(Code::Forbidden, "The wallet is another user's."))
    }

    /// The JSON body, read strictly.
    ///
    /// # Errors
    /// ERR001: 415 when it is not declared as JSON, else 400 naming the field where there is one.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        if !is_json(&self.headers) {
            let detail = "The body must be application/json.";
            return Err(ApiError::new(Code::InvalidRequest, detail)
                .status(StatusCode::UNSUPPORTED_MEDIA_TYPE));
        }
        strict(&self.body).map_err(|error| ApiError::invalid(vec![error]))
    }
}

fn identity<T: FromStr>(
    headers: &HeaderMap,
    name: &str,
    form: &'static str,
) -> Result<T, ApiError> {
    let (code, detail) = match header_once(headers, name) {
        Ok(text) => match text.parse() {
            Ok(value) => return Ok(value),
            // API Gateway joins the values of a header that comes twice.
            Err(_) if text.contains(',') => ("repeated", "the header is needed once"),
            Err(_) => ("malformed", form),
        },
        Err(HeaderFault::Missing) => ("missing", "the header is required"),
        Err(HeaderFault::Repeated) => ("repeated", "the header is needed once"),
        Err(HeaderFault::Malformed) => ("malformed", form),
    };
    Err(ApiError::invalid(vec![FieldError::new(Place::Header, name, code, detail)]))
}

/// Whether the content type is JSON, with any parameters.
#[must_use]
pub fn is_json(headers: &HeaderMap) -> bool {
    let kind = header_once(headers, header::CONTENT_TYPE.as_str()).unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
}

/// Reads an object that has each known field at most once and no other field.
fn strict<T: DeserializeOwned>(body: &[u8]) -> Result<T, FieldError> {
    // serde would also read a struct from an array, in the order of the fields.
    let first = body.iter().find(|byte| !byte.is_ascii_whitespace());
    if !matches!(first, Some(b'{')) {
        return Err(if serde_json::from_slice::<serde::de::IgnoredAny>(body).is_ok() {
            FieldError::body("", "wrong_type", "expected an object")
        } else {
            malformed()
        });
    }
    let mut json = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        describe(if path == "." { "" } else { &path }, error.inner())
    })?;
    json.end().map_err(|_| malformed())?;
    Ok(value)
}

fn malformed() -> FieldError {
    FieldError::body("", "malformed", "the body is not well-formed JSON")
}

/// Describes the error of serde without repeating the input.
fn describe(path: &str, error: &serde_json::Error) -> FieldError {
    let text = error.to_string();
    if text.starts_with("number out of range") {
        return FieldError::body(path, "out_of_range", "the number is too large");
    }
    if error.classify() != Category::Data {
        return malformed();
    }
    let named = |of: &str| {
        // serde puts the name of the field between back quotes, after the kind of the error.
        let name = text.strip_prefix(of)?.split('`').nth(1)?;
        Some(if path.is_empty() || path.ends_with(name) {
            name.to_owned()
        } else {
            format!("{path}.{name}")
        })
    };
    if let Some(field) = named("missing field ") {
        return FieldError::body(field, "missing", "the field is required");
    }
    if let Some(field) = named("unknown field ") {
        return FieldError::body(field, "unknown", "no such field");
    }
    if let Some(field) = named("duplicate field ") {
        return FieldError::body(field, "duplicate", "the field is given twice");
    }
    let code = if text.starts_with("invalid type") { "wrong_type" } else { "invalid" };
    // After "expected" comes the text of our own types, up to the position that serde_json adds.
    let expected = text.rsplit_once(", expected ").map(|(_, rest)| rest);
    let expected = expected.and_then(|rest| rest.split(" at line ").next());
    match expected {
        Some(expected) => FieldError::body(path, code, format!("expected {expected}")),
        None => FieldError::body(path, code, "the value cannot be read"),
    }
}

/// An integer from 0 in plain digits: no quotes, fraction, exponent or sign.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Whole(pub u64);

struct WholeVisitor;

impl Visitor<'_> for WholeVisitor {
    type Value = Whole;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a whole number without sign, fraction, exponent or quotes")
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Whole, E> {
        Ok(Whole(number))
    }
}

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_u64(WholeVisitor)
    }
}

/// Reads an optional field, in which `null` is not allowed.
///
/// # Errors
/// Those of the value.
pub fn given<'de, T, D>(json: D) -> Result<Option<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    T::deserialize(json).map(Some)
}

/// Reads a text by the parser of a domain type, whose error becomes the detail of the field.
///
/// # Errors
/// Those of the parser.
pub fn parsed<'de, T, D>(json: D) -> Result<T, D::Error>
where
    T: FromStr,
    T::Err: std::fmt::Display,
    D: Deserializer<'de>,
{
    let text = String::deserialize(json)?;
    text.parse().map_err(|error| D::Error::custom(format!("invalid, expected {error}")))
}

#[cfg(test)]
#[path = "extract_tests.rs"]
mod tests;
