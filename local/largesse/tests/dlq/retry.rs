//! Runs over all messages.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue as Av;
use futures::FutureExt;
use futures::future::BoxFuture;
use largesse::dlq::{DlqError, RetryReport, Wanted};
use largesse_app::ports::{Clock, GrantMessage, Grants};
use largesse_aws::grant::message::write_body;
use largesse_domain::grant::{FailedGrant, Grant, GrantStatus};
use largesse_domain::id::Ulid;
use largesse_emulator::{Call, Fault, FaultHook, Faults, Matching, Service, World};
use serde_json::json;

use super::scene::{GRANTS, GRANTS_DLQ, Scene, retry_all, send, send_all, synthetic};
#[tokio::test(start_paused = true)]
async fn a_grant_that_was_given_up_is_explained_retried_and_paid_once() {
    let scene = Scene::given_up().await;
    let dlq = scene.dlq().await;
    // Looking changes nothing, so it can be done twice.
    for _ in 0..2 {
        let view = dlq.list_grants(10).await.unwrap();
        assert_eq!((view.messages, view.unreadable, view.others), (1, 0, 0));
        let row = view.rows.first().unwrap();
        assert_eq!(row.why, "given up after 4 refusals: the wallet cannot hold that much");
        assert_eq!(row.grant.as_ref().unwrap().grant, scene.grant);
        let table = dlq.list_table(&view.ids, 10).await.unwrap();
        assert_eq!((table.given_up, table.failed), (0, 0), "it has a message");
        let id = row.message_id.clone().unwrap();
        for wanted in [Wanted::Message(id), Wanted::Grant(scene.grant.id)] {
            let shown = dlq.show(&wanted).await.unwrap();
            assert_eq!(shown.grant.unwrap().status(), GrantStatus::PermanentlyFailed);
            assert!(shown.message.is_some());
        }
    }
    // The first send was some twenty seconds ago: the queue would drop the same message.
    scene.set_wallet("bob", None).await;
    let report = retry_all(&dlq).await;
    assert_eq!((report.sent, report.sent_from_table, report.kept_count()), (1, 0, 0));
    scene.paid_once().await;
    assert_eq!(scene.messages(GRANTS_DLQ), 0);
    assert_eq!(retry_all(&dlq).await, RetryReport::default());
    // A run that was killed before it deleted the message leaves one about a paid grant.
    scene.send(GRANTS_DLQ, "bob", &scene.body()).await;
    assert_eq!(retry_all(&dlq).await.paid, 1);
    scene.paid_once().await;
    assert_eq!(scene.messages(GRANTS_DLQ), 0);
}

/// The message is all that says what is owed, until its item can be read again.
#[tokio::test(start_paused = true)]
async fn a_message_that_is_kept_stays_in_the_queue() {
    let scene = Scene::given_up().await;
    let dlq = scene.dlq().await;
    scene.set_wallet("bob", None).await;
    scene.overwrite_attempts(Av::S("four".to_owned())).await;
    let report = retry_all(&dlq).await;
    assert_eq!((report.sent, report.kept_count(), scene.messages(GRANTS_DLQ)), (0, 1, 1));
    tokio::time::advance(Duration::from_secs(3_600)).await;
    scene.overwrite_attempts(Av::N("4".to_owned())).await;
    let report = retry_all(&dlq).await;
    assert_eq!((report.sent, report.kept_count(), scene.messages(GRANTS_DLQ)), (1, 0, 0));
    scene.paid_once().await;
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_there_twice_is_paid_once() {
    let scene = Scene::claimed().await;
    let dlq = scene.dlq().await;
    // One of them in the same batch, one behind it.
    for _ in 0..12 {
        scene.send(GRANTS_DLQ, "bob", &scene.body()).await;
    }
    let report = retry_all(&dlq).await;
    assert_eq!((report.sent, report.twice, scene.messages(GRANTS_DLQ)), (1, 11, 0));
    // And by two runs, the first of which was killed before it deleted anything.
    scene.send(GRANTS_DLQ, "bob", &scene.body()).await;
    assert_eq!(retry_all(&dlq).await.sent, 1);
    scene.attach();
    scene.paid_once().await;
}

/// Gives up the grant again, as grant-pay does, as soon as it is sent.
struct GivesUp {
    world: World,
    grant: Grant,
    sends: AtomicU64,
}

impl FaultHook for GivesUp {
    fn before<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Option<Fault>> {
        async move {
            if call.operation == "SendMessageBatch" {
                let sends = self.sends.fetch_add(1, Ordering::Relaxed);
                let at = u64::try_from(self.world.clock().now_ms()).unwrap();
                let retry = Some(Ulid::from_parts(at, u128::from(sends)));
                let message = GrantMessage { retry, ..GrantMessage::first(self.grant.clone()) };
                let body = write_body(&message).unwrap();
                send(&self.world.sdk_config(), GRANTS_DLQ, "bob", &body).await;
            }
            None
        }
        .boxed()
    }
}

#[tokio::test(start_paused = true)]
async fn a_grant_that_is_given_up_again_during_the_run_does_not_keep_it_going() {
    let scene = Scene::given_up().await;
    let dlq = scene.dlq().await;
    let (world, grant) = (scene.world.clone(), scene.grant.clone());
    let hook = Arc::new(GivesUp { world, grant, sends: AtomicU64::new(0) });
    scene.world.set_fault_hook(Some(hook.clone()));
    let report = retry_all(&dlq).await;
    scene.world.set_fault_hook(None);
    assert_eq!((report.sent, report.came_back), (1, 1));
    assert_eq!((hook.sends.load(Ordering::Relaxed), scene.messages(GRANTS_DLQ)), (1, 1));
    assert_eq!(dlq.list_grants(10).await.unwrap().others, 0, "it is visible again");
}

#[tokio::test(start_paused = true)]
async fn one_run_retries_five_thousand_messages_past_those_that_cannot_be_read() {
    const MESSAGES: u64 = 5_000;
    let scene = Scene::claimed().await;
    let dlq = scene.dlq().await;
    let mut messages = Vec::new();
    for n in 0..MESSAGES {
        let grant = synthetic(n);
        if n % 100 == 0 {
            messages.push(("carol".to_owned(), "nonsense".to_owned()));
            let status = GrantStatus::PermanentlyFailed;
            let (failure, failed_at) = ("full".to_owned(), scene.store.now().minus_ms(60_000));
            let failed =
                FailedGrant { grant: grant.clone(), status, attempts: 4, failure, failed_at };
            scene.store.put_failed(&failed, 0).await.unwrap();
        }
        let body = write_body(&GrantMessage::first(grant.clone())).unwrap();
        // A dozen messages of one member lie behind those that cannot be read, in one group.
        let group = if n % 1_000 < 3 { "carol" } else { grant.member.as_str() };
        messages.push((group.to_owned(), body));
    }
    send_all(&scene.world.sdk_config(), GRANTS_DLQ, &messages).await;
    let report = retry_all(&dlq).await;
    // SQS shows at most ten of a group, and these begin with ten that cannot be read.
    let behind = 12;
    assert_eq!(report.sent, MESSAGES - behind);
    assert_eq!((report.kept_count(), report.came_back, report.twice), (10, 0, 0));
    assert_eq!(report.kept["the message is no grant"].examples.len(), 3);
    // Those behind that have an item were given up, so the table leads to them.
    assert_eq!(report.sent_from_table, 4);
    assert_eq!(scene.messages(GRANTS_DLQ), 50 + 12);
    assert_eq!(u64::try_from(scene.messages(GRANTS)).unwrap(), MESSAGES - behind + 4);
    let view = dlq.list_grants(3).await.unwrap();
    assert_eq!((view.rows.len(), view.messages, view.others), (3, 10, 52), "all are visible again");
}

#[tokio::test(start_paused = true)]
async fn a_failure_in_the_middle_leaves_what_was_not_handled() {
    let scene = Scene::claimed().await;
    let dlq = scene.dlq().await;
    for n in 0..25 {
        let grant = synthetic(n);
        let body = write_body(&GrantMessage::first(grant.clone())).unwrap();
        scene.send(GRANTS_DLQ, grant.member.as_str(), &body).await;
    }
    let sends = || Matching::operation("SendMessageBatch");
    let retry = async |faults: Faults| {
        scene.world.set_fault_hook(Some(Arc::new(faults)));
        let mut report = RetryReport::default();
        let done = dlq.retry_all(&mut report).await;
        scene.world.set_fault_hook(None);
        assert!(matches!(done, Err(DlqError::Port(_))), "{done:?}");
        (report.sent, scene.messages(GRANTS_DLQ), scene.messages(GRANTS))
    };
    // Ten are sent in one call, and the second call is refused.
    let denied = Faults::seeded(1).nth(2, sends(), Fault::AccessDenied);
    assert_eq!(retry(denied).await, (10, 15, 10));
    // The queue takes all but one.
    let in_part = Faults::seeded(1).rewrite(sends(), |_, reply| {
        let taken = reply["Successful"].as_array_mut().unwrap();
        let id = taken.remove(3)["Id"].clone();
        reply["Failed"] = json!([{ "Id": id, "Code": "InternalError", "SenderFault": false }]);
    });
    assert_eq!(retry(in_part).await, (9, 6, 20));
    scene.world.recorder().reset();
    assert_eq!(retry_all(&dlq).await.sent, 6);
    let sent = scene.world.recorder().operation(Service::Sqs, "SendMessageBatch");
    assert_eq!((sent.calls, scene.messages(GRANTS_DLQ)), (1, 0));
    // The one that the queue took without saying so is there twice, and is paid once.
    assert_eq!(scene.messages(GRANTS), 26);
}
