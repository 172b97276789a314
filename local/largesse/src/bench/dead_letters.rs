//! One run of `largesse dlq retry --all` over 100,000 dead-letter messages.

use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use largesse_app::ports::GrantMessage;
use largesse_aws::grant::message::write_body;
use largesse_domain::grant::{Grant, Reason};
use largesse_domain::id::{GrantId, PoolId, SprayId, Ulid};
use largesse_domain::money::Amount;
use procfs::process::Process;

use super::lab::{Lab, MemberIds, user_id};
use super::report::{Cell, Table, figure};
use super::{BenchError, broken, started};
use crate::dlq::{Dlq, RetryReport};

/// Messages in the queue.
const MESSAGES: u32 = 100_000;
/// Every so many messages, one cannot be read.
const UNREADABLE_EVERY: u32 = 1_000;
/// Messages of one send (Amazon SQS API Reference).
const BATCH_MAX: u32 = 10;
/// The queues in the world.
const DEAD: &str = "largesse-grants-dlq.fifo";
const GRANTS: &str = "largesse-grants.fifo";

/// Fills the queue and works through it in one run.
///
/// # Errors
/// [`BenchError`], also when a message is missing at the end.
pub async fn measure() -> Result<Table, BenchError> {
    let lab = Lab::new(MemberIds::Uuid)?;
    let made = fill(&lab).await?;
    let before_mib = resident_mib()?;
    let config = lab.world.sdk_config();
    let dlq = Dlq::open(&config, "largesse").await.map_err(broken)?;
    let mut report = RetryReport::default();
    let began = started();
    dlq.retry_all(&mut report).await.map_err(broken)?;
    let took = began.elapsed();
    let after_mib = resident_mib()?;
    let unreadable = MESSAGES.div_euclid(UNREADABLE_EVERY);
    let readable = u64::from(MESSAGES.saturating_sub(unreadable));
    let len = |queue: &str| lab.world.queue(queue).map_or(0, |view| view.messages.len());
    let (left, sent) = (len(DEAD), u64::try_from(len(GRANTS)).unwrap_or(0));
    let is_complete = report.sent == readable && sent == readable;
    if !is_complete || u32::try_from(left) != Ok(unreadable) || made != u64::from(MESSAGES) {
        return Err(BenchError::Broken(format!("{left} left, {sent} sent: {report:?}")));
    }
    let cells = vec![
        Cell::of(figure(report.sent)),
        Cell::of(figure(report.kept_count())),
        Cell::of((took.as_secs_f64() * 10.0).round() / 10.0),
        Cell::of((f64::from(MESSAGES) / took.as_secs_f64()).round()),
        Cell::of((after_mib - before_mib).round()),
    ];
    Ok(Table {
        name: "dead_letters",
        title: format!("Dead letters: {MESSAGES} messages in one run of `dlq retry --all`"),
        columns: vec!["sent", "kept", "took_s", "messages_per_s", "memory_growth_mib"],
        rows: vec![("in memory, in this process".to_owned(), cells)],
        notes: vec![
            format!("one message in {UNREADABLE_EVERY} cannot be read, and stays"),
            "memory growth: of this process, with the emulator's queues in it".to_owned(),
        ],
    })
}

fn resident_mib() -> Result<f64, BenchError> {
    let status = Process::myself().and_then(|own| own.status()).map_err(broken)?;
    Ok(figure(status.vmrss.unwrap_or(0)) / 1_024.0)
}

async fn fill(lab: &Lab) -> Result<u64, BenchError> {
    let sqs = aws_sdk_sqs::Client::new(&lab.world.sdk_config());
    let url = sqs.get_queue_url().queue_name(DEAD).send().await.map_err(broken)?;
    let url = url.queue_url.unwrap_or_default();
    let numbers: Vec<u32> = (0..MESSAGES).collect();
    for batch in numbers.chunks(usize::try_from(BATCH_MAX).unwrap_or(1)) {
        let entries = batch.iter().map(|n| entry(lab, *n)).collect::<Result<Vec<_>, _>>()?;
        let sent = sqs.send_message_batch().queue_url(&url).set_entries(Some(entries));
        sent.send().await.map_err(broken)?;
    }
    let count = lab.world.queue(DEAD).map_or(0, |view| view.messages.len());
    Ok(u64::try_from(count).unwrap_or(u64::MAX))
}

fn entry(lab: &Lab, n: u32) -> Result<SendMessageBatchRequestEntry, BenchError> {
    let at_ms = 1_767_225_600_000;
    let member = lab.member(n);
    let grant = Grant {
        id: GrantId(Ulid::from_parts(at_ms, u128::from(n))),
        source: PoolId::Spray(SprayId(Ulid::from_parts(at_ms, u128::from(n.div_euclid(1_000))))),
        member: user_id(&member)?,
        amount: Amount::new(1).map_err(broken)?,
        reason: Reason::Share,
        funder: user_id(&lab.sender)?,
        memo: None,
    };
    let body = match n.checked_rem(UNREADABLE_EVERY) {
        Some(0) => "no grant".to_owned(),
        _ => write_body(&GrantMessage::first(grant))?,
    };
    SendMessageBatchRequestEntry::builder()
        .id(n.to_string())
        .message_body(body)
        .message_group_id(member)
        .message_deduplication_id(n.to_string())
        .build()
        .map_err(broken)
}
