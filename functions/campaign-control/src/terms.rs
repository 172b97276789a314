//! The terms of a campaign as a caller writes them.

use std::str::FromStr;

use largesse_domain::campaign::{
    Approvals, CampaignName, Duplicates, PRIORITY_MAX, Priority, Terms,
};
use largesse_domain::ledger::Memo;
use largesse_domain::money::Amount;
use largesse_domain::time::Timestamp;
use largesse_edge::extract::{Whole, given, parsed};
use largesse_edge::{FieldError, time};
use serde::Deserialize;
use utoipa::ToSchema;

/// What happens to a member who is named more than once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ToSchema)]
#[schema(rename_all = "lowercase")]
pub enum DuplicatesName {
    /// The first row counts; the others are listed by part and line.
    #[default]
    First,
    /// The campaign is not sealed.
    Refuse,
    /// The amounts are added.
    Sum,
}

/// A text that names no policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("first, refuse or sum")]
pub struct UnknownPolicy;

impl FromStr for DuplicatesName {
    type Err = UnknownPolicy;

    fn from_str(text: &str) -> Result<Self, UnknownPolicy> {
        match Duplicates::from_name(text).ok_or(UnknownPolicy)? {
            Duplicates::First => Ok(Self::First),
            Duplicates::Refuse => Ok(Self::Refuse),
            Duplicates::Sum => Ok(Self::Sum),
        }
    }
}

/// The campaign to make. Its terms never change.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CampaignRequest {
    /// The name: 1 to 100 characters, counted and kept in Unicode's normal form C. At least one is
    /// visible; none is a control character or controls the direction of text.
    #[schema(
        min_length = 1,
        max_length = 100,
        pattern = r"^[^\x00-\x1f\x7f-\x9f]*$",
        example = "Attendance in October"
    )]
    name: String,
    /// The reason of a row that has none. Without it, or when it is blank, each row has its own.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = String, required = false, max_length = 200, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$", example = "출석 보상")]
    default_reason: Option<String>,
    /// The amount of a row that has none. Without it, each row has its own.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = u64, required = false, minimum = 1, maximum = 1_000_000_000_000_u64,
        example = 1_000)]
    default_amount: Option<Whole>,
    /// Nothing is paid earlier. Of the campaigns that are started, the one that is due first runs
    /// first; one without this time is due when it was made.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = String, required = false, format = DateTime,
        example = "2026-01-31T09:00:00Z")]
    starts_at: Option<String>,
    /// Of campaigns that are due at the same time, the higher one runs first.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = u64, required = false, minimum = 0, maximum = 9, default = 0)]
    priority: Option<Whole>,
    /// What happens to a member who is named more than once.
    #[serde(default, deserialize_with = "parsed")]
    #[schema(default = "first")]
    duplicates: DuplicatesName,
    /// How many members other than the creator approve it before it starts.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = u64, required = false, minimum = 0, maximum = 1, default = 0)]
    approvals: Option<Whole>,
}

fn out_of_range(field: &'static str, detail: impl ToString) -> FieldError {
    FieldError::body(field, "out_of_range", detail.to_string())
}

/// A number that fits a byte.
fn byte(number: Option<Whole>) -> Option<u8> {
    number.map_or(Some(0), |Whole(number)| u8::try_from(number).ok())
}

fn starts_at(text: Option<&str>) -> Result<Option<Timestamp>, FieldError> {
    let read = |text| {
        let detail = "a time as in RFC 3339, from 1970 to 2286";
        time::parse(text).ok_or_else(|| FieldError::body("starts_at", "invalid", detail))
    };
    text.map(read).transpose()
}

impl TryFrom<CampaignRequest> for Terms {
    type Error = FieldError;

    fn try_from(request: CampaignRequest) -> Result<Self, FieldError> {
        let invalid = |field, detail: String| FieldError::body(field, "invalid", detail);
        let name = CampaignName::new(&request.name);
        let reason = Memo::new(request.default_reason.as_deref().unwrap_or_default());
        let amount = request.default_amount.map(|Whole(amount)| Amount::new(amount)).transpose();
        let priority = byte(request.priority).and_then(Priority::new);
        let approvals = byte(request.approvals).and_then(Approvals::from_count);
        Ok(Self {
            name: name.map_err(|error| invalid("name", error.to_string()))?,
            default_reason: reason.map_err(|error| invalid("default_reason", error.to_string()))?,
            default_amount: amount.map_err(|error| out_of_range("default_amount", error))?,
            starts_at: starts_at(request.starts_at.as_deref())?,
            priority: priority.ok_or_else(|| {
                out_of_range("priority", format!("a number from 0 to {PRIORITY_MAX}"))
            })?,
            duplicates: match request.duplicates {
                DuplicatesName::First => Duplicates::First,
                DuplicatesName::Refuse => Duplicates::Refuse,
                DuplicatesName::Sum => Duplicates::Sum,
            },
            approvals: approvals.ok_or_else(|| out_of_range("approvals", "0 or 1"))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::json;

    fn terms(body: serde_json::Value) -> Result<Terms, String> {
        let request: CampaignRequest =
            serde_json::from_value(body).map_err(|error| error.to_string())?;
        Terms::try_from(request).map_err(|error| error.field)
    }

    #[test]
    fn a_name_is_enough_and_every_term_can_be_given() {
        let least = terms(json!({ "name": "a" })).unwrap();
        assert_eq!((least.default_reason.as_str(), least.default_amount), ("", None));
        assert_eq!((least.starts_at, least.priority.get()), (None, 0));
        assert_eq!((least.duplicates, least.approvals), (Duplicates::First, Approvals::Zero));
        let all = json!({
            "name": "추석", "default_reason": "출석 보상", "default_amount": 1_000,
            "starts_at": "2026-01-31T18:00:00+09:00", "priority": 9, "duplicates": "sum",
            "approvals": 1,
        });
        let all = terms(all).unwrap();
        assert_eq!(all.default_amount.map(Amount::get), Some(1_000));
        assert_eq!(all.starts_at.map(Timestamp::ms), Some(1_769_850_000_000));
        assert_eq!((all.priority.get(), all.duplicates), (9, Duplicates::Sum));
        assert_eq!((all.default_reason.as_str(), all.approvals), ("출석 보상", Approvals::One));
    }

    #[rstest]
    #[case(json!({ "name": " " }), "name")]
    #[case(json!({ "name": "a", "default_reason": "a\nb" }), "default_reason")]
    #[case(json!({ "name": "a", "default_reason": "가".repeat(201) }), "default_reason")]
    #[case(json!({ "name": "a", "default_amount": 0 }), "default_amount")]
    #[case(json!({ "name": "a", "default_amount": 1_000_000_000_001_u64 }), "default_amount")]
    #[case(json!({ "name": "a", "starts_at": "2026-01-31" }), "starts_at")]
    #[case(json!({ "name": "a", "starts_at": "2300-01-01T00:00:00Z" }), "starts_at")]
    #[case(json!({ "name": "a", "priority": 10 }), "priority")]
    #[case(json!({ "name": "a", "priority": 256 }), "priority")]
    #[case(json!({ "name": "a", "approvals": 2 }), "approvals")]
    fn a_term_outside_its_limits_is_named(#[case] body: serde_json::Value, #[case] field: &str) {
        assert_eq!(terms(body), Err(field.to_owned()));
    }
}
