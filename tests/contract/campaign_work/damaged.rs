//! What was sealed and cannot be used ends its campaign, after all else is paid.

use std::time::Duration;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue as Av;
use largesse_app::campaign::act::{self, ActError};
use largesse_app::campaign::watch::watch;
use largesse_app::ports::Campaigns;
use largesse_domain::campaign::{Refused, State};
use largesse_tests::kill::kill_at;
use largesse_tests::user;
use rstest::rstest;
use serde_json::Value;

use super::scene::Work;
use crate::scene::{Item, Table, balance, fill, key_with, n, number, s};

/// The longest until a campaign that cannot go on has ended: two waits of the watch.
const FAILED_IN: usize = 22;

/// How a chunk is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Damage {
    /// Its item is not there.
    Missing,
    /// Its rows cannot be unpacked.
    Garbled,
    /// What became of its rows is of other rows.
    OtherResult,
}

/// Damages a chunk; gives what repairs it.
async fn damage(work: &Work, chunk: u32, damage: Damage) -> Option<Item> {
    let table = Table::of(&work.sandbox, "campaign-rows");
    let (rows, result) =
        (work.chunk_key(chunk, "ROWS").await, work.chunk_key(chunk, "RESULT").await);
    let whole = table.get(&rows).await;
    match damage {
        Damage::Missing => table.delete(&rows).await,
        Damage::Garbled => table.set(&rows, "data", Av::B(Blob::new([1, 2, 3]))).await,
        Damage::OtherResult => {
            let mut item = result;
            for name in ["generation", "revision", "sends"] {
                item.insert(name.to_owned(), n(1));
            }
            item.insert("retries_max".to_owned(), n(3));
            item.insert("closed".to_owned(), Av::Bool(false));
            item.insert("data".to_owned(), whole.as_ref().unwrap()["data"].clone());
            table.put(item).await;
        }
    }
    whole
}

async fn repair(work: &Work, chunk: u32, whole: Option<Item>) {
    let table = Table::of(&work.sandbox, "campaign-rows");
    table.delete(&work.chunk_key(chunk, "RESULT").await).await;
    table.put(whole.unwrap()).await;
}

/// The actions in the audit.
async fn actions(work: &Work) -> Vec<String> {
    let entries = work.sandbox.store.audit_of(work.id, 0, 100).await.unwrap();
    entries.into_iter().map(|entry| entry.action).collect()
}

#[rstest]
#[case::missing(1, Damage::Missing, "the chunk is not there")]
#[case::garbled(2, Damage::Garbled, "chunk of rows")]
#[case::other_result(3, Damage::OtherResult, "result of a chunk")]
#[tokio::test(start_paused = true)]
async fn a_chunk_that_cannot_be_used_fails_the_campaign_after_all_others_are_paid(
    #[case] seed: u64,
    #[case] how: Damage,
    #[case] said: &str,
) {
    let work = Work::new(seed, 250).await;
    let whole = damage(&work, 1, how).await;
    work.attach_all();
    work.settle().await;
    // The others are paid, and the campaign tells what is wrong while it still runs.
    let campaign = work.campaign().await;
    let problem = campaign.problem.unwrap();
    assert_eq!(problem, format!("chunk 1 cannot be used ({said})"));
    let (paid, left) = (work.paid().await, work.tally().await.pending.rows);
    assert_eq!((paid + left, campaign.life.state), (250, State::Running));
    assert!(paid > left && left > 0 && !work.waits());

    assert_eq!(work.minutes(FAILED_IN).await, 1);
    let campaign = work.campaign().await;
    assert_eq!((campaign.life.state, campaign.problem), (State::Failed, Some(problem.clone())));
    // Nothing counts as a failed payment.
    let tally = work.tally().await;
    assert_eq!((tally.success.rows, tally.pending.rows, tally.failed.rows), (paid, left, 0));
    let actions = actions(&work).await;
    assert_eq!(actions.iter().filter(|action| *action == "damaged").count(), 1, "{actions:?}");
    assert_eq!(actions.last().unwrap(), "fail");
    // The webhook is told.
    let told: Value =
        serde_json::from_str(&work.queue("largesse-notify").messages[0].body).unwrap();
    assert_eq!(
        (&told["detail-type"], &told["detail"]["failure"]),
        (&Value::from("campaign.failed"), &Value::from(problem),)
    );

    // Its open rows are no failed ones.
    let retried = act::retry(&*work.sandbox.store, work.id, &user("ann")).await;
    assert!(matches!(retried, Err(ActError::Refused(Refused::RowsOpen { rows })) if rows == left));
    // After the repair a start goes on, and pays nothing twice.
    repair(&work, 1, whole).await;
    work.start().await;
    work.settle().await;
    work.assert_all_paid().await;
}

#[tokio::test(start_paused = true)]
async fn a_start_without_the_repair_fails_again_and_pays_nothing_twice() {
    let work = Work::new(4, 250).await;
    damage(&work, 0, Damage::Missing).await;
    work.attach_all();
    work.settle().await;
    work.minutes(FAILED_IN).await;
    let paid = work.paid().await;
    work.start().await;
    assert_eq!(work.campaign().await.problem, None);
    work.settle().await;
    assert!(work.campaign().await.problem.is_some());
    work.minutes(FAILED_IN).await;
    assert_eq!((work.state().await, work.paid().await), (State::Failed, paid));
}

#[tokio::test(start_paused = true)]
async fn a_chunk_that_is_repaired_in_time_is_paid_and_the_campaign_completes() {
    let work = Work::new(5, 250).await;
    let whole = damage(&work, 2, Damage::Garbled).await;
    work.attach_all();
    work.settle().await;
    assert_eq!(work.minutes(FAILED_IN / 2 - 1).await, 0);
    repair(&work, 2, whole).await;
    assert_eq!(work.minutes(1).await, 1);
    work.assert_all_paid().await;
}

#[tokio::test(start_paused = true)]
async fn a_rollback_of_a_damaged_campaign_waits_for_the_repair() {
    let work = Work::new(6, 250).await;
    let whole = damage(&work, 1, Damage::Missing).await;
    work.attach_all();
    work.settle().await;
    work.minutes(FAILED_IN).await;
    work.roll_back().await;
    work.settle().await;
    // What can be read is taken back at once.
    assert_eq!((work.paid().await, work.state().await), (0, State::RollingBack));
    // No wait ends it, and its message stays in a queue.
    assert_eq!(work.minutes(2 * FAILED_IN).await, 0);
    assert_eq!(work.state().await, State::RollingBack);
    repair(&work, 1, whole).await;
    work.minutes(16).await;
    assert_eq!(work.state().await, State::RolledBack);
}

#[tokio::test(start_paused = true)]
async fn an_outage_ends_no_campaign_with_a_damaged_chunk() {
    let work = Work::new(7, 250).await;
    damage(&work, 1, Damage::Missing).await;
    work.set_away(true);
    work.attach_all();
    assert_eq!(work.minutes(180).await, 0);
    assert_eq!((work.state().await, work.paid().await), (State::Running, 0));
    work.set_away(false);
    work.minutes(16 + FAILED_IN).await;
    assert_eq!(work.state().await, State::Failed);
    assert_eq!(work.paid().await + work.tally().await.pending.rows, 250);
}

#[tokio::test(start_paused = true)]
async fn a_watch_killed_while_it_ends_a_campaign_ends_it_once() {
    for k in 1..300 {
        let work = Work::new(11, 3).await;
        damage(&work, 0, Damage::Missing).await;
        work.attach_all();
        work.settle().await;
        work.minutes(FAILED_IN - 2).await;
        assert_eq!(work.state().await, State::Running);
        tokio::time::advance(Duration::from_secs(60)).await;
        let ended = kill_at(k, watch(&*work.sandbox.another_process(40))).await;
        work.minutes(2).await;
        assert_eq!(work.state().await, State::Failed);
        let actions = actions(&work).await;
        assert_eq!(actions.iter().filter(|action| *action == "fail").count(), 1, "{actions:?}");
        if ended.is_some() {
            assert!(k > 10, "it awaits {k} times only");
            return;
        }
    }
    panic!("the watch never ended");
}

#[tokio::test(start_paused = true)]
async fn many_damaged_chunks_are_one_entry_of_the_audit() {
    let work = Work::new(8, 950).await;
    for chunk in 0..work.layout().await.chunks() {
        damage(&work, chunk, Damage::Missing).await;
    }
    work.attach_all();
    work.settle().await;
    assert_eq!(actions(&work).await.iter().filter(|action| *action == "damaged").count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_campaign_without_its_seal_fails_at_once() {
    let work = Work::new(9, 3).await;
    let table = Table::of(&work.sandbox, "campaigns");
    let mut item = table.get(&key_with(format!("CAMPAIGN#{}", work.id), "META")).await.unwrap();
    item.remove("rows_hash").unwrap();
    table.put(item).await;
    work.attach_all();
    let report = work.minute().await;
    assert_eq!(report.failed, [work.id.to_string()]);
    let campaign = work.campaign().await;
    assert_eq!(campaign.life.state, State::Failed);
    assert_eq!(campaign.problem.as_deref(), Some("its seal is not there"));
}

/// Every row has ended, but the counters tell other numbers than were sealed: no end is ever taken.
#[tokio::test(start_paused = true)]
async fn counters_that_lost_rows_fail_the_campaign() {
    let work = Work::new(10, 3).await;
    let table = Table::of(&work.sandbox, "campaigns");
    let key = key_with(format!("CAMPAIGN#{}", work.id), "COUNT#09");
    let item = table.get(&key).await.unwrap();
    table.set(&key, "failed_rows", n(number(&item, "failed_rows") + 1)).await;
    work.attach_all();
    work.settle().await;
    assert_eq!((work.paid().await, work.state().await), (3, State::Running));
    work.minutes(FAILED_IN).await;
    let campaign = work.campaign().await;
    assert_eq!(campaign.life.state, State::Failed);
    let why = "chunk 0 cannot be used (the counters do not have the rows that were sealed)";
    assert_eq!(campaign.problem.as_deref(), Some(why));
}

/// What became of a chunk's rows was put back as it was before a retry: a row that failed then and is
/// paid since would be sent again under its old id.
#[tokio::test(start_paused = true)]
async fn a_result_from_before_a_retry_pays_nobody_again() {
    let work = Work::new(12, 5).await;
    let table = Table::of(&work.sandbox, "campaign-rows");
    let store = &*work.sandbox.store;
    let mut room = Vec::new();
    for member in ["m3", "m4"] {
        work.sandbox.deposit(member, 1).await;
        room.push(fill(&work.sandbox, member).await);
    }
    work.attach_all();
    work.settle().await;
    let result = work.chunk_key(0, "RESULT").await;
    let earlier = table.get(&result).await.unwrap();
    work.minutes(4).await;
    assert_eq!((work.state().await, work.tally().await.failed.rows), (State::Completed, 2));
    work.sandbox.overwrite_balance("m3", room[0]).await;
    act::retry(store, work.id, &user("ann")).await.unwrap();
    work.settle().await;
    work.minutes(4).await;
    assert_eq!((work.state().await, work.tally().await.failed.rows), (State::Completed, 1));
    let has = async |member| balance(&work.sandbox, member).await;
    let paid = has("m3").await;
    table.put(earlier).await;
    act::retry(store, work.id, &user("ann")).await.unwrap();
    work.settle().await;
    work.minutes(FAILED_IN).await;
    work.sandbox.overwrite_balance("m4", room[1]).await;
    assert_eq!(has("m3").await, paid);
    let campaign = work.campaign().await;
    let problem = "chunk 0 cannot be used (the chunk has open rows of before a retry)";
    assert_eq!((campaign.life.state, campaign.problem.as_deref()), (State::Failed, Some(problem)));
}

/// The ledger pays ten rows in one transaction.
#[tokio::test(start_paused = true)]
async fn a_wallet_that_cannot_be_read_holds_up_no_other_row() {
    let work = Work::new(13, 9).await;
    work.sandbox.deposit("m3", 1).await;
    let table = Table::of(&work.sandbox, "ledger");
    let wallet = key_with("WALLET#m3".to_owned(), "BALANCE");
    table.set(&wallet, "balance", s("much")).await;
    work.attach_all();
    work.settle().await;
    let tally = work.tally().await;
    assert_eq!((tally.success.rows, tally.open(), tally.failed.rows), (8, 1, 0));
    assert_eq!(work.state().await, State::Running);
    // It is paid when it can be read again.
    table.set(&wallet, "balance", n(1)).await;
    work.minutes(16).await;
    assert_eq!((work.tally().await.success.rows, work.state().await), (9, State::Completed));
}
