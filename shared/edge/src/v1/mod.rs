//! The v1 dialect: requests as its first clients send them, refused in the words of FastAPI.
//!
//! v1 reports all issues of a request at once, so reading continues after the first issue. A value
//! that cannot be read is `None`, and an issue names the reason.

mod fields;
pub mod time;

use std::borrow::Cow;

use http::header;
use largesse_domain::id::{RoomId, UserId};
use largesse_domain::money::AMOUNT_MAX;
use largesse_domain::time::Timestamp;
use serde_json::Value;

use crate::call::Call;
use crate::error::{ApiError, FieldError, Place};
use crate::extract::{HeaderFault, ROOM_HEADER, USER_HEADER, header_once, is_json};
use crate::time::lost_its_plus;
pub use crate::v1::fields::Body;
use crate::v1::fields::{Field, Fields};

/// The longest `X-ROOM-ID`.
const ROOM_LEN_MAX: usize = 64;

/// The issues of one request, in the order in which reading found them.
#[derive(Debug, Default)]
pub struct Issues(Vec<FieldError>);

/// The limits of an integer, both included.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    min: i64,
    max: i64,
}

impl Limits {
    /// Above zero, up to the largest amount.
    pub const AMOUNT: Self = Self { min: 1, max: AMOUNT_MAX.cast_signed() };

    /// From `min` to `max`.
    #[must_use]
    pub const fn new(min: i64, max: i64) -> Self {
        Self { min, max }
    }
}

impl Issues {
    /// Adds an issue.
    pub fn add(&mut self, error: FieldError) {
        self.0.push(error);
    }

    /// The error that lists all issues.
    #[must_use]
    pub fn refuse(self) -> ApiError {
        ApiError::invalid(self.0)
    }

    /// `X-USER-ID`: an integer in any spelling.
    pub fn caller(&mut self, call: &Call) -> Option<UserId> {
        let text = self.header(call, USER_HEADER)?;
        match integer_in(text) {
            Ok(number) => number.to_string().parse().ok(),
            Err((code, detail)) => {
                self.add(FieldError::new(Place::Header, USER_HEADER, code, detail));
                None
            }
        }
    }

    /// `X-ROOM-ID`: a text. `Some(None)` is a text that is no room id, so no room has it.
    pub fn room(&mut self, call: &Call) -> Option<Option<RoomId>> {
        let text = self.header(call, ROOM_HEADER)?;
        let (code, detail) = match text.len() {
            0 => ("string_too_short", "String should have at least 1 character"),
            1..=ROOM_LEN_MAX => return Some(text.parse().ok()),
            _ => ("string_too_long", "String should have at most 64 characters"),
        };
        self.add(FieldError::new(Place::Header, ROOM_HEADER, code, detail));
        None
    }

    fn header<'a>(&mut self, call: &'a Call, name: &str) -> Option<&'a str> {
        let (code, detail) = match header_once(&call.headers, name) {
            Ok(text) => return Some(text),
            Err(HeaderFault::Missing) => ("missing", "Field required"),
            Err(HeaderFault::Repeated) => ("value_error", "Value error, the header comes twice"),
            Err(HeaderFault::Malformed) => ("string_type", "Input should be a valid string"),
        };
        self.add(FieldError::new(Place::Header, name, code, detail));
        None
    }

    /// The body as an object. v1 ignores unknown fields.
    pub fn body(&mut self, call: &Call) -> Option<Body> {
        if call.body.is_empty() {
            self.add(FieldError::body("", "missing", "Field required"));
            return None;
        }
        // v1 has always read a body without a content type as JSON.
        let typed = call.headers.contains_key(header::CONTENT_TYPE);
        if !typed || is_json(&call.headers) {
            match serde_json::from_slice(&call.body) {
                Ok(Fields::Object(fields)) => return Some(fields),
                Ok(Fields::Duplicate(name)) => {
                    let detail = "Value error, the field comes twice";
                    self.add(FieldError::body(name, "value_error", detail));
                    return None;
                }
                Ok(Fields::Other) => {}
                Err(error) => {
                    let at = position(&call.body, &error).to_string();
                    self.add(FieldError::body(at, "json_invalid", "JSON decode error"));
                    return None;
                }
            }
        }
        let detail = "Input should be a valid dictionary or object to extract fields from";
        self.add(FieldError::body("", "model_attributes_type", detail));
        None
    }

    /// An integer of the body, as a number or as a text; a fraction of zeros is none.
    pub fn integer(&mut self, body: &Body, name: &str, limits: Limits) -> Option<i64> {
        let number = match body.get(name) {
            None => Err(("missing", "Field required")),
            Some(Field::Text(text)) => integer_in(text),
            Some(Field::Number(text)) => integer_in(text).map_err(|issue| match issue {
                INT_PARSING => INT_FROM_FLOAT,
                _ => issue,
            }),
            Some(Field::Other) => Err(("int_type", "Input should be a valid integer")),
        };
        self.limited(Place::Body, name, number, limits)
    }

    /// A positive amount of the body.
    pub fn amount(&mut self, body: &Body, name: &str) -> Option<u64> {
        self.integer(body, name, Limits::AMOUNT).and_then(|number| u64::try_from(number).ok())
    }

    /// A text of the body.
    pub fn text<'a>(&mut self, body: &'a Body, name: &str) -> Option<&'a str> {
        let (code, detail) = match body.get(name) {
            Some(Field::Text(text)) => return Some(text),
            Some(_) => ("string_type", "Input should be a valid string"),
            None => ("missing", "Field required"),
        };
        self.add(FieldError::body(name, code, detail));
        None
    }

    /// An integer of the query; `default` when the parameter is absent.
    pub fn query_integer(
        &mut self,
        call: &Call,
        name: &str,
        limits: Limits,
        default: i64,
    ) -> Option<i64> {
        match query(call, name) {
            None => Some(default),
            Some(text) => self.limited(Place::Query, name, integer_in(&text), limits),
        }
    }

    /// A parameter of the query, read by `read`. `Some(None)` when the parameter is absent.
    pub fn query<T>(
        &mut self,
        call: &Call,
        name: &str,
        (code, detail): (&'static str, &'static str),
        read: impl Fn(&str) -> Option<T>,
    ) -> Option<Option<T>> {
        let Some(text) = query(call, name) else { return Some(None) };
        let value = read(&text);
        if value.is_none() {
            self.add(FieldError::new(Place::Query, name, code, detail));
        }
        value.map(Some)
    }

    /// A date or a time of the query, read by `read`. `Some(None)` when the parameter is absent.
    pub fn query_time(
        &mut self,
        call: &Call,
        name: &str,
        read: fn(&str) -> Option<Timestamp>,
    ) -> Option<Option<Timestamp>> {
        let detail = match query(call, name) {
            Some(text) if lost_its_plus(&text) => {
                "Input should be a valid datetime or date, the + of the offset came as a blank; \
                 write it as %2B in a query"
            }
            _ => "Input should be a valid datetime or date",
        };
        self.query(call, name, ("datetime_from_date_parsing", detail), read)
    }

    fn limited(
        &mut self,
        place: Place,
        name: &str,
        number: Result<i64, (&'static str, &'static str)>,
        Limits { min, max }: Limits,
    ) -> Option<i64> {
        let (code, detail): (_, Cow<'static, str>) = match number {
            Ok(number) if (min..=max).contains(&number) => return Some(number),
            Ok(number) if number > max => {
                let detail = format!("Input should be less than or equal to {max}");
                ("less_than_equal", detail.into())
            }
            Ok(_) if min == 1 && place == Place::Body => {
                ("greater_than", "Input should be greater than 0".into())
            }
            Ok(_) => {
                let detail = format!("Input should be greater than or equal to {min}");
                ("greater_than_equal", detail.into())
            }
            Err((code, detail)) => (code, detail.into()),
        };
        self.add(FieldError::new(place, name, code, detail));
        None
    }
}

const INT_PARSING: (&str, &str) =
    ("int_parsing", "Input should be a valid integer, unable to parse string as an integer");
const INT_FROM_FLOAT: (&str, &str) =
    ("int_from_float", "Input should be a valid integer, got a number with a fractional part");
const INT_TOO_LONG: (&str, &str) =
    ("int_parsing_size", "Unable to parse input string as an integer, exceeded maximum size");

/// The integer in a text: white space around it, a sign, digits, a fraction of zeros.
fn integer_in(text: &str) -> Result<i64, (&'static str, &'static str)> {
    let text = text.trim();
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = whole.strip_prefix(['-', '+']).unwrap_or(whole);
    let is_whole = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    let is_zero = !fraction.is_empty() && fraction.bytes().all(|b| b == b'0');
    if !is_whole || !is_zero {
        return Err(INT_PARSING);
    }
    whole.parse().map_err(|_| INT_TOO_LONG)
}

/// The last parameter of that name: v1 has always used the last of repeated parameters.
fn query(call: &Call, name: &str) -> Option<String> {
    let pairs = form_urlencoded::parse(call.query().as_bytes());
    pairs.filter(|(key, _)| key == name).last().map(|(_, value)| value.into_owned())
}

/// The position of the byte at which reading failed.
fn position(body: &[u8], error: &serde_json::Error) -> usize {
    let lines = body.split_inclusive(|byte| *byte == b'\n');
    let before: usize = lines.take(error.line().saturating_sub(1)).map(<[u8]>::len).sum();
    before.saturating_add(error.column().saturating_sub(1))
}

/// A user id in v1: a number when the id is a number in its canonical spelling, else a text.
#[must_use]
pub fn user_value(user: &UserId) -> Value {
    let number = user.as_str().parse::<i64>().ok();
    let number = number.filter(|number| number.to_string() == user.as_str());
    number.map_or_else(|| Value::from(user.as_str()), Value::from)
}

#[cfg(test)]
mod tests;
