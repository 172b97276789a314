//! What the commands say.

use largesse_domain::campaign::State;

use super::progress::duration;
use super::wire::{Campaign, Counts, Entry, Preview, Row, Sealed, Shortfall};
use crate::plain;

/// An amount or a count with separators: it is read by people.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let first = digits.len() % 3;
    let (head, tail) = digits.split_at(first);
    let groups = tail.as_bytes().chunks(3).filter_map(|group| std::str::from_utf8(group).ok());
    let groups: Vec<&str> = (first > 0).then_some(head).into_iter().chain(groups).collect();
    groups.join(",")
}

/// A share of a US dollar, in millionths, with two digits: rounded up.
fn dollars(micro: u64) -> String {
    let cents = micro.div_ceil(10_000);
    format!("${}.{:02}", cents / 100, cents % 100)
}

/// What the seal fixed.
pub(super) fn sealed(campaign: &Campaign, sealed: &Sealed) -> String {
    let mut pairs = vec![
        ("sealed", campaign.name.clone()),
        ("rows", grouped(sealed.rows)),
        ("amount", grouped(sealed.amount)),
        ("refused", grouped(sealed.refused)),
        ("duplicates", format!("{} ({})", grouped(sealed.duplicates), campaign.terms.duplicates)),
        ("cost", format!("about {} for the writes at AWS", dollars(sealed.cost))),
        ("hash", sealed.content_hash.clone()),
    ];
    if let Some(eta_s) = sealed.eta_s {
        let time = format!("{} at the limit of the money service", duration(eta_s));
        pairs.insert(5, ("time", time));
    }
    for warning in &sealed.warnings {
        let campaign = warning.campaign_id.as_ref().map(|id| format!(" ({id})"));
        pairs.push(("warning", format!("{}{}", warning.detail, campaign.unwrap_or_default())));
    }
    plain::pairs(&pairs)
}

/// What a caller may do with a campaign that is sealed.
pub(super) fn next_step(campaign: &Campaign) -> String {
    let id = &campaign.campaign_id;
    let Some(sealed) = &campaign.sealed else { return state(campaign) };
    let hash = &sealed.content_hash;
    if needs_approval(campaign) {
        return format!(
            "another member approves it:\n  largesse campaign approve {id} --hash {hash}"
        );
    }
    let start = format!("largesse campaign start {id} --hash {hash} --watch");
    match campaign.state.0 {
        State::Waiting if campaign.queued.is_none() => format!("start it:\n  {start}"),
        State::Stopped | State::Failed => format!("{}; go on:\n  {start}", state(campaign)),
        _ => state(campaign),
    }
}

const fn needs_approval(campaign: &Campaign) -> bool {
    campaign.terms.approvals > 0 && campaign.approval.is_none()
}

/// Where a campaign stands, in a line.
pub(super) fn state(campaign: &Campaign) -> String {
    let name = campaign.state.0.as_str();
    match (&campaign.queued, &campaign.terms.starts_at) {
        (Some(_), Some(at)) => {
            format!("{name}: starts after {at}, when the campaigns before it have ended")
        }
        (Some(_), None) => format!("{name}: starts when the campaigns before it have ended"),
        (None, _) if campaign.state.0 == State::Waiting && needs_approval(campaign) => {
            format!("{name}: needs an approval")
        }
        (None, _) if campaign.state.0 == State::Waiting => format!("{name}: not started"),
        (None, _) => name.to_owned(),
    }
}

/// How a campaign ended.
pub(super) fn ended(campaign: &Campaign) -> String {
    let (id, name) = (&campaign.campaign_id, campaign.state.0.as_str());
    let counts = campaign.counts.unwrap_or_default();
    let amounts = campaign.amounts.unwrap_or_default();
    let mut lines = vec![format!("{name}: {}", campaign.name)];
    if let Some(problem) = &campaign.problem {
        lines.push(format!("  {problem}"));
    }
    lines.push(counts_text(&counts, &amounts));
    if counts.failed > 0 {
        lines.push(format!("the failed rows:\n  largesse campaign failures {id} --csv FILE"));
        lines.push(format!("pay them again:\n  largesse campaign retry {id} --watch"));
    }
    if counts.shortfall > 0 {
        let rows = format!("largesse campaign rows {id} --status SHORTFALL");
        lines.push(format!("what was not taken back:\n  {rows}"));
    }
    lines.join("\n")
}

fn counts_text(counts: &Counts, amounts: &Counts) -> String {
    let all = [
        ("rows", counts.rows, amounts.rows),
        ("success", counts.success, amounts.success),
        ("failed", counts.failed, amounts.failed),
        ("pending", counts.pending, amounts.pending),
        ("processing", counts.processing, amounts.processing),
        ("reversed", counts.reversed, amounts.reversed),
        ("shortfall", counts.shortfall, amounts.shortfall),
    ];
    let rows: Vec<Vec<String>> = all
        .into_iter()
        .enumerate()
        // All, paid and failed rows are always told.
        .filter(|(place, (_, count, _))| *place < 3 || *count > 0)
        .map(|(_, (name, count, amount))| vec![name.to_owned(), grouped(count), grouped(amount)])
        .collect();
    plain::columns(&["", "count", "amount"], &rows, 1)
}

/// Campaigns, a line each.
pub(super) fn list(campaigns: &[Campaign]) -> String {
    if campaigns.is_empty() {
        return "no campaigns".to_owned();
    }
    const HEADER: [&str; 6] = ["campaign", "state", "created", "name", "rows", "amount"];
    let row = |campaign: &Campaign| {
        let sealed = campaign.sealed.as_ref();
        let figure = |of: fn(&Sealed) -> u64| {
            sealed.map_or_else(|| "–".to_owned(), |sealed| grouped(of(sealed)))
        };
        vec![
            campaign.campaign_id.clone(),
            campaign.state.0.as_str().to_owned(),
            campaign.created_at.clone(),
            campaign.name.clone(),
            figure(|sealed| sealed.rows),
            figure(|sealed| sealed.amount),
        ]
    };
    plain::columns(&HEADER, &campaigns.iter().map(row).collect::<Vec<_>>(), 4)
}

/// A campaign in full.
pub(super) fn show(campaign: &Campaign) -> String {
    let terms = &campaign.terms;
    let reason = match terms.default_reason.as_str() {
        "" => "each row has its own".to_owned(),
        reason => reason.to_owned(),
    };
    let amount = terms.default_amount.map_or_else(|| "each row has its own".to_owned(), grouped);
    let parts = &campaign.parts;
    let mut pairs = vec![
        ("campaign", campaign.campaign_id.clone()),
        ("name", campaign.name.clone()),
        ("state", state(campaign)),
        ("creator", campaign.creator.clone()),
        ("created", campaign.created_at.clone()),
        ("reason", reason),
        ("amount", amount),
        ("duplicates", terms.duplicates.clone()),
        ("priority", terms.priority.to_string()),
        ("approvals", terms.approvals.to_string()),
        (
            "parts",
            format!(
                "{}: {} rows, {} refused",
                parts.count,
                grouped(parts.rows),
                grouped(parts.refused)
            ),
        ),
    ];
    let more = [
        ("starts", &terms.starts_at),
        ("started", &campaign.started_at),
        ("ended", &campaign.ended_at),
        ("problem", &campaign.problem),
    ];
    pairs.extend(more.into_iter().filter_map(|(name, text)| Some((name, text.clone()?))));
    if let Some(approval) = &campaign.approval {
        pairs.push(("approved", format!("by {}", approval.by)));
    }
    let mut text = plain::pairs(&pairs);
    if let Some(fixed) = &campaign.sealed {
        text.push_str(&format!("\n\n{}", sealed(campaign, fixed)));
    }
    if let (Some(counts), Some(amounts)) = (campaign.counts, campaign.amounts) {
        text.push_str(&format!("\n\n{}", counts_text(&counts, &amounts)));
    }
    text
}

/// The entries of an audit.
pub(super) fn audit(entries: &[Entry]) -> String {
    const HEADER: [&str; 5] = ["entry", "at", "by", "action", "details"];
    let row = |entry: &Entry| {
        let details = entry.details.iter().map(|(name, value)| format!("{name}={value}"));
        vec![
            entry.seq.to_string(),
            entry.at.clone(),
            entry.by.clone().unwrap_or_else(|| "–".to_owned()),
            entry.action.clone(),
            details.collect::<Vec<_>>().join(" "),
        ]
    };
    plain::columns(&HEADER, &entries.iter().map(row).collect::<Vec<_>>(), HEADER.len())
}

/// Rows, a line each.
pub(super) fn rows(rows: &[Row], has_more: bool) -> String {
    if rows.is_empty() {
        return "no rows".to_owned();
    }
    const HEADER: [&str; 6] = ["member", "status", "reason", "failure", "amount", "attempts"];
    let cells = |row: &Row| {
        vec![
            row.member_id.clone(),
            row.status.clone(),
            row.reason.clone(),
            row.failure.clone().unwrap_or_else(|| "–".to_owned()),
            grouped(row.amount),
            row.attempts.to_string(),
        ]
    };
    let table = plain::columns(&HEADER, &rows.iter().map(cells).collect::<Vec<_>>(), 4);
    if has_more { format!("{table}\n  and more: --limit shows them") } else { table }
}

/// A row in full.
pub(super) fn row(row: &Row) -> String {
    let mut pairs = vec![
        ("member", row.member_id.clone()),
        ("amount", grouped(row.amount)),
        ("reason", row.reason.clone()),
        ("status", row.status.clone()),
        ("attempts", row.attempts.to_string()),
    ];
    pairs.extend(row.failure.clone().map(|failure| ("failure", failure)));
    pairs.extend(row.missing.map(|missing| ("missing", grouped(missing))));
    plain::pairs(&pairs)
}

/// What a rollback would do.
pub(super) fn would(preview: &Preview) -> String {
    let Preview { rows, amount, shortfall, shortfall_unknown } = preview;
    let shortfall = match (shortfall, shortfall_unknown) {
        (Some(shortfall), _) => shortfall_text(shortfall, *rows),
        (None, Some(why)) => format!("not known: {why}"),
        (None, None) => "not known".to_owned(),
    };
    let pairs =
        [("payments", grouped(*rows)), ("amount", grouped(*amount)), ("shortfall", shortfall)];
    format!("{}\nnothing has changed", plain::pairs(&pairs))
}

fn shortfall_text(shortfall: &Shortfall, of: u64) -> String {
    let Shortfall { rows, amount, missing, sampled_rows } = *shortfall;
    let is_estimate = sampled_rows < of;
    let about = if is_estimate { "about " } else { "" };
    let what = match rows {
        0 => "none".to_owned(),
        _ => format!(
            "{about}{} of them, with an amount of {}: their wallets lack {}",
            grouped(rows),
            grouped(amount),
            grouped(missing)
        ),
    };
    let sample = format!(" (estimated from {} wallets)", grouped(sampled_rows));
    if is_estimate { what + &sample } else { what }
}
