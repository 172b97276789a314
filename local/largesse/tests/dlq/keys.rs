//! One message or one grant, by its key.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue as Av;
use largesse::dlq::{DlqError, Dropped, Retry, Wanted};
use largesse_app::ports::{Money, Standing, Void};
use largesse_domain::grant::GrantStatus;

use super::scene::{GRANTS, GRANTS_DLQ, Scene, retry_all, user};
#[tokio::test(start_paused = true)]
async fn unreadable_and_newer_messages_are_shown_and_put_back() {
    let scene = Scene::claimed().await;
    let dlq = scene.dlq().await;
    let newer = scene.body().replace("\"version\":1", "\"version\":2");
    scene.send(GRANTS_DLQ, "bob", "nonsense").await;
    scene.send(GRANTS_DLQ, "bob", &newer).await;
    scene.send(GRANTS_DLQ, "bob", &scene.body()).await;
    let view = dlq.list_grants(10).await.unwrap();
    let why: Vec<&str> = view.rows.iter().map(|row| row.why.as_str()).collect();
    let reasons = [
        "the message is no grant",
        "the message has version 2, this code reads up to 1: use the newer largesse",
        "never refused: its message was received too often",
    ];
    assert_eq!((why.as_slice(), view.unreadable), (reasons.as_slice(), 2));
    let report = retry_all(&dlq).await;
    assert_eq!((report.sent, report.kept_count()), (1, 2));
    let id = view.rows[1].message_id.clone().unwrap();
    let shown = dlq.show(&Wanted::Message(id.clone())).await.unwrap();
    assert_eq!(shown.message.unwrap().1.body, newer);
    let kept = dlq.retry(&Wanted::Message(id.clone())).await.unwrap();
    assert_eq!(kept, Retry::Kept(reasons[1].to_owned()));
    // What is no grant of any version can be dropped; what a newer version wrote cannot.
    let kept = Dropped::Kept("a newer version wrote it");
    assert_eq!(dlq.drop_one(&Wanted::Message(id)).await.unwrap(), kept);
    let id = view.rows[0].message_id.clone().unwrap();
    assert_eq!(dlq.drop_one(&Wanted::Message(id)).await.unwrap(), Dropped::Deleted);
    assert_eq!(scene.messages(GRANTS_DLQ), 1);
    scene.attach();
    scene.paid_once().await;
}

#[tokio::test(start_paused = true)]
async fn a_grant_without_a_message_is_listed_retried_and_voided_by_its_key() {
    let scene = Scene::given_up().await;
    // After 14 days.
    scene.delete_all(GRANTS_DLQ).await;
    let put = scene.dynamo().put_item().table_name("largesse-grants");
    let put = put.item("pk", Av::S("nonsense".to_owned())).item("sk", Av::S("x".to_owned()));
    put.send().await.unwrap();
    let dlq = scene.dlq().await;
    let view = dlq.list_grants(10).await.unwrap();
    let table = dlq.list_table(&view.ids, 10).await.unwrap();
    assert_eq!((view.messages, table.given_up, table.failed), (0, 1, 0));
    assert_eq!(table.rows.first().unwrap().grant.as_ref().unwrap().grant, scene.grant);
    assert_eq!(table.unreadable, [("nonsense".to_owned(), "x".to_owned())]);

    // By its source and member, and refused again; by its id, and paid.
    let entry = Wanted::parse(&scene.grant.source.to_string(), Some("bob")).unwrap();
    assert_eq!(dlq.retry(&entry).await.unwrap(), Retry::Sent);
    scene.world.settle_with_time().await.unwrap();
    assert_eq!(scene.status().await, Some(GrantStatus::PermanentlyFailed));
    scene.delete_all(GRANTS_DLQ).await;
    tokio::time::advance(Duration::from_secs(60)).await;
    let report = retry_all(&dlq).await;
    assert_eq!((report.sent, report.sent_from_table), (0, 1));
    assert_eq!(report.unreadable_items.len(), 1);
    scene.world.settle_with_time().await.unwrap();

    let by_id = Wanted::Grant(scene.grant.id);
    let preview = dlq.void(&by_id, false).await.unwrap();
    assert_eq!((preview.outcome, scene.balance("ann").await), (None, 0));
    assert_eq!(dlq.void(&by_id, true).await.unwrap().outcome, Some(Void::Voided));
    assert_eq!(scene.balance("ann").await, 10);
    assert_eq!(scene.messages(GRANTS_DLQ), 0, "its message goes with it");
    scene.set_wallet("bob", None).await;
    assert_eq!(dlq.void(&by_id, true).await.unwrap().outcome, Some(Void::AlreadyVoided));
    // Voided is for ever, whatever is sent.
    assert_eq!(dlq.retry(&entry).await.unwrap(), Retry::Voided);
    scene.send(GRANTS_DLQ, "bob", &scene.body()).await;
    scene.send(GRANTS, "bob", &scene.body()).await;
    assert_eq!(retry_all(&dlq).await.voided, 1);
    scene.world.settle_with_time().await.unwrap();
    assert_eq!((scene.balance("bob").await, scene.balance("ann").await), (0, 10));
    let standing = scene.store.lookup(std::slice::from_ref(&scene.grant)).await.unwrap();
    assert_eq!(standing, [Standing::Voided]);
}

#[tokio::test(start_paused = true)]
async fn only_a_grant_that_was_given_up_is_voided() {
    let scene = Scene::claimed().await;
    let dlq = scene.dlq().await;
    let entry = Wanted::Entry(scene.grant.source, user("bob"));
    // Drawn, not paid, never refused.
    assert_eq!(dlq.void(&entry, true).await.unwrap().outcome, Some(Void::NotGivenUp));
    scene.attach();
    scene.paid_once().await;
    assert_eq!(dlq.void(&entry, true).await.unwrap().outcome, Some(Void::Paid));
    scene.paid_once().await;
}

#[test]
fn a_key_is_a_grant_an_entry_or_a_message() {
    let id = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
    let source = format!("SPRAY#{id}");
    assert_eq!(Wanted::parse(id, None).unwrap(), Wanted::Grant(id.parse().unwrap()));
    let entry = Wanted::Entry(source.parse().unwrap(), user("bob"));
    assert_eq!(Wanted::parse(&source, Some("bob")).unwrap(), entry);
    let message = "9c4e9a2f-6a0e-4a2e-9f0f-0d7b4a3c1f11";
    assert_eq!(Wanted::parse(message, None).unwrap(), Wanted::Message(message.to_owned()));
    for (first, member) in [(source.as_str(), None), (id, Some("bob")), (&source, Some("b b"))] {
        assert!(matches!(Wanted::parse(first, member), Err(DlqError::BadKey(_))), "{first}");
    }
}
