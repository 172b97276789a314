//! Work that is lost comes back, and only work that is lost.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue as Av;
use largesse_app::campaign::pay::pay_chunk;
use largesse_app::campaign::watch::{STILL_MS, watch};
use largesse_app::ports::{CampaignJob, CampaignMarks, Clock, Mark};
use largesse_aws::campaign::jobs::read_job;
use largesse_domain::campaign::State;
use largesse_runtime::RunError;
use largesse_tests::kill::kill_at;
use rstest::rstest;
use serde_json::json;

use super::scene::{CHUNKS, FANOUTS, SEALS, SETTINGS, Work};
use crate::scene::{Table, fill, key_with, s};

/// The run of the watch in which lost work is sent again: the first one sees how it stands.
const SENT_IN: usize = 11;

/// How the messages of a campaign are lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Loss {
    /// The queue was purged.
    Purged,
    /// No function took them for longer than the queue keeps them.
    Expired,
}

#[rstest]
#[case::purged(1, Loss::Purged)]
#[case::expired(2, Loss::Expired)]
#[tokio::test(start_paused = true)]
async fn chunks_that_are_lost_come_back_and_each_row_is_paid_once(
    #[case] seed: u64,
    #[case] loss: Loss,
) {
    let work = Work::new(seed, 250).await;
    work.attach_outbox();
    work.attach_fanout();
    work.settle().await;
    let chunks = work.layout().await.chunks();
    assert_eq!(work.queue(CHUNKS[0]).messages.len(), usize::try_from(chunks).unwrap());
    // The first chunk is paid when the messages are lost.
    let (store, first) = (&*work.sandbox.store, work.message(0).await);
    pay_chunk(&*work.money, store, &first, SETTINGS, store.now().plus_ms(50_000)).await;
    let paid = work.paid().await;
    assert!((1..250).contains(&paid), "{paid}");
    match loss {
        Loss::Purged => work.purge(&CHUNKS).await,
        Loss::Expired => tokio::time::advance(Duration::from_secs(14 * 86_400)).await,
    }
    work.attach_workers();
    work.settle().await;
    assert_eq!((work.paid().await, work.state().await), (paid, State::Running));
    assert_eq!(work.minutes(SENT_IN - 1).await, 0);
    assert_eq!(work.paid().await, paid);
    assert_eq!(work.minutes(1).await, 1);
    work.assert_all_paid().await;
    // What has ended is not watched.
    assert_eq!(work.minutes(2 * SENT_IN).await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_lost_job_of_a_seal_a_start_or_a_rollback_comes_back() {
    let work = Work::sealing(3, 30).await;
    work.attach_outbox();
    work.settle().await;
    work.purge(&[SEALS]).await;
    assert_eq!(work.minutes(SENT_IN - 1).await, 0);
    assert_eq!(work.minutes(1).await, 1);
    let job = CampaignJob::Seal { campaign: work.id, attempt: 1 };
    assert_eq!(read_job(&work.queue(SEALS).messages[0].body).unwrap(), job);
    work.attach_seal();
    work.settle().await;
    assert_eq!(work.state().await, State::Waiting);

    work.start().await;
    work.settle().await;
    work.purge(&[FANOUTS]).await;
    work.attach_fanout();
    work.attach_workers();
    assert_eq!(work.minutes(SENT_IN - 1).await, 0);
    assert_eq!(work.minutes(1).await, 1);
    work.assert_all_paid().await;

    // The stream is stopped, so that the outbox never sends the job.
    let streams = work.sandbox.world.stack().function("outbox").unwrap().streams.clone();
    for stream in &streams {
        work.sandbox.world.set_stream_enabled(&stream.consumer, false).unwrap();
    }
    work.roll_back().await;
    work.settle().await;
    assert_eq!(work.minutes(SENT_IN - 1).await, 0);
    assert_eq!((work.paid().await, work.minutes(1).await), (30, 1));
    assert_eq!((work.paid().await, work.state().await), (0, State::RolledBack));
    // The stream is back, and its job does no harm.
    for stream in &streams {
        work.sandbox.world.set_stream_enabled(&stream.consumer, true).unwrap();
    }
    work.settle().await;
    assert_eq!(work.tally().await.reversed.rows, 30);
}

#[tokio::test(start_paused = true)]
async fn a_refused_row_whose_message_is_lost_comes_back() {
    let work = Work::new(4, 5).await;
    work.sandbox.deposit("m3", 1).await;
    let held = fill(&work.sandbox, "m3").await;
    work.attach_all();
    work.settle().await;
    assert_eq!(work.tally().await.success.rows, 4);
    assert_eq!(work.queue(CHUNKS[1]).messages.len(), 1);
    work.purge(&CHUNKS).await;
    work.sandbox.overwrite_balance("m3", held).await;
    assert_eq!(work.minutes(SENT_IN).await, 1);
    assert_eq!((work.tally().await.success.rows, work.state().await), (5, State::Completed));
}

/// A worker was killed after the commit of the last chunk, and its message was lost.
#[tokio::test(start_paused = true)]
async fn a_campaign_of_which_only_the_end_is_missing_ends() {
    let work = Work::new(5, 3).await;
    work.attach_outbox();
    work.attach_fanout();
    work.settle().await;
    let (store, message) = (&*work.sandbox.another_process(40), work.message(0).await);
    for k in 1.. {
        let stop_at = store.now().plus_ms(50_000);
        let paying = pay_chunk(&*work.money, store, &message, SETTINGS, stop_at);
        assert!(kill_at(k, paying).await.is_none(), "it ended before");
        tokio::time::advance(Duration::from_secs(91)).await;
        if work.tally().await.success.rows == 3 {
            break;
        }
    }
    assert_eq!(work.state().await, State::Running);
    work.purge(&CHUNKS).await;
    work.attach_workers();
    assert_eq!(work.minutes(SENT_IN).await, 1);
    work.assert_all_paid().await;
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_again_while_messages_wait() {
    let work = Work::new(6, 150).await;
    work.set_away(true);
    work.attach_all();
    // Longer than the first five waits of the watch together.
    assert_eq!(work.minutes(180).await, 0);
    assert!(work.waits());
    assert_eq!((work.paid().await, work.state().await), (0, State::Running));
    let mark = work.sandbox.store.mark(work.id).await.unwrap().unwrap();
    assert_eq!((mark.since, mark.resends), (work.sandbox.store.now(), 0));
    work.set_away(false);
    assert_eq!(work.minutes(16).await, 0);
    work.assert_all_paid().await;
}

/// Each place where a message can be counts, in each queue by itself.
#[tokio::test(start_paused = true)]
async fn a_message_in_any_queue_and_in_any_place_is_work_that_waits() {
    for (seed, queue) in [(7, FANOUTS), (8, CHUNKS[0]), (9, CHUNKS[1])] {
        let work = Work::new(seed, 3).await;
        // Delayed, where a queue can do that; then visible; then in flight.
        let send = if queue.ends_with(".fifo") {
            json!({ "MessageBody": "x", "MessageGroupId": "x", "MessageDeduplicationId": "x" })
        } else {
            json!({ "MessageBody": "x", "DelaySeconds": 840 })
        };
        work.sqs("SendMessage", queue, send).await;
        assert_eq!(work.minutes(2 * 14).await, 0, "{queue}");
        let receive = json!({ "VisibilityTimeout": 840 });
        let received = work.sqs("ReceiveMessage", queue, receive).await;
        assert_eq!(work.minutes(13).await, 0, "{queue}");
        let receipt = received["Messages"][0]["ReceiptHandle"].clone();
        work.sqs("DeleteMessage", queue, json!({ "ReceiptHandle": receipt })).await;
        assert_eq!(work.minutes(SENT_IN).await, 1, "{queue}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_campaign_that_moves_without_messages_in_sight_is_left_alone() {
    let work = Work::new(10, 950).await;
    let store = &*work.sandbox.store;
    let chunks = work.layout().await.chunks();
    for chunk in 0..chunks - 1 {
        // The numbers of the queues are approximate: they may all be 0 while a worker is at it.
        let message = work.message(chunk).await;
        pay_chunk(&*work.money, store, &message, SETTINGS, store.now().plus_ms(50_000)).await;
        assert_eq!(work.minutes(9).await, 0);
    }
    assert_eq!(work.minutes(2).await, 1);
}

#[tokio::test(start_paused = true)]
async fn work_that_is_lost_time_and_again_is_sent_ever_more_seldom() {
    let work = Work::new(11, 3).await;
    let mut sent = Vec::new();
    for minute in 1..=160 {
        if work.minutes(1).await > 0 {
            sent.push(minute);
        }
        work.purge(&[FANOUTS]).await;
    }
    assert_eq!(sent, [11, 31, 71, 151]);
    let longest = Mark { resends: 60, ..work.sandbox.store.mark(work.id).await.unwrap().unwrap() };
    work.sandbox.store.put_mark(work.id, &longest).await.unwrap();
    tokio::time::advance(Duration::from_millis(64 * STILL_MS)).await;
    assert_eq!(work.minutes(1).await, 1);
    // A new run is other work: the first wait counts again.
    work.purge(&[FANOUTS]).await;
    work.stop().await;
    work.start().await;
    assert_eq!((work.minutes(SENT_IN - 1).await, work.minutes(1).await), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_watch_killed_at_any_await_loses_nothing() {
    for k in 1..200 {
        let work = Work::new(12, 3).await;
        work.attach_outbox();
        work.attach_fanout();
        work.settle().await;
        work.purge(&CHUNKS).await;
        work.attach_workers();
        // Killed in its first run, and in the one that sends again.
        let first = kill_at(k, watch(&*work.sandbox.another_process(41))).await;
        assert_eq!(work.minutes(SENT_IN - 2).await, 0);
        tokio::time::advance(Duration::from_secs(120)).await;
        let killed = kill_at(k, watch(&*work.sandbox.another_process(42))).await;
        work.settle().await;
        work.minutes(2).await;
        work.assert_all_paid().await;
        if first.is_some() && killed.is_some() {
            assert!(k > 5, "it awaits {k} times only");
            return;
        }
    }
    panic!("the watch never ended");
}

#[tokio::test(start_paused = true)]
async fn a_campaign_that_cannot_be_read_is_told_and_holds_up_no_watch() {
    let work = Work::new(13, 3).await;
    let table = Table::of(&work.sandbox, "campaigns");
    // A campaign that is being sealed and cannot be read, before the one that runs.
    let agenda = key_with("AGENDA", "AGENDA");
    let (whole, other) = (table.get(&agenda).await.unwrap(), work.sandbox.id());
    let mut with_other = whole.clone();
    with_other.insert("sealing".to_owned(), Av::L(vec![s(other)]));
    table.put(with_other).await;
    work.attach_all();
    let store = &*work.sandbox.store;
    for _ in 0..SENT_IN {
        tokio::time::advance(Duration::from_secs(60)).await;
        let told = campaign_start::handle(store).await;
        assert!(matches!(told, Err(RunError::LeftOver(1))), "{told:?}");
    }
    assert_eq!(work.queue(FANOUTS).messages.len(), 1);
    work.settle().await;
    work.assert_all_paid().await;
}
