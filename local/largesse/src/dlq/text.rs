//! What the tool says: reasons and tables.

use largesse_app::ports::Void;
use largesse_aws::grant::dead::DeadRecord;
use largesse_domain::grant::GrantStatus;
use largesse_edge::time::format as format_time;
use serde_json::Value;

use super::find::Known;
use super::report::Kept;
use super::{
    DropReport, Found, GrantsView, OutboxView, Queue, RetryReport, Row, TableView, Voided,
};
use crate::plain;

/// Why a grant is here.
pub(super) fn of_grant(known: &Known) -> String {
    match (known.status(), &known.failed) {
        (GrantStatus::Success, _) => "paid: nothing is owed".to_owned(),
        (GrantStatus::Voided, _) => "voided: returned to its funder".to_owned(),
        (GrantStatus::PermanentlyFailed, Some(failed)) => {
            format!("given up after {} refusals: {}", failed.attempts, failed.failure)
        }
        (_, Some(failed)) if failed.attempts == 0 => {
            format!("sent again by an operator after: {}", failed.failure)
        }
        (_, Some(failed)) => {
            format!("refused {} times, still retried: {}", failed.attempts, failed.failure)
        }
        (_, None) => "never refused: its message was received too often".to_owned(),
    }
}

/// Why the outbox's mapping gave up, as Lambda reports it, and what to do.
pub(super) fn of_report(body: &str) -> String {
    let report: Value = serde_json::from_str(body).unwrap_or(Value::Null);
    let field = |path: &str| match report.pointer(path) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => "?".to_owned(),
        Some(other) => other.to_string(),
    };
    format!(
        "{}: {} records from {} to {} of {}; pool-sweep sends what they held, so drop it",
        field("/requestContext/condition"),
        field("/DDBStreamBatchInfo/batchSize"),
        field("/DDBStreamBatchInfo/startSequenceNumber"),
        field("/DDBStreamBatchInfo/endSequenceNumber"),
        field("/DDBStreamBatchInfo/shardId"),
    )
}

/// What the outbox refused to send, and what to do. `impossible`: the members whose entries cannot
/// be now; `None` when the bucket cannot be read now.
pub(super) fn of_record(record: &DeadRecord, impossible: Option<&[String]>) -> String {
    let DeadRecord { problem, members, bucket } = record;
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

fn counted(count: u64, one: &str, many: &str) -> String {
    match count {
        0 => format!("no {many}"),
        1 => format!("1 {one}"),
        count => format!("{count} {many}"),
    }
}

fn not_shown(shown: usize, all: u64) -> Option<String> {
    let more = all.saturating_sub(u64::try_from(shown).unwrap_or(u64::MAX));
    (more > 0).then(|| format!("  and {more} more: --limit shows them"))
}

fn others_text(others: u64) -> Option<String> {
    (others > 0).then(|| {
        format!(
            "  and {others} others: another run holds them, or they are behind others of a member"
        )
    })
}

pub(super) fn grants_text(view: &GrantsView) -> String {
    let mut head = format!("grants queue: {}", counted(view.messages, "message", "messages"));
    if view.unreadable > 0 {
        head.push_str(&format!(", {} of them unreadable", view.unreadable));
    }
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
    let head = format!("outbox queue: {}", counted(view.messages, "message", "messages"));
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

pub(super) fn retry_text(report: &RetryReport) -> String {
    let mut rows = Vec::new();
    let mut line = |count: u64, what: &str| {
        if count > 0 {
            rows.push(vec![count.to_string(), what.to_owned()]);
        }
    };
    line(report.sent, "sent to be paid, from the queue");
    line(report.sent_from_table, "sent to be paid, from the table: without a message");
    line(report.paid, "deleted: paid");
    line(report.voided, "deleted: voided");
    line(report.twice, "deleted: there twice");
    line(report.paid_in_table, "removed from the table: paid");
    line(report.came_back, "refused and given up again during this run");
    line(report.still_retried, "in the table, still retried by themselves");
    line(report.not_deleted, "handled, but not deleted by the queue: run it again");
    for (why, Kept { count, examples }) in &report.kept {
        line(*count, &format!("kept: {why} ({})", examples.join(", ")));
    }
    for (pk, sk) in &report.unreadable_items {
        line(1, &format!("item that cannot be read: {pk} {sk}"));
    }
    if rows.is_empty() {
        return "nothing to retry".to_owned();
    }
    rows.iter().map(|row| row.join("  ")).collect::<Vec<_>>().join("\n")
}

/// What voiding does, or why it is not possible.
pub(super) fn void_text(voided: &Voided) -> String {
    let grant = &voided.grant.grant;
    let (id, amount, member) = (grant.id, grant.amount, &grant.member);
    let (source, funder) = (grant.source, &grant.funder);
    match voided.outcome {
        None => format!(
            "grant {id}: {amount} is returned from {source} to its funder {funder}, and {member} is \
             never paid\nnothing has changed; repeat it with --yes"
        ),
        Some(Void::Voided) => format!(
            "voided grant {id}: {amount} is returned to {funder}, and {member} is never paid"
        ),
        Some(Void::AlreadyVoided) => format!("grant {id} was voided before"),
        Some(Void::Paid) => format!("grant {id} is paid to {member}: it cannot be voided"),
        Some(Void::NotGivenUp) => {
            format!("grant {id} was not given up, so it may still be paid: it cannot be voided")
        }
        Some(Void::FunderFull) => format!(
            "the wallet of {funder} cannot hold {amount} more: grant {id} cannot be voided now"
        ),
    }
}

pub(super) fn drop_text(report: &DropReport) -> String {
    let DropReport { deleted, records, not_deleted } = report;
    format!(
        "outbox: {deleted} reports of the mapping deleted, {records} records of entries kept, \
         {not_deleted} not deleted"
    )
}
