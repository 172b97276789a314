//! The dead-letter queue of the outbox.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue as Av;
use largesse::dlq::{DlqError, DropReport, Dropped, OutboxKind, Retry, RetryReport, Wanted};
use largesse_app::ports::Clock;
use largesse_domain::grant::GrantStatus;
use serde_json::json;

use super::scene::{GRANTS, OUTBOX_DLQ, Scene, retry_all, user};
#[tokio::test(start_paused = true)]
async fn an_entry_that_cannot_be_is_explained_and_never_paid() {
    let scene = Scene::claimed().await;
    let (source, dlq) = (scene.grant.source, scene.dlq().await);
    let bucket = Av::S(format!("{source}#0"));
    let update = async |expression: &str, values: &[(&str, &str)]| {
        let update = scene.dynamo().update_item().table_name("largesse-pools");
        let update = update.key("pk", bucket.clone()).update_expression(expression);
        let update = values.iter().fold(update, |update, (name, number)| {
            update.expression_attribute_values(*name, Av::N((*number).to_owned()))
        });
        update.send().await.unwrap();
    };
    // A second entry with bob's index, and three parts taken.
    let carol = "SET draws.carol = draws.bob + :zero, taken = :two";
    update(carol, &[(":zero", "0"), (":two", "2")]).await;
    scene.attach();
    scene.world.settle_with_time().await.unwrap();
    assert_eq!((scene.balance("bob").await, scene.balance("carol").await), (10, 0));
    let view = dlq.list_outbox(10).await.unwrap();
    assert_eq!((view.messages, view.others), (1, 0));
    let row = view.rows.first().unwrap();
    assert_eq!(row.kind, OutboxKind::Record);
    let why = format!(
        "entries that no draw can have written: {source}#0 (carol); the entries of carol are not \
         paid: repair the bucket"
    );
    assert_eq!(row.why, why);
    let carols = Wanted::Entry(source, user("carol"));
    assert!(matches!(dlq.retry(&carols).await, Err(DlqError::NotFound(_))));
    assert_eq!(retry_all(&dlq).await, RetryReport::default());
    let mut report = DropReport::default();
    dlq.drop_reports(&mut report).await.unwrap();
    assert_eq!((report.deleted, report.records), (0, 1), "only by its id");
    scene.world.settle_with_time().await.unwrap();
    assert_eq!(scene.balance("carol").await, 0);

    update("REMOVE draws.carol SET taken = :one", &[(":one", "1")]).await;
    let row = dlq.list_outbox(10).await.unwrap().rows.pop().unwrap();
    assert!(row.why.contains("the bucket can be read now"), "{}", row.why);
    let id = Wanted::Message(row.message_id);
    assert!(dlq.show(&id).await.unwrap().message.unwrap().1.body.contains("NewImage"));
    assert_eq!(dlq.drop_one(&id).await.unwrap(), Dropped::Deleted);
    scene.paid_once().await;
}

#[tokio::test(start_paused = true)]
async fn an_unpaid_entry_is_sent_by_its_source_and_member() {
    let scene = Scene::claimed().await;
    let dlq = scene.dlq().await;
    let entry = Wanted::Entry(scene.grant.source, user("bob"));
    assert_eq!(dlq.show(&entry).await.unwrap().grant.unwrap().status(), GrantStatus::Pending);
    assert_eq!(dlq.retry(&entry).await.unwrap(), Retry::Sent);
    assert_eq!(scene.messages(GRANTS), 1);
    let ann = Wanted::Entry(scene.grant.source, user("ann"));
    assert!(matches!(dlq.retry(&ann).await, Err(DlqError::NotFound(_))), "she drew nothing");
    scene.attach();
    scene.paid_once().await;
    assert_eq!(dlq.retry(&entry).await.unwrap(), Retry::Paid);
}

#[tokio::test(start_paused = true)]
async fn a_report_of_the_mapping_is_explained_and_dropped_and_the_sweep_pays() {
    let scene = Scene::claimed().await;
    let dlq = scene.dlq().await;
    let report = json!({
        "requestContext": { "condition": "RecordAgeExceeded" },
        "DDBStreamBatchInfo": {
            "shardId": "shard", "startSequenceNumber": "1", "endSequenceNumber": "3",
            "batchSize": 3,
        },
    });
    for _ in 0..25 {
        scene.send(OUTBOX_DLQ, "", &report.to_string()).await;
    }
    let why = "RecordAgeExceeded: 3 records from 1 to 3 of shard; pool-sweep sends what they held, \
               so drop it";
    let view = dlq.list_outbox(10).await.unwrap();
    assert_eq!((view.messages, view.rows.len()), (25, 10));
    assert_eq!((view.rows[0].why.as_str(), view.rows[0].kind), (why, OutboxKind::Report));
    // What cannot be read may be anything, so it stays.
    scene.send(OUTBOX_DLQ, "", "more junk").await;
    let view = dlq.list_outbox(100).await.unwrap();
    assert_eq!((view.messages, view.unreadable), (26, 1));
    let mut dropped = DropReport::default();
    dlq.drop_reports(&mut dropped).await.unwrap();
    assert_eq!((dropped.deleted, dropped.unreadable, dropped.is_complete()), (25, 1, false));
    assert_eq!(scene.messages(OUTBOX_DLQ), 1);
    // The stream is never read here: pool-sweep alone leads to the payment.
    tokio::time::advance(Duration::from_secs(400)).await;
    let stop_at = scene.store.now().plus_ms(60_000);
    assert_eq!(pool_sweep::handle(&*scene.store, stop_at).await.unwrap().resent, 1);
    assert_eq!(scene.messages(GRANTS), 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_about_campaigns_is_explained_and_dropped_only_by_its_id() {
    let scene = Scene::claimed().await;
    let dlq = scene.dlq().await;
    let report = json!({
        "requestContext": { "condition": "RecordAgeExceeded" },
        "DDBStreamBatchInfo": {
            "shardId": "shard", "startSequenceNumber": "1", "endSequenceNumber": "1",
            "batchSize": 1, "streamArn": largesse_emulator::stream_arn("largesse-campaigns"),
        },
    });
    let keys = json!({ "pk": { "S": "CAMPAIGN#01ARZ3NDEKTSV4RRFFQ69G5FAV" } });
    let record = json!({
        "unreadable": "audit item: Corrupt", "members": [],
        "record": { "dynamodb": { "Keys": keys } },
    });
    for body in [report, record] {
        scene.send(OUTBOX_DLQ, "", &body.to_string()).await;
    }
    let view = dlq.list_outbox(10).await.unwrap();
    let why: Vec<&str> = view.rows.iter().map(|row| row.why.as_str()).collect();
    let expected = [
        "RecordAgeExceeded: 1 record from 1 to 1 of shard; nothing sends again what follows from \
         them: compare the campaigns' audit with what happened",
        "audit item: Corrupt: CAMPAIGN#01ARZ3NDEKTSV4RRFFQ69G5FAV; nothing follows from the entry: \
         see `show`",
    ];
    assert_eq!(why, expected);
    let mut dropped = DropReport::default();
    dlq.drop_reports(&mut dropped).await.unwrap();
    assert_eq!((dropped.deleted, dropped.records), (0, 2));
    for row in view.rows {
        let id = Wanted::Message(row.message_id);
        assert_eq!(dlq.drop_one(&id).await.unwrap(), Dropped::Deleted);
    }
}
