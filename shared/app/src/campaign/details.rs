//! With what an action was done, for its audit entry. All values are texts; numbers are decimal.
//! The entries of `end`, `fail`, `stop` and `rolled_back` are published, so they tell all that a
//! reader of the event needs.

use std::collections::BTreeMap;

use largesse_domain::campaign::{Campaign, Counts, Part};

use super::Request;

/// The details of an audit entry.
pub(super) type Details = BTreeMap<String, String>;

fn details<const N: usize>(of: [(&str, String); N]) -> Details {
    of.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// The details of a part that is added.
pub(super) fn of_part(part: &Part) -> Details {
    details([
        ("part", part.number.get().to_string()),
        ("hash", part.hash.to_string()),
        ("rows", part.rows.to_string()),
        ("refused", part.refused.to_string()),
        ("amount", part.amount.to_string()),
    ])
}

/// The details of an action after which the campaign is so.
pub(super) fn of(request: &Request, campaign: &Campaign, counts: Option<Counts>) -> Details {
    let fence = || details([("fence", campaign.life.fence.to_string())]);
    match request {
        Request::Seal => details([("attempt", campaign.life.seal_attempt.to_string())]),
        Request::Sealed { attempt, sealed, .. } => details([
            ("attempt", attempt.to_string()),
            ("hash", sealed.hash.to_string()),
            ("rows", sealed.totals.rows.to_string()),
            ("amount", sealed.totals.amount.to_string()),
            ("duplicates", sealed.totals.duplicates.to_string()),
            ("refused", sealed.totals.refused.to_string()),
        ]),
        Request::SealFailed { attempt, problem } => {
            details([("attempt", attempt.to_string()), ("problem", problem.clone())])
        }
        Request::Approve { hash, .. } | Request::Start { hash } => {
            details([("hash", hash.to_string())])
        }
        Request::Force { hash, memo } => {
            details([("hash", hash.to_string()), ("memo", memo.as_str().to_owned())])
        }
        Request::Run => fence(),
        Request::Rollback { memo } => {
            let memo = details([("memo", memo.as_str().to_owned())]);
            fence().into_iter().chain(memo).collect()
        }
        Request::Retry => {
            let failed = counts.unwrap_or_default().tally.failed;
            details([
                ("generation", campaign.life.generation.get().to_string()),
                ("rows", failed.rows.to_string()),
                ("amount", failed.amount.to_string()),
            ])
        }
        Request::Stop { memo } => {
            let memo = details([("memo", memo.as_str().to_owned())]);
            summary(campaign, counts).into_iter().chain(memo).collect()
        }
        Request::Damaged { problem, .. } => {
            let problem = details([("problem", problem.clone())]);
            fence().into_iter().chain(problem).collect()
        }
        Request::Fail { failure, .. } => {
            let failure = details([("failure", failure.clone())]);
            summary(campaign, counts).into_iter().chain(failure).collect()
        }
        Request::End { .. } | Request::RolledBack { .. } => summary(campaign, counts),
    }
}

/// How far a campaign came. Without counters when these cannot be read.
fn summary(campaign: &Campaign, counts: Option<Counts>) -> Details {
    let rows = campaign.life.sealed.map_or(0, |sealed| sealed.totals.rows);
    let mut summary =
        details([("name", campaign.terms.name.as_str().to_owned()), ("rows", rows.to_string())]);
    if let Some(at) = campaign.started_at {
        summary.insert("started_ms".to_owned(), at.ms().to_string());
    }
    if let Some(Counts { tally }) = counts {
        summary.extend(details([
            ("success", tally.success.rows.to_string()),
            ("failed", tally.failed.rows.to_string()),
            ("reversed", tally.reversed.rows.to_string()),
            ("shortfall", tally.shortfall.rows.to_string()),
            ("amount_success", tally.success.amount.to_string()),
            ("amount_failed", tally.failed.amount.to_string()),
        ]));
    }
    summary
}
