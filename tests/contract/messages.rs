//! The queue of grants: what is sent arrives once, and what the queue does not take is said.

use std::sync::Arc;

use largesse_app::grant::dispatch::dispatch;
use largesse_app::grant::operate::{Retried, retry};
use largesse_app::ports::{Deliveries, GrantMessage, GrantQueue, Grants, PortErrorKind, Written};
use largesse_aws::grant::message::read_body;
use largesse_domain::grant::{Grant, GrantStatus};
use largesse_emulator::{Fault, Faults, Matching, Message, Service};
use largesse_tests::Sandbox;
use serde_json::{Value, json};

use crate::scene::{drawn, given_up, refused, sprayed};

const GRANTS: &str = "largesse-grants.fifo";

async fn some(sandbox: &Sandbox, members: u64) -> Vec<Grant> {
    let spray = sprayed(sandbox, members).await;
    let mut grants = Vec::new();
    for n in 0..members {
        grants.push(drawn(sandbox, &spray, &format!("m{n}")).await);
    }
    grants
}

fn kept(sandbox: &Sandbox, queue: &str) -> Vec<Message> {
    sandbox.world.queue(queue).unwrap().messages
}

#[tokio::test(start_paused = true)]
async fn a_message_carries_the_grant_in_its_members_group_and_arrives_once() {
    let sandbox = Sandbox::new(1);
    let grants = some(&sandbox, 3).await;
    let messages: Vec<GrantMessage> = grants.iter().cloned().map(GrantMessage::first).collect();
    for _ in 0..2 {
        assert!(sandbox.store.send(&messages).await.unwrap().is_empty());
    }
    let kept = kept(&sandbox, GRANTS);
    assert_eq!(kept.len(), 3, "within five minutes the second one is dropped");
    for (message, grant) in kept.iter().zip(&grants) {
        assert_eq!(read_body(&message.body).unwrap(), GrantMessage::first(grant.clone()));
        assert_eq!(message.group, grant.member.as_str());
    }
}

#[tokio::test(start_paused = true)]
async fn messages_are_sent_in_their_order_up_to_the_first_that_is_not_taken() {
    let sandbox = Sandbox::new(2);
    let grants = some(&sandbox, 16).await;
    let messages: Vec<GrantMessage> = grants.into_iter().map(GrantMessage::first).collect();
    let sends = || Matching::operation("SendMessageBatch").of(Service::Sqs);
    let dispatched = async |faults: Option<Faults>| {
        sandbox.world.set_fault_hook(faults.map(|faults| Arc::new(faults) as _));
        dispatch(&*sandbox.store, &messages).await
    };
    // The second batch is refused as a whole.
    let refused = Faults::seeded(0).nth(2, sends(), Fault::AccessDenied);
    assert_eq!(dispatched(Some(refused)).await, Some(10));
    assert_eq!(kept(&sandbox, GRANTS).len(), 10);
    // The queue says that it did not take two of the first.
    let in_part = Faults::seeded(0).rewrite(sends(), |_, reply| {
        let is_failed = |entry: &Value| ["3", "7"].iter().any(|id| entry["Id"] == *id);
        let taken = reply["Successful"].as_array_mut().unwrap();
        let failed: Vec<Value> = taken.extract_if(.., |entry| is_failed(entry)).collect();
        let fail = |entry: &Value| {
            json!({ "Id": entry["Id"], "Code": "InternalError", "SenderFault": false })
        };
        reply["Failed"] = failed.iter().rev().map(fail).collect();
    });
    assert_eq!(dispatched(Some(in_part)).await, Some(3));
    assert_eq!(dispatched(None).await, None);
    let bodies = kept(&sandbox, GRANTS).into_iter().map(|m| read_body(&m.body).unwrap());
    assert_eq!(bodies.collect::<Vec<GrantMessage>>(), messages);
}

#[tokio::test(start_paused = true)]
async fn what_is_given_up_stands_in_the_dead_letter_queue() {
    let sandbox = Sandbox::new(3);
    let message = GrantMessage::first(some(&sandbox, 1).await.remove(0));
    sandbox.store.dead_letter(&message).await.unwrap();
    let dead = kept(&sandbox, "largesse-grants-dlq.fifo");
    assert_eq!(read_body(&dead[0].body).unwrap(), message);
    assert!(kept(&sandbox, GRANTS).is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_operators_retry_is_another_message_and_begins_to_count_anew() {
    let sandbox = Sandbox::new(4);
    let grant = some(&sandbox, 1).await.remove(0);
    let store = &sandbox.store;
    assert!(store.send(&[GrantMessage::first(grant.clone())]).await.unwrap().is_empty());
    let failed = given_up(&sandbox, &grant).await;
    assert_eq!(retry(&**store, &failed).await.unwrap(), Retried::Sent);
    let messages = kept(&sandbox, GRANTS);
    assert_eq!(messages.len(), 2, "the queue does not take it for a repeat");
    let again = read_body(&messages[1].body).unwrap();
    assert!(again.grant == grant && again.retry.is_some());
    let kept = store.failed_grant(grant.source, &grant.member).await.unwrap().unwrap();
    assert_eq!((kept.status, kept.attempts), (GrantStatus::Failed, 0));
    // What has changed since the operator read it is not retried.
    let stale = retry(&**store, &failed).await.unwrap_err();
    assert_eq!(stale.kind, PortErrorKind::Contended);
    let voided = refused(&grant, GrantStatus::Voided, 4);
    assert_eq!(retry(&**store, &voided).await.unwrap(), Retried::Voided);
    let counted = refused(&grant, GrantStatus::Failed, 1);
    assert_eq!(store.put_failed(&counted, 0).await.unwrap(), Written::Done);
    assert_eq!(self::kept(&sandbox, GRANTS).len(), 2);
}
