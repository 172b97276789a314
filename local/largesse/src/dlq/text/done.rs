//! What the tool says it has done.

use largesse_app::ports::Void;

use super::join;
use crate::dlq::report::Kept;
use crate::dlq::{DropReport, RetryReport, Voided};
use crate::plain::counted;

pub(in crate::dlq) fn retry_text(report: &RetryReport) -> String {
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
    line(report.refunded, &format!("{refunds} returned"));
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
pub(in crate::dlq) fn void_text(voided: &Voided) -> String {
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

pub(in crate::dlq) fn drop_text(report: &DropReport) -> String {
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
    use super::super::messages_text;
    use super::*;

    #[test]
    fn one_is_no_plural() {
        let one = DropReport { deleted: 1, records: 1, unreadable: 1, not_deleted: 1 };
        let said = "outbox: 1 report of the mapping deleted\n1 record of entries: kept\n\
                    1 unreadable message: kept\n1 report not deleted by the queue: run it again";
        assert_eq!(drop_text(&one), said);
        let one = RetryReport { refunded: 1, sent: 1, ..RetryReport::default() };
        assert_eq!(retry_text(&one), "1 sent to be paid, from the queue\n1 refund returned");
        assert_eq!(messages_text(1, 1), "1 message, unreadable");
        assert_eq!(messages_text(2, 1), "2 messages, 1 of them unreadable");
    }
}
