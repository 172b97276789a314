//! Query strings of v2: every parameter known, none twice.

use std::str::FromStr;

use crate::call::Call;
use crate::error::{ApiError, FieldError, Place};

/// The rows of a page when nobody asks for a number.
pub const LIMIT_DEFAULT: u32 = 20;

/// The parameters of one query string.
#[derive(Clone, Debug)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Reads the parameters.
    ///
    /// # Errors
    /// ERR001 naming each parameter that is not `known` or comes twice.
    pub fn of(call: &Call, known: &[&str]) -> Result<Self, ApiError> {
        let mut pairs: Vec<(String, String)> = Vec::new();
        let mut errors = Vec::new();
        for (name, value) in form_urlencoded::parse(call.query().as_bytes()).into_owned() {
            if !known.contains(&name.as_str()) {
                errors.push(FieldError::new(Place::Query, name, "unknown", "no such parameter"));
            } else if pairs.iter().any(|(earlier, _)| *earlier == name) {
                errors.push(FieldError::new(Place::Query, name, "duplicate", "given twice"));
            } else {
                pairs.push((name, value));
            }
        }
        if errors.is_empty() { Ok(Self(pairs)) } else { Err(ApiError::invalid(errors)) }
    }

    /// The parameter as text.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The parameter, read by `read`.
    ///
    /// # Errors
    /// ERR001 with `detail` when it cannot be read.
    pub fn read<T>(
        &self,
        name: &str,
        detail: &'static str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, ApiError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let value = read(text).ok_or_else(|| {
            ApiError::invalid(vec![FieldError::new(Place::Query, name, "malformed", detail)])
        })?;
        Ok(Some(value))
    }

    /// `limit`: 1 to 100 rows.
    ///
    /// # Errors
    /// ERR001 outside that.
    pub fn limit(&self) -> Result<u32, ApiError> {
        let limit = self.read("limit", "a number from 1 to 100", |text| {
            canonical::<u32>(text).filter(|n| (1..=100).contains(n))
        })?;
        Ok(limit.unwrap_or(LIMIT_DEFAULT))
    }

    /// All parameters but `cursor` and `limit`, in one spelling: what a cursor is bound to.
    #[must_use]
    pub fn filters(&self) -> String {
        let is_filter = |name: &str| name != "cursor" && name != "limit";
        let mut pairs: Vec<_> = self.0.iter().filter(|(name, _)| is_filter(name)).collect();
        pairs.sort();
        form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
    }
}

/// A number in its one spelling: digits only, no sign, no leading zero.
fn canonical<T: FromStr + ToString>(text: &str) -> Option<T> {
    text.parse().ok().filter(|number: &T| number.to_string() == text)
}
