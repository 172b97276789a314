//! Query strings of v2: each parameter is known and comes once.

use std::str::FromStr;

use largesse_domain::id::UserId;
use largesse_domain::time::Timestamp;

use crate::call::Call;
use crate::error::{ApiError, FieldError, Place};
use crate::time::lost_its_plus;

/// The rows of a page by default.
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
                errors.push(FieldError::new(
                    Place::Query,
                    name,
                    "duplicate",
                    "the parameter comes twice",
                ));
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

    /// The error about a parameter that must be there.
    #[must_use]
    pub fn missing(&self, name: &'static str) -> ApiError {
        self.refused(name, "required", "the parameter is missing")
    }

    /// The error about a parameter that is refused.
    #[must_use]
    pub fn refused(
        &self,
        name: &'static str,
        code: &'static str,
        detail: &'static str,
    ) -> ApiError {
        ApiError::invalid(vec![FieldError::new(Place::Query, name, code, detail)])
    }

    /// The parameter as a bound of a range of times, read by `read`.
    ///
    /// # Errors
    /// ERR001 when it cannot be read.
    pub fn time(
        &self,
        name: &str,
        read: fn(&str) -> Option<Timestamp>,
    ) -> Result<Option<Timestamp>, ApiError> {
        let detail = match self.text(name) {
            Some(text) if lost_its_plus(text) => {
                "the + of the offset came as a blank; write it as %2B in a query"
            }
            _ => "a date, or a time as in RFC 3339, from 1970 to 2286",
        };
        self.read(name, detail, read)
    }

    /// `limit`: 1 to 100 rows.
    ///
    /// # Errors
    /// ERR001 for any other value.
    pub fn limit(&self) -> Result<u32, ApiError> {
        let limit = self.read("limit", "a number from 1 to 100", |text| {
            canonical::<u32>(text).filter(|n| (1..=100).contains(n))
        })?;
        Ok(limit.unwrap_or(LIMIT_DEFAULT))
    }

    /// The scope of the cursors of this list: path, caller, and all parameters but `cursor` and
    /// `limit`, in one spelling.
    #[must_use]
    pub fn scope(&self, call: &Call, caller: &UserId) -> String {
        let is_filter = |name: &str| name != "cursor" && name != "limit";
        let mut pairs: Vec<_> = self.0.iter().filter(|(name, _)| is_filter(name)).collect();
        pairs.sort();
        let filters = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        format!("{} {}\n{caller}\n{filters}", call.method, call.uri.path())
    }
}

/// A number in its canonical spelling: digits only, no sign, no leading zero.
fn canonical<T: FromStr + ToString>(text: &str) -> Option<T> {
    text.parse().ok().filter(|number: &T| number.to_string() == text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::call;
    use rstest::rstest;

    fn read(query: &str) -> Result<Query, ApiError> {
        let call = call("GET", &format!("/api/v2/sprays?{query}"), &[], "");
        Query::of(&call, &["limit", "cursor", "type"])
    }

    #[rstest]
    #[case("", Some(20))]
    #[case("limit=1", Some(1))]
    #[case("limit=100", Some(100))]
    #[case("limit=0", None)]
    #[case("limit=101", None)]
    #[case("limit=+5", None)]
    #[case("limit=05", None)]
    #[case("limit=", None)]
    #[case("limit=5&limit=5", None)]
    #[case("Limit=5", None)]
    #[case("page=1", None)]
    fn a_parameter_is_known_and_comes_once(#[case] query: &str, #[case] limit: Option<u32>) {
        assert_eq!(read(query).and_then(|q| q.limit()).ok(), limit);
    }

    #[test]
    fn a_cursor_is_bound_to_list_caller_and_filters() {
        let scope = |path: &str, query: &str, caller: &str| {
            let call = call("GET", &format!("{path}?{query}"), &[], "");
            let query = Query::of(&call, &["limit", "cursor", "type"]).unwrap();
            query.scope(&call, &caller.parse().unwrap())
        };
        let here = scope("/a", "type=claim&limit=1", "u1");
        assert_eq!(here, scope("/a", "cursor=x&limit=2&type=claim", "u1"));
        assert_ne!(here, scope("/b", "type=claim", "u1"));
        assert_ne!(here, scope("/a", "type=spray", "u1"));
        assert_ne!(here, scope("/a", "type=claim", "u2"));
    }
}
