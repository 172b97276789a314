//! What the tool says: reasons and tables.

use largesse_aws::grant::dead::DeadRecord;
use largesse_domain::grant::GrantStatus;
use largesse_edge::time::format as format_time;
use serde_json::Value;

use super::find::Known;
use super::{Found, GrantsView, OutboxView, Queue, Row, TableView};
use crate::plain::{self, counted};

mod done;
mod refund;

pub(super) use done::{drop_text, retry_text, void_text};
pub(super) use refund::{REFUND_REFUSED, of_refund, refund_retry_text, refund_text, refunds_text};

/// Why a grant is here.
pub(super) fn of_grant(known: &Known) -> String {
    match (known.status(), &known.failed) {
        (GrantStatus::Success, _) => "paid: nothing is owed".to_owned(),
        (GrantStatus::Voided, _) => "voided: returned to its funder".to_owned(),
        (GrantStatus::PermanentlyFailed, Some(failed)) => {
            let refusals = counted(failed.attempts.into(), "refusal", "refusals");
            format!("given up after {refusals}: {}", failed.failure)
        }
        (_, Some(failed)) if failed.attempts == 0 => {
            format!("sent again by an operator after: {}", failed.failure)
        }
        (_, Some(failed)) => {
            let times = counted(failed.attempts.into(), "time", "times");
            format!("refused {times}, still retried: {}", failed.failure)
        }
        (_, None) => "never refused: its message was received too often".to_owned(),
    }
}

/// Why something stays that somebody else changed at the same moment.
pub(super) const CONTENDED: &str =
    "another run or grant-pay works on it, which does no harm; retry it if it is still there";

/// What a message of the outbox's queue is that is neither a record nor a report.
pub(super) const NEITHER: &str = "the message is neither a record nor a report";

/// Why the outbox's mapping gave up, as Lambda reports it, and what to do; `None` when the message
/// is no such report.
pub(super) fn of_report(body: &str) -> Option<String> {
    let report: Value = serde_json::from_str(body).ok()?;
    let condition = report.pointer("/requestContext/condition")?.as_str()?;
    let batch = report.get("DDBStreamBatchInfo")?.as_object()?;
    let field = |name: &str| match batch.get(name) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => "?".to_owned(),
        Some(other) => other.to_string(),
    };
    let records = match batch.get("batchSize").and_then(Value::as_u64) {
        Some(size) => counted(size, "record", "records"),
        None => "records".to_owned(),
    };
    let what_now = if is_of_campaigns(body) {
        "nothing sends again what follows from them: compare the campaigns' audit with what happened"
    } else {
        "pool-sweep sends what they held, so drop it"
    };
    Some(format!(
        "{condition}: {records} from {} to {} of {}; {what_now}",
        field("startSequenceNumber"),
        field("endSequenceNumber"),
        field("shardId"),
    ))
}

/// Whether a report of a mapping is about the stream of the table `campaigns`.
pub(super) fn is_of_campaigns(body: &str) -> bool {
    let report = serde_json::from_str::<Value>(body).unwrap_or_default();
    let arn = report.pointer("/DDBStreamBatchInfo/streamArn").and_then(Value::as_str);
    arn.is_some_and(|arn| arn.contains("-campaigns/stream/"))
}

/// What the outbox refused to send, and what to do. `impossible`: the members whose entries cannot
/// be now; `None` when the bucket cannot be read now.
pub(super) fn of_record(record: &DeadRecord, impossible: Option<&[String]>) -> String {
    let DeadRecord { problem, members, bucket } = record;
    if bucket.starts_with("CAMPAIGN#") {
        return format!("{problem}: {bucket}; nothing follows from the entry: see `show`");
    }
    let whose =
        if members.is_empty() { String::new() } else { format!(" ({})", members.join(", ")) };
    let now = match impossible {
        None => {
            "the bucket cannot be read now: repair it, then `largesse dlq retry SOURCE MEMBER` \
                 for each member"
                .to_owned()
        }
        Some([]) => {
            "the bucket can be read now: `largesse dlq retry SOURCE MEMBER` for each member, \
                     then drop it"
                .to_owned()
        }
        Some(members) => {
            format!("the entries of {} are not paid: repair the bucket", members.join(", "))
        }
    };
    format!("{problem}: {bucket}{whose}; {now}")
}

fn row_cells(row: &Row) -> Vec<String> {
    let mut cells = vec![row.message_id.clone().unwrap_or_else(|| "–".to_owned())];
    match &row.grant {
        Some(known) => cells.extend([
            known.grant.id.to_string(),
            known.grant.source.to_string(),
            known.grant.member.to_string(),
            known.status().as_str().to_owned(),
            known.grant.amount.to_string(),
        ]),
        None => cells.extend((0..5).map(|_| "–".to_owned())),
    }
    // The reason is the longest and stands last.
    cells.push(row.why.clone());
    cells
}

fn rows_text(rows: &[Row]) -> Option<String> {
    const HEADER: [&str; 7] = ["message", "grant", "source", "member", "status", "amount", "why"];
    let cells: Vec<_> = rows.iter().map(row_cells).collect();
    (!rows.is_empty()).then(|| plain::columns(&HEADER, &cells, HEADER.len()))
}

fn not_shown(shown: usize, all: u64) -> Option<String> {
    let more = all.saturating_sub(u64::try_from(shown).unwrap_or(u64::MAX));
    (more > 0).then(|| format!("  and {more} more: --limit shows them"))
}

fn others_text(others: u64) -> Option<String> {
    (others > 0).then(|| {
        let others = counted(others, "other", "others");
        format!(
            "  and {others}: another run has received it, or it is behind another of its member"
        )
    })
}

fn messages_text(messages: u64, unreadable: u64) -> String {
    let all = counted(messages, "message", "messages");
    match unreadable {
        0 => all,
        unreadable if unreadable == messages => format!("{all}, unreadable"),
        unreadable => format!("{all}, {unreadable} of them unreadable"),
    }
}

pub(super) fn grants_text(view: &GrantsView) -> String {
    let head = format!("grants queue: {}", messages_text(view.messages, view.unreadable));
    let more = not_shown(view.rows.len(), view.messages);
    join([Some(head), rows_text(&view.rows), more, others_text(view.others)])
}

pub(super) fn table_text(view: &TableView) -> String {
    let grants = view.failed.saturating_add(view.given_up);
    let mut head = format!(
        "grants table: {}",
        counted(grants, "grant without a message", "grants without a message")
    );
    if grants > 0 {
        head.push_str(&format!(" ({} given up, {} retried)", view.given_up, view.failed));
    }
    let unreadable = (view.unreadable_count > 0).then(|| {
        let keys = view.unreadable.iter().map(|(pk, sk)| format!("\n    {pk} {sk}"));
        let items = counted(view.unreadable_count, "item", "items");
        format!("  {items} cannot be read:{}", keys.collect::<String>())
    });
    let more = not_shown(view.rows.len(), grants);
    join([Some(head), rows_text(&view.rows), more, unreadable])
}

pub(super) fn outbox_text(view: &OutboxView) -> String {
    let head = format!("outbox queue: {}", messages_text(view.messages, view.unreadable));
    let rows: Vec<_> =
        view.rows.iter().map(|row| vec![row.message_id.clone(), row.why.clone()]).collect();
    let table = (!rows.is_empty()).then(|| plain::columns(&["message", "why"], &rows, 2));
    let more = not_shown(rows.len(), view.messages);
    join([Some(head), table, more, others_text(view.others)])
}

fn join<const N: usize>(parts: [Option<String>; N]) -> String {
    parts.into_iter().flatten().collect::<Vec<_>>().join("\n")
}

pub(super) const fn queue_name(queue: Queue) -> &'static str {
    match queue {
        Queue::Grants => "grants",
        Queue::Outbox => "outbox",
    }
}

pub(super) fn found_text(found: &Found, why: &str) -> String {
    let mut pairs = Vec::new();
    if let Some((queue, message)) = &found.message {
        pairs.push(("message", message.id.clone()));
        pairs.push(("queue", queue_name(*queue).to_owned()));
    }
    pairs.push(("why", why.to_owned()));
    if let Some(known) = &found.grant {
        let Known { grant, failed, .. } = known;
        pairs.extend([
            ("grant", grant.id.to_string()),
            ("source", grant.source.to_string()),
            ("member", grant.member.to_string()),
            ("amount", grant.amount.to_string()),
            ("reason", grant.reason.as_str().to_owned()),
            ("funder", grant.funder.to_string()),
            ("decided", format_time(grant.decided_at())),
            ("status", known.status().as_str().to_owned()),
        ]);
        if let Some(failed) = failed {
            pairs.push(("attempts", failed.attempts.to_string()));
            pairs.push(("failure", failed.failure.clone()));
            pairs.push(("failed", format_time(failed.failed_at)));
        }
    }
    let mut text = plain::pairs(&pairs);
    if let Some((_, message)) = &found.message {
        text.push_str("\nattributes");
        for (name, value) in &message.attributes {
            text.push_str(&format!("\n  {name}  {value}"));
        }
        text.push_str(&format!("\nbody\n  {}", message.body));
    }
    text
}
