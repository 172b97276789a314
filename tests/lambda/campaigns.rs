//! The workers of campaigns, behind their queues.

use serde_json::{Value, json};

use crate::bootstrap::Bootstrap;
use crate::events::event;
use crate::scene::Scene;

/// The functions whose messages carry the number under which they are harmless.
const WORKERS: [&str; 4] = ["campaign-seal", "campaign-fanout", "campaign-pay", "campaign-retry"];

/// The ids of an event's messages.
fn ids(event: &Value) -> Vec<Value> {
    let records = event["Records"].as_array().expect("records");
    records.iter().map(|record| json!({ "itemIdentifier": record["messageId"] })).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn work_of_a_campaign_that_is_not_there_is_dropped() {
    let scene = Scene::new().await;
    for function in WORKERS {
        let answered =
            Bootstrap::start(&scene, function).await.invoke(&event(function, "happy")).await;
        assert_eq!(answered.body, json!({ "batchItemFailures": [] }), "{function}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn work_that_cannot_be_read_waits() {
    let scene = Scene::new().await;
    for function in WORKERS {
        let hostile = event(function, "hostile");
        let answered = Bootstrap::start(&scene, function).await.invoke(&hostile).await;
        assert_eq!(answered.body, json!({ "batchItemFailures": ids(&hostile) }), "{function}");
    }
}
