//! SQS FIFO through the SDK.

use crate::common::*;
use aws_sdk_sqs::error::ProvideErrorMetadata;
use aws_sdk_sqs::types::{
    MessageSystemAttributeName, QueueAttributeName, SendMessageBatchRequestEntry,
};
use largesse_emulator::{queue_arn, queue_url};

#[tokio::test(start_paused = true)]
async fn a_group_gives_no_more_messages_while_one_of_it_is_in_flight() {
    let world = world();
    let client = sqs(&world);
    for id in ["a1", "a2", "a3"] {
        send(&client, "a", id).await;
    }
    send(&client, "b", "b1").await;

    let first = receive(&client, 2).await;
    assert_eq!(bodies(&first), ["body of a1", "body of a2"]);
    let second = receive(&client, 10).await;
    assert_eq!(bodies(&second), ["body of b1"], "group a is blocked, group b is not");
    assert!(receive(&client, 10).await.is_empty());

    for message in &first {
        assert!(receive(&client, 10).await.is_empty(), "one of group a is still in flight");
        let deleting = client.delete_message().queue_url(queue_url(QUEUE));
        deleting.receipt_handle(message.receipt_handle().unwrap()).send().await.unwrap();
    }
    assert_eq!(bodies(&receive(&client, 10).await), ["body of a3"]);
}

#[tokio::test(start_paused = true)]
async fn order_within_a_group_survives_redelivery() {
    let world = world();
    let client = sqs(&world);
    for id in ["a1", "a2", "a3"] {
        send(&client, "a", id).await;
    }
    let first = receive(&client, 10).await;
    let second = first[1].receipt_handle().unwrap();
    client
        .delete_message()
        .queue_url(queue_url(QUEUE))
        .receipt_handle(second)
        .send()
        .await
        .unwrap();
    pass(31).await;
    assert_eq!(bodies(&receive(&client, 10).await), ["body of a1", "body of a3"]);
}

#[tokio::test(start_paused = true)]
async fn a_message_is_deduplicated_for_five_minutes_and_not_longer() {
    let world = world();
    let client = sqs(&world);
    let first = send(&client, "a", "same").await;
    let received = receive(&client, 10).await;
    let receipt = received[0].receipt_handle().unwrap();
    client
        .delete_message()
        .queue_url(queue_url(QUEUE))
        .receipt_handle(receipt)
        .send()
        .await
        .unwrap();

    pass(299).await;
    assert_eq!(send(&client, "a", "same").await, first, "even after the first was deleted");
    assert!(world.queue(QUEUE).unwrap().is_empty());
    pass(2).await;
    assert_ne!(send(&client, "a", "same").await, first);
    assert_eq!(world.queue(QUEUE).unwrap().visible, 1);
}

#[tokio::test(start_paused = true)]
async fn a_message_received_too_often_goes_to_the_dead_letter_queue_in_order() {
    let world = world();
    let client = sqs(&world);
    send(&client, "a", "a1").await;
    send(&client, "a", "a2").await;
    for round in 1..=3 {
        let given = receive(&client, 10).await;
        assert_eq!(bodies(&given), ["body of a1", "body of a2"]);
        let attributes = given[0].attributes().unwrap();
        let count = &attributes[&MessageSystemAttributeName::ApproximateReceiveCount];
        assert_eq!(count, &round.to_string());
        pass(31).await;
    }
    assert!(receive(&client, 10).await.is_empty());
    let dead = world.queue(DEAD).unwrap();
    let bodies: Vec<&str> = dead.messages.iter().map(|message| message.body.as_str()).collect();
    assert_eq!(bodies, ["body of a1", "body of a2"]);
    assert!(world.queue(QUEUE).unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn dead_letters_can_be_sent_back_with_a_new_count() {
    let world = world();
    let client = sqs(&world);
    send(&client, "a", "a1").await;
    send(&client, "a", "a2").await;
    for _ in 0..4 {
        receive(&client, 10).await;
        pass(31).await;
    }
    assert_eq!(world.queue(DEAD).unwrap().visible, 2);
    let moving = client.start_message_move_task().source_arn(queue_arn(DEAD));
    moving.send().await.unwrap();
    assert!(world.queue(DEAD).unwrap().is_empty());
    let given = receive(&client, 10).await;
    assert_eq!(bodies(&given), ["body of a1", "body of a2"]);
    assert_eq!(world.queue(QUEUE).unwrap().messages[0].receive_count, 1);
}

#[tokio::test(start_paused = true)]
async fn an_expired_receipt_neither_deletes_nor_prolongs() {
    let world = world();
    let client = sqs(&world);
    send(&client, "a", "a1").await;
    let old = receive(&client, 1).await[0].receipt_handle().unwrap().to_owned();
    pass(31).await;
    let deleting = client.delete_message().queue_url(queue_url(QUEUE)).receipt_handle(&old);
    let error = deleting.send().await.unwrap_err().into_service_error();
    assert_eq!(error.code(), Some("InvalidParameterValue"));
    assert!(error.message().unwrap().contains("has expired"));

    let new = receive(&client, 1).await[0].receipt_handle().unwrap().to_owned();
    assert_ne!(new, old);
    let changing = client.change_message_visibility().queue_url(queue_url(QUEUE));
    let result = changing.receipt_handle(&old).visibility_timeout(600).send().await;
    assert!(result.is_err(), "the old receipt must not touch the new delivery");
    let garbage = client.delete_message().queue_url(queue_url(QUEUE)).receipt_handle("garbage");
    let error = garbage.send().await.unwrap_err().into_service_error();
    assert!(error.is_receipt_handle_is_invalid());
    client.delete_message().queue_url(queue_url(QUEUE)).receipt_handle(&new).send().await.unwrap();
    let again = client.delete_message().queue_url(queue_url(QUEUE)).receipt_handle(&new);
    again.send().await.expect("deleting twice is no error");
}

#[tokio::test(start_paused = true)]
async fn visibility_can_be_shortened_and_prolonged() {
    let world = world();
    let client = sqs(&world);
    send(&client, "a", "a1").await;
    let receipt = receive(&client, 1).await[0].receipt_handle().unwrap().to_owned();
    let change = |seconds| {
        let changing = client.change_message_visibility().queue_url(queue_url(QUEUE));
        changing.receipt_handle(&receipt).visibility_timeout(seconds).send()
    };
    change(100).await.unwrap();
    pass(99).await;
    assert!(receive(&client, 1).await.is_empty());
    change(3).await.unwrap();
    pass(2).await;
    assert!(receive(&client, 1).await.is_empty());
    pass(1).await;
    assert_eq!(receive(&client, 1).await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_batch_reports_which_entries_failed() {
    let world = world();
    let client = sqs(&world);
    let entry = |id: &str| {
        let entry = SendMessageBatchRequestEntry::builder().id(id).message_body("x");
        entry.message_deduplication_id(id)
    };
    let good = entry("1").message_group_id("g").build().unwrap();
    let bad = entry("2").build().unwrap();
    let sending = client.send_message_batch().queue_url(queue_url(QUEUE));
    let sent = sending.entries(good.clone()).entries(bad).send().await.unwrap();
    assert_eq!(sent.successful().len(), 1);
    assert_eq!(sent.failed()[0].id(), "2");
    assert_eq!(sent.failed()[0].code(), "MissingParameter");

    let twice = client.send_message_batch().queue_url(queue_url(QUEUE));
    let error = twice.entries(good.clone()).entries(good).send().await.unwrap_err();
    assert!(error.into_service_error().is_batch_entry_ids_not_distinct());
}

#[tokio::test(start_paused = true)]
async fn an_unknown_queue_is_a_typed_error() {
    let world = world();
    let sending = sqs(&world).send_message().queue_url(queue_url("nowhere.fifo")).message_body("x");
    let error = sending.message_group_id("g").send().await.unwrap_err().into_service_error();
    assert!(error.is_queue_does_not_exist(), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn queue_attributes_have_the_counts_and_the_redrive_policy() {
    let world = world();
    let client = sqs(&world);
    send(&client, "a", "a1").await;
    send(&client, "b", "b1").await;
    receive(&client, 1).await;
    let getting = client.get_queue_attributes().queue_url(queue_url(QUEUE));
    let attributes = getting.attribute_names(QueueAttributeName::All).send().await.unwrap();
    let attributes = attributes.attributes().unwrap();
    assert_eq!(attributes[&QueueAttributeName::ApproximateNumberOfMessages], "1");
    assert_eq!(attributes[&QueueAttributeName::ApproximateNumberOfMessagesNotVisible], "1");
    assert!(attributes[&QueueAttributeName::RedrivePolicy].contains(DEAD));
    let url = client.get_queue_url().queue_name(QUEUE).send().await.unwrap();
    assert_eq!(url.queue_url(), Some(queue_url(QUEUE).as_str()));
}

#[tokio::test(start_paused = true)]
async fn a_queue_deletes_messages_after_the_retention_period() {
    let world = world();
    let client = sqs(&world);
    send(&client, "a", "a1").await;
    pass(4 * 24 * 3_600).await;
    // They are not counted either, although no receiver has come.
    let getting = client.get_queue_attributes().queue_url(queue_url(QUEUE));
    let attributes = getting.attribute_names(QueueAttributeName::All).send().await.unwrap();
    let visible =
        &attributes.attributes().unwrap()[&QueueAttributeName::ApproximateNumberOfMessages];
    assert_eq!(visible, "0");
    assert!(receive(&client, 1).await.is_empty());
    assert!(world.queue(QUEUE).unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_purge_deletes_what_is_in_flight_too_and_forgets_no_deduplication_id() {
    let world = world();
    let client = sqs(&world);
    send(&client, "a", "a1").await;
    send(&client, "b", "b1").await;
    receive(&client, 1).await;
    client.purge_queue().queue_url(queue_url(QUEUE)).send().await.unwrap();
    assert!(world.queue(QUEUE).unwrap().is_empty());
    send(&client, "a", "a1").await;
    assert!(receive(&client, 1).await.is_empty());
    // The group is free again.
    send(&client, "a", "a2").await;
    assert_eq!(bodies(&receive(&client, 1).await), ["body of a2"]);
}
