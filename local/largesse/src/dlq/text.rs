//! What the tool says: reasons and tables.

use largesse_app::ports::Void;
use largesse_app::spray::refund::Refunded;
use largesse_app::spray::refused::RefusedRefunds;
use largesse_aws::grant::dead::DeadRecord;
use largesse_domain::grant::GrantStatus;
use largesse_domain::spray::Spray;
use largesse_domain::time::Timestamp;
use largesse_edge::time::format as format_time;
use serde_json::Value;

use super::find::Known;
use super::report::Kept;
use super::{
    DropReport, Found, GrantsView, OutboxView, Queue, RetryReport, Row, TableView, Voided,
};
use crate::plain::{self, counted};

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

/// Why a refund is refused.
pub(super) const REFUND_REFUSED: &str = "the sender's wallet cannot hold that much";

/// Where the refund of a spray stands.
pub(super) fn of_refund(spray: &Spray, now: Timestamp) -> String {
    match (spray.refund, spray.refused) {
        (Some(refund), _) => format!("returned {}", format_time(refund.at)),
        (None, Some(_)) => format!("{REFUND_REFUSED}; tried every hour"),
        (None, None) if spray.window.is_over(now) => {
            "not refused: returned at the next run of refund-batch, each minute".to_owned()
        }
        (None, None) => "not refused: returned when the spray is over".to_owned(),
    }
}

pub(super) fn refunds_text(found: &RefusedRefunds, limit: usize, now: Timestamp) -> String {
    const HEADER: [&str; 5] = ["source", "sender", "amount", "refused", "why"];
    let RefusedRefunds { sprays, unreadable } = found;
    let count = u64::try_from(sprays.len()).unwrap_or(u64::MAX);
    let head = format!("refunds: {}", counted(count, "refused refund", "refused refunds"));
    let row = |spray: &Spray| {
        let (amount, since) = spray.refused.map_or_else(Default::default, |refused| {
            (refused.amount.to_string(), format_time(refused.since))
        });
        let why = of_refund(spray, now);
        vec![spray.pool().to_string(), spray.sender.to_string(), amount, since, why]
    };
    let rows: Vec<_> = sprays.iter().take(limit).map(row).collect();
    let table = (!rows.is_empty()).then(|| plain::columns(&HEADER, &rows, HEADER.len()));
    let more = not_shown(rows.len(), count);
    let unreadable = (!unreadable.is_empty())
        .then(|| format!("  sprays that cannot be read: {}", unreadable.join(", ")));
    join([Some(head), table, more, unreadable])
}

pub(super) fn refund_text(spray: &Spray, now: Timestamp) -> String {
    let mut pairs = vec![
        ("source", spray.pool().to_string()),
        ("sender", spray.sender.to_string()),
        ("over", format_time(spray.window.closes)),
        ("why", of_refund(spray, now)),
    ];
    if let Some(refund) = spray.refund {
        pairs.push(("returned", refund.amount.to_string()));
    } else if let Some(refused) = spray.refused {
        pairs.push(("refused", refused.amount.to_string()));
        pairs.push(("since", format_time(refused.since)));
    }
    plain::pairs(&pairs)
}

/// What another try of a refund came to.
pub(super) fn refund_retry_text(spray: &Spray, refunded: Refunded) -> String {
    let (source, sender) = (spray.pool(), &spray.sender);
    match refunded {
        Refunded::Now { amount } => format!("refund of {source}: {amount} returned to {sender}"),
        Refunded::Before => format!("refund of {source}: returned before, nothing is owed"),
        Refunded::NotDue => {
            let over = format_time(spray.window.closes);
            format!("refund of {source}: kept: the spray is open until {over}")
        }
        Refunded::WalletFull { amount } => {
            format!("refund of {source}: kept: the wallet of {sender} cannot hold {amount} more")
        }
    }
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

pub(super) fn retry_text(report: &RetryReport) -> String {
    let mut rows = Vec::new();
    let mut line = |count: u64, what: &str| {
        if count > 0 {
            rows.push(format!("{count} {what}"));
        }
    };
    line(report.sent, "sent to be paid, from the queue");
    line(report.sent_from_table, "sent to be paid, from the table: without a message");
    line(report.paid, "deleted: paid");
    line(report.voided, "deleted: voided");
    line(report.twice, "deleted: there twice");
    line(report.paid_in_table, "removed from the table: paid");
    let refunds = if report.refunded == 1 { "refund" } else { "refunds" };
    line(report.refunded, &format!("{refunds} returned to the sender"));
    line(report.came_back, "refused and given up again during this run");
    line(report.still_retried, "in the table, still retried without an operator");
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
    rows.join("\n")
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
            "the wallet of {funder} cannot hold {amount} more: grant {id} cannot be voided now, and \
             nothing has changed"
        ),
    }
}

pub(super) fn drop_text(report: &DropReport) -> String {
    let DropReport { deleted, records, unreadable, not_deleted } = *report;
    let deleted = counted(deleted, "report of the mapping", "reports of the mapping");
    let kept = |count: u64, one, many| (count > 0).then(|| counted(count, one, many));
    join([
        Some(format!("outbox: {deleted} deleted")),
        kept(records, "record of entries: kept", "records of entries: kept"),
        kept(unreadable, "unreadable message: kept", "unreadable messages: kept"),
        kept(
            not_deleted,
            "report not deleted by the queue: run it again",
            "reports not deleted by the queue: run it again",
        ),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use largesse_domain::split::{Seed, Split};
    use largesse_domain::spray::{Refund, RefusedRefund, Terms};

    fn spray() -> Spray {
        let id = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
        let (room, sender) = (id.parse().unwrap(), "ann".parse().unwrap());
        let terms = Terms::new(20, 2, Split::Equal, 600).unwrap();
        let (token, now) = ("ABC".parse().unwrap(), Timestamp::from_ms(0));
        Spray::new(id.parse().unwrap(), token, room, sender, &terms, Seed([7; 32]), now)
    }

    #[test]
    fn a_spray_that_is_over_waits_for_the_next_run_and_not_for_its_end() {
        let (open, over) = (Timestamp::from_ms(599_999), Timestamp::from_ms(600_000));
        assert!(of_refund(&spray(), open).ends_with("returned when the spray is over"));
        let next = "not refused: returned at the next run of refund-batch, each minute";
        assert_eq!(of_refund(&spray(), over), next);
    }

    #[test]
    fn one_is_no_plural() {
        let one = DropReport { deleted: 1, records: 1, unreadable: 1, not_deleted: 1 };
        let said = "outbox: 1 report of the mapping deleted\n1 record of entries: kept\n\
                    1 unreadable message: kept\n1 report not deleted by the queue: run it again";
        assert_eq!(drop_text(&one), said);
        let one = RetryReport { refunded: 1, sent: 1, ..RetryReport::default() };
        assert_eq!(
            retry_text(&one),
            "1 sent to be paid, from the queue\n1 refund returned to the sender"
        );
        assert_eq!(messages_text(1, 1), "1 message, unreadable");
        assert_eq!(messages_text(2, 1), "2 messages, 1 of them unreadable");
    }

    #[test]
    fn a_refused_refund_is_listed_with_whose_it_is_since_when_and_how_much() {
        let refused = Some(RefusedRefund { amount: 20, since: Timestamp::from_ms(600_000) });
        let refused = Spray { refused, ..spray() };
        let found = RefusedRefunds { sprays: vec![refused.clone(); 2], unreadable: vec![] };
        let listed = "refunds: 2 refused refunds\n  \
            source                            sender  amount  refused                   why\n  \
            SPRAY#01ARZ3NDEKTSV4RRFFQ69G5FAV  ann     20      1970-01-01T00:10:00.000Z  \
            the sender's wallet cannot hold that much; tried every hour\n  \
            and 1 more: --limit shows them";
        assert_eq!(refunds_text(&found, 1, Timestamp::from_ms(700_000)), listed);
        let shown = refund_text(&refused, Timestamp::from_ms(700_000));
        assert!(shown.ends_with("refused  20\nsince    1970-01-01T00:10:00.000Z"), "{shown}");
        let kept = refund_retry_text(&refused, Refunded::WalletFull { amount: 20 });
        assert!(kept.ends_with("kept: the wallet of ann cannot hold 20 more"), "{kept}");
        let returned = Refund { amount: 20, shares: 2, at: Timestamp::from_ms(700_000) };
        let returned = Spray { refund: Some(returned), refused: None, ..refused };
        let shown = refund_text(&returned, Timestamp::from_ms(800_000));
        assert!(shown.ends_with("returned 1970-01-01T00:11:40.000Z\nreturned  20"), "{shown}");
    }
}
