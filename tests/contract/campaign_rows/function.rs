//! The function campaign-seal, behind its queue.

use aws_lambda_events::event::sqs::SqsEvent;
use largesse_app::campaign::act;
use largesse_app::invocation::{self, Invocation};
use largesse_app::ports::{CampaignJob, CampaignJobs, Clock};
use largesse_aws::campaign::jobs::write_job;
use largesse_domain::campaign::{Duplicates, State};
use largesse_tests::Sandbox;

use super::{begin_seal, campaign, csv, draft, members, put};
use crate::permissions::{assert_least, calls_of};

/// The delivery of one message.
fn delivery(body: &str) -> SqsEvent {
    let message = serde_json::json!({ "messageId": "1", "receiptHandle": "r", "body": body });
    serde_json::from_value(serde_json::json!({ "Records": [message] })).unwrap()
}

/// Attaches the function to its queue, alone.
fn attach(sandbox: &Sandbox) {
    let store = sandbox.another_process(50);
    let trigger = sandbox.world.stack().function("campaign-seal").unwrap().queues[0].clone();
    let handle = move |event| {
        let store = store.clone();
        let until = Invocation::until(store.now().plus_ms(120_000));
        invocation::scope(until, async move { Ok(campaign_seal::handle(&*store, event).await) })
    };
    sandbox.world.on_queue(trigger, handle).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_seal_goes_on_by_jobs_that_it_sends_itself() {
    let sandbox = Sandbox::new(1);
    let id = draft(&sandbox, Duplicates::First).await;
    put(&sandbox, id, 1, &members(0, 150)).await;
    let attempt = begin_seal(&sandbox, id).await;
    // So little time is left that the run ends before its first pass.
    let store = sandbox.another_process(2);
    let body = write_job(&CampaignJob::Seal { campaign: id, attempt }).unwrap();
    let until = Invocation::until(store.now().plus_ms(1_000));
    let run = campaign_seal::handle(&*store, delivery(&body));
    let response = invocation::scope(until, run).await;
    assert!(response.batch_item_failures.is_empty());
    assert_eq!(campaign(&sandbox, id).await.life.state, State::Sealing);
    // The job that it has sent is taken by the next run.
    attach(&sandbox);
    sandbox.world.settle().await;
    assert_eq!(campaign(&sandbox, id).await.life.state, State::Waiting);
}

#[tokio::test(start_paused = true)]
async fn an_unreadable_job_of_a_seal_waits() {
    let sandbox = Sandbox::new(2);
    let campaign = draft(&sandbox, Duplicates::First).await;
    let good = write_job(&CampaignJob::Seal { campaign, attempt: 1 }).unwrap();
    let other = write_job(&CampaignJob::Pay { campaign, fence: 1, from: 0 }).unwrap();
    let newer = good.replace("\"version\":1", "\"version\":2");
    for (body, failures) in [(&good[..], 0), (&good[..20], 1), (&newer, 1), (&other, 1)] {
        let response = campaign_seal::handle(&*sandbox.store, delivery(body)).await;
        assert_eq!(response.batch_item_failures.len(), failures, "{body}");
    }
}

#[tokio::test(start_paused = true)]
async fn campaign_seal_may_do_what_it_does() {
    let sandbox = Sandbox::new(3);
    let refused = draft(&sandbox, Duplicates::Refuse).await;
    put(&sandbox, refused, 1, &csv([("a", 5), ("a", 5)])).await;
    let sealed = draft(&sandbox, Duplicates::First).await;
    put(&sandbox, sealed, 1, &csv([("a", 5), ("a", 5)])).await;
    for id in [refused, sealed] {
        begin_seal(&sandbox, id).await;
        let job = CampaignJob::Seal { campaign: id, attempt: 1 };
        sandbox.store.send_job(&job).await.unwrap();
    }
    let late = draft(&sandbox, Duplicates::First).await;
    put(&sandbox, late, 1, &csv([("a", 5)])).await;
    act::seal(&*sandbox.store, late, &largesse_tests::user("ann")).await.unwrap();
    let body = write_job(&CampaignJob::Seal { campaign: late, attempt: 1 }).unwrap();
    attach(&sandbox);
    let calls = calls_of(&sandbox.world, async {
        let until = Invocation::until(sandbox.store.now());
        let run = campaign_seal::handle(&*sandbox.store, delivery(&body));
        invocation::scope(until, run).await;
        sandbox.world.settle().await;
    });
    let calls = calls.await;
    for (id, state) in [(refused, State::Draft), (sealed, State::Waiting), (late, State::Waiting)] {
        assert_eq!(campaign(&sandbox, id).await.life.state, state);
    }
    assert_least("campaign-seal", &calls);
}
