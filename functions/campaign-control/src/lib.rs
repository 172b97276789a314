//! Acts on campaigns: makes them, takes their parts, seals, approves, starts, stops, retries and rolls
//! them back.
//!
//! # Order of refusals
//! Headers, path, query, body (ERR001, ERR005), the privilege to force (ERR004), the campaign
//! (ERR005), then the rules of its life in the order of
//! [`Refused`]: state, content, approval, open rows, failed rows.
//!
//! # Guarantees
//! * Each refusal has its code: `every_refusal_of_the_rules_has_its_code`.
//! * The order above: `refusals_come_in_their_order`.
//! * A retry that ran without an answer is answered under its key:
//!   `a_retry_whose_answer_was_not_kept_is_answered_again_and_opens_nothing`.
//! * An upload that was cut off leaves nothing: `an_upload_that_was_cut_off_leaves_nothing`.
//! * Only named users force: `only_users_that_the_deployment_names_force_a_campaign`.

use largesse_app::campaign::ActPorts;
use largesse_app::campaign::act::ActError;
use largesse_app::campaign::preview::PreviewPorts;
use largesse_app::ports::{Budgets, CampaignRows, Idempotency, Ids, Keys};
use largesse_domain::campaign::Refused;
use largesse_edge::{ApiError, Code};

pub mod act;
pub mod body;
pub mod create;
pub mod part;
pub mod preview;
pub mod settings;
pub mod terms;

/// The ports that the function uses.
pub trait Deps:
    ActPorts + PreviewPorts + CampaignRows + Budgets + Keys + Idempotency + Ids + 'static
{
}

impl<T> Deps for T where
    T: ActPorts + PreviewPorts + CampaignRows + Budgets + Keys + Idempotency + Ids + 'static
{
}

largesse_edge::routes! { D: Deps =>
    create::create<D>,
    part::put<D>,
    act::seal<D>,
    act::approve<D>,
    act::start<D>,
    act::stop<D>,
    act::retry<D>,
    act::force<D>,
    act::rollback<D>,
}

/// After how many seconds a caller asks again whether rows are still open: a refused row comes back
/// after 3 s, at most three times.
const ROWS_OPEN_RETRY_S: u32 = 10;

/// The answer to an action that is not taken.
fn refuse(error: ActError) -> ApiError {
    match error {
        ActError::NotFound => ApiError::not_found(),
        ActError::Refused(refused) => refuse_by_rule(refused),
        ActError::AgendaFull(full) => ApiError::new(Code::TooManyCampaigns, sentence(&full)),
        ActError::Busy => ApiError::unavailable("Others change the campaign.", 1),
        ActError::Port(error) => error.into(),
    }
}

/// The answer to an action that the rules of a life refuse.
fn refuse_by_rule(refused: Refused) -> ApiError {
    let detail = sentence(&refused);
    match refused {
        Refused::State(state) => {
            ApiError::new(Code::WrongState, detail).with("state", state.as_str())
        }
        Refused::OtherContent { sealed } => {
            ApiError::new(Code::OtherContent, detail).with("content_hash", sealed.to_string())
        }
        Refused::ApprovalNotNeeded => ApiError::new(Code::ApprovalNotNeeded, detail),
        Refused::CreatorApproves => ApiError::new(Code::OwnCampaign, detail),
        Refused::ApprovalMissing => ApiError::new(Code::ApprovalMissing, detail),
        Refused::RowsOpen { rows } => {
            let refusal = ApiError::new(Code::RowsOpen, detail).with("rows", rows);
            refusal.retry_after(ROWS_OPEN_RETRY_S)
        }
        Refused::NothingFailed => ApiError::new(Code::NothingFailed, detail),
        // No caller names a seal or a fence, and numbers of 32 bits are not used up: these are
        // defects.
        Refused::SealAttempt { .. }
        | Refused::Fence { .. }
        | Refused::CountsDiffer
        | Refused::TooOften => ApiError::internal().because(refused),
    }
}

/// The text of an error as a sentence.
fn sentence(error: &impl std::error::Error) -> String {
    let text = error.to_string();
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_uppercase().to_string());
    format!("{}{}.", first.unwrap_or_default(), letters.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header::RETRY_AFTER;
    use largesse_domain::campaign::{AgendaFull, Hash, State};
    use largesse_edge::meta::{Meta, Version};
    use rstest::rstest;
    use serde_json::Value;

    fn shown(error: ActError) -> (u16, Value, bool) {
        let meta = Meta { request_id: "r".to_owned(), version: Version::V2 };
        let error = refuse(error);
        let body = serde_json::from_str(&error.body(&meta)).unwrap();
        let response = error.render(&meta);
        (response.status().as_u16(), body, response.headers().contains_key(RETRY_AFTER))
    }

    #[rstest]
    #[case(Refused::State(State::Draft), 409, "ERR201", "state", "DRAFT")]
    #[case(Refused::ApprovalNotNeeded, 409, "ERR203", "", "")]
    #[case(Refused::CreatorApproves, 403, "ERR204", "", "")]
    #[case(Refused::ApprovalMissing, 409, "ERR205", "", "")]
    #[case(Refused::NothingFailed, 409, "ERR207", "", "")]
    #[case(Refused::SealAttempt { current: 2 }, 500, "ERR003", "", "")]
    #[case(Refused::Fence { current: 2 }, 500, "ERR003", "", "")]
    #[case(Refused::CountsDiffer, 500, "ERR003", "", "")]
    #[case(Refused::TooOften, 500, "ERR003", "", "")]
    fn every_refusal_of_the_rules_has_its_code(
        #[case] refused: Refused,
        #[case] status: u16,
        #[case] code: &str,
        #[case] member: &str,
        #[case] value: &str,
    ) {
        let (found, body, retries) = shown(refused.into());
        assert_eq!((found, body["code"].as_str(), retries), (status, Some(code), false));
        assert_eq!(body.get(member).and_then(Value::as_str).unwrap_or_default(), value);
    }

    #[test]
    fn a_refusal_tells_the_sealed_hash_and_the_open_rows() {
        let sealed = Hash([7; 32]);
        let (status, body, _) = shown(Refused::OtherContent { sealed }.into());
        assert_eq!((status, body["code"].as_str()), (409, Some("ERR202")));
        assert_eq!(body["content_hash"], "07".repeat(32));
        let (status, body, retries) = shown(Refused::RowsOpen { rows: 3 }.into());
        assert_eq!((status, body["code"].as_str(), retries), (409, Some("ERR206"), true));
        assert_eq!(
            (body["rows"].as_u64(), body["detail"].as_str()),
            (Some(3), Some("3 rows are open."))
        );
    }

    #[test]
    fn what_is_no_rule_is_not_found_full_or_busy() {
        assert_eq!(shown(ActError::NotFound).1["code"], "ERR005");
        assert_eq!(shown(AgendaFull.into()).1["code"], "ERR210");
        let (status, body, retries) = shown(ActError::Busy);
        assert_eq!((status, body["code"].as_str(), retries), (503, Some("ERR008"), true));
    }
}
