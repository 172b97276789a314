//! What the tool says, as JSON.

use std::collections::BTreeMap;

use largesse_app::ports::Void;
use largesse_domain::time::Timestamp;
use largesse_edge::time::format as format_time;
use serde_json::{Value, json};

use super::find::Known;
use super::report::Kept;
use super::text::{of_refund, queue_name};
use super::{
    DropReport, Found, GrantsView, OutboxKind, OutboxView, Refund, RefundsView, RetryReport, Row,
    TableView, Tried, Voided,
};

fn grant_json(known: &Known) -> Value {
    let Known { grant, failed, .. } = known;
    json!({
        "grant_id": grant.id.to_string(),
        "source": grant.source.to_string(),
        "member": grant.member.as_str(),
        "amount": grant.amount.get(),
        "reason": grant.reason.as_str(),
        "funder": grant.funder.as_str(),
        "decided_at": format_time(grant.decided_at()),
        "status": known.status().as_str(),
        "attempts": failed.as_ref().map(|failed| failed.attempts),
        "failure": failed.as_ref().map(|failed| failed.failure.as_str()),
        "failed_at": failed.as_ref().map(|failed| format_time(failed.failed_at)),
    })
}

fn rows_json(rows: &[Row]) -> Vec<Value> {
    let row = |row: &Row| {
        let grant = row.grant.as_ref().map(grant_json);
        json!({ "message_id": row.message_id, "why": row.why, "grant": grant })
    };
    rows.iter().map(row).collect()
}

pub(super) fn grants_json(view: &GrantsView) -> Value {
    json!({
        "messages": view.messages, "unreadable": view.unreadable, "others": view.others,
        "rows": rows_json(&view.rows),
    })
}

pub(super) fn table_json(view: &TableView) -> Value {
    let key = |(pk, sk): &(String, String)| json!({ "pk": pk, "sk": sk });
    json!({
        "given_up": view.given_up, "failed": view.failed, "unreadable": view.unreadable_count,
        "unreadable_items": view.unreadable.iter().map(key).collect::<Vec<_>>(),
        "rows": rows_json(&view.rows),
    })
}

pub(super) fn outbox_json(view: &OutboxView) -> Value {
    let row = |row: &super::OutboxRow| {
        let kind = match row.kind {
            OutboxKind::Report => "mapping report",
            OutboxKind::Record => "unreadable record",
            OutboxKind::Unreadable => "unreadable message",
        };
        json!({ "message_id": row.message_id, "kind": kind, "why": row.why })
    };
    let rows: Vec<Value> = view.rows.iter().map(row).collect();
    json!({
        "messages": view.messages, "unreadable": view.unreadable, "others": view.others,
        "rows": rows,
    })
}

pub(super) fn refund_json(refund: &Refund, now: Timestamp) -> Value {
    json!({
        "source": refund.source.to_string(),
        "to": refund.to.as_ref().map(|to| to.as_str()),
        "closes_at": format_time(refund.over),
        "returned": refund.returned.map(|(amount, _)| amount),
        "returned_at": refund.returned.map(|(_, at)| format_time(at)),
        "refused": refund.refused,
        "refused_at": refund.since.map(format_time),
        "why": of_refund(refund, now),
    })
}

pub(super) fn refunds_json(found: &RefundsView, limit: usize, now: Timestamp) -> Value {
    let RefundsView { refunds, unreadable } = found;
    let rows: Vec<Value> = refunds.iter().take(limit).map(|one| refund_json(one, now)).collect();
    json!({ "refused": refunds.len(), "unreadable": unreadable, "rows": rows })
}

pub(super) fn refund_retry_json(tried: Tried) -> Value {
    match tried {
        Tried::Now { amount } => json!({ "outcome": "returned", "amount": amount }),
        Tried::Before => json!({ "outcome": "returned before" }),
        Tried::NotDue => json!({ "outcome": "not due" }),
        Tried::WalletFull { amount } => json!({ "outcome": "wallet full", "amount": amount }),
    }
}

pub(super) fn found_json(found: &Found, why: &str) -> Value {
    let message = found.message.as_ref().map(|(queue, message)| {
        let queue = queue_name(*queue);
        let (id, body) = (&message.id, &message.body);
        json!({ "message_id": id, "queue": queue, "attributes": message.attributes, "body": body })
    });
    json!({ "message": message, "why": why, "grant": found.grant.as_ref().map(grant_json) })
}

pub(super) fn retry_json(report: &RetryReport) -> Value {
    let kept = |(why, kept): (&String, &Kept)| {
        let Kept { count, examples } = kept;
        (why.clone(), json!({ "count": count, "examples": examples }))
    };
    let kept: BTreeMap<String, Value> = report.kept.iter().map(kept).collect();
    json!({
        "sent": report.sent, "sent_from_table": report.sent_from_table, "paid": report.paid,
        "voided": report.voided, "twice": report.twice, "paid_in_table": report.paid_in_table,
        "refunded": report.refunded, "came_back": report.came_back,
        "still_retried": report.still_retried, "not_deleted": report.not_deleted, "kept": kept,
        "unreadable_items": report.unreadable_items,
    })
}

pub(super) fn void_json(voided: &Voided) -> Value {
    let outcome = match voided.outcome {
        None => "not confirmed",
        Some(Void::Voided) => "voided",
        Some(Void::AlreadyVoided) => "voided before",
        Some(Void::Paid) => "paid",
        Some(Void::NotGivenUp) => "not given up",
        Some(Void::FunderFull) => "funder full",
    };
    json!({ "outcome": outcome, "grant": grant_json(&voided.grant) })
}

pub(super) fn drop_json(report: &DropReport) -> Value {
    let DropReport { deleted, records, unreadable, not_deleted } = report;
    json!({
        "deleted": deleted, "records": records, "unreadable": unreadable,
        "not_deleted": not_deleted,
    })
}
