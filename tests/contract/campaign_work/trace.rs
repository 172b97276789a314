//! The trace of the request that starts a campaign, on all that is sent for it.

use largesse_app::campaign::act;
use largesse_app::invocation::traced;
use largesse_app::ports::Campaigns;
use largesse_app::trace::TraceId;
use largesse_aws::campaign_results::message::read_chunk_body;
use largesse_domain::campaign::{Duplicates, State};
use largesse_domain::id::Ulid;
use largesse_tests::user;

use super::scene::{CHUNKS, Work};
use crate::campaign_rows::{draft, members, put, seal};

fn trace(n: u64) -> TraceId {
    TraceId::of_ulid(Ulid::from_parts(n, 1))
}

/// The traces of the chunks that wait in the lanes.
fn sent(work: &Work) -> Vec<Option<TraceId>> {
    let messages = work.queue(CHUNKS[0]).messages;
    messages.iter().map(|message| read_chunk_body(&message.body).unwrap().trace).collect()
}

#[tokio::test(start_paused = true)]
async fn chunks_carry_the_trace_of_the_start_also_when_they_are_sent_again() {
    let work = Work::sealed(71, 3).await;
    work.attach_outbox();
    work.attach_fanout();
    traced(trace(1), work.start()).await;
    work.settle().await;
    assert_eq!(sent(&work), [Some(trace(1))]);
    // They are lost, and campaign-start finds out.
    work.purge(&CHUNKS).await;
    assert_eq!(traced(trace(2), work.minutes(12)).await, 1);
    assert_eq!(sent(&work), [Some(trace(1))]);
    // A rollback is a request of its own.
    traced(trace(3), work.stop()).await;
    work.purge(&CHUNKS).await;
    traced(trace(4), work.roll_back()).await;
    work.settle().await;
    assert_eq!(sent(&work), [Some(trace(4))]);
}

#[tokio::test(start_paused = true)]
async fn a_campaign_that_waited_for_another_keeps_the_trace_of_its_own_start() {
    let work = Work::sealed(72, 3).await;
    let second = draft(&work.sandbox, Duplicates::First).await;
    put(&work.sandbox, second, 1, &members(10, 3)).await;
    let hash = seal(&work.sandbox, second).await.life.sealed.unwrap().hash;
    traced(trace(1), work.start()).await;
    let store = &*work.sandbox.store;
    traced(trace(2), act::start(store, second, &user("ann"), hash)).await.unwrap();
    work.attach_outbox();
    work.attach_fanout();
    work.settle().await;
    assert_eq!(sent(&work), [Some(trace(1))]);
    work.purge(&CHUNKS).await;
    // The request that stops the first one has the second one run.
    traced(trace(3), work.stop()).await;
    work.settle().await;
    let running = store.campaign(second).await.unwrap().unwrap();
    assert_eq!(running.value.life.state, State::Running);
    assert_eq!((running.trace, sent(&work)), (Some(trace(2)), vec![Some(trace(2))]));
}
