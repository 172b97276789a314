//! The event of a campaign that ended, as it stands on the bus. events/schemas/ describes it.

use largesse_app::ports::{CampaignEnded, Event};
use largesse_domain::campaign::CampaignName;
use largesse_domain::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub(crate) const COMPLETED: &str = "campaign.completed";
pub(crate) const FAILED: &str = "campaign.failed";
pub(crate) const STOPPED: &str = "campaign.stopped";
pub(crate) const ROLLED_BACK: &str = "campaign.rolled_back";

#[derive(Serialize, Deserialize)]
struct Detail {
    campaign_id: String,
    name: String,
    at_ms: i64,
    rows: u64,
    success: u64,
    failed: u64,
    amount_success: u64,
    amount_failed: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    memo: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<String>,
}

/// The detail of a campaign's end.
pub(crate) fn detail_of(ended: &CampaignEnded) -> Value {
    let detail = Detail {
        campaign_id: ended.campaign.to_string(),
        name: ended.name.as_str().to_owned(),
        at_ms: ended.at.ms(),
        rows: ended.rows,
        success: ended.success,
        failed: ended.failed,
        amount_success: ended.amount_success,
        amount_failed: ended.amount_failed,
        duration_ms: ended.duration_ms,
        memo: ended.memo.clone(),
        failure: ended.failure.clone(),
    };
    // Texts and numbers are always JSON.
    serde_json::to_value(detail).unwrap_or_default()
}

/// An event that this code cannot read.
#[derive(Debug, thiserror::Error)]
pub enum EndedError {
    /// It is no event of the bus with the detail of a campaign's end.
    #[error("the message is no event of a campaign")]
    Shape(#[source] serde_json::Error),
    /// It is another event.
    #[error("the event is none that ends a campaign")]
    OtherEvent,
    /// A field holds no such value.
    #[error("the field {0} cannot be read")]
    Field(&'static str),
}

/// Reads an event as the bus sends it to a queue.
///
/// # Errors
/// [`EndedError`].
pub fn read_ended(text: &str) -> Result<Event, EndedError> {
    #[derive(Deserialize)]
    struct Envelope {
        #[serde(rename = "detail-type")]
        detail_type: String,
        detail: Value,
    }
    let Envelope { detail_type, detail } = serde_json::from_str(text).map_err(EndedError::Shape)?;
    let event = match detail_type.as_str() {
        COMPLETED => Event::CampaignCompleted,
        FAILED => Event::CampaignFailed,
        STOPPED => Event::CampaignStopped,
        ROLLED_BACK => Event::CampaignRolledBack,
        _ => return Err(EndedError::OtherEvent),
    };
    let detail: Detail = serde_json::from_value(detail).map_err(EndedError::Shape)?;
    Ok(event(CampaignEnded {
        campaign: detail.campaign_id.parse().map_err(|_| EndedError::Field("campaign_id"))?,
        name: CampaignName::new(&detail.name).map_err(|_| EndedError::Field("name"))?,
        at: Timestamp::from_ms(detail.at_ms),
        rows: detail.rows,
        success: detail.success,
        failed: detail.failed,
        amount_success: detail.amount_success,
        amount_failed: detail.amount_failed,
        duration_ms: detail.duration_ms,
        memo: detail.memo,
        failure: detail.failure,
    }))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "these are tests")]
mod tests {
    use super::*;
    use serde_json::json;

    fn ended() -> CampaignEnded {
        CampaignEnded {
            campaign: "01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().unwrap(),
            name: CampaignName::new("추석 보상").unwrap(),
            at: Timestamp::from_ms(1_769_850_000_000),
            rows: 10,
            success: 7,
            failed: 3,
            amount_success: 7_000,
            amount_failed: 3_000,
            duration_ms: Some(3_723_000),
            memo: Some("잘못된 파일".to_owned()),
            failure: None,
        }
    }

    fn envelope(detail_type: &str, detail: &Value) -> String {
        json!({ "version": "0", "detail-type": detail_type, "detail": detail }).to_string()
    }

    #[test]
    fn what_is_published_is_read_again() {
        let never_started = CampaignEnded { duration_ms: None, memo: None, ..ended() };
        for (detail_type, event) in [
            (COMPLETED, Event::CampaignCompleted as fn(CampaignEnded) -> Event),
            (FAILED, Event::CampaignFailed),
            (STOPPED, Event::CampaignStopped),
            (ROLLED_BACK, Event::CampaignRolledBack),
        ] {
            for ended in [never_started.clone(), ended()] {
                let text = envelope(detail_type, &detail_of(&ended));
                assert_eq!(read_ended(&text).unwrap(), event(ended));
            }
        }
    }

    #[test]
    fn a_field_that_a_later_version_adds_is_tolerated_and_nothing_is_guessed() {
        let detail = detail_of(&ended());
        let changed = |name: &str, value: Value| {
            let mut detail = detail.clone();
            detail[name] = value;
            read_ended(&envelope(STOPPED, &detail))
        };
        assert_eq!(changed("currency", json!("KRW")).unwrap(), Event::CampaignStopped(ended()));
        for name in ["rows", "success", "failed", "amount_success", "at_ms", "duration_ms"] {
            assert!(matches!(changed(name, json!("7")), Err(EndedError::Shape(_))), "{name}");
        }
        assert!(matches!(changed("campaign_id", json!("x")), Err(EndedError::Field(_))));
        assert!(matches!(changed("name", json!(" ")), Err(EndedError::Field(_))));
        for text in ["", "nonsense", "{}", "[]"] {
            assert!(matches!(read_ended(text), Err(EndedError::Shape(_))), "{text}");
        }
        let other = envelope("grant.permanently_failed", &detail);
        assert!(matches!(read_ended(&other), Err(EndedError::OtherEvent)));
    }
}
